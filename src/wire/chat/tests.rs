use super::*;
use crate::domain::endpoint::{Dialect, Texts};
use crate::wire::{Occasion, speaker};

fn letter(message: String, texts: Texts) -> Letter {
    let (delivery, event) =
        ("dlv_0CKPWHJ8YG0000000000000001".parse().unwrap(), EventType::PointsEarned.example().id);
    let occasion = Occasion::News;
    Letter {
        delivery,
        sequence: 1,
        attempt: 1,
        occasion,
        event,
        message,
        name: None,
        texts: texts.into(),
        trace: None,
    }
}

fn said(dialect: Dialect, message: String, own: Option<&str>) -> serde_json::Value {
    let texts: Texts = own.into_iter().map(|own| (EventType::PointsEarned, own.parse().unwrap())).collect();
    let rendered = speaker(dialect).render(&letter(message, texts)).unwrap().unwrap();
    serde_json::from_str(&rendered.body).unwrap()
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

#[test]
fn every_event_has_a_text_that_says_what_is_told_and_leaves_nothing_empty() {
    for kind in EventType::ALL {
        let message = kind.example().to_json();
        let wording = texts::built_in(&Told::read(&message).unwrap()).unwrap();
        wording.check_for(*kind).unwrap();
        let text = said(Dialect::Slack, message, None)["text"].as_str().unwrap().to_owned();
        assert!(!text.contains(['{', '}']) && !text.contains("  "), "{kind}: {text}");
        assert!(text.len() > 10 && text.ends_with(['.', '0']), "{kind}: {text}");
    }
}

#[test]
fn a_room_is_told_in_its_own_way() {
    let message = || EventType::PointsEarned.example().to_json();
    let text = "Ana just earned 24 points: Points per dollar. Balance: 74.";
    assert_eq!(said(Dialect::Slack, message(), None), serde_json::json!({ "text": text }));
    assert_eq!(said(Dialect::GoogleChat, message(), None), serde_json::json!({ "text": text }));
    let mentions = serde_json::json!({ "parse": [] });
    let discord = serde_json::json!({ "content": text, "allowed_mentions": mentions });
    assert_eq!(said(Dialect::Discord, message(), None), discord);
}

#[test]
fn points_that_were_taken_by_hand_are_not_said_to_be_given() {
    let given = EventType::PointsAdjusted.example().to_json();
    let taken = given.replace(r#""amount":24"#, r#""amount":24,"taken":true"#);
    for (message, expected) in [(given, "Ana was given 24 points"), (taken, "24 points of Ana were taken")] {
        let said = said(Dialect::Slack, message, None)["text"].as_str().unwrap().to_owned();
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn what_somebody_else_wrote_calls_nobody_and_an_admins_own_text_may() {
    let hostile =
        EventType::PointsEarned.example().to_json().replace("\"Ana\"", &quoted("<!channel> & <users/all>"));
    let own = Some("<!here> {member.first_name} +{data.amount}");
    for (dialect, key, expected) in [
        (Dialect::Slack, "text", "<!here> &lt;!channel&gt; &amp; &lt;users/all&gt; +24"),
        (Dialect::GoogleChat, "text", "<!here> <\u{200b}!channel> & <\u{200b}users/all> +24"),
        (Dialect::Discord, "content", "<!here> <!channel> & <users/all> +24"),
    ] {
        assert_eq!(said(dialect, hostile.clone(), own)[key], expected);
    }
}

#[test]
fn a_text_of_which_nothing_is_left_is_said_in_our_words() {
    let message = EventType::PointsEarned.example().to_json();
    let said = said(Dialect::Slack, message, Some("{member.phone} "))["text"].as_str().unwrap().to_owned();
    assert!(said.starts_with("Ana just earned"), "{said}");
}

fn value(json: &str, path: &[Box<str>]) -> Result<Option<String>, Unsendable> {
    Opened::default().value(json, path)
}

#[test]
fn amounts_are_said_to_the_digit() {
    assert_eq!(
        value(r#"{"data":{"total":24.50}}"#, &["data".into(), "total".into()]).unwrap().as_deref(),
        Some("24.50")
    );
    assert_eq!(value(r#"{"a":null}"#, &["a".into()]).unwrap(), None);
    assert_eq!(value(r#"{"a":"b\"c"}"#, &["a".into()]).unwrap().as_deref(), Some("b\"c"));
    assert_eq!(value(r#"{"a":1}"#, &["a".into(), "b".into()]).unwrap(), None);
}

#[test]
fn a_text_that_is_too_long_for_the_room_is_cut() {
    let long = format!("{{member.first_name}}{}", "ä".repeat(990));
    let message = EventType::PointsEarned.example().to_json().replace("\"Ana\"", &quoted(&"é".repeat(1_500)));
    let content = said(Dialect::Discord, message, Some(&long))["content"].as_str().unwrap().to_owned();
    assert_eq!((content.chars().count(), content.chars().last()), (2_000, Some('…')));
}
