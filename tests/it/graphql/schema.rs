//! The schema: what GuestIQ documents is in it, to the letter, and what it lacks is refused.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{ask, data};
use crate::support::{Backend, TestApp};

/// Everything about the types of a schema.
const TYPES: &str = "{ __schema { types { kind name
    fields { name args { name type { ...T } } type { ...T } }
    inputFields { name type { ...T } }
    enumValues { name } } } }
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// What the document says of inputs and enums: a type, and its fields or values.
const INPUTS: [(&str, &[&str]); 12] = [
    (
        "RegisterWebhookInput",
        &[
            "chainId: String!",
            "url: String!",
            "events: [WebhookEvent!]!",
            "secret: String",
            "headers: [HeaderInput!]",
        ],
    ),
    ("HeaderInput", &["name: String!", "value: String!"]),
    (
        "WebhookEvent",
        &[
            "GUEST_IDENTIFIED",
            "GUEST_PROFILE_UPDATED",
            "GUEST_MERGED",
            "SEGMENT_ENTERED",
            "SEGMENT_EXITED",
            "SIGNAL_RECEIVED",
            "SESSION_STARTED",
            "SESSION_ENDED",
            "ORDER_COMPLETED",
            "CART_ABANDONED",
            "GUEST_AT_RISK",
            "GUEST_CHURNED",
            "GUEST_REACTIVATED",
        ],
    ),
    (
        "CreateExportScheduleInput",
        &[
            "chainId: String!",
            "frequency: ExportFrequency!",
            "destination: ExportDestinationInput!",
            "dataTypes: [ExportDataType!]!",
            "filters: ExportFilterInput",
        ],
    ),
    ("ExportFrequency", &["HOURLY", "DAILY", "WEEKLY"]),
    (
        "ExportDestinationInput",
        &[
            "type: DestinationType!",
            "s3Bucket: String",
            "s3Prefix: String",
            "sftpHost: String",
            "sftpPath: String",
            "webhookUrl: String",
        ],
    ),
    ("DestinationType", &["S3", "SFTP", "WEBHOOK"]),
    ("ExportDataType", &["GUEST_PROFILES", "SEGMENTS", "SIGNALS", "ORDERS"]),
    ("ExportFilterInput", &["modifiedSince: String"]),
    (
        "ConfigureIntegrationInput",
        &[
            "chainId: String!",
            "platform: IntegrationPlatform!",
            "credentials: IntegrationCredentialsInput!",
            "syncConfig: SyncConfigInput!",
        ],
    ),
    // The document leaves room for what some platforms need besides.
    (
        "IntegrationCredentialsInput",
        &["apiKey: String", "apiSecret: String", "accountId: String", "instanceUrl: String"],
    ),
    (
        "SyncConfigInput",
        &[
            "syncGuests: Boolean!",
            "syncSegments: Boolean!",
            "syncSignals: Boolean!",
            "syncOrders: Boolean!",
            "realTime: Boolean!",
        ],
    ),
];

/// What the document selects, and what it is by its nature.
const OUTPUTS: [(&str, &[&str]); 8] = [
    (
        "RegisterWebhookPayload",
        &[
            "webhookId: ID!",
            "url: String!",
            "events: [WebhookEvent!]!",
            "status: WebhookStatus!",
            "secret: String!",
        ],
    ),
    (
        "Webhook",
        &[
            "webhookId: ID!",
            "url: String!",
            "events: [WebhookEvent!]!",
            "status: WebhookStatus!",
            "createdAt: DateTime!",
            "lastDelivery: LastDelivery",
        ],
    ),
    ("LastDelivery", &["timestamp: DateTime!", "status: DeliveryStatus!", "responseCode: Int"]),
    ("DeletePayload", &["success: Boolean!"]),
    (
        "ExportSchedule",
        &[
            "scheduleId: ID!",
            "frequency: ExportFrequency!",
            "destination: DestinationType!",
            "dataTypes: [ExportDataType!]!",
            "nextRunAt: DateTime!",
        ],
    ),
    (
        "Integration",
        &[
            "integrationId: ID!",
            "platform: IntegrationPlatform!",
            "status: IntegrationStatus!",
            "syncedDataTypes: [ExportDataType!]!",
            "lastSyncAt: DateTime",
        ],
    ),
    ("WebhookStatus", &["ACTIVE", "PAUSED", "DISABLED"]),
    (
        "IntegrationPlatform",
        &["PUNCHH", "THANX", "PAYTRONIX", "OLO", "BRAZE", "KLAVIYO", "SEGMENT", "SALESFORCE"],
    ),
];

/// What the document calls, with what, and what comes of it.
const OPERATIONS: [(&str, &str); 6] = [
    ("Query", "webhooks(chainId: String!): [Webhook!]!"),
    ("Mutation", "registerWebhook(input: RegisterWebhookInput!): RegisterWebhookPayload!"),
    ("Mutation", "updateWebhook(webhookId: ID!, input: UpdateWebhookInput!): Webhook!"),
    ("Mutation", "deleteWebhook(webhookId: ID!): DeletePayload!"),
    ("Mutation", "createExportSchedule(input: CreateExportScheduleInput!): ExportSchedule!"),
    ("Mutation", "configureIntegration(input: ConfigureIntegrationInput!): Integration!"),
];

/// A type as the language writes it.
fn written(kind: &Value) -> String {
    match kind["kind"].as_str() {
        Some("NON_NULL") => format!("{}!", written(&kind["ofType"])),
        Some("LIST") => format!("[{}]", written(&kind["ofType"])),
        _ => kind["name"].as_str().unwrap_or("?").to_owned(),
    }
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

fn name(value: &Value) -> String {
    value["name"].as_str().unwrap_or_default().to_owned()
}

/// The types that are served: each with its fields or values, as the language writes them.
async fn served(app: &TestApp) -> BTreeMap<String, BTreeSet<String>> {
    let answer = ask(app, TYPES, json!({})).await;
    let all = list(&data(&answer)["__schema"], "types").map(|kind| {
        let field = |field: &Value| format!("{}: {}", name(field), written(&field["type"]));
        let called = |made: &Value| {
            // What may be left out is beyond the document.
            let needed = |arg: &&Value| arg["type"]["kind"] == "NON_NULL";
            let args: Vec<_> = list(made, "args").filter(needed).map(field).collect();
            let args = if args.is_empty() { String::new() } else { format!("({})", args.join(", ")) };
            format!("{}{args}: {}", name(made), written(&made["type"]))
        };
        let fields = list(kind, "fields").map(called);
        let members = list(kind, "inputFields").map(field).chain(list(kind, "enumValues").map(name));
        (name(kind), fields.chain(members).collect())
    });
    all.collect()
}

#[actix_web::test]
async fn the_documented_types_are_served_to_the_letter() {
    let app = TestApp::start(Backend::Sqlite).await;
    let served = served(&app).await;
    let mut wrong = Vec::new();
    for (kind, members) in INPUTS {
        let expected: BTreeSet<_> = members.iter().map(|member| (*member).to_owned()).collect();
        let is = served.get(kind).cloned().unwrap_or_default();
        if is != expected {
            wrong.push(format!("{kind}: {is:?}"));
        }
    }
    let known = |kind: &str, member: &str| served.get(kind).is_some_and(|members| members.contains(member));
    let outputs = OUTPUTS.iter().flat_map(|(kind, members)| members.iter().map(|member| (*kind, *member)));
    for (kind, member) in outputs.chain(OPERATIONS).filter(|(kind, member)| !known(kind, member)) {
        wrong.push(format!("{kind} has no `{member}`: {:?}", served.get(kind)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    app.stop().await;
}

/// The inputs and enums that the document prints: each with its lines.
fn printed() -> BTreeMap<String, BTreeSet<String>> {
    const HELP: &str = "set PUNCHCARD_TEST_SEEDS to a folder with the document (*.txt)";
    #[expect(clippy::disallowed_methods, reason = "where the documents lie is a matter of the machine")]
    let folder = std::env::var_os("PUNCHCARD_TEST_SEEDS").unwrap_or_else(|| panic!("{HELP}"));
    let files = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{HELP} ({e})"));
    let mut texts = files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok());
    let text = texts.find(|text| text.contains("registerWebhook(")).unwrap_or_else(|| panic!("{HELP}"));
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    let mut inside = None;
    for line in text.lines() {
        let head = line.strip_suffix(" {").and_then(|head| head.split_once(' '));
        match (head, &inside) {
            (Some(("input" | "enum", name)), _) => inside = Some(name.to_owned()),
            (_, Some(_)) if line == "}" => inside = None,
            (_, Some(name)) => {
                let said = line.split('#').next().unwrap_or_default().trim();
                let of = found.entry(name.clone()).or_default();
                of.extend(Some(said.to_owned()).filter(|said| !said.is_empty()));
            }
            (_, None) => {}
        }
    }
    found
}

#[test]
#[ignore = "needs PUNCHCARD_TEST_SEEDS"]
fn the_types_that_the_document_prints_are_served() {
    actix_web::rt::System::new().block_on(async {
        let app = TestApp::start(Backend::Sqlite).await;
        let (served, printed) = (served(&app).await, printed());
        assert_eq!(printed.len(), 11, "{printed:?}");
        for (kind, members) in printed {
            let beyond: Vec<_> = served[&kind].difference(&members).collect();
            let lacking: Vec<_> = members.difference(&served[&kind]).collect();
            assert!(lacking.is_empty(), "{kind} lacks {lacking:?}");
            let allowed = kind == "IntegrationCredentialsInput" && beyond == ["instanceUrl: String"];
            assert!(allowed || beyond.is_empty(), "{kind} has {beyond:?} besides");
        }
        app.stop().await;
    });
}

#[actix_web::test]
async fn the_usual_introspection_is_answered_and_the_command_line_prints_the_same() {
    let app = TestApp::start(Backend::Sqlite).await;
    let answer = ask(&app, include_str!("../../../src/http/graphql/introspection.graphql"), json!({})).await;
    let types = data(&answer)["__schema"]["types"].as_array().unwrap();
    // Those of the library that every schema has say nothing.
    let is_plain = |name: &str| name.starts_with("__") || name.ends_with("Connection") || name == "ID";
    let described = |kind: &&Value| kind["description"].is_string() || is_plain(&name(kind));
    let silent: Vec<_> = types.iter().filter(|kind| !described(kind)).map(name).collect();
    assert_eq!(silent, Vec::<String>::new(), "each type says what it is");
    let printed =
        std::process::Command::new(env!("CARGO_BIN_EXE_punchcard")).arg("graphql-schema").output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    for kind in
        types.iter().filter(|kind| kind["kind"] == "OBJECT").map(name).filter(|name| !name.starts_with("__"))
    {
        assert!(printed.contains(&format!("type {kind} {{")), "{kind}");
    }
    app.stop().await;
}
