//! Who may ask what: as over REST.

use serde_json::{Value, json};

use super::{ask, ask_as, code, data};
use crate::support::{TestApp, on_both_backends};

on_both_backends! {
    each_role_may_do_what_it_may_over_rest,
    another_chain_does_not_exist,
}

const INTROSPECTION: &str = "{ __schema { queryType { name } } }";

/// An operation, and who may have it done: manager, viewer, ingest. An admin may have everything done.
const MATRIX: [(&str, [bool; 3]); 17] = [
    (INTROSPECTION, [true, true, false]),
    ("{ __typename }", [true, true, true]),
    ("{ chains { nodes { id } } }", [false, false, false]),
    ("{ chain(chainId: $chain) { id } }", [false, false, false]),
    ("{ program(chainId: $chain) { version } }", [true, false, false]),
    ("{ members(chainId: $chain) { nodes { id } } }", [true, true, false]),
    ("{ member(chainId: $chain, id: \"ana\") { points coupons { nodes { code } } } }", [true, true, true]),
    ("{ member(chainId: $chain, id: \"ana\") { ledger { nodes { id } } } }", [true, true, false]),
    ("{ member(chainId: $chain, id: \"ana\") { events { nodes { id } } } }", [true, true, false]),
    ("{ events(chainId: $chain) { nodes { id } } }", [true, true, false]),
    ("{ event(chainId: $chain, eventId: \"evt_1\") { id } }", [true, true, false]),
    ("{ delivery(chainId: $chain, deliveryId: \"dlv_1\") { id } }", [true, true, false]),
    ("{ webhooks(chainId: $chain) { url } }", [false, false, false]),
    ("{ exportSchedules(chainId: $chain) { scheduleId } }", [false, false, false]),
    ("{ integrations(chainId: $chain) { integrationId } }", [false, false, false]),
    (
        "mutation { createExportSchedule(input: { chainId: $chain, frequency: DAILY, dataTypes: [ORDERS],
            destination: { type: S3, s3Bucket: \"abc\" } }) { scheduleId } }",
        [false, false, false],
    ),
    (
        "mutation { registerWebhook(input: { chainId: $chain, url: \"https://hooks.example.com/\",
            events: [ORDER_COMPLETED] }) { webhookId } }",
        [false, false, false],
    ),
];

pub(super) async fn key(app: &TestApp, role: &str, chain: Option<&str>) -> String {
    let made = app.post("/v1/keys", &json!({ "role": role, "chain": chain, "name": role })).await.expect(201);
    made["key"].as_str().unwrap().to_owned()
}

fn of_harvest(operation: &str) -> String {
    operation.replace("$chain", "\"harvest\"")
}

async fn each_role_may_do_what_it_may_over_rest(app: TestApp) {
    app.post("/v1/chains/harvest/members", &json!({ "id": "ana" })).await.expect(201);
    for (at, role) in ["manager", "viewer", "ingest"].into_iter().enumerate() {
        let key = key(&app, role, Some("harvest")).await;
        for (operation, allowed) in MATRIX {
            let answer = ask_as(&app, &key, &of_harvest(operation), json!({})).await;
            let expected = if allowed[at] { "" } else { "forbidden" };
            assert_eq!(code(&answer), expected, "{role}: {operation}: {answer}");
            if !allowed[at] {
                let said = &answer["errors"][0]["extensions"];
                assert_eq!(said["status"], 403, "{answer}");
                assert!(said["action"].is_string(), "{answer}");
            }
        }
        // The mutations that name no chain.
        for mutation in [
            "updateWebhook(webhookId: \"x\", input: {}) { url }",
            "deleteWebhook(webhookId: \"x\") { success }",
        ] {
            let answer = ask_as(&app, &key, &format!("mutation {{ {mutation} }}"), json!({})).await;
            assert_eq!(code(&answer), "forbidden", "{role}: {mutation}: {answer}");
        }
    }
    for (operation, _) in MATRIX {
        data(&ask(&app, &of_harvest(operation), json!({})).await);
    }
    app.stop().await;
}

async fn another_chain_does_not_exist(app: TestApp) {
    app.post("/v1/chains/harvest/members", &json!({ "id": "ana" })).await.expect(201);
    let chain = json!({ "id": "other", "name": "Other", "timezone": "UTC", "currency": "EUR" });
    app.post("/v1/chains", &chain).await.expect(201);
    let input = json!({ "input": { "chainId": "harvest", "url": "https://hooks.example.com/", "events": ["ORDER_COMPLETED"] } });
    let register = "mutation($input: RegisterWebhookInput!) { registerWebhook(input: $input) { webhookId } }";
    let made = ask(&app, register, input).await;
    let webhook = data(&made)["registerWebhook"]["webhookId"].clone();
    for role in ["admin", "viewer"] {
        let key = key(&app, role, Some("other")).await;
        for (operation, _) in MATRIX.iter().filter(|(operation, _)| operation.contains("$chain")) {
            let theirs = ask_as(&app, &key, &of_harvest(operation), json!({})).await;
            let nobodys = ask_as(&app, &key, &operation.replace("$chain", "\"nobodys\""), json!({})).await;
            assert_eq!(code(&theirs), "not_found", "{role}: {operation}: {theirs}");
            assert_eq!(theirs, nobodys, "{role}: {operation}");
        }
    }
    let admin = key(&app, "admin", Some("other")).await;
    let own = ask_as(&app, &admin, "{ chains { nodes { id } } }", json!({})).await;
    assert_eq!(data(&own)["chains"]["nodes"], json!([{ "id": "other" }]));
    for id in [webhook.clone(), json!("ep_00000000000000000000000007")] {
        for mutation in [
            "mutation($id: ID!) { updateWebhook(webhookId: $id, input: { status: PAUSED }) { url } }",
            "mutation($id: ID!) { deleteWebhook(webhookId: $id) { success } }",
        ] {
            let answer = ask_as(&app, &admin, mutation, json!({ "id": id })).await;
            let errors = json!({ "code": "not_found", "detail": "there is no such webhook" });
            let said = json!({ "code": code(&answer), "detail": answer["errors"][0]["message"] });
            assert_eq!((said, &answer["data"]), (errors, &Value::Null), "{mutation}");
        }
    }
    let list = ask(&app, "{ webhooks(chainId: \"harvest\") { webhookId status } }", json!({})).await;
    assert_eq!(data(&list)["webhooks"], json!([{ "webhookId": webhook, "status": "ACTIVE" }]));
    app.stop().await;
}
