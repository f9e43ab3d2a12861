//! GraphQL, spoken as its clients do: one JSON object with a query and its variables, over plain HTTP.

mod abuse;
mod beyond;
mod documented;
mod rights;
mod schema;

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::app::Reply;

const JSON: (&str, &str) = ("content-type", "application/json");
/// The type of responses whose status says something.
const RESPONSES: &str = "application/graphql-response+json";

/// Asks as the admin; answers all that is answered.
async fn ask(app: &TestApp, query: &str, variables: Value) -> Value {
    app.post("/graphql", &json!({ "query": query, "variables": variables })).await.expect(200)
}

/// Asks as the admin; there is no error.
#[track_caller]
fn data(answer: &Value) -> &Value {
    assert!(answer.get("errors").is_none(), "{answer}");
    &answer["data"]
}

/// The code of the first error; empty if there is none.
fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

/// Asks with another key.
async fn ask_as(app: &TestApp, key: &str, query: &str, variables: Value) -> Value {
    let bearer = format!("Bearer {key}");
    let body = json!({ "query": query, "variables": variables }).to_string().into_bytes();
    app.request(Method::POST, "/graphql", &[("authorization", &bearer), JSON], body).await.expect(200)
}

/// Asks as a client that wants to know by the status how it went. Its responses are those of another standard, which says
/// what they are; the OpenAPI document does not.
async fn send_for_status(app: &TestApp, body: &str) -> (u16, String, Value) {
    let request = awc::Client::default().post(format!("http://{}/graphql", app.address()));
    let request = request.insert_header(("authorization", TestApp::admin())).insert_header(JSON);
    let request = request.insert_header(("accept", RESPONSES));
    let mut answer = request.send_body(body.to_owned()).await.unwrap();
    let said = answer.json().limit(64 << 20).await.unwrap();
    let content_type = answer.headers().get("content-type").and_then(|said| said.to_str().ok());
    (answer.status().as_u16(), content_type.unwrap_or_default().to_owned(), said)
}

/// Sends whatever bytes as a request.
async fn send(app: &TestApp, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Reply {
    app.request(Method::POST, "/graphql", headers, body.into()).await
}
