//! Carts: seen, ordered, abandoned.

use super::{Draft, Frame};
use crate::domain::Timestamp;
use crate::domain::cart::{Cart, MAX_OPEN, Sight};
use crate::domain::loyalty_event::EventData;
use crate::domain::order::Order;

impl Draft {
    pub(super) fn see_cart(&mut self, frame: Frame<'_>, cart: &Cart) {
        let id = &cart.cart_id;
        if frame.terms.carts.is_none() {
            self.note("program.toml has no [carts], so nothing follows from a cart");
            return;
        }
        let why = match self.member.carts.see(cart, self.at, self.now) {
            Sight::Taken(forgotten) => {
                if let Some(forgotten) = forgotten {
                    self.note(format!(
                        "a member has at most {MAX_OPEN} open carts; cart {forgotten} is forgotten"
                    ));
                }
                return;
            }
            Sight::Older => format!("what is known of cart {id} is as new or newer, so this changes nothing"),
            Sight::Settled => format!("cart {id} was ordered or told as abandoned; it is not told again"),
            Sight::Ordered => format!("the guest ordered after cart {id} was so; it is not waited for"),
        };
        self.note(why);
        self.runs_rules = false;
    }

    /// The member ordered.
    pub(super) fn end_carts(&mut self, frame: Frame<'_>, order: &Order) {
        if frame.terms.carts.is_some() {
            let at = self.at.min(self.now); // a till that runs ahead does not end carts to come
            self.member.carts.order(at, order.cart_id.as_ref());
        }
    }

    /// Tells of carts that were not ordered in time.
    pub(super) fn abandon_carts(&mut self, frame: Frame<'_>) {
        let Some(after) = frame.terms.carts.map(|terms| terms.abandoned_after.duration()) else { return };
        if self.member.carts.deadline(after).is_some_and(|at| at <= self.now) {
            self.told
                .extend(self.member.carts.abandon(after, self.now).into_iter().map(EventData::CartAbandoned));
        }
    }

    pub(super) fn cart_deadline(&self, frame: Frame<'_>) -> Option<Timestamp> {
        self.member.carts.deadline(frame.terms.carts?.abandoned_after.duration())
    }
}
