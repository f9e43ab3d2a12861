//! Commands: an admin route makes one of its body and sends it the way of all source events.

use std::borrow::Cow;

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::actors::engine::{Answer, AnswerWhen};
use crate::clock::fresh_ulid;
use crate::domain::chain::ChainId;
use crate::domain::ids::MemberId;
use crate::domain::role::Right;
use crate::domain::source_event::{MAX_BYTES, SourceEvent, SourceType};
use crate::http::AppState;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::ingest::single::key_of_header;
use crate::http::problem::Problem;
use crate::read::member::MemberName;

/// The source event that carries a command.
#[derive(Serialize)]
struct Envelope<'a> {
    key: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<Named>,
    data: &'a RawValue,
}

#[derive(Serialize)]
struct Named {
    id: MemberId,
}

/// Whom a command is about, once that is known to exist.
pub(super) struct Addressee {
    pub(super) chain: ChainId,
    pub(super) member: MemberId,
}

impl Addressee {
    /// The member that a path names, for a caller who has the right to command.
    pub(super) async fn find(
        state: &AppState,
        caller: &Caller,
        right: Right,
        (chain, name): &(String, String),
    ) -> Result<Self, Problem> {
        let chain = state.chain(caller, right, chain)?.chain.id.clone();
        let member = state.reader.member(chain.clone(), MemberName::parse(name)).await?;
        Ok(Self { chain, member: member.ok_or(Problem::NotFound("member"))?.member_id })
    }

    /// Sends a command whose `data` is the body of the request; answers its receipt. `Idempotency-Key` makes a repeat of
    /// it answer the same.
    pub(super) async fn command(
        self,
        state: &AppState,
        kind: impl Into<SourceType>,
        request: &HttpRequest,
        body: Body,
    ) -> Result<HttpResponse, Problem> {
        let body = body.bytes(MAX_DATA).await?;
        self.send(state, kind, request, data_of(&body)?).await
    }

    /// Sends a command with this `data`.
    pub(super) async fn send(
        self,
        state: &AppState,
        kind: impl Into<SourceType>,
        request: &HttpRequest,
        data: &RawValue,
    ) -> Result<HttpResponse, Problem> {
        let answer = send(state, &self.chain, Some(self.member), kind.into(), request, data).await?;
        Ok(HttpResponse::Ok().content_type(ContentType::json()).body(answer.receipt))
    }
}

/// The largest `data` of a command.
pub(super) const MAX_DATA: usize = MAX_BYTES / 2;

/// The body of a request as `data`; none is an empty object.
pub(super) fn data_of(body: &[u8]) -> Result<&RawValue, Problem> {
    let data = match body.trim_ascii() {
        [] => serde_json::from_str("{}"),
        body => serde_json::from_slice(body),
    };
    data.map_err(|bad| Problem::NotJson(bad.to_string()))
}

/// Sends the source event of this `data`, about a member by our id or about whom the data name.
pub(super) async fn send(
    state: &AppState,
    chain: &ChainId,
    member: Option<MemberId>,
    kind: SourceType,
    request: &HttpRequest,
    data: &RawValue,
) -> Result<Answer, Problem> {
    let now = state.engine.clock().now();
    let key = key_of_header(request)?.unwrap_or_else(|| format!("cmd:{}", fresh_ulid(now)).into());
    let envelope = Envelope { key, kind: kind.as_str(), member: member.map(|id| Named { id }), data };
    let text = serde_json::to_string(&envelope).unwrap_or_else(|_| unreachable!("it came as JSON"));
    let snapshot = state.engine.known_chain(chain.as_str())?;
    let event = SourceEvent::parse(text.as_bytes(), &snapshot.chain.currency, now)
        .map_err(|bad| Problem::from(bad).within("data"))?;
    let _permit = state.engine.try_admit()?;
    Ok(state.engine.ingest(chain, event, AnswerWhen::Decided).await?)
}
