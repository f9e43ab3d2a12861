//! What snapshots and refunds of one order come to, in whatever order they arrive.

use std::sync::Arc;

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::domain::money::Points;
use crate::domain::terms::earning::{Discounts, Earning, Part};

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn cents(cents: i64) -> Money {
    Money::new(Decimal::new(cents, 2))
}

/// A line of `sku` and category, so many of it at a price.
fn item(sku: &str, category: &str, quantity: &str, price: &str) -> Item {
    Item {
        sku: Some(name(sku)),
        name: None,
        category: Some(name(category)),
        quantity: money(quantity),
        price: money(price),
        customized: None,
    }
}

fn order(total: &str, items: Vec<Item>) -> Order {
    let json = format!(r#"{{"order_id":"o1","total":{total},"items":[]}}"#);
    Order { items, ..serde_json::from_str(&json).unwrap() }
}

fn stamp(version: i64, step: Step) -> Stamp {
    Stamp { version: Some(version), at: Timestamp::UNIX_EPOCH, step }
}

/// A completed order that earned so much.
fn completed(order: Order, earned: i64) -> OrderRecord {
    let mut record = OrderRecord::unseen(order.order_id.clone());
    record.see(stamp(1, Step::Completed), Some(&Arc::new(order)));
    record.earn(Origin { wallet: &name("points"), campaign: None }, Points(earned));
    record
}

fn line(which: WhichLine, quantity: Option<&str>) -> ReturnedLine {
    ReturnedLine { which, quantity: quantity.map(money) }
}

fn sku(text: &str) -> WhichLine {
    WhichLine::Sku(name(text))
}

/// What the record says must move in its only wallet.
fn moved(record: &mut OrderRecord) -> i64 {
    record.settle().into_iter().map(|due| due.change.0).sum()
}

#[test]
fn what_earns_is_the_total_less_what_the_program_leaves_out() {
    let full = Order {
        tax: Some(money("2.00")),
        tip: Some(money("3.00")),
        delivery_fee: Some(money("4.00")),
        service_charge: Some(money("1.50")),
        gift_card: Some(money("10.00")),
        discount: Some(money("5.00")),
        ..order("40.50", vec![item("a", "food", "2", "10.00"), item("b", "gifts", "0.5", "30.01")])
    };
    let lean = order("40.50", Vec::new());
    let leaving_out =
        |parts: &[Part]| Earning { left_out: parts.iter().copied().collect(), ..Earning::default() };
    let excluding =
        |category: &str| Earning { excluded_categories: [name(category)].into(), ..leaving_out(&[]) };
    let everything = Earning { discounts: Discounts::Earn, ..leaving_out(&[]) };
    for (earning, eligible) in [
        (leaving_out(&[]), "40.50"),
        (leaving_out(&[Part::Tax]), "38.50"),
        (leaving_out(&[Part::Tips]), "37.50"),
        (leaving_out(&[Part::DeliveryFees]), "36.50"),
        (leaving_out(&[Part::ServiceCharges]), "39.00"),
        (leaving_out(&[Part::GiftCards]), "30.50"),
        (leaving_out(&Part::ALL), "20.00"),
        (everything, "45.50"),
        (excluding("gifts"), "25.495"),
        (excluding("food"), "20.50"),
        (excluding("drinks"), "40.50"),
        (
            Earning { excluded_categories: [name("food"), name("gifts")].into(), ..leaving_out(&Part::ALL) },
            "0",
        ),
    ] {
        assert_eq!(full.eligible(&earning), eligible.parse().unwrap(), "{earning:?}");
    }
    assert_eq!(
        lean.eligible(&leaving_out(&Part::ALL)),
        "40.50".parse().unwrap(),
        "what is not said is nothing"
    );
}

#[test]
fn half_a_refund_takes_half_the_points() {
    let mut record = completed(order("10.00", Vec::new()), 10);
    record.give_back(&Back::Amount(money("5.00")));
    assert_eq!((moved(&mut record), moved(&mut record)), (-5, 0));
    assert_eq!(record.spend(), Some(money("5.00")));
}

#[test]
fn a_line_takes_its_part_of_what_earns() {
    let lines = || {
        vec![
            item("a", "food", "2", "5.00"),
            item("gift", "gifts", "1", "70.00"),
            item("a", "food", "1", "20.00"),
        ]
    };
    let gifts = Earning { excluded_categories: [name("gifts")].into(), ..Earning::default() };
    for (back, takes, refunded) in [
        (vec![line(WhichLine::Number(1), None)], 10, "10.00"),
        (vec![line(WhichLine::Number(1), Some("1"))], 5, "5.00"),
        (vec![line(WhichLine::Number(1), Some("9"))], 10, "10.00"),
        (vec![line(WhichLine::Number(3), None)], 20, "20.00"),
        (vec![line(WhichLine::Number(4), None)], 0, "0"),
        (vec![line(sku("gift"), None)], 0, "70.00"),
        (vec![line(sku("a"), Some("2"))], 10, "10.00"),
        (vec![line(sku("a"), Some("2.5"))], 20, "20.00"),
        (vec![line(sku("a"), None)], 30, "30.00"),
        (vec![line(sku("a"), Some("1")), line(WhichLine::Number(1), Some("1"))], 10, "10.00"),
        (vec![line(sku("b"), None)], 0, "0"),
        // All of it, and so the tax too.
        (vec![line(sku("a"), None), line(sku("gift"), None)], 30, "108.00"),
    ] {
        let mut record = completed(order("108.00", lines()), 30);
        record.bar(&gifts);
        record.give_back(&Back::Lines(back.clone()));
        assert_eq!(moved(&mut record), -takes, "{back:?}");
        assert_eq!(record.refunded(), Some(money(refunded)), "{back:?}");
    }
}

#[test]
fn lines_that_come_back_one_by_one_give_the_whole() {
    let mut record = completed(order("10.00", vec![item("a", "food", "3", "3.00")]), 10);
    let mut taken = Vec::new();
    for _ in 0..4 {
        record.give_back(&Back::Lines(vec![line(sku("a"), Some("1"))]));
        taken.push(-moved(&mut record));
    }
    assert_eq!(taken, [4, 3, 3, 0]);
    assert_eq!(record.refunded(), Some(money("10.00")));
}

#[test]
fn amounts_and_lines_add_up_and_never_beyond_the_order() {
    let mut record =
        completed(order("10.00", vec![item("a", "food", "1", "4.00"), item("b", "food", "1", "6.00")]), 100);
    record.give_back(&Back::Amount(money("5.00")));
    record.give_back(&Back::Lines(vec![line(sku("a"), None)]));
    assert_eq!(moved(&mut record), -90);
    record.give_back(&Back::Lines(vec![line(sku("b"), None)]));
    assert_eq!(moved(&mut record), -10);
    assert_eq!(record.spend(), Some(Money::ZERO));
}

#[test]
fn an_order_of_nothing_that_earned_goes_back_when_it_is_all_given_back() {
    let mut record = completed(order("0", vec![item("a", "food", "0", "5.00")]), 10);
    record.give_back(&Back::Amount(Money::ZERO));
    assert_eq!(moved(&mut record), 0);
    record.give_back(&Back::Full);
    assert_eq!(moved(&mut record), -10);
}

#[test]
fn an_order_that_is_completed_again_after_it_was_cancelled_earns_anew() {
    let mut record = completed(order("10.00", Vec::new()), 10);
    record.see(stamp(2, Step::Cancelled), None);
    assert_eq!((moved(&mut record), record.spend()), (-10, None));
    record.see(stamp(3, Step::Completed), Some(&Arc::new(order("7.00", Vec::new()))));
    record.earn(Origin { wallet: &name("points"), campaign: None }, Points(7));
    assert_eq!((moved(&mut record), record.spend()), (0, Some(money("7.00"))));
}

#[test]
fn versions_decide_then_time_then_the_life_of_an_order() {
    let at = |micros| Timestamp::from_timestamp_micros(micros).unwrap();
    let by_time = |micros, step| Stamp { version: None, at: at(micros), step };
    let sorted = [
        by_time(1, Step::Cancelled),
        by_time(2, Step::Created),
        by_time(2, Step::Updated),
        by_time(2, Step::Completed),
        Stamp { version: Some(0), ..by_time(0, Step::Created) },
        Stamp { version: Some(1), ..by_time(0, Step::Created) },
        Stamp { version: Some(1), ..by_time(1, Step::Created) },
        Stamp { version: Some(2), ..by_time(0, Step::Created) },
    ];
    assert!(sorted.is_sorted(), "{sorted:?}");
}

#[test]
fn what_is_remembered_survives_the_store() {
    let details = Some(r#"{"guests":2}"#.parse().unwrap());
    let items = vec![item("a", "food", "0.5", "3.00"), item("b", "gifts", "1", "3.00")];
    let mut record = completed(Order { experience_details: details, ..order("10.00", items) }, 10);
    record.bar(&Earning { excluded_categories: [name("gifts")].into(), ..Earning::default() });
    record.give_back(&Back::Amount(money("1.10")));
    record.give_back(&Back::Lines(vec![line(sku("a"), Some("0.25")), line(WhichLine::Number(2), None)]));
    record.settle();
    record.left_unsettled("a", Settled::Never);
    record.left_unsettled("b", Settled::UpTo(record.order().unwrap().clone()));
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<OrderRecord>(&json).unwrap(), record, "{json}");
}

#[test]
fn things_are_counted_and_what_is_weighed_is_one() {
    let items = vec![
        item("a", "food", "2", "5.00"),
        item("b", "food", "0.350", "5.00"),
        item("c", "food", "3.0", "1"),
    ];
    assert_eq!(OrderTold::of(Arc::new(order("1", items)), None).item_count, 6);
}

#[test]
fn a_line_is_what_its_category_or_its_article_says() {
    let latte = item("latte", "coffee", "1", "4.00");
    let category = |text| Which::Category(name(text));
    for (which, is) in [
        (Which::Any, true),
        (category("coffee"), true),
        (category("latte"), false),
        (Which::Sku(name("latte")), true),
        (Which::Sku(name("coffee")), false),
    ] {
        assert_eq!(latte.is(&which), is, "{which:?}");
    }
}

#[test]
fn a_snapshot_is_news_when_it_is_the_newest_or_says_whether_the_order_counts() {
    let order = Arc::new(order("10.00", Vec::new()));
    let mut record = OrderRecord::unseen(order.order_id.clone());
    for (version, step, is_news) in [
        (2, Step::Updated, true),
        (1, Step::Created, false),
        (1, Step::Completed, true),
        (1, Step::Completed, false),
        (3, Step::Updated, true),
    ] {
        assert_eq!(record.see(stamp(version, step), Some(&order)), is_news, "{version} {step:?}");
    }
    assert!(record.see(stamp(4, Step::Cancelled), None));
    assert!(!record.see(stamp(4, Step::Cancelled), None));
    assert!(!record.see(stamp(5, Step::Updated), None), "nothing is said of the order");
}

#[test]
fn a_refund_alone_is_worth_its_amount_its_lines_or_the_whole_order() {
    let items = vec![item("a", "food", "2", "3.00"), item("b", "food", "1", "5.00")];
    let record = completed(order("12.00", items), 0);
    let unseen = OrderRecord::unseen(record.order_id.clone());
    let two = Back::Lines(vec![line(sku("a"), None)]);
    assert_eq!((record.worth(&two), unseen.worth(&two)), (Some(money("6.00")), None));
    assert_eq!((record.worth(&Back::Full), unseen.worth(&Back::Full)), (Some(money("12.00")), None));
    let amount = Back::Amount(money("2.50"));
    assert_eq!((record.worth(&amount), unseen.worth(&amount)), (Some(money("2.50")), Some(money("2.50"))));
}

#[test]
fn what_may_name_the_guest_is_forgotten_wherever_it_stands() {
    let session = Some(name("s-1"));
    let details: Option<JsonObject> = Some(r#"{"guests":2}"#.parse().unwrap());
    let plain = order("10.00", Vec::new());
    for (session_id, experience_details) in
        [(None, None), (session.clone(), None), (None, details.clone()), (session, details)]
    {
        let may_name = session_id.is_some() || experience_details.is_some();
        let named = Order { session_id, experience_details, ..plain.clone() };
        let mut record = completed(named, 0);
        assert_eq!(record.forget_person(), may_name);
        assert_eq!(**record.order().unwrap(), plain);
    }
}

#[test]
fn lines_that_an_order_does_not_have_are_named_once_it_is_known() {
    let back =
        Back::Lines(vec![line(sku("a"), None), line(sku("b"), None), line(WhichLine::Number(2), None)]);
    let record = completed(order("4.00", vec![item("a", "food", "1", "4.00")]), 0);
    let unknown: Vec<_> = record.unknown_lines(&back).cloned().collect();
    assert_eq!(unknown, [sku("b"), WhichLine::Number(2)]);
    assert_eq!(OrderRecord::unseen(record.order_id).unknown_lines(&back).count(), 0);
}

/// A refund that may be anything.
fn back() -> impl Strategy<Value = Back> {
    let which = prop_oneof![
        prop::sample::select(vec!["a", "b", "c"]).prop_map(sku),
        (1..5_usize).prop_map(WhichLine::Number),
    ];
    let quantity = prop::option::of((0..4_000_i64).prop_map(|n| Money::new(Decimal::new(n, 3))));
    let line = (which, quantity).prop_map(|(which, quantity)| ReturnedLine { which, quantity });
    prop_oneof![
        1 => Just(Back::Full),
        6 => (0..3_000_i64).prop_map(|n| Back::Amount(cents(n))),
        6 => prop::collection::vec(line, 1..4).prop_map(Back::Lines),
    ]
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let any_item = (0..3_usize, 0..3_i64, 0..2_000_i64).prop_map(|(at, quantity, price)| Item {
        quantity: Money::new(Decimal::from(quantity)),
        price: cents(price),
        ..item(["a", "b", "c"][at], ["food", "gifts", "food"][at], "1", "1")
    });
    prop::collection::vec(any_item, 0..4)
}

proptest! {
    #[test]
    fn refunds_in_any_parts_take_back_exactly_what_the_order_earned(
        total in 1_i64..1_000_000, earned in 0_i64..1_000_000, cuts in prop::collection::vec(1_i64..1_000_000, 0..8),
    ) {
        let mut record = completed(order(&cents(total).to_string(), Vec::new()), earned);
        let (mut asked, mut taken) = (0_i128, 0);
        for cut in cuts.into_iter().chain([1_000_000]) {
            record.give_back(&Back::Amount(cents(cut)));
            asked = (asked + i128::from(cut)).min(total.into());
            taken -= moved(&mut record);
            prop_assert_eq!(moved(&mut record), 0, "nothing is taken twice");
            let keeps = i128::from(earned) * (i128::from(total) - asked) / i128::from(total);
            prop_assert_eq!(i128::from(taken), i128::from(earned) - keeps);
        }
        prop_assert_eq!(taken, earned);
        prop_assert_eq!(record.refunded(), Some(cents(total)));
    }

    #[test]
    fn refunds_in_any_order_come_to_the_same(
        total in 0_i64..5_000, items in items(), earned in 0_i64..1_000, refunds in prop::collection::vec(back(), 0..6),
        seed in any::<prop::sample::Index>(),
    ) {
        let order = order(&cents(total).to_string(), items);
        let gifts = Earning { excluded_categories: [name("gifts")].into(), ..Earning::default() };
        let mut one = completed(order, earned);
        one.bar(&gifts);
        let mut other = one.clone();
        let mut shuffled = refunds.clone();
        shuffled.rotate_left(seed.index(refunds.len() + 1).min(refunds.len()));
        let (mut left, mut spend) = (earned, one.spend());
        for back in &refunds {
            one.give_back(back);
            let change = moved(&mut one);
            prop_assert!(change <= 0, "a refund never gives");
            left += change;
            prop_assert!((0..=earned).contains(&left));
            prop_assert!(Some(Money::ZERO) <= one.spend() && one.spend() <= spend);
            spend = one.spend();
        }
        for back in &shuffled {
            other.give_back(back);
        }
        prop_assert_eq!(moved(&mut other), left - earned);
        prop_assert_eq!(other.spend(), one.spend());
    }

    #[test]
    fn what_earns_is_never_less_than_nothing(
        total in 0_i64..1_000_000_000_000_000, tax in 0_i64..1_000_000, items in items(),
    ) {
        let order = Order { tax: Some(cents(tax)), ..order(&cents(total).to_string(), items) };
        let earning = Earning {
            left_out: Part::ALL.into(),
            discounts: Discounts::Lost,
            excluded_categories: [name("food"), name("gifts")].into(),
        };
        let eligible = order.eligible(&earning);
        prop_assert!(Decimal::ZERO <= eligible && eligible <= order.total.decimal());
    }
}
