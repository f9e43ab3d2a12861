//! Deliveries: one loyalty event owed to one endpoint, and when to try again.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::chain::ChainId;
use super::commit::Commit;
use super::endpoint::{Bounded, Seconds};
use super::gate::Noted;
use super::ids::{AttemptId, BadId, DeliveryId, EndpointId, EventId, MemberId, RecoveryId};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Owed; due at `due_at`.
    Pending,
    /// Owed, and behind another one of its lane.
    Waiting,
    /// A receiver accepted it.
    Delivered,
    /// Every try failed; waits for somebody to send it again.
    Failed,
    /// A person decided that it need not be sent.
    Discarded,
}

impl DeliveryStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Waiting, Self::Delivered, Self::Failed, Self::Discarded];

    /// The word used in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
        }
    }
}

impl FromStr for DeliveryStatus {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|s| s.as_str() == word).ok_or(())
    }
}

/// Why a delivery is sent although its receiver may have it already, or long ago should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A person sent it again.
    Retry,
    /// This recovery sent it.
    Recovery(RecoveryId),
}

/// The word that receivers see.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry => f.write_str("retry"),
            Self::Recovery(id) => id.fmt(f),
        }
    }
}

impl FromStr for Mark {
    type Err = BadId;
    fn from_str(word: &str) -> Result<Self, BadId> {
        if word == "retry" { Ok(Self::Retry) } else { word.parse().map(Self::Recovery) }
    }
}

impl JsonSchema for Mark {
    fn schema_name() -> Cow<'static, str> {
        "Mark".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "retry" }, generator.subschema_for::<RecoveryId>()] })
    }
}

impl Serialize for Mark {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A delivery as it enters the store, in the commit of its loyalty event. Due at once, unless it is behind another one of its
/// lane.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Where to.
    pub endpoint: EndpointId,
    /// What.
    pub event: EventId,
    /// Whom it is about (the lane of member-ordered endpoints). Without anybody, it is in no lane.
    pub member: Option<MemberId>,
    /// When it is due: the engine's now.
    pub due_at: Timestamp,
}

/// How one try ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Which delivery.
    pub delivery: DeliveryId,
    /// 1 for the first try.
    pub number: u32,
    /// When it began, by the engine's clock.
    pub at: Timestamp,
    /// How long the whole exchange took, in real milliseconds.
    pub duration_ms: u64,
    /// The status code, when an answer came.
    pub status_code: Option<u16>,
    /// The first 500 characters of the answer's body.
    pub response_body: Option<String>,
    /// What went wrong, for people; `None` on success.
    pub error: Option<String>,
}

/// What to do with a delivery after an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum NextStep {
    /// Settled: the receiver has it.
    Delivered,
    /// Try again at this instant.
    RetryAt(Timestamp),
    /// Try again at this instant; this try did not count. It was made to see whether the receiver is back, or the receiver
    /// wants nothing at all, which is not about this one.
    Spared(Timestamp),
    /// Try again at this instant; this try did not get out of our own network, so it counts nowhere.
    Hindered {
        /// When.
        until: Timestamp,
        /// Whether one before it said so already, and nothing got out since: then it is not in the log either, which would
        /// grow for as long as nothing gets out.
        again: bool,
    },
    /// No tries are left.
    Failed,
}

/// How a dialect judged the receiver's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Accepted,
    /// Not accepted; `retry_after` is a floor for the next try.
    Refused {
        /// What the receiver asked for.
        retry_after: Option<Duration>,
    },
    /// It will never accept this one, and says so: there is no use in trying again. Others may leave.
    Rejected {
        /// The receiver's word for it.
        why: &'static str,
    },
    /// The receiver does not want anything more: the endpoint is disabled.
    Gone {
        /// Whether it took this one.
        accepted: bool,
    },
}

/// One attempt and what follows of it: written together.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptOutcome {
    /// The chain.
    pub chain: ChainId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The attempt.
    pub attempt: Attempt,
    /// The one right before it, under another key, which the receiver did not take. It is in the log, and no step of the
    /// ladder.
    pub under_other_key: Option<Box<Attempt>>,
    /// What follows.
    pub next: NextStep,
    /// What is known of the receiver as a whole after it, when that is something new.
    pub condition: Option<Noted>,
    /// What it gave cause to tell.
    pub told: Option<Box<Commit>>,
}

/// Seconds between two tries: up to a week.
pub type PauseS = Bounded<1, 604_800>;
/// Parts of a hundred.
pub type Percent = Bounded<0, 100>;

/// When to try again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// Pauses after the first, second, … failed attempt, in seconds.
    pub pauses_s: Pauses,
    /// The largest part of a pause that is added to it at random, in percent. Only ever added: a receiver that was
    /// promised a pause gets it.
    pub jitter_percent: Percent,
    /// With it, the last pause is repeated until so many seconds after the delivery could first leave: when it was made,
    /// when what was before it in its lane was settled, or when somebody sent it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub give_up_after_s: Option<Seconds>,
}

/// The pauses of a ladder, at most 20.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<PauseS>")]
#[schemars(extend("maxItems" = 20))]
pub struct Pauses(Vec<PauseS>);

impl Pauses {
    const MOST: usize = 20;

    fn after(&self, number: u32) -> Option<PauseS> {
        (number as usize).checked_sub(1).and_then(|n| self.0.get(n)).copied()
    }
}

impl TryFrom<Vec<PauseS>> for Pauses {
    type Error = &'static str;
    fn try_from(pauses: Vec<PauseS>) -> Result<Self, &'static str> {
        if pauses.len() <= Self::MOST { Ok(Self(pauses)) } else { Err("must have at most 20 entries") }
    }
}

impl Default for RetryPolicy {
    /// At once, then after 1 minute, 5 minutes, 30 minutes and 2 hours.
    fn default() -> Self {
        let pauses = [60, 300, 1_800, 7_200].map(PauseS::of);
        Self { pauses_s: Pauses(pauses.to_vec()), jitter_percent: Percent::of(10), give_up_after_s: None }
    }
}

/// A try that ended: what the policy goes by.
#[derive(Debug, Clone, Copy)]
pub struct Tried {
    /// 1 for the first of the ladder.
    pub number: u32,
    /// When it could first leave.
    pub ready_at: Timestamp,
    /// When it ended.
    pub now: Timestamp,
    /// Any number: it picks the jitter.
    pub luck: u64,
}

impl RetryPolicy {
    /// No `Retry-After` holds a delivery longer than this.
    pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

    /// The same ladder without jitter, for the test clock.
    pub fn without_jitter(self) -> Self {
        Self { jitter_percent: Percent::of(0), ..self }
    }

    /// What follows an attempt.
    pub fn after(&self, tried: Tried, verdict: &Verdict) -> NextStep {
        let retry_after = match verdict {
            Verdict::Accepted | Verdict::Gone { accepted: true } => return NextStep::Delivered,
            // It waits like all others until somebody enables the endpoint.
            Verdict::Gone { accepted: false } => return NextStep::Spared(tried.now),
            Verdict::Rejected { .. } => return NextStep::Failed,
            Verdict::Refused { retry_after } => retry_after.map(|d| d.min(Self::LONGEST_RETRY_AFTER)),
        };
        let Some(pause) = self.pauses_s.after(tried.number).or_else(|| self.last_again(tried)) else {
            return NextStep::Failed;
        };
        let pause = Duration::from_secs(pause.get().into());
        let floor = retry_after.unwrap_or_default().max(pause);
        let spread_ms = floor.as_millis() as u64 * u64::from(self.jitter_percent.get()) / 100;
        let jitter_ms = if spread_ms == 0 { 0 } else { tried.luck % (spread_ms + 1) };
        let wait = floor + Duration::from_millis(jitter_ms);
        NextStep::RetryAt(tried.now + chrono::Duration::from_std(wait).unwrap_or(chrono::Duration::MAX))
    }

    /// The last pause, while there is patience left.
    fn last_again(&self, tried: Tried) -> Option<PauseS> {
        let patience = chrono::Duration::seconds(self.give_up_after_s?.get().into());
        let last = self.pauses_s.0.last().copied()?;
        (tried.now - tried.ready_at < patience).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn refused(seconds: Option<u64>) -> Verdict {
        Verdict::Refused { retry_after: seconds.map(Duration::from_secs) }
    }

    fn tried(number: u32) -> Tried {
        Tried { number, ready_at: NOW, now: NOW, luck: 9 }
    }

    #[test]
    fn the_ladder_is_walked_and_ends() {
        let policy = RetryPolicy::default().without_jitter();
        for (number, pause_s) in [(1, 60), (2, 300), (3, 1800), (4, 7200)] {
            let then = NOW + chrono::Duration::seconds(pause_s);
            assert_eq!(policy.after(tried(number), &refused(None)), NextStep::RetryAt(then));
        }
        assert_eq!(policy.after(tried(5), &refused(Some(10))), NextStep::Failed);
        assert_eq!(policy.after(tried(1), &Verdict::Gone { accepted: false }), NextStep::Spared(NOW));
        assert_eq!(policy.after(tried(1), &Verdict::Gone { accepted: true }), NextStep::Delivered);
        assert_eq!(policy.after(tried(1), &Verdict::Rejected { why: "invalid_data" }), NextStep::Failed);
        assert_eq!(policy.after(tried(5), &Verdict::Accepted), NextStep::Delivered);
    }

    #[test]
    fn the_last_pause_is_repeated_until_the_delivery_is_too_old() {
        let ladder = RetryPolicy::default().without_jitter();
        let policy = RetryPolicy { give_up_after_s: Some(Seconds::of(86_400)), ..ladder };
        let after = |age_s| {
            let now = NOW + chrono::Duration::seconds(age_s);
            policy.after(Tried { now, ..tried(5) }, &refused(None))
        };
        assert_eq!(after(86_399), NextStep::RetryAt(NOW + chrono::Duration::seconds(86_399 + 7_200)));
        assert_eq!(after(86_400), NextStep::Failed);
    }

    proptest! {
        #[test]
        fn a_retry_is_never_earlier_than_ladder_and_retry_after(number in 1_u32..5, hint in 0_u64..2_000_000, luck: u64) {
            let policy = RetryPolicy::default();
            let NextStep::RetryAt(at) = policy.after(Tried { luck, ..tried(number) }, &refused(Some(hint))) else {
                panic!("tries are left")
            };
            let pause = policy.pauses_s.after(number).unwrap();
            let floor = u64::from(pause.get()).max(hint.min(24 * 3600)) as i64;
            let wait_ms = (at - NOW).num_milliseconds();
            prop_assert!(wait_ms >= floor * 1000);
            prop_assert!(wait_ms <= floor * 1100);
        }
    }
}
