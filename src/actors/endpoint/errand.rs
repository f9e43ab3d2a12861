//! One attempt, from signing to verdict.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tracing::Instrument as _;
use tracing::field::display;
use ulid::Ulid;

use super::scribe::{Scribe, Unwritten};
use crate::actors::outbound::{AttemptError, Exchange, Outbound, Target};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::delivery::{Attempt, AttemptOutcome, RetryPolicy, Tried, Verdict};
use crate::domain::endpoint::{Endpoint, KeyNumber};
use crate::domain::gate::Sign;
use crate::domain::ids::{AttemptId, DeliveryId, EventId, MemberId};
use crate::domain::loyalty_event::EventType;
use crate::store::delivery::DueDelivery;
use crate::wire;

/// What every attempt for one configuration of an endpoint needs.
pub(super) struct Errand {
    pub(super) outbound: Rc<Outbound>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) target: Result<Target, AttemptError>,
    pub(super) clock: Clock,
    pub(super) retry: RetryPolicy,
    scribe: Scribe,
    /// The key that the receiver takes, where a request has room for one signature and the newest is not known there yet.
    taken: Cell<Option<KeyNumber>>,
}

/// How an errand ended.
#[derive(Debug)]
pub(super) struct Report {
    /// What to write.
    pub outcome: AttemptOutcome,
    /// The configuration it was sent under.
    pub sent_to: Arc<Endpoint>,
    /// How the answer was judged.
    pub verdict: Verdict,
    /// How long the loyalty event was on its way, by the engine's clock.
    pub age: Duration,
    /// Whether the receiver keeps up.
    pub keeps_up: bool,
    /// What it teaches beyond this delivery.
    pub lesson: Lesson,
    /// The loyalty event, its type, and since when it was owed.
    pub event: (EventId, EventType, Timestamp),
    /// Whom it is about.
    pub member: Option<MemberId>,
}

/// What an attempt teaches beyond its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lesson {
    /// Nothing: there was nothing to send.
    Nothing,
    /// How the receiver is as a whole.
    Receiver(Sign),
    /// That nothing leaves our own network, whoever it is for.
    NoWayOut,
}

/// One request and what became of it.
struct OneTry {
    attempt: Attempt,
    verdict: Verdict,
    keeps_up: bool,
    lesson: Lesson,
}

impl OneTry {
    /// Whether the receiver may not know the key that signed, and asks for no pause.
    fn is_unauthorized(&self) -> bool {
        let is_refused = self.verdict == Verdict::Refused { retry_after: None };
        is_refused && matches!(self.attempt.status_code, Some(401 | 403))
    }
}

impl Errand {
    /// Prepares for one configuration.
    pub(super) fn new(outbound: Rc<Outbound>, endpoint: Arc<Endpoint>, clock: Clock) -> Self {
        let target = outbound.target(&endpoint);
        let retry = endpoint.settings.retry.clone();
        // Under the test clock a pause ends exactly when the ladder says.
        let retry = if clock.is_test() { retry.without_jitter() } else { retry };
        let scribe = Scribe::of(&endpoint);
        Self { outbound, endpoint, target, clock, retry, scribe, taken: Cell::default() }
    }

    /// Prepares for another configuration. What is known of the receiver is forgotten when there is a new key.
    pub(super) fn under(&self, endpoint: Arc<Endpoint>) -> Self {
        let has_new_key = endpoint.keys.newest().id != self.endpoint.keys.newest().id;
        let new = Self::new(Rc::clone(&self.outbound), endpoint, self.clock.clone());
        new.taken.set(self.taken.get().filter(|_| !has_new_key));
        new
    }

    /// Tries one delivery. A panic on the way is a failed attempt like any other: it must not come back for ever.
    pub(super) async fn run(self: Rc<Self>, due: DueDelivery) -> Report {
        let DueDelivery {
            id: delivery,
            seq: sequence,
            event,
            kind,
            member,
            created_at,
            ready_at,
            mark,
            trace,
            ..
        } = due;
        let number = due.attempts.saturating_add(1);
        let letter = wire::Letter {
            delivery,
            sequence,
            attempt: number,
            occasion: mark.into(),
            event,
            message: due.body,
            name: self.endpoint.asks_by_name(kind),
            trace,
            texts: Arc::clone(&self.endpoint.settings.texts),
        };
        let trace = letter.trace.as_ref().map(|trace| display(trace.id()));
        let span = tracing::debug_span!("attempt", %delivery, number, trace);
        let (refused, last) = self.try_keys(letter).instrument(span.clone()).await;
        span.in_scope(|| {
            let (status, error) = (last.attempt.status_code, last.attempt.error.as_deref());
            tracing::debug!(status, error, "attempted");
        });
        let now = self.clock.now();
        let OneTry { attempt, verdict, keeps_up, lesson } = last;
        let tried = Tried { number, ready_at, now, luck: luck(delivery, number) };
        let next = self.retry.after(tried, &verdict);
        Report {
            outcome: AttemptOutcome {
                chain: self.endpoint.chain.clone(),
                endpoint: self.endpoint.id,
                attempt,
                under_other_key: refused.map(|refused| Box::new(refused.attempt)),
                next,
                condition: None,
                told: None,
            },
            lesson,
            event: (event, kind, created_at),
            member,
            sent_to: Arc::clone(&self.endpoint),
            verdict,
            age: (now - created_at).to_std().unwrap_or_default(),
            keeps_up,
        }
    }

    /// Tries a letter; where it has room for one signature and the receiver seems to know another key, at once under that
    /// one, too. Answers the trial that was refused so, and the one that counts.
    async fn try_keys(&self, letter: wire::Letter) -> (Option<OneTry>, OneTry) {
        let Some((key, other)) = self.two_keys() else { return (None, self.attempt(letter, None).await) };
        let mut refused = self.attempt(letter.clone(), Some(key)).await;
        if !refused.is_unauthorized() {
            return (None, refused);
        }
        let mut trial = self.attempt(letter, Some(other)).await;
        // The next attempt begins with the key that was taken, or else with the one whose turn it is.
        self.taken.set(Some(other));
        if trial.is_unauthorized() {
            self.taken.set(self.two_keys().map(|(_, next)| next));
        }
        refused.attempt.error =
            refused.attempt.error.map(|error| format!("{error}; tried again with key {other}"));
        // In the order in which they were made, though they may have begun at the same instant.
        trial.attempt.id = AttemptId::new(Ulid(refused.attempt.id.ulid().0.wrapping_add(1)));
        (Some(refused), trial)
    }

    /// The key to sign with and the one to try after it, where a request has room for one signature and several sign.
    fn two_keys(&self) -> Option<(KeyNumber, KeyNumber)> {
        let signers = self.endpoint.keys.signers(self.clock.now()).led_by(self.taken.get());
        let follower = signers.follower().filter(|_| self.endpoint.dialect.has_one_signature())?;
        Some((signers.lead().id, follower))
    }

    /// One request. `key` signs where there is room for one signature; without it, the newest does.
    async fn attempt(&self, letter: wire::Letter, key: Option<KeyNumber>) -> OneTry {
        let began = self.clock.now();
        let (delivery, number) = (letter.delivery, letter.attempt);
        let tried = AssertUnwindSafe(self.exchange(letter, key, began)).catch_unwind().await;
        let now = self.clock.now();
        let again = Verdict::Refused { retry_after: None };
        let (exchange, error, unanswered) = match tried {
            Ok(Ok(exchange)) => (Some(exchange), None, again),
            Ok(Err(unwritten)) => (None, Some(unwritten.to_string()), unwritten.verdict()),
            Err(_) => (None, Some("an internal error; the log of the process has more".to_owned()), again),
        };
        let answer = exchange.as_ref().and_then(|exchange| exchange.outcome.as_ref().ok());
        let verdict = answer.map_or(unanswered, |answer| wire::judge(self.endpoint.dialect, answer, now));
        let error = error.or_else(|| complaint(exchange.as_ref()?, &verdict));
        let attempt = Attempt {
            id: AttemptId::new(Ulid::from_parts(now.timestamp_millis().max(0) as u64, random_bits(delivery))),
            delivery,
            number,
            at: began,
            duration_ms: exchange.as_ref().map_or(0, |e| e.duration.as_millis() as u64),
            status_code: exchange.as_ref().and_then(|e| e.status),
            response_body: exchange.as_ref().and_then(Exchange::body_start),
            error,
        };
        // What was not sent says nothing of the receiver.
        let (lesson, keeps_up) = match exchange.as_ref().map(|exchange| &exchange.outcome) {
            None => (Lesson::Nothing, true),
            Some(Err(error)) if error.is_ours() => (Lesson::NoWayOut, true),
            Some(_) => {
                let sign = Sign::of(&verdict, answer.map(|answer| answer.status));
                (Lesson::Receiver(sign), keeps_up(attempt.status_code, answer.is_some()))
            }
        };
        OneTry { attempt, verdict, keeps_up, lesson }
    }

    async fn exchange(
        &self,
        letter: wire::Letter,
        key: Option<KeyNumber>,
        now: Timestamp,
    ) -> Result<Exchange, Unwritten> {
        let signers = self.endpoint.keys.signers(now).led_by(key);
        let request = self.scribe.write(letter, &signers, now)?;
        Ok(match &self.target {
            Ok(target) => self.outbound.attempt(target, &request).await,
            Err(error) => Exchange::unsent(error.clone()),
        })
    }
}

/// What to say in the log; nothing when the delivery was accepted and others are, too.
pub(super) fn complaint(exchange: &Exchange, verdict: &Verdict) -> Option<String> {
    match (&exchange.outcome, verdict) {
        (Err(error), _) => Some(error.to_string()),
        (Ok(_), Verdict::Accepted) => None,
        (Ok(answer), Verdict::Gone { .. }) => {
            Some(format!("the receiver answered {} and wants no more deliveries", answer.status))
        }
        (Ok(answer), Verdict::Rejected { why }) => {
            Some(format!("the receiver answered {} and will never take it: {why}", answer.status))
        }
        (Ok(answer), Verdict::Refused { .. }) if (200..=299).contains(&answer.status) => {
            Some(format!("the receiver answered {}, but not that it has the event", answer.status))
        }
        (Ok(answer), Verdict::Refused { .. }) => Some(format!("the receiver answered {}", answer.status)),
    }
}

/// 429, 502, 503 and 504 ask for less.
fn keeps_up(status: Option<u16>, answered: bool) -> bool {
    answered && !matches!(status, Some(429 | 502..=504))
}

/// The jitter of a retry: the same delivery and number always get the same.
fn luck(delivery: DeliveryId, number: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    (delivery, number).hash(&mut hasher);
    hasher.finish()
}

/// Bits for an id that nobody else makes in the same millisecond.
fn random_bits(delivery: DeliveryId) -> u128 {
    let random = RandomState::new(); // new keys every time
    u128::from(random.hash_one(delivery)) << 64 | u128::from(random.hash_one(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luck_is_repeatable_and_differs_between_tries_and_deliveries() {
        let one = DeliveryId::new(Ulid(1));
        assert_eq!(luck(one, 1), luck(one, 1));
        assert_ne!(luck(one, 1), luck(one, 2));
        assert_ne!(luck(one, 1), luck(DeliveryId::new(Ulid(2)), 1));
    }

    #[test]
    fn random_bits_do_not_repeat() {
        let one = DeliveryId::new(Ulid(1));
        assert_ne!(random_bits(one), random_bits(one));
    }

    #[test]
    fn overload_answers_and_silence_mean_less() {
        for (status, answered, expected) in
            [(Some(200), true, true), (Some(500), true, true), (Some(429), true, false), (None, false, false)]
        {
            assert_eq!(keeps_up(status, answered), expected, "{status:?}");
        }
    }
}
