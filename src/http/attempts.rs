//! Keys that nobody knows: who sends many of them is answered 429, and costs the store little.
//!
//! Nobody finds a key of 256 random bits by trying. What this is for: a program that goes on with a wrong key is told so in a
//! way that programs understand, whoever tries keys all the same does not keep the store busy, and both come to light. A good
//! key is answered from wherever it comes: a whole shop stands behind one address. While unknown keys flood in from there, one
//! that this process has not seen yet may be told to try again, because look-ups of that network go one at a time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::problem::Problem;
use crate::domain::Timestamp;
use crate::domain::allowance::{RequestsPerMinute, Used};

/// Unknown keys that are answered 401 from one network: a till that tries twice a second hears what is wrong.
const A_MINUTE: RequestsPerMinute = RequestsPerMinute::of(120);
/// The most networks remembered.
const MOST_NETWORKS: usize = 10_000;
/// No more often than this, a log line says that somebody sends many.
const SAID_EVERY: chrono::Duration = chrono::Duration::minutes(1);

/// Who is likely to be one client: an IPv4 address, or the 2^64 addresses that one subscriber of IPv6 has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Network(Option<IpAddr>);

impl Network {
    /// The network of an address. Clients without one are one client.
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into()),
            v4 @ IpAddr::V4(_) => v4,
        }))
    }
}

/// The unknown keys of the last minute.
pub(super) struct Attempts {
    seen: Mutex<Seen>,
    /// Networks that have used up theirs are looked up for one key at a time.
    turn: Semaphore,
}

#[derive(Default)]
struct Seen {
    networks: HashMap<Network, Used>,
    /// Those for whom there is no room.
    others: Used,
    swept_at: Option<Timestamp>,
    said_at: Option<Timestamp>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { seen: Mutex::default(), turn: Semaphore::new(1) }
    }
}

impl Attempts {
    /// The leave to look for a key that is not in memory.
    ///
    /// # Errors
    /// This network has sent many that nobody knows, and another key of such a network is being looked up.
    pub(super) fn begin(
        &self,
        network: Network,
        now: Timestamp,
    ) -> Result<Option<SemaphorePermit<'_>>, Problem> {
        match self.lock().check(network, now) {
            Ok(()) => Ok(None),
            Err(retry_after_s) => {
                let turn = self.turn.try_acquire();
                turn.map(Some).map_err(|_| Problem::TooManyAttempts { retry_after_s })
            }
        }
    }

    /// Counts a key that nobody knows, and says what to answer.
    pub(super) fn failed(&self, network: Network, now: Timestamp) -> Problem {
        match self.lock().count(network, now) {
            Ok(()) => Problem::BadKey,
            Err(retry_after_s) => Problem::TooManyAttempts { retry_after_s },
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Nothing panics while it holds the lock, and a map is whole between calls anyway.
        self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Seen {
    /// Whether the next unknown key of this network is answered 401.
    fn check(&self, network: Network, now: Timestamp) -> Result<(), u32> {
        let used = match self.networks.get(&network) {
            Some(used) => used,
            None if self.networks.len() < MOST_NETWORKS => return Ok(()),
            None => &self.others,
        };
        used.take(A_MINUTE, now).map(drop).map_err(|up| up.retry_after_s)
    }

    fn count(&mut self, network: Network, now: Timestamp) -> Result<(), u32> {
        self.make_room(network, now);
        let has_room = self.networks.len() < MOST_NETWORKS || self.networks.contains_key(&network);
        let used = if has_room { self.networks.entry(network).or_default() } else { &mut self.others };
        match used.take(A_MINUTE, now) {
            Ok((then, _)) => *used = then,
            Err(up) => {
                self.say(network, now);
                return Err(up.retry_after_s);
            }
        }
        Ok(())
    }

    /// Forgets whose last one is long ago, once a second at most: a sweep looks at all.
    fn make_room(&mut self, network: Network, now: Timestamp) {
        let is_full = self.networks.len() >= MOST_NETWORKS && !self.networks.contains_key(&network);
        let swept_lately = self.swept_at.is_some_and(|at| (now - at).abs() < chrono::Duration::seconds(1));
        if is_full && !swept_lately {
            self.swept_at = Some(now);
            self.networks.retain(|_, used| !used.is_over(now));
        }
    }

    fn say(&mut self, network: Network, now: Timestamp) {
        if self.said_at.is_none_or(|at| (now - at).abs() >= SAID_EVERY) {
            self.said_at = Some(now);
            let address = network.0.map(|address| address.to_string()).unwrap_or_default();
            tracing::warn!(%address, "many unknown API keys come from here; further ones are answered 429");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + chrono::Duration::milliseconds(1_000_000_000_000 + milliseconds)
    }

    fn network(address: &str) -> Network {
        Network::of(Some(address.parse().unwrap()))
    }

    fn code(attempts: &Attempts, address: &str, milliseconds: i64) -> &'static str {
        attempts.failed(network(address), at(milliseconds)).code()
    }

    #[test]
    fn a_subscriber_is_one_client_however_many_addresses_they_have() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            assert_eq!(network(one) == network(other), same, "{one} {other}");
        }
    }

    #[test]
    fn after_a_minutes_worth_unknown_keys_are_answered_429_from_there_alone() {
        let attempts = Attempts::default();
        assert!((0..120).all(|_| code(&attempts, "192.0.2.1", 0) == "unauthorized"));
        assert_eq!(code(&attempts, "192.0.2.1", 0), "too_many_attempts");
        assert_eq!(code(&attempts, "192.0.2.2", 0), "unauthorized");
        assert_eq!(code(&attempts, "192.0.2.1", 500), "unauthorized", "one comes back");
        assert_eq!(code(&attempts, "192.0.2.1", 500), "too_many_attempts");
        let told = attempts.failed(network("192.0.2.1"), at(500));
        assert_eq!(told, Problem::TooManyAttempts { retry_after_s: 1 });
    }

    #[test]
    fn who_sends_many_is_looked_up_for_one_key_at_a_time() {
        let attempts = Attempts::default();
        (0..120).for_each(|_| _ = attempts.failed(network("192.0.2.1"), at(0)));
        let begin = |address| attempts.begin(network(address), at(0));
        let turn = begin("192.0.2.1").unwrap();
        assert!(turn.is_some());
        let refused = begin("192.0.2.1").map(|turn| turn.is_some());
        assert_eq!(refused, Err(Problem::TooManyAttempts { retry_after_s: 1 }));
        assert!(begin("192.0.2.2").unwrap().is_none(), "others do not wait");
        drop(turn);
        assert!(begin("192.0.2.1").unwrap().is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_in_time() {
        let attempts = Attempts::default();
        let from = |n: usize| Network::of(Some(IpAddr::V4(u32::try_from(n).unwrap().into())));
        for n in 0..2 * MOST_NETWORKS {
            attempts.failed(from(n), at(0));
        }
        assert_eq!(attempts.lock().networks.len(), MOST_NETWORKS);
        assert_eq!(
            attempts.failed(from(usize::MAX >> 40), at(0)).code(),
            "too_many_attempts",
            "the others share one"
        );
        assert_eq!(attempts.failed(from(0), at(0)).code(), "unauthorized");
        attempts.failed(from(3 * MOST_NETWORKS), at(60_000));
        assert_eq!(attempts.lock().networks.len(), 1);
        assert!(attempts.begin(from(1), at(60_000)).unwrap().is_none(), "there is room again");
    }
}
