//! The operations that GuestIQ documents run as they are printed there.
//!
//! The document is not ours to copy. `PUNCHCARD_TEST_SEEDS=<folder with it, as text> cargo test --test it graphql -- --ignored`
//! runs the very text of it; without it the same operations run in our own words.

use serde_json::{Value, json};

use super::{ask, code, data};
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    each_documented_operation_does_what_it_says,
    a_webhook_is_an_endpoint_and_shows_its_last_delivery,
    what_is_to_be_written_out_and_kept_in_step_is_checked_and_kept,
}

const OPERATIONS: [&str; 9] = [
    "mutation RegisterWebhook($input: RegisterWebhookInput!) {
       registerWebhook(input: $input) { webhookId url events status secret } }",
    "mutation RegisterWebhook {
       registerWebhook(input: { chainId: \"honeygrow\", url: \"https://hooks.example.com/guestiq\",
         events: [GUEST_IDENTIFIED SEGMENT_ENTERED SEGMENT_EXITED ORDER_COMPLETED GUEST_AT_RISK]
         headers: [{ name: \"X-Api-Key\", value: \"one-of-theirs\" }] }) { webhookId url events status secret } }",
    "query ListWebhooks($chainId: String!) {
       webhooks(chainId: $chainId) {
         webhookId url events status createdAt lastDelivery { timestamp status responseCode } } }",
    "mutation UpdateWebhook($webhookId: ID!, $input: UpdateWebhookInput!) {
       updateWebhook(webhookId: $webhookId, input: $input) { webhookId url events status } }",
    "mutation DeleteWebhook($webhookId: ID!) { deleteWebhook(webhookId: $webhookId) { success } }",
    "mutation CreateExportSchedule($input: CreateExportScheduleInput!) {
       createExportSchedule(input: $input) { scheduleId frequency destination dataTypes nextRunAt } }",
    "mutation CreateExportSchedule {
       createExportSchedule(input: { chainId: \"honeygrow\", frequency: DAILY
         destination: { type: S3, s3Bucket: \"a-data-bucket\", s3Prefix: \"guestiq/daily/\" }
         dataTypes: [GUEST_PROFILES, SEGMENTS], filters: { modifiedSince: \"LAST_RUN\" } }) { scheduleId nextRunAt } }",
    "mutation ConfigureIntegration($input: ConfigureIntegrationInput!) {
       configureIntegration(input: $input) { integrationId platform status syncedDataTypes lastSyncAt } }",
    "mutation ConfigurePunchh {
       configureIntegration(input: { chainId: \"honeygrow\", platform: PUNCHH
         credentials: { apiKey: \"pk_one\", apiSecret: \"sk_one\", accountId: \"honeygrow_punchh\" }
         syncConfig: { syncGuests: true, syncSegments: true, syncSignals: false, syncOrders: true, realTime: true }
       }) { integrationId platform status } }",
];

/// The operations that the document prints, in its order.
fn printed() -> Vec<String> {
    const HELP: &str = "set PUNCHCARD_TEST_SEEDS to a folder with the document (*.txt)";
    #[expect(clippy::disallowed_methods, reason = "where the documents lie is a matter of the machine")]
    let folder = std::env::var_os("PUNCHCARD_TEST_SEEDS").unwrap_or_else(|| panic!("{HELP}"));
    let files = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{HELP} ({e})"));
    let mut texts = files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok());
    let text = texts.find(|text| text.contains("registerWebhook(")).unwrap_or_else(|| panic!("{HELP}"));
    let mut found: Vec<String> = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        if line.starts_with("mutation ") || line.starts_with("query ") {
            found.push(String::new());
            is_inside = true;
        }
        if let Some(operation) = found.last_mut().filter(|_| is_inside) {
            operation.push_str(line);
            operation.push('\n');
        }
        is_inside &= line != "}";
    }
    found
}

/// What an operation is run with.
fn variables(operation: &str, webhook: &str) -> Value {
    if !operation.contains('$') {
        return json!({});
    }
    let webhook_input = json!({ "chainId": "honeygrow", "url": "https://hooks.example.com/one", "events": ["SEGMENT_ENTERED"],
        "secret": null, "headers": [{ "name": "X-Api-Key", "value": "one-of-theirs" }] });
    for (name, variables) in [
        ("RegisterWebhook", json!({ "input": webhook_input })),
        ("ListWebhooks", json!({ "chainId": "honeygrow" })),
        (
            "UpdateWebhook",
            json!({ "webhookId": webhook, "input": { "url": "https://hooks.example.com/two",
            "events": ["ORDER_COMPLETED", "GUEST_AT_RISK"] } }),
        ),
        ("DeleteWebhook", json!({ "webhookId": webhook })),
        (
            "CreateExportSchedule",
            json!({ "input": { "chainId": "honeygrow", "frequency": "HOURLY",
            "destination": { "type": "SFTP", "sftpHost": "files.example.com", "sftpPath": "/in" },
            "dataTypes": ["ORDERS"] } }),
        ),
        (
            "ConfigureIntegration",
            json!({ "input": { "chainId": "honeygrow", "platform": "SALESFORCE",
            "credentials": { "apiKey": "k", "apiSecret": "s", "accountId": "a" },
            "syncConfig": { "syncGuests": true, "syncSegments": false, "syncSignals": false, "syncOrders": false,
                "realTime": false } } }),
        ),
    ] {
        if operation.contains(&format!(" {name}(")) {
            return variables;
        }
    }
    panic!("what is this run with? {operation}")
}

/// Runs the nine operations, and looks at what each answers.
async fn run_all(app: &TestApp, operations: &[String]) {
    let chain =
        json!({ "id": "honeygrow", "name": "Honeygrow", "timezone": "America/New_York", "currency": "USD" });
    app.post("/v1/chains", &chain).await.expect(201);
    let mut webhook = String::new();
    let mut answers = Vec::new();
    for operation in operations {
        let answer = ask(app, operation, variables(operation, &webhook)).await;
        let said = data(&answer).clone();
        if let Some(id) = said["registerWebhook"]["webhookId"].as_str() {
            webhook = id.to_owned();
        }
        answers.push(said);
    }
    let [one, two, list, changed, deleted, hourly, daily, salesforce, punchh] = &answers[..] else {
        panic!("{} operations: {answers:?}", answers.len())
    };
    let (one, two) = (&one["registerWebhook"], &two["registerWebhook"]);
    assert_eq!((&one["events"], &one["status"]), (&json!(["SEGMENT_ENTERED"]), &json!("ACTIVE")));
    assert_eq!(two["events"].as_array().map(Vec::len), Some(5));
    for made in [one, two] {
        assert!(made["webhookId"].as_str().unwrap().starts_with("ep_"), "{made}");
        assert!(made["secret"].as_str().unwrap().starts_with("whsec_"), "{made}");
    }
    let list = list["webhooks"].as_array().unwrap();
    assert_eq!(list.len(), 2, "{list:?}");
    for made in [one, two] {
        let listed = list.iter().find(|webhook| webhook["webhookId"] == made["webhookId"]).unwrap();
        assert_eq!((&listed["url"], &listed["events"]), (&made["url"], &made["events"]));
        assert_eq!(
            (&listed["lastDelivery"], &listed["createdAt"]),
            (&Value::Null, &json!("2026-03-03T18:30:00Z"))
        );
    }
    let changed = &changed["updateWebhook"];
    assert_eq!(changed["webhookId"], two["webhookId"]);
    assert_eq!(changed["url"], "https://hooks.example.com/two");
    assert_eq!(changed["events"], json!(["ORDER_COMPLETED", "GUEST_AT_RISK"]));
    assert_eq!(deleted, &json!({ "deleteWebhook": { "success": true } }));
    let hourly = &hourly["createExportSchedule"];
    assert_eq!((&hourly["frequency"], &hourly["destination"]), (&json!("HOURLY"), &json!("SFTP")));
    assert_eq!(
        (&hourly["dataTypes"], &hourly["nextRunAt"]),
        (&json!(["ORDERS"]), &json!("2026-03-03T19:00:00Z"))
    );
    // At three in the morning over there.
    assert_eq!(daily["createExportSchedule"]["nextRunAt"], "2026-03-04T08:00:00Z");
    let salesforce = &salesforce["configureIntegration"];
    assert_eq!(
        (&salesforce["platform"], &salesforce["status"]),
        (&json!("SALESFORCE"), &json!("CONFIGURED"))
    );
    assert_eq!(salesforce["syncedDataTypes"], json!(["GUEST_PROFILES"]));
    assert_eq!(salesforce["lastSyncAt"], Value::Null);
    assert_eq!(punchh["configureIntegration"]["platform"], "PUNCHH");
}

async fn each_documented_operation_does_what_it_says(app: TestApp) {
    run_all(&app, &OPERATIONS.map(str::to_owned)).await;
    app.stop().await;
}

#[test]
#[ignore = "needs PUNCHCARD_TEST_SEEDS"]
fn each_operation_of_the_document_runs_as_it_is_printed() {
    actix_web::rt::System::new().block_on(async {
        let app = TestApp::start(Backend::Sqlite).await;
        run_all(&app, &printed()).await;
        app.stop().await;
    });
}

async fn a_webhook_is_an_endpoint_and_shows_its_last_delivery(mut app: TestApp) {
    let crm = Receiver::start().await;
    let input = json!({ "chainId": "harvest", "url": crm.url, "events": ["ORDER_COMPLETED"],
        "headers": [{ "name": "X-Api-Key", "value": "one-of-theirs" }] });
    let made = ask(&app, OPERATIONS[0], json!({ "input": input })).await;
    let made = data(&made)["registerWebhook"].clone();
    // What is registered for other names than the product's is no webhook.
    app.endpoint("http://127.0.0.1:9000/", &["order.completed"]).await;
    let id = made["webhookId"].as_str().unwrap();
    let path = format!("/v1/chains/harvest/endpoints/{id}");
    let shown = app.get(&path).await.expect(200);
    assert_eq!((&shown["dialect"], &shown["headers"]), (&json!("guestiq"), &json!(["X-Api-Key"])));
    assert_eq!(shown["events"], json!(["order.completed"]));
    crm.answer([500_u16]);
    let last = async |app: &TestApp| {
        let answer = ask(app, OPERATIONS[2], json!({ "chainId": "harvest" })).await;
        let list = data(&answer)["webhooks"].as_array().unwrap().clone();
        assert_eq!(list.len(), 1, "{list:?}");
        list[0].clone()
    };
    assert_eq!(last(&app).await["lastDelivery"], Value::Null);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let failed = json!({ "timestamp": "2026-03-03T18:30:00Z", "status": "PENDING", "responseCode": 500 });
    assert_eq!(last(&app).await["lastDelivery"], failed);
    app.advance(60).await;
    let taken = json!({ "timestamp": "2026-03-03T18:31:00Z", "status": "DELIVERED", "responseCode": 200 });
    assert_eq!(last(&app).await["lastDelivery"], taken);
    let arrival = &crm.arrivals()[1];
    assert_eq!((&*arrival.headers["x-api-key"], &*arrival.kind()), ("one-of-theirs", "ORDER_COMPLETED"));
    app.restart_with(|_| ()).await;
    assert_eq!(last(&app).await["lastDelivery"], taken);
    for status in ["PAUSED", "DISABLED", "ACTIVE"] {
        let variables = json!({ "webhookId": id, "input": { "status": status } });
        let answer = ask(&app, OPERATIONS[3], variables).await;
        assert_eq!(data(&answer)["updateWebhook"]["status"], status);
    }
    let answer = ask(&app, OPERATIONS[4], json!({ "webhookId": id })).await;
    assert_eq!(data(&answer)["deleteWebhook"]["success"], true);
    let again = ask(&app, OPERATIONS[4], json!({ "webhookId": id })).await;
    assert_eq!((code(&again), &again["data"]), ("not_found", &Value::Null));
    assert_eq!(app.get(&path).await.status, 404);
    app.stop().await;
}

async fn what_is_to_be_written_out_and_kept_in_step_is_checked_and_kept(mut app: TestApp) {
    let schedule = |changes: Value| {
        let mut input = json!({ "chainId": "harvest", "frequency": "WEEKLY", "dataTypes": ["ORDERS", "SEGMENTS", "ORDERS"],
            "destination": { "type": "WEBHOOK", "webhookUrl": "https://hooks.example.com/in" } });
        input.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!({ "input": input })
    };
    for (changes, field) in [
        (json!({ "dataTypes": [] }), "dataTypes"),
        (json!({ "filters": { "modifiedSince": "yesterday" } }), "filters.modifiedSince"),
        (json!({ "destination": { "type": "S3" } }), "destination.s3Bucket"),
        (json!({ "destination": { "type": "S3", "s3Bucket": "A B" } }), "destination.s3Bucket"),
        (
            json!({ "destination": { "type": "S3", "s3Bucket": "abc", "sftpPath": "/" } }),
            "destination.sftpPath",
        ),
        (
            json!({ "destination": { "type": "SFTP", "sftpHost": "10.0.0.1", "sftpPath": "/" } }),
            "destination.sftpHost",
        ),
        (
            json!({ "destination": { "type": "SFTP", "sftpHost": "a b", "sftpPath": "/" } }),
            "destination.sftpHost",
        ),
        (json!({ "destination": { "type": "WEBHOOK", "webhookUrl": "ftp://x" } }), "destination.webhookUrl"),
        (
            json!({ "destination": { "type": "WEBHOOK", "webhookUrl": "http://10.0.0.1/" } }),
            "destination.webhookUrl",
        ),
    ] {
        let answer = ask(&app, OPERATIONS[5], schedule(changes.clone())).await;
        let said = &answer["errors"][0]["extensions"];
        assert_eq!(
            (&said["code"], &said["field"]),
            (&json!("invalid_field"), &json!(field)),
            "{changes}: {answer}"
        );
    }
    let made =
        ask(&app, OPERATIONS[5], schedule(json!({ "filters": { "modifiedSince": "LAST_RUN" } }))).await;
    let made = data(&made)["createExportSchedule"].clone();
    assert_eq!(made["dataTypes"], json!(["SEGMENTS", "ORDERS"]));
    assert_eq!(made["nextRunAt"], "2026-03-09T07:00:00Z");

    let integration = |platform: &str, credentials: Value| {
        json!({ "input": { "chainId": "harvest", "platform": platform, "credentials": credentials,
            "syncConfig": { "syncGuests": false, "syncSegments": true, "syncSignals": true, "syncOrders": true,
                "realTime": true } } })
    };
    for (platform, credentials, field) in [
        ("OLO", json!({}), "credentials"),
        ("OLO", json!({ "apiKey": "" }), "credentials.apiKey"),
        ("OLO", json!({ "apiKey": "k", "instanceUrl": "https://example.com/" }), "credentials.instanceUrl"),
        ("BRAZE", json!({ "apiKey": "k", "instanceUrl": "http://10.0.0.1/" }), "credentials.instanceUrl"),
    ] {
        let answer = ask(&app, OPERATIONS[7], integration(platform, credentials.clone())).await;
        assert_eq!(answer["errors"][0]["extensions"]["field"], field, "{credentials}: {answer}");
    }
    let mut ids = Vec::new();
    for platform in
        ["PUNCHH", "THANX", "PAYTRONIX", "OLO", "BRAZE", "KLAVIYO", "SEGMENT", "SALESFORCE", "PUNCHH"]
    {
        let answer = ask(&app, OPERATIONS[7], integration(platform, json!({ "apiKey": "hunter2" }))).await;
        let said = &data(&answer)["configureIntegration"];
        assert_eq!(said["syncedDataTypes"], json!(["SEGMENTS", "SIGNALS", "ORDERS"]));
        ids.push(said["integrationId"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids[0], ids[8], "what is configured anew stays the same integration");

    app.restart_with(|_| ()).await;
    let lists = "{ exportSchedules(chainId: \"harvest\") { scheduleId destination modifiedSince nextRunAt }
        integrations(chainId: \"harvest\") { integrationId platform } }";
    let answer = ask(&app, lists, json!({})).await;
    let schedules = json!([{ "scheduleId": made["scheduleId"], "destination": "WEBHOOK", "modifiedSince": "LAST_RUN",
        "nextRunAt": "2026-03-09T07:00:00Z" }]);
    assert_eq!(data(&answer)["exportSchedules"], schedules);
    assert_eq!(data(&answer)["integrations"].as_array().map(Vec::len), Some(8));
    let shown = app.get("/v1/chains/harvest/export_schedules").await.expect(200);
    let destination = json!({ "type": "webhook", "url": "https://hooks.example.com/in" });
    assert_eq!(shown["items"][0]["destination"], destination);
    let shown = app.get("/v1/chains/harvest/integrations").await.expect(200);
    assert_eq!(
        (shown["items"].as_array().map(Vec::len), &shown["items"][0]["platform"]),
        (Some(8), &json!("braze"))
    );
    assert!(!shown.to_string().contains("hunter2"));
    let delete =
        "mutation($s: ID!, $i: ID!) { deleteExportSchedule(chainId: \"harvest\", scheduleId: $s) { success }
        deleteIntegration(chainId: \"harvest\", integrationId: $i) { success } }";
    let both = json!({ "s": made["scheduleId"], "i": ids[0] });
    data(&ask(&app, delete, both.clone()).await);
    assert_eq!(code(&ask(&app, delete, both).await), "not_found");
    let answer = ask(&app, lists, json!({})).await;
    assert_eq!(data(&answer)["integrations"].as_array().map(Vec::len), Some(7));
    assert_eq!(data(&answer)["exportSchedules"], json!([]));
    app.stop().await;
}
