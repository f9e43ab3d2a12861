//! The program that engine and reference both live under: for the engine as it is written, for the reference as numbers.

use super::purse::Instant;

/// The program of the test. Everything below says the same in other words.
pub(super) const PROGRAM: &str = r#"
name     = "Model"
timezone = "UTC"
currency = "EUR"

[[wallets]]
code   = "points"
expiry = "30 days"
[[wallets]]
code    = "stars"
pending = "2 days"

[[tiers]]
id = "bronze"
[[tiers]]
id        = "silver"
threshold = 200
[[tiers]]
id        = "gold"
threshold = 500
[tier_policy]
metric    = "spend"
period    = "calendar"
every     = "month"
upgrade   = "at_once"
downgrade = "one_step"

[[coupon_books]]
id               = "gift"
discount_type    = "free_item"
limit_per_member = 8
expires_after    = "10d"

[[rewards]]
id    = "coffee"
title = "A coffee"
type  = "digital"
cost  = 20
[[rewards]]
id                 = "mug"
title              = "A mug"
type               = "physical"
cost               = 30
stock              = 10
limit_per_member   = 3
expires_after_days = 7
auto_approve       = false

[[achievements]]
id               = "regular"
counts           = "visits"
target           = 12
period           = "quarter"
recurrence       = "each_period"
award            = 15
[[achievements]]
id               = "collector"
counts           = "orders"
target           = 5
recurrence       = "each_time"
award            = 10
revoke_on_refund = true
[[achievements]]
id     = "faithful"
counts = "streak"
unit   = "week"
target = 4

[referrals]
revoke_on_refund = false
approval           = "first_order"
minimum            = 20
expires_after_days = 20
new_for_days       = 40
limit              = 3
limit_per_period   = 2
period             = "month"
[referrals.sender]
award = 25
[referrals.receiver]
award = 12

[carts]
abandoned_after = "1h"

[celebrations]
birthdays     = false
anniversaries = false
"#;

pub(super) const RULES: &str = r#"
rule "A point each euro" on order.completed { award(order.total); }
rule "A star each order" on order.completed { award_to(1, "stars"); }
rule "Take back" on order.refunded { take_back(); }
"#;

/// Members at the begin, and at most.
pub(super) const MEMBERS: usize = 4;
pub(super) const MAX_MEMBERS: usize = 10;
pub(super) const WALLETS: [&str; 2] = ["points", "stars"];
pub(super) const POINTS: usize = 0;
pub(super) const STARS: usize = 1;
pub(super) const EXPIRY_DAYS: Instant = 30;
pub(super) const PENDING_DAYS: Instant = 2;
pub(super) const TIERS: [&str; 3] = ["bronze", "silver", "gold"];
pub(super) const THRESHOLDS: [i64; 3] = [0, 20_000, 50_000];
pub(super) const COUPONS_PER_MEMBER: usize = 8;
pub(super) const COUPON_DAYS: Instant = 10;
pub(super) const RESERVED_FOR: Instant = 15 * 60;
/// Id, cost, whether it is approved by itself, and of how many: altogether, and each member.
pub(super) const REWARDS: [(&str, i64, bool, usize, usize); 2] =
    [("coffee", 20, true, usize::MAX, usize::MAX), ("mug", 30, false, 10, 3)];
pub(super) const MUG_DAYS: Instant = 7;
/// What it takes to earn an achievement.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// Once in each quarter, for good.
    VisitsInQuarter(u64),
    /// Each time there are so many, as long as they count.
    Orders(u64),
    /// Once, for good.
    WeeksInARow(u64),
}
/// Id, goal, and the points it brings.
pub(super) const ACHIEVEMENTS: [(&str, Goal, i64); 3] = [
    ("regular", Goal::VisitsInQuarter(12), 15),
    ("collector", Goal::Orders(5), 10),
    ("faithful", Goal::WeeksInARow(4), 0),
];
/// In cents.
pub(super) const MINIMUM: i64 = 2_000;
pub(super) const REFERRAL_DAYS: Instant = 20;
pub(super) const NEW_FOR_DAYS: Instant = 40;
pub(super) const BRINGS_MOST: usize = 3;
pub(super) const BRINGS_MOST_IN_MONTH: usize = 2;
pub(super) const SENDER_AWARD: i64 = 25;
pub(super) const RECEIVER_AWARD: i64 = 12;
pub(super) const ABANDONED_AFTER: Instant = 60 * 60;
pub(super) const MAX_CARTS: usize = 3;
/// Open or not.
pub(super) const CARTS_REMEMBERED: usize = 8;
/// Snapshots of one order that can be told apart.
pub(super) const VERSIONS: i64 = 12;

/// The name by which the chain knows a member.
pub(super) fn name(member: usize) -> String {
    format!("guest-{member}")
}
