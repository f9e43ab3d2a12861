//! Filters of endpoints: what passes, what is refused, and what becomes of them when the program changes.

use serde_json::{Value, json};

use crate::support::{Receiver, TestApp, on_both_backends, order, visit};

on_both_backends! {
    orders_above_fifty_arrive_and_others_do_not,
    a_misspelt_filter_is_refused_with_its_place_and_what_was_meant,
    a_condition_for_some_types_only_is_given_by_type,
    what_is_forwarded_is_filtered_too,
    a_failing_filter_delivers_and_is_noted,
    a_version_without_what_a_filter_uses_lets_everything_pass_until_it_is_rolled_back,
    a_candidate_filters_by_its_own_constants,
    a_dry_run_says_who_would_get_what_by_this_program_or_another,
}

const ENDPOINTS: &str = "/v1/chains/harvest/endpoints";
const PROGRAM: &str = "/v1/chains/harvest/program";

/// A program that gives a point for an order, with this behind it.
fn files(more: &str) -> Value {
    let manifest =
        "name = \"Harvest\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\nendpoints = [\"crm\"]\n";
    json!({ "program.toml": manifest, "a.rhai": format!("rule \"Gift\" on order.completed {{ award(1); }}\n{more}") })
}

async fn publish(app: &TestApp, more: &str) -> Value {
    app.post(&format!("{PROGRAM}/publish"), &json!({ "files": files(more) })).await.expect(201)
}

/// An endpoint with a filter; its path.
async fn filtered(app: &TestApp, url: &str, events: &[&str], filter: Value) -> String {
    let body = json!({ "url": url, "events": events, "filter": filter });
    let made = app.post(ENDPOINTS, &body).await.expect(201);
    assert_eq!((&made["filter"], &made["filter_problem"]), (&filter, &Value::Null));
    format!("{ENDPOINTS}/{}", made["id"].as_str().unwrap())
}

/// Sends orders of these totals, and says of which the receiver heard.
async fn heard(app: &TestApp, crm: &Receiver, round: &str, totals: &[&str]) -> Vec<String> {
    let before = crm.arrivals().len();
    for total in totals {
        app.send(&order(&format!("{round}-{total}"), "ana", total)).await.expect(200);
    }
    app.advance(0).await;
    let mut heard: Vec<_> =
        crm.arrivals()[before..].iter().map(|arrival| arrival.json()["data"]["total"].to_string()).collect();
    heard.sort();
    heard
}

async fn orders_above_fifty_arrive_and_others_do_not(mut app: TestApp) {
    let crm = Receiver::start().await;
    let path = filtered(&app, &crm.url, &["order.completed"], json!("event.total > 50")).await;
    assert_eq!(heard(&app, &crm, "a", &["50.00", "50.01", "49.99"]).await, ["50.01"]);
    app.restart_with(|_| ()).await;
    assert_eq!(heard(&app, &crm, "b", &["50.00", "50.01"]).await, ["50.01"], "it is kept");
    app.patch(&path, &json!({ "filter": "event.total < 50" })).await.expect(200);
    assert_eq!(heard(&app, &crm, "c", &["50.00", "49.99"]).await, ["49.99"]);
    let cleared = app.patch(&path, &json!({ "filter": null })).await.expect(200);
    assert_eq!(cleared["filter"], Value::Null);
    assert_eq!(heard(&app, &crm, "d", &["50.02", "49.99"]).await, ["49.99", "50.02"]);
    app.stop().await;
}

async fn a_misspelt_filter_is_refused_with_its_place_and_what_was_meant(app: TestApp) {
    let body = json!({ "url": "http://127.0.0.1:9000/", "events": ["order.*"], "filter": "event.totl > 50" });
    let refused = app.post(ENDPOINTS, &body).await.expect(422);
    assert_eq!((&refused["code"], &refused["field"]), (&json!("filter_does_not_check"), &json!("filter")));
    let problem = &refused["problems"][0];
    assert_eq!((&problem["line"], &problem["column"], &problem["length"]), (&json!(1), &json!(7), &json!(4)));
    assert_eq!(
        (&problem["help"], &problem["source"]),
        (&json!("did you mean `total`?"), &json!("event.totl > 50"))
    );
    assert_eq!(app.get(ENDPOINTS).await.expect(200)["items"], json!([]), "nothing was stored");

    let path = filtered(&app, "http://127.0.0.1:9000/", &["order.*"], json!("event.total > 50")).await;
    for wrong in [
        json!({ "filter": "event.total > \"50\"" }),
        json!({ "events": ["points.*"] }), // of which the filter says nothing
        json!({ "filter": { "order.*": "event.total >" } }),
    ] {
        let refused = app.patch(&path, &wrong).await.expect(422);
        assert_eq!(refused["code"], "filter_does_not_check", "{refused}");
    }
    for (wrong, field) in [
        (json!({ "filter": 5 }), "filter"),
        (json!({ "filter": { "ordre.*": "true" } }), "filter[\"ordre.*\"]"),
    ] {
        assert_eq!(app.patch(&path, &wrong).await.expect(422)["field"], field);
    }
    app.patch(&path, &json!({ "events": ["points.*"], "filter": "event.amount > 50" })).await.expect(200);
    app.stop().await;
}

async fn a_condition_for_some_types_only_is_given_by_type(app: TestApp) {
    let crm = Receiver::start().await;
    let body = json!({ "url": crm.url, "events": ["*"], "filter": "event.total > 50" });
    let refused = app.post(ENDPOINTS, &body).await.expect(422);
    let said = refused["detail"].as_str().unwrap();
    assert!(said.contains(r#"write {"order.*":"event.total > 50"}"#), "{said}");
    let filter = json!({ "order.*": "event.total > 50", "points.*": "event.amount >= 55" });
    filtered(&app, &crm.url, &["*"], filter).await;
    app.send(&order("a", "ana", "52.00")).await.expect(200);
    app.send(&visit("v", "ana", "2026-03-03T18:30:00Z")).await.expect(200);
    app.advance(0).await;
    let kinds: Vec<_> =
        crm.arrivals().iter().map(|arrival| arrival.json()["type"].as_str().unwrap().to_owned()).collect();
    let has = |kind: &str| kinds.iter().any(|known| known == kind);
    assert!(has("order.completed") && has("visit.recorded") && has("member.enrolled"), "{kinds:?}");
    assert!(!has("points.earned"), "52 points: {kinds:?}");
    app.stop().await;
}

async fn what_is_forwarded_is_filtered_too(app: TestApp) {
    publish(&app, "trigger \"t\" on order.completed { forward(\"crm\"); }").await;
    let crm = Receiver::start().await;
    let body = json!({ "url": crm.url, "tags": ["crm"], "filter": "event.total > 50" });
    app.post(ENDPOINTS, &body).await.expect(201);
    assert_eq!(heard(&app, &crm, "a", &["50.00", "50.01"]).await, ["50.01"]);
    app.stop().await;
}

async fn a_failing_filter_delivers_and_is_noted(app: TestApp) {
    let crm = Receiver::start().await;
    filtered(&app, &crm.url, &["order.completed"], json!("100 / (event.total - 60) > 1")).await;
    let receipt = app.send(&order("a", "ana", "60.00")).await.expect(200);
    app.advance(0).await;
    assert_eq!(crm.arrivals().len(), 1);
    let note = receipt["notes"][0].as_str().unwrap();
    assert!(note.contains("failed at filter:1:5: ") && note.ends_with("it was delivered"), "{note}");
    assert_eq!(receipt["status"], "processed");
    app.stop().await;
}

async fn a_version_without_what_a_filter_uses_lets_everything_pass_until_it_is_rolled_back(mut app: TestApp) {
    let first = publish(&app, "const BIG = 50;\nfn is_big(amount) { amount > BIG }").await;
    assert_eq!(first["broken_filters"], json!([]));
    let crm = Receiver::start().await;
    let path = filtered(&app, &crm.url, &["order.completed"], json!("is_big(event.total)")).await;
    assert_eq!(heard(&app, &crm, "a", &["50.00", "50.01"]).await, ["50.01"]);

    let published = publish(&app, "").await;
    let id = path.rsplit('/').next().unwrap();
    assert_eq!(published["broken_filters"], json!([id]));
    app.restart_with(|_| ()).await;
    assert_eq!(app.get(PROGRAM).await.expect(200)["broken_filters"], json!([id]));
    let shown = app.get(&path).await.expect(200);
    let problem = shown["filter_problem"].as_str().unwrap();
    assert!(problem.contains("there is no function called `is_big`"), "{problem}");
    assert_eq!(app.get(ENDPOINTS).await.expect(200)["items"][0]["filter_problem"], problem);
    assert_eq!(heard(&app, &crm, "b", &["50.02", "49.99"]).await, ["49.99", "50.02"]);
    let paused = app.post(&format!("{path}/disable"), &json!({})).await.expect(200);
    assert_eq!(paused["filter_problem"], problem, "and it can be changed otherwise");
    app.post(&format!("{path}/enable"), &json!({})).await.expect(200);

    let back = json!({ "version": first["version"] });
    let rolled_back = app.post(&format!("{PROGRAM}/rollback"), &back).await.expect(201);
    assert_eq!(rolled_back["broken_filters"], json!([]));
    assert_eq!(app.get(&path).await.expect(200)["filter_problem"], Value::Null);
    assert_eq!(heard(&app, &crm, "c", &["50.00", "50.01"]).await, ["50.01"]);
    app.stop().await;
}

async fn a_candidate_filters_by_its_own_constants(app: TestApp) {
    let in_force = publish(&app, "const BIG = 50;").await["version"].clone();
    let crm = Receiver::start().await;
    filtered(&app, &crm.url, &["order.completed"], json!("event.total > BIG")).await;
    let body = json!({ "files": files("const BIG = 100;"), "share": 50 });
    app.post(&format!("{PROGRAM}/candidate"), &body).await.expect(201);
    let (mut expected, mut sides) = (Vec::new(), [0, 0]);
    for n in 0..30 {
        let receipt = app.send(&order(&format!("o{n}"), &format!("guest-{n}"), "75.00")).await.expect(200);
        let is_stable = receipt["program_version"] == in_force;
        sides[usize::from(is_stable)] += 1;
        expected.extend(is_stable.then(|| format!("o{n}")));
    }
    assert!(sides.iter().all(|side| *side > 3), "{sides:?}");
    app.advance(0).await;
    let mut heard: Vec<_> = crm
        .arrivals()
        .iter()
        .map(|arrival| arrival.json()["data"]["order_id"].as_str().unwrap().to_owned())
        .collect();
    heard.sort();
    expected.sort();
    assert_eq!(heard, expected);
    app.stop().await;
}

async fn a_dry_run_says_who_would_get_what_by_this_program_or_another(app: TestApp) {
    publish(&app, "const BIG = 50;").await;
    let url = "http://127.0.0.1:9000/";
    filtered(&app, url, &["order.completed"], json!("event.total > BIG")).await;
    let dry_run = "/v1/chains/harvest/events/dry_run";
    let told = app.post(dry_run, &order("a", "ana", "50.00")).await.expect(200);
    assert_eq!(told["deliveries"], json!([]));
    let asked = &told["filters"][0];
    assert_eq!((&asked["verdict"], &asked["on"]), (&json!("not_fired"), &json!("order.completed")));
    let values = json!([{ "of": "event.total", "is": "50.00" }, { "of": "BIG", "is": "50" }]);
    assert_eq!(asked["because"], json!([{ "part": "event.total > BIG", "values": values }]));
    let body = json!({ "event": order("a", "ana", "50.00"), "files": files("const BIG = 40;") });
    let told = app.post(dry_run, &body).await.expect(200);
    assert_eq!(
        (&told["filters"][0]["verdict"], told["deliveries"].as_array().map(Vec::len)),
        (&json!("fired"), Some(1)),
        "{told}"
    );
    app.stop().await;
}
