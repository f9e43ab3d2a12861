//! Requests that make something. Sent again under the same `Idempotency-Key` within a day, they make nothing more, and are
//! answered as they were.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType, HeaderName};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use serde::de::DeserializeOwned;

use super::State;
use super::auth::Caller;
use super::body::{ADMIN_BYTES, Body, parse};
use super::ingest::single::{KEY_HEADER, key_of_header};
use super::problem::Problem;
use crate::actors::once::{self, Begun, Turn};
use crate::domain::once::{Asked, Reply};
use crate::domain::text::Key;

/// On an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A request that makes something, and is not read yet: first comes the question whether the caller may ask at all.
pub(super) struct Create {
    state: State,
    key: Result<Option<Key>, Problem>,
    /// Its method and path.
    target: String,
    body: Body,
    limit: usize,
    may_be_empty: bool,
}

impl FromRequest for Create {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Body::from_request(request, payload).into_inner();
        ready(State::of(request).and_then(|state| {
            Ok(Self {
                state,
                key: repeat_key(request),
                target: format!("{} {}", request.method(), request.uri()),
                body: body?,
                limit: ADMIN_BYTES,
                may_be_empty: false,
            })
        }))
    }
}

/// The `Idempotency-Key` of a request, if it has one.
pub(super) fn repeat_key(request: &HttpRequest) -> Result<Option<Key>, Problem> {
    let key = key_of_header(request)?;
    key.map(|key| Key::parse(&key).map_err(|bad| Problem::field(KEY_HEADER, bad))).transpose()
}

/// Says, of a request with a key, what is answered when something is made.
#[derive(Clone)]
pub(super) struct Once(Option<Arc<Turn>>);

impl Once {
    /// What the engine writes with a `T` that it makes.
    pub(super) fn replying<T>(&self, reply: impl Fn(&T) -> Reply + Send + Sync + 'static) -> once::Once<T> {
        self.0.clone().map_or_else(once::Once::default, |turn| once::Once::replying(turn, reply))
    }
}

impl Create {
    /// The same with a body of up to so many bytes.
    pub(super) fn of_at_most(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// The same with a body that may be left out.
    pub(super) fn or_empty(self) -> Self {
        Self { may_be_empty: true, ..self }
    }

    /// Does what is asked for, or answers as when it was done. What is refused may be asked for again.
    pub(super) async fn once<B: DeserializeOwned>(
        self,
        caller: &Caller,
        work: impl AsyncFnOnce(B, Once) -> Result<Reply, Problem>,
    ) -> Result<HttpResponse, Problem> {
        let Self { state, key, target, body, limit, may_be_empty } = self;
        let key = key?;
        let body = body.bytes(limit).await?;
        let said = |body: &[u8]| match body.trim_ascii() {
            [] if may_be_empty => parse(b"{}"),
            _ => parse(body),
        };
        let Some(key) = key else { return Ok(answer(work(said(&body)?, Once(None)).await?)) };
        let asked = Asked::new(caller.scope(), key, &target, &body);
        let turn = match state.engine.begin_once(asked).await? {
            Begun::Anew(turn) => turn,
            Begun::Again(reply) => {
                let mut again = answer(reply);
                again.headers_mut().insert(REPLAYED, header::HeaderValue::from_static("true"));
                return Ok(again);
            }
        };
        let said = said(&body)?;
        drop(body);
        let reply = work(said, Once(Some(turn.clone()))).await?;
        state.engine.end_once(turn, &reply).await;
        Ok(answer(reply))
    }
}

fn answer(reply: Reply) -> HttpResponse {
    let Reply { status, location, etag, body } = reply;
    let mut answer = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::OK));
    for (name, value) in [(header::LOCATION, location), (header::ETAG, etag)] {
        value.into_iter().for_each(|value| _ = answer.insert_header((name.clone(), value)));
    }
    answer.content_type(ContentType::json()).body(body)
}
