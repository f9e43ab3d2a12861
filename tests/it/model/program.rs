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

[celebrations]
birthdays     = false
anniversaries = false
"#;

pub(super) const RULES: &str = r#"
rule "A point each euro" on order.completed { award(order.total); }
rule "A star each order" on order.completed { award_to(1, "stars"); }
rule "Take back" on order.refunded { take_back(); }
"#;

pub(super) const MEMBERS: usize = 4;
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
/// Snapshots of one order that can be told apart.
pub(super) const VERSIONS: i64 = 12;

/// The name by which the chain knows a member.
pub(super) fn name(member: usize) -> String {
    format!("guest-{member}")
}
