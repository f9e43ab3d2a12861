//! When a cart is given up: `[carts]` in `program.toml`.

use crate::domain::coupon::Span;

/// What `[carts]` declares. A program without it keeps no carts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CartTerms {
    /// How long after it was last heard of a cart without an order is abandoned.
    pub abandoned_after: Span,
}
