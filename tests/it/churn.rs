//! Who will stay away: learned from the chain's own log, on schedule, and told with those who are missed.

use std::fmt::Write as _;
use std::num::NonZeroU16;

use awc::http::Method;
use chrono::{Days, NaiveDate};
use punchcard::domain::churn::{Parameters, Summary};
use punchcard::domain::visited::VisitedDays;
use serde_json::{Value, json};

use crate::support::{Backend, Receiver, TestApp, on_both_backends};

const CHURN: &str = "/v1/chains/harvest/churn";
const DAY: i64 = 24 * 3_600;
/// The last day before the test begins.
const LAST: NaiveDate = NaiveDate::from_ymd_opt(2026, 3, 2).unwrap();

on_both_backends! {
    from super::monthly;
    a_model_is_fitted_on_schedule_told_with_who_is_missed_and_there_after_a_restart,
    too_little_is_said_so_and_nothing_is_foretold,
}

/// The sample chain with a horizon of 30 days.
async fn monthly(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| {
        let manifest = config.rules.join("harvest/program.toml");
        let mut text = std::fs::read_to_string(&manifest).unwrap();
        write!(text, "\n[lifecycle]\nchurn_horizon = \"30 days\"\n").unwrap();
        std::fs::write(&manifest, text).unwrap();
    })
    .await
}

/// The days on which the `n`-th guest came: some often, some for long, some once.
fn days(n: u64) -> impl Iterator<Item = NaiveDate> {
    let first = LAST - Days::new(120 - n % 37);
    let (gap, visits) = (3 + n % 13, 1 + n * n % 11);
    (0..visits).map(move |nth| first + Days::new(nth * gap)).take_while(|day| *day <= LAST)
}

async fn send_visits(app: &TestApp, guests: u64) {
    let mut lines = String::new();
    for guest in 0..guests {
        for day in days(guest) {
            let event = json!({ "key": format!("{guest} {day}"), "type": "visit", "occurred_at": format!("{day}T17:00:00Z"),
                "member": { "id": format!("g{guest}") }, "data": {} });
            writeln!(lines, "{event}").unwrap();
        }
    }
    let ndjson = [("content-type", "application/x-ndjson")];
    let path = "/v1/chains/harvest/events/batch";
    let answer = app.request(Method::POST, path, &ndjson, lines.into_bytes()).await;
    assert!(answer.text.lines().all(|line| line.contains("\"processed\"")), "{}", answer.text);
}

/// What the parameters that the API shows foretell of a guest, to four places.
fn foretold(model: &Value, guest: u64, today: NaiveDate) -> f64 {
    let [r, alpha, a, b] = ["r", "alpha", "a", "b"].map(|name| model["parameters"][name].as_f64().unwrap());
    let summary = Summary::of(VisitedDays::of(days(guest)).unwrap(), today);
    let horizon = NonZeroU16::new(30).unwrap();
    let probability = Parameters::new(r, alpha, a, b).unwrap().no_visit_within(horizon, summary);
    probability.to_decimal().to_string().parse().unwrap()
}

async fn a_model_is_fitted_on_schedule_told_with_who_is_missed_and_there_after_a_restart(mut app: TestApp) {
    let crm = Receiver::start().await;
    send_visits(&app, 260).await;
    app.until("the first look", async || {
        let shown = app.get(CHURN).await.expect(200);
        (!shown["refused"].is_null() || !shown["model"].is_null()).then_some(())
    })
    .await;
    // Whatever the first look found, which was at the start, the next is a week later as soon as the day begins.
    app.advance(7 * DAY).await;
    let shown = app.get(CHURN).await.expect(200);
    let model = &shown["model"];
    assert_eq!(model["fitted_at"], "2026-03-10T04:00:00Z", "{shown}");
    assert_eq!(shown["next_fit_at"], "2026-03-17T04:00:00Z");
    assert_eq!((&model["members"], &model["horizon_days"]), (&json!(260), &json!(30)));
    assert_eq!((&model["from"], &model["to"]), (&json!("2025-11-02"), &json!("2026-03-09")));
    let card = &model["report_card"];
    assert_eq!(card["calibration_end"], "2026-02-07", "{model}");
    assert!(card["brier"].as_f64() < card["base_rate_brier"].as_f64(), "{card}");
    app.endpoint(&crm.url, &["member.*"]).await;

    app.advance(DAY).await; // at three in the morning of the 11th
    let arrivals = crm.arrivals();
    assert!(!arrivals.is_empty());
    for told in arrivals.iter().map(|arrival| arrival.json()) {
        let guest: u64 = told["member"]["id"].as_str().unwrap()[1..].parse().unwrap();
        let expected = foretold(model, guest, "2026-03-11".parse().unwrap());
        assert!((0.0..=1.0).contains(&expected));
        assert_eq!(told["data"]["predicted_churn_probability"], json!(expected), "{told}");
    }

    app.restart_with(|config| config.test_clock = Some("2026-03-11T18:30:00Z".parse().unwrap())).await;
    assert_eq!(app.get(CHURN).await.expect(200), shown, "the model is still there, and no other");
    let before = crm.arrivals().len();
    let mut back =
        json!({ "key": "back", "type": "visit", "data": {}, "occurred_at": "2026-03-11T18:30:00Z" });
    back["member"] = arrivals[0].json()["member"]["id"].as_str().map(|id| json!({ "id": id })).unwrap();
    app.send(&back).await.expect(200);
    app.advance(0).await;
    let told = crm.arrivals()[before..].iter().map(|arrival| arrival.json()).next().unwrap();
    assert_eq!(told["type"], "member.reactivated");
    let (was, is) = (&arrivals[0].json()["data"], &told["data"]);
    assert_eq!(was["predicted_churn_probability"], is["predicted_churn_probability"], "as it was");
    app.stop().await;
}

async fn too_little_is_said_so_and_nothing_is_foretold(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["member.at_risk"]).await;
    send_visits(&app, 60).await;
    let refused = app.post(&format!("{CHURN}/refit"), &json!({})).await.expect(409);
    assert_eq!(refused["code"], "too_few_members");
    assert_eq!(refused["detail"], "by the end of 2026-03-02, 60 members had come; at least 200 are needed");
    for guest in 0..5 {
        let today = json!({ "key": format!("today {guest}"), "type": "visit", "data": {},
            "occurred_at": "2026-03-03T17:00:00Z", "member": { "id": format!("new{guest}") } });
        app.send(&today).await.expect(200);
    }
    let again = app.post(&format!("{CHURN}/refit"), &json!({})).await.expect(409);
    assert_eq!(again["detail"], refused["detail"], "today is not over");
    let shown = app.get(CHURN).await.expect(200);
    assert_eq!((&shown["model"], &shown["earlier"]), (&Value::Null, &json!([])));
    assert_eq!(shown["refused"]["code"], "too_few_members");
    assert_eq!((&shown["horizon_days"], &shown["refit_days"]), (&json!(30), &json!(7)));
    app.advance(DAY).await;
    let arrivals = crm.arrivals();
    assert!(!arrivals.is_empty());
    assert!(arrivals.iter().all(|told| told.json()["data"].get("predicted_churn_probability").is_none()));
    app.stop().await;
}

#[actix_web::test]
async fn who_may_look_and_who_may_learn_anew() {
    let app = monthly(Backend::Sqlite).await;
    send_visits(&app, 260).await;
    let first = app.post(&format!("{CHURN}/refit"), &json!({})).await.expect(200)["model"].clone();
    app.advance(DAY).await;
    for (role, look, learn) in [("viewer", 200, 403), ("manager", 200, 200), ("ingest", 403, 403)] {
        let body = json!({ "role": role, "chain": "harvest" });
        let key = app.post("/v1/keys", &body).await.expect(201)["key"].as_str().unwrap().to_owned();
        let auth = format!("Bearer {key}");
        let auth = [("authorization", auth.as_str())];
        assert_eq!(app.request(Method::GET, CHURN, &auth, Vec::new()).await.status, look, "{role}");
        let again = app.request(Method::POST, &format!("{CHURN}/refit"), &auth, Vec::new()).await;
        assert_eq!(again.status, learn, "{role}: {}", again.text);
    }
    let shown = app.get(CHURN).await.expect(200);
    assert_ne!(shown["model"]["fitted_at"], first["fitted_at"]);
    let lines = app.get("/v1/audit?action=churn.refitted").await.expect(200);
    let authors: Vec<_> =
        lines["items"].as_array().unwrap().iter().map(|line| &line["author"]["type"]).collect();
    assert_eq!(authors, ["key", "configuration"], "what the schedule fits is nobody's");
    assert_eq!(shown["earlier"][0]["fitted_at"], first["fitted_at"]);
    assert_eq!(shown["earlier"][0]["brier"], first["report_card"]["brier"]);
    app.stop().await;
}
