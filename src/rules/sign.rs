//! Comparisons, as they are written and what they mean: one meaning for the checker and for conditions that need no
//! interpreter.

use std::cmp::Ordering;

/// `==` and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Is,
    IsNot,
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Sign {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Is, "=="),
        (Self::IsNot, "!="),
        (Self::Below, "<"),
        (Self::AtMost, "<="),
        (Self::Above, ">"),
        (Self::AtLeast, ">="),
    ];

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == text).map(|(sign, _)| *sign)
    }

    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, text)| text)
    }

    /// `5 < x` is `x > 5`.
    pub(super) const fn turned(self) -> Self {
        match self {
            Self::Below => Self::Above,
            Self::AtMost => Self::AtLeast,
            Self::Above => Self::Below,
            Self::AtLeast => Self::AtMost,
            same => same,
        }
    }

    pub(super) const fn opposite(self) -> Self {
        match self {
            Self::Is => Self::IsNot,
            Self::IsNot => Self::Is,
            Self::Below => Self::AtLeast,
            Self::AtMost => Self::Above,
            Self::Above => Self::AtMost,
            Self::AtLeast => Self::Below,
        }
    }

    /// Whether it holds of what stands so to the other side; of values of different kinds only `!=` does.
    pub(super) fn holds(self, ordering: Option<Ordering>) -> bool {
        use Ordering::{Equal, Greater, Less};
        match self {
            Self::Is => ordering == Some(Equal),
            Self::IsNot => ordering != Some(Equal),
            Self::Below => ordering == Some(Less),
            Self::AtMost => matches!(ordering, Some(Less | Equal)),
            Self::Above => ordering == Some(Greater),
            Self::AtLeast => matches!(ordering, Some(Greater | Equal)),
        }
    }
}
