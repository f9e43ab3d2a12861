//! Every word that rules know: the properties of orders, members and events, and the effects they can ask for.
//!
//! Words of `test` blocks are in [`super::testing`].

mod event;
mod member;
mod plain;

use std::any::TypeId;
use std::ops::{Range, RangeInclusive};
use std::sync::LazyLock;

use rhai::{Array, Dynamic, ImmutableString, Map, Module, NativeCallContext, Shared, Variant};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::domain::history::Window;
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
    member::words(&mut author);
    event::words(&mut author);
    plain::words(&mut author);
    testing::words(&mut author);
    author.finish()
});

/// The words about numbers, texts and lists, for what is no rule.
pub(super) fn plain_words() -> Shared<Module> {
    let mut author = Author::new(types());
    plain::values(&mut author);
    author.finish().module
}

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
    let effects: [(&str, &str, &str, Effect); 2] = [
        (
            "award",
            "award_to",
            "Gives points, of the first wallet or of the one named last. A text is the reason that people see; without it, the rule's name.",
            requests::award,
        ),
        ("deduct", "deduct_from", "Takes points, likewise: at most as many as there are.", requests::deduct),
    ];
    for (first, other, says, ask) in effects {
        author
            .function(first, Type::Nothing, move |c: Context<'_>, n: N| {
                ask(&c, &Sum { amount: n.into(), reason: None, wallet: None })
            })
            .place(Place::Rule)
            .says(says);
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
            .role(Role::Wallet)
            .says(says);
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
        .place(in_rule).says("Takes back the share of what the order earned that was refunded, in each wallet. On `order.refunded`.");
    author.function("take_back", Nothing, |c: Context<'_>| requests::take_back(&c, None)).place(in_rule);
    author
        .function("confirm", Nothing, |c: Context<'_>, origin: Text| requests::confirm(&c, &origin))
        .place(in_rule).says("Ends the waiting of points in a wallet with `pending = \"until confirmed\"`: those of this order id or event key.");
    author
        .function("set_tier", Nothing, |c: Context<'_>, tier: Text| requests::set_tier(&c, &tier))
        .place(in_rule)
        .role(Role::Tier)
        .says("Moves the member into a tier. Not where `[tier_policy]` or conditions of tiers move members.");
    author
        .function("mark", Nothing, |c: Context<'_>, status: Text| requests::mark(&c, &status, None))
        .place(in_rule)
        .role(Role::StatusOrMark)
        .says("Says how the member is: `active`, `at_risk` or `churned`; or puts a mark that `marks` in `program.toml` lists.");
    // The checker looks at both texts itself.
    author
        .function("mark", Nothing, |c: Context<'_>, status: Text, level: Text| {
            requests::mark(&c, &status, Some(&level))
        })
        .place(in_rule)
        .says("`mark(\"at_risk\", \"HIGH\")`: at risk, and how much.");
    author
        .function("unmark", Nothing, |c: Context<'_>, mark: Text| requests::unmark(&c, &mark))
        .place(in_rule)
        .role(Role::Mark)
        .says("Takes a mark away.");
    author
        .function("count", Nothing, |c: Context<'_>, counter: Text| requests::count(&c, &counter, 1))
        .place(in_rule)
        .role(Role::Counter)
        .says("Counts one more, or so many, with a counter that `counters` in `program.toml` lists; below zero to count back.");
    author
        .function("count", Nothing, |c: Context<'_>, counter: Text, n: i64| requests::count(&c, &counter, n))
        .place(in_rule)
        .role(Role::Counter);
    author
        .function("count", Nothing, |c: Context<'_>, counter: Text, n: Decimal| {
            let whole = n.is_integer().then(|| n.to_i64()).flatten();
            let whole =
                whole.ok_or_else(|| Failure::from(format!("a counter counts whole numbers, not {n}")))?;
            requests::count(&c, &counter, whole)
        })
        .place(in_rule)
        .role(Role::Counter);
    author
        .function("reset", Nothing, |c: Context<'_>, counter: Text| requests::reset(&c, &counter))
        .place(in_rule)
        .role(Role::Counter)
        .says("Sets a counter back to 0.");
    author
        .function("emit", Nothing, |c: Context<'_>, event: Text| requests::emit(&c, &event, &Map::new()))
        .place(in_rule)
        .role(Role::OwnEvent)
        .says("Tells a loyalty event of your own, which `events` in `program.toml` lists, with `data` for whoever hears of it. Rules and triggers start on it by its name.");
    author
        .function("emit", Nothing, |c: Context<'_>, event: Text, data: Map| requests::emit(&c, &event, &data))
        .place(in_rule)
        .role(Role::OwnEvent);
    author
        .function("recommend", Nothing, |c: Context<'_>, what: Text| requests::recommend(&c, &what))
        .place(in_rule)
        .says("Adds a recommendation to what the same rule's `mark` tells, or to `member.reactivated`.");
    author
        .function("progress", Nothing, |c: Context<'_>, name: Text| {
            requests::progress(&c, &name, Decimal::ONE)
        })
        .place(in_rule)
        .role(Role::Achievement)
        .says("A step, or so many, towards an achievement that counts `progress`.");
    steps::<i64>(author);
    steps::<Decimal>(author);
    author
        .function("achieve", Nothing, |c: Context<'_>, name: Text| requests::achieve(&c, &name))
        .place(in_rule)
        .role(Role::Achievement)
        .says("Gives an achievement; one that the member has already is not given again.");
    author
        .function("assign_coupon", Nothing, |c: Context<'_>, book: Text| requests::assign_coupon(&c, &book))
        .place(in_rule)
        .role(Role::CouponBook)
        .says("Gives the member a coupon of a book.");
    author
        .function("give_reward", Nothing, |c: Context<'_>, reward: Text| requests::give_reward(&c, &reward))
        .place(in_rule)
        .role(Role::Reward)
        .says("Gives the member a reward for nothing: a redemption that costs no points. Its stock and its limit for one member count.");
    author
        .function("forward", Nothing, |c: Context<'_>, tag: Text| requests::forward(&c, &tag))
        .place(Place::Trigger)
        .role(Role::Endpoint)
        .says("Sends the event to the endpoints that carry this tag, besides those that subscribe to it.");
}

fn order(author: &mut Author) {
    author.text("id", |o: &mut OrderView| o.id()).says("The order's id.");
    author
        .property("total", Type::Decimal, |o: &mut OrderView| o.money(|o| Some(o.total)))
        .never_negative()
        .says("What it came to.");
    author
        .property("eligible", Type::Decimal, |o: &mut OrderView| o.eligible)
        .says("The money that earns, as `[earning]` says; without that section the total.");
    author
        .property("subtotal", Type::Decimal, |o: &mut OrderView| o.money(|o| o.subtotal))
        .never_negative()
        .says("Before tax and tip.");
    author
        .property("tax", Type::Decimal, |o: &mut OrderView| o.money(|o| o.tax))
        .never_negative()
        .says("Tax.");
    author
        .property("tip", Type::Decimal, |o: &mut OrderView| o.money(|o| o.tip))
        .never_negative()
        .says("Tip.");
    author
        .property("discount", Type::Decimal, |o: &mut OrderView| o.money(|o| o.discount))
        .never_negative()
        .says("What discounts took off.");
    author
        .property("delivery_fee", Type::Decimal, |o: &mut OrderView| o.money(|o| o.delivery_fee))
        .never_negative()
        .says("What delivery cost.");
    author
        .property("service_charge", Type::Decimal, |o: &mut OrderView| o.money(|o| o.service_charge))
        .never_negative()
        .says("What the house adds for its service.");
    author
        .property("gift_card", Type::Decimal, |o: &mut OrderView| o.money(|o| o.gift_card))
        .never_negative()
        .says("What of it was paid by gift card.");
    author
        .text("channel", |o: &mut OrderView| o.text(|o| o.channel.as_ref()))
        .says("Where it was ordered, in the till's words: `pos`, `app`.");
    author
        .text("location", |o: &mut OrderView| o.text(|o| o.location.as_ref()))
        .says("The place, as the till calls it.");
    author
        .text("status", |o: &mut OrderView| o.text(|o| o.status.as_ref()))
        .says("How it stands, in the sender's words.");
    author
        .property("at", Type::Moment, |o: &mut OrderView| o.at)
        .says("When it was completed; of one that was not, when the event happened.");
    author
        .property("items", Type::Items, |o: &mut OrderView| Items::new(o.lines()))
        .says("Its lines, to walk over: `for item in order.items { … }`.");
    author
        .function("spent_on", Type::Decimal, |o: &mut OrderView, category: Text| {
            o.lines().spent_on(&category)
        })
        .role(Role::Category)
        .says("Money for one category: price times quantity.");
    author
        .function("count_of", Type::Decimal, |o: &mut OrderView, category: Text| {
            o.lines().count_of(&category)
        })
        .role(Role::Category)
        .says("How many things of one category.");
    author
        .function("len", Type::Whole, |items: &mut Items| items.len())
        .never_negative()
        .says("How many lines.");
    author
        .property("len", Type::Whole, |items: &mut Items| items.len())
        .never_negative()
        .says("How many lines.");
    author.module().set_iterator::<Items>();
    author.text("sku", |i: &mut ItemView| i.text(|i| i.sku.as_ref())).says("The item's number.");
    author.text("name", |i: &mut ItemView| i.text(|i| i.name.as_ref())).says("Its name.");
    author
        .text("category", |i: &mut ItemView| i.text(|i| i.category.as_ref()))
        .role(Role::Category)
        .says("Its category.");
    author
        .property("quantity", Type::Decimal, |i: &mut ItemView| i.number(|i| i.quantity.decimal()))
        .says("How many, 1 unless said.");
    author
        .property("price", Type::Decimal, |i: &mut ItemView| i.number(|i| i.price.decimal()))
        .says("The price of one.");
    author
        .property("customized", Type::Bool, |i: &mut ItemView| i.is_customized())
        .says("Whether it was made differently for the guest.");
    author
        .property("total", Type::Decimal, |i: &mut ItemView| i.number(|i| i.total()))
        .says("Price times quantity.");
}

fn refund_visit_and_tick(author: &mut Author) {
    author.text("order_id", |r: &mut RefundView| r.order_id()).says("The order that it belongs to.");
    author
        .property("total", Type::Decimal, |r: &mut RefundView| r.total())
        .never_negative()
        .says("How much money goes back.");
    author
        .property("order_total", Type::Decimal, |r: &mut RefundView| r.order_total())
        .says("What the order came to, 0 when it is not known.");
    author
        .property("order_points", Type::Whole, |r: &mut RefundView| r.order_points)
        .says("Points that the order earned in the first wallet.");
    author.text("reason", |r: &mut RefundView| r.reason()).says("Why, in the till's words.");
    author.text("location", |r: &mut RefundView| r.location()).says("The place, as the till calls it.");
    author.property("at", Type::Moment, |r: &mut RefundView| r.at).says("When.");
    author
        .text("channel", |v: &mut VisitView| v.channel())
        .says("Where the guest showed up, in the sender's words.");
    author.text("location", |v: &mut VisitView| v.location()).says("The place.");
    author.property("at", Type::Moment, |v: &mut VisitView| v.at).says("When.");
    author.property("at", Type::Moment, |t: &mut Tick| t.at).says("When it was due.");
}

fn cart_and_session(author: &mut Author) {
    author.text("id", |c: &mut CartView| c.cart().cart_id.as_str()).says("The cart's id.");
    author
        .property("total", Type::Decimal, |c: &mut CartView| c.cart().value.decimal())
        .never_negative()
        .says("What it is worth.");
    author
        .property("item_count", Type::Whole, |c: &mut CartView| c.cart().item_count)
        .never_negative()
        .says("How many things are in it; what is weighed counts as one.");
    author
        .text("channel", |c: &mut CartView| or_empty(c.cart().channel.as_ref()))
        .says("Where it is filled: `web`, `app`.");
    author.text("location", |c: &mut CartView| or_empty(c.cart().location.as_ref())).says("The place.");
    author.property("at", Type::Moment, |c: &mut CartView| c.at).says("When it was changed.");
    author.property("items", Type::Items, |c: &mut CartView| Items::new(c.lines())).says("Its lines.");
    author
        .function("spent_on", Type::Decimal, |c: &mut CartView, category: Text| c.lines().spent_on(&category))
        .role(Role::Category)
        .says("Money for one category.");
    author
        .function("count_of", Type::Decimal, |c: &mut CartView, category: Text| c.lines().count_of(&category))
        .role(Role::Category)
        .says("How many things of one category.");
    author.text("id", |s: &mut SessionView| s.id()).says("The session's id.");
    author
        .text("channel", |s: &mut SessionView| s.channel())
        .says("Where it was started: `kiosk`, `app`. Of the start only.");
    author.text("location", |s: &mut SessionView| s.location()).says("The place.");
    author.property("at", Type::Moment, |s: &mut SessionView| s.at).says("When.");
}

/// An amount of money from a test's map, where whole numbers are as good as decimals.
pub(super) fn money(value: &Dynamic) -> Option<Money> {
    let amount = value.as_decimal().or_else(|_| value.as_int().map(Decimal::from)).ok()?;
    Some(Money::new(amount))
}
