//! Which deliveries are in memory, and which of those that a read brings are new.

use std::collections::{HashSet, VecDeque};

use crate::domain::delivery::Mark;
use crate::domain::ids::DeliveryId;
use crate::store::delivery::DueDelivery;

/// New rows that one read may bring.
const BATCH: usize = 1_024;
/// With fewer waiting than so many for each request that may be under way at once, more are read: early enough that sending
/// never waits for a read. Were more read for a receiver that hangs, every event would bring all that waits once more.
const LOW_WATER: usize = 16;
/// And with fewer than this.
const MOST_LOW_WATER: usize = 256;
/// What happened now goes before what a recovery sends again, but never more often than this in a row: a recovery goes on.
const NEWS_IN_A_ROW: u32 = 7;

/// Deliveries between being read and being written.
///
/// A row stays due in the store until its attempt is written, so every read brings rows back that are under way. They
/// are *held*: known by id and skipped.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: VecDeque<DueDelivery>,
    /// What recoveries send again, waiting.
    again: VecDeque<DueDelivery>,
    /// How many others went before those.
    in_a_row: u32,
    held: HashSet<DeliveryId>,
    read: Option<Read>,
}

/// A read under way.
#[derive(Debug)]
struct Read {
    limit: usize,
    /// Released since it began: its snapshot may be older than what was written about them.
    released: HashSet<DeliveryId>,
}

impl Backlog {
    /// Whether another read makes sense, when so many may be under way at once: no other is going on and there is room.
    pub(super) fn has_room(&self, window: usize) -> bool {
        let low_water = window.saturating_mul(LOW_WATER).min(MOST_LOW_WATER);
        // What is sent again keeps nobody from seeing what is new.
        self.read.is_none() && self.waiting.len() < low_water && self.again.len() < BATCH
    }

    /// Begins a read; answers how many rows to ask for. Held rows come back first, so they come on top.
    pub(super) fn begin_read(&mut self) -> usize {
        let limit = BATCH + self.held.len();
        self.read = Some(Read { limit, released: HashSet::new() });
        limit
    }

    /// Takes what a read brought. Answers whether there may be more.
    pub(super) fn end_read(&mut self, rows: Vec<DueDelivery>) -> bool {
        let Some(read) = self.read.take() else { return false };
        let full = rows.len() >= read.limit;
        for row in rows {
            if !read.released.contains(&row.id) && self.held.insert(row.id) {
                match row.mark {
                    Some(Mark::Recovery(_)) => self.again.push_back(row),
                    Some(Mark::Retry) | None => self.waiting.push_back(row),
                }
            }
        }
        full
    }

    /// A read that failed brought nothing.
    pub(super) fn abandon_read(&mut self) {
        self.read = None;
    }

    /// The next one to send; it stays held.
    pub(super) fn next(&mut self) -> Option<DueDelivery> {
        if !self.again.is_empty() && (self.waiting.is_empty() || self.in_a_row >= NEWS_IN_A_ROW) {
            self.in_a_row = 0;
            return self.again.pop_front();
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.waiting.pop_front()
    }

    /// The one that was tried the least, the longest due of these; it stays held. An event that its receiver cannot stand
    /// says nothing of whether the receiver is back, and has been tried before.
    pub(super) fn freshest(&mut self) -> Option<DueDelivery> {
        let least =
            |rows: &VecDeque<DueDelivery>| rows.iter().enumerate().map(|(at, row)| (row.attempts, at)).min();
        match (least(&self.waiting), least(&self.again)) {
            (None, None) => None,
            (Some((tries, _)), Some((fewer, at))) if fewer < tries => self.again.remove(at),
            (Some((_, at)), _) => self.waiting.remove(at),
            (None, Some((_, at))) => self.again.remove(at),
        }
    }

    /// Lets go of a delivery: its attempt is written, or could not be written and it will be read again.
    pub(super) fn release(&mut self, id: DeliveryId) {
        self.held.remove(&id);
        if let Some(read) = &mut self.read {
            read.released.insert(id);
        }
    }

    /// Lets go of everything that was not begun.
    pub(super) fn release_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        for row in waiting.into_iter().chain(std::mem::take(&mut self.again)) {
            self.release(row.id);
        }
    }

    /// Whether none waits to be sent.
    pub(super) fn is_drained(&self) -> bool {
        self.waiting.is_empty() && self.again.is_empty()
    }

    /// How many are in memory.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether none is in memory.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{EventId, MemberId, RecoveryId};
    use crate::domain::loyalty_event::EventType;
    use ulid::Ulid;

    fn row(n: u128) -> DueDelivery {
        DueDelivery {
            id: DeliveryId::new(Ulid(n)),
            seq: n as u64,
            event: EventId::new(Ulid(n)),
            kind: EventType::PointsEarned,
            member: Some(MemberId::new(Ulid(1))),
            attempts: 0,
            mark: None,
            trace: None,
            created_at: Default::default(),
            ready_at: Default::default(),
            body: String::new(),
        }
    }

    #[test]
    fn rows_under_way_are_skipped_until_they_are_released() {
        let mut backlog = Backlog::default();
        backlog.begin_read();
        assert!(!backlog.end_read(vec![row(1), row(2)]));
        assert_eq!(backlog.next(), Some(row(1)));
        backlog.begin_read();
        backlog.end_read(vec![row(1), row(2), row(3)]);
        assert_eq!([backlog.next(), backlog.next(), backlog.next()], [Some(row(2)), Some(row(3)), None]);
        backlog.release(row(1).id);
        backlog.begin_read();
        backlog.end_read(vec![row(1)]);
        assert_eq!(backlog.next(), Some(row(1)));
    }

    #[test]
    fn a_read_that_began_before_the_write_does_not_bring_the_row_back() {
        let mut backlog = Backlog::default();
        backlog.begin_read();
        backlog.end_read(vec![row(1)]);
        backlog.next();
        backlog.begin_read();
        backlog.release(row(1).id);
        backlog.end_read(vec![row(1)]);
        assert_eq!(backlog.next(), None);
        assert!(backlog.is_empty());
    }

    #[test]
    fn held_rows_do_not_crowd_out_new_ones() {
        let mut backlog = Backlog::default();
        let limit = backlog.begin_read();
        assert!(backlog.end_read((0..limit as u128).map(row).collect()));
        assert!(!backlog.has_room(64));
        while backlog.next().is_some() {}
        assert_eq!(backlog.begin_read(), 2 * limit);
    }

    #[test]
    fn more_is_read_early_enough_for_what_may_be_under_way_and_no_earlier() {
        for (window, low_water) in [(1, 16), (2, 32), (16, 256), (64, 256)] {
            let mut backlog = Backlog::default();
            backlog.begin_read();
            backlog.end_read((1..low_water).map(row).collect());
            assert!(backlog.has_room(window), "window {window}");
            backlog.begin_read();
            assert!(!backlog.has_room(window), "one is going on");
            backlog.end_read((1..=low_water).map(row).collect());
            assert!(!backlog.has_room(window), "window {window}");
        }
    }

    #[test]
    fn what_a_recovery_sends_again_waits_for_what_is_new_but_not_for_ever() {
        let again = |n| DueDelivery { mark: Some(Mark::Recovery(RecoveryId::new(Ulid(1)))), ..row(n) };
        let mut backlog = Backlog::default();
        backlog.begin_read();
        backlog.end_read((100..600).map(again).collect());
        assert!(backlog.has_room(64), "what is new must be seen");
        backlog.begin_read();
        backlog
            .end_read((1..=8).map(row).chain([DueDelivery { mark: Some(Mark::Retry), ..row(9) }]).collect());
        let order: Vec<_> = std::iter::from_fn(|| backlog.next()).take(12).map(|row| row.id).collect();
        assert_eq!(order, [1, 2, 3, 4, 5, 6, 7, 100, 8, 9, 101, 102].map(|n| row(n).id));
        backlog.release_waiting();
        assert!(backlog.is_drained() && backlog.held() == 12);
    }

    #[test]
    fn the_freshest_is_the_longest_due_of_those_that_were_tried_the_least() {
        let mut backlog = Backlog::default();
        backlog.begin_read();
        let tried = |n, attempts| DueDelivery { attempts, ..row(n) };
        let mark = Some(Mark::Recovery(RecoveryId::new(Ulid(1))));
        let again = DueDelivery { mark, ..tried(5, 2) };
        backlog.end_read(vec![tried(1, 4), tried(2, 1), tried(3, 1), again, tried(4, 2)]);
        let order: Vec<_> = std::iter::from_fn(|| backlog.freshest()).map(|row| row.id).collect();
        assert_eq!(order, [2, 3, 4, 5, 1].map(|n| row(n).id));
        assert_eq!(backlog.held(), 5);
    }

    #[test]
    fn what_was_not_begun_can_be_let_go() {
        let mut backlog = Backlog::default();
        backlog.begin_read();
        backlog.end_read(vec![row(1), row(2)]);
        backlog.next();
        backlog.release_waiting();
        assert_eq!((backlog.next(), backlog.held()), (None, 1));
    }
}
