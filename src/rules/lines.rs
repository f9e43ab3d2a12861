//! The lines of an order or of a cart, as rules walk over them.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::domain::cart::Cart;
use crate::domain::order::{Item, Order};
use crate::domain::text::Text;

use super::views::or_empty;

/// Where the lines are.
#[derive(Debug, Clone)]
pub(super) enum Lines {
    /// Nowhere: nobody told us about the order.
    None,
    Order(Arc<Order>),
    Cart(Arc<Cart>),
}

impl Lines {
    fn all(&self) -> &[Item] {
        match self {
            Self::None => &[],
            Self::Order(order) => &order.items,
            Self::Cart(cart) => &cart.items,
        }
    }

    fn of_category<'a>(&'a self, category: &'a str) -> impl Iterator<Item = &'a Item> {
        self.all().iter().filter(move |item| or_empty(item.category.as_ref()) == category)
    }

    /// Money for one category.
    pub(super) fn spent_on(&self, category: &str) -> Decimal {
        self.of_category(category).fold(Decimal::ZERO, |sum, item| sum.saturating_add(item.total()))
    }

    /// How many things of one category.
    pub(super) fn count_of(&self, category: &str) -> Decimal {
        self.of_category(category)
            .fold(Decimal::ZERO, |sum, item| sum.saturating_add(item.quantity.decimal()))
    }
}

/// `order.items`, `cart.items`, also while a `for` walks over them.
#[derive(Debug, Clone)]
pub(super) struct Items {
    lines: Lines,
    next: usize,
}

impl Items {
    pub(super) const fn new(lines: Lines) -> Self {
        Self { lines, next: 0 }
    }

    pub(super) fn len(&self) -> i64 {
        self.lines.all().len() as i64
    }
}

impl Iterator for Items {
    type Item = ItemView;
    fn next(&mut self) -> Option<ItemView> {
        let index = self.next;
        self.next += 1;
        (index < self.lines.all().len()).then(|| ItemView { lines: self.lines.clone(), index })
    }
}

/// One line.
#[derive(Debug, Clone)]
pub(super) struct ItemView {
    lines: Lines,
    index: usize,
}

impl ItemView {
    fn item(&self) -> Option<&Item> {
        self.lines.all().get(self.index)
    }

    pub(super) fn text<const MAX: usize>(&self, field: impl Fn(&Item) -> Option<&Text<MAX>>) -> &str {
        or_empty(self.item().and_then(field))
    }

    pub(super) fn is_customized(&self) -> bool {
        self.item().is_some_and(|item| item.customized == Some(true))
    }

    pub(super) fn number(&self, field: impl Fn(&Item) -> Decimal) -> Decimal {
        self.item().map_or(Decimal::ZERO, field)
    }
}
