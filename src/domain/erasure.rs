//! What is left of a member in the log once they were erased: what happened, how much, when; not to whom.
//!
//! What is kept is named, so that a field that is new tomorrow is forgotten unless somebody says that it may stay.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::ids::MemberId;

type Object<'a> = BTreeMap<String, &'a RawValue>;

/// Events whose data are about things and amounts: what is personal in them is taken out by name.
const IMPERSONAL: [&str; 8] =
    ["order.", "visit", "points.", "tier.", "coupon.", "segment.", "achievement.", "redemption."];
/// The same of events that are named like personal ones.
const IMPERSONAL_TOO: [&str; 8] = [
    "member.at_risk",
    "member.churned",
    "member.reactivated",
    "member.birthday",
    "member.anniversary",
    "member.merge",
    "member.unmerge",
    "member.erase",
];
/// What may name somebody among things and amounts: whatever other systems put there.
const PERSONAL: [&str; 6] =
    ["session_id", "experience_details", "custom_attributes", "email", "phone", "other_id"];
/// What a message or a receipt tells of a member that does not name them.
const FIGURES: [&str; 6] = ["tier", "manual_tier", "system_tier", "points", "segments", "member_id"];

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
    let data = message.get("data").and_then(|data| data_without_person(kind, data, &["source_event"]));
    if let Some(data) = data.as_deref() {
        message.insert("data".to_owned(), data);
    }
    message.remove("notes"); // they name identities
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
    let data = body.get("data").and_then(|data| data_without_person(&kind, data, &[]));
    if let Some(data) = data.as_deref() {
        body.insert("data".to_owned(), data);
    }
    serde_json::to_string(&body).ok()
}

fn data_without_person(kind: &str, data: &RawValue, always: &[&str]) -> Option<Box<RawValue>> {
    let mut data: Object<'_> = serde_json::from_str(data.get()).ok()?;
    let is_impersonal = IMPERSONAL.iter().chain(&IMPERSONAL_TOO).any(|known| kind.starts_with(known));
    data.retain(|field, _| {
        let field = field.as_str();
        always.contains(&field) || (is_impersonal && !PERSONAL.contains(&field))
    });
    Some(raw(&data))
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
                "data": { "order_id": "o1", "total": 24.50, "source_event": "o1" } })
        );
    }

    #[test]
    fn what_is_known_of_a_person_goes_altogether() {
        let told = r#"{"member":{"id":"ana"},"data":{"profile":{"first_name":"Ana"},"source_event":"u1"}}"#;
        let left = read(message_without_person("member.updated", told, ana()));
        assert_eq!(left["data"], json!({ "source_event": "u1" }));
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
    fn a_receipt_forgets_its_notes() {
        let receipt = r#"{"id":"src_1","status":"processed","member":{"id":"ana","points":1},"notes":["email a@b.c was left"]}"#;
        let left = read(message_without_person("", receipt, ana()));
        assert_eq!(
            left,
            json!({ "id": "src_1", "status": "processed", "member": { "id": ana(), "points": 1 } })
        );
    }
}
