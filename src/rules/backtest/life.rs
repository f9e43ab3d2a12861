//! A member's life, lived under what decided then and, from some time on, under another program too.

use chrono::Duration;

use crate::domain::Timestamp;
use crate::domain::ids::MemberId;
use crate::domain::member::Member;
use crate::rules::verdict::Value;

use super::report::{Anomaly, Outcome};
use super::sought::Sought;
use super::world::{World, is_kept_tick};
use super::{BacktestError, Elsewhere, Heard, Plan};

/// One member, and everybody who was merged into them.
pub struct Life<'a> {
    plan: &'a Plan,
    baseline: World,
    /// The other one, once there is one.
    candidate: Option<World>,
    /// How far the member of the events that are heard now has come.
    now: Option<(MemberId, Timestamp)>,
    events: u64,
}

impl<'a> Life<'a> {
    /// Nobody yet.
    pub fn new(plan: &'a Plan) -> Self {
        Self { plan, baseline: World::new(), candidate: None, now: None, events: 0 }
    }

    /// Nobody yet; in this life a line of the ledger is looked for.
    pub fn searched_for(plan: &'a Plan, sought: Sought) -> Self {
        Self { baseline: World::searched_for(sought), ..Self::new(plan) }
    }

    /// What was read for the line that was looked for; `None` when this life has no such line.
    ///
    /// # Errors
    /// A version that was in force is not to be had.
    pub fn found(mut self, elsewhere: &mut dyn Elsewhere) -> Result<Option<Vec<Value>>, BacktestError> {
        self.advance(None, self.plan.until, elsewhere)?;
        Ok(self.baseline.found())
    }

    /// The next event of a member. All of one member's events come together, in the order in which they were decided;
    /// those of who was merged into another before the other's.
    ///
    /// # Errors
    /// The version that decided it is not to be had.
    pub fn hear(
        &mut self,
        whose: MemberId,
        heard: &Heard,
        elsewhere: &mut dyn Elsewhere,
    ) -> Result<(), BacktestError> {
        // What was kept for later was decided when its time came: after what was decided before it.
        let before = self.now.filter(|(of, _)| *of == whose).map(|(_, at)| at);
        let now = before.map_or(heard.received_at, |before| before.max(heard.received_at));
        if now > self.plan.until || is_kept_tick(&heard.event) {
            return Ok(());
        }
        self.now = Some((whose, now));
        self.advance(Some(whose), now, elsewhere)?;
        self.events += u64::from(self.plan.counts(now));
        for world in [Some(&mut self.baseline), self.candidate.as_mut()].into_iter().flatten() {
            world.hear(self.plan, whose, heard, now, elsewhere)?;
        }
        Ok(())
    }

    /// Does what falls due for one member, or for all, up to some time. At `since` the lives part.
    fn advance(
        &mut self,
        whose: Option<MemberId>,
        to: Timestamp,
        elsewhere: &mut dyn Elsewhere,
    ) -> Result<(), BacktestError> {
        if self.candidate.is_none() && self.plan.counts(to) {
            if let Some(since) = self.plan.since {
                for id in self.baseline.ids() {
                    self.baseline.wake(self.plan, id, since - Duration::microseconds(1), elsewhere)?;
                }
            }
            self.candidate = Some(self.baseline.fork());
        }
        for world in [Some(&mut self.baseline), self.candidate.as_mut()].into_iter().flatten() {
            let ids = whose.map_or_else(|| world.ids(), |id| vec![id]);
            for id in ids {
                world.wake(self.plan, id, to, elsewhere)?;
            }
        }
        Ok(())
    }

    /// What it came to, for the member who is left. `stored` is the member as they really are, if the plan goes up to
    /// now: what is replayed should be that.
    ///
    /// # Errors
    /// A version that was in force is not to be had.
    pub fn end(
        mut self,
        survivor: MemberId,
        stored: Option<&Member>,
        elsewhere: &mut dyn Elsewhere,
    ) -> Result<Outcome, BacktestError> {
        let until = self.plan.until;
        let mut anomaly = None;
        if let Some(stored) = stored {
            // What was not due for them by then has not happened to them yet.
            let not_yet = stored.next_wake_at.map(|at| at - Duration::microseconds(1));
            self.advance(None, not_yet.map_or(until, |at| at.min(until)), elsewhere)?;
            anomaly = Anomaly::between(self.baseline.member(survivor), stored);
        }
        self.advance(None, until, elsewhere)?;
        let Self { baseline, candidate, events, .. } = self;
        let candidate = candidate.unwrap_or_else(|| baseline.fork());
        let known = candidate.member(survivor).or_else(|| baseline.member(survivor)).or(stored);
        let known_as = known.map_or_else(|| survivor.to_string().into(), Member::known_as);
        Ok(Outcome {
            member: survivor,
            known_as,
            events,
            left: [baseline.left(survivor), candidate.left(survivor)],
            digests: [baseline.digest(), candidate.digest()],
            sides: [baseline.side, candidate.side],
            anomaly,
        })
    }
}
