//! What happened, folded into the member and the order.

use super::{Draft, Frame};
use crate::domain::loyalty_event::EventData;
use crate::domain::member::Status;
use crate::domain::money::Money;
use crate::domain::order::OrderRecord;
use crate::domain::refusal::Refused;
use crate::domain::source_event::{SourceData, SourceEvent};

impl Draft {
    pub(super) fn fold(&mut self, frame: Frame<'_>, event: &SourceEvent) -> Result<(), Refused> {
        if self.member.version == 0 {
            self.new_identities = self.member.identities.clone();
            self.told.push(EventData::MemberEnrolled);
        }
        match &event.data {
            SourceData::OrderCompleted(order) => {
                let record = self.order.get_or_insert_with(|| OrderRecord::unseen(order.order_id.clone()));
                if record.total.is_some() {
                    let order_id = record.order_id.clone();
                    self.note(format!("order {order_id} was completed before; it counts once"));
                    self.runs_rules = false;
                    return Ok(());
                }
                record.total = Some(order.total);
                record.member = Some(self.member.id);
                record.day = Some(self.today);
                record.refunded = record.refunded.min(order.total);
                let refunded = record.refunded;
                self.told.push(EventData::OrderCompleted(order.clone()));
                self.visit(order.total);
                self.member.history.refund(self.today, refunded);
                self.use_coupons(frame, &order.coupons);
            }
            SourceData::OrderRefunded(refund) => {
                let record = self.order.get_or_insert_with(|| OrderRecord::unseen(refund.order_id.clone()));
                let refunded = record.refundable(refund.amount);
                record.refunded = record.refunded.plus(refunded);
                if let Some(day) = record.day {
                    self.member.history.refund(day, refunded);
                }
                if refunded < refund.amount {
                    let sentence = format!("only {refunded} of {} was left to refund", refund.amount);
                    self.note(sentence);
                }
                self.told.push(EventData::OrderRefunded(refund.clone()));
            }
            SourceData::Visit(visit) => {
                self.told.push(EventData::VisitRecorded(visit.clone()));
                self.visit(Money::ZERO);
            }
            SourceData::MemberUpdated(change) => self.update_profile(frame, change)?,
            SourceData::SessionStarted(start) => self.start_session(start, &event.identities),
            SourceData::SessionEnded(end) => self.end_session(end),
            SourceData::Signal(signal) => self.told.push(EventData::SignalReceived(signal.clone())),
            SourceData::Command(command) => self.carry_out(frame, command)?,
            SourceData::Offering(_) => {} // about no guest: see `announce`
        }
        Ok(())
    }

    fn visit(&mut self, spend: Money) {
        let absence = self.absence();
        self.member.history.visit(self.today, spend);
        if self.member.standing.status != Status::Active {
            self.member.standing.status = Status::Active;
            self.told.push(EventData::MemberReactivated(absence));
        }
    }
}
