//! What a refund takes: `[refunds]` in `program.toml`.

use crate::domain::money::Points;

/// How refunds are dealt with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refunds {
    /// What happens when the points of a refunded order are spent already.
    pub clawback: Clawback,
}

/// How far points are taken back that may be spent already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clawback {
    /// All of them; the balance may fall below zero, and what is earned next pays that.
    #[default]
    GoNegative,
    /// As many as there are; the rest is let go for good.
    WithinBalance,
    /// All of them where the balance has them, else none: a guest who spent them keeps what is left.
    Forgive,
}

impl Clawback {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::GoNegative, Self::WithinBalance, Self::Forgive];

    /// The word in `program.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GoNegative => "go_negative",
            Self::WithinBalance => "within_balance",
            Self::Forgive => "forgive",
        }
    }

    /// How many of the points `due` are taken from a balance.
    pub fn taken(self, due: Points, balance: Points) -> Points {
        let there = balance.max(Points::ZERO);
        match self {
            Self::GoNegative => due,
            Self::WithinBalance => due.min(there),
            Self::Forgive if due <= there => due,
            Self::Forgive => Points::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_says_what_is_taken_when_points_are_spent() {
        use Clawback::{Forgive, GoNegative, WithinBalance};
        for (policy, due, balance, taken) in [
            (GoNegative, 10, 25, 10),
            (GoNegative, 10, 4, 10),
            (GoNegative, 10, -3, 10),
            (WithinBalance, 10, 25, 10),
            (WithinBalance, 10, 10, 10),
            (WithinBalance, 10, 4, 4),
            (WithinBalance, 10, -3, 0),
            (Forgive, 10, 25, 10),
            (Forgive, 10, 10, 10),
            (Forgive, 10, 9, 0),
            (Forgive, 10, -3, 0),
        ] {
            assert_eq!(
                policy.taken(Points(due), Points(balance)),
                Points(taken),
                "{policy:?} {due} of {balance}"
            );
        }
    }
}
