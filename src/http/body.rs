//! Reading bodies: bounded in size and in time.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use futures_util::future::{FutureExt, LocalBoxFuture};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The whole body of a single request must arrive within this; actix-web itself waits for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest body of an administrative request, in bytes.
const ADMIN_BYTES: usize = 64 * 1024;

/// Reads a body of at most `limit` bytes, all of it within [`BODY_TIMEOUT`].
pub(super) async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    limit: usize,
) -> Result<Bytes, Problem> {
    read_within(BODY_TIMEOUT, request, payload, limit).await
}

async fn read_within(
    time: Duration,
    request: &HttpRequest,
    payload: &mut Payload,
    limit: usize,
) -> Result<Bytes, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > limit as u64) {
        return Err(Problem::TooLarge { limit });
    }
    tokio::time::timeout(time, collect(payload, limit)).await.map_err(|_| Problem::BodyTimeout)?
}

async fn collect(payload: &mut Payload, limit: usize) -> Result<Bytes, Problem> {
    let Some(first) = payload.next().await else { return Ok(Bytes::new()) };
    let mut whole = BytesMut::from(first.map_err(broken)?);
    while let Some(chunk) = payload.next().await {
        whole.extend_from_slice(&chunk.map_err(broken)?);
        if whole.len() > limit {
            break;
        }
    }
    if whole.len() > limit { Err(Problem::TooLarge { limit }) } else { Ok(whole.freeze()) }
}

/// What a failing stream means to the caller.
pub(super) fn broken(error: PayloadError) -> Problem {
    tracing::debug!(%error, "a body ended early");
    Problem::BodyIncomplete
}

/// The JSON object in the body of an administrative request.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        async move { parse(&read(&request, &mut payload, ADMIN_BYTES).await?).map(Self) }.boxed_local()
    }
}

/// The JSON object in the body of a request whose body may be left out.
pub(super) struct OptionalJson<T>(pub(super) T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalJson<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        async move {
            let body = read(&request, &mut payload, ADMIN_BYTES).await?;
            if body.trim_ascii().is_empty() { Ok(Self(T::default())) } else { parse(&body).map(Self) }
        }
        .boxed_local()
    }
}

/// Deserialises strictly and names the field at fault.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let text = str::from_utf8(body).map_err(|_| Problem::NotJson("the body is not UTF-8".into()))?;
    if text.trim_ascii().is_empty() {
        return Err(Problem::NotJson("the body is empty; a JSON object is wanted".into()));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        refused(&path, &error.into_inner())
    })?;
    deserializer.end().map_err(|error| refused("", &error))?;
    // serde takes a list for a struct's fields in order; nobody means that.
    if text.trim_ascii_start().starts_with('{') {
        Ok(value)
    } else {
        Err(Problem::InvalidBody("the body must be a JSON object".into()))
    }
}

fn refused(path: &str, error: &serde_json::Error) -> Problem {
    let problem = error.to_string();
    if error.is_syntax() || error.is_eof() {
        return Problem::NotJson(problem);
    }
    let whole = matches!(path, "." | "?");
    Problem::from_parser(if whole { "" } else { path }, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only parsed")]
        name: String,
        #[serde(default)]
        #[expect(dead_code, reason = "only parsed")]
        tags: Vec<String>,
    }

    #[test]
    fn a_refused_body_names_the_field() {
        for (body, code, field) in [
            ("", "not_json", None),
            ("{", "not_json", None),
            (r#"{"name":"a"} x"#, "not_json", None),
            ("[\"a\",[]]", "invalid_body", None),
            ("{}", "invalid_field", Some("name")),
            (r#"{"name":1}"#, "invalid_field", Some("name")),
            (r#"{"name":"a","name":"b"}"#, "invalid_field", Some("name")),
            (r#"{"name":"a","nam":1}"#, "invalid_field", Some("nam")),
            (r#"{"name":"a","tags":["x",2]}"#, "invalid_field", Some("tags[1]")),
        ] {
            let problem = parse::<Sample>(body.as_bytes()).expect_err(body);
            assert_eq!(problem.code(), code, "{body}: {problem}");
            let json: serde_json::Value = serde_json::from_str(&problem.to_json(None)).unwrap();
            assert_eq!(json.get("field").and_then(|f| f.as_str()), field, "{body}");
        }
        assert!(parse::<Sample>(br#" {"name":"a"} "#).is_ok());
    }

    #[actix_web::test]
    async fn a_body_beyond_the_limit_is_refused_whether_announced_or_not() {
        for announced in [true, false] {
            let request = actix_web::test::TestRequest::default();
            let request =
                if announced { request.insert_header((header::CONTENT_LENGTH, 11)) } else { request };
            let (request, mut payload) = request.set_payload("0123456789a").to_http_parts();
            let refused = read(&request, &mut payload, 10).await;
            assert_eq!(refused, Err(Problem::TooLarge { limit: 10 }));
        }
    }

    #[actix_web::test]
    async fn a_body_that_does_not_end_is_given_up() {
        let endless = futures_util::stream::iter([Ok(Bytes::from_static(b"x"))]);
        let stream = endless.chain(futures_util::stream::pending());
        let request = actix_web::test::TestRequest::default().to_http_request();
        let mut payload = Payload::Stream { payload: stream.boxed_local() };
        let refused = read_within(Duration::from_millis(20), &request, &mut payload, 1_000).await;
        assert_eq!(refused, Err(Problem::BodyTimeout));
    }
}
