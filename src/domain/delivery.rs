//! Deliveries: one loyalty event owed to one endpoint, and when to try again.

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use super::Timestamp;
use super::chain::ChainId;
use super::ids::{AttemptId, DeliveryId, EndpointId, EventId, MemberId};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Owed; due at `due_at`.
    Pending,
    /// A receiver accepted it.
    Delivered,
    /// Every try failed; waits for somebody to send it again.
    Failed,
    /// A person decided that it need not be sent.
    Discarded,
}

impl DeliveryStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Failed, Self::Discarded];

    /// The word used in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
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

/// A delivery as it enters the store, in the commit of its loyalty event. Due at once.
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
    /// What follows.
    pub next: NextStep,
}

/// When to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Pauses after the first, second, … failed attempt.
    pub pauses: Vec<Duration>,
    /// The largest part of a pause that is added to it at random, in percent. Only ever added: a receiver that was
    /// promised a pause gets it.
    pub jitter_percent: u32,
}

impl Default for RetryPolicy {
    /// At once, then after 1 minute, 5 minutes, 30 minutes and 2 hours.
    fn default() -> Self {
        let minutes = |m: u64| Duration::from_secs(60 * m);
        Self { pauses: vec![minutes(1), minutes(5), minutes(30), minutes(120)], jitter_percent: 10 }
    }
}

impl RetryPolicy {
    /// No `Retry-After` holds a delivery longer than this.
    pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

    /// The same ladder without jitter, for the test clock.
    pub fn without_jitter(self) -> Self {
        Self { jitter_percent: 0, ..self }
    }

    /// What follows an attempt that ended at `now`. `luck` is any number: it picks the jitter.
    pub fn after(&self, number: u32, verdict: &Verdict, now: Timestamp, luck: u64) -> NextStep {
        let retry_after = match verdict {
            Verdict::Accepted | Verdict::Gone { accepted: true } => return NextStep::Delivered,
            Verdict::Rejected { .. } | Verdict::Gone { accepted: false } => return NextStep::Failed,
            Verdict::Refused { retry_after } => retry_after.map(|d| d.min(Self::LONGEST_RETRY_AFTER)),
        };
        let Some(pause) = (number as usize).checked_sub(1).and_then(|n| self.pauses.get(n)) else {
            return NextStep::Failed;
        };
        let floor = retry_after.unwrap_or_default().max(*pause);
        let spread_ms = floor.as_millis() as u64 * u64::from(self.jitter_percent) / 100;
        let jitter_ms = if spread_ms == 0 { 0 } else { luck % (spread_ms + 1) };
        let wait = floor + Duration::from_millis(jitter_ms);
        NextStep::RetryAt(now + chrono::Duration::from_std(wait).unwrap_or(chrono::Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(seconds: Option<u64>) -> Verdict {
        Verdict::Refused { retry_after: seconds.map(Duration::from_secs) }
    }

    #[test]
    fn the_ladder_is_walked_and_ends() {
        let policy = RetryPolicy::default().without_jitter();
        let now = Timestamp::UNIX_EPOCH;
        for (number, pause_s) in [(1, 60), (2, 300), (3, 1800), (4, 7200)] {
            let then = now + chrono::Duration::seconds(pause_s);
            assert_eq!(policy.after(number, &refused(None), now, 9), NextStep::RetryAt(then));
        }
        assert_eq!(policy.after(5, &refused(Some(10)), now, 9), NextStep::Failed);
        assert_eq!(policy.after(1, &Verdict::Gone { accepted: false }, now, 9), NextStep::Failed);
        assert_eq!(policy.after(1, &Verdict::Gone { accepted: true }, now, 9), NextStep::Delivered);
        assert_eq!(policy.after(1, &Verdict::Rejected { why: "invalid_data" }, now, 9), NextStep::Failed);
        assert_eq!(policy.after(5, &Verdict::Accepted, now, 9), NextStep::Delivered);
    }

    proptest! {
        #[test]
        fn a_retry_is_never_earlier_than_ladder_and_retry_after(number in 1_u32..5, hint in 0_u64..2_000_000, luck: u64) {
            let policy = RetryPolicy::default();
            let now = Timestamp::UNIX_EPOCH;
            let NextStep::RetryAt(at) = policy.after(number, &refused(Some(hint)), now, luck) else {
                panic!("tries are left")
            };
            let floor = policy.pauses[number as usize - 1].as_secs().max(hint.min(24 * 3600)) as i64;
            let wait_ms = (at - now).num_milliseconds();
            prop_assert!(wait_ms >= floor * 1000);
            prop_assert!(wait_ms <= floor * 1100);
        }
    }
}
