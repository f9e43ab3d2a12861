//! Numbers as rules reckon with them: whole ones, and exact ones with decimals.

use std::cmp::Ordering;

use rhai::Dynamic;
use rust_decimal::Decimal;

/// A number of either kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Whole(i64),
    Decimal(Decimal),
}

impl Number {
    pub(super) fn of(value: &Dynamic) -> Option<Self> {
        // Asked first: to fail costs the interpreter's types more than the answer.
        match value {
            value if value.is_int() => value.as_int().ok().map(Self::Whole),
            value if value.is_decimal() => value.as_decimal().ok().map(Self::Decimal),
            _ => None,
        }
    }

    pub(super) fn decimal(self) -> Decimal {
        match self {
            Self::Whole(number) => number.into(),
            Self::Decimal(number) => number,
        }
    }

    pub(super) fn whole(self) -> Option<i64> {
        match self {
            Self::Whole(number) => Some(number),
            Self::Decimal(_) => None,
        }
    }

    /// How it stands to another one.
    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => one.cmp(&other),
            (one, other) => one.decimal().cmp(&other.decimal()),
        }
    }

    /// `-x`
    pub(super) fn negative(self) -> Option<Self> {
        match self {
            Self::Whole(number) => number.checked_neg().map(Self::Whole),
            Self::Decimal(number) => Some(Self::Decimal(-number)),
        }
    }
}

impl From<Number> for Dynamic {
    fn from(number: Number) -> Self {
        match number {
            Number::Whole(number) => number.into(),
            Number::Decimal(number) => number.into(),
        }
    }
}

/// What is reckoned of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reckoning {
    Plus,
    Minus,
    Times,
    By,
    Rest,
}

impl Reckoning {
    /// As it is written between two numbers.
    pub(super) fn parse(sign: &str) -> Option<Self> {
        Some(match sign {
            "+" => Self::Plus,
            "-" => Self::Minus,
            "*" => Self::Times,
            "/" => Self::By,
            "%" => Self::Rest,
            _ => return None,
        })
    }

    /// As the interpreter reckons: whole numbers stay whole. `None` of what has no result, or too large a one.
    pub(super) fn of(self, left: Number, right: Number) -> Option<Number> {
        if let (Number::Whole(left), Number::Whole(right)) = (left, right) {
            let result = match self {
                Self::Plus => left.checked_add(right),
                Self::Minus => left.checked_sub(right),
                Self::Times => left.checked_mul(right),
                Self::By => left.checked_div(right),
                Self::Rest => left.checked_rem(right),
            };
            return result.map(Number::Whole);
        }
        let (left, right) = (left.decimal(), right.decimal());
        let result = match self {
            Self::Plus => left.checked_add(right),
            Self::Minus => left.checked_sub(right),
            Self::Times => left.checked_mul(right),
            Self::By => left.checked_div(right),
            Self::Rest => left.checked_rem(right),
        };
        result.map(Number::Decimal)
    }
}
