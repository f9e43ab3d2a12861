//! `POST /graphql`, as *GraphQL over HTTP* has it.
//!
//! Queries and mutations come as one JSON object, by POST, as `application/json`: no other site can make a browser send that
//! without being asked first. A request that is none is answered with a problem, like anywhere else; whatever is asked is
//! answered with a GraphQL response, whose status says something only to who accepts `application/graphql-response+json`.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, Accept, Header};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use async_graphql::{Request, Response, ServerError, Value, Variables};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{explain, of_problem, refused, status};
use super::limits::judge;
use super::loader::Reads;
use super::{Asked, SCHEMA, nulls};
use crate::domain::json::{self, BadJson};
use crate::domain::role::Right;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;

/// The largest request, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// How long a query may take.
const TIME: Duration = Duration::from_secs(10);
/// The response type that has statuses.
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

/// A request.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "GraphqlRequest")]
pub(in crate::http) struct Said {
    /// One query or mutation, or several with names.
    query: String,
    /// Which of several.
    #[serde(default)]
    operation_name: Option<String>,
    /// The values of its variables.
    #[serde(default)]
    variables: Option<serde_json::Map<String, serde_json::Value>>,
    /// Clients may send some; we know none.
    #[serde(default, rename = "extensions")]
    _extensions: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Said {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let text = str::from_utf8(body).map_err(|_| Problem::NotJson("the body is not UTF-8".into()))?;
        json::object(text, "").map_err(|bad| match bad {
            BadJson::NotJson(why) => Problem::NotJson(why),
            BadJson::Shape { field, problem } if field.is_empty() => {
                Problem::BadQuery(format!("the body {problem}; batches are not taken"))
            }
            BadJson::Shape { field, problem } => Problem::BadQuery(format!("`{field}` {problem}")),
        })
    }
}

/// What is answered.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "GraphqlResponse")]
pub(in crate::http) struct Answer<'a> {
    /// What went wrong: each with its `message`, and in `extensions` what a problem says.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schemars(with = "Vec<serde_json::Value>")]
    errors: &'a [ServerError],
    /// What was asked for; absent when nothing was executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    data: Option<&'a Value>,
}

/// Its shape.
pub(in crate::http) type Shown = Answer<'static>;

/// `POST /graphql`
pub(in crate::http) async fn answer(
    state: State,
    caller: Caller,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Problem> {
    if !request.content_type().eq_ignore_ascii_case("application/json") {
        return Err(Problem::MediaType);
    }
    let said = Said::read(&body.bytes(MAX_BYTES).await?)?;
    let executed = tokio::time::timeout(TIME, execute(state, caller, said)).await;
    let mut response = executed.unwrap_or_else(|_| refused(of_problem(Problem::QueryTimeout)));
    let was_executed = response.errors.iter().all(|error| !error.path.is_empty());
    let status = match response.errors.first() {
        Some(error) if !was_executed => status(error),
        _ => StatusCode::OK.as_u16(),
    };
    response.errors.iter_mut().for_each(explain);
    let answer = Answer { errors: &response.errors, data: was_executed.then_some(&response.data) };
    Ok(if accepts_statuses(&request) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        HttpResponse::build(status).insert_header((header::CONTENT_TYPE, GRAPHQL_RESPONSE)).json(answer)
    } else {
        HttpResponse::Ok().json(answer)
    })
}

async fn execute(state: State, caller: Caller, said: Said) -> Response {
    let judged = match judge(&said.query) {
        Ok(judged) => judged,
        Err(error) => return refused(error),
    };
    // Tills run the queries that were written for them, and their keys are everywhere.
    if judged.introspects
        && let Err(problem) = caller.require_role(Right::View)
    {
        return refused(of_problem(problem));
    }
    let variables = serde_json::Value::Object(said.variables.unwrap_or_default());
    let mut request = Request::new(&said.query).variables(Variables::from_json(variables));
    request.operation_name.clone_from(&said.operation_name);
    request.set_parsed_query(judged.document);
    let reads = Reads::new(state.clone());
    let mut response = SCHEMA.execute(request.data(reads).data(Asked { state, caller })).await;
    if response.is_err() {
        nulls::put(&mut response, &said.query, said.operation_name.as_deref());
    }
    response
}

/// Whether the client knows responses whose status says how it went, and likes them no less than others.
fn accepts_statuses(request: &HttpRequest) -> bool {
    let accepted = Accept::parse(request).map(|accept| accept.ranked()).unwrap_or_default();
    let known = accepted.iter().map(|mime| mime.essence_str());
    let mut known = known.filter(|name| [GRAPHQL_RESPONSE, "application/json", "*/*"].contains(name));
    known.next() == Some(GRAPHQL_RESPONSE)
}

/// `GET /graphiql`: a page to write queries on, for development.
pub(in crate::http) async fn graphiql(state: State) -> Result<HttpResponse, Problem> {
    const PAGE: &str = include_str!("graphiql.html");
    const SOURCES: &str = "default-src 'none'; script-src 'unsafe-inline' https://unpkg.com; \
        style-src 'unsafe-inline' https://unpkg.com; font-src data: https://unpkg.com; img-src 'self' data:; \
        connect-src 'self'; frame-ancestors 'none'";
    if !state.graphiql {
        return Err(Problem::NoRoute);
    }
    let mut page = HttpResponse::Ok();
    page.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
    Ok(page.insert_header((header::CONTENT_SECURITY_POLICY, SOURCES)).body(PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_request_is_read_strictly() {
        for good in [
            r#"{"query":"{a}"}"#,
            r#"{"query":"{a}","variables":null,"operationName":null,"extensions":null}"#,
            r#"{"query":"{a}","variables":{"a":[1]},"operationName":"A","extensions":{"x":1}}"#,
        ] {
            assert!(Said::read(good.as_bytes()).is_ok(), "{good}");
        }
        for (bad, code) in [
            ("", "not_json"),
            ("{", "not_json"),
            ("\u{feff}{}", "not_json"),
            ("[]", "invalid_query"),
            (r#"[{"query":"{a}"}]"#, "invalid_query"),
            ("{}", "invalid_query"),
            (r#"{"query":null}"#, "invalid_query"),
            (r#"{"query":["{a}"]}"#, "invalid_query"),
            (r#"{"query":"{a}","query":"{b}"}"#, "invalid_query"),
            (r#"{"query":"{a}","variables":"a"}"#, "invalid_query"),
            (r#"{"query":"{a}","variables":[1]}"#, "invalid_query"),
            (r#"{"query":"{a}","operationName":7}"#, "invalid_query"),
            (r#"{"query":"{a}","id":"a"}"#, "invalid_query"),
        ] {
            let refused = Said::read(bad.as_bytes()).err().map(|problem| (problem.code(), problem));
            let (said, problem) = refused.unwrap_or_else(|| panic!("{bad}"));
            assert_eq!(said, code, "{bad}: {problem}");
        }
        assert!(Said::read(b"{\"query\":\"\xff\"}").is_err());
    }

    #[test]
    fn statuses_are_for_those_who_ask_for_them() {
        for (accept, asks) in [
            ("", false),
            ("*/*", false),
            ("application/json", false),
            ("application/graphql-response+json", true),
            ("application/graphql-response+json; charset=utf-8, application/json; q=0.9", true),
            ("application/json, application/graphql-response+json;q=0.9", false),
            ("application/graphql-response+json, application/json", true),
            ("text/html", false),
            ("a/b/c;;q=", false),
        ] {
            let request = TestRequest::default().insert_header((header::ACCEPT, accept.as_bytes()));
            assert_eq!(accepts_statuses(&request.to_http_request()), asks, "{accept}");
        }
    }
}
