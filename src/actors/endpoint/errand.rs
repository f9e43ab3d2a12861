//! One attempt, from signing to verdict.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use ulid::Ulid;

use crate::actors::outbound::{AttemptError, Exchange, Outbound, Target};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::delivery::{Attempt, AttemptOutcome, RetryPolicy, Tried, Verdict};
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{AttemptId, DeliveryId};
use crate::store::delivery::DueDelivery;
use crate::wire;

/// What every attempt for one configuration of an endpoint needs.
pub(super) struct Errand {
    pub(super) outbound: Rc<Outbound>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) target: Result<Target, AttemptError>,
    pub(super) clock: Clock,
    pub(super) retry: RetryPolicy,
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
}

impl Errand {
    /// Prepares for one configuration.
    pub(super) fn new(outbound: Rc<Outbound>, endpoint: Arc<Endpoint>, clock: Clock) -> Self {
        let target = outbound.target(&endpoint);
        let retry = endpoint.settings.retry.clone();
        // Under the test clock a pause ends exactly when the ladder says.
        let retry = if clock.is_test() { retry.without_jitter() } else { retry };
        Self { outbound, endpoint, target, clock, retry }
    }

    /// Tries one delivery. A panic on the way is a failed attempt like any other: it must not come back for ever.
    pub(super) async fn run(self: Rc<Self>, due: DueDelivery) -> Report {
        let began = self.clock.now();
        let (delivery, number) = (due.id, due.attempts.saturating_add(1));
        let (created_at, ready_at) = (due.created_at, due.ready_at);
        let tried = AssertUnwindSafe(self.exchange(due, began)).catch_unwind().await;
        let now = self.clock.now();
        let again = Verdict::Refused { retry_after: None };
        let (exchange, error, unanswered) = match tried {
            Ok(Ok(exchange)) => (Some(exchange), None, again),
            // Trying again could not help: it takes somebody who changes something, and then a retry by hand.
            Ok(Err(unsendable)) => {
                (None, Some(unsendable.to_string()), Verdict::Rejected { why: "unsendable" })
            }
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
        let tried = Tried { number, ready_at, now, luck: luck(delivery, number) };
        let next = self.retry.after(tried, &verdict);
        Report {
            // What was not sent says nothing of the receiver.
            keeps_up: exchange.is_none() || keeps_up(attempt.status_code, answer.is_some()),
            outcome: AttemptOutcome {
                chain: self.endpoint.chain.clone(),
                endpoint: self.endpoint.id,
                attempt,
                next,
            },
            sent_to: Arc::clone(&self.endpoint),
            verdict,
            age: (now - created_at).to_std().unwrap_or_default(),
        }
    }

    async fn exchange(&self, due: DueDelivery, now: Timestamp) -> Result<Exchange, wire::Unsendable> {
        let endpoint = &self.endpoint;
        let secrets = std::slice::from_ref(&endpoint.secret);
        let attempt = due.attempts.saturating_add(1);
        let texts = Arc::clone(&endpoint.settings.texts);
        let DueDelivery { id: delivery, seq: sequence, event, body: message, .. } = due;
        let letter = wire::Letter { delivery, sequence, attempt, event, message, texts };
        let request = wire::encode(endpoint.dialect, letter, secrets, now)?;
        Ok(match &self.target {
            Ok(target) => self.outbound.attempt(target, &request).await,
            Err(error) => Exchange { outcome: Err(error.clone()), status: None, duration: Duration::ZERO },
        })
    }
}

/// What to say in the log; nothing when the delivery was accepted and others are, too.
fn complaint(exchange: &Exchange, verdict: &Verdict) -> Option<String> {
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
