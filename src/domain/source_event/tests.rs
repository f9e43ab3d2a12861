//! What is taken, what is refused, and where the fault lies.

use super::*;
use crate::domain::identity::IdentityKind;
use proptest::prelude::*;

fn parse(body: &str) -> Result<SourceEvent, BadEvent> {
    SourceEvent::parse(body.as_bytes(), &"USD".parse().unwrap(), "2026-03-03T19:00:00Z".parse().unwrap())
}

const ORDER: &str = r#"{ "key": "ORD-1001", "type": "order.completed", "occurred_at": "2026-03-03T18:30:00Z",
    "member": { "id": "m-42", "email": "Ana@example.com", "phone": "+15551234567", "card": "7001" },
    "location": "loc_philly_walnut",
    "data": { "order_id": "ORD-1001", "total": 24.50, "subtotal": "22.50", "tax": 2.00, "channel": "pos",
        "items": [ { "sku": "dish_001", "name": "Power Bowl", "category": "food", "quantity": 1, "price": 14.50 } ] } }"#;

#[test]
fn the_documented_order_is_understood() {
    let event = parse(ORDER).unwrap();
    assert_eq!(event.kind(), SourceType::OrderCompleted);
    assert_eq!(event.identities.len(), 4);
    assert_eq!(event.identities[0].kind, IdentityKind::Id);
    let SourceData::OrderCompleted(Snapshot { order, version: None, .. }) = event.data else {
        panic!("an order")
    };
    assert_eq!(order.location.as_deref(), Some("loc_philly_walnut"));
    assert_eq!(order.total.to_string(), "24.50");
    assert_eq!(order.items[0].total().to_string(), "14.50");
}

#[test]
fn every_refusal_names_the_field() {
    let deep = format!(r#"{{"type":"visit","data":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
    let long = format!(r#"{{"type":"visit","key":"{}"}}"#, "k".repeat(256));
    let cases: &[(&str, &str)] = &[
        ("", ""),
        ("null", ""),
        ("[]", ""),
        ("{", ""),
        ("\u{feff}{}", ""),
        (r#"{"type":"visit"} x"#, ""),
        (r#"{"type":"visit","key":"a","key":"b"}"#, "key"),
        (r#"{"key":"a"}"#, "type"),
        (r#"{"type":"visit","key":"hash:00"}"#, "key"),
        (r#"{"type":"visit","key":"\ud800"}"#, "key"),
        (r#"{"type":"visit","member":["m-42",null,null,null,null]}"#, "member"),
        (r#"{"type":"visit","data":[null]}"#, "data"),
        (
            r#"{"type":"order.completed","data":{"order_id":"o","total":1,"items":[[null,null,null,1,1]]}}"#,
            "data.items[0]",
        ),
        (r#"{"type":"visit","nonsense":1}"#, "nonsense"),
        (r#"{"type":"visits"}"#, "type"),
        (r#"{"type":"visit","key":"a\u0000b"}"#, "key"),
        (r#"{"type":"visit","key":7}"#, "key"),
        (r#"{"type":"visit","occurred_at":"1970-01-01T00:00:00Z"}"#, "occurred_at"),
        (r#"{"type":"visit","occurred_at":"9999-01-01T00:00:00Z"}"#, "occurred_at"),
        (r#"{"type":"visit","occurred_at":"2026-03-03T18:30:00"}"#, "occurred_at"),
        (r#"{"type":"visit","member":{}}"#, "member"),
        (r#"{"type":"visit","member":{"email":"ana"}}"#, "member.email"),
        (r#"{"type":"visit","member":{"phone":"555"}}"#, "member.phone"),
        (r#"{"type":"visit","data":{"x":1}}"#, "data.x"),
        (r#"{"type":"order.completed","data":{"order_id":"o"}}"#, "data.total"),
        (
            r#"{"type":"order.completed","data":{"order_id":"o","total":123456789012345678901234567890}}"#,
            "data.total",
        ),
        (r#"{"type":"order.completed","data":{"order_id":"o","total":1.005}}"#, "data.total"),
        (r#"{"type":"order.completed","data":{"order_id":"o","total":-1}}"#, "data.total"),
        (r#"{"type":"order.completed","data":{"order_id":"o","total":1e3}}"#, "data.total"),
        (r#"{"type":"order.completed","data":{"order_id":"o","total":1,"total":2}}"#, "data.total"),
        (
            r#"{"type":"order.completed","data":{"order_id":"o","total":1,"items":[{"price":"x"}]}}"#,
            "data.items[0].price",
        ),
        (
            r#"{"type":"order.completed","data":{"order_id":"o","total":1,"items":[{"price":1,"quantity":-1}]}}"#,
            "data.items[0].quantity",
        ),
        (r#"{"type":"order.refunded","data":{"order_id":"","amount":1}}"#, "data.order_id"),
        (r#"{"type":"order.refunded","data":{"order_id":"o"}}"#, "data"),
        (r#"{"type":"order.refunded","data":{"order_id":"o","full":true,"amount":1}}"#, "data"),
        (r#"{"type":"order.refunded","data":{"order_id":"o","full":false}}"#, "data"),
        (r#"{"type":"order.refunded","data":{"order_id":"o","items":[]}}"#, "data.items"),
        (r#"{"type":"order.refunded","data":{"order_id":"o","items":[{"line":0}]}}"#, "data.items[0]"),
        (r#"{"type":"order.refunded","data":{"order_id":"o","items":[{"quantity":1}]}}"#, "data.items[0]"),
        (r#"{"type":"order.created","data":{"order_id":"o","total":1,"version":-1}}"#, "data.version"),
        (r#"{"type":"order.created","data":{"order_id":"o","total":1,"version":1.5}}"#, "data.version"),
        (r#"{"type":"order.updated","data":{"order_id":"o","total":1,"reason":"x"}}"#, "data.reason"),
        (r#"{"type":"order.updated","data":{"order_id":"o"}}"#, "data.total"),
        (r#"{"type":"order.cancelled","data":{"total":1}}"#, "data.order_id"),
        (
            r#"{"type":"order.created","data":{"order_id":"o","total":1,"experience_details":[1]}}"#,
            "data.experience_details",
        ),
        (&deep, "data"),
        (r#"{"type":"menu_item.updated","data":[1]}"#, "data"),
        (r#"{"type":"experience.deleted","data":{"a":1},"member":{"id":"m"}}"#, "member"),
        (&long, "key"),
    ];
    for (body, field) in cases {
        let bad = parse(body).expect_err(body);
        assert_eq!(&bad.field, field, "{body}: {bad}");
    }
}

#[test]
fn an_event_of_more_than_256_kib_is_too_large() {
    let body = format!(r#"{{"type":"visit","key":"{}"}}"#, "k".repeat(MAX_BYTES));
    assert_eq!(parse(&body).unwrap_err().code, BadEventCode::TooLarge);
}

#[test]
fn a_refusal_speaks_of_the_event_and_never_of_our_types() {
    for (body, said) in [
        (
            r#"{"type":"visit","occurred_at":"2026-03-03T18:30"}"#,
            "occurred_at: must be an RFC 3339 instant with its offset, such as 2026-03-03T18:30:00Z",
        ),
        (r#"{"type":"visit","member":"m-42"}"#, "member: must be a JSON object, not a text"),
        (r#"{"type":"visit","key":7}"#, "key: must be a text of 1 to 255 bytes, not the number `7`"),
        (r#"{"type":"visit","data":{"y":1}}"#, "data.y: is not a field here; there is `channel`"),
    ] {
        assert_eq!(parse(body).expect_err(body).to_string(), said);
    }
}

#[test]
fn without_a_key_the_same_body_is_the_same_event_for_a_day_after_the_first() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let event = parse(r#"{"type":"visit","member":{"id":"m"}}"#).unwrap();
    assert_eq!(event.key_origin, KeyOrigin::Body);
    let first = event.key_after(None, at("2026-03-03T19:00:00Z"));
    let seen = Some((first.clone(), at("2026-03-03T19:00:00Z")));
    assert_eq!(event.key_after(seen.clone(), at("2026-03-04T18:59:59Z")), first);
    let second = event.key_after(seen.clone(), at("2026-03-04T19:00:00Z"));
    assert_eq!(event.key_after(seen, at("2026-03-04T19:00:07Z")), second, "whoever is first, one wins");
    assert!(
        second > first
            && second
                < event.key_after(
                    Some((second.clone(), at("2026-03-04T19:00:00Z"))),
                    at("2026-03-09T00:00:00Z")
                )
    );
    let other = parse(r#"{"type":"visit","member":{"id":"n"}}"#).unwrap();
    assert_ne!(other.key, event.key);
}

#[test]
fn what_is_on_offer_comes_as_it_is_under_either_spelling() {
    for word in ["menu_item.update", "menu_item.updated"] {
        let text = format!(r#"{{"type":"{word}","data":{{ "price": 14.50,"tags":["new"] }}}}"#);
        let event = parse(&text).unwrap();
        assert_eq!(event.kind().as_str(), "menu_item.updated");
        let SourceData::Offering(news) = event.data else { panic!("an offering") };
        assert_eq!(news.about.text(), r#"{ "price": 14.50,"tags":["new"] }"#);
    }
    assert_eq!(parse(r#"{"type":"visi"}"#).unwrap_err().field, "type");
    assert!("order.complete".parse::<SourceType>().is_err());
}

#[test]
fn a_key_beside_the_body_serves_when_there_is_none_in_it() {
    let keyless = parse(r#"{"type":"visit"}"#).unwrap();
    let keyed = keyless.clone().or_key("k-1").unwrap();
    assert_eq!((&*keyed.key, keyed.key_origin), ("k-1", KeyOrigin::Sender));
    assert_eq!(&*parse(ORDER).unwrap().or_key("k-1").unwrap().key, "ORD-1001");
    assert!(keyless.clone().or_key("").is_err() && keyless.or_key("hash:00").is_err());
}

/// What is likely to matter to a parser of JSON, and to a database of text.
const PIECES: &[&str] = &[
    "",
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "\\",
    "\\u0000",
    "\\ud800",
    "\\ud83c\\udf5c",
    "\0",
    "\u{feff}",
    "\n",
    " ",
    "-",
    "0",
    "9999999999999999999999999999",
    "1e999",
    "0.001",
    ".",
    "null",
    "true",
    "NaN",
    "\"key\":",
    "\"key\":\"x\",",
    "\"data\":{",
    "\"items\":[",
    "\"total\":",
    "é",
    "\u{202e}",
    "/*",
    "//",
];

/// What was accepted can be stored anywhere.
fn assert_sound(event: &SourceEvent) -> Result<(), TestCaseError> {
    prop_assert!(event.key.len() <= 255 && !event.key.contains('\0'));
    for identity in &event.identities {
        prop_assert!(!identity.value.is_empty() && !identity.value.contains('\0'), "{:?}", identity);
    }
    if let SourceData::OrderCompleted(Snapshot { order, .. }) = &event.data {
        prop_assert!(
            !order.total.decimal().is_sign_negative() && order.total.decimal().normalize().scale() <= 2
        );
        prop_assert!(order.items.len() <= MAX_ITEMS);
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_mutation_of_an_order_makes_the_parser_panic_hang_or_take_poison(
        cuts in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..12_usize, prop::sample::select(PIECES), prop_oneof![9 => 1..3_usize, 1 => 1..40_000_usize]),
            1..6,
        ),
    ) {
        let mut text: Vec<char> = ORDER.chars().collect();
        for (start, length, piece, times) in cuts {
            let start = start.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, piece.repeat(times).chars());
        }
        let text: String = text.into_iter().collect();
        let begun = std::time::Instant::now();
        let parsed = parse(&text);
        prop_assert!(begun.elapsed() < std::time::Duration::from_secs(2), "it took {:?}", begun.elapsed());
        match parsed {
            Ok(event) => assert_sound(&event)?,
            Err(bad) => prop_assert!(!bad.to_string().is_empty()),
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = SourceEvent::parse(&bytes, &"USD".parse().unwrap(), "2026-03-03T19:00:00Z".parse().unwrap());
    }

    #[test]
    fn a_damaged_order_is_refused_or_still_an_order(at in 0..ORDER.len(), with in any::<u8>()) {
        let mut bytes = ORDER.as_bytes().to_vec();
        bytes[at] = with;
        if let Ok(event) = SourceEvent::parse(&bytes, &"USD".parse().unwrap(), "2026-03-03T19:00:00Z".parse().unwrap()) {
            prop_assert!(event.key.len() <= 255);
        }
    }
}
