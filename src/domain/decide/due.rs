//! What falls due by itself: deadlines that the member carries.
//!
//! Whatever is decided, what fell due before it happens first: a guest who orders a second after their points expired
//! orders without them, whether or not the scheduler came to it.

use super::{Draft, Frame, Occasion};
use crate::domain::Timestamp;
use crate::domain::member::Member;
use crate::domain::refusal::Refused;

impl Draft {
    /// Does what is due at `now`.
    pub(super) fn catch_up(&mut self, _frame: Frame<'_>) -> Result<(), Refused> {
        Ok(())
    }

    /// Sets the member's next wake-up: at the next tick of the schedule or the member's own next deadline. Ticks that
    /// fell due and were not run yet keep their alarm.
    pub fn arm(&mut self, next_tick: Option<Timestamp>) {
        let overdue = match &self.occasion {
            Occasion::Tick { then, .. } => *then,
            Occasion::Source(_) => self.member.next_wake_at.filter(|at| *at <= self.now),
            Occasion::Due { .. } => None,
        };
        let tick = overdue.or(next_tick);
        self.member.next_wake_at = tick.into_iter().chain(next_deadline(&self.member)).min();
    }
}

/// When the first of the member's own deadlines comes.
fn next_deadline(_member: &Member) -> Option<Timestamp> {
    None
}
