//! What rules keep of a member for themselves: counters and marks of the program's own.
//!
//! Bounded: a program declares [`MAX_DECLARED`] of each, and what it declares no more is forgotten with the next change.

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::text::Name;

/// How many counters, and how many marks, a program may declare.
pub const MAX_DECLARED: usize = 20;
/// How far a counter goes, either way.
pub const MAX_COUNT: i64 = 1_000_000_000_000;

/// The counters and marks of a member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memo {
    /// Those that are not 0.
    #[serde(default, skip_serializing_if = "LiteMap::is_empty")]
    counters: LiteMap<Name, i64>,
    /// By name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    marks: Vec<Name>,
}

impl Memo {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty() && self.marks.is_empty()
    }

    /// The counters that are not 0.
    pub fn counters(&self) -> impl Iterator<Item = (&Name, i64)> {
        self.counters.iter().map(|(name, count)| (name, *count))
    }

    /// The marks, by name.
    pub fn marks(&self) -> &[Name] {
        &self.marks
    }

    /// How far a counter is.
    pub fn counter(&self, name: &str) -> i64 {
        self.counters().find(|(known, _)| known.as_str() == name).map_or(0, |(_, count)| count)
    }

    /// Whether the member has a mark.
    pub fn has_mark(&self, name: &str) -> bool {
        self.marks.iter().any(|mark| mark.as_str() == name)
    }

    /// Counts so many more, or fewer. `None` when that is too far; nothing is counted then.
    #[must_use]
    pub fn count(&mut self, name: &Name, amount: i64) -> Option<()> {
        let count = self.counter(name).checked_add(amount)?;
        if count.unsigned_abs() > MAX_COUNT.unsigned_abs() {
            return None;
        }
        self.set(name, count);
        Some(())
    }

    /// Back to 0.
    pub fn reset(&mut self, name: &Name) {
        self.counters.remove(name);
    }

    /// Puts a mark.
    pub fn mark(&mut self, name: &Name) {
        if let Err(place) = self.marks.binary_search(name) {
            self.marks.insert(place, name.clone());
        }
    }

    /// Takes it away.
    pub fn unmark(&mut self, name: &Name) {
        self.marks.retain(|mark| mark != name);
    }

    /// Keeps what is declared still.
    pub fn keep(&mut self, counters: &[Name], marks: &[Name]) {
        self.counters.retain(|name, _| counters.contains(name));
        self.marks.retain(|name| marks.contains(name));
    }

    /// Adds the counters of somebody who is the same person.
    pub fn add(&mut self, theirs: &Self) {
        for (name, count) in theirs.counters() {
            let sum = self.counter(name).saturating_add(count).clamp(-MAX_COUNT, MAX_COUNT);
            self.set(name, sum);
        }
    }

    /// Gives back to somebody who was not the same person after all what is theirs: of counters as much as is still
    /// there, and their marks.
    #[must_use]
    pub fn subtract(&mut self, theirs: &Self) -> Self {
        let mut back = Self { counters: LiteMap::new(), marks: theirs.marks.clone() };
        for (name, count) in theirs.counters() {
            let has = self.counter(name);
            let share = match count {
                0.. => count.min(has.max(0)),
                _ => count.max(has.min(0)),
            };
            back.set(name, share);
            self.set(name, has - share);
        }
        back
    }

    /// Puts the marks of somebody who is the same person.
    pub fn join_marks(&mut self, theirs: &Self) {
        theirs.marks.iter().for_each(|mark| self.mark(mark));
    }

    /// Takes the marks away that are there because of them: those that would not be there `without` them.
    pub fn part_marks(&mut self, theirs: &Self, without: &Self) {
        self.marks.retain(|mark| !theirs.marks.contains(mark) || without.marks.contains(mark));
    }

    fn set(&mut self, name: &Name, count: i64) {
        match count {
            0 => drop(self.counters.remove(name)),
            _ => drop(self.counters.insert(name.clone(), count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn memo(coffees: i64, cakes: i64, marks: &[&str]) -> Memo {
        let mut memo = Memo::default();
        memo.count(&name("coffees"), coffees).unwrap();
        memo.count(&name("cakes"), cakes).unwrap();
        marks.iter().for_each(|mark| memo.mark(&name(mark)));
        memo
    }

    #[test]
    fn counters_count_both_ways_and_end_somewhere() {
        let mut memo = memo(3, -2, &[]);
        assert_eq!((memo.counter("coffees"), memo.counter("cakes"), memo.counter("tea")), (3, -2, 0));
        assert_eq!(memo.count(&name("coffees"), MAX_COUNT), None);
        assert_eq!(memo.count(&name("coffees"), i64::MAX), None);
        assert_eq!(memo.counter("coffees"), 3, "nothing was counted");
        memo.reset(&name("coffees"));
        memo.count(&name("cakes"), 2).unwrap();
        assert!(memo.is_empty(), "{memo:?}");
    }

    #[test]
    fn marks_are_there_or_not() {
        let mut memo = memo(0, 0, &["vip", "staff", "vip"]);
        assert_eq!(memo.marks(), [name("staff"), name("vip")]);
        memo.unmark(&name("staff"));
        memo.unmark(&name("staff"));
        assert!(memo.has_mark("vip") && !memo.has_mark("staff"));
        memo.keep(&[], &[name("staff")]);
        assert!(memo.is_empty());
    }

    proptest! {
        #[test]
        fn whoever_parts_again_has_what_they_had(a in -9_i64..9, b in -9_i64..9, c in -9_i64..9, d in -9_i64..9, vip: bool, staff: bool) {
            let pick = |has: bool, mark: &'static str| if has { vec!["both", mark] } else { vec!["both"] };
            let (mine, theirs) = (memo(a, b, &pick(vip, "vip")), memo(c, d, &pick(staff, "staff")));
            let mut together = mine.clone();
            together.add(&theirs);
            together.join_marks(&theirs);
            prop_assert_eq!((together.counter("coffees"), together.has_mark("staff")), (a + c, staff));
            let sum = |one: &Memo, other: &Memo| one.counter("coffees") + other.counter("coffees");
            let back = together.subtract(&theirs);
            together.part_marks(&theirs, &mine);
            prop_assert_eq!(sum(&together, &back), a + c);
            prop_assert_eq!((together.marks(), back.marks()), (mine.marks(), theirs.marks()));
            if a.signum() * c.signum() >= 0 && b.signum() * d.signum() >= 0 {
                prop_assert_eq!((together, back), (mine, theirs));
            }
        }
    }
}
