//! Reading bodies: bounded in size, in time, and in memory over all requests.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::door::Door;
use super::problem::Problem;
use crate::domain::json;

/// The whole body of a single request must arrive within this; actix-web itself waits for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest body of an administrative request, in bytes.
pub(super) const ADMIN_BYTES: usize = 64 * 1024;
/// Bytes of bodies in memory at once, over all requests but batches, which are bounded by themselves.
const ROOM_BYTES: usize = 64 * 1024 * 1024;

/// Room for bodies. It is taken as the bytes arrive, so that a slow sender holds little of it.
#[derive(Clone)]
pub(super) struct BodyRoom(Arc<Semaphore>);

impl Default for BodyRoom {
    fn default() -> Self {
        Self::of(ROOM_BYTES)
    }
}

impl BodyRoom {
    fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes)))
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let bytes = u32::try_from(bytes).map_err(|_| Problem::Overloaded)?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).map_err(|_| Problem::Overloaded)
    }
}

/// A body in memory. Its room is free again when this is gone.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Deref for Held {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body that is not read yet: first comes the question whether the caller may ask at all.
pub(super) struct Body {
    /// What `Content-Length` says.
    announced: Option<u64>,
    payload: Payload,
    room: BodyRoom,
}

impl FromRequest for Body {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let announced = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let room = Door::of(request).map(|door| door.bodies().clone());
        ready(room.map(|room| Self { announced, payload: payload.take(), room }))
    }
}

impl Body {
    /// Reads a body of at most `limit` bytes, all of it within [`BODY_TIMEOUT`].
    pub(super) async fn bytes(self, limit: usize) -> Result<Held, Problem> {
        self.bytes_within(BODY_TIMEOUT, limit).await
    }

    async fn bytes_within(mut self, time: Duration, limit: usize) -> Result<Held, Problem> {
        if self.announced.is_some_and(|bytes| bytes > limit as u64) {
            return Err(Problem::TooLarge { limit });
        }
        let collected = tokio::time::timeout(time, collect(&mut self.payload, limit, &self.room));
        collected.await.map_err(|_| Problem::BodyTimeout)?
    }

    /// The JSON object in the body of an administrative request.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<T, Problem> {
        self.long_json(ADMIN_BYTES).await
    }

    /// The JSON object in a body of at most `limit` bytes.
    pub(super) async fn long_json<T: DeserializeOwned>(self, limit: usize) -> Result<T, Problem> {
        parse(&self.bytes(limit).await?)
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

async fn collect(payload: &mut Payload, limit: usize, room: &BodyRoom) -> Result<Held, Problem> {
    let mut whole = BytesMut::new();
    let mut taken = room.take(0)?;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(broken)?;
        if whole.len() + chunk.len() > limit {
            return Err(Problem::TooLarge { limit });
        }
        taken.merge(room.take(chunk.len())?);
        if whole.is_empty() {
            whole = BytesMut::from(chunk); // mostly the only one, and then nothing is copied
        } else {
            whole.extend_from_slice(&chunk);
        }
    }
    Ok(Held { bytes: whole.freeze(), _room: taken })
}

/// What a failing stream means to the caller.
pub(super) fn broken(error: PayloadError) -> Problem {
    tracing::debug!(%error, "a body ended early");
    Problem::BodyIncomplete
}

/// The JSON object in a body.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let text = str::from_utf8(body).map_err(|_| Problem::NotJson("the body is not UTF-8".into()))?;
    Ok(json::object(text, "")?)
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
            ("null", "invalid_body", None),
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
            let body = Body { announced, payload, room: BodyRoom::default() };
            assert_eq!(body.bytes(10).await.err(), Some(Problem::TooLarge { limit: 10 }));
        }
    }

    #[actix_web::test]
    async fn a_body_that_does_not_end_is_given_up() {
        let byte = futures_util::stream::iter([Ok(Bytes::from_static(b"x"))]);
        let payload = Payload::Stream { payload: byte.chain(futures_util::stream::pending()).boxed_local() };
        let body = Body { announced: None, payload, room: BodyRoom::default() };
        let read = body.bytes_within(Duration::from_millis(20), 1_000).await;
        assert_eq!(read.err(), Some(Problem::BodyTimeout));
    }

    #[actix_web::test]
    async fn bodies_beyond_the_room_for_all_of_them_are_refused_until_there_is_room_again() {
        let room = BodyRoom::of(10);
        let read = async || {
            let (_, payload) = TestRequest::default().set_payload("0123456").to_http_parts();
            Body { announced: None, payload, room: room.clone() }.bytes(100).await
        };
        let first = read().await.unwrap();
        assert_eq!(read().await.err(), Some(Problem::Overloaded));
        drop(first);
        assert_eq!(&*read().await.unwrap(), b"0123456");
    }
}
