//! What is left of a source event whose time is over: that it was, and which order it was about.
//!
//! Its key stays known, so that a repeat counts for nothing. The id of the order stays in the body, because what is
//! remembered of the order, and is to be forgotten with the guest, is found by it.

use serde::{Deserialize, Serialize};

use super::ids::SourceId;
use super::receipt::{Receipt, SourceStatus};
use super::text::Key;

/// What such a body begins with.
const BEGIN: &str = r#"{"no_longer_kept":true"#;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remains {
    no_longer_kept: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<About>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    order_id: Key,
}

/// What is left of the body of an event.
pub fn body(order: Option<Key>) -> String {
    super::json::to_json(&Remains { no_longer_kept: true, data: order.map(|order_id| About { order_id }) })
}

/// Whether that is what a body is. None that came is: it would have no type.
pub fn is_all_that_is_left(body: &str) -> bool {
    body.starts_with(BEGIN) && serde_json::from_str::<Remains>(body).is_ok()
}

/// What is left of the receipt of an event that was processed.
pub fn receipt(id: SourceId, key: Key, program_version: i64) -> String {
    let notes = vec!["it is long ago: what this event did is no longer kept here".into()];
    Receipt { notes, ..Receipt::kept(id, key, SourceStatus::Processed, program_version) }.to_json()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_from_whatever_a_till_may_send() {
        let left = body(Some(Key::parse("ORD-\"1\"").unwrap()));
        for left in [left.as_str(), &body(None)] {
            assert!(is_all_that_is_left(left), "{left}");
        }
        for came in [
            r#"{"type":"visit","member":{"id":"m-1"}}"#,
            r#"{"no_longer_kept":true,"type":"visit"}"#,
            r#"{"no_longer_kept":true,"data":{"order_id":"1","total":"2.00"}}"#,
            r#"{"no_longer_kept":true"#,
        ] {
            assert!(!is_all_that_is_left(came), "{came}");
        }
    }

    #[test]
    fn a_repeat_is_answered_all_the_same() {
        let left = receipt(SourceId::new(ulid::Ulid(1)), Key::parse("k").unwrap(), 3);
        let again: serde_json::Value = serde_json::from_str(&Receipt::as_duplicate(&left)).unwrap();
        assert_eq!((&again["duplicate"], &again["status"]), (&true.into(), &"processed".into()));
        assert_eq!(again["program_version"], 3);
    }
}
