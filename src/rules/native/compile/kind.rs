//! What is known beforehand of what an expression comes to.

use rhai::Dynamic;

use crate::rules::native::term::{Sort, type_of};
use crate::rules::vocabulary::Type;

/// What an expression comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sure(Type),
    /// A number; of which kind shows when it runs.
    Number,
    /// One of several types, or one that says little.
    Unclear,
    /// Nothing ever comes of it: it leaves.
    Never,
}

impl Kind {
    /// Of a value that is known. A list counts when its elements are of one type.
    pub(super) fn of(value: &Dynamic) -> Option<Self> {
        type_of(value).map(Self::Sure)
    }

    pub(super) const fn is_number(self) -> bool {
        matches!(self, Self::Number | Self::Sure(Type::Whole | Type::Decimal))
    }

    /// Of what is this or that.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, kind) | (kind, Self::Never) => kind,
            (one, other) if one == other => one,
            (one, other) if one.is_number() && other.is_number() => Self::Number,
            _ => Self::Unclear,
        }
    }

    /// Of what is reckoned of two numbers.
    pub(super) fn reckoned(self, other: Self) -> Self {
        const DECIMAL: Kind = Kind::Sure(Type::Decimal);
        match (self, other) {
            (DECIMAL, _) | (_, DECIMAL) => DECIMAL,
            (one, other) if one == other => one,
            _ => Self::Number,
        }
    }

    /// As what two values can be compared here, if they can.
    pub(super) fn compares_with(self, other: Self) -> Option<Sort> {
        match (self, other) {
            (one, other) if one.is_number() && other.is_number() => Some(Sort::Numbers),
            (Self::Sure(Type::Text), Self::Sure(Type::Text)) => Some(Sort::Texts),
            (Self::Sure(Type::Bool), Self::Sure(Type::Bool)) => Some(Sort::Truths),
            _ => None,
        }
    }

    /// Whether a variable of this kind may be given a value of another one.
    pub(super) fn takes(self, other: Self) -> bool {
        match self {
            Self::Number => other.is_number(),
            Self::Sure(_) => self == other,
            Self::Unclear | Self::Never => false,
        }
    }
}
