//! `member.has_coupon(…)` and `member.coupons(…)`: what rules, segments and triggers know of a guest's coupons.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    from super::with_program;
    a_coupon_is_known_from_its_assignment_to_its_use_and_again_when_that_is_taken_back,
    what_expires_or_is_kept_for_a_while_is_known_until_then,
    what_an_event_gives_is_seen_by_reactions_segments_and_triggers_and_not_by_its_other_rules,
    what_a_guest_has_goes_with_a_merge_comes_back_with_an_unmerge_and_ends_with_an_erasure,
    what_the_survivor_used_of_a_member_who_had_absorbed_another_is_nobody_elses,
    a_use_that_the_survivor_took_back_and_made_again_is_theirs,
}

const CHAIN: &str = "/v1/chains/harvest";
const DAY: i64 = 24 * 3600;

const BOOKS: &str = r#"
[[coupon_books]]
id = "gift"
discount_type = "other"

[[coupon_books]]
id = "short"
discount_type = "other"
expires_after = "2d"

[[coupon_books]]
id = "cinema"
type = "uploaded"
discount_type = "other"
"#;

const RULES: &str = r#"
rule "Has" on visit when member.has_coupon("gift") { award(1000, "has"); }
rule "Gifts" on visit { award(2000 + member.coupons("gift"), "gifts"); }
rule "Short" on visit { award(3000 + member.coupons("short"), "short"); }
rule "Cinema" on visit { award(4000 + member.coupons("cinema"), "cinema"); }

rule "App" on order.completed priority 10 when order.channel == "app" { assign_coupon("short"); achieve("regular"); }
rule "Early" on order.completed when member.has_coupon("short") { award(1, "early"); }
rule "Reaction" on achievement.earned when member.has_coupon("short") { award(5, "reaction"); }
segment "Holders" when member.has_coupon("short");
trigger "Holders' orders" on order.completed when member.has_coupon("short") { forward("crm"); }
"#;

async fn with_program(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| {
        let folder = config.rules.join("harvest");
        let manifest = std::fs::read_to_string(folder.join("program.toml")).unwrap();
        std::fs::write(folder.join("program.toml"), manifest + BOOKS).unwrap();
        std::fs::write(folder.join("holdings.rhai"), RULES).unwrap();
    })
    .await
}

fn path(member: &str, rest: &str) -> String {
    format!("{CHAIN}/members/{member}{rest}")
}

/// What rules know of a guest's coupons who comes by now.
#[derive(Debug, PartialEq)]
struct Known {
    gifts: i64,
    short: i64,
    cinema: i64,
}

async fn known(app: &TestApp, member: &str) -> Known {
    let visit = json!({ "type": "visit", "member": { "id": member }, "key": next_key(), "data": {} });
    let receipt = app.send(&visit).await.expect(200);
    assert_eq!(receipt["status"], "processed", "{receipt}");
    let lines = receipt["effects"].as_array().unwrap();
    let of =
        |rule: &str| lines.iter().find(|line| line["rule"] == rule).and_then(|line| line["amount"].as_i64());
    let known = Known {
        gifts: of("Gifts").unwrap() - 2000,
        short: of("Short").unwrap() - 3000,
        cinema: of("Cinema").unwrap() - 4000,
    };
    assert_eq!(of("Has").is_some(), known.gifts > 0, "{receipt}");
    known
}

fn next_key() -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static VISITS: AtomicUsize = AtomicUsize::new(0);
    format!("v-{}", VISITS.fetch_add(1, Ordering::Relaxed))
}

async fn give(app: &TestApp, member: &str, book: &str) -> String {
    let books = app.get(&format!("{CHAIN}/coupon_books")).await.expect(200);
    let book = books["items"].as_array().unwrap().iter().find(|known| known["name"] == book).unwrap();
    let body = json!({ "book": book["coupon_book_key"] });
    let given = app.post(&path(member, "/coupons"), &body).await.expect(200);
    given["events"][0]["data"]["code"].as_str().unwrap().to_owned()
}

async fn coupon(app: &TestApp, code: &str, what: &str, body: Value) -> Value {
    app.post(&format!("{CHAIN}/coupons/{code}/{what}"), &body).await.expect(200)
}

async fn a_coupon_is_known_from_its_assignment_to_its_use_and_again_when_that_is_taken_back(app: TestApp) {
    let gifts = |gifts| Known { gifts, short: 0, cinema: 0 };
    assert_eq!(known(&app, "ana").await, gifts(0));
    let first = give(&app, "ana", "gift").await;
    assert_eq!(known(&app, "ana").await, gifts(1));
    let second = give(&app, "ana", "gift").await;
    assert_eq!(known(&app, "ana").await, gifts(2));
    assert_eq!(known(&app, "ben").await, gifts(0), "it is ana's");
    coupon(&app, &first, "use", json!({ "member": "ana" })).await;
    assert_eq!(known(&app, "ana").await, gifts(1));
    let mut order = order("o1", "ana", "20.00");
    order["data"]["coupons"] = json!([second]);
    let used = app.send(&order).await.expect(200);
    assert_eq!(known(&app, "ana").await, gifts(0));
    let told =
        used["events"].as_array().unwrap().iter().find(|event| event["type"] == "coupon.used").unwrap();
    let usage = &told["data"]["coupon_usage_key"];
    coupon(&app, &second, "revert", json!({ "member": "ana", "usage": usage })).await;
    assert_eq!(known(&app, "ana").await, gifts(1));
    app.verify();
    app.stop().await;
}

async fn what_expires_or_is_kept_for_a_while_is_known_until_then(app: TestApp) {
    known(&app, "ana").await;
    give(&app, "ana", "short").await;
    give(&app, "ana", "gift").await;
    let codes = format!("{CHAIN}/coupon_books/cinema/codes");
    let text = [("content-type", "text/plain")];
    app.request(Method::POST, &codes, &text, b"SEAT-1\n".to_vec()).await.expect(200);
    coupon(&app, "SEAT-1", "reserve", json!({ "member": "ana" })).await;
    assert_eq!(known(&app, "ana").await, Known { gifts: 1, short: 1, cinema: 1 });
    assert_eq!(known(&app, "ben").await, Known { gifts: 0, short: 0, cinema: 0 });
    app.advance(15 * 60).await;
    assert_eq!(known(&app, "ana").await, Known { gifts: 1, short: 1, cinema: 0 });
    app.advance(2 * DAY - 15 * 60 - 1).await;
    assert_eq!(known(&app, "ana").await, Known { gifts: 1, short: 1, cinema: 0 });
    app.advance(1).await;
    assert_eq!(known(&app, "ana").await, Known { gifts: 1, short: 0, cinema: 0 });
    app.stop().await;
}

async fn what_an_event_gives_is_seen_by_reactions_segments_and_triggers_and_not_by_its_other_rules(
    app: TestApp,
) {
    let crm = Receiver::start().await;
    let tagged = json!({ "url": crm.url, "events": ["segment.*"], "tags": ["crm"] });
    app.post(&format!("{CHAIN}/endpoints"), &tagged).await.expect(201);
    let mut by_app = order("o1", "ana", "20.00");
    by_app["data"]["channel"] = json!("app");
    let receipt = app.send(&by_app).await.expect(200);
    assert_eq!((&receipt["status"], &receipt["notes"]), (&json!("processed"), &Value::Null), "{receipt}");
    let acted: Vec<_> = receipt["effects"].as_array().unwrap().iter().map(|line| &line["rule"]).collect();
    assert!(acted.contains(&&json!("Reaction")) && !acted.contains(&&json!("Early")), "{acted:?}");
    app.send(&order("o2", "ben", "20.00")).await.expect(200);
    let next = app.send(&order("o3", "ana", "20.00")).await.expect(200);
    assert!(next["effects"].to_string().contains("Early"), "the next event's rules do: {next}");
    app.advance(0).await;
    let mut told: Vec<_> = crm
        .arrivals()
        .iter()
        .map(|arrival| arrival.json())
        .map(|told| (told["type"].as_str().unwrap().to_owned(), told["member"]["id"].clone()))
        .collect();
    told.sort_by_key(|(kind, member)| (kind.clone(), member.to_string()));
    let expected = ["order.completed", "order.completed", "segment.entered"];
    assert_eq!(told, expected.map(|kind| (kind.to_owned(), json!("ana"))), "and nothing of ben");
    app.advance(3 * DAY).await;
    assert_eq!(crm.arrivals().pop().unwrap().kind(), "segment.exited", "by itself, at night");
    app.stop().await;
}

async fn what_a_guest_has_goes_with_a_merge_comes_back_with_an_unmerge_and_ends_with_an_erasure(
    app: TestApp,
) {
    known(&app, "ana").await;
    known(&app, "ben").await;
    let (first, _) = (give(&app, "ben", "gift").await, give(&app, "ben", "gift").await);
    give(&app, "ana", "gift").await;
    give(&app, "ben", "short").await;
    let codes = format!("{CHAIN}/coupon_books/cinema/codes");
    let text = [("content-type", "text/plain")];
    app.request(Method::POST, &codes, &text, b"SEAT-1\n".to_vec()).await.expect(200);
    coupon(&app, "SEAT-1", "reserve", json!({ "member": "ben" })).await;
    let ben = app.get(&path("ben", "")).await.expect(200)["member_id"].clone();

    app.post(&path("ana", "/merge"), &json!({ "from": "ben" })).await.expect(200);
    assert_eq!(known(&app, "ana").await, Known { gifts: 3, short: 1, cinema: 1 });
    coupon(&app, &first, "use", json!({ "member": "ana" })).await;
    assert_eq!(known(&app, "ana").await, Known { gifts: 2, short: 1, cinema: 1 });
    app.post(&path("ana", "/unmerge"), &json!({ "member": ben })).await.expect(200);
    assert_eq!(known(&app, "ana").await, Known { gifts: 1, short: 0, cinema: 0 });
    assert_eq!(known(&app, "ben").await, Known { gifts: 1, short: 1, cinema: 1 });
    app.request(Method::DELETE, &path("ben", ""), &[], Vec::new()).await.expect(200);
    assert_eq!(known(&app, "ben").await, Known { gifts: 0, short: 0, cinema: 0 }, "somebody new");
    app.verify();
    app.stop().await;
}

async fn what_the_survivor_used_of_a_member_who_had_absorbed_another_is_nobody_elses(app: TestApp) {
    let mut ids = Vec::new();
    for guest in ["ana", "ben", "cem"] {
        known(&app, guest).await;
        ids.push(app.get(&path(guest, "")).await.expect(200)["member_id"].clone());
    }
    let (used, _) = (give(&app, "cem", "gift").await, give(&app, "cem", "gift").await);
    app.post(&path("ben", "/merge"), &json!({ "from": "cem" })).await.expect(200);
    app.post(&path("ana", "/merge"), &json!({ "from": "ben" })).await.expect(200);
    coupon(&app, &used, "use", json!({ "member": "ana" })).await;
    app.post(&path("ana", "/unmerge"), &json!({ "member": ids[1] })).await.expect(200);
    app.post(&path("ben", "/unmerge"), &json!({ "member": ids[2] })).await.expect(200);
    for (guest, gifts) in [("ana", 0), ("ben", 0), ("cem", 1)] {
        assert_eq!(known(&app, guest).await.gifts, gifts, "{guest}");
    }
    let shown = app.get(&path("cem", "/coupons")).await.expect(200);
    assert_eq!(shown["items"].as_array().unwrap().len(), 1, "{shown}");
    app.verify();
    app.stop().await;
}

async fn a_use_that_the_survivor_took_back_and_made_again_is_theirs(app: TestApp) {
    known(&app, "ana").await;
    known(&app, "ben").await;
    let ben = app.get(&path("ben", "")).await.expect(200)["member_id"].clone();
    let code = give(&app, "ben", "gift").await;
    let usage = |receipt: &Value| receipt["events"][0]["data"]["coupon_usage_key"].clone();
    let first = usage(&coupon(&app, &code, "use", json!({ "member": "ben" })).await);
    app.post(&path("ana", "/merge"), &json!({ "from": "ben" })).await.expect(200);
    coupon(&app, &code, "revert", json!({ "member": "ana", "usage": first })).await;
    let second = usage(&coupon(&app, &code, "use", json!({ "member": "ana" })).await);
    app.post(&path("ana", "/unmerge"), &json!({ "member": ben })).await.expect(200);
    app.verify();
    coupon(&app, &code, "revert", json!({ "member": "ana", "usage": second })).await;
    assert_eq!((known(&app, "ana").await.gifts, known(&app, "ben").await.gifts), (1, 0));
    app.verify();
    app.stop().await;
}
