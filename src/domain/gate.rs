//! What holds back deliveries to an endpoint: how many a minute it takes, and how its receiver does as a whole.
//!
//! A delivery has a ladder of its own, and an event that its receiver cannot stand is a matter of that delivery. But a
//! receiver that is down fails them all: then one attempt now and then says as much as thousands, and none of them uses
//! up its ladder meanwhile. All of it goes by the engine's clock and is pure.

mod rate;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::Timestamp;
use super::delivery::{RetryPolicy, Verdict};
use super::endpoint::Failing;

pub use self::rate::Rate;

/// What an attempt says of its receiver as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It took what it was sent.
    Takes,
    /// It is there, and said in the words of its dialect that it will never take this one.
    Declines,
    /// It is there, and did not take this one: a 4xx, mostly.
    Refuses,
    /// It did not answer, or says itself that it cannot: it would not have taken another one either.
    Fails {
        /// For how long it asked to be left alone.
        asks: Option<Duration>,
    },
}

impl Sign {
    /// What follows of how an attempt was judged. `status` is that of an answer that came to its end.
    pub fn of(verdict: &Verdict, status: Option<u16>) -> Self {
        match (verdict, status) {
            (Verdict::Accepted | Verdict::Gone { accepted: true }, _) => Self::Takes,
            (Verdict::Rejected { .. }, _) => Self::Declines,
            (Verdict::Gone { accepted: false }, _) => Self::Refuses,
            (Verdict::Refused { retry_after }, Some(429 | 503)) => {
                Self::Fails { asks: retry_after.map(|asked| asked.min(RetryPolicy::LONGEST_RETRY_AFTER)) }
            }
            (Verdict::Refused { .. }, None | Some(500..)) => Self::Fails { asks: None },
            (Verdict::Refused { .. }, Some(_)) => Self::Refuses,
        }
    }
}

/// What may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// As much as the rate allows.
    Freely,
    /// One attempt, which shows whether the receiver is back.
    OneProbe,
    /// Nothing before this.
    NothingBefore(Timestamp),
}

/// What holds all deliveries of an endpoint back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// Nothing does.
    #[default]
    Free,
    /// The receiver asked to be left alone until then.
    Asked {
        /// The first instant at which it may be asked again.
        until: Timestamp,
    },
    /// The breaker is open. After that it is half-open: one attempt decides.
    Open {
        /// When the next probe may leave.
        until: Timestamp,
        /// How often it opened without closing; at least 1.
        trips: u32,
    },
}

/// A receiver that has taken nothing for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// The first attempt after its last success that it did not take; later by the time in which nothing could leave since.
    pub since: Timestamp,
    /// When it was told that the endpoint is failing, if it was; later by that time, too.
    pub warned_at: Option<Timestamp>,
}

impl Trouble {
    /// When the next thing is done about it: first a warning, then the end. Whoever was warned late has as much time as
    /// anybody else.
    pub fn next_step(&self, failing: &Failing) -> Timestamp {
        let after = |seconds: u32| chrono::Duration::seconds(seconds.into());
        let (warn, disable) = (failing.warn_after_s.get(), failing.disable_after_s.get());
        match self.warned_at {
            None => self.since + after(warn),
            Some(warned_at) => {
                (self.since + after(disable)).max(warned_at + after(disable.saturating_sub(warn)))
            }
        }
    }
}

/// What is known of an endpoint's receiver as a whole. It is stored with the attempt that changed it, so that a restart
/// neither hammers nor forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Condition {
    /// Since when it has taken nothing; `None` when the last attempt was taken.
    pub trouble: Option<Trouble>,
    /// What holds everything back.
    pub hold: Hold,
}

/// A condition as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Noted {
    /// How often people began anew with the receiver. What was under way to it before changes nothing of what is known
    /// since.
    pub epoch: i64,
    /// What is known.
    pub condition: Condition,
}

/// What people are told of it, and what is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It has taken nothing since then, for as long as its endpoint allows without a warning.
    Failing {
        /// What is known of that.
        trouble: Trouble,
    },
    /// It takes what it is sent again. Nobody hears of it who was not warned.
    Recovered {
        /// Since when it had taken nothing.
        since: Timestamp,
    },
    /// It has taken nothing for too long: the endpoint is to be disabled.
    GivenUp {
        /// Since when.
        since: Timestamp,
    },
}

impl Condition {
    /// What may leave now.
    pub fn leave(&self, now: Timestamp) -> Leave {
        match self.hold {
            Hold::Asked { until } | Hold::Open { until, .. } if now < until => Leave::NothingBefore(until),
            Hold::Open { .. } => Leave::OneProbe,
            Hold::Free | Hold::Asked { .. } => Leave::Freely,
        }
    }
}

/// The circuit breaker of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breaker {
    condition: Condition,
    /// Attempts in a row on which the receiver failed, while it is closed. After a restart they are counted anew.
    failed: u32,
}

impl Breaker {
    /// It opens after so many attempts in a row on which the receiver failed.
    pub const OPENS_AFTER: u32 = 10;
    /// The first pause. It doubles with each probe that fails.
    const SHORTEST: Duration = Duration::from_secs(30);
    const LONGEST: Duration = Duration::from_secs(600);

    /// One that goes on from what was stored.
    pub const fn resuming(condition: Condition) -> Self {
        Self { condition, failed: 0 }
    }

    /// What is known of the receiver.
    pub const fn condition(&self) -> Condition {
        self.condition
    }

    /// Takes note of a time in which nothing could leave our own network: that is nobody's failure, so whatever follows of a
    /// time without a success follows so much later.
    pub fn pass_over(&mut self, time: chrono::Duration) {
        if let Some(trouble) = &mut self.condition.trouble {
            trouble.since += time;
            trouble.warned_at = trouble.warned_at.map(|at| at + time);
        }
    }

    /// Takes note of how an attempt ended at `now`. Of those that began before it opened, a failure says nothing new.
    pub fn learn(&mut self, sign: Sign, is_probe: bool, now: Timestamp, failing: &Failing) -> Option<News> {
        match sign {
            Sign::Takes => {
                self.close(now);
                let trouble = self.condition.trouble.take()?;
                trouble.warned_at.map(|_| News::Recovered { since: trouble.since })
            }
            Sign::Declines => {
                self.close(now);
                None
            }
            Sign::Refuses => {
                self.close(now);
                self.suffer(now, failing)
            }
            Sign::Fails { asks } => {
                let news = self.suffer(now, failing);
                self.fail(asks, is_probe, now, failing);
                news
            }
        }
    }

    /// The receiver is there. What it asked for itself holds all the same.
    fn close(&mut self, now: Timestamp) {
        self.failed = 0;
        self.condition.hold = match self.condition.hold {
            Hold::Asked { until } if now < until => Hold::Asked { until },
            _ => Hold::Free,
        };
    }

    fn suffer(&mut self, now: Timestamp, failing: &Failing) -> Option<News> {
        let trouble = self.condition.trouble.get_or_insert(Trouble { since: now, warned_at: None });
        if now < trouble.next_step(failing) {
            return None;
        }
        if trouble.warned_at.is_some() {
            return Some(News::GivenUp { since: trouble.since });
        }
        trouble.warned_at = Some(now);
        Some(News::Failing { trouble: *trouble })
    }

    fn fail(&mut self, asks: Option<Duration>, is_probe: bool, now: Timestamp, failing: &Failing) {
        let asked = asks.filter(|asked| !asked.is_zero()).map(|asked| now + asked);
        self.condition.hold = match self.condition.hold {
            Hold::Open { trips, .. } if is_probe => self.open(trips.saturating_add(1), asked, now, failing),
            Hold::Open { until, trips } => {
                Hold::Open { until: asked.map_or(until, |at| at.max(until)), trips }
            }
            known => {
                let until = match known {
                    Hold::Asked { until } => asked.max(Some(until)),
                    _ => asked,
                };
                self.failed += 1;
                match until {
                    _ if self.failed >= Self::OPENS_AFTER => self.open(1, until, now, failing),
                    Some(until) => Hold::Asked { until },
                    None => Hold::Free,
                }
            }
        };
    }

    /// Nothing before the pause is over, nor before what the receiver asked for. But when something is to be done about
    /// it in between, the probe is made right then: that is decided by how the receiver is by then.
    fn open(&mut self, trips: u32, asked: Option<Timestamp>, now: Timestamp, failing: &Failing) -> Hold {
        self.failed = 0;
        let doubled = Self::SHORTEST.saturating_mul(1 << (trips - 1).min(16));
        let over = now + doubled.min(Self::LONGEST);
        let step = self.condition.trouble.map(|trouble| trouble.next_step(failing));
        let until = step.filter(|step| *step > now).map_or(over, |step| step.min(over));
        Hold::Open { until: asked.map_or(until, |asked| asked.max(until)), trips }
    }
}
