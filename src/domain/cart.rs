//! Carts: what a guest put together and did not order.
//!
//! ```text
//!                newer snapshot
//!                   ┌────┐
//! cart.updated ──►  open ◄┘ ── ordered, or told as abandoned ──► settled, for good
//!                   │  ▲
//!          no lines ▼  │ lines again
//!                   empty
//! ```
//!
//! A member keeps a few carts, each of bounded size, whatever the senders send.

use chrono::Duration;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::Timestamp;
use super::money::Money;
use super::order::{Item, count_things};
use super::text::{Key, Name};

/// The most carts of a member that are open at once; the one that was quiet the longest is forgotten.
pub const MAX_OPEN: usize = 3;
/// The most carts of which a member remembers anything, such as that they were told.
const MAX_KNOWN: usize = 8;
/// How large the lines of a cart may be that are kept, in bytes of text and [`LINE_BYTES`] for each.
const MAX_LINES_BYTES: usize = 1_000;
/// What a line takes besides its texts.
const LINE_BYTES: usize = 40;

/// A cart at one moment. Of a long one only the first lines are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cart {
    /// The sender's id of the cart.
    pub cart_id: Key,
    /// The sender's count of changes to the cart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Where it is put together: `web`, `app`, `kiosk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
    /// The location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Name>,
    /// The guest's session with the ordering system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Name>,
    /// What all of it would cost.
    pub value: Money,
    /// How many things are in it; what is weighed counts as one.
    pub item_count: i64,
    /// Its lines, the first of them if there are very many.
    pub items: Vec<Item>,
    /// How many further lines it has.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lines_left_out: usize,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl Cart {
    /// Puts these lines into the cart, in place of those that were in it, and says what they cost unless the sender did.
    pub fn with_lines(mut self, items: Vec<Item>, value: Option<Money>) -> Self {
        let sum = || items.iter().fold(Decimal::ZERO, |sum, item| sum.saturating_add(item.total()));
        self.value = value.unwrap_or_else(|| Money::new(sum()));
        self.item_count = count_things(&items);
        let mut room = MAX_LINES_BYTES;
        let fitting = items.iter().take_while(|item| {
            let left = room.checked_sub(size(item));
            room = left.unwrap_or(0);
            left.is_some()
        });
        let kept = fitting.count();
        self.lines_left_out = items.len() - kept;
        self.items = items;
        self.items.truncate(kept);
        self
    }

    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.lines_left_out == 0
    }
}

fn size(item: &Item) -> usize {
    let texts = [&item.sku, &item.name, &item.category].into_iter().flatten();
    texts.map(|text| text.len()).sum::<usize>() + LINE_BYTES
}

/// The `data` of `cart.abandoned`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CartAbandoned {
    /// The cart as it was last heard of.
    #[serde(flatten)]
    pub cart: Box<Cart>,
    /// When the guest last changed it.
    pub updated_at: Timestamp,
}

/// Both parts of it from one text: what is flattened loses the digits of its amounts on the way.
impl<'de> Deserialize<'de> for CartAbandoned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Rest {
            updated_at: Timestamp,
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let cart = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        let Rest { updated_at } = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        Ok(Self { cart, updated_at })
    }
}

/// What a snapshot of a cart comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// The cart is so now. Another one is forgotten if there were too many.
    Taken(Option<Key>),
    /// As new a snapshot was here before, or a newer one.
    Older,
    /// The cart was ordered, or told as abandoned.
    Settled,
    /// The guest ordered after it.
    Ordered,
}

/// The carts of a member.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Carts {
    /// Those that something is remembered of, the one heard of last at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    known: Vec<Known>,
    /// When the newest order was placed: snapshots from before it are history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ordered_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Known {
    cart_id: Key,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    /// When it was so, by the sender's clock.
    at: Timestamp,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Waits for its order since then, by our clock: what reaches us late is not abandoned at once.
    Open { since: Timestamp, cart: Box<Cart> },
    /// Nothing is in it.
    Empty,
    /// It was ordered, or told as abandoned.
    Settled,
}

impl Known {
    fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// The open cart, and when it is abandoned.
    fn deadline(&self, after: Duration) -> Option<Timestamp> {
        match self.state {
            State::Open { since, .. } => since.checked_add_signed(after),
            State::Empty | State::Settled => None,
        }
    }
}

impl Carts {
    /// Takes a snapshot that was true `at` and is heard of `now`. The highest version wins; among those of the same or
    /// without one, the latest.
    pub fn see(&mut self, cart: &Cart, at: Timestamp, now: Timestamp) -> Sight {
        if self.ordered_at.is_some_and(|ordered| at <= ordered) {
            return Sight::Ordered;
        }
        if let Some(place) = self.known.iter().position(|known| known.cart_id == cart.cart_id) {
            let known = &self.known[place];
            if known.state == State::Settled {
                return Sight::Settled;
            }
            if (cart.version, at) <= (known.version, known.at) {
                return Sight::Older;
            }
            self.known.remove(place);
        }
        let state = match cart.is_empty() {
            true => State::Empty,
            false => State::Open { since: at.max(now), cart: Box::new(cart.clone()) },
        };
        self.known.push(Known { cart_id: cart.cart_id.clone(), version: cart.version, at, state });
        Sight::Taken(self.make_room())
    }

    /// The guest ordered: what they put together before that is no cart any more, nor is the one that the order names,
    /// whatever the clocks say.
    pub fn order(&mut self, at: Timestamp, named: Option<&Key>) {
        self.ordered_at = self.ordered_at.max(Some(at));
        self.known.retain(|known| {
            known.state == State::Settled || (known.at > at && Some(&known.cart_id) != named)
        });
        let Some(cart_id) = named.filter(|id| self.known.iter().all(|known| known.cart_id != **id)) else {
            return;
        };
        self.known.push(Known { cart_id: cart_id.clone(), version: None, at, state: State::Settled });
        self.make_room();
    }

    /// Those of somebody who is the same person, as many as there is room for.
    pub fn join(&mut self, other: &Self) {
        self.ordered_at = self.ordered_at.max(other.ordered_at);
        for theirs in &other.known {
            if self.known.iter().all(|known| known.cart_id != theirs.cart_id) {
                self.known.push(theirs.clone());
                self.make_room();
            }
        }
    }

    /// Those that wait for their order, and when the guest last changed each.
    pub fn open(&self) -> impl Iterator<Item = (&Cart, Timestamp)> {
        self.known.iter().filter_map(|known| match &known.state {
            State::Open { cart, .. } => Some((&**cart, known.at)),
            State::Empty | State::Settled => None,
        })
    }

    /// When the first of them is abandoned, if each is so long after it was last heard of.
    pub fn deadline(&self, after: Duration) -> Option<Timestamp> {
        self.known.iter().filter_map(|known| known.deadline(after)).min()
    }

    /// Gives up what was not ordered by `now`, each cart once.
    pub fn abandon(&mut self, after: Duration, now: Timestamp) -> Vec<CartAbandoned> {
        let due = self.known.iter_mut().filter(|k| k.deadline(after).is_some_and(|at| at <= now));
        due.filter_map(|known| match std::mem::replace(&mut known.state, State::Settled) {
            State::Open { cart, .. } => Some(CartAbandoned { cart, updated_at: known.at }),
            State::Empty | State::Settled => None,
        })
        .collect()
    }

    /// Forgets what a member has no room for. Answers which open cart.
    fn make_room(&mut self) -> Option<Key> {
        let open = self.known.iter().filter(|known| known.is_open()).count();
        let quietest = self.known.iter().position(Known::is_open).filter(|_| open > MAX_OPEN);
        let forgotten = quietest.map(|place| self.known.remove(place).cart_id);
        if self.known.len() > MAX_KNOWN
            && let Some(place) = self.known.iter().position(|known| !known.is_open())
        {
            self.known.remove(place);
        }
        forgotten
    }
}

#[cfg(test)]
mod tests;
