//! Every word that rules know: the properties of orders, members and events, and the effects they can ask for.
//!
//! Words of `test` blocks are in [`super::testing`].

use std::any::TypeId;
use std::ops::{Range, RangeInclusive};
use std::sync::LazyLock;

use rhai::{Array, Dynamic, FuncRegistration, ImmutableString, Map, NativeCallContext, Variant};
use rust_decimal::Decimal;
use rust_decimal::prelude::RoundingStrategy;

use crate::domain::history::{HISTORY_DAYS, Window};
use crate::domain::loyalty_event::EventType::{self, *};
use crate::domain::money::Money;

use super::lines::{ItemView, Items};
use super::payload::Fields;
use super::requests::{self, Failure, Sum};
use super::testing;
use super::views::{
    CartView, EventView, MemberView, Moment, OrderView, RefundView, SessionView, Tick, VisitView, or_empty,
};
use super::vocabulary::{Author, Place, Role, Type, Vocabulary};

/// All words, registered once for all chains.
pub(super) static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let mut author = Author::new(types());
    effects(&mut author);
    order(&mut author);
    refund_visit_and_tick(&mut author);
    cart_and_session(&mut author);
    member(&mut author);
    event(&mut author);
    moments_and_windows(&mut author);
    numbers(&mut author);
    texts_and_lists(&mut author);
    testing::words(&mut author);
    author.finish()
});

fn types() -> Vec<(TypeId, Type)> {
    vec![
        (TypeId::of::<()>(), Type::Nothing),
        (TypeId::of::<bool>(), Type::Bool),
        (TypeId::of::<i64>(), Type::Whole),
        (TypeId::of::<Decimal>(), Type::Decimal),
        (TypeId::of::<ImmutableString>(), Type::Text),
        (TypeId::of::<Array>(), Type::List),
        (TypeId::of::<Map>(), Type::Map),
        (TypeId::of::<Fields>(), Type::Json),
        (TypeId::of::<Range<i64>>(), Type::Range),
        (TypeId::of::<RangeInclusive<i64>>(), Type::Range),
        (TypeId::of::<Window>(), Type::Window),
        (TypeId::of::<Moment>(), Type::Moment),
        (TypeId::of::<OrderView>(), Type::Order),
        (TypeId::of::<Items>(), Type::Items),
        (TypeId::of::<ItemView>(), Type::Item),
        (TypeId::of::<RefundView>(), Type::Refund),
        (TypeId::of::<VisitView>(), Type::Visit),
        (TypeId::of::<CartView>(), Type::Cart),
        (TypeId::of::<SessionView>(), Type::Session),
        (TypeId::of::<Tick>(), Type::Tick),
        (TypeId::of::<MemberView>(), Type::Member),
        (TypeId::of::<EventView>(), Type::Event),
    ]
}

type Text = ImmutableString;
type Context<'a> = NativeCallContext<'a>;

/// The effects that move points, for amounts of one type.
fn movements<N: Into<Decimal> + Variant + Clone>(author: &mut Author) {
    type Effect = fn(&Context<'_>, &Sum<'_>) -> Result<(), Failure>;
    let effects: [(&str, &str, Effect); 2] =
        [("award", "award_to", requests::award), ("deduct", "deduct_from", requests::deduct)];
    for (first, other, ask) in effects {
        author
            .function(first, Type::Nothing, move |c: Context<'_>, n: N| {
                ask(&c, &Sum { amount: n.into(), reason: None, wallet: None })
            })
            .place(Place::Rule);
        author
            .function(first, Type::Nothing, move |c: Context<'_>, n: N, why: Text| {
                ask(&c, &Sum { amount: n.into(), reason: Some(&why), wallet: None })
            })
            .place(Place::Rule);
        author
            .function(other, Type::Nothing, move |c: Context<'_>, n: N, code: Text| {
                ask(&c, &Sum { amount: n.into(), reason: None, wallet: Some(&code) })
            })
            .place(Place::Rule)
            .role(Role::Wallet);
        author
            .function(other, Type::Nothing, move |c: Context<'_>, n: N, why: Text, code: Text| {
                ask(&c, &Sum { amount: n.into(), reason: Some(&why), wallet: Some(&code) })
            })
            .place(Place::Rule)
            .role(Role::Wallet);
    }
}

/// Steps towards an achievement, of amounts of one type.
fn steps<N: Into<Decimal> + Variant + Clone>(author: &mut Author) {
    author
        .function("progress", Type::Nothing, |c: Context<'_>, name: Text, n: N| {
            requests::progress(&c, &name, n.into())
        })
        .place(Place::Rule)
        .role(Role::Achievement);
}

fn effects(author: &mut Author) {
    use Type::Nothing;
    let in_rule = Place::Rule;
    movements::<i64>(author);
    movements::<Decimal>(author);
    author
        .function("take_back", Nothing, |c: Context<'_>, why: Text| requests::take_back(&c, Some(&why)))
        .place(in_rule);
    author.function("take_back", Nothing, |c: Context<'_>| requests::take_back(&c, None)).place(in_rule);
    author
        .function("confirm", Nothing, |c: Context<'_>, origin: Text| requests::confirm(&c, &origin))
        .place(in_rule);
    author
        .function("set_tier", Nothing, |c: Context<'_>, tier: Text| requests::set_tier(&c, &tier))
        .place(in_rule)
        .role(Role::Tier);
    author
        .function("mark", Nothing, |c: Context<'_>, status: Text| requests::mark(&c, &status, None))
        .place(in_rule)
        .role(Role::Status);
    // The checker looks at both texts itself.
    author
        .function("mark", Nothing, |c: Context<'_>, status: Text, level: Text| {
            requests::mark(&c, &status, Some(&level))
        })
        .place(in_rule);
    author
        .function("recommend", Nothing, |c: Context<'_>, what: Text| requests::recommend(&c, &what))
        .place(in_rule);
    author
        .function("progress", Nothing, |c: Context<'_>, name: Text| {
            requests::progress(&c, &name, Decimal::ONE)
        })
        .place(in_rule)
        .role(Role::Achievement);
    steps::<i64>(author);
    steps::<Decimal>(author);
    author
        .function("achieve", Nothing, |c: Context<'_>, name: Text| requests::achieve(&c, &name))
        .place(in_rule)
        .role(Role::Achievement);
    author
        .function("assign_coupon", Nothing, |c: Context<'_>, book: Text| requests::assign_coupon(&c, &book))
        .place(in_rule)
        .role(Role::CouponBook);
    author
        .function("forward", Nothing, |c: Context<'_>, tag: Text| requests::forward(&c, &tag))
        .place(Place::Trigger)
        .role(Role::Endpoint);
}

fn order(author: &mut Author) {
    author.property("id", Type::Text, |o: &mut OrderView| Text::from(o.id()));
    author.property("total", Type::Decimal, |o: &mut OrderView| o.money(|o| Some(o.total)));
    author.property("eligible", Type::Decimal, |o: &mut OrderView| o.eligible);
    author.property("subtotal", Type::Decimal, |o: &mut OrderView| o.money(|o| o.subtotal));
    author.property("tax", Type::Decimal, |o: &mut OrderView| o.money(|o| o.tax));
    author.property("tip", Type::Decimal, |o: &mut OrderView| o.money(|o| o.tip));
    author.property("discount", Type::Decimal, |o: &mut OrderView| o.money(|o| o.discount));
    author.property("delivery_fee", Type::Decimal, |o: &mut OrderView| o.money(|o| o.delivery_fee));
    author.property("service_charge", Type::Decimal, |o: &mut OrderView| o.money(|o| o.service_charge));
    author.property("gift_card", Type::Decimal, |o: &mut OrderView| o.money(|o| o.gift_card));
    author.property("channel", Type::Text, |o: &mut OrderView| Text::from(o.text(|o| o.channel.as_ref())));
    author.property("location", Type::Text, |o: &mut OrderView| Text::from(o.text(|o| o.location.as_ref())));
    author.property("status", Type::Text, |o: &mut OrderView| Text::from(o.text(|o| o.status.as_ref())));
    author.property("at", Type::Moment, |o: &mut OrderView| o.at);
    author.property("items", Type::Items, |o: &mut OrderView| Items::new(o.lines()));
    author
        .function("spent_on", Type::Decimal, |o: &mut OrderView, category: Text| {
            o.lines().spent_on(&category)
        })
        .role(Role::Category);
    author
        .function("count_of", Type::Decimal, |o: &mut OrderView, category: Text| {
            o.lines().count_of(&category)
        })
        .role(Role::Category);
    author.function("len", Type::Whole, |items: &mut Items| items.len());
    author.property("len", Type::Whole, |items: &mut Items| items.len());
    author.module().set_iterator::<Items>();
    author.property("sku", Type::Text, |i: &mut ItemView| Text::from(i.text(|i| i.sku.as_ref())));
    author.property("name", Type::Text, |i: &mut ItemView| Text::from(i.text(|i| i.name.as_ref())));
    author
        .property("category", Type::Text, |i: &mut ItemView| Text::from(i.text(|i| i.category.as_ref())))
        .role(Role::Category);
    author.property("quantity", Type::Decimal, |i: &mut ItemView| i.number(|i| i.quantity.decimal()));
    author.property("price", Type::Decimal, |i: &mut ItemView| i.number(|i| i.price.decimal()));
    author.property("customized", Type::Bool, |i: &mut ItemView| i.is_customized());
    author.property("total", Type::Decimal, |i: &mut ItemView| i.number(|i| i.total()));
}

fn refund_visit_and_tick(author: &mut Author) {
    author.property("order_id", Type::Text, |r: &mut RefundView| Text::from(r.order_id()));
    author.property("total", Type::Decimal, |r: &mut RefundView| r.total());
    author.property("order_total", Type::Decimal, |r: &mut RefundView| r.order_total());
    author.property("order_points", Type::Whole, |r: &mut RefundView| r.order_points);
    author.property("reason", Type::Text, |r: &mut RefundView| Text::from(r.reason()));
    author.property("location", Type::Text, |r: &mut RefundView| Text::from(r.location()));
    author.property("at", Type::Moment, |r: &mut RefundView| r.at);
    author.property("channel", Type::Text, |v: &mut VisitView| Text::from(v.channel()));
    author.property("location", Type::Text, |v: &mut VisitView| Text::from(v.location()));
    author.property("at", Type::Moment, |v: &mut VisitView| v.at);
    author.property("at", Type::Moment, |t: &mut Tick| t.at);
}

fn cart_and_session(author: &mut Author) {
    author.property("id", Type::Text, |c: &mut CartView| Text::from(c.cart().cart_id.as_str()));
    author.property("total", Type::Decimal, |c: &mut CartView| c.cart().value.decimal());
    author.property("item_count", Type::Whole, |c: &mut CartView| c.cart().item_count);
    author
        .property("channel", Type::Text, |c: &mut CartView| Text::from(or_empty(c.cart().channel.as_ref())));
    author.property("location", Type::Text, |c: &mut CartView| {
        Text::from(or_empty(c.cart().location.as_ref()))
    });
    author.property("at", Type::Moment, |c: &mut CartView| c.at);
    author.property("items", Type::Items, |c: &mut CartView| Items::new(c.lines()));
    author
        .function("spent_on", Type::Decimal, |c: &mut CartView, category: Text| c.lines().spent_on(&category))
        .role(Role::Category);
    author
        .function("count_of", Type::Decimal, |c: &mut CartView, category: Text| c.lines().count_of(&category))
        .role(Role::Category);
    author.property("id", Type::Text, |s: &mut SessionView| Text::from(s.id()));
    author.property("channel", Type::Text, |s: &mut SessionView| Text::from(s.channel()));
    author.property("location", Type::Text, |s: &mut SessionView| Text::from(s.location()));
    author.property("at", Type::Moment, |s: &mut SessionView| s.at);
}

fn member(author: &mut Author) {
    author.property("id", Type::Text, |m: &mut MemberView| Text::from(m.id()));
    author.property("tier", Type::Text, |m: &mut MemberView| Text::from(m.tier())).role(Role::Tier);
    author
        .property("system_tier", Type::Text, |m: &mut MemberView| Text::from(m.system_tier()))
        .role(Role::Tier);
    author.property("has_manual_tier", Type::Bool, |m: &mut MemberView| {
        m.member.standing.manual_tier.is_some()
    });
    author
        .property("next_tier", Type::Text, |m: &mut MemberView| {
            Text::from(m.tier_progress().and_then(|p| p.next_tier).as_ref().map_or("", |tier| tier.as_str()))
        })
        .role(Role::Tier);
    author.property("to_next_tier", Type::Decimal, |m: &mut MemberView| {
        m.tier_progress().and_then(|progress| progress.to_next).unwrap_or_default().decimal()
    });
    author.property("to_keep_tier", Type::Decimal, |m: &mut MemberView| {
        m.tier_progress().and_then(|progress| progress.to_remain).unwrap_or_default().decimal()
    });
    author.property("points", Type::Whole, |m: &mut MemberView| m.member.standing.points().0);
    author
        .function("balance", Type::Whole, |m: &mut MemberView, code: Text| {
            m.member.standing.wallets.get(&code).map_or(0, |wallet| wallet.balance().0)
        })
        .role(Role::Wallet);
    author
        .property("status", Type::Text, |m: &mut MemberView| Text::from(m.member.standing.status.as_str()))
        .role(Role::Status);
    author
        .property("risk_level", Type::Text, |m: &mut MemberView| Text::from(m.risk_level()))
        .role(Role::RiskLevel);
    author
        .function("in_segment", Type::Bool, |m: &mut MemberView, name: Text| m.in_segment(&name))
        .role(Role::Segment);
    author.property("visits", Type::Whole, |m: &mut MemberView| m.member.history.lifetime_visits as i64);
    author.property("spend", Type::Decimal, |m: &mut MemberView| m.member.history.lifetime_spend.decimal());
    author.property("days_since_last_visit", Type::Whole, |m: &mut MemberView| {
        m.member.history.days_since_last_visit(m.today)
    });
    author.property("typical_gap_days", Type::Decimal, |m: &mut MemberView| m.typical_gap_days());
    author.property("has_rhythm", Type::Bool, |m: &mut MemberView| {
        m.member.history.typical_gap_days().is_some()
    });
    author
        .property("churn_probability", Type::Decimal, |m: &mut MemberView| {
            m.churn_probability().unwrap_or_default()
        })
        .between(0, 1);
    author
        .property("has_churn_probability", Type::Bool, |m: &mut MemberView| m.churn_probability().is_some());
    author.property("weeks_in_a_row", Type::Whole, |m: &mut MemberView| {
        m.member.history.weeks_in_a_row(m.today)
    });
    author.property("is_new", Type::Bool, |m: &mut MemberView| m.member.version == 0);
    author.property("enrolled_days", Type::Whole, |m: &mut MemberView| m.enrolled_days());
    author.property("first_name", Type::Text, |m: &mut MemberView| {
        Text::from(or_empty(m.member.profile.first_name.as_ref()))
    });
    author.property("language", Type::Text, |m: &mut MemberView| {
        Text::from(or_empty(m.member.profile.language.as_ref()))
    });
    author.function("attribute", Type::Json, |m: &mut MemberView, name: Text| m.attribute(&name));
    author.function("consents_to", Type::Bool, |m: &mut MemberView, what: Text| m.consents_to(&what));
    author
        .function("has_achievement", Type::Bool, |m: &mut MemberView, name: Text| m.has_achievement(&name))
        .role(Role::Achievement);
    author
        .function("progress_of", Type::Decimal, |m: &mut MemberView, name: Text| m.progress_of(&name))
        .role(Role::Achievement);
    author
        .function("times_achieved", Type::Whole, |m: &mut MemberView, name: Text| m.times_achieved(&name))
        .role(Role::Achievement);
    author
        .function("coupons", Type::Whole, |c: Context<'_>, m: &mut MemberView, book: Text| {
            coupons(&c, m, &book)
        })
        .role(Role::CouponBook);
    author
        .function("has_coupon", Type::Bool, |c: Context<'_>, m: &mut MemberView, book: Text| {
            coupons(&c, m, &book).map(|count| count > 0)
        })
        .role(Role::CouponBook);
    author.function("visits_in", Type::Whole, |m: &mut MemberView, window: Window| -> Result<i64, Failure> {
        Ok(m.member.history.visits_in(kept(window)?, m.today) as i64)
    });
    author.function(
        "spend_in",
        Type::Decimal,
        |m: &mut MemberView, window: Window| -> Result<Decimal, Failure> {
            Ok(m.member.history.spend_in(kept(window)?, m.today).decimal())
        },
    );
}

fn coupons(context: &Context<'_>, member: &MemberView, book: &str) -> Result<i64, Failure> {
    member.coupon_book(book).map_or(Ok(0), |book| requests::coupons(context, book))
}

/// A window that the history can answer: anything longer would silently forget.
fn kept(window: Window) -> Result<Window, Failure> {
    if window.is_kept() {
        return Ok(window);
    }
    let months = Window::MAX_MONTHS;
    Err(format!("a member's history reaches back {HISTORY_DAYS} days or {months} months, not further").into())
}

const POINTS: &[EventType] = &[
    PointsEarned,
    PointsDeducted,
    PointsClawedBack,
    PointsAdjusted,
    PointsExpired,
    PointsRedeemed,
    PointsReturned,
];
const TIERS: &[EventType] = &[TierUpgraded, TierDowngraded];
const ABSENCES: &[EventType] = &[MemberAtRisk, MemberChurned, MemberReactivated];
const ORDERS: &[EventType] = &[OrderCreated, OrderUpdated, OrderCompleted, OrderCancelled, OrderRefunded];
const CHANNELS: &[EventType] =
    &[OrderCreated, OrderUpdated, OrderCompleted, VisitRecorded, SessionStarted, CartAbandoned];
const REASONS: &[EventType] = &[
    PointsEarned,
    PointsDeducted,
    PointsClawedBack,
    PointsAdjusted,
    PointsExpired,
    PointsRedeemed,
    PointsReturned,
    OrderCancelled,
    OrderRefunded,
];
const ACHIEVEMENTS: &[EventType] =
    &[AchievementEarned, AchievementProgressed, AchievementRevoked, StreakBroken];
const REFERRALS: &[EventType] =
    &[ReferralCreated, ReferralApproved, ReferralRejected, ReferralExpired, ReferralRevoked];
const SEGMENTS: &[EventType] = &[SegmentEntered, SegmentExited];
/// Events that hand on what they do not know the meaning of.
const PAYLOADS: &[EventType] = &[
    ExperienceCreated,
    ExperienceUpdated,
    ExperienceDeleted,
    MenuItemCreated,
    MenuItemUpdated,
    MenuItemDeleted,
    SignalReceived,
];

fn event(author: &mut Author) {
    author
        .property("type", Type::Text, |e: &mut EventView| Text::from(e.event.kind().as_str()))
        .role(Role::LoyaltyEvent);
    author.property("at", Type::Moment, |e: &mut EventView| e.at);
    author
        .property("amount", Type::Whole, |e: &mut EventView| e.points().map_or(0, |moved| moved.amount.0))
        .events(POINTS);
    author
        .property("new_balance", Type::Whole, |e: &mut EventView| {
            e.points().map_or(0, |moved| moved.new_balance.0)
        })
        .events(POINTS);
    author.property("reason", Type::Text, |e: &mut EventView| Text::from(e.reason())).events(REASONS);
    author
        .property("previous_tier", Type::Text, |e: &mut EventView| {
            Text::from(or_empty(e.tier().and_then(|moved| moved.previous_tier.as_ref()).map(|tier| &tier.id)))
        })
        .role(Role::Tier)
        .events(TIERS);
    author
        .property("new_tier", Type::Text, |e: &mut EventView| {
            Text::from(e.tier().map_or("", |t| &t.new_tier.id))
        })
        .role(Role::Tier)
        .events(TIERS);
    author
        .property("tier", Type::Text, |e: &mut EventView| Text::from(e.danger().map_or("", |d| &d.tier.id)))
        .role(Role::Tier)
        .events(&[TierWillDowngrade]);
    author
        .property("missing", Type::Decimal, |e: &mut EventView| {
            e.danger().map_or(Decimal::ZERO, |danger| danger.missing.decimal())
        })
        .events(&[TierWillDowngrade]);
    author
        .property("achievement", Type::Text, |e: &mut EventView| Text::from(e.achievement()))
        .role(Role::Achievement)
        .events(ACHIEVEMENTS);
    author
        .property("times", Type::Whole, |e: &mut EventView| e.times())
        .events(&[AchievementEarned, AchievementRevoked]);
    author
        .property("progress", Type::Decimal, |e: &mut EventView| e.progress().0)
        .events(&[AchievementProgressed]);
    author
        .property("target", Type::Decimal, |e: &mut EventView| e.progress().1)
        .events(&[AchievementProgressed]);
    author.property("role", Type::Text, |e: &mut EventView| Text::from(e.side())).events(REFERRALS);
    author
        .property("referral_channel", Type::Text, |e: &mut EventView| Text::from(e.referral_channel()))
        .events(REFERRALS);
    author.property("length", Type::Whole, |e: &mut EventView| e.streak_length()).events(&[StreakBroken]);
    author
        .property("days_since_last_visit", Type::Whole, |e: &mut EventView| {
            e.absence().map_or(0, |absence| absence.days_since_last_visit)
        })
        .events(ABSENCES);
    author
        .property("risk_level", Type::Text, |e: &mut EventView| {
            Text::from(e.absence().map_or("", |absence| absence.risk_level.as_str()))
        })
        .role(Role::RiskLevel)
        .events(ABSENCES);
    author
        .property("segment_name", Type::Text, |e: &mut EventView| {
            Text::from(e.segment().map_or("", |change| &change.segment_name))
        })
        .role(Role::Segment)
        .events(SEGMENTS);
    author
        .property("segment_type", Type::Text, |e: &mut EventView| {
            Text::from(e.segment().map_or("", |change| change.segment_type.as_str()))
        })
        .role(Role::SegmentType)
        .events(SEGMENTS);
    author.property("order_id", Type::Text, |e: &mut EventView| Text::from(e.order_id())).events(ORDERS);
    author.property("total", Type::Decimal, |e: &mut EventView| e.total()).events(ORDERS);
    author.property("channel", Type::Text, |e: &mut EventView| Text::from(e.channel())).events(CHANNELS);
    author
        .property("value", Type::Decimal, |e: &mut EventView| {
            e.cart().map_or(Decimal::ZERO, |cart| cart.value.decimal())
        })
        .events(&[CartAbandoned]);
    author
        .property("item_count", Type::Whole, |e: &mut EventView| e.cart().map_or(0, |cart| cart.item_count))
        .events(&[CartAbandoned]);
    author
        .property("identified_via", Type::Text, |e: &mut EventView| {
            Text::from(e.identified().map_or("", |identified| identified.identified_via))
        })
        .events(&[MemberIdentified]);
    author
        .property("confidence", Type::Decimal, |e: &mut EventView| {
            e.identified().map_or(Decimal::ZERO, |identified| identified.confidence.decimal())
        })
        .events(&[MemberIdentified]);
    author.property("changed", Type::List, |e: &mut EventView| e.changed()).events(&[MemberUpdated]);
    author.property("data", Type::Json, |e: &mut EventView| e.data.clone()).events(PAYLOADS);
    // `event.data.price`: what is no property is asked of the index.
    FuncRegistration::new_index_getter()
        .set_into_module(author.module(), |fields: &mut Fields, name: Text| fields.get(&name));
    author.function("contains", Type::Bool, |fields: &mut Fields, name: Text| fields.contains(&name));
}

fn moments_and_windows(author: &mut Author) {
    author.property("weekday", Type::Text, |m: &mut Moment| Text::from(m.weekday())).role(Role::Weekday);
    author.property("hour", Type::Whole, |m: &mut Moment| m.hour()).between(0, 23);
    author.property("minute", Type::Whole, |m: &mut Moment| m.minute()).between(0, 59);
    author.property("day", Type::Whole, |m: &mut Moment| m.day()).between(1, 31);
    author.property("month", Type::Whole, |m: &mut Moment| m.month()).between(1, 12);
    author.property("year", Type::Whole, |m: &mut Moment| m.year());
    author.property("date", Type::Text, |m: &mut Moment| Text::from(m.date()));
    author.property("days", Type::Window, |n: &mut i64| count(*n).map(Window::Days));
    author.property("weeks", Type::Window, |n: &mut i64| count(n.saturating_mul(7)).map(Window::Days));
    author.property("months", Type::Window, |n: &mut i64| count(*n).map(Window::Months));
}

fn count(n: i64) -> Result<u32, Failure> {
    u32::try_from(n).map_err(|_| format!("{n} is no length of time").into())
}

fn numbers(author: &mut Author) {
    use RoundingStrategy::{MidpointAwayFromZero, ToNegativeInfinity, ToPositiveInfinity};
    for (name, strategy) in
        [("floor", ToNegativeInfinity), ("ceil", ToPositiveInfinity), ("round", MidpointAwayFromZero)]
    {
        author.function(name, Type::Decimal, move |n: Decimal| n.round_dp_with_strategy(0, strategy));
        author.function(name, Type::Whole, |n: i64| n);
    }
    author.function("round", Type::Decimal, |n: Decimal, decimals: i64| {
        n.round_dp_with_strategy(decimals.clamp(0, 28) as u32, MidpointAwayFromZero)
    });
    author.function("abs", Type::Decimal, |n: Decimal| n.abs());
    author.function("abs", Type::Whole, |n: i64| n.saturating_abs());
    author.function("min", Type::Whole, |a: i64, b: i64| a.min(b));
    author.function("max", Type::Whole, |a: i64, b: i64| a.max(b));
    author.function("min", Type::Decimal, |a: Decimal, b: Decimal| a.min(b));
    author.function("max", Type::Decimal, |a: Decimal, b: Decimal| a.max(b));
    author.function("min", Type::Decimal, |a: i64, b: Decimal| b.min(a.into()));
    author.function("max", Type::Decimal, |a: i64, b: Decimal| b.max(a.into()));
    author.function("min", Type::Decimal, |a: Decimal, b: i64| a.min(b.into()));
    author.function("max", Type::Decimal, |a: Decimal, b: i64| a.max(b.into()));
    author.module().set_iterator::<Range<i64>>().set_iterator::<RangeInclusive<i64>>();
    author.function("contains", Type::Bool, |range: &mut Range<i64>, n: i64| range.contains(&n));
    author.function("contains", Type::Bool, |range: &mut RangeInclusive<i64>, n: i64| range.contains(&n));
}

fn texts_and_lists(author: &mut Author) {
    author.property("len", Type::Whole, |text: &mut Text| text.chars().count() as i64);
    author.function("contains", Type::Bool, |text: &mut Text, part: Text| text.contains(part.as_str()));
    author.function("starts_with", Type::Bool, |text: &mut Text, part: Text| text.starts_with(part.as_str()));
    author.function("ends_with", Type::Bool, |text: &mut Text, part: Text| text.ends_with(part.as_str()));
    author.function("to_lower", Type::Text, |text: &mut Text| Text::from(text.to_lowercase()));
    author.function("to_upper", Type::Text, |text: &mut Text| Text::from(text.to_uppercase()));
    author.module().set_iterable::<Array>();
    author.property("len", Type::Whole, |list: &mut Array| list.len() as i64);
    author.function("contains", Type::Bool, |list: &mut Array, value: Dynamic| {
        list.iter().any(|v| same(v, &value))
    });
}

/// Equality as rules mean it: texts, numbers of either kind, truth values.
fn same(a: &Dynamic, b: &Dynamic) -> bool {
    let number = |v: &Dynamic| v.as_int().map(Decimal::from).or_else(|_| v.as_decimal()).ok();
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a == b;
    }
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return *a == *b;
    }
    matches!((a.as_bool(), b.as_bool()), (Ok(a), Ok(b)) if a == b)
}

/// An amount of money from a test's map, where whole numbers are as good as decimals.
pub(super) fn money(value: &Dynamic) -> Option<Money> {
    let amount = value.as_decimal().or_else(|_| value.as_int().map(Decimal::from)).ok()?;
    Some(Money::new(amount))
}
