//! Reading bodies: bounded in size and in time.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The whole body of a single request must arrive within this; actix-web itself waits for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest body of an administrative request, in bytes.
const ADMIN_BYTES: usize = 64 * 1024;

/// A body that is not read yet: first comes the question whether the caller may ask at all.
pub(super) struct Body {
    /// What `Content-Length` says.
    announced: Option<u64>,
    payload: Payload,
}

impl FromRequest for Body {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let announced = length.and_then(|length| length.to_str().ok()?.parse().ok());
        ready(Ok(Self { announced, payload: payload.take() }))
    }
}

impl Body {
    /// Reads a body of at most `limit` bytes, all of it within [`BODY_TIMEOUT`].
    pub(super) async fn bytes(self, limit: usize) -> Result<Bytes, Problem> {
        self.bytes_within(BODY_TIMEOUT, limit).await
    }

    async fn bytes_within(mut self, time: Duration, limit: usize) -> Result<Bytes, Problem> {
        if self.announced.is_some_and(|bytes| bytes > limit as u64) {
            return Err(Problem::TooLarge { limit });
        }
        let collected = tokio::time::timeout(time, collect(&mut self.payload, limit));
        collected.await.map_err(|_| Problem::BodyTimeout)?
    }

    /// The JSON object in the body of an administrative request.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<T, Problem> {
        parse(&self.bytes(ADMIN_BYTES).await?)
    }

    /// The JSON object in a body that may be left out.
    pub(super) async fn optional_json<T: DeserializeOwned + Default>(self) -> Result<T, Problem> {
        let body = self.bytes(ADMIN_BYTES).await?;
        if body.trim_ascii().is_empty() { Ok(T::default()) } else { parse(&body) }
    }

    /// The stream itself, for whoever bounds it otherwise.
    pub(super) fn into_payload(self) -> Payload {
        self.payload
    }
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
    use actix_web::test::TestRequest;

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
        for announced in [Some(11), None] {
            let (_, payload) = TestRequest::default().set_payload("0123456789a").to_http_parts();
            let body = Body { announced, payload };
            assert_eq!(body.bytes(10).await, Err(Problem::TooLarge { limit: 10 }));
        }
    }

    #[actix_web::test]
    async fn a_body_that_does_not_end_is_given_up() {
        let byte = futures_util::stream::iter([Ok(Bytes::from_static(b"x"))]);
        let payload = Payload::Stream { payload: byte.chain(futures_util::stream::pending()).boxed_local() };
        let body = Body { announced: None, payload };
        assert_eq!(body.bytes_within(Duration::from_millis(20), 1_000).await, Err(Problem::BodyTimeout));
    }
}
