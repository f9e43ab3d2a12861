//! Backtests: what happened, replayed, is what happened; and another program makes exactly the difference that it should.

use std::path::Path;
use std::process::Command;

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{Backend, TestApp, on_both_backends, order, refund, visit};

on_both_backends! {
    from super::with_terms;
    what_happened_replayed_by_the_same_program_is_what_is_stored,
    another_program_makes_exactly_the_difference_that_it_should,
    the_command_line_says_the_same_on_one_thread_and_on_two,
    a_log_file_is_compared_without_anything_stored_of_it,
    what_cannot_be_compared_is_refused_by_name,
    a_referral_and_a_claimed_order_replay_as_they_were_and_who_was_erased_is_left_out,
    of_two_backtests_at_once_one_is_told_to_wait,
}

const BACKTEST: &str = "/v1/chains/harvest/program/backtest";

const TERMS: &str = r#"
[[wallets]]
code = "points"
expiry = "20 days"

[[rewards]]
id = "coffee"
title = "A free coffee"
type = "digital"
cost = 20

[referrals]
minimum = 15
[referrals.sender]
award = 50
[referrals.receiver]
award = 20

[[coupon_books]]
id            = "slice"
name          = "A slice of cake"
discount_type = "free_item"
expires_after = "30d"
"#;

/// A coupon on each first visit, a gift at the kiosk, and something that happens by itself.
const RULES: &str = r#"
rule "Slice" on visit { assign_coupon("slice"); }
rule "Night" on tick.daily when member.visits >= 3 { award(1); }
"#;

async fn with_terms(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| {
        let folder = config.rules.join("harvest");
        let manifest = folder.join("program.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(manifest, text + TERMS).unwrap();
        std::fs::write(folder.join("more.rhai"), RULES).unwrap();
    })
    .await
}

/// The files of the chain's folder, and one more.
fn files(app: &TestApp, extra: &str) -> Value {
    let folder = std::fs::read_dir(app.rules().join("harvest")).unwrap().flatten();
    let text = |file: &std::fs::DirEntry| std::fs::read_to_string(file.path()).unwrap();
    let named = folder.map(|file| (file.file_name().into_string().unwrap(), Value::String(text(&file))));
    let mut files: serde_json::Map<_, _> = named.collect();
    files.insert("gift.rhai".to_owned(), extra.into());
    files.into()
}

const GIFT: &str = "rule \"Gift\" on order.completed when order.channel == \"kiosk\" { award(100); }";

fn kiosk(id: &str, guest: &str, day: u8) -> Value {
    let mut event = order(id, guest, "30.00");
    event["occurred_at"] = json!(format!("2026-03-{day:02}T18:30:00Z"));
    event["data"]["channel"] = json!("kiosk");
    event
}

/// A few weeks: orders, a refund, a reward, coupons, two guests who are one, and nights in between.
async fn live(app: &TestApp) {
    for guest in ["ana", "bo", "cleo"] {
        app.send(&visit(&format!("first-{guest}"), guest, "2026-03-03T18:30:00Z")).await.expect(200);
        app.send(&order(&format!("one-{guest}"), guest, "24.00")).await.expect(200);
    }
    app.advance(3 * 86_400).await;
    app.send(&kiosk("kiosk-bo", "bo", 6)).await.expect(200);
    app.send(&refund("back", "one-ana", "10.00")).await.expect(200);
    let members = "/v1/chains/harvest/members";
    app.post(&format!("{members}/bo/redemptions"), &json!({ "reward": "coffee" })).await.expect(200);
    app.post(&format!("{members}/cleo/points"), &json!({ "amount": 5, "reason": "sorry" })).await.expect(200);
    app.post(&format!("{members}/ana/merge"), &json!({ "from": "bo" })).await.expect(200);
    app.advance(10 * 86_400).await;
    app.send(&order("two-bo", "bo", "12.00")).await.expect(200);
    app.send(&kiosk("kiosk-cleo", "cleo", 16)).await.expect(200);
    app.advance(12 * 86_400).await; // points of the first day are gone by now
}

async fn backtest(app: &TestApp, files: &Value, since: Option<&str>) -> Value {
    app.post(BACKTEST, &json!({ "files": files, "since": since })).await.expect(200)
}

/// What can be replayed can be explained.
async fn lines_say_what_their_rules_read(app: &TestApp) {
    let mut rules = std::collections::BTreeSet::new();
    for guest in ["ana", "cleo"] {
        let path = format!("/v1/chains/harvest/members/{guest}/ledger");
        for line in app.get(&path).await.expect(200)["items"].as_array().unwrap() {
            let line = app.get(&format!("{path}/{}", line["id"].as_str().unwrap())).await.expect(200);
            let because = &line["because"];
            if because["kind"] == "rule" {
                assert!(because["reads"].is_array(), "{line:#}");
                rules.insert(because["rule"].as_str().unwrap().to_owned());
            }
        }
    }
    assert!(rules.contains("Points per dollar") && rules.contains("Night"), "{rules:?}");
}

async fn what_happened_replayed_by_the_same_program_is_what_is_stored(app: TestApp) {
    live(&app).await;
    for since in [None, Some("2026-03-10T00:00:00Z")] {
        let report = backtest(&app, &files(&app, ""), since).await;
        let check = &report["self_check"];
        assert_eq!((&check["members"], &check["differ"]), (&json!(2), &json!(0)), "{report:#}");
        assert_eq!(report["members_changed"], 0, "{report:#}");
        assert_eq!(report["baseline_state"], report["candidate_state"]);
        assert_eq!(report["refused"], json!({ "baseline": 0, "candidate": 0, "difference": 0 }));
        assert_eq!(backtest(&app, &files(&app, ""), since).await, report, "twice the same");
    }
    lines_say_what_their_rules_read(&app).await;
    let report = backtest(&app, &files(&app, ""), None).await;
    let mut owed = 0;
    for guest in ["ana", "cleo"] {
        let member = app.get(&format!("/v1/chains/harvest/members/{guest}")).await.expect(200);
        owed += member["points"].as_i64().unwrap();
    }
    assert_eq!(report["liability"]["points"]["baseline"], json!(owed), "{report:#}");
    assert!(report["loyalty_events"]["points.expired"]["baseline"].as_i64() > Some(0), "{report:#}");
    assert_eq!(report["coupons"]["baseline"], 3);
    app.stop().await;
}

async fn another_program_makes_exactly_the_difference_that_it_should(app: TestApp) {
    live(&app).await;
    let gifts = files(&app, GIFT);
    let since_then = backtest(&app, &gifts, Some("2026-03-10T00:00:00Z")).await;
    assert_eq!(since_then["points_issued"]["points"]["difference"], 100, "{since_then:#}");
    assert_eq!(since_then["members_changed"], 1);
    assert_eq!(since_then["winners"][0]["known_as"], "cleo");
    assert_eq!(since_then["winners"][0]["points"]["points"]["difference"], 100);
    let always = backtest(&app, &gifts, None).await;
    assert_eq!(always["points_issued"]["points"]["difference"], 200, "{always:#}");
    assert_ne!(always["baseline_state"], always["candidate_state"]);

    let version =
        app.post("/v1/chains/harvest/program/publish", &json!({ "files": gifts })).await.expect(201);
    let published = app.post(BACKTEST, &json!({ "version": version["version"] })).await.expect(200);
    assert_eq!(published["candidate_state"], always["candidate_state"], "the files of a version are files");
    let csv = [("content-type", "application/json"), ("accept", "text/csv")];
    let body = json!({ "files": gifts }).to_string().into_bytes();
    let table = app.request(Method::POST, BACKTEST, &csv, body).await;
    assert_eq!((table.status, table.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    assert!(table.text.lines().any(|row| row.contains(",cleo,points,")), "{}", table.text);
    let ndjson = [("content-type", "application/json"), ("accept", "application/x-ndjson")];
    let body = json!({ "files": gifts }).to_string().into_bytes();
    let lines = app.request(Method::POST, BACKTEST, &ndjson, body).await;
    assert_eq!((lines.status, lines.header("content-type")), (200, Some("application/x-ndjson")));
    let lines: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Value::from(lines), always["winners"], "as the report names them");
    app.stop().await;
}

/// Runs `punchcard backtest` on what the app has stored.
fn command(app: &TestApp, candidate: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_punchcard"));
    command.args(["backtest", "--chain", "harvest", "--database", &app.database(), "--rules"]);
    command.arg(candidate).args(more);
    let output = command.env("PUNCHCARD_MASTER_KEY", "07".repeat(32)).output().expect("it runs");
    let [out, err] = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
    (output.status.code(), out, err)
}

/// A folder with the files of a candidate.
fn folder(files: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files.as_object().unwrap() {
        std::fs::write(folder.path().join(name), text.as_str().unwrap()).unwrap();
    }
    folder
}

async fn the_command_line_says_the_same_on_one_thread_and_on_two(app: TestApp) {
    live(&app).await;
    let candidate = folder(&files(&app, GIFT));
    let range = ["--since", "2026-03-10", "--until", "2026-03-28T20:00:00Z"];
    let run = |more: &[&str]| {
        let (code, out, err) = command(&app, candidate.path(), &[&range, more].concat());
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        out
    };
    let json = run(&["--json", "--threads", "1"]);
    assert_eq!(json, run(&["--json", "--threads", "2"]));
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["points_issued"]["points"]["difference"], 100);
    assert_eq!(report["since"], "2026-03-10T04:00:00Z", "a day begins in the chain's zone");
    let text = run(&[]);
    assert!(text.contains("largest winners\n  cleo"), "{text}");
    let csv = run(&["--csv"]);
    let rows: Vec<_> = csv.lines().collect();
    assert!(rows.len() == 2 && rows[1].contains(",cleo,points,"), "{csv}");
    let line: Value = serde_json::from_str(&run(&["--ndjson"])).unwrap();
    assert_eq!(line, report["winners"][0], "one member, one line");
    std::fs::write(candidate.path().join("gift.rhai"), "rule \"Gift\" on visit { awrd(1); }").unwrap();
    let (code, _, err) = command(&app, candidate.path(), &[]);
    assert!(code == Some(1) && err.contains("gift.rhai:1:24") && err.contains("awrd"), "{err}");
    app.stop().await;
}

async fn a_log_file_is_compared_without_anything_stored_of_it(app: TestApp) {
    let candidate = folder(&files(&app, GIFT));
    let by_card = json!({ "key": "c1", "type": "order.completed", "occurred_at": "2026-03-05T12:00:00Z",
        "member": { "id": "ana", "card": "7001" }, "data": { "order_id": "c1", "total": "5.00", "channel": "kiosk" } });
    let by_card_alone = json!({ "key": "c2", "type": "order.completed", "occurred_at": "2026-03-06T12:00:00Z",
        "member": { "card": "7001" }, "data": { "order_id": "c2", "total": "5.00", "channel": "kiosk" } });
    let lines = [
        kiosk("k1", "ana", 3),
        by_card,
        by_card_alone.clone(),
        by_card_alone,
        kiosk("k2", "bo", 3),
        refund("r1", "k2", "30.00"),
    ];
    let log = candidate.path().join("log.ndjson");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(&log, &text).unwrap();
    let run = || command(&app, candidate.path(), &["--json", "--log-file", log.to_str().unwrap()]);
    let (code, out, err) = run();
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&report["members"], &report["events"]),
        (&json!(2), &json!(5)),
        "a repeat is none: {report:#}"
    );
    assert_eq!(report["points_issued"]["points"]["difference"], 400);
    assert_eq!(report["winners"][0]["known_as"], "ana");
    assert_eq!(report["winners"][0]["points"]["points"]["difference"], 300);
    assert_eq!(report["self_check"], Value::Null);
    assert_eq!(run().1, out, "twice the same bytes");
    std::fs::write(&log, text + "{ \"type\": \"order.complted\" }\n").unwrap();
    let (code, _, err) = run();
    assert!(code == Some(1) && err.contains("line 7 of the log"), "{err}");
    app.stop().await;
}

async fn what_cannot_be_compared_is_refused_by_name(app: TestApp) {
    let good = files(&app, GIFT);
    for (body, status, code) in [
        (json!({ "files": files(&app, "rule \"A\" on visit { awrd(1); }") }), 422, "program_does_not_check"),
        (json!({ "files": good, "version": 1 }), 422, "invalid_field"),
        (json!({}), 422, "invalid_field"),
        (json!({ "version": 9 }), 404, "not_found"),
        (
            json!({ "version": 1, "since": "2026-03-02T00:00:00Z", "until": "2026-03-01T00:00:00Z" }),
            422,
            "invalid_field",
        ),
    ] {
        let problem = app.post(BACKTEST, &body).await.expect(status);
        assert_eq!(problem["code"], code, "{problem}");
    }
    app.stop().await;
}

async fn a_referral_and_a_claimed_order_replay_as_they_were_and_who_was_erased_is_left_out(app: TestApp) {
    let members = "/v1/chains/harvest/members";
    for guest in ["ana", "dora"] {
        app.send(&order(&format!("one-{guest}"), guest, "24.00")).await.expect(200);
    }
    let code = app.get(&format!("{members}/ana/referral")).await.expect(200)["code"].clone();
    app.post(members, &json!({ "id": "bo" })).await.expect(201);
    app.post(&format!("{members}/bo/referral"), &json!({ "code": code })).await.expect(200);
    let mut parked = kiosk("x1", "nobody", 3);
    parked.as_object_mut().unwrap().remove("member");
    assert_eq!(app.send(&parked).await.expect(200)["status"], "parked");
    app.post(&format!("{members}/bo/claims"), &json!({ "code": "x1" })).await.expect(200);
    app.advance(3_600).await;
    let points = async |guest: &str| {
        app.get(&format!("{members}/{guest}")).await.expect(200)["points"].as_i64().unwrap()
    };
    let (ana, bo) = (points("ana").await, points("bo").await);
    assert!(ana >= 24 + 50 && bo >= 30 + 20, "the order approved the referral: {ana}, {bo}");
    app.request(Method::DELETE, &format!("{members}/dora"), &[], Vec::new()).await.expect(200);

    let same = backtest(&app, &files(&app, ""), None).await;
    assert_eq!((&same["self_check"]["members"], &same["self_check"]["differ"]), (&json!(2), &json!(0)));
    assert_eq!((&same["members_left_out"], &same["members_changed"]), (&json!(1), &json!(0)), "{same:#}");
    assert_eq!(same["liability"]["points"]["baseline"], ana + bo, "{same:#}");
    let gifts = backtest(&app, &files(&app, GIFT), None).await;
    assert_eq!(gifts["points_issued"]["points"]["difference"], 100, "the claimed order: {gifts:#}");
    app.stop().await;
}

async fn of_two_backtests_at_once_one_is_told_to_wait(app: TestApp) {
    for n in 0..40 {
        app.send(&visit(&format!("v{n}"), &format!("guest-{n}"), "2026-03-03T18:30:00Z")).await.expect(200);
    }
    let body = json!({ "files": files(&app, GIFT) });
    let all = (0..8).map(|_| app.post(BACKTEST, &body));
    let answers = futures_util::future::join_all(all).await;
    let (good, busy): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert!(!good.is_empty() && !busy.is_empty(), "{} and {}", good.len(), busy.len());
    for answer in busy {
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.expect(429)["code"], "backtest_running");
    }
    backtest(&app, &files(&app, GIFT), None).await;
    app.stop().await;
}

#[actix_web::test]
async fn a_log_of_many_guests_and_of_many_events_of_one_is_worked_through_to_its_end() {
    let app = with_terms(Backend::Sqlite).await;
    let candidate = folder(&files(&app, "rule \"Gift\" on visit { award(1); }"));
    let often = (0..300).map(|n| visit(&format!("often-{n}"), "ana", "2026-03-03T18:30:00Z"));
    let once = (0..520).map(|n| visit(&format!("once-{n}"), &format!("guest-{n}"), "2026-03-03T18:30:00Z"));
    let text: String = often.chain(once).map(|line| format!("{line}\n")).collect();
    let log = candidate.path().join("log.ndjson");
    std::fs::write(&log, text).unwrap();
    let (code, out, err) = command(&app, candidate.path(), &["--json", "--log-file", log.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["members"], &report["events"]), (&json!(521), &json!(820)), "{report:#}");
    assert_eq!(report["points_issued"]["points"]["difference"], 820);
    assert_eq!(report["winners"][0]["points"]["points"]["difference"], 300);
    app.stop().await;
}
