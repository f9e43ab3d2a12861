//! The random steps of a life.

use proptest::prelude::*;

use super::program::REWARDS;

/// What a till says of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saying {
    Created,
    Updated,
    Completed,
    Cancelled,
}

impl Saying {
    /// The type of the source event.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "order.created",
            Self::Updated => "order.updated",
            Self::Completed => "order.completed",
            Self::Cancelled => "order.cancelled",
        }
    }
}

/// What people do with a coupon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CouponDeed {
    Use,
    Reserve,
    Release,
    Revert,
}

impl CouponDeed {
    /// The last word of its path.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::Reserve => "reserve",
            Self::Release => "release",
            Self::Revert => "revert",
        }
    }
}

/// What managers do with a redemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RedemptionStep {
    Approve,
    Fulfill,
    Reject,
    Cancel,
}

impl RedemptionStep {
    const ALL: [Self; 4] = [Self::Approve, Self::Fulfill, Self::Reject, Self::Cancel];

    /// The last word of its path.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Fulfill => "fulfill",
            Self::Reject => "reject",
            Self::Cancel => "cancel",
        }
    }
}

/// What managers say of a referral.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Approve,
    Reject,
}

/// How many there are of what steps are about.
#[derive(Debug, Clone)]
pub(super) struct Census {
    pub(super) members: usize,
    pub(super) orders: usize,
    /// Of coupons.
    pub(super) owners: Vec<usize>,
    pub(super) redemptions: usize,
    pub(super) carts: usize,
    /// Members who can be told apart from those who absorbed them.
    pub(super) separable: Vec<usize>,
}

/// One random thing that happens. Numbers that name something are taken modulo how many there are.
#[derive(Debug, Clone)]
pub(super) enum Transition {
    /// A snapshot of an order, perhaps a new one; its version is one that was not told yet, its total in cents.
    Order { order: usize, member: usize, says: Saying, version: usize, cents: i64, minutes_late: i64 },
    /// Money back; `None` = all.
    Refund { order: usize, cents: Option<i64> },
    /// Points by hand.
    Adjust { member: usize, wallet: usize, amount: i64 },
    /// A coupon of the book.
    Give { member: usize },
    /// Something with a coupon.
    Coupon { coupon: usize, member: usize, deed: CouponDeed },
    /// Points spent on a reward.
    Redeem { member: usize, reward: usize },
    /// Something with a redemption.
    Redemption { redemption: usize, step: RedemptionStep },
    /// Two members are one.
    Merge { survivor: usize, from: usize },
    /// They were not, says whoever has absorbed the one, or `by`.
    Unmerge { absorbed: usize, by: Option<usize> },
    /// Somebody new.
    Enrol,
    /// Somebody says that somebody else brought them.
    Refer { member: usize, sender: usize },
    /// A manager says whether that counts.
    Referral { member: usize, verdict: Verdict },
    /// What is in a cart now, perhaps a new one.
    Cart { cart: usize, member: usize, things: usize, minutes_late: i64 },
    /// Something that was sent before, sent again.
    Again { sent: usize },
    /// Its key with another body.
    KeyReused { sent: usize },
    /// Time goes by.
    Wait { minutes: i64 },
    /// The engine is stopped and started again.
    Restart,
}

/// Any of them.
pub(super) fn any_step(census: Census) -> BoxedStrategy<Transition> {
    let Census { members, orders, owners, redemptions, carts, separable } = census;
    let says = prop_oneof![
        1 => Just(Saying::Created),
        2 => Just(Saying::Updated),
        5 => Just(Saying::Completed),
        1 => Just(Saying::Cancelled),
    ];
    // Mostly orders of late, now and then any.
    let order = prop_oneof![4 => orders.saturating_sub(4)..=orders, 1 => 0..=orders];
    let some_order = order.clone();
    let late = prop_oneof![3 => Just(0_i64), 1 => 0..20 * 60_i64];
    let deed = prop_oneof![
        3 => Just(CouponDeed::Use),
        2 => Just(CouponDeed::Reserve),
        2 => Just(CouponDeed::Release),
        2 => Just(CouponDeed::Revert),
    ];
    // A coupon of late, with the right member most of the time.
    let coupon = (any::<prop::sample::Index>(), 0..members, any::<bool>(), deed).prop_map(
        move |(coupon, stranger, is_stranger, deed)| {
            let of_late = owners.len().clamp(1, 5);
            let coupon = owners.len().saturating_sub(1 + coupon.index(of_late));
            let owner = owners.get(coupon).copied().unwrap_or(0);
            Transition::Coupon { coupon, member: if is_stranger { stranger } else { owner }, deed }
        },
    );
    let redemption = (any::<prop::sample::Index>(), prop::sample::select(&RedemptionStep::ALL[..])).prop_map(
        move |(redemption, step)| {
            let of_late = redemption.index(redemptions.clamp(1, 6));
            Transition::Redemption { redemption: redemptions.saturating_sub(1 + of_late), step }
        },
    );
    let anybody = (0..members, proptest::option::weighted(0.2, 0..members))
        .prop_map(|(absorbed, by)| Transition::Unmerge { absorbed, by });
    // Soon, as long as there is somebody; else nothing comes of it.
    let (soon, separable) = if separable.is_empty() { (1, vec![0]) } else { (15, separable) };
    let apart =
        prop::sample::select(separable).prop_map(|absorbed| Transition::Unmerge { absorbed, by: None });
    let any_index = || any::<prop::sample::Index>().prop_map(|index| index.index(1 << 20));
    prop_oneof![
        40 => (order, 0..members, says, any_index(), 100..15_000_i64, late).prop_map(
            |(order, member, says, version, cents, minutes_late)| {
                Transition::Order { order, member, says, version, cents, minutes_late }
            }
        ),
        14 => (some_order, proptest::option::weighted(0.8, 1..12_000_i64))
            .prop_map(|(order, cents)| Transition::Refund { order, cents }),
        8 => (0..members, 0..2_usize, prop_oneof![1..80_i64, -120..0_i64])
            .prop_map(|(member, wallet, amount)| Transition::Adjust { member, wallet, amount }),
        3 => (0..members).prop_map(|member| Transition::Give { member }),
        12 => coupon,
        6 => (0..members, 0..REWARDS.len()).prop_map(|(member, reward)| Transition::Redeem { member, reward }),
        8 => redemption,
        4 => (0..members, 0..members).prop_map(|(survivor, from)| Transition::Merge { survivor, from }),
        2 => anybody,
        soon => apart,
        1 => Just(Transition::Enrol),
        4 => (prop_oneof![2 => Just(members - 1), 1 => 0..members], 0..members)
            .prop_map(|(member, sender)| Transition::Refer { member, sender }),
        2 => (0..members, prop_oneof![Just(Verdict::Approve), Just(Verdict::Reject)])
            .prop_map(|(member, verdict)| Transition::Referral { member, verdict }),
        6 => (carts.saturating_sub(2)..=carts, 0..members, 0..4_usize, prop_oneof![2 => Just(0), 1 => 0..90_i64])
            .prop_map(|(cart, member, things, minutes_late)| {
                Transition::Cart { cart, member, things, minutes_late }
            }),
        8 => any_index().prop_map(|sent| Transition::Again { sent }),
        2 => any_index().prop_map(|sent| Transition::KeyReused { sent }),
        10 => prop_oneof![6 => 1..20 * 60_i64, 1 => (1..9_i64).prop_map(|days| days * 24 * 60)]
            .prop_map(|minutes| Transition::Wait { minutes }),
        1 => Just(Transition::Restart),
    ]
    .boxed()
}
