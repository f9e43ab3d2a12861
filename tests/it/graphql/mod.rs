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

/// Sends whatever bytes as a request.
async fn send(app: &TestApp, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Reply {
    app.request(Method::POST, "/graphql", headers, body.into()).await
}
