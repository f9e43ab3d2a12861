//! Versions of a program: published by people and by the folder, compared, taken back, followed by every node.

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::support::{Backend, TestApp, on_both_backends, order};

on_both_backends! {
    people_publish_compare_and_go_back,
    what_does_not_check_is_not_published_and_says_where,
    of_two_who_edit_the_same_version_one_is_told,
    what_people_published_stays_until_the_folder_is_edited,
    a_publication_under_load_drops_and_doubles_nothing,
}

const PROGRAM: &str = "/v1/chains/harvest/program";

/// The files of the sample chain, and one more.
fn files(app: &TestApp, extra: &str) -> Value {
    let folder = std::fs::read_dir(app.rules().join("harvest")).unwrap().flatten();
    let mut files: serde_json::Map<_, _> = folder
        .map(|file| {
            let text = std::fs::read_to_string(file.path()).unwrap();
            (file.file_name().into_string().unwrap(), Value::String(text))
        })
        .collect();
    files.insert("gift.rhai".to_owned(), extra.into());
    files.into()
}

fn gift(points: u32) -> String {
    format!("rule \"Gift\" on order.completed when order.channel == \"kiosk\" {{\n    award({points});\n}}\n")
}

fn kiosk_order(id: &str, guest: &str) -> Value {
    let mut event = order(id, guest, "10.00");
    event["data"]["channel"] = json!("kiosk");
    event
}

async fn publish(app: &TestApp, files: &Value, note: &str) -> Value {
    app.post(&format!("{PROGRAM}/publish"), &json!({ "files": files, "note": note })).await.expect(201)
}

/// What an order of a new guest earns, and by which version.
async fn earns(app: &TestApp, guest: &str) -> (Value, Value) {
    let receipt = app.send(&kiosk_order(&format!("order-of-{guest}"), guest)).await.expect(200);
    (receipt["member"]["points"].clone(), receipt["program_version"].clone())
}

async fn people_publish_compare_and_go_back(app: TestApp) {
    assert_eq!(earns(&app, "ana").await, (json!(10), json!(1)));
    let gifts = files(&app, &gift(100));
    let published = publish(&app, &gifts, "a gift for the kiosk").await;
    assert_eq!((&published["version"], &published["origin"]), (&json!(2), &json!("api")));
    assert_eq!(earns(&app, "bo").await, (json!(110), json!(2)), "in force when it is answered");
    let again = app.post(&format!("{PROGRAM}/publish"), &json!({ "files": gifts })).await.expect(200);
    assert_eq!(again, published, "the same files are the same version");

    let in_force = app.get(PROGRAM).await.expect(200);
    for (field, value) in
        [("version", json!(2)), ("note", json!("a gift for the kiosk")), ("problems", json!([]))]
    {
        assert_eq!(in_force[field], value, "{in_force}");
    }
    assert!(in_force["rules"].as_array().unwrap().contains(&json!("Gift")));
    let stored = app.get(&format!("{PROGRAM}/versions/2")).await.expect(200);
    assert_eq!((&stored["files"], &stored["by"]), (&gifts, &json!("configuration")));
    let diff = app.get(&format!("{PROGRAM}/diff?from=1&to=2")).await.expect(200);
    let [file] = diff["files"].as_array().unwrap().as_slice() else { panic!("{diff}") };
    assert_eq!((&file["file"], &file["change"]), (&json!("gift.rhai"), &json!("added")));
    assert!(file["diff"].as_str().unwrap().contains("+    award(100);"), "{file}");
    assert_eq!(
        app.get(&format!("{PROGRAM}/diff")).await.expect(200),
        diff,
        "the newest against the one before"
    );

    let back = json!({ "version": 1, "note": "too dear" });
    let back = app.post(&format!("{PROGRAM}/rollback"), &back).await.expect(201);
    assert_eq!((&back["version"], &back["restores"]), (&json!(3), &json!(1)));
    assert_eq!(earns(&app, "cleo").await, (json!(10), json!(3)));
    let versions = app.get(&format!("{PROGRAM}/versions?limit=2")).await.expect(200);
    let numbers = |page: &Value| -> Vec<i64> {
        page["items"].as_array().unwrap().iter().map(|item| item["version"].as_i64().unwrap()).collect()
    };
    assert_eq!(numbers(&versions), [3, 2]);
    let cursor = versions["next_cursor"].as_str().unwrap();
    let rest = app.get(&format!("{PROGRAM}/versions?limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!((numbers(&rest), &rest["items"][0]["origin"]), (vec![1], &json!("folder")));
    for path in ["versions/4", "versions/x", "diff?from=1&to=9"] {
        app.get(&format!("{PROGRAM}/{path}")).await.expect(404);
    }
    app.post(&format!("{PROGRAM}/rollback"), &json!({ "version": 9 })).await.expect(404);
    app.stop().await;
}

async fn what_does_not_check_is_not_published_and_says_where(app: TestApp) {
    let failing =
        format!("{}test \"none\" {{\n    send(\"visit\");\n    expect awarded() == 7;\n}}\n", gift(1));
    for (text, line, about) in
        [("rule \"A\" on visit {\n    awrd(1);\n}\n", 2, "awrd"), (&failing, 6, "this is 0")]
    {
        let body = json!({ "files": files(&app, text) });
        let problem = app.post(&format!("{PROGRAM}/publish"), &body).await.expect(422);
        assert_eq!(problem["code"], "program_does_not_check", "{problem}");
        let found = &problem["problems"][0];
        assert_eq!((&found["file"], &found["line"]), (&json!("gift.rhai"), &json!(line)), "{problem}");
        assert!(found["message"].as_str().unwrap().contains(about), "{found}");
        let report = app.post(&format!("{PROGRAM}/check"), &body).await.expect(200);
        assert_eq!(report["good"], false);
        assert!(report.to_string().contains(about), "{report}");
    }
    let body = json!({ "files": { "../gift.rhai": "" } });
    let problem = app.post(&format!("{PROGRAM}/publish"), &body).await.expect(422);
    assert_eq!(problem["problems"][0]["message"], "is no rules file");
    let good =
        app.post(&format!("{PROGRAM}/check"), &json!({ "files": files(&app, &gift(1)) })).await.expect(200);
    assert_eq!((&good["good"], &good["problems"]), (&json!(true), &json!([])));
    assert!(good["tests"].as_array().is_some_and(|tests| !tests.is_empty()));
    assert_eq!(app.get(PROGRAM).await.expect(200)["version"], 1, "a check publishes nothing");
    app.stop().await;
}

async fn of_two_who_edit_the_same_version_one_is_told(app: TestApp) {
    let path = format!("{PROGRAM}/publish");
    let edits = [5, 7].map(|points| json!({ "files": files(&app, &gift(points)), "replaces": 1 }));
    let (one, other) = join(app.post(&path, &edits[0]), app.post(&path, &edits[1])).await;
    let statuses = BTreeSet::from([one.status, other.status]);
    assert_eq!(statuses, [201, 409].into(), "{} {}", one.text, other.text);
    let told = if one.status == 409 { one } else { other };
    assert_eq!(told.json()["code"], "version_conflict");
    assert_eq!(app.get(PROGRAM).await.expect(200)["version"], 2);
    app.stop().await;
}

async fn what_people_published_stays_until_the_folder_is_edited(mut app: TestApp) {
    publish(&app, &files(&app, &gift(100)), "for a day").await;
    app.restart_with(|_| ()).await;
    assert_eq!(earns(&app, "ana").await, (json!(110), json!(2)), "the folder is as it was");
    let edited = app.rules().join("harvest/gift.rhai");
    std::fs::write(&edited, "rule \"Broken\" on visit {").unwrap();
    app.until("the edit is refused", async || {
        let program = app.get(PROGRAM).await.expect(200);
        (program["problems"] != json!([])).then_some(())
    })
    .await;
    assert_eq!(earns(&app, "bo").await, (json!(110), json!(2)));
    std::fs::remove_file(&edited).unwrap();
    app.until("the edit is taken back", async || {
        let program = app.get(PROGRAM).await.expect(200);
        (program["problems"] == json!([])).then_some(())
    })
    .await;
    assert_eq!(earns(&app, "cleo").await, (json!(110), json!(2)), "taking an edit back publishes nothing");
    std::fs::write(&edited, gift(7)).unwrap();
    app.until("the edit is in force", async || {
        (app.get(PROGRAM).await.expect(200)["version"] == 3).then_some(())
    })
    .await;
    assert_eq!(earns(&app, "dan").await, (json!(17), json!(3)));
    app.stop().await;
}

/// A program that is this gift and nothing else.
fn nothing_but(points: i64) -> Value {
    let manifest = "name = \"Harvest\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n";
    json!({ "program.toml": manifest, "gift.rhai": format!("rule \"Gift\" on order.completed {{ award({points}); }}\n") })
}

/// Guests order while one version after the other is published: each order earns what its version says, once.
async fn a_publication_under_load_drops_and_doubles_nothing(app: TestApp) {
    publish(&app, &nothing_but(2), "the first").await;
    let ordering = async |guest: usize| {
        let name = format!("guest-{guest}");
        let mut points = 0;
        for n in 0..30 {
            let event = kiosk_order(&format!("order-{guest}-{n}"), &name);
            let receipt = loop {
                let answer = app.send(&event).await;
                if answer.status != 503 {
                    break answer.expect(200);
                }
            };
            points += receipt["program_version"].as_i64().unwrap(); // version n gives n
            assert_eq!(
                (&receipt["status"], &receipt["member"]["points"]),
                (&json!("processed"), &json!(points))
            );
        }
        points
    };
    let publishing = async {
        for version in 3..=10 {
            let published = publish(&app, &nothing_but(version), "the next").await;
            assert_eq!(published["version"], version);
        }
    };
    let (earned, ()) = join(join_all((0..8).map(ordering)), publishing).await;
    for (guest, points) in earned.into_iter().enumerate() {
        let member = app.get(&format!("/v1/chains/harvest/members/guest-{guest}")).await.expect(200);
        assert_eq!(member["points"], points, "{member}");
    }
    app.verify();
    app.stop().await;
}

/// `punchcard publish`, as a person types it.
async fn type_publish(app: &TestApp, folder: &std::path::Path, arguments: &[&str]) -> (bool, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_punchcard"));
    command.arg("publish").arg(folder).args(["--url", &format!("http://{}", app.address())]).args(arguments);
    let admin = TestApp::admin();
    command.env("PUNCHCARD_KEY", admin.trim_start_matches("Bearer "));
    let output = actix_web::rt::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[actix_web::test]
async fn a_folder_is_published_from_the_command_line() {
    let app = TestApp::start(Backend::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let harvest = folder.path().join("harvest");
    std::fs::create_dir(&harvest).unwrap();
    for (name, text) in files(&app, &gift(100)).as_object().unwrap() {
        std::fs::write(harvest.join(name), text.as_str().unwrap()).unwrap();
    }
    let (good, said) = type_publish(&app, &harvest, &["--note", "a gift", "--replaces", "1"]).await;
    assert!(good && said.contains("harvest: version 2 is in force"), "{said}");
    assert_eq!(earns(&app, "ana").await, (json!(110), json!(2)));
    let (good, said) = type_publish(&app, &harvest, &[]).await;
    assert!(good && said.contains("was in force already"), "{said}");
    std::fs::write(harvest.join("gift.rhai"), gift(7)).unwrap();
    let (good, said) = type_publish(&app, &harvest, &["--location", "mall", "--location", "pier"]).await;
    assert!(good && said.contains("harvest: version 3 is tried"), "{said}");
    let tried = app.get(PROGRAM).await.expect(200)["candidate"].clone();
    assert_eq!(tried, json!({ "version": 3, "locations": ["mall", "pier"] }));
    let (good, said) = type_publish(&app, &harvest, &["--share", "10"]).await;
    assert!(!good && said.contains("409") && said.contains("version 3 is tried already"), "{said}");
    let (good, said) = type_publish(&app, &harvest, &["--replaces", "1"]).await;
    assert!(!good && said.contains("409") && said.contains("version 2 is in force"), "{said}");
    std::fs::write(harvest.join("gift.rhai"), "rule \"Gift\" on visit { awrd(1); }\n").unwrap();
    let (good, said) = type_publish(&app, &harvest, &[]).await;
    assert!(!good && said.contains("gift.rhai:1:24") && said.contains("did you mean `award`?"), "{said}");
    app.stop().await;
}

#[actix_web::test]
async fn what_one_node_publishes_the_other_follows() {
    let one = TestApp::start(Backend::Postgres).await;
    let other = one.another_node().await;
    publish(&one, &files(&one, &gift(100)), "on one node").await;
    other
        .until("the other node follows", async || {
            (other.get(PROGRAM).await.expect(200)["version"] == 2).then_some(())
        })
        .await;
    assert_eq!(earns(&other, "ana").await, (json!(110), json!(2)));
    other.post(&format!("{PROGRAM}/rollback"), &json!({ "version": 1 })).await.expect(201);
    one.until("and back", async || (app_version(&one).await == 3).then_some(())).await;
    assert_eq!(earns(&one, "bo").await, (json!(10), json!(3)));
    join(one.stop(), other.stop()).await;
}

async fn app_version(app: &TestApp) -> i64 {
    app.get(PROGRAM).await.expect(200)["version"].as_i64().unwrap()
}
