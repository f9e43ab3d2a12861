//! Dry runs: what would happen of an event, and why; and that nothing of it happens. These tests count the rows of the
//! database, to see that none came.

use awc::http::Method;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::{PgConnection, SqliteConnection};
use serde_json::{Value, json};

use crate::support::{Backend, TestApp, on_both_backends, order, refund, visit};

on_both_backends! {
    nothing_is_written_and_the_event_does_afterwards_what_was_said,
    somebody_unknown_would_become_a_member_or_the_event_be_parked,
    a_candidate_is_tried_before_anybody_publishes_it,
    an_older_version_is_tried_as_it_was,
    what_a_decision_lacks_is_looked_up_and_stays_as_it_was,
    what_would_be_refused_is_refused_and_a_repeat_is_known,
    whose_an_event_would_be_goes_by_its_order_and_new_names_are_the_guests,
}

const CHAIN: &str = "/v1/chains/harvest";
const DRY_RUN: &str = "/v1/chains/harvest/events/dry_run";

#[derive(QueryableByName)]
struct Table {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How many rows each table has, all members as they are, and how many of them are in memory.
async fn stored(app: &TestApp) -> (Vec<(String, i64)>, Value, String) {
    macro_rules! count {
        ($conn:expr, $tables:expr) => {{
            let mut conn = $conn;
            let tables: Vec<Table> = diesel::sql_query($tables).load(&mut conn).unwrap();
            let rows = tables.into_iter().map(|Table { name }| {
                let query = format!("SELECT count(*) AS count FROM \"{name}\"");
                let Count { count } = diesel::sql_query(query).get_result(&mut conn).unwrap();
                (name, count)
            });
            rows.collect::<Vec<_>>()
        }};
    }
    let url = app.database();
    let rows = match url.strip_prefix("sqlite://") {
        Some(path) => count!(
            SqliteConnection::establish(path).unwrap(),
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        ),
        None => count!(
            PgConnection::establish(&url).unwrap(),
            "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        ),
    };
    assert!(rows.iter().any(|(table, count)| table == "program_versions" && *count > 0), "{rows:?}");
    let metrics = app.get("/metrics").await.text;
    let resident = metrics.lines().find(|line| line.starts_with("punchcard_members_resident ")).unwrap();
    (rows, app.get(&format!("{CHAIN}/members")).await.expect(200), resident.to_owned())
}

/// Tries a body; nothing of it may be written.
async fn try_out(app: &TestApp, body: &Value) -> Value {
    let before = stored(app).await;
    let told = app.post(DRY_RUN, body).await.expect(200);
    assert_eq!(stored(app).await, before, "nothing is written");
    told
}

fn verdict<'t>(told: &'t Value, rule: &str) -> &'t Value {
    let rules = told["rules"].as_array().unwrap();
    rules.iter().find(|judged| judged["rule"] == rule).unwrap_or_else(|| panic!("{rule}: {told}"))
}

fn kinds(events: &Value) -> Vec<&str> {
    events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// The files of the sample chain, with this text put behind some of them.
fn files(app: &TestApp, more: &[(&str, &str)]) -> Value {
    let folder = std::fs::read_dir(app.rules().join("harvest")).unwrap().flatten();
    let mut files: serde_json::Map<_, _> = folder
        .map(|file| {
            let text = std::fs::read_to_string(file.path()).unwrap();
            (file.file_name().into_string().unwrap(), Value::String(text))
        })
        .collect();
    for (name, text) in more {
        let known = files.get(*name).and_then(Value::as_str).unwrap_or_default();
        files.insert((*name).to_owned(), format!("{known}\n{text}").into());
    }
    files.into()
}

async fn nothing_is_written_and_the_event_does_afterwards_what_was_said(app: TestApp) {
    let (crm, _) = app.endpoint("http://127.0.0.1:9000/crm", &["points.*"]).await;
    let disabled = app.post(&format!("{CHAIN}/endpoints/{crm}/disable"), &json!({})).await;
    assert_eq!(disabled.status, 200, "so that nothing leaves: {}", disabled.text);
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    let mut event = order("o2", "ana", "24.50");
    event["data"]["items"][0]["category"] = json!("coffee");
    let told = try_out(&app, &event).await;
    assert_eq!(told["enrols"], false);
    assert_eq!(verdict(&told, "Points per dollar")["effects"][0]["amount"], 24);
    let coffee = verdict(&told, "Coffee counts three times");
    assert_eq!(coffee["effects"][0]["amount"], 49);
    assert_eq!(coffee["reads"], json!([{ "of": "order.spent_on(\"coffee\")", "is": "24.50" }]));
    let unmet = verdict(&told, "Happy hour doubles");
    assert_eq!((&unmet["verdict"], &unmet["at"]), (&json!("not_fired"), &json!("earning.rhai:22")));
    assert_eq!(unmet["condition"], "order.at.hour >= HAPPY_HOUR_FROM and order.at.hour < HAPPY_HOUR_TO");
    let values = json!([{ "of": "order.at.hour", "is": "13" }, { "of": "HAPPY_HOUR_FROM", "is": "14" }]);
    let because = json!([{ "part": "order.at.hour >= HAPPY_HOUR_FROM", "values": values }]);
    assert_eq!(unmet["because"], because);
    let [trigger, ..] = &told["triggers"].as_array().unwrap()[..] else { panic!("{told}") };
    assert_eq!(trigger["trigger"], "Big earns of gold members");
    assert_eq!(trigger["because"][1]["values"], json!([{ "of": "member.tier", "is": "\"bronze\"" }]));
    let owed = told["deliveries"].as_array().unwrap();
    assert!(!owed.is_empty() && owed.iter().all(|owed| owed["endpoint"] == crm.as_str()), "{told}");
    assert_eq!(owed[0]["because"], json!([{ "subscribed": "points.*" }]));

    let again = try_out(&app, &event).await;
    assert_eq!(again["rules"], told["rules"], "trying leaves nothing behind");
    let receipt = app.send(&event).await.expect(200);
    for field in ["status", "duplicate", "program_version", "member", "effects", "errors"] {
        assert_eq!(receipt[field], told["receipt"][field], "{field}");
    }
    assert_eq!(kinds(&receipt["events"]), kinds(&told["events"]));
    assert_eq!(told["events"].as_array().unwrap().last().unwrap()["member"]["points"], 10 + 24 + 49);
    let log = app.deliveries(&crm).await;
    assert_eq!(log.len(), 1 + owed.len(), "that of the first order, and those that were foretold");
    app.verify();
    app.stop().await;
}

async fn somebody_unknown_would_become_a_member_or_the_event_be_parked(app: TestApp) {
    let event = visit("v1", "zoe", crate::support::builders::START);
    let told = try_out(&app, &event).await;
    assert_eq!((&told["enrols"], &told["receipt"]["status"]), (&json!(true), &json!("processed")));
    assert_eq!(kinds(&told["events"])[0], "member.enrolled");
    app.get(&format!("{CHAIN}/members/zoe")).await.expect(404);
    let mut strict = files(&app, &[]);
    let manifest = strict["program.toml"].as_str().unwrap();
    strict["program.toml"] =
        manifest.replace("enrol_on_first_sight = true", "enrol_on_first_sight = false").into();
    let parked = try_out(&app, &json!({ "event": event, "files": strict })).await;
    assert_eq!((&parked["receipt"]["status"], &parked["rules"]), (&json!("parked"), &json!([])));
    let receipt = app.send(&event).await.expect(200);
    assert_eq!(kinds(&receipt["events"])[0], "member.enrolled");
    let known = try_out(&app, &visit("v2", "zoe", crate::support::builders::START)).await;
    assert_eq!(known["enrols"], false);
    app.stop().await;
}

async fn a_candidate_is_tried_before_anybody_publishes_it(app: TestApp) {
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    let more = "rule \"Tip\" on order.completed { award(100.0 / order.tip); }\nrule \"Gift\" on order.completed { award(7); }";
    let body = json!({ "event": order("o2", "ana", "10.00"), "files": files(&app, &[("more.rhai", more)]) });
    let told = try_out(&app, &body).await;
    let failed = verdict(&told, "Tip");
    assert_eq!((&failed["verdict"], &failed["at"]), (&json!("failed"), &json!("more.rhai:2")));
    assert!(failed["failed_at"].as_str().unwrap().starts_with("more.rhai:2:"), "{failed}");
    assert!(failed["error"].as_str().is_some_and(|error| !error.is_empty()), "{failed}");
    assert_eq!(verdict(&told, "Gift")["effects"][0]["amount"], 7);
    let receipt = &told["receipt"];
    assert_eq!((&receipt["status"], &receipt["errors"][0]["rule"]), (&json!("failed"), &json!("Tip")));
    let plain = try_out(&app, &json!({ "event": order("o2", "ana", "10.00") })).await;
    assert!(plain["rules"].as_array().unwrap().iter().all(|judged| judged["rule"] != "Gift"), "{plain}");

    let typo = files(&app, &[("more.rhai", "rule \"Typo\" on visit { awrd(1); }")]);
    let refused =
        app.post(DRY_RUN, &json!({ "event": order("o2", "ana", "10.00"), "files": typo })).await.expect(422);
    assert_eq!(refused["code"], "program_does_not_check");
    assert_eq!(
        (&refused["problems"][0]["file"], &refused["problems"][0]["line"]),
        (&json!("more.rhai"), &json!(2))
    );
    app.stop().await;
}

async fn an_older_version_is_tried_as_it_was(app: TestApp) {
    let gift = files(
        &app,
        &[("more.rhai", "rule \"Kiosk\" on order.completed when order.channel == \"kiosk\" { award(7); }")],
    );
    app.post(&format!("{CHAIN}/program/publish"), &json!({ "files": gift })).await.expect(201);
    let mut event = order("o1", "ana", "10.00");
    event["data"]["channel"] = json!("kiosk");
    let told = try_out(&app, &event).await;
    assert_eq!(
        (&told["receipt"]["program_version"], &told["receipt"]["member"]["points"]),
        (&json!(2), &json!(17))
    );
    let before = try_out(&app, &json!({ "event": event, "version": 1 })).await;
    assert_eq!(
        (&before["receipt"]["program_version"], &before["receipt"]["member"]["points"]),
        (&json!(1), &json!(10))
    );
    app.post(DRY_RUN, &json!({ "event": event, "version": 9 })).await.expect(404);
    let both = json!({ "event": event, "version": 1, "files": {} });
    assert_eq!(app.post(DRY_RUN, &both).await.expect(422)["field"], "files");
    app.stop().await;
}

async fn what_a_decision_lacks_is_looked_up_and_stays_as_it_was(app: TestApp) {
    let more = [
        ("program.toml", "[[coupon_books]]\nid = \"gift\"\ndiscount_type = \"other\"\n"),
        (
            "more.rhai",
            "rule \"Gives\" on visit when !member.has_coupon(\"gift\") { assign_coupon(\"gift\"); }\nrule \"Has\" on visit when member.coupons(\"gift\") >= 1 { award(5); }",
        ),
    ];
    app.post(&format!("{CHAIN}/program/publish"), &json!({ "files": files(&app, &more) })).await.expect(201);
    let told = try_out(&app, &visit("v1", "ana", crate::support::builders::START)).await;
    assert_eq!(verdict(&told, "Gives")["effects"][0]["effect"], "assign_coupon");
    assert_eq!(
        verdict(&told, "Has")["because"][0]["values"],
        json!([{ "of": "member.coupons(\"gift\")", "is": "0" }])
    );
    app.send(&visit("v1", "ana", crate::support::builders::START)).await.expect(200);
    let told = try_out(&app, &visit("v2", "ana", crate::support::builders::START)).await;
    assert_eq!(verdict(&told, "Has")["verdict"], "fired");
    let part = json!([{ "part": "!member.has_coupon(\"gift\")", "values": [{ "of": "member.has_coupon(\"gift\")", "is": "true" }] }]);
    assert_eq!(verdict(&told, "Gives")["because"], part);
    app.verify();
    app.stop().await;
}

async fn what_would_be_refused_is_refused_and_a_repeat_is_known(app: TestApp) {
    let first = app.send(&order("o1", "ana", "10.00")).await.expect(200);
    app.send(&visit("v1", "ben", crate::support::builders::START)).await.expect(200);
    let ours = app.get(&format!("{CHAIN}/members/ana")).await.expect(200)["member_id"].clone();
    let nobody = "mem_00000000000000000000000007";
    for event in [
        json!({ "type": "order.completed", "data": { "total": 1 } }),
        json!({ "type": "points.adjust", "member": { "id": "ana" }, "data": { "amount": 5, "reason": "x" } }),
        json!({ "key": "referral:1", "type": "visit", "member": { "id": "ana" }, "data": {} }),
        json!({ "type": "visit", "member": { "id": nobody }, "data": {} }),
        json!({ "type": "member.updated", "member": { "id": ours }, "data": { "id": "ben" } }),
        order("o1", "ana", "11.00"),
        json!([1]),
    ] {
        let before = stored(&app).await;
        let tried = app.post(DRY_RUN, &event).await;
        assert_eq!(stored(&app).await, before, "{event}");
        let sent = app.send(&event).await;
        assert!(sent.status >= 400, "{event}: {}", sent.text);
        let what = |answer: &crate::support::app::Reply| {
            let problem = answer.json();
            (answer.status, ["code", "detail", "field"].map(|field| problem[field].clone()))
        };
        assert_eq!(what(&tried), what(&sent), "{event}");
    }
    let known = try_out(&app, &order("o1", "ana", "10.00")).await;
    assert_eq!((&known["receipt"]["duplicate"], &known["receipt"]["id"]), (&json!(true), &first["id"]));
    assert_eq!(known["rules"], json!([]));

    let made = app
        .post("/v1/keys", &json!({ "role": "ingest", "chain": "harvest", "name": "till" }))
        .await
        .expect(201);
    let till = format!("Bearer {}", made["key"].as_str().unwrap());
    let body = order("o9", "ana", "1.00").to_string().into_bytes();
    let auth = [("authorization", till.as_str()), ("content-type", "application/json")];
    assert_eq!(app.request(Method::POST, DRY_RUN, &auth, body).await.status, 403);
    app.stop().await;
}

async fn whose_an_event_would_be_goes_by_its_order_and_new_names_are_the_guests(app: TestApp) {
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    let mut by_card = order("o2", "ana", "10.00");
    by_card["member"]["card"] = json!("7001");
    for event in [refund("r1", "o1", "4.00"), by_card] {
        let told = try_out(&app, &event).await;
        let receipt = app.send(&event).await.expect(200);
        for field in ["status", "member", "effects"] {
            assert_eq!(receipt[field], told["receipt"][field], "{field}: {event}");
        }
        assert_eq!(kinds(&receipt["events"]), kinds(&told["events"]), "{event}");
        assert_eq!(receipt["status"], "processed", "{event}");
    }
    app.stop().await;
}

#[actix_web::test]
async fn what_is_about_no_guest_is_tried_too() {
    let app = TestApp::start(Backend::Sqlite).await;
    let (_, _) = app.endpoint("http://127.0.0.1:9000/menu", &["menu_item.*"]).await;
    let event =
        json!({ "key": "m1", "type": "menu_item.updated", "data": { "id": "dish_1", "name": "Bowl" } });
    let told = try_out(&app, &event).await;
    assert_eq!(kinds(&told["events"]), ["menu_item.updated"]);
    assert_eq!(told["deliveries"][0]["because"], json!([{ "subscribed": "menu_item.*" }]));
    app.stop().await;
}
