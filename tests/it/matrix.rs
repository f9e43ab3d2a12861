//! Who may do what: every operation of the OpenAPI document, tried with every role, with keys of another chain, with a key that
//! nobody knows, and without one.

use std::collections::BTreeMap;

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::app::Reply;
use crate::support::{Backend, Receiver, TestApp, order};

const ROLES: [&str; 4] = ["admin", "manager", "viewer", "ingest"];
/// As what the names in paths stand for, where nothing of that kind is there.
const MADE_UP: &[(&str, &str)] = &[
    ("member", "nobody"),
    ("event", "evt_00000000000000000000000009"),
    ("source_event", "src_00000000000000000000000009"),
    ("line", "trf_00000000000000000000000009"),
    ("endpoint", "ep_00000000000000000000000009"),
    ("recovery", "rcv_00000000000000000000000009"),
    ("signing_key", "99"),
    ("delivery", "dlv_00000000000000000000000009"),
    ("redemption", "rdm_00000000000000000000000009"),
    ("book", "cbk_00000000000000000000000009"),
    ("coupon", "NO-SUCH-CODE"),
    ("referral_code", "NO-SUCH-CODE"),
    ("version", "99"),
    ("key", "key_00000000000000000000000009"),
    ("audit_line", "aud_00000000000000000000000009"),
];

/// An operation as the document has it.
struct Operation {
    name: String,
    method: Method,
    path: String,
    query: String,
    body: Option<(String, String)>,
    roles: Vec<String>,
    is_open: bool,
    all_chains: bool,
}

impl Operation {
    fn is_of_a_chain(&self) -> bool {
        self.path.contains("{chain}")
    }

    /// Whether it names something beside the chain.
    fn names_something(&self) -> bool {
        self.path.replace("{chain}", "").contains('{')
    }

    /// Its address, for these things.
    fn at(&self, chain: &str, things: &BTreeMap<&str, String>) -> String {
        let path = self.path.replace("{chain}", chain);
        let fill = |path: String, (name, id): (&&str, &String)| path.replace(&format!("{{{name}}}"), id);
        let path = things.iter().fold(path, fill);
        assert!(!path.contains('{'), "what is {path}?");
        format!("{path}{}", self.query)
    }

    async fn try_with(&self, app: &TestApp, key: Option<&str>, at: &str) -> Reply {
        let bearer = key.map(|key| format!("Bearer {key}")).unwrap_or_default();
        let mut headers = vec![("authorization", &*bearer)];
        let (media_type, body) = self.body.clone().unwrap_or_default();
        if !media_type.is_empty() {
            headers.push(("content-type", &media_type));
        }
        app.request(self.method.clone(), at, &headers, body.into_bytes()).await
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let given = operation["parameters"].as_array().into_iter().flatten();
            let given = given.filter(|given| given["in"] == "query" && given.get("example").is_some());
            let query: Vec<_> = given
                .map(|given| {
                    format!("{}={}", given["name"].as_str().unwrap(), given["example"].as_str().unwrap())
                })
                .collect();
            let content = operation["requestBody"]["content"].as_object().and_then(|all| all.iter().next());
            let body = content.map(|(media_type, content)| {
                let example = &content["example"];
                (media_type.clone(), example.as_str().map_or_else(|| example.to_string(), str::to_owned))
            });
            let roles = operation["x-punchcard-roles"].as_array().into_iter().flatten();
            all.push(Operation {
                name: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                query: if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) },
                body,
                roles: roles.map(|role| role.as_str().unwrap().to_owned()).collect(),
                is_open: operation["security"] == json!([]),
                all_chains: operation["x-punchcard-all-chains"] == true,
            });
        }
    }
    all
}

async fn key(app: &TestApp, role: &str, chain: Option<&str>) -> (String, String) {
    let body = match chain {
        Some(chain) => json!({ "role": role, "chain": chain, "name": format!("{role} of {chain}") }),
        None => json!({ "role": role }),
    };
    let made = app.post("/v1/keys", &body).await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

/// One of each kind of things that paths name.
async fn things(app: &TestApp, receiver: &Receiver) -> BTreeMap<&'static str, String> {
    let of = "/v1/chains/harvest";
    let (endpoint, _) = app.endpoint(&receiver.url, &["*"]).await;
    let receipt = app.send(&order("ORD-1001", "m-42", "24.50")).await.expect(200);
    app.advance(0).await;
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned();
    let first = async |path: String, name: &str| {
        let page = app.get(&format!("{of}{path}")).await.expect(200);
        text(&page["items"][0][name])
    };
    let recover = json!({ "since": "2026-03-03T00:00:00Z" });
    let recovery = app.post(&format!("{of}/endpoints/{endpoint}/recover"), &recover).await.expect(200);
    let book =
        json!({ "name": "Bowls", "type": "generated", "discount_type": "percentage", "discount_amount": 20 });
    let book = text(&app.post(&format!("{of}/coupon_books"), &book).await.expect(201)["coupon_book_key"]);
    let codes = format!("{of}/coupon_books/{book}/codes");
    app.post(&codes, &json!({ "generate": 1 })).await.expect(200);
    let audit = app.get("/v1/audit?chain=harvest").await.expect(200);
    BTreeMap::from([
        ("audit_line", text(&audit["items"][0]["id"])),
        ("member", "m-42".to_owned()),
        ("event", text(&receipt["events"][0]["id"])),
        ("source_event", text(&receipt["id"])),
        ("line", first("/members/m-42/ledger".to_owned(), "id").await),
        ("recovery", text(&recovery["recovery"])),
        ("signing_key", "1".to_owned()),
        ("delivery", first(format!("/endpoints/{endpoint}/deliveries"), "id").await),
        ("coupon", first(format!("/coupon_books/{book}/codes"), "code").await),
        ("redemption", "rdm_00000000000000000000000008".to_owned()),
        ("referral_code", "NO-SUCH-CODE".to_owned()),
        ("version", "1".to_owned()),
        ("key", key(app, "viewer", Some("harvest")).await.0),
        ("endpoint", endpoint),
        ("book", book),
    ])
}

async fn document(app: &TestApp) -> Value {
    app.request(Method::GET, "/openapi.json", &[("authorization", "")], Vec::new()).await.expect(200)
}

fn code(reply: &Reply) -> Value {
    serde_json::from_str::<Value>(&reply.text).map(|body| body["code"].clone()).unwrap_or_default()
}

#[actix_web::test]
async fn every_operation_answers_each_role_as_the_document_says() {
    let app = TestApp::start(Backend::Sqlite).await;
    let receiver = Receiver::start().await;
    let things = things(&app, &receiver).await;
    let mut keys = Vec::new();
    for role in ROLES {
        for chain in [None, Some("harvest")] {
            keys.push((role, chain, key(&app, role, chain).await.1));
        }
    }
    let all = operations(&document(&app).await);
    for operation in &all {
        let (at, name) = (operation.at("harvest", &things), &operation.name);
        for wrong in [None, Some("pck_wrong")] {
            let reply = operation.try_with(&app, wrong, &at).await;
            assert_eq!(reply.status == 401, !operation.is_open, "{name} with {wrong:?}: {}", reply.text);
        }
    }
    // What deletes comes last.
    let (first, last): (Vec<_>, Vec<_>) =
        all.iter().partition(|operation| operation.method != Method::DELETE);
    for operation in first.into_iter().chain(last).filter(|operation| !operation.is_open) {
        let (at, name) = (operation.at("harvest", &things), &operation.name);
        // The lowest role first: what is done here may be done only once.
        for (role, chain, key) in keys.iter().rev() {
            let reply = operation.try_with(&app, Some(key), &at).await;
            let has_role = operation.roles.iter().any(|one| one == role);
            let allowed = has_role && (chain.is_none() || !operation.all_chains);
            let who = format!("{role} of {chain:?} wants {name} at {at}: {} {}", reply.status, reply.text);
            assert!(reply.status < 500 && reply.status != 401, "{who}");
            assert_eq!(reply.status == 403, !allowed, "{who}");
            assert!(allowed || code(&reply) == "forbidden", "{who}");
        }
    }
    app.stop().await;
}

/// A refusal says nothing of what is there: neither its status, nor a byte of its body, nor its headers differ from those for
/// what never was.
#[actix_web::test]
async fn to_a_key_of_another_chain_nothing_of_a_chain_exists() {
    let app = TestApp::start(Backend::Sqlite).await;
    let receiver = Receiver::start().await;
    let things = things(&app, &receiver).await;
    let other = json!({ "id": "other", "name": "Other", "timezone": "Europe/Berlin", "currency": "EUR" });
    app.post("/v1/chains", &other).await.expect(201);
    let mut keys = Vec::new();
    for role in ROLES {
        keys.push(key(&app, role, Some("other")).await.1);
    }
    let admin = keys[0].clone();
    let made_up: BTreeMap<_, _> = MADE_UP.iter().map(|(name, id)| (*name, (*id).to_owned())).collect();
    let seen = |reply: &Reply| {
        let mut headers = reply.headers.clone();
        headers.retain(|(name, _)| {
            // Whether the connection stays depends on how much of the body has come when the answer leaves.
            !["x-request-id", "date", "connection"].contains(&&**name) && !name.starts_with("ratelimit")
        });
        headers.sort();
        (reply.status, headers, reply.text.clone())
    };
    let all = operations(&document(&app).await);
    for operation in all.iter().filter(|operation| operation.is_of_a_chain()) {
        for key in &keys {
            let there = operation.try_with(&app, Some(key), &operation.at("harvest", &things)).await;
            let nowhere = operation.try_with(&app, Some(key), &operation.at("nowhere", &made_up)).await;
            assert_eq!(there.status, 404, "{}: {}", operation.name, there.text);
            assert_eq!(seen(&there), seen(&nowhere), "{}", operation.name);
        }
    }
    // Nor do its things exist in a chain of one's own, or where paths name no chain.
    for operation in all.iter().filter(|operation| operation.names_something()) {
        let theirs = operation.try_with(&app, Some(&admin), &operation.at("other", &things)).await;
        let nobodys = operation.try_with(&app, Some(&admin), &operation.at("other", &made_up)).await;
        assert_eq!(seen(&theirs), seen(&nobodys), "{}", operation.name);
    }
    for path in ["/v1/chains", "/v1/keys"] {
        let list = app
            .request(Method::GET, path, &[("authorization", &format!("Bearer {admin}"))], Vec::new())
            .await;
        assert!(list.status == 200 && !list.text.contains("harvest"), "{}", list.text);
    }
    assert_eq!(app.get("/v1/chains/harvest/members/m-42").await.status, 200, "all is there");
    app.stop().await;
}
