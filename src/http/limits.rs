//! Limits on requests, of each key and of each chain; and the headers that tell of them.
//!
//! A limit is one number that is moved by compare-and-swap. Who has none pays the look at an empty list.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use arrayvec::ArrayVec;

use super::problem::Problem;
use crate::domain::Timestamp;
use crate::domain::allowance::{RequestsPerMinute, Standing, Used};
use crate::domain::chain::ChainId;
use crate::domain::ids::KeyId;

/// Events of a batch that count as one request.
pub(super) const EVENTS_A_REQUEST: u64 = 100;
/// The most keys, or chains, whose use is remembered although nobody asks at the moment.
const MOST_IDLE: usize = 10_000;

/// The limits of those that have none of their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestLimits {
    /// Of each key.
    pub key: Option<RequestsPerMinute>,
    /// Of each chain: of all its keys together.
    pub chain: Option<RequestsPerMinute>,
}

/// What is used of the limits.
#[derive(Default)]
pub(super) struct Limits {
    usual: RequestLimits,
    keys: Counters<KeyId>,
    chains: Counters<ChainId>,
}

impl Limits {
    pub(super) fn new(usual: RequestLimits) -> Self {
        Self { usual, ..Self::default() }
    }

    /// The limit of a key, if it has one.
    pub(super) fn of_key(&self, id: KeyId, own: Option<RequestsPerMinute>) -> Option<Limit> {
        let limit = own.or(self.usual.key)?;
        Some(Limit { whose: "key", limit, used: self.keys.of(&id) })
    }

    /// The limit of a chain, if chains have one; which one it is, is only asked then.
    pub(super) fn of_chain(&self, which: impl FnOnce() -> Option<ChainId>) -> Option<Limit> {
        let limit = self.usual.chain?;
        Some(Limit { whose: "chain", limit, used: self.chains.of(&which()?) })
    }
}

/// What is used, by whom. One counter for all who ask.
struct Counters<K>(RwLock<HashMap<K, Arc<AtomicI64>>>);

impl<K> Default for Counters<K> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Clone + Eq + Hash> Counters<K> {
    fn of(&self, whose: &K) -> Arc<AtomicI64> {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(whose) {
            return Arc::clone(known);
        }
        let mut counters = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if counters.len() >= MOST_IDLE {
            counters.retain(|_, used| Arc::strong_count(used) > 1);
        }
        Arc::clone(counters.entry(whose.clone()).or_default())
    }
}

/// A limit, and what is used of it.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    whose: &'static str,
    limit: RequestsPerMinute,
    used: Arc<AtomicI64>,
}

impl Limit {
    fn take(&self, now: Timestamp) -> Result<Standing, (Standing, Problem)> {
        let mut known = self.used.load(Ordering::Relaxed);
        loop {
            let (then, standing) = Used::of(known).take(self.limit, now).map_err(|up| {
                let Self { whose, limit, .. } = *self;
                (up.standing, Problem::RateLimited { whose, limit, retry_after_s: up.retry_after_s })
            })?;
            let (used, then) = (&self.used, then.number());
            match used.compare_exchange_weak(known, then, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(standing),
                Err(newer) => known = newer,
            }
        }
    }

    fn charge(&self, requests: u32, now: Timestamp) {
        let charge = |known| Some(Used::of(known).charge(self.limit, requests, now).number());
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charge);
    }
}

/// The limits that a request is under: that of its key first, so that who is over their own takes nothing from the chain.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(ArrayVec<Limit, 2>);

impl Meter {
    /// Puts it under another limit, too.
    pub(super) fn and(mut self, limit: Option<Limit>) -> Self {
        // There are two kinds of limits, and a request has one of each at most.
        limit.into_iter().for_each(|limit| _ = self.0.try_push(limit));
        self
    }

    /// Counts one request. Answers the limit of which the least is left.
    ///
    /// # Errors
    /// One of them is used up.
    pub(super) fn take(&self, now: Timestamp) -> Result<Option<Standing>, (Standing, Problem)> {
        let mut least: Option<Standing> = None;
        for limit in &self.0 {
            let standing = limit.take(now)?;
            least = least.filter(|least| least.remaining <= standing.remaining).or(Some(standing));
        }
        Ok(least)
    }

    /// Counts what a request has cost beside itself. It is answered already, so it is paid by what comes after it.
    pub(super) fn charge(&self, requests: u32, now: Timestamp) {
        self.0.iter().for_each(|limit| limit.charge(requests, now));
    }
}

/// Tells of a limit by the three headers that client libraries read. The draft of the IETF has moved on to `RateLimit` and
/// `RateLimit-Policy` since (-10), which they do not read yet, or take for the form of -07.
pub(super) fn tell(standing: Standing, headers: &mut HeaderMap) {
    for (name, number) in [
        (HeaderName::from_static("ratelimit-limit"), standing.limit.get()),
        (HeaderName::from_static("ratelimit-remaining"), standing.remaining),
        (HeaderName::from_static("ratelimit-reset"), standing.whole_in_s),
    ] {
        headers.insert(name, HeaderValue::from(number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + chrono::Duration::seconds(1_000_000_000 + seconds)
    }

    fn limits(key: u32, chain: u32) -> Limits {
        let limit = |requests| RequestsPerMinute::try_from(requests).ok(); // 0: none
        Limits::new(RequestLimits { key: limit(key), chain: limit(chain) })
    }

    fn meter(limits: &Limits, key: u128, own: Option<u32>) -> Meter {
        let own = own.map(RequestsPerMinute::of);
        let key = limits.of_key(KeyId::new(ulid::Ulid(key)), own);
        Meter::default().and(key).and(limits.of_chain(|| "harvest".parse().ok()))
    }

    /// How many are left, or whose limit is used up.
    fn left(meter: &Meter, seconds: i64) -> Result<Option<u32>, &'static str> {
        meter.take(at(seconds)).map(|standing| standing.map(|standing| standing.remaining)).map_err(
            |(standing, problem)| match problem {
                Problem::RateLimited { whose, .. } if standing.remaining == 0 => whose,
                other => panic!("{other:?}"),
            },
        )
    }

    #[test]
    fn the_tightest_limit_is_told_and_each_key_has_its_own() {
        let limits = limits(3, 4);
        let (first, second) = (meter(&limits, 1, None), meter(&limits, 2, Some(100)));
        assert_eq!([left(&first, 0), left(&first, 0)], [Ok(Some(2)), Ok(Some(1))]);
        assert_eq!([left(&second, 0), left(&second, 0)], [Ok(Some(1)), Ok(Some(0))], "that of the chain");
        assert_eq!(left(&second, 0), Err("chain"));
        assert_eq!(
            left(&meter(&limits, 1, None), 60),
            Ok(Some(2)),
            "one counter, however often it is asked for"
        );
    }

    #[test]
    fn without_limits_nothing_is_counted_and_nothing_told() {
        let meter = meter(&limits(0, 0), 1, None);
        assert!((0..1_000).all(|_| left(&meter, 0) == Ok(None)));
    }

    #[test]
    fn who_is_over_their_own_limit_takes_nothing_from_the_chain() {
        let limits = limits(1, 3);
        let (first, second) = (meter(&limits, 1, None), meter(&limits, 2, None));
        assert_eq!(left(&first, 0), Ok(Some(0)));
        assert!((0..100).all(|_| left(&first, 0) == Err("key")));
        assert_eq!(left(&second, 0), Ok(Some(0)));
        assert_eq!(left(&meter(&limits, 3, None), 0), Ok(Some(0)));
        assert_eq!(left(&meter(&limits, 4, None), 0), Err("chain"));
    }

    #[test]
    fn a_batch_is_paid_by_what_comes_after_it() {
        let limits = limits(60, 0);
        let meter = meter(&limits, 1, None);
        assert_eq!(left(&meter, 0), Ok(Some(59)));
        meter.charge(89, at(0));
        assert_eq!([left(&meter, 0), left(&meter, 30)], [Err("key"), Err("key")]);
        assert_eq!(left(&meter, 31), Ok(Some(0)));
    }

    #[test]
    fn nobody_who_is_looked_up_at_the_moment_is_forgotten() {
        let counters = Counters::<u32>::default();
        let held = counters.of(&0);
        held.store(7, Ordering::Relaxed);
        (1..3 * MOST_IDLE as u32).for_each(|n| _ = counters.of(&n));
        assert!(counters.0.read().unwrap().len() <= MOST_IDLE);
        assert_eq!(counters.of(&0).load(Ordering::Relaxed), 7);
    }

    #[test]
    fn threads_take_no_more_than_there_is() {
        let limits = limits(1_000, 0);
        let meter = meter(&limits, 1, None);
        let taken = |meter: &Meter| (0..1_000).filter(|_| left(meter, 0).is_ok()).count();
        let all: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| taken(&meter))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(all, 1_000);
    }
}
