//! What rules, triggers and segments see of the member.

use rust_decimal::Decimal;

use super::{Context, Text};
use crate::domain::history::{HISTORY_DAYS, Window};
use crate::rules::requests::{self, Failure};
use crate::rules::testing;
use crate::rules::views::{MemberView, or_empty};
use crate::rules::vocabulary::{Author, Role, Type};

pub(super) fn words(author: &mut Author) {
    author
        .property("id", Type::Text, |m: &mut MemberView| Text::from(m.id()))
        .says("Your own id of the guest; without one, ours (`mem_…`).");
    author.text("tier", |m: &mut MemberView| m.tier()).role(Role::Tier).says("The member's tier.");
    author
        .text("system_tier", |m: &mut MemberView| m.system_tier())
        .role(Role::Tier)
        .says("The tier without the one given by hand.");
    author
        .property("has_manual_tier", Type::Bool, |m: &mut MemberView| m.member.standing.manual_tier.is_some())
        .says("Whether a tier was given by hand.");
    author
        .property("next_tier", Type::Text, |m: &mut MemberView| {
            Text::from(m.tier_progress().and_then(|p| p.next_tier).as_ref().map_or("", |tier| tier.as_str()))
        })
        .role(Role::Tier)
        .says("The next higher tier of `[tier_policy]`; \"\" in the highest.");
    author
        .property("to_next_tier", Type::Decimal, |m: &mut MemberView| {
            m.tier_progress().and_then(|progress| progress.to_next).unwrap_or_default().decimal()
        })
        .never_negative()
        .says("How much of the metric is missing to reach it; 0 when there is nothing to reach.");
    author
        .property("to_keep_tier", Type::Decimal, |m: &mut MemberView| {
            m.tier_progress().and_then(|progress| progress.to_remain).unwrap_or_default().decimal()
        })
        .says("How much is missing to keep the tier; 0 when there is nothing to lose.");
    author
        .property("points", Type::Whole, |m: &mut MemberView| m.member.standing.points().0)
        .says("The balance of the first wallet.");
    author
        .function("balance", Type::Whole, |m: &mut MemberView, code: Text| {
            m.member.standing.wallets.get(&code).map_or(0, |wallet| wallet.balance().0)
        })
        .role(Role::Wallet)
        .says("The balance of a wallet.");
    author
        .text("status", |m: &mut MemberView| m.member.standing.status.as_str())
        .role(Role::Status)
        .says("`active`, `at_risk` or `churned`.");
    author
        .text("risk_level", |m: &mut MemberView| m.risk_level())
        .role(Role::RiskLevel)
        .says("`LOW`, `MEDIUM`, `HIGH`; \"\" for who is not at risk.");
    author
        .function("in_segment", Type::Bool, |m: &mut MemberView, name: Text| m.in_segment(&name))
        .role(Role::Segment)
        .says("Whether the member is in a segment.");
    author
        .property("visits", Type::Whole, |m: &mut MemberView| m.member.history.lifetime_visits as i64)
        .never_negative()
        .says("Orders and visits, all of them.");
    author
        .property("spend", Type::Decimal, |m: &mut MemberView| m.member.history.lifetime_spend.decimal())
        .says("Money spent, all of it, less refunds.");
    author
        .property("days_since_last_visit", Type::Whole, |m: &mut MemberView| {
            m.member.history.days_since_last_visit(m.today)
        })
        .never_negative()
        .says("Days since the last order or visit; 0 without any.");
    author.property("typical_gap_days", Type::Decimal, |m: &mut MemberView| m.typical_gap_days()).never_negative().says("The usual number of days between two visits: the median. Before the third day with a visit it is 36,500, so that nobody without a rhythm is missed.");
    author
        .property("has_rhythm", Type::Bool, |m: &mut MemberView| {
            m.member.history.typical_gap_days().is_some()
        })
        .says("Whether the member came on three days at least, so that there is a usual gap.");
    author
        .property("churn_probability", Type::Decimal, |m: &mut MemberView| {
            m.churn_probability().unwrap_or_default()
        })
        .between(0, 1)
        .says("How likely the member stays away, 0 to 1; 0 without a model.");
    author
        .property("has_churn_probability", Type::Bool, |m: &mut MemberView| m.churn_probability().is_some())
        .says("Whether there is a model to say so.");
    author
        .property("weeks_in_a_row", Type::Whole, |m: &mut MemberView| {
            m.member.history.weeks_in_a_row(m.today)
        })
        .never_negative()
        .says("Weeks of the calendar in a row with a visit, up to this one or the last.");
    author
        .property("is_new", Type::Bool, |m: &mut MemberView| m.member.version == 0)
        .says("Whether this event made them a member.");
    author
        .property("enrolled_days", Type::Whole, |m: &mut MemberView| m.enrolled_days())
        .never_negative()
        .says("Days since they became one; 0 on the first.");
    author
        .text("first_name", |m: &mut MemberView| or_empty(m.member.profile.first_name.as_ref()))
        .says("Given name, \"\" when it is not known.");
    author
        .text("language", |m: &mut MemberView| or_empty(m.member.profile.language.as_ref()))
        .says("The language to write in, such as `en`; \"\" when it is not known.");
    author.function("attribute", Type::Json, |m: &mut MemberView, name: Text| m.attribute(&name)).says("What your systems keep of the member under this name; compare it, as in `member.attribute(\"staff\") == true`.");
    author
        .function("consents_to", Type::Bool, |m: &mut MemberView, what: Text| m.consents_to(&what))
        .says("Whether the member agreed to this.");
    author
        .function("counter", Type::Whole, |m: &mut MemberView, name: Text| {
            m.member.standing.memo.counter(&name)
        })
        .role(Role::Counter)
        .says("How far a counter of `program.toml` is.");
    author
        .function("has_mark", Type::Bool, |m: &mut MemberView, name: Text| {
            m.member.standing.memo.has_mark(&name)
        })
        .role(Role::Mark)
        .says("Whether a rule put this mark.");
    author
        .function("has_achievement", Type::Bool, |m: &mut MemberView, name: Text| m.has_achievement(&name))
        .role(Role::Achievement)
        .says("Whether the member has an achievement.");
    author
        .function("progress_of", Type::Decimal, |m: &mut MemberView, name: Text| m.progress_of(&name))
        .role(Role::Achievement)
        .says("How far the member is towards an achievement that counts.");
    author
        .function("times_achieved", Type::Whole, |m: &mut MemberView, name: Text| m.times_achieved(&name))
        .role(Role::Achievement)
        .never_negative()
        .says("How often the member earned it.");
    author
        .function("coupons", Type::Whole, |c: Context<'_>, m: &mut MemberView, book: Text| {
            coupons(&c, m, &book)
        })
        .role(Role::CouponBook)
        .never_negative()
        .says("How many coupons of a book the member could use now; 100 at most.");
    author
        .function("has_coupon", Type::Bool, |c: Context<'_>, m: &mut MemberView, book: Text| {
            coupons(&c, m, &book).map(|count| count > 0)
        })
        .role(Role::CouponBook)
        .says("Whether there is one.");
    author
        .function("visits_in", Type::Whole, |m: &mut MemberView, window: Window| -> Result<i64, Failure> {
            Ok(m.member.history.visits_in(kept(window)?, m.today) as i64)
        })
        .never_negative()
        .says("Orders and visits in the days or months that end today: `member.visits_in(30.days)`.");
    author
        .function(
            "spend_in",
            Type::Decimal,
            |m: &mut MemberView, window: Window| -> Result<Decimal, Failure> {
                Ok(m.member.history.spend_in(kept(window)?, m.today).decimal())
            },
        )
        .says(
            "Money spent in the days or months that end today, less refunds: `member.spend_in(12.months)`.",
        );
}

fn coupons(context: &Context<'_>, member: &MemberView, book: &str) -> Result<i64, Failure> {
    let Some(book) = member.coupon_book(book) else { return Ok(0) };
    testing::coupons(context, book).map_or_else(|| requests::coupons(context, book), Ok)
}

/// A window that the history can answer: anything longer would silently forget.
fn kept(window: Window) -> Result<Window, Failure> {
    if window.is_kept() {
        return Ok(window);
    }
    let months = Window::MAX_MONTHS;
    Err(format!("a member's history reaches back {HISTORY_DAYS} days or {months} months, not further").into())
}
