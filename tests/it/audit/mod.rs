//! The audit log: each change by a person, a key or a publication leaves a line; nothing secret does, nor anybody who was erased.

mod routes;

use std::collections::{BTreeMap, BTreeSet};

use awc::http::Method;
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, RunQueryDsl, SqliteConnection};
use serde_json::{Value, json};

use crate::support::app::Reply;
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    what_graphql_changes_leaves_the_same_lines,
    what_is_refused_or_repeated_leaves_no_line,
    no_secret_gets_into_the_log,
    nothing_of_an_erased_member_is_in_the_log,
    a_line_is_never_changed,
    lines_are_found_by_what_they_say,
    a_key_of_one_chain_sees_the_lines_of_that_one,
    all_lines_are_exported_as_json_and_as_a_table,
    old_lines_are_deleted_and_younger_ones_stay,
    what_folders_the_engine_and_the_command_line_change_is_theirs,
}

const CHAIN: &str = "/v1/chains/harvest";
const URL: &str = "http://127.0.0.1:9000/hook";

/// All lines, newest first.
async fn lines(app: &TestApp, filter: &str) -> Vec<Value> {
    let exported = app.get(&format!("/v1/audit/export?{filter}")).await;
    assert_eq!(exported.status, 200, "{}", exported.text);
    exported.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(lines: &[Value]) -> BTreeSet<String> {
    lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

fn actions(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["action"].as_str().unwrap()).collect()
}

async fn send(app: &TestApp, auth: &str, method: Method, path: &str, body: &Value) -> Reply {
    let headers = [("authorization", auth), ("content-type", "application/json")];
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    app.request(method, path, &headers, body).await
}

async fn what_graphql_changes_leaves_the_same_lines(app: TestApp) {
    let ask = async |query: &str| {
        let answer =
            app.post("/graphql", &json!({ "query": format!("mutation {{ {query} }}") })).await.expect(200);
        assert_eq!(answer["errors"], Value::Null, "{answer}");
        answer["data"].as_object().unwrap().values().next().unwrap().clone()
    };
    let schedule = r#"createExportSchedule(input: { chainId: "harvest", frequency: DAILY,
        destination: { type: S3, s3Bucket: "guests" }, dataTypes: [ORDERS] }) { scheduleId }"#;
    let schedule = ask(schedule).await["scheduleId"].as_str().unwrap().to_owned();
    let configure = async |secret: &str, orders: bool| {
        let sync = format!(
            "syncGuests: true, syncSegments: false, syncSignals: false, syncOrders: {orders}, realTime: true"
        );
        let input = format!(
            r#"chainId: "harvest", platform: PUNCHH, credentials: {{ apiKey: "{secret}" }}, syncConfig: {{ {sync} }}"#
        );
        let made = ask(&format!("configureIntegration(input: {{ {input} }}) {{ integrationId }}")).await;
        made["integrationId"].as_str().unwrap().to_owned()
    };
    let integration = configure("hunter2", true).await;
    for (secret, orders) in [("hunter2", false), ("hunter3", false), ("hunter3", false)] {
        assert_eq!(configure(secret, orders).await, integration);
    }
    for (what, name, id) in [
        ("deleteExportSchedule", "scheduleId", &schedule),
        ("deleteIntegration", "integrationId", &integration),
    ] {
        ask(&format!(r#"{what}(chainId: "harvest", {name}: "{id}") {{ success }}"#)).await;
    }
    let mut told = lines(&app, "action=export_schedule.*").await;
    told.extend(lines(&app, "action=integration.*").await);
    let s3 = json!({ "frequency": "daily", "data_types": ["orders"], "destination": { "type": "s3", "bucket": "guests" } });
    let platform = |orders: bool| {
        json!({ "platform": "punchh", "guests": true, "segments": false, "signals": false, "orders": orders,
            "real_time": true, "credentials": "…" })
    };
    let configured = "integration.configured";
    let wanted = [
        ("export_schedule.deleted", &schedule, s3.clone(), Value::Null),
        ("export_schedule.created", &schedule, Value::Null, s3),
        ("integration.deleted", &integration, platform(false), Value::Null),
        (configured, &integration, json!({ "credentials": "…" }), json!({ "credentials": "…" })),
        (configured, &integration, json!({ "orders": true }), json!({ "orders": false })),
        (configured, &integration, Value::Null, platform(true)),
    ];
    assert_eq!(told.len(), wanted.len(), "what changes nothing leaves no line: {told:?}");
    for (line, (action, target, before, after)) in told.iter().zip(wanted) {
        assert_eq!((&line["action"], &line["target"]["id"]), (&json!(action), &json!(target)), "{line}");
        assert_eq!((&line["before"], &line["after"]), (&before, &after), "{line}");
    }
    assert!(!whole_table(&app).contains("hunter"));
    app.stop().await;
}

async fn what_is_refused_or_repeated_leaves_no_line(app: TestApp) {
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    let points = format!("{CHAIN}/members/ana/points");
    let keyed = [("idempotency-key", "ticket-7"), ("content-type", "application/json")];
    let gift = json!({ "amount": 5, "reason": "Cold soup" }).to_string().into_bytes();
    for duplicate in [false, true, true] {
        let answer = app.request(Method::POST, &points, &keyed, gift.clone()).await.expect(200);
        assert_eq!(answer["duplicate"], duplicate);
    }
    app.post(&points, &json!({ "amount": -500, "reason": "Too much" })).await.expect(409);
    let [line] = &lines(&app, "action=member.*").await[..] else { panic!("one gift, one line") };
    assert_eq!(line["before"], json!({ "balances": { "points": 20 } }));
    let after = &line["after"];
    assert_eq!((&after["balances"], &after["amount"]), (&json!({ "points": 25 }), &json!(5)));
    let source = format!("{CHAIN}/source_events/{}", after["source_event"].as_str().unwrap());
    assert_eq!(app.get(&source).await.expect(200)["asked_by"], "configuration");

    let before = ids(&lines(&app, "").await);
    let bad = json!({ "url": URL, "events": ["points.*"], "filter": "member.nonsense > 3" });
    assert!(app.post(&format!("{CHAIN}/endpoints"), &bad).await.status >= 400);
    let files = json!({ "program.toml": "nonsense" });
    app.post(&format!("{CHAIN}/program/publish"), &json!({ "files": files })).await.expect(422);
    app.patch("/v1/chains/nowhere", &json!({ "name": "No" })).await.expect(404);
    assert_eq!(app.request(Method::DELETE, "/v1/keys/key_0", &[], Vec::new()).await.status, 404);
    assert_eq!(ids(&lines(&app, "").await), before);
    app.stop().await;
}

/// Everything that stands in the table, as text.
fn whole_table(app: &TestApp) -> String {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        line: String,
    }
    let columns =
        ["id", "chain", "author", "author_name", "author_role", "address", "request", "action", "target"];
    let columns: Vec<_> =
        columns.into_iter().chain(["before", "after"]).map(|name| format!("COALESCE({name}, '')")).collect();
    let query = diesel::sql_query(format!("SELECT {} AS line FROM audit_log", columns.join(" || ' ' || ")));
    let database = app.database();
    let rows: Vec<Row> = match database.strip_prefix("sqlite://") {
        Some(file) => query.load(&mut SqliteConnection::establish(file).unwrap()).unwrap(),
        None => query.load(&mut PgConnection::establish(&database).unwrap()).unwrap(),
    };
    rows.into_iter().map(|row| row.line + "\n").collect()
}

async fn no_secret_gets_into_the_log(app: TestApp) {
    let hook = "http://127.0.0.1:9000/services/hunter2/room?token=hunter2";
    let body = json!({ "url": hook, "events": ["*"], "headers": { "x-api-key": "hunter2" },
        "transform": "#{ token: \"hunter2\" }", "auth": { "type": "basic", "username": "us", "password": "hunter2" } });
    let made = app.post(&format!("{CHAIN}/endpoints"), &body).await.expect(201);
    let path = format!("{CHAIN}/endpoints/{}", made["id"].as_str().unwrap());
    let mut secrets = vec!["hunter".to_owned(), made["secret"].as_str().unwrap().to_owned()];
    for change in [
        json!({ "headers": { "x-api-key": "hunter3" } }),
        json!({ "auth": { "type": "bearer", "token": "hunter3" } }),
        json!({ "auth": { "type": "oauth2", "token_url": "http://127.0.0.1:9000/hunter3", "client_id": "us", "client_secret": "hunter3" } }),
        json!({ "url": "http://127.0.0.1:9000/services/hunter3/room" }),
        json!({ "transform": "#{ token: \"hunter3\" }" }),
        json!({ "signatures": ["v1", "v1a"] }),
    ] {
        app.patch(&path, &change).await.expect(200);
        let [line, ..] = &lines(&app, "action=endpoint.updated").await[..] else { panic!("a line") };
        let name = change.as_object().unwrap().keys().next().unwrap();
        let named = |fields: &Value| fields.as_object().unwrap().keys().any(|field| field.starts_with(name));
        assert!(named(&line["before"]) && named(&line["after"]), "that it changed is seen: {line}");
    }
    let mine = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==";
    for body in [json!({}), json!({ "secret": mine })] {
        let rotated = app.post(&format!("{path}/rotate_secret"), &body).await.expect(200);
        secrets.push(rotated["secret"].as_str().unwrap().to_owned());
    }
    let key = app.post("/v1/keys", &json!({ "role": "admin", "name": "office" })).await.expect(201);
    secrets.push(key["key"].as_str().unwrap().to_owned());
    let auth = format!("Bearer {}", secrets.last().unwrap());
    send(&app, &auth, Method::POST, &format!("{path}/disable"), &json!({})).await.expect(200);
    app.request(Method::DELETE, &path, &[], Vec::new()).await.expect(204);
    let table = whole_table(&app);
    assert!(table.contains("endpoint.secret_rotated") && table.contains("x-api-key"), "{table}");
    secrets.extend(["whsec_", "whsk_", "pck_", "test-admin-key"].map(str::to_owned));
    let found: Vec<_> = secrets.iter().filter(|secret| table.contains(secret.as_str())).collect();
    assert!(found.is_empty(), "{found:?} {table}");
    app.stop().await;
}

async fn nothing_of_an_erased_member_is_in_the_log(app: TestApp) {
    let person = json!({ "id": "guest-of-ana", "email": "ana@example.com", "phone": "+15551234567", "card": "card-4711",
        "first_name": "Anabel", "full_name": "Anabel Suarez", "birthdate": "1990-02-28", "attributes": { "dog": "Rex" } });
    app.post(&format!("{CHAIN}/members"), &person).await.expect(201);
    let of = |what: &str| format!("{CHAIN}/members/ana@example.com{what}");
    app.patch(
        &of(""),
        &json!({ "last_name": "Suarez", "emails": ["anabel@example.org"], "external_id": "square:ana-1" }),
    )
    .await
    .expect(200);
    app.post(&of("/points"), &json!({ "amount": 5, "reason": "Anabel's cold soup" })).await.expect(200);
    app.post(&of("/tier"), &json!({ "tier": "gold", "reason": "Suarez is a friend" })).await.expect(200);
    app.post(&format!("{CHAIN}/members"), &json!({ "id": "anas-second-card" })).await.expect(201);
    app.post(&of("/merge"), &json!({ "from": "anas-second-card" })).await.expect(200);
    let shown = app.get(&of("")).await.expect(200);
    let id = shown["member_id"].as_str().unwrap();
    app.request(Method::DELETE, &of(""), &[], Vec::new()).await.expect(200);
    let table = whole_table(&app);
    assert!(table.contains("member.erased") && table.contains(id), "{table}");
    assert!(table.contains("first_name") || table.contains("last_name"), "which fields changed is no secret");
    let text = table.to_lowercase();
    for word in [
        "anabel",
        "suarez",
        "example.",
        "5551234567",
        "4711",
        "1990",
        "rex",
        "square",
        "anas-",
        "of-ana",
        "soup",
        "friend",
    ] {
        assert!(!text.contains(word), "{word}: {table}");
    }
    app.stop().await;
}

async fn a_line_is_never_changed(app: TestApp) {
    let database = app.database();
    let change = "UPDATE audit_log SET action = 'nothing'";
    let refused = match database.strip_prefix("sqlite://") {
        Some(file) => SqliteConnection::establish(file).unwrap().batch_execute(change),
        None => PgConnection::establish(&database).unwrap().batch_execute(change),
    };
    let refused = refused.expect_err("it is refused").to_string();
    assert!(refused.contains("the audit log is append-only"), "{refused}");
    app.stop().await;
}

async fn lines_are_found_by_what_they_say(app: TestApp) {
    let (id, _) = app.endpoint(URL, &["points.*"]).await;
    let path = format!("{CHAIN}/endpoints/{id}");
    app.advance(60).await;
    app.post(&format!("{path}/disable"), &json!({})).await.expect(200);
    app.post(&format!("{path}/enable"), &json!({})).await.expect(200);
    let key = app
        .post("/v1/keys", &json!({ "role": "admin", "chain": "harvest", "name": "office" }))
        .await
        .expect(201);
    let (key_id, auth) = (key["id"].as_str().unwrap(), format!("Bearer {}", key["key"].as_str().unwrap()));
    app.advance(60).await;
    send(&app, &auth, Method::PATCH, CHAIN, &json!({ "name": "Harvest Bowls" })).await.expect(200);
    for (filter, wanted) in [
        ("action=endpoint.*".to_owned(), vec!["endpoint.enabled", "endpoint.disabled", "endpoint.created"]),
        ("action=endpoint.disabled".to_owned(), vec!["endpoint.disabled"]),
        (format!("target={id}&action=endpoint.created"), vec!["endpoint.created"]),
        (format!("author={key_id}"), vec!["chain.updated"]),
        ("author=configuration&action=key.*".to_owned(), vec!["key.created"]),
        ("author=folder".to_owned(), vec!["program.published", "chain.created"]),
        ("chain=harvest&action=chain.*".to_owned(), vec!["chain.updated", "chain.created"]),
        ("chain=nowhere".to_owned(), vec![]),
        (
            "since=2026-03-03T18:31:00Z&until=2026-03-03T18:32:00Z".to_owned(),
            vec!["key.created", "endpoint.enabled", "endpoint.disabled"],
        ),
        ("since=2026-03-03T18:32:00Z".to_owned(), vec!["chain.updated"]),
        ("target=ep_00000000000000000000000000".to_owned(), vec![]),
    ] {
        let found = app.get(&format!("/v1/audit?{filter}")).await.expect(200);
        assert_eq!(actions(found["items"].as_array().unwrap()), wanted, "{filter}");
        assert_eq!(actions(&lines(&app, &filter).await), wanted, "{filter}");
    }
    for (filter, field) in [
        ("action=endpoint", "action"),
        ("action=nothing.*", "action"),
        ("author=ana", "author"),
        ("since=today", "since"),
        ("chain=A!", "chain"),
        ("colour=red", "colour"),
    ] {
        assert_eq!(app.get(&format!("/v1/audit?{filter}")).await.expect(422)["field"], field, "{filter}");
    }
    let all = lines(&app, "").await;
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/v1/audit?limit=2{cursor}")).await.expect(200);
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all, "pages follow each other without gap or overlap");
    for line in all {
        let path = format!("/v1/audit/{}", line["id"].as_str().unwrap());
        assert_eq!(app.get(&path).await.expect(200), line);
    }
    app.get("/v1/audit/aud_00000000000000000000000000").await.expect(404);
    app.stop().await;
}

async fn a_key_of_one_chain_sees_the_lines_of_that_one(app: TestApp) {
    let other = json!({ "id": "other", "name": "Other", "timezone": "Europe/Berlin", "currency": "EUR" });
    app.post("/v1/chains", &other).await.expect(201);
    let mut keys = BTreeMap::new();
    for role in ["admin", "manager", "viewer", "ingest"] {
        let made = app.post("/v1/keys", &json!({ "role": role, "chain": "other" })).await.expect(201);
        keys.insert(role, format!("Bearer {}", made["key"].as_str().unwrap()));
    }
    app.post("/v1/keys", &json!({ "role": "viewer" })).await.expect(201);
    let look = async |role: &str, path: &str| {
        app.request(Method::GET, path, &[("authorization", &*keys[role])], Vec::new()).await
    };
    for path in ["/v1/audit", "/v1/audit?chain=other", "/v1/audit?action=*.*&limit=3", "/v1/audit/export"] {
        for role in ["manager", "viewer", "ingest"] {
            assert_eq!(look(role, path).await.status, 403, "{role} {path}");
        }
    }
    let seen = look("admin", "/v1/audit").await.expect(200);
    assert_eq!(
        actions(seen["items"].as_array().unwrap()),
        [&["key.created"; 4][..], &["chain.created"]].concat()
    );
    assert_eq!(look("admin", "/v1/audit/export?format=csv").await.text.lines().count(), 6, "and a heading");
    assert_eq!(look("admin", "/v1/audit?chain=harvest").await.status, 404);
    for line in lines(&app, "").await {
        let status = if line["chain"] == "other" { 200 } else { 404 };
        let path = format!("/v1/audit/{}", line["id"].as_str().unwrap());
        assert_eq!(look("admin", &path).await.status, status, "{line}");
    }
    app.stop().await;
}

async fn all_lines_are_exported_as_json_and_as_a_table(app: TestApp) {
    let name = json!({ "role": "viewer", "name": "=cmd|' /C calc'!A0, \"quoted\"" });
    let made = app.post("/v1/keys", &json!({ "role": "admin", "name": "@home" })).await.expect(201);
    let auth = format!("Bearer {}", made["key"].as_str().unwrap());
    for _ in 0..230 {
        send(&app, &auth, Method::POST, "/v1/keys", &name).await.expect(201);
    }
    let exported = app.get("/v1/audit/export?action=key.created").await;
    assert_eq!(exported.header("content-type"), Some("application/x-ndjson"));
    let whole: Vec<Value> = exported.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(whole.len(), 231, "more than is read at a time");
    assert!(whole.is_sorted_by(|newer, older| newer["id"].as_str() > older["id"].as_str()));
    let table = app.get("/v1/audit/export?action=key.created&format=csv").await;
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(table.header("content-disposition"), Some("attachment; filename=\"audit.csv\""));
    let mut rows = csv::Reader::from_reader(table.text.as_bytes());
    let heading = rows.headers().unwrap().clone();
    let at = |name: &str| heading.iter().position(|heading| heading == name).unwrap();
    let (id, author, after) = (at("id"), at("author_name"), at("after"));
    let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), whole.len());
    for (row, line) in rows.iter().zip(&whole) {
        assert_eq!(&row[id], line["id"].as_str().unwrap());
        assert_eq!(serde_json::from_str::<Value>(&row[after]).unwrap(), line["after"]);
        assert!(matches!(&row[author], "'@home" | ""), "no formula: {row:?}");
        assert!(row.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "{row:?}");
    }
    assert_eq!(app.get("/v1/audit/export?format=xml").await.expect(422)["field"], "format");
    app.stop().await;
}

async fn old_lines_are_deleted_and_younger_ones_stay(mut app: TestApp) {
    app.endpoint(URL, &["*"]).await;
    let later = |days: i64| {
        let start: chrono::DateTime<chrono::Utc> = crate::support::builders::START.parse().unwrap();
        Some(start + chrono::Duration::days(days))
    };
    app.restart_with(|config| config.test_clock = later(300)).await;
    app.post("/v1/keys", &json!({ "role": "viewer" })).await.expect(201);
    assert_eq!(actions(&lines(&app, "").await).len(), 4, "of 400 days none is too old");
    app.restart_with(|config| (config.test_clock, config.retention.audit) = (later(900), None)).await;
    app.post("/v1/keys", &json!({ "role": "viewer" })).await.expect(201);
    assert_eq!(lines(&app, "").await.len(), 5, "for ever is for ever");
    app.restart_with(|config| config.retention.audit = Some(chrono::Duration::days(500))).await;
    app.advance(3_600_000).await;
    assert_eq!(actions(&lines(&app, "").await), ["key.created"]);
    app.stop().await;
}

async fn what_folders_the_engine_and_the_command_line_change_is_theirs(mut app: TestApp) {
    let receiver = Receiver::start().await;
    let (id, _) = app.endpoint(&receiver.url, &["points.earned"]).await;
    receiver.answer([410_u16]);
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.advance(0).await;
    let gone = app
        .until("it is disabled", async || lines(&app, "action=endpoint.disabled").await.into_iter().next())
        .await;
    assert_eq!((&gone["author"], &gone["origin"]), (&json!({ "type": "engine" }), &Value::Null));
    assert_eq!(
        (&gone["target"], &gone["before"]),
        (&json!({ "type": "endpoint", "id": id }), &json!({ "status": "enabled" }))
    );
    assert_eq!(gone["after"]["status"], "disabled");
    let rules = app.rules().join("harvest/earning.rhai");
    let text = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("{text}\n// edited\n")).unwrap();
    let edited = app
        .until("it is published", async || {
            lines(&app, "action=program.published").await.into_iter().find(|line| line["target"]["id"] == "2")
        })
        .await;
    assert_eq!(edited["author"], json!({ "type": "folder" }));
    assert_eq!((&edited["before"]["version"], &edited["after"]["version"]), (&json!(1), &json!(2)));
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_punchcard"));
        command.args(arguments).args(["--database", &app.database()]);
        let output = command.env("PUNCHCARD_MASTER_KEY", "07".repeat(32)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["key", "create", "--role", "viewer", "--chain", "harvest"]);
    let made = lines(&app, "author=command_line").await;
    let [line] = &made[..] else { panic!("{made:?}") };
    assert_eq!((&line["chain"], &line["author"]["type"]), (&json!("harvest"), &json!("command_line")));
    let key = line["target"]["id"].as_str().unwrap();
    run(&["key", "revoke", key]);
    run(&["key", "revoke", key]);
    assert_eq!(actions(&lines(&app, "author=command_line").await), ["key.revoked", "key.created"], "once");
    // Without a key from outside the first start makes one.
    let fresh = TestApp::start_with(Backend::Sqlite, |config| config.admin_key = None).await;
    let table = whole_table(&fresh);
    let words: Vec<_> = table.split_whitespace().collect();
    assert!(words.windows(2).any(|pair| pair == ["engine", "key.created"]), "{table}");
    app.restart_with(|_| ()).await;
    assert_eq!(
        actions(&lines(&app, "author=folder").await),
        ["program.published", "program.published", "chain.created"]
    );
    app.stop().await;
}
