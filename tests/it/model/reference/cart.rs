//! Carts: what is put together and not ordered is told, once.
//!
//! They are a member's own. Whoever absorbs them takes them over and keeps them; nothing is said of which order of the one
//! ends a cart of the other from before the merge, so here none does.

use serde_json::json;

use super::super::program::{ABANDONED_AFTER, CARTS_REMEMBERED, MAX_CARTS};
use super::super::purse::Instant;
use super::{Expected, Reference};

/// One cart of one member, as it was last heard of.
#[derive(Debug, Clone, Copy)]
struct Cart {
    cart: usize,
    at: Instant,
    heard_at: Instant,
    things: usize,
    is_told: bool,
}

/// What a member put together, the one heard of last at the end.
#[derive(Debug, Clone, Default)]
pub(super) struct Carts {
    all: Vec<Cart>,
    ordered_at: Option<Instant>,
}

impl Cart {
    const fn is_open(&self) -> bool {
        self.things > 0 && !self.is_told
    }
}

impl Carts {
    fn take(&mut self, cart: Cart) {
        self.all.push(cart);
        let open = self.all.iter().filter(|cart| cart.is_open()).count();
        if let Some(quietest) = self.all.iter().position(Cart::is_open).filter(|_| open > MAX_CARTS) {
            self.all.remove(quietest);
        }
        if self.all.len() > CARTS_REMEMBERED
            && let Some(at) = self.all.iter().position(|cart| !cart.is_open())
        {
            self.all.remove(at);
        }
    }

    /// An order ends the carts from before it.
    pub(super) fn order(&mut self, at: Instant) {
        self.ordered_at = self.ordered_at.max(Some(at));
        self.all.retain(|cart| cart.is_told || cart.at > at);
    }

    pub(super) fn join(&mut self, theirs: Self) {
        self.ordered_at = self.ordered_at.max(theirs.ordered_at);
        for cart in theirs.all {
            if self.all.iter().all(|own| own.cart != cart.cart) {
                self.take(cart);
            }
        }
    }
}

impl Reference {
    pub(super) fn see_cart(&mut self, cart: usize, things: usize, at: Instant) {
        let named = self.carts[cart];
        let member = self.living(named);
        let carts = &mut self.members[member].carts;
        let known = carts.all.iter().position(|known| known.cart == cart);
        let is_news = known.is_none_or(|known| !carts.all[known].is_told && carts.all[known].at < at);
        if is_news && carts.ordered_at < Some(at) {
            carts.all.retain(|known| known.cart != cart);
            carts.take(Cart { cart, at, heard_at: self.now, things, is_told: false });
        }
        let items: Vec<_> = (0..things).map(|_| json!({ "name": "Bowl", "price": "7.50" })).collect();
        let data = json!({ "cart_id": cart_id(cart), "items": items });
        let call = self.event(named, "cart.updated", data, at);
        self.send(member, call, Expected::Done);
    }

    pub(super) fn abandon_carts(&mut self) {
        for cart in self.members.iter_mut().flat_map(|member| &mut member.carts.all) {
            if cart.is_open() && cart.heard_at + ABANDONED_AFTER <= self.now {
                cart.is_told = true;
                self.abandoned.push((cart_id(cart.cart), cart.things));
            }
        }
    }
}

fn cart_id(cart: usize) -> String {
    format!("cart-{cart}")
}
