//! Orders without a guest, claimed later.

use chrono::Duration;

use super::{Draft, Frame};
use crate::domain::claim::Claim;
use crate::domain::refusal::Refused;
use crate::domain::text::Key;

impl Draft {
    /// `order.claim`: the order is the member's. What is known of it is decided afterwards, event by event.
    pub(super) fn claim(&mut self, frame: Frame<'_>, code: &Key) -> Result<(), Refused> {
        let unknown =
            || Refused::new("unknown_receipt", format!("no order without a guest has the code `{code}`"));
        let Claim { order_id, owner, since } = self.desk.claim.take().ok_or_else(unknown)?;
        match owner {
            Some(owner) if self.member.answers_for(owner) => {
                let problem = format!("order {order_id} is this member's already; it counts once");
                return Err(Refused::new("already_claimed", problem));
            }
            Some(_) => {
                let problem = format!("order {order_id} is another member's");
                return Err(Refused::new("claimed_by_another", problem));
            }
            None => {}
        }
        let days = frame.terms.claims.days;
        if since + Duration::days(days.into()) <= self.now {
            let problem = format!("order {order_id} came more than {days} days ago");
            return Err(Refused::new("claim_too_late", problem));
        }
        self.people.claimed = Some(order_id);
        Ok(())
    }
}
