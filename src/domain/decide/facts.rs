//! What happened, folded into the member and the order.

use super::achievement::Counted;
use super::{Draft, Frame, Occasion, SourceOrigin};
use crate::domain::effect::Mark;
use crate::domain::loyalty_event::EventData;
use crate::domain::member::Status;
use crate::domain::money::Money;
use crate::domain::order::Step;
use crate::domain::people::Enrolled;
use crate::domain::receipt::SourceStatus;
use crate::domain::refusal::Refused;
use crate::domain::source_event::{SourceData, SourceEvent};
use crate::domain::terms::lifecycle::{Lifecycle, Verdict};

impl Draft {
    pub(super) fn fold(&mut self, frame: Frame<'_>, event: &SourceEvent) -> Result<(), Refused> {
        let told = self.told.len();
        match &event.data {
            SourceData::OrderCreated(new) => self.see_order(frame, Step::Created, new),
            SourceData::OrderUpdated(new) => self.see_order(frame, Step::Updated, new),
            SourceData::OrderCompleted(new) => self.see_order(frame, Step::Completed, new),
            SourceData::OrderCancelled(cancelled) => self.see_cancellation(frame, cancelled),
            SourceData::OrderRefunded(refund) => self.see_refund(frame, refund),
            SourceData::Visit(visit) => {
                self.told.push(EventData::VisitRecorded(visit.clone()));
                self.visit(frame, Money::ZERO);
            }
            SourceData::MemberUpdated(change) => self.update_profile(frame, change)?,
            SourceData::SessionStarted(start) => self.start_session(start, event),
            SourceData::SessionEnded(end) => self.end_session(end),
            SourceData::Signal(signal) => self.told.push(EventData::SignalReceived(signal.clone())),
            SourceData::CartUpdated(cart) => self.see_cart(frame, cart),
            SourceData::Command(command) => self.carry_out(frame, command)?,
            SourceData::Offering(_) => {} // about no guest: see `announce`
        }
        if self.member.version == 0 {
            self.new_identities = self.member.identities.clone();
            let enrolled = EventData::MemberEnrolled(Enrolled::of(&self.member).into());
            self.told.insert(told, enrolled); // with what the event itself says of them
        }
        Ok(())
    }

    pub(super) fn visit(&mut self, frame: Frame<'_>, spend: Money) {
        if self.member.standing.status != Status::Active && self.is_back(frame) {
            self.mark(Mark::Active, &[]); // before the visit counts: it tells how long the member was away
        }
        self.member.history.visit(self.today, spend);
        self.has_counted(Counted::More);
    }

    /// Whether a visit on the day at hand means that the member comes again: not when it comes to light late, and others
    /// came after it, or it is so long ago that they have stayed away since.
    fn is_back(&self, frame: Frame<'_>) -> bool {
        let history = &self.member.history;
        let since = (self.judged_on(frame) - self.today).num_days();
        let is_away = |lifecycle: &Lifecycle| lifecycle.judge_absence(history, since) != Verdict::Usual;
        history.last_visit().is_none_or(|last| last <= self.today)
            && (since <= 0 || !frame.terms.lifecycle.as_ref().is_some_and(is_away))
    }

    /// Whether the event was decided before, and some rule failed.
    pub(super) fn is_replay(&self) -> bool {
        match &self.occasion {
            Occasion::Source(input) => {
                matches!(input.from, SourceOrigin::Stored { status: SourceStatus::Failed, .. })
            }
            Occasion::Tick { .. } | Occasion::Due { .. } => false,
        }
    }
}
