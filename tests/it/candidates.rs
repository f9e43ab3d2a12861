//! Candidates: a version that decides for some of the members, or at some locations, compared with the one in force,
//! and then promoted or dropped.

use std::collections::BTreeMap;

use awc::http::Method;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::support::app::Reply;
use crate::support::{Backend, TestApp, on_both_backends, order, visit};

on_both_backends! {
    a_share_of_the_members_gets_it_and_keeps_it_while_the_share_grows,
    at_its_locations_it_decides_for_everybody_and_elsewhere_for_nobody,
    promoted_it_is_in_force_for_all_and_dropped_for_nobody,
    one_is_tried_at_a_time_and_what_cannot_be_is_refused_by_name,
    a_version_published_meanwhile_is_in_force_and_not_taken_back_unawares,
    a_restart_changes_nothing_for_anybody,
    both_sides_are_counted_to_the_point,
    beginning_growing_and_promoting_under_load_drops_and_doubles_nothing,
    a_backtest_lives_the_share_again_as_it_was_ticks_included,
    a_dry_run_and_a_ledger_line_say_which_side_decided,
    a_copy_of_a_published_version_in_the_folder_survives_a_rollback_and_a_restart,
    at_locations_both_sides_mean_the_same_by_what_they_keep_of_a_member,
}

const PROGRAM: &str = "/v1/chains/harvest/program";
const CANDIDATE: &str = "/v1/chains/harvest/program/candidate";
const MEMBERS: &str = "/v1/chains/harvest/members";

/// A program that gives so much for an order, and with it what else it says.
fn giving(points: u32, more: &str) -> Value {
    let manifest = "name = \"Harvest\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n";
    let rule = format!("rule \"Gift\" on order.completed {{ award({points}); }}\n{more}");
    json!({ "program.toml": manifest, "gift.rhai": rule })
}

/// Version 2 gives a point, and version 3 a hundred to some.
async fn begin(app: &TestApp, audience: Value) -> Value {
    app.post(&format!("{PROGRAM}/publish"), &json!({ "files": giving(1, "") })).await.expect(201);
    app.advance(1).await;
    let mut body = json!({ "files": giving(100, ""), "note": "a hundred" });
    body.as_object_mut().unwrap().extend(audience.as_object().unwrap().clone());
    app.post(CANDIDATE, &body).await.expect(201)
}

async fn patch(app: &TestApp, body: Value) -> Reply {
    let json = ("content-type", "application/json");
    app.request(Method::PATCH, CANDIDATE, &[json], body.to_string().into_bytes()).await
}

/// Orders of these guests, one each; which version decided each.
async fn orders(app: &TestApp, round: &str, guests: u32) -> Vec<i64> {
    let ask = async |n: u32| {
        let receipt =
            app.send(&order(&format!("{round}-{n}"), &format!("guest-{n}"), "10.00")).await.expect(200);
        receipt["program_version"].as_i64().unwrap()
    };
    join_all((0..guests).map(ask)).await
}

async fn points(app: &TestApp, guest: &str) -> i64 {
    app.get(&format!("{MEMBERS}/{guest}")).await.expect(200)["points"].as_i64().unwrap()
}

async fn version(app: &TestApp) -> i64 {
    app.get(PROGRAM).await.expect(200)["version"].as_i64().unwrap()
}

async fn a_share_of_the_members_gets_it_and_keeps_it_while_the_share_grows(app: TestApp) {
    let begun = begin(&app, json!({ "share": 30 })).await;
    for (field, value) in [
        ("version", json!(3)),
        ("base", json!(2)),
        ("status", json!("running")),
        ("share", json!(30)),
        ("note", json!("a hundred")),
        ("by", json!("configuration")),
        ("before", json!([])),
        ("diff", json!("/v1/chains/harvest/program/diff?from=2&to=3")),
    ] {
        assert_eq!(begun[field], value, "{field} in {begun:#}");
    }
    let first = orders(&app, "first", 60).await;
    assert!(first.iter().all(|version| [2, 3].contains(version)), "{first:?}");
    let among = first.iter().filter(|version| **version == 3).count();
    assert!((6..36).contains(&among), "about a third of sixty: {among}");
    for (n, version) in first.iter().enumerate() {
        let given = if *version == 3 { 100 } else { 1 };
        assert_eq!(points(&app, &format!("guest-{n}")).await, given);
    }
    assert_eq!(orders(&app, "second", 60).await, first, "whoever is in stays in");

    let in_force = app.get(PROGRAM).await.expect(200);
    assert_eq!(
        (&in_force["version"], &in_force["candidate"]),
        (&json!(2), &json!({ "version": 3, "share": 30 }))
    );
    let versions = app.get(&format!("{PROGRAM}/versions")).await.expect(200);
    assert_eq!(versions["items"][0]["origin"], "candidate", "{versions}");
    let diff = app.get(&format!("{PROGRAM}/diff")).await.expect(200);
    assert_eq!((&diff["from"], &diff["to"]), (&json!(1), &json!(2)), "what is in force");
    let diff = app.get(&format!("{PROGRAM}/diff?to=3")).await.expect(200);
    assert_eq!((&diff["from"], &diff["files"][0]["file"]), (&json!(2), &json!("gift.rhai")));

    let grown = patch(&app, json!({ "share": 60 })).await.expect(200);
    assert_eq!((&grown["share"], &grown["before"][0]["share"]), (&json!(60), &json!(30)));
    let third = orders(&app, "third", 60).await;
    assert!(first.iter().zip(&third).all(|(before, now)| now >= before), "{first:?} {third:?}");
    assert!(third.iter().sum::<i64>() > first.iter().sum(), "and others came");
    assert_eq!(patch(&app, json!({ "share": 60 })).await.expect(200)["before"], grown["before"], "no change");
    patch(&app, json!({ "share": 100 })).await.expect(200);
    assert_eq!(orders(&app, "all", 60).await, [3; 60]);
    app.verify();
    app.stop().await;
}

async fn at_its_locations_it_decides_for_everybody_and_elsewhere_for_nobody(app: TestApp) {
    begin(&app, json!({ "locations": ["mall", "pier"] })).await;
    let at = async |key: &str, guest: &str, location: Option<&str>| {
        let mut event = order(key, guest, "10.00");
        if let Some(location) = location {
            event["location"] = location.into();
        }
        app.send(&event).await.expect(200)["program_version"].clone()
    };
    for guest in ["ana", "bo"] {
        assert_eq!(at(&format!("mall-{guest}"), guest, Some("mall")).await, 3);
        assert_eq!(at(&format!("pier-{guest}"), guest, Some("pier")).await, 3);
        assert_eq!(at(&format!("walnut-{guest}"), guest, Some("walnut")).await, 2);
        assert_eq!(at(&format!("nowhere-{guest}"), guest, None).await, 2);
        assert_eq!(points(&app, guest).await, 202);
    }
    let by_hand =
        app.post(&format!("{MEMBERS}/ana/points"), &json!({ "amount": 5, "reason": "sorry" })).await;
    assert_eq!(by_hand.expect(200)["program_version"], 2, "an admin is at no location");
    patch(&app, json!({ "locations": ["walnut"] })).await.expect(200);
    assert_eq!(at("moved", "ana", Some("walnut")).await, 3);
    assert_eq!(at("moved-away", "ana", Some("mall")).await, 2);
    app.stop().await;
}

async fn promoted_it_is_in_force_for_all_and_dropped_for_nobody(app: TestApp) {
    begin(&app, json!({ "share": 50 })).await;
    orders(&app, "tried", 10).await;
    let promote = format!("{CANDIDATE}/promote");
    let promoted = app.post(&promote, &json!({ "note": "it sells" })).await.expect(201);
    for (field, value) in [
        ("version", json!(4)),
        ("origin", json!("promotion")),
        ("restores", json!(3)),
        ("note", json!("it sells")),
        ("candidate", Value::Null),
    ] {
        assert_eq!(promoted[field], value, "{field} in {promoted}");
    }
    assert_eq!(orders(&app, "all", 10).await, [4; 10]);
    let ended = app.get(CANDIDATE).await.expect(200);
    assert_eq!((&ended["version"], &ended["status"]), (&json!(3), &json!("promoted")));
    assert_eq!(ended["compared"]["until"], ended["ended_at"], "what came afterwards does not count");
    for path in [promote, format!("{CANDIDATE}/drop")] {
        assert_eq!(app.post(&path, &json!({})).await.expect(409)["code"], "no_candidate");
    }
    assert_eq!(patch(&app, json!({ "share": 5 })).await.expect(409)["code"], "no_candidate");

    app.advance(1).await;
    let again = json!({ "files": giving(7, ""), "share": 50 });
    assert_eq!(app.post(CANDIDATE, &again).await.expect(201)["version"], 5);
    let tried = orders(&app, "again", 40).await;
    assert!(tried.contains(&4) && tried.contains(&5), "{tried:?}");
    let had = points(&app, "guest-3").await;
    let dropped = app.post(&format!("{CANDIDATE}/drop"), &json!({})).await.expect(200);
    assert_eq!((&dropped["version"], &dropped["status"]), (&json!(5), &json!("dropped")));
    assert_eq!(points(&app, "guest-3").await, had, "what it decided stays decided");
    assert_eq!(orders(&app, "after", 40).await, [4; 40]);
    let before = app.get(&format!("{CANDIDATE}?version=3")).await.expect(200);
    assert_eq!(before, ended);
    app.get(&format!("{CANDIDATE}?version=4")).await.expect(404);
    let published =
        app.post(&format!("{PROGRAM}/publish"), &json!({ "files": giving(9, "") })).await.expect(201);
    assert_eq!(published["version"], 6, "a number is used once");
    app.verify();
    app.stop().await;
}

async fn one_is_tried_at_a_time_and_what_cannot_be_is_refused_by_name(app: TestApp) {
    app.get(CANDIDATE).await.expect(404);
    let good = giving(100, "");
    for (body, status, code) in [
        (json!({ "files": good, "share": 0 }), 422, "invalid_field"),
        (json!({ "files": good, "share": 101 }), 422, "invalid_field"),
        (json!({ "files": good, "locations": [] }), 422, "invalid_field"),
        (json!({ "files": good, "share": 5, "locations": ["mall"] }), 422, "invalid_field"),
        (json!({ "files": good }), 422, "invalid_field"),
        (json!({ "share": 5 }), 422, "invalid_field"),
        (json!({ "version": 9, "share": 5 }), 404, "not_found"),
        (json!({ "version": 1, "share": 5 }), 409, "candidate_is_in_force"),
        (json!({ "files": good, "share": 5, "replaces": 7 }), 409, "version_conflict"),
        (json!({ "files": { "program.toml": "nonsense" }, "share": 5 }), 422, "program_does_not_check"),
    ] {
        let problem = app.post(CANDIDATE, &body).await.expect(status);
        assert_eq!(problem["code"], code, "{body}: {problem}");
    }
    assert_eq!(version(&app).await, 1);
    let [five, seven] = [5, 7].map(|points| json!({ "files": giving(points, ""), "share": 10 }));
    let (one, other) = join(app.post(CANDIDATE, &five), app.post(CANDIDATE, &seven)).await;
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{} {}", one.text, other.text);
    let told = if one.status == 409 { one } else { other };
    assert_eq!(told.json()["code"], "candidate_exists");
    app.stop().await;
}

async fn a_version_published_meanwhile_is_in_force_and_not_taken_back_unawares(app: TestApp) {
    begin(&app, json!({ "locations": ["mall"] })).await;
    let mended =
        app.post(&format!("{PROGRAM}/publish"), &json!({ "files": giving(2, "") })).await.expect(201);
    assert_eq!(
        (&mended["version"], &mended["candidate"]),
        (&json!(4), &json!(3)),
        "it says what goes on beside it"
    );
    assert_eq!(orders(&app, "mended", 2).await, [4, 4]);
    let mut at_the_mall = order("mall", "ana", "10.00");
    at_the_mall["location"] = "mall".into();
    assert_eq!(app.send(&at_the_mall).await.expect(200)["program_version"], 3);
    let promote = format!("{CANDIDATE}/promote");
    let told = app.post(&promote, &json!({})).await.expect(409);
    assert_eq!(told["code"], "version_conflict");
    assert!(told["detail"].as_str().unwrap().contains("\"replaces\": 4"), "{told}");
    let back = app.post(&format!("{PROGRAM}/rollback"), &json!({ "version": 2 })).await.expect(201);
    assert_eq!((&back["version"], &back["candidate"]), (&json!(5), &json!(3)));
    let promoted = app.post(&promote, &json!({ "replaces": 5 })).await.expect(201);
    assert_eq!((&promoted["version"], &promoted["restores"]), (&json!(6), &json!(3)));

    let again = json!({ "files": giving(8, ""), "share": 10 });
    app.post(CANDIDATE, &again).await.expect(201);
    app.post(&format!("{PROGRAM}/publish"), &json!({ "files": giving(8, "") })).await.expect(201);
    let same = app.post(&promote, &json!({ "replaces": 8 })).await.expect(200);
    assert_eq!((&same["version"], &same["candidate"]), (&json!(8), &Value::Null), "it is in force already");
    assert_eq!(app.get(CANDIDATE).await.expect(200)["status"], "promoted");
    app.stop().await;
}

async fn a_restart_changes_nothing_for_anybody(mut app: TestApp) {
    begin(&app, json!({ "share": 40 })).await;
    patch(&app, json!({ "share": 50 })).await.expect(200);
    let before = orders(&app, "before", 40).await;
    assert!(before.contains(&2) && before.contains(&3), "{before:?}");
    app.restart_with(|_| ()).await;
    assert_eq!(orders(&app, "after", 40).await, before);
    std::fs::write(
        app.rules().join("harvest/gift.rhai"),
        "rule \"Folder\" on order.completed when order.channel == \"kiosk\" { award(1); }",
    )
    .unwrap();
    app.until("the edit is in force", async || (version(&app).await == 4).then_some(())).await;
    let edited = orders(&app, "edited", 40).await;
    let expected: Vec<_> = before.iter().map(|version| if *version == 3 { 3 } else { 4 }).collect();
    assert_eq!(edited, expected, "the folder is for everybody else");
    app.post(&format!("{CANDIDATE}/drop"), &json!({})).await.expect(200);
    app.restart_with(|_| ()).await;
    assert_eq!(orders(&app, "dropped", 40).await, [4; 40]);
    app.stop().await;
}

async fn both_sides_are_counted_to_the_point(app: TestApp) {
    let (endpoint, _) = app.endpoint("http://127.0.0.1:9000/", &["points.earned"]).await;
    app.send(&order("before", "ana", "10.00")).await.expect(200);
    app.post(&format!("{PROGRAM}/publish"), &json!({ "files": giving(10, "") })).await.expect(201);
    app.advance(1).await;
    let rules = "rule \"Fee\" on visit { deduct(30); }\n\
                 rule \"Tip\" on order.completed when order.channel == \"kiosk\" { award(100.0 / order.tip); }\n";
    let body = json!({ "files": giving(100, rules), "locations": ["mall"] });
    app.post(CANDIDATE, &body).await.expect(201);
    let send = async |mut event: Value, location: &str| {
        event["location"] = location.into();
        app.send(&event).await.expect(200)
    };
    for (key, guest, location) in [
        ("m1", "ana", "mall"),
        ("m2", "ana", "mall"),
        ("m3", "bo", "mall"),
        ("w1", "bo", "walnut"),
        ("w2", "cleo", "walnut"),
    ] {
        send(order(key, guest, "10.00"), location).await;
    }
    send(visit("v1", "ana", crate::support::builders::START), "mall").await;
    send(visit("v2", "cleo", crate::support::builders::START), "walnut").await;
    let mut failing = order("m4", "bo", "10.00");
    failing["data"]["channel"] = json!("kiosk");
    assert_eq!(send(failing, "mall").await["status"], "failed");
    app.advance(1).await;

    let seen = app.get(CANDIDATE).await.expect(200);
    let compared = &seen["compared"];
    assert_eq!((&compared["complete"], &compared["since"]), (&json!(true), &seen["since"]));
    let side = |name: &str| {
        let side = &compared[name];
        let of = |field: &str| side[field].as_i64().unwrap();
        (["members", "events", "failed", "deliveries"].map(of), side["points"]["points"].clone())
    };
    assert_eq!(side("candidate"), ([2, 5, 1, 4], json!({ "given": 400, "taken": 30 })), "{seen:#}");
    assert_eq!(side("stable"), ([2, 3, 0, 2], json!({ "given": 20, "taken": 0 })), "{seen:#}");
    let told: BTreeMap<String, i64> =
        serde_json::from_value(compared["candidate"]["loyalty_events"].clone()).unwrap();
    let wanted = [
        ("member.enrolled", 1),
        ("order.completed", 4),
        ("points.deducted", 1),
        ("points.earned", 4),
        ("visit.recorded", 1),
    ];
    assert_eq!(told, wanted.map(|(kind, count)| (kind.to_owned(), count)).into(), "{seen:#}");
    let each = &compared["candidate"]["per_member"];
    assert_eq!(
        (&each["events"], &each["points"]["points"], &each["deliveries"]),
        (&json!(2.5), &json!({ "given": 200.0, "taken": 15.0 }), &json!(2.0))
    );
    assert_eq!(app.deliveries(&endpoint).await.len(), 7, "one of them from before it began");
    app.stop().await;
}

/// Guests order while a candidate begins, grows and is promoted, twice: each order earns what its version says, once.
async fn beginning_growing_and_promoting_under_load_drops_and_doubles_nothing(app: TestApp) {
    app.post(&format!("{PROGRAM}/publish"), &json!({ "files": giving(2, "") })).await.expect(201);
    let gives = |version: i64| {
        if version == 4 {
            3
        } else if version == 6 {
            5
        } else {
            version
        }
    };
    let ordering = async |guest: usize| {
        let (name, mut earned, mut versions) = (format!("guest-{guest}"), 0, Vec::new());
        for n in 0..30 {
            let event = order(&format!("order-{guest}-{n}"), &name, "10.00");
            let receipt = loop {
                let answer = app.send(&event).await;
                if answer.status != 503 {
                    break answer.expect(200);
                }
            };
            let version = receipt["program_version"].as_i64().unwrap();
            earned += gives(version);
            versions.push(version);
            assert_eq!(
                (&receipt["status"], &receipt["member"]["points"]),
                (&json!("processed"), &json!(earned))
            );
        }
        assert!(versions.is_sorted(), "once in, always in: {versions:?}");
        earned
    };
    let rolling_out = async {
        for candidate in [3, 5] {
            let body = json!({ "files": giving(candidate, ""), "share": 10 });
            assert_eq!(app.post(CANDIDATE, &body).await.expect(201)["version"], candidate);
            for share in [40, 80] {
                patch(&app, json!({ "share": share })).await.expect(200);
            }
            app.post(&format!("{CANDIDATE}/promote"), &json!({})).await.expect(201);
        }
    };
    let (earned, ()) = join(join_all((0..8).map(ordering)), rolling_out).await;
    for (guest, earned) in earned.into_iter().enumerate() {
        assert_eq!(points(&app, &format!("guest-{guest}")).await, earned);
    }
    app.verify();
    app.stop().await;
}

async fn a_backtest_lives_the_share_again_as_it_was_ticks_included(app: TestApp) {
    let night = "rule \"Night\" on tick.daily when member.visits >= 1 { award(7); }\n";
    app.post(&format!("{PROGRAM}/publish"), &json!({ "files": giving(1, "") })).await.expect(201);
    orders(&app, "before", 20).await;
    app.advance(2 * 86_400).await;
    app.post(CANDIDATE, &json!({ "files": giving(100, night), "share": 40 })).await.expect(201);
    app.advance(2 * 86_400).await;
    orders(&app, "tried", 20).await;
    patch(&app, json!({ "share": 80 })).await.expect(200);
    app.advance(2 * 86_400).await;
    app.post(&format!("{CANDIDATE}/drop"), &json!({})).await.expect(200);
    app.advance(2 * 86_400).await;
    orders(&app, "after", 20).await;
    let had: BTreeMap<_, _> = join_all((0..20).map(async |n| (n, points(&app, &format!("guest-{n}")).await)))
        .await
        .into_iter()
        .collect();
    let nights = had.values().filter(|points| (*points - 3) % 7 != 0 || **points > 10).count();
    assert!(nights > 0 && had.values().any(|points| *points == 3), "some had nights, some had none: {had:?}");
    let report = app.post(&format!("{PROGRAM}/backtest"), &json!({ "version": 2 })).await.expect(200);
    let check = &report["self_check"];
    assert_eq!((&check["members"], &check["differ"]), (&json!(20), &json!(0)), "{report:#}");
    let owed: i64 = had.values().sum();
    assert_eq!(report["liability"]["points"]["baseline"], json!(owed));
    assert_eq!(report["liability"]["points"]["candidate"], json!(60), "had it never been tried: {report:#}");
    app.stop().await;
}

async fn a_dry_run_and_a_ledger_line_say_which_side_decided(app: TestApp) {
    begin(&app, json!({ "locations": ["mall"] })).await;
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    let mut event = order("o2", "ana", "10.00");
    for (location, arm, points) in [("mall", "candidate", 101), ("walnut", "stable", 2)] {
        event["location"] = location.into();
        let told = app.post("/v1/chains/harvest/events/dry_run", &event).await.expect(200);
        assert_eq!(
            (&told["arm"], &told["receipt"]["member"]["points"]),
            (&json!(arm), &json!(points)),
            "{told:#}"
        );
        let asked = json!({ "event": event, "version": 3 });
        let told = app.post("/v1/chains/harvest/events/dry_run", &asked).await.expect(200);
        assert_eq!((&told["arm"], &told["receipt"]["member"]["points"]), (&Value::Null, &json!(101)));
    }
    event["location"] = "mall".into();
    app.send(&event).await.expect(200);
    let lines = app.get(&format!("{MEMBERS}/ana/ledger")).await.expect(200);
    let line = lines["items"][0]["id"].as_str().unwrap();
    let why = app.get(&format!("{MEMBERS}/ana/ledger/{line}")).await.expect(200);
    let because = &why["because"];
    assert_eq!(
        (&because["version"]["version"], &because["version"]["origin"]),
        (&json!(3), &json!("candidate"))
    );
    assert!(because["text"].as_str().unwrap().contains("award(100)"), "{why:#}");
    app.post(&format!("{CANDIDATE}/drop"), &json!({})).await.expect(200);
    let told = app.post("/v1/chains/harvest/events/dry_run", &order("o3", "ana", "10.00")).await.expect(200);
    assert_eq!(told["arm"], Value::Null, "nothing is tried");
    app.stop().await;
}

async fn a_copy_of_a_published_version_in_the_folder_survives_a_rollback_and_a_restart(mut app: TestApp) {
    let files = giving(50, "");
    app.post(&format!("{PROGRAM}/publish"), &json!({ "files": files })).await.expect(201);
    let folder = app.rules().join("harvest");
    for file in std::fs::read_dir(&folder).unwrap().flatten() {
        std::fs::remove_file(file.path()).unwrap();
    }
    for (name, text) in files.as_object().unwrap() {
        std::fs::write(folder.join(name), text.as_str().unwrap()).unwrap();
    }
    app.restart_with(|_| ()).await; // it looks at the folder before it is open
    assert_eq!(version(&app).await, 2, "the very files are in force");
    app.post(&format!("{PROGRAM}/rollback"), &json!({ "version": 1 })).await.expect(201);
    app.restart_with(|_| ()).await;
    assert_eq!(version(&app).await, 3, "the folder was not edited");
    std::fs::write(folder.join("gift.rhai"), "rule \"Gift\" on visit { award(1); }").unwrap();
    app.until("the edit is in force", async || (version(&app).await == 4).then_some(())).await;
    app.stop().await;
}

#[actix_web::test]
async fn what_one_node_tries_the_other_tries_on_the_same_members() {
    let one = TestApp::start(Backend::Postgres).await;
    let other = one.another_node().await;
    begin(&one, json!({ "share": 50 })).await;
    let tried = async |app: &TestApp| app.get(PROGRAM).await.expect(200)["candidate"].clone();
    let share = |percent: u8| json!({ "version": 3, "share": percent });
    other.until("it is tried", async || (tried(&other).await == share(50)).then_some(())).await;
    let here = orders(&one, "here", 30).await;
    assert!(here.contains(&2) && here.contains(&3), "{here:?}");
    assert_eq!(orders(&other, "there", 30).await, here);
    let elsewhere = json!({ "files": giving(5, ""), "share": 10 });
    assert_eq!(other.post(CANDIDATE, &elsewhere).await.expect(409)["code"], "candidate_exists");
    patch(&other, json!({ "share": 100 })).await.expect(200);
    one.until("it grows", async || (tried(&one).await == share(100)).then_some(())).await;
    assert_eq!(orders(&one, "grown", 30).await, [3; 30]);
    one.post(&format!("{CANDIDATE}/promote"), &json!({})).await.expect(201);
    other
        .until("it is promoted", async || {
            (version(&other).await == 4 && tried(&other).await == Value::Null).then_some(())
        })
        .await;
    assert_eq!(orders(&other, "promoted", 30).await, [4; 30]);
    other.post(CANDIDATE, &elsewhere).await.expect(201);
    one.until("the next one is tried", async || (tried(&one).await["version"] == 5).then_some(())).await;
    other.post(&format!("{CANDIDATE}/drop"), &json!({})).await.expect(200);
    one.until("and dropped", async || (tried(&one).await == Value::Null).then_some(())).await;
    assert_eq!(orders(&one, "dropped", 30).await, [4; 30]);
    one.verify();
    join(one.stop(), other.stop()).await;
}

async fn at_locations_both_sides_mean_the_same_by_what_they_keep_of_a_member(app: TestApp) {
    let with = |manifest: &str, rules: &str| {
        let mut files = giving(100, rules);
        files["program.toml"] = json!(files["program.toml"].as_str().unwrap().to_owned() + manifest);
        files
    };
    app.post(&format!("{PROGRAM}/publish"), &json!({ "files": giving(1, "") })).await.expect(201);
    let differing = [
        with("counters = [\"stamps\"]\n", ""),
        with("", "segment \"Here\" when member.visits > 0;\n"),
        with("", "rule \"Review\" on tier.review { award(1); }\n"),
    ];
    for files in &differing {
        let refused =
            app.post(CANDIDATE, &json!({ "files": files, "locations": ["pier"] })).await.expect(409);
        assert_eq!(refused["code"], "candidate_differs", "{refused}");
        app.post(CANDIDATE, &json!({ "files": files, "share": 10 })).await.expect(201);
        let refused = patch(&app, json!({ "locations": ["pier"] })).await.expect(409);
        assert_eq!(refused["code"], "candidate_differs", "{refused}");
        app.post(&format!("{CANDIDATE}/drop"), &json!({})).await.expect(200);
    }
    app.post(CANDIDATE, &json!({ "files": giving(100, ""), "locations": ["pier"] })).await.expect(201);
    for files in differing {
        let refused = app.post(&format!("{PROGRAM}/publish"), &json!({ "files": files })).await.expect(409);
        assert_eq!(refused["code"], "candidate_differs", "{refused}");
    }
    app.post(&format!("{PROGRAM}/publish"), &json!({ "files": giving(2, "") })).await.expect(201);
    app.stop().await;
}
