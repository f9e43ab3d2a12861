//! What is left of a member in the log once they were erased: what happened, how much, when; not to whom.
//!
//! What is kept is named, so that a field that is new tomorrow is forgotten unless somebody says that it may stay.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::ids::MemberId;
use super::referral::Side;

type Object<'a> = BTreeMap<String, &'a RawValue>;

/// Events whose data are about things and amounts: what is personal in them is blanked by name.
const IMPERSONAL: [&str; 8] =
    ["order.", "visit", "points.", "tier.", "coupon.", "segment.", "achievement.", "redemption."];
/// Loyalty events that are about the person and are nothing but personal once what is named below is blank.
const BLANKED: [&str; 6] = ["member.", "session.", "signal.", "cart.", "birthday.", "referral."];
/// Commands that name nobody but by our ids, or by what is named below.
const COMMANDS: [&str; 3] = ["member.unmerge", "member.erase", "order.claim"];
/// What may name somebody, and what is put in its place, so that a message stays what its schema says.
const BLANK: [(&str, &str); 9] = [
    ("profile", "{}"),
    ("identities", "[]"),
    ("session_id", "\"erased\""),
    ("data", "{}"),
    ("custom_attributes", "{}"),
    ("other_id", "\"erased\""),
    ("loyalty_member_id", "\"erased\""),
    ("sender_id", "\"erased\""),
    ("receiver_id", "\"erased\""),
];
/// What may name somebody and need not be there.
const GONE: [&str; 6] = ["experience_details", "email", "phone", "from", "sender_first_name", "sender_email"];
/// What a message or a receipt tells of a member that does not name them.
const FIGURES: [&str; 6] = ["tier", "manual_tier", "system_tier", "points", "next_expiration", "segments"];

/// A loyalty event's message, or a receipt, without the person. `None` when it is not what we wrote.
pub fn message_without_person(kind: &str, json: &str, member: MemberId) -> Option<String> {
    let mut message: Object<'_> = serde_json::from_str(json).ok()?;
    let ours = our_id(member);
    let told = message.get("member").and_then(|told| serde_json::from_str::<Object<'_>>(told.get()).ok());
    let figures = told.map(|mut told| {
        told.retain(|field, _| FIGURES.contains(&field.as_str()));
        told.insert("id".to_owned(), &ours);
        raw(&told)
    });
    if let Some(figures) = figures.as_deref() {
        message.insert("member".to_owned(), figures);
    }
    let may_stay = |field: &str| field == "source_event" || starts_with_any(kind, &IMPERSONAL, &BLANKED);
    let data = message.get("data").and_then(|data| data_without_person(data, may_stay));
    if let Some(data) = data.as_deref() {
        message.insert("data".to_owned(), data);
    }
    message.remove("notes"); // they name identities
    serde_json::to_string(&message).ok()
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
    let mut body: Object<'_> = serde_json::from_str(json).ok()?;
    let kind: String = body.get("type").and_then(|kind| serde_json::from_str(kind.get()).ok())?;
    let named = raw(&BTreeMap::from([("id", &*our_id(member))]));
    if body.contains_key("member") {
        body.insert("member".to_owned(), &named);
    }
    let may_stay = |_: &str| starts_with_any(&kind, &IMPERSONAL, &COMMANDS);
    let data = body.get("data").and_then(|data| data_without_person(data, may_stay));
    if let Some(data) = data.as_deref() {
        body.insert("data".to_owned(), data);
    }
    serde_json::to_string(&body).ok()
}

fn starts_with_any(kind: &str, some: &[&str], others: &[&str]) -> bool {
    some.iter().chain(others).any(|known| kind.starts_with(known))
}

fn data_without_person(data: &RawValue, may_stay: impl Fn(&str) -> bool) -> Option<Box<RawValue>> {
    let mut data: Object<'_> = serde_json::from_str(data.get()).ok()?;
    data.retain(|field, _| may_stay(field));
    Some(blanked(data))
}

/// The object with what is personal in it blank, however deep.
fn blanked(mut object: Object<'_>) -> Box<RawValue> {
    object.retain(|field, _| !GONE.contains(&field.as_str()));
    let blank = |(field, value): (&String, &&RawValue)| {
        let known = BLANK.iter().find(|(personal, _)| personal == field);
        let blank = known.and_then(|(_, blank)| RawValue::from_string((*blank).to_owned()).ok());
        let inner = || serde_json::from_str::<Object<'_>>(value.get()).ok().map(blanked);
        (field.clone(), blank.or_else(inner).unwrap_or_else(|| (*value).to_owned()))
    };
    raw(&object.iter().map(blank).collect::<BTreeMap<_, _>>())
}

fn our_id(member: MemberId) -> Box<RawValue> {
    raw(&member)
}

fn raw<T: serde::Serialize>(value: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| unreachable!("it came as JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn ana() -> MemberId {
        MemberId::new(ulid::Ulid(7))
    }

    fn read(text: Option<String>) -> Value {
        serde_json::from_str(&text.unwrap()).unwrap()
    }

    #[test]
    fn a_message_keeps_what_happened_and_loses_to_whom() {
        let told = r#"{"id":"evt_1","type":"order.completed","timestamp":"t","chain":"harvest",
            "member":{"id":"ana","email":"ana@example.com","phone":"+1","points":74,"nickname":"A"},
            "data":{"order_id":"o1","total":24.50,"session_id":"s","experience_details":{"for":"Ana"},"source_event":"o1"}}"#;
        assert_eq!(
            read(message_without_person("order.completed", told, ana())),
            json!({ "id": "evt_1", "type": "order.completed", "timestamp": "t", "chain": "harvest",
                "member": { "id": ana(), "points": 74 },
                "data": { "order_id": "o1", "total": 24.50, "session_id": "erased", "source_event": "o1" } })
        );
    }

    #[test]
    fn what_is_known_of_a_person_goes_altogether() {
        let told = r#"{"member":{"id":"ana"},"data":{"profile":{"first_name":"Ana"},"source_event":"u1"}}"#;
        let left = read(message_without_person("member.updated", told, ana()));
        assert_eq!(left["data"], json!({ "profile": {}, "source_event": "u1" }));
        let new = read(message_without_person("newsletter.opened", told, ana()));
        assert_eq!(new["data"], json!({ "source_event": "u1" }), "nobody said that it may stay");
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
        let receipt = r#"{"id":"src_1","status":"processed","member":{"id":"ana","points":1},"notes":["email a@b.c was left"]}"#;
        let left = read(message_without_person("", receipt, ana()));
        assert_eq!(
            left,
            json!({ "id": "src_1", "status": "processed", "member": { "id": ana(), "points": 1 } })
        );
    }
}
