//! What is left of a member in the log once they were erased: what happened, how much, when; not to whom.
//!
//! What is kept is named, field by field ([`kept`]), so that whatever is new tomorrow is forgotten unless somebody says
//! that it may stay.

mod kept;

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::ids::MemberId;
use super::loyalty_event::EventType;
use super::referral::Side;
use super::source_event::SourceType;
use kept::{Fields, Keep};

type Object<'a> = BTreeMap<String, &'a RawValue>;
type Left<'a> = BTreeMap<&'a str, Box<RawValue>>;

/// A loyalty event's message without the person. `None` when it is not what we wrote.
pub fn message_without_person(kind: EventType, json: &str, member: MemberId) -> Option<String> {
    let message: Object<'_> = serde_json::from_str(json).ok()?;
    let mut left = only(&message, kept::EVENT);
    left.extend(message.get("member").map(|told| ("member", figures(told, member))));
    left.extend(message.get("data").and_then(|data| Some(("data", within(data, kept::of_told(kind))?))));
    serde_json::to_string(&left).ok()
}

/// A receipt without the person. `None` when it is not what we wrote.
pub fn receipt_without_person(json: &str, member: MemberId) -> Option<String> {
    let receipt: Object<'_> = serde_json::from_str(json).ok()?;
    let mut left = only(&receipt, kept::RECEIPT);
    left.extend(receipt.get("member").map(|told| ("member", figures(told, member))));
    serde_json::to_string(&left).ok()
}

/// What was told of a referral to the other side, without this side. `None` when it is not what we wrote.
pub fn referral_without(json: &str, side: Side) -> Option<String> {
    let mut message: Object<'_> = serde_json::from_str(json).ok()?;
    let mut data: Object<'_> = serde_json::from_str(message.get("data")?.get()).ok()?;
    let erased = raw(&"erased");
    match side {
        Side::Sender => {
            for field in ["sender_first_name", "sender_email", "code", "link"] {
                data.remove(field);
            }
            data.insert("sender_id".to_owned(), &erased);
        }
        Side::Receiver => drop(data.insert("receiver_id".to_owned(), &erased)),
    }
    let data = raw(&data);
    message.insert("data".to_owned(), &data);
    serde_json::to_string(&message).ok()
}

/// The body of a source event without the person. `None` when it cannot be read.
pub fn body_without_person(json: &str, member: MemberId) -> Option<String> {
    let body: Object<'_> = serde_json::from_str(json).ok()?;
    let kind: String = body.get("type").and_then(|kind| serde_json::from_str(kind.get()).ok())?;
    let fields = kind.parse::<SourceType>().map_or(&[][..], kept::of_source);
    let mut left = only(&body, kept::SOURCE);
    left.extend(body.get("member").map(|_| ("member", raw(&BTreeMap::from([("id", member)])))));
    left.extend(body.get("data").and_then(|data| Some(("data", within(data, fields)?))));
    serde_json::to_string(&left).ok()
}

/// What a source event says in its `data` that may stay: without what a blank would stand for.
pub fn what_may_stay(kind: SourceType, json: &str) -> serde_json::Map<String, serde_json::Value> {
    let body: Object<'_> = serde_json::from_str(json).unwrap_or_default();
    let data: Object<'_> =
        body.get("data").and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default();
    let fields: Vec<_> =
        kept::of_source(kind).iter().copied().filter(|(_, keep)| !matches!(keep, Keep::Blank(_))).collect();
    let left = only(&data, &fields).into_iter();
    left.filter_map(|(name, value)| Some((name.to_owned(), serde_json::from_str(value.get()).ok()?)))
        .collect()
}

/// What is told of a member that does not name them, and our id of them.
fn figures(told: &RawValue, member: MemberId) -> Box<RawValue> {
    let told: Object<'_> = serde_json::from_str(told.get()).unwrap_or_default();
    let mut left = only(&told, kept::MEMBER);
    left.insert("id", raw(&member));
    left.extend(told.get("member_id").map(|_| ("member_id", raw(&member))));
    raw(&left)
}

/// The fields of an object that may stay.
fn only<'a>(object: &Object<'_>, fields: &[(&'a str, Keep)]) -> Left<'a> {
    let field = |(name, keep): &(&'a str, Keep)| {
        let value = *object.get(*name)?;
        let left = match keep {
            Keep::Whole => value.to_owned(),
            Keep::Only(fields) => within(value, fields)?,
            Keep::Blank(blank) => RawValue::from_string((*blank).to_owned()).ok()?,
        };
        Some((*name, left))
    };
    fields.iter().filter_map(field).collect()
}

/// What may stay of an object, or of each in a list. `None` for anything else.
fn within(value: &RawValue, fields: Fields) -> Option<Box<RawValue>> {
    if let Ok(object) = serde_json::from_str::<Object<'_>>(value.get()) {
        return Some(raw(&only(&object, fields)));
    }
    let list: Vec<Object<'_>> = serde_json::from_str(value.get()).ok()?;
    Some(raw(&list.iter().map(|object| only(object, fields)).collect::<Vec<_>>()))
}

fn raw<T: serde::Serialize>(value: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| unreachable!("it came as JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::CommandType;
    use serde_json::{Value, json};

    fn ana() -> MemberId {
        MemberId::new(ulid::Ulid(7))
    }

    fn read(text: Option<String>) -> Value {
        serde_json::from_str(&text.unwrap()).unwrap()
    }

    /// Puts a word of a stranger's into every object, however deep.
    fn sow(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.values_mut().for_each(sow);
                object.insert("nickname".to_owned(), "Anita".into());
            }
            Value::Array(list) => list.iter_mut().for_each(sow),
            _ => {}
        }
    }

    #[test]
    fn every_event_without_the_person_is_as_its_schema_says_and_has_no_word_of_theirs() {
        const THEIRS: [&str; 24] = [
            "m-41",
            "m-42",
            "m-43",
            "Ana",
            "Suárez",
            "Ben",
            "@example.com",
            "30123456",
            "1990",
            "02-28",
            "sess_",
            "cart_5",
            "7MKQX3TB9WZC\"",
            "friend",
            "Same household",
            "No longer wanted",
            "guest did not come",
            "payment_captured",
            "exp_7",
            "Goodwill",
            "Points per dollar",
            "GIFT-7QX2",
            "lunch",
            "Anita",
        ];
        for kind in EventType::ALL.iter().copied().filter(|kind| kind.is_about_member()) {
            let told: Value = serde_json::from_str(&kind.example().to_json()).unwrap();
            let validator = jsonschema::validator_for(kind.schema().as_value()).unwrap();
            assert!(validator.is_valid(&told), "{kind}");
            let left = read(message_without_person(kind, &told.to_string(), ana()));
            let wrong: Vec<_> =
                validator.iter_errors(&left).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(wrong.is_empty(), "{kind}: {wrong:?} {left}");
            let mut sown = told.clone();
            sow(&mut sown["member"]);
            sow(&mut sown["data"]);
            sown["nickname"] = "Anita".into();
            let left = read(message_without_person(kind, &sown.to_string(), ana())).to_string();
            let found: Vec<_> = THEIRS.iter().filter(|word| left.contains(**word)).collect();
            assert!(found.is_empty(), "{kind}: {found:?} {left}");
        }
    }

    #[test]
    fn nothing_stays_of_a_source_event_that_nobody_said_may_stay() {
        let kinds =
            SourceType::ALL.into_iter().chain(CommandType::ALL.iter().map(|kind| SourceType::Command(*kind)));
        for kind in kinds {
            let body = json!({ "key": "k1", "type": kind.as_str(), "member": { "email": "ana@example.com" }, "nickname": "Anita",
                "data": { "nickname": "Anita", "reason": "Ana's mother", "status": "for Ana", "receipt_code": "ANA-1",
                    "first_name": "Ana", "session_id": "ana-s", "custom_attributes": { "for": "Ana" }, "from": "ana",
                    "items": [{ "sku": "c1", "nickname": "Anita" }], "receiver_id": "ana", "cart_id": "ana-c" } });
            let left = read(body_without_person(&body.to_string(), ana()));
            let text = left.to_string().to_lowercase();
            assert!(!text.contains("ana") && !text.contains("anita"), "{left}");
            assert_eq!((&left["key"], &left["member"]), (&json!("k1"), &json!({ "id": ana() })), "{left}");
        }
    }

    #[test]
    fn a_message_keeps_what_happened_and_loses_to_whom() {
        let told = r#"{"id":"evt_1","type":"order.completed","timestamp":"t","chain":"harvest",
            "member":{"id":"ana","email":"ana@example.com","phone":"+1","points":74,"nickname":"A"},
            "data":{"order_id":"o1","total":24.50,"session_id":"s","experience_details":{"for":"Ana"},"source_event":"o1"}}"#;
        assert_eq!(
            read(message_without_person(EventType::OrderCompleted, told, ana())),
            json!({ "id": "evt_1", "type": "order.completed", "timestamp": "t", "chain": "harvest",
                "member": { "id": ana(), "points": 74 },
                "data": { "order_id": "o1", "total": 24.50, "source_event": "o1" } })
        );
    }

    #[test]
    fn what_is_known_of_a_person_goes_altogether() {
        let told = r#"{"member":{"id":"ana"},"data":{"profile":{"first_name":"Ana"},"source_event":"u1"}}"#;
        let left = read(message_without_person(EventType::MemberUpdated, told, ana()));
        assert_eq!(left["data"], json!({ "profile": {}, "source_event": "u1" }));
    }

    #[test]
    fn a_body_names_the_member_by_our_id_alone() {
        let body = r#"{"key":"o1","type":"order.completed","member":{"email":"ana@example.com"},"data":{"order_id":"o1","total":"24.50"}}"#;
        let left = read(body_without_person(body, ana()));
        assert_eq!((&left["member"], &left["data"]["total"]), (&json!({ "id": ana() }), &json!("24.50")));
        let create = r#"{"type":"member.create","data":{"first_name":"Ana","email":"ana@example.com"}}"#;
        assert_eq!(read(body_without_person(create, ana()))["data"], json!({}));
    }

    #[test]
    fn what_one_side_of_a_referral_was_told_loses_the_other_side_alone() {
        let told = r#"{"id":"evt_1","member":{"id":"ana"},"data":{"sender_id":"ben","sender_email":"b@c.org",
            "sender_first_name":"Ben","code":"7MKQ","link":"https://x.test/7MKQ","receiver_id":"ana","role":"receiver"}}"#;
        let without = |side| read(referral_without(told, side));
        let left = json!({ "sender_id": "erased", "receiver_id": "ana", "role": "receiver" });
        assert_eq!(
            (&without(Side::Sender)["data"], &without(Side::Sender)["member"]["id"]),
            (&left, &json!("ana"))
        );
        let left = without(Side::Receiver);
        assert_eq!(
            (&left["data"]["receiver_id"], &left["data"]["sender_email"]),
            (&json!("erased"), &json!("b@c.org"))
        );
    }

    #[test]
    fn a_receipt_forgets_its_notes() {
        let receipt = r#"{"id":"src_1","status":"processed","member":{"id":"ana","points":1},"notes":["email a@b.c was left"],
            "errors":[{"rule":"Gift","at":"a.rhai:1:1","error":"`Ana` is no number","reacted_to":{"type":"referral.approved","data":{"receiver_id":"ana"}}}]}"#;
        let left = read(receipt_without_person(receipt, ana()));
        assert_eq!(
            left,
            json!({ "id": "src_1", "status": "processed", "member": { "id": ana(), "points": 1 },
                "errors": [{ "rule": "Gift", "at": "a.rhai:1:1", "error": "erased" }] })
        );
    }
}
