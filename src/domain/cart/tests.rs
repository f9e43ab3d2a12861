use proptest::prelude::*;

use super::*;

fn at(minute: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::minutes(minute)
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn line(name: &str, quantity: &str, price: &str) -> Item {
    Item {
        sku: None,
        name: Some(Name::parse(name).unwrap()),
        category: None,
        quantity: quantity.parse().unwrap(),
        price: price.parse().unwrap(),
        customized: None,
    }
}

fn empty(id: &str, version: Option<i64>) -> Cart {
    Cart {
        cart_id: key(id),
        version,
        channel: None,
        location: None,
        session_id: None,
        value: Money::ZERO,
        item_count: 0,
        items: Vec::new(),
        lines_left_out: 0,
    }
}

fn cart(id: &str, version: Option<i64>, price: &str) -> Cart {
    empty(id, version).with_lines(vec![line("Power Bowl", "1", price)], None)
}

const HOUR: Duration = Duration::hours(1);

/// Ids and values of what is abandoned by then.
fn abandoned(carts: &mut Carts, minute: i64) -> Vec<(String, String)> {
    let told = carts.abandon(HOUR, at(minute));
    told.iter().map(|told| (told.cart.cart_id.to_string(), told.cart.value.to_string())).collect()
}

fn pair(id: &str, value: &str) -> (String, String) {
    (id.to_owned(), value.to_owned())
}

#[test]
fn a_cart_without_an_order_is_told_once_and_for_good() {
    let mut carts = Carts::default();
    assert_eq!(carts.see(&cart("a", None, "14.50"), at(0), at(0)), Sight::Taken(None));
    assert_eq!(carts.deadline(HOUR), Some(at(60)));
    assert_eq!(abandoned(&mut carts, 59), []);
    assert_eq!(abandoned(&mut carts, 60), [pair("a", "14.50")]);
    assert_eq!((abandoned(&mut carts, 999), carts.deadline(HOUR)), (vec![], None));
    assert_eq!(carts.see(&cart("a", Some(9), "1"), at(70), at(70)), Sight::Settled);
}

#[test]
fn the_highest_version_wins_and_among_equals_the_latest() {
    for (first, second, wins) in [
        ((Some(2), 0), (Some(1), 5), "first"),
        ((Some(1), 5), (Some(2), 0), "second"),
        ((Some(1), 0), (None, 5), "first"),
        ((None, 5), (Some(1), 0), "second"),
        ((None, 0), (None, 5), "second"),
        ((None, 5), (None, 0), "first"),
        ((Some(1), 5), (Some(1), 5), "first"),
    ] {
        let mut carts = Carts::default();
        carts.see(&cart("a", first.0, "1"), at(first.1), at(6));
        let sight = carts.see(&cart("a", second.0, "2"), at(second.1), at(6));
        let (seen, value) = match wins {
            "first" => (Sight::Older, "1"),
            _ => (Sight::Taken(None), "2"),
        };
        assert_eq!(sight, seen, "{first:?} {second:?}");
        assert_eq!(abandoned(&mut carts, 99), [pair("a", value)]);
    }
}

#[test]
fn every_change_starts_the_waiting_anew_and_late_news_are_waited_for_too() {
    let mut carts = Carts::default();
    carts.see(&cart("a", None, "1"), at(0), at(0));
    carts.see(&cart("a", None, "2"), at(30), at(30));
    assert_eq!(carts.deadline(HOUR), Some(at(90)));
    carts.see(&cart("a", None, "3"), at(31), at(500));
    assert_eq!(carts.deadline(HOUR), Some(at(560)), "it reached us late");
}

#[test]
fn an_order_ends_what_was_put_together_before_it() {
    let mut carts = Carts::default();
    carts.see(&cart("a", None, "1"), at(0), at(0));
    carts.see(&cart("b", None, "2"), at(20), at(20));
    carts.order(at(10), None);
    assert_eq!(abandoned(&mut carts, 99), [pair("b", "2")]);
    assert_eq!(carts.see(&cart("c", None, "3"), at(10), at(99)), Sight::Ordered, "it comes late");
    assert_eq!(carts.see(&cart("a", None, "4"), at(11), at(99)), Sight::Taken(None), "the next round");
}

#[test]
fn an_order_that_names_its_cart_ends_it_whatever_the_clocks_say() {
    let mut carts = Carts::default();
    carts.see(&cart("a", None, "1"), at(20), at(20));
    carts.order(at(10), Some(&key("a")));
    carts.order(at(10), Some(&key("b")));
    assert_eq!(carts.deadline(HOUR), None);
    assert_eq!(carts.see(&cart("a", Some(7), "1"), at(30), at(30)), Sight::Settled);
    assert_eq!(carts.see(&cart("b", None, "1"), at(30), at(30)), Sight::Settled, "the order came first");
}

#[test]
fn what_was_told_is_not_told_again_after_an_order() {
    let mut carts = Carts::default();
    carts.see(&cart("a", None, "1"), at(0), at(0));
    assert_eq!(abandoned(&mut carts, 60).len(), 1);
    carts.order(at(70), None);
    assert_eq!(carts.see(&cart("a", None, "2"), at(80), at(80)), Sight::Settled);
}

#[test]
fn an_emptied_cart_is_not_abandoned_until_something_is_in_it_again() {
    let mut carts = Carts::default();
    carts.see(&cart("a", Some(1), "1"), at(0), at(0));
    assert_eq!(carts.see(&empty("a", Some(3)), at(1), at(1)), Sight::Taken(None));
    assert_eq!(carts.deadline(HOUR), None);
    assert_eq!(carts.see(&cart("a", Some(2), "1"), at(2), at(2)), Sight::Older);
    assert_eq!(carts.see(&cart("a", Some(4), "5"), at(3), at(3)), Sight::Taken(None));
    assert_eq!(abandoned(&mut carts, 99), [pair("a", "5")]);
}

#[test]
fn the_cart_that_was_quiet_the_longest_makes_room() {
    let mut carts = Carts::default();
    for (minute, id) in ["a", "b", "c"].into_iter().enumerate() {
        carts.see(&cart(id, None, "1"), at(minute as i64), at(0));
    }
    carts.see(&cart("a", None, "2"), at(5), at(5));
    assert_eq!(carts.see(&cart("d", None, "3"), at(6), at(6)), Sight::Taken(Some(key("b"))));
    assert_eq!(abandoned(&mut carts, 99), [pair("c", "1"), pair("a", "2"), pair("d", "3")]);
    (0..50).for_each(|n| carts.order(at(100), Some(&key(&format!("o{n}")))));
    assert_eq!(carts.known.len(), MAX_KNOWN);
}

#[test]
fn a_cart_says_what_it_is_worth_even_where_its_lines_are_too_many() {
    let few = empty("a", None).with_lines(vec![line("Bowl", "2", "14.50"), line("Ham", "0.25", "8")], None);
    assert_eq!((few.value.to_string(), few.item_count, few.lines_left_out), ("31.00".to_owned(), 3, 0));
    let said = empty("a", None).with_lines(vec![line("Bowl", "2", "14.50")], Some("27".parse().unwrap()));
    assert_eq!(said.value.to_string(), "27");
    let many = empty("a", None).with_lines(vec![line(&"x".repeat(160), "1", "1"); 1_000], None);
    assert_eq!((many.items.len(), many.lines_left_out), (5, 995));
    assert_eq!((many.item_count, many.value.to_string()), (1_000, "1000".to_owned()));
    assert!(!many.is_empty() && empty("a", None).is_empty());
}

proptest! {
    /// Whatever comes in whatever order: bounded, no cart told twice, none after the order that named it.
    #[test]
    fn carts_stay_few_and_none_is_told_twice(
        steps in prop::collection::vec((0..6_usize, 0..4_u8, 0..200_i64), 1..60),
    ) {
        let mut carts = Carts::default();
        let mut told: Vec<(String, i64)> = Vec::new();
        let mut now = 0;
        for (which, what, minutes) in steps {
            let id = ["a", "b", "c", "d", "e", "f"][which];
            now += minutes / 4;
            match what {
                0 | 1 => { carts.see(&cart(id, None, "1"), at(now - minutes % 7), at(now)); }
                2 => carts.order(at(now - minutes % 7), (minutes % 2 == 0).then(|| key(id)).as_ref()),
                _ => told.extend(abandoned(&mut carts, now).into_iter().map(|(id, _)| (id, now))),
            }
            let open = carts.known.iter().filter(|known| known.is_open()).count();
            prop_assert!(open <= MAX_OPEN && carts.known.len() <= MAX_KNOWN);
        }
        let mut ids: Vec<_> = told.iter().map(|(id, _)| id).collect();
        ids.sort();
        let all = ids.len();
        ids.dedup();
        prop_assert_eq!(ids.len(), all, "told twice: {:?}", told);
    }
}
