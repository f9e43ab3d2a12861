//! Recovery: what an endpoint missed is sent again, or at last.
//!
//! It goes through a period page by page. What is found there is sorted here, by the endpoint as it is now; what follows
//! of it is written together with how far it got, so a crash repeats nothing and leaves nothing out.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::delivery::DeliveryStatus;
use super::endpoint::{Endpoint, Lane};
use super::ids::{DeliveryId, EndpointId, EventId, MemberId, RecoveryId};
use super::loyalty_event::EventType;
use super::text::Name;

/// What of a period is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RecoveryStatus")]
pub enum Which {
    /// What every try failed of.
    #[default]
    Failed,
    /// What was never sent: it waits, or it was not owed to the endpoint then and would be today.
    Unsent,
    /// Everything, what was delivered too.
    All,
}

impl Which {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Failed, Self::Unsent, Self::All];

    /// The word used in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unsent => "unsent",
            Self::All => "all",
        }
    }

    /// The settled deliveries that it makes due again. What a person discarded stays discarded.
    pub const fn reopens(self) -> &'static [DeliveryStatus] {
        match self {
            Self::Failed => &[DeliveryStatus::Failed],
            Self::Unsent => &[],
            Self::All => &[DeliveryStatus::Failed, DeliveryStatus::Delivered],
        }
    }

    /// Whether what was not owed to the endpoint counts, too.
    const fn makes_new(self) -> bool {
        matches!(self, Self::Unsent | Self::All)
    }
}

impl FromStr for Which {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|which| which.as_str() == word).ok_or(())
    }
}

/// From one instant to right before another, by the times at which loyalty events were committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    since: Timestamp,
    until: Timestamp,
}

impl Period {
    /// Up to `until`, or up to now: what is to come is delivered anyway. `None` when nothing lies in between.
    pub fn new(since: Timestamp, until: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        let end = now + chrono::Duration::microseconds(1);
        let until = until.map_or(end, |until| until.min(end));
        Self::stored(since, until)
    }

    /// Both ends, to the microsecond, as they are stored.
    pub fn stored(since: Timestamp, until: Timestamp) -> Option<Self> {
        let stored = |at: Timestamp| Timestamp::from_timestamp_micros(at.timestamp_micros());
        let (since, until) = (stored(since)?, stored(until)?);
        (since < until).then_some(Self { since, until })
    }

    /// Its first instant.
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// The first instant after it.
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    fn holds(&self, at: Timestamp) -> bool {
        self.since <= at && at < self.until
    }
}

/// Where the next page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// Among the failed deliveries, after this one.
    Failed(Option<DeliveryId>),
    /// Among the loyalty events, after this one.
    Events(Option<EventId>),
    /// Among those that were committed long after their ids were made, after this one.
    LateEvents(Option<(Timestamp, EventId)>),
}

impl Position {
    /// Where it begins.
    pub const fn first(which: Which) -> Self {
        match which {
            Which::Failed => Self::Failed(None),
            Which::Unsent | Which::All => Self::Events(None),
        }
    }

    /// Up to which instant of the period everything is done, roughly.
    pub fn reached(&self) -> Option<Timestamp> {
        let time = |ulid: ulid::Ulid| Timestamp::from_timestamp_millis(ulid.timestamp_ms().try_into().ok()?);
        match self {
            Self::Failed(after) => time(after.as_ref()?.ulid()),
            Self::Events(after) => time(after.as_ref()?.ulid()),
            Self::LateEvents(_) => None,
        }
    }
}

/// What became of what lay in the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Deliveries that are due again.
    pub requeued: u64,
    /// Deliveries that were made.
    pub created: u64,
    /// Deliveries that were due anyway.
    pub waiting: u64,
}

impl Counts {
    /// All of them.
    pub const fn matched(&self) -> u64 {
        self.requeued + self.created + self.waiting
    }

    /// These and what a page came to.
    #[must_use]
    pub const fn and(self, more: Self) -> Self {
        Self {
            requeued: self.requeued + more.requeued,
            created: self.created + more.created,
            waiting: self.waiting + more.waiting,
        }
    }
}

/// Where a recovery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It goes on there.
    Running(Position),
    /// It came to its end.
    Done(Timestamp),
    /// A person stopped it, or its endpoint was deleted. What was sent is sent.
    Stopped(Timestamp),
}

/// A recovery of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Its id.
    pub id: RecoveryId,
    /// Whose.
    pub endpoint: EndpointId,
    /// What is sent.
    pub which: Which,
    /// Of which period.
    pub period: Period,
    /// Who asked for it: the name of their API key.
    pub asked_by: Name,
    /// When.
    pub begun_at: Timestamp,
    /// What it came to so far.
    pub counts: Counts,
    /// Where it stands.
    pub progress: Progress,
}

/// Something that lies in the period, or near it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where a page that begins after it begins.
    pub position: Position,
    /// When its loyalty event was committed.
    pub at: Timestamp,
    /// What it is.
    pub what: Past,
}

/// What is known of a loyalty event and an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Past {
    /// It is or was owed.
    Owed {
        /// The delivery.
        delivery: DeliveryId,
        /// Where it stands.
        status: DeliveryStatus,
    },
    /// It never was.
    NeverOwed {
        /// The event.
        event: EventId,
        /// Its type.
        kind: EventType,
        /// The member it is about, if any.
        member: Option<MemberId>,
        /// Its canonical message.
        message: String,
    },
}

/// What was read at once, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What is on it.
    pub candidates: Vec<Candidate>,
    /// Where the next one begins; `None` when it is the last.
    pub next: Option<Position>,
}

/// A loyalty event that is to be owed at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// The event.
    pub event: EventId,
    /// The member it is about, if any.
    pub member: Option<MemberId>,
    /// When it was committed.
    pub at: Timestamp,
}

/// What is to be done of a page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Feed {
    /// Settled deliveries to be made due.
    pub reopen: Vec<DeliveryId>,
    /// Deliveries to be made.
    pub create: Vec<Missed>,
    /// How many are due anyway.
    pub waiting: u64,
    /// Where to go on; `None` at the end.
    pub next: Option<Position>,
}

impl Feed {
    /// Sorts a page for an endpoint, until `room` deliveries are found. `room` is at least 1.
    pub fn of(page: Page, endpoint: &Endpoint, which: Which, period: &Period, room: usize) -> Self {
        let mut feed = Self::default();
        let mut done = None;
        for Candidate { position, at, what } in page.candidates {
            if feed.due() >= room {
                return Self { next: done, ..feed };
            }
            done = Some(position);
            if period.holds(at) {
                feed.take(at, what, endpoint, which);
            }
        }
        Self { next: page.next, ..feed }
    }

    fn take(&mut self, at: Timestamp, what: Past, endpoint: &Endpoint, which: Which) {
        match what {
            Past::Owed { delivery, status } => match status {
                DeliveryStatus::Pending | DeliveryStatus::Waiting => {
                    self.waiting += u64::from(which.makes_new())
                }
                DeliveryStatus::Delivered | DeliveryStatus::Failed if which.reopens().contains(&status) => {
                    self.reopen.push(delivery);
                }
                DeliveryStatus::Delivered | DeliveryStatus::Failed | DeliveryStatus::Discarded => {}
            },
            Past::NeverOwed { event, kind, member, message } => {
                if which.makes_new() && endpoint.asked_for(kind, &message) {
                    self.create.push(Missed { event, member, at });
                }
            }
        }
    }

    /// How many deliveries become due by it.
    const fn due(&self) -> usize {
        self.reopen.len() + self.create.len()
    }

    /// Whether the page came to nothing.
    pub const fn is_nothing(&self) -> bool {
        self.due() == 0 && self.waiting == 0
    }

    /// What it comes to if nobody is faster.
    pub const fn counts(&self) -> Counts {
        Counts {
            requeued: self.reopen.len() as u64,
            created: self.create.len() as u64,
            waiting: self.waiting,
        }
    }
}

/// The most deliveries of a recovery that an endpoint is to have due at a time. So whatever happens meanwhile waits for
/// eight rounds of requests at most, and never longer than for a quarter of a minute's worth of a rate limit.
pub fn most_due(endpoint: &Endpoint) -> usize {
    let settings = &endpoint.settings;
    let at_once = match settings.lane {
        Lane::Endpoint => 1,
        Lane::None | Lane::Member => settings.concurrency.get(),
    };
    let rounds = 8 * at_once;
    let of_limit = settings.rate_limit.map_or(u32::MAX, |limit| limit.get() / 4);
    rounds.min(of_limit).max(1) as usize
}

#[cfg(test)]
mod tests;
