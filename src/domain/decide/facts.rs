//! What happened, folded into the member and the order.

use super::achievement::Counted;
use super::{Draft, Frame, Occasion, SourceOrigin};
use crate::domain::effect::Mark;
use crate::domain::loyalty_event::EventData;
use crate::domain::money::Money;
use crate::domain::order::Step;
use crate::domain::people::Enrolled;
use crate::domain::receipt::SourceStatus;
use crate::domain::refusal::Refused;
use crate::domain::source_event::{SourceData, SourceEvent};

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
                self.visit(Money::ZERO);
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

    pub(super) fn visit(&mut self, spend: Money) {
        self.mark(Mark::Active, &[]); // before the visit counts: it tells how long the member was away
        self.member.history.visit(self.today, spend);
        self.has_counted(Counted::More);
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
