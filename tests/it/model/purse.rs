//! What a member has, kept the plain way: so many points that are gone at such an instant.

use std::collections::BTreeMap;

/// Seconds since 1970.
pub(super) type Instant = i64;

pub(super) const DAY: Instant = 24 * 60 * 60;
/// The expiry of what never expires.
pub(super) const NEVER: Instant = Instant::MAX;

/// One wallet of one member.
#[derive(Debug, Clone, Default)]
pub(super) struct Purse {
    /// Points by when they are gone.
    pub(super) lots: BTreeMap<Instant, i64>,
    /// What was taken beyond them.
    pub(super) deficit: i64,
    /// Points that cannot be spent yet: of which order, from when on, how many.
    pub(super) waiting: Vec<(String, Instant, i64)>,
}

impl Purse {
    pub(super) fn balance(&self) -> i64 {
        self.lots.values().sum::<i64>() - self.deficit
    }

    pub(super) fn pending(&self) -> i64 {
        self.waiting.iter().map(|(_, _, amount)| amount).sum()
    }

    pub(super) fn credit(&mut self, amount: i64, gone: Instant) {
        let paid = amount.min(self.deficit);
        self.deficit -= paid;
        self.put(amount - paid, gone);
    }

    fn put(&mut self, amount: i64, gone: Instant) {
        if amount > 0 {
            *self.lots.entry(gone).or_default() += amount;
        }
    }

    /// Takes so many; answers the lots they came from.
    pub(super) fn debit(&mut self, amount: i64) -> Vec<(Instant, i64)> {
        let mut left = amount;
        let mut drawn = Vec::new();
        while let Some(mut soonest) = self.lots.first_entry()
            && left > 0
        {
            let taken = left.min(*soonest.get());
            drawn.push((*soonest.key(), taken));
            *soonest.get_mut() -= taken;
            left -= taken;
            if *soonest.get() == 0 {
                soonest.remove();
            }
        }
        self.deficit += left;
        drawn
    }

    /// Takes over everything that is in another one.
    pub(super) fn join(&mut self, other: &Self) {
        for (gone, amount) in &other.lots {
            self.credit(*amount, *gone);
        }
        self.debit(other.deficit);
        self.waiting.extend(other.waiting.iter().cloned());
    }

    /// What has become of it by `now`, if nobody touched it.
    pub(super) fn by(&self, now: Instant) -> Self {
        let mut later = self.clone();
        later.pass(now);
        later
    }

    /// Whether everything that is in another one is in it.
    pub(super) fn contains(&self, other: &Self) -> bool {
        other.lots.iter().all(|(gone, amount)| self.lots.get(gone) >= Some(amount))
    }

    /// Takes out again what was joined and is in it.
    pub(super) fn part(&mut self, joined: &Self) {
        for (gone, amount) in &joined.lots {
            *self.lots.entry(*gone).or_default() -= amount;
        }
        self.lots.retain(|_, amount| *amount > 0);
        self.waiting.retain(|waits| !joined.waiting.contains(waits));
    }

    pub(super) fn claw_back(&mut self, order: &str, amount: i64) {
        let mut left = amount;
        for (_, _, waits) in self.waiting.iter_mut().filter(|(of, _, _)| of == order) {
            let taken = left.min(*waits);
            *waits -= taken;
            left -= taken;
        }
        self.waiting.retain(|(_, _, waits)| *waits > 0);
        self.debit(left);
    }

    /// What was to be waited for, and what is gone, by `now`.
    pub(super) fn pass(&mut self, now: Instant) {
        for (_, _, amount) in self.waiting.extract_if(.., |(_, until, _)| *until <= now).collect::<Vec<_>>() {
            self.credit(amount, NEVER);
        }
        self.lots.retain(|gone, _| *gone > now);
    }
}
