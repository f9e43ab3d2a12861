//! What an achievement brought, time by time, so that it can be taken back.

use serde::{Deserialize, Serialize};

use super::Brought;

/// Times in a row that brought different things, as many as are remembered. Those before them are no longer taken back.
const KEPT_HAULS: usize = 8;

/// What it brought each time. Times in a row that brought the same are one, so that nothing is forgotten of a prize that
/// stays the same.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Hauls(Vec<Haul>);

/// What earning it brought, each of so many times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Haul {
    /// The last of these times: it was earned for so-many-th time then.
    #[serde(rename = "t")]
    last: u32,
    /// How many they are; at least one.
    #[serde(rename = "n")]
    times: u32,
    #[serde(rename = "b")]
    brought: Vec<Brought>,
}

impl Haul {
    const fn covers(&self, nth: u32) -> bool {
        nth <= self.last && self.last - nth < self.times
    }

    /// So many times fewer; `None` when none are left.
    fn shorter(self, by: u32) -> Option<Self> {
        let times = self.times.checked_sub(by).filter(|times| *times > 0)?;
        Some(Self { last: self.last - by, times, ..self })
    }
}

impl Hauls {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// It was earned for the `nth` time, and brought nothing so far.
    pub(super) fn earned(&mut self, nth: u32) {
        self.0.push(Haul { last: nth, times: 1, brought: Vec::new() });
        self.squeeze();
    }

    /// The `nth` time brought this, too. Answers whether that time is remembered.
    pub(super) fn bring(&mut self, nth: u32, more: &Brought) -> bool {
        let Some(at) = self.0.iter().rposition(|haul| haul.covers(nth)) else { return false };
        let haul = self.0[at].clone();
        let with_more = haul.brought.iter().chain([more]).cloned().collect();
        let before = haul.clone().shorter(haul.last - nth + 1);
        let after = Haul { times: haul.last - nth, ..haul };
        let pieces = before.into_iter().chain([Haul { last: nth, times: 1, brought: with_more }]);
        self.0.splice(at..=at, pieces.chain((after.times > 0).then_some(after)));
        self.squeeze();
        true
    }

    /// Takes back the last time; answers what it brought.
    pub(super) fn take_back(&mut self) -> Vec<Brought> {
        let Some(haul) = self.0.pop() else { return Vec::new() };
        let brought = haul.brought.clone();
        self.0.extend(haul.shorter(1));
        brought
    }

    /// Takes back the last time that brought just this. Answers whether there was one.
    pub(super) fn lose(&mut self, brought: &[Brought]) -> bool {
        let Some(at) = self.0.iter().rposition(|haul| haul.brought == brought) else { return false };
        let rest = self.0.remove(at).shorter(1);
        self.0.splice(at..at, rest);
        true
    }

    /// Takes over another one's.
    pub(super) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
        self.squeeze();
    }

    /// Gives back what was joined, as far as it is still there.
    pub(super) fn part(&mut self, joined: &Self) {
        for theirs in &joined.0 {
            let same = |haul: &Haul| haul.brought == theirs.brought && haul.covers(theirs.last);
            if let Some(at) = self.0.iter().rposition(|haul| haul == theirs || same(haul)) {
                let rest = self.0.remove(at).shorter(theirs.times);
                self.0.splice(at..at, rest);
            }
        }
    }

    fn squeeze(&mut self) {
        self.0.dedup_by(|next, known| {
            let goes_on = next.brought == known.brought && next.last == known.last + next.times;
            if goes_on {
                (known.last, known.times) = (next.last, known.times + next.times);
            }
            goes_on
        });
        let surplus = self.0.len().saturating_sub(KEPT_HAULS);
        self.0.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Points;
    use crate::domain::text::Name;

    fn points(amount: i64) -> Brought {
        Brought::Points { wallet: Name::parse("points").unwrap(), points: Points(amount) }
    }

    #[test]
    fn a_prize_that_stays_the_same_is_remembered_for_ever_in_one_line() {
        let mut hauls = Hauls::default();
        for nth in 1..=1_000 {
            hauls.earned(nth);
            assert!(hauls.bring(nth, &points(50)));
        }
        assert_eq!(hauls.0.len(), 1);
        assert!(hauls.bring(400, &points(7)), "a bonus that comes late");
        assert_eq!(
            hauls.0.iter().map(|haul| (haul.last, haul.times)).collect::<Vec<_>>(),
            [(399, 399), (400, 1), (1_000, 600)]
        );
        for nth in (1..=1_000).rev() {
            let bonus = if nth == 400 { vec![points(50), points(7)] } else { vec![points(50)] };
            assert_eq!(hauls.take_back(), bonus, "{nth}");
        }
        assert!(hauls.is_empty() && hauls.take_back().is_empty() && !hauls.bring(1, &points(1)));
    }

    #[test]
    fn of_prizes_that_differ_each_time_the_last_are_remembered() {
        let mut hauls = Hauls::default();
        for nth in 1..=20 {
            hauls.earned(nth);
            hauls.bring(nth, &points(nth.into()));
        }
        let back: Vec<_> = (0..10).map(|_| hauls.take_back().into_iter().next()).collect();
        let last = (13..=20).rev().map(|nth| Some(points(nth)));
        assert_eq!(back, last.chain([None, None]).collect::<Vec<_>>());
    }
}
