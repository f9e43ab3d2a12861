//! The one place that reads the wall clock. Everything else takes `now` as an argument.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::DateTime;

use crate::domain::Timestamp;

/// The engine's clock: the system's, or one that stands still until it is told to move.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's wall clock.
    #[default]
    System,
    /// A clock for tests; microseconds since the epoch.
    Test(Arc<AtomicI64>),
}

impl Clock {
    /// A test clock that stands at `start`.
    pub fn test(start: Timestamp) -> Self {
        Self::Test(Arc::new(AtomicI64::new(start.timestamp_micros())))
    }

    /// The instant it shows, to the microsecond.
    pub fn now(&self) -> Timestamp {
        let micros = match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
            Self::System => chrono::Utc::now().timestamp_micros(),
            Self::Test(micros) => micros.load(Ordering::Acquire),
        };
        DateTime::from_timestamp_micros(micros).unwrap_or_default()
    }

    /// Whether it moves only when told.
    pub const fn is_test(&self) -> bool {
        matches!(self, Self::Test(_))
    }

    /// Moves a test clock forward to `to`; it never goes back. Does nothing to the system clock.
    pub fn move_to(&self, to: Timestamp) {
        if let Self::Test(micros) = self {
            micros.fetch_max(to.timestamp_micros(), Ordering::AcqRel);
        }
    }
}

/// Draws ULIDs one behind the other, also within a millisecond: what is listed by its id is listed in the order in which it was
/// done.
#[derive(Debug, Default)]
pub struct Ordered(Mutex<ulid::Ulid>);

impl Ordered {
    /// A new ULID at `now`.
    pub fn next(&self, now: Timestamp) -> ulid::Ulid {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = fresh_ulid(now);
        let is_same_instant = fresh.timestamp_ms() == last.timestamp_ms();
        *last = if is_same_instant { ulid::Ulid(last.0.saturating_add(1)) } else { fresh };
        *last
    }
}

/// A new ULID at `now`. The one place that draws ids: everything else derives them.
pub fn fresh_ulid(now: Timestamp) -> ulid::Ulid {
    let mut random = [0; 16];
    // The kernel's generator does not fail once the system is up; without it no id and no key can be made.
    getrandom::fill(&mut random).expect("the operating system provides randomness");
    ulid::Ulid::from_parts(now.timestamp_millis().max(0).unsigned_abs(), u128::from_le_bytes(random))
}
