use std::collections::BTreeSet;

use serde_json::{Value, json};
use ulid::Ulid;

use super::*;
use crate::domain::command::CommandType;
use crate::domain::endpoint::{Endpoint, EndpointState, Secret};
use crate::domain::erasure::what_may_stay;
use crate::domain::source_event::SourceType;

fn key(id: u128) -> Author {
    Author::Key { id: KeyId::new(Ulid(id)), name: Name::parse("till 3").unwrap(), role: Role::Ingest }
}

fn line(number: u64, chain: Option<&str>, author: Author, action: Action, target: &str) -> Entry {
    Entry {
        id: AuditId::new(Ulid::from_parts(number, 7)),
        chain: chain.map(|chain| chain.parse().unwrap()),
        by: By::here(author),
        action,
        target: target.to_owned(),
        change: Change::default(),
    }
}

#[test]
fn every_author_is_read_as_written_and_sought_by_their_code() {
    let ana = Author::CommandLine(Name::parse("ana").ok());
    for author in
        [key(7), Author::Configuration, ana, Author::CommandLine(None), Author::Folder, Author::Engine]
    {
        let code = author.code();
        let read = Author::read(&code.to_string(), author.given_name().cloned(), author.role());
        assert_eq!(read.as_ref(), Some(&author));
        assert_eq!(code.to_string().parse(), Ok(code));
        assert!(!author.name().is_empty());
    }
    for wrong in ["", "key", "ana", "key_0", "Engine"] {
        assert_eq!(wrong.parse::<AuthorCode>(), Err(()), "{wrong}");
        assert_eq!(Author::read(wrong, None, None), None, "{wrong}");
    }
}

#[test]
fn actions_are_named_once_and_sought_alone_or_by_their_kind() {
    let words: BTreeSet<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
    assert_eq!(words.len(), Action::ALL.len());
    for action in Action::ALL {
        let one: Actions = action.as_str().parse().unwrap();
        assert!(one.iter().eq([*action]));
        let kind: Actions = format!("{}.*", action.noun()).parse().unwrap();
        assert!(kind.have(*action) && kind.iter().all(|other| other.noun() == action.noun()));
    }
    for wrong in
        ["", "*", ".*", "endpoint", "endpoint.", "endpoint.*.*", "end.*", "endpoint.exploded", "*.created"]
    {
        assert_eq!(wrong.parse::<Actions>(), Err(BadAction), "{wrong}");
    }
}

#[test]
fn whatever_people_command_has_a_name() {
    let engines = [CommandType::RewardReferral, CommandType::RevokeReferral, CommandType::Tick];
    for kind in CommandType::ALL {
        let action = Action::of(SourceType::Command(*kind));
        assert_eq!(action.is_none(), engines.contains(kind), "{kind:?}");
        assert!(action.is_none_or(|action| action.noun() == "member"), "{kind:?}");
    }
}

#[test]
fn a_line_is_sought_by_each_of_its_parts() {
    let line = line(5_000, Some("harvest"), key(7), Action::EndpointPaused, "ep_1");
    let at = |ms: i64| Timestamp::from_timestamp_millis(ms);
    let with = |change: fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        filter
    };
    assert!(Filter::default().matches(&line));
    for (filter, found) in [
        (with(|f| f.chain = "harvest".parse().ok()), true),
        (with(|f| f.chain = "other".parse().ok()), false),
        (with(|f| f.author = Some(key(7).code())), true),
        (with(|f| f.author = Some(key(8).code())), false),
        (with(|f| f.author = "engine".parse().ok()), false),
        (with(|f| f.actions = "endpoint.*".parse().ok()), true),
        (with(|f| f.actions = "key.*".parse().ok()), false),
        (with(|f| f.target = Some("ep_1".to_owned())), true),
        (with(|f| f.target = Some("ep_2".to_owned())), false),
        (Filter { since: at(5_000), until: at(5_001), ..Filter::default() }, true),
        (Filter { since: at(5_001), ..Filter::default() }, false),
        (Filter { until: at(5_000), ..Filter::default() }, false),
    ] {
        assert_eq!(filter.matches(&line), found, "{filter:?}");
    }
    assert_eq!(line.id.at(), at(5_000).unwrap());
}

/// What is told of a change of the sample endpoint.
fn told(change: impl FnOnce(&mut Endpoint)) -> (Value, Value) {
    let mut before = Endpoint::sample("https://crm.example/hook/hunter2?t=hunter2");
    before.headers = [("x-api-key".to_owned(), "hunter2".to_owned())].into();
    before.auth = serde_json::from_str(r#"{"type":"bearer","token":"hunter2"}"#).unwrap();
    let mut after = before.clone();
    change(&mut after);
    let Change { before, after } = Change::between(Face::from(&before), Face::from(&after));
    (json!(before), json!(after))
}

#[test]
fn a_change_tells_the_fields_that_differ_and_of_what_is_secret_only_that_it_does() {
    assert_eq!(told(|_| ()), (json!({}), json!({})));
    assert_eq!(told(|e| e.updated_at = Timestamp::MAX_UTC), (json!({}), json!({})));
    let url = told(|e| e.url = "https://crm.example/hook/hunter3".parse().unwrap());
    assert_eq!(url, (json!({ "url": "https://crm.example/…" }), json!({ "url": "https://crm.example/…" })));
    let plain = told(|e| e.url = "https://crm.example/".parse().unwrap());
    assert_eq!(plain.1, json!({ "url": "https://crm.example/" }));
    let header = told(|e| drop(e.headers.insert("x-api-key".to_owned(), "hunter3".to_owned())));
    assert_eq!(header, (json!({ "headers.x-api-key": "…" }), json!({ "headers.x-api-key": "…" })));
    let gone = told(|e| e.headers.clear());
    assert_eq!(gone, (json!({ "headers.x-api-key": "…" }), json!({})));
    let token = told(|e| e.auth = serde_json::from_str(r#"{"type":"bearer","token":"hunter3"}"#).unwrap());
    assert_eq!(token, (json!({ "auth": { "type": "bearer" } }), json!({ "auth": { "type": "bearer" } })));
    let minute = std::time::Duration::from_secs(60);
    let rotated =
        told(|e| e.keys.rotate(Secret::of(&[2; 32]), [2; 32], Timestamp::UNIX_EPOCH, minute).unwrap());
    assert_eq!(rotated.0, json!({ "keys": [{ "id": 1 }] }));
    assert_eq!(rotated.1, json!({ "keys": [{ "id": 2 }, { "id": 1, "until": "1970-01-01T00:01:00Z" }] }));
    let paused = told(|e| e.state = EndpointState::Paused { at: Timestamp::UNIX_EPOCH, until: None });
    assert_eq!(paused.0, json!({ "status": "enabled" }));
    assert_eq!(paused.1["status"], "paused");
    let script = told(|e| e.settings.transform = serde_json::from_str(r##""#{ t: \"hunter2\" }""##).unwrap());
    assert_eq!((&script.0, &script.1["transform"]["bytes"]), (&json!({ "transform": null }), &json!(17)));
}

#[test]
fn no_secret_of_an_endpoint_is_in_its_face() {
    for auth in [
        r#"{"type":"basic","username":"us","password":"hunter2"}"#,
        r#"{"type":"bearer","token":"hunter2"}"#,
        r#"{"type":"oauth2","token_url":"https://id.example/hunter2","client_id":"us","client_secret":"hunter2"}"#,
        r#"{"type":"mtls","certificate":"hunter2","key":"hunter2"}"#,
    ] {
        let mut endpoint = Endpoint::sample("https://crm.example/hunter2");
        endpoint.headers = [("x-api-key".to_owned(), "hunter2".to_owned())].into();
        endpoint.auth = serde_json::from_str(auth).unwrap();
        endpoint.settings.transform = serde_json::from_str(r##""#{ t: \"hunter2\" }""##).unwrap();
        let made = json!(Change::made(Face::from(&endpoint)).after).to_string();
        for secret in ["hunter2", "whsec_", endpoint.keys.newest().secret.reveal()] {
            assert!(!made.contains(secret), "{made}");
        }
        assert!(made.contains(&auth[1..14]), "{made}");
    }
}

#[test]
fn what_is_long_is_told_by_its_hash() {
    let long = "x".repeat(2_000);
    let face = |text: &str| Face::default().show("note", text);
    let Change { after: Some(after), .. } = Change::made(face(&long)) else { panic!("something") };
    assert_eq!(after["note"]["bytes"], 2_002);
    let Change { before: Some(before), .. } = Change::between(face(&long), face(&(long.clone() + "y")))
    else {
        panic!("something")
    };
    assert_eq!(before["note"], after["note"]);
    assert_eq!(Change::made(face("short")).after.unwrap()["note"], "short");
}

#[test]
fn of_a_command_only_ids_numbers_and_names_of_the_program_stay() {
    let body = json!({ "key": "k1", "member": { "email": "ana@example.com" }, "data": { "amount": 5, "wallet": "points",
        "reason": "Ana's mother", "tier": "gold", "until": null, "from": "ana", "code": "ANA-1", "reward": "mug",
        "first_name": "Ana", "custom_attributes": { "for": "Ana" }, "emails": ["ana@example.com"], "origin": "o1" } });
    for kind in CommandType::ALL {
        let left = json!(what_may_stay(SourceType::Command(*kind), &body.to_string())).to_string();
        let names = left.to_lowercase().replace("\"ana-1\"", ""); // a coupon's code, which people gave it
        assert!(!names.contains("ana") && !names.contains("erased"), "{kind:?}: {left}");
    }
    let left = what_may_stay(SourceType::Command(CommandType::AdjustPoints), &body.to_string());
    assert_eq!(json!(left), json!({ "amount": 5, "wallet": "points" }));
    assert!(what_may_stay(SourceType::MemberUpdated, &body.to_string()).is_empty());
}
