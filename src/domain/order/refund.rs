//! Money given back for an order: all of it, an amount, or lines.

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Item;
use crate::domain::money::Money;
use crate::domain::text::{Key, Name};

/// Money given back for an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Refund {
    /// The order it belongs to.
    pub order_id: Key,
    /// What goes back.
    pub back: Back,
    /// Why, in the POS's words.
    pub reason: Option<Name>,
}

/// What a refund gives back.
#[derive(Debug, Clone, PartialEq)]
pub enum Back {
    /// All that is left.
    Full,
    /// Money, by this refund alone.
    Amount(Money),
    /// What was paid for these lines.
    Lines(Vec<ReturnedLine>),
}

/// A line of an order, or as much of it as goes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "LineBody", into = "LineBody")]
pub struct ReturnedLine {
    /// Which.
    pub which: WhichLine,
    /// How much of it; `None` = all.
    pub quantity: Option<Money>,
}

/// How a refund names a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichLine {
    /// By article: all lines of it, the first ones first.
    Sku(Name),
    /// By its place in the order, from 1.
    Number(usize),
}

/// A returned line in JSON.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LineBody {
    /// The seller's article code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sku: Option<Name>,
    /// The line's place in the order, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// How much of it; absent = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quantity: Option<Money>,
}

impl TryFrom<LineBody> for ReturnedLine {
    type Error = &'static str;
    fn try_from(body: LineBody) -> Result<Self, Self::Error> {
        let which = match (body.sku, body.line) {
            (Some(sku), None) => WhichLine::Sku(sku),
            (None, Some(line)) if line > 0 => WhichLine::Number(line),
            (None, Some(_)) => return Err("`line` counts from 1"),
            _ => return Err("names a line either by `sku` or by `line`, its place from 1"),
        };
        let negative = |quantity: &Money| quantity.decimal() < Decimal::ZERO;
        match body.quantity {
            Some(quantity) if negative(&quantity) || quantity.limited().is_err() => {
                Err("`quantity` must be zero or more")
            }
            quantity => Ok(Self { which, quantity }),
        }
    }
}

impl From<ReturnedLine> for LineBody {
    fn from(line: ReturnedLine) -> Self {
        let (sku, number) = match line.which {
            WhichLine::Sku(sku) => (Some(sku), None),
            WhichLine::Number(number) => (None, Some(number)),
        };
        Self { sku, line: number, quantity: line.quantity }
    }
}

/// Everything that was asked back of one order so far, whatever is known of the order. Sums only: in whatever order
/// refunds come, they come to the same.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Returned {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) full: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) amount: Money,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lines: Vec<ReturnedLine>,
}

fn is_zero(amount: &Money) -> bool {
    *amount == Money::ZERO
}

impl Returned {
    /// The most lines remembered of one order. One that is named beyond them is none of its own.
    const MAX_LINES: usize = crate::domain::source_event::MAX_ITEMS;

    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Adds one refund. Answers whether all of it could be kept.
    pub(super) fn add(&mut self, back: &Back) -> bool {
        match back {
            Back::Full => self.full = true,
            Back::Amount(amount) => self.amount = self.amount.plus(*amount),
            Back::Lines(lines) => {
                let kept = lines.iter().filter(|line| self.add_line(line)).count();
                return kept == lines.len();
            }
        }
        true
    }

    fn add_line(&mut self, line: &ReturnedLine) -> bool {
        if let Some(known) = self.lines.iter_mut().find(|known| known.which == line.which) {
            known.quantity = known.quantity.zip(line.quantity).map(|(a, b)| a.plus(b));
            return true;
        }
        let has_room = self.lines.len() < Self::MAX_LINES;
        if has_room {
            self.lines.push(line.clone());
        }
        has_room
    }

    /// How much of each of `items` came back: first what was named by place, then what was named by article.
    pub(super) fn of_items(&self, items: &[Item]) -> Vec<Decimal> {
        let mut back = vec![Decimal::ZERO; items.len()];
        let mut take = |at: usize, left: &mut Option<Decimal>| {
            let there = items[at].quantity.decimal() - back[at];
            let taken = left.map_or(there, |left| left.min(there));
            back[at] += taken;
            *left = left.map(|left| left - taken);
        };
        for line in &self.lines {
            if let WhichLine::Number(number) = line.which
                && number <= items.len()
            {
                take(number - 1, &mut line.quantity.map(Money::decimal));
            }
        }
        for line in &self.lines {
            let WhichLine::Sku(sku) = &line.which else { continue };
            let mut left = line.quantity.map(Money::decimal);
            for (at, _) in items.iter().enumerate().filter(|(_, item)| item.sku.as_ref() == Some(sku)) {
                take(at, &mut left);
            }
        }
        back
    }
}

impl WhichLine {
    /// Whether one of `items` is meant.
    pub(super) fn is_among(&self, items: &[Item]) -> bool {
        match self {
            Self::Sku(sku) => items.iter().any(|item| item.sku.as_ref() == Some(sku)),
            Self::Number(number) => *number <= items.len(),
        }
    }
}

impl std::fmt::Display for WhichLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sku(sku) => write!(f, "line of `{sku}`"),
            Self::Number(number) => write!(f, "line {number}"),
        }
    }
}

/// A refund as told to the world.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RefundTold {
    /// The order it belongs to.
    pub order_id: Key,
    /// Money given back by this refund; absent when that was not said and the order is not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Whether all that was left went back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// The lines that went back, when it names any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ReturnedLine>,
    /// Why, in the POS's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Name>,
}

impl RefundTold {
    /// Tells of this refund, which came to `amount`.
    pub fn of(refund: &Refund, amount: Option<Money>) -> Self {
        let items = match &refund.back {
            Back::Lines(lines) => lines.clone(),
            Back::Full | Back::Amount(_) => Vec::new(),
        };
        let full = matches!(refund.back, Back::Full);
        Self { order_id: refund.order_id.clone(), amount, full, items, reason: refund.reason.clone() }
    }
}
