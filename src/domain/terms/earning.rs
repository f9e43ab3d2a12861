//! Which money earns: `[earning]` in `program.toml`.

use std::collections::BTreeSet;

use crate::domain::text::Name;

/// What of an order's money earns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Earning {
    /// Parts of the total that do not.
    pub left_out: BTreeSet<Part>,
    /// Whether money that a discount took off earns as if it had been paid.
    pub discounts: Discounts,
    /// Categories whose lines do not.
    pub excluded_categories: BTreeSet<Name>,
}

/// A part of what a guest pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Tax.
    Tax,
    /// Tips.
    Tips,
    /// Fees for bringing it.
    DeliveryFees,
    /// What the house adds for its service.
    ServiceCharges,
    /// What was paid by gift card: it earned when the card was bought.
    GiftCards,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Tax, Self::Tips, Self::DeliveryFees, Self::ServiceCharges, Self::GiftCards];

    /// The setting in `program.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tax => "tax",
            Self::Tips => "tips",
            Self::DeliveryFees => "delivery_fees",
            Self::ServiceCharges => "service_charges",
            Self::GiftCards => "gift_cards",
        }
    }
}

/// What becomes of money that a discount took off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Discounts {
    /// It was not paid, so it earns nothing.
    #[default]
    Lost,
    /// It earns as if it had been paid.
    Earn,
}
