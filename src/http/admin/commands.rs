//! Commands: an admin route makes one of its body and sends it the way of all source events.

use std::borrow::Cow;

use actix_web::http::header::ContentType;
use actix_web::{Handler, HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::value::RawValue;

use super::members;
use crate::actors::engine::{Answer, AnswerWhen};
use crate::clock::fresh_ulid;
use crate::domain::chain::ChainId;
use crate::domain::ids::MemberId;
use crate::domain::role::Right;
use crate::domain::source_event::{MAX_BYTES, SourceEvent, SourceType};
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::ingest::single::key_of_header;
use crate::http::problem::Problem;
use crate::http::{AppState, State};

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

/// What a handler of a command is made from.
pub(in crate::http) type Parts = (State, Caller, web::Path<(String, String)>, HttpRequest, Body);

/// The handler of a route whose path ends in a member and whose body is the `data` of a command about them.
/// `Idempotency-Key` makes a repeat of it answer the same.
pub(in crate::http) fn about_member(
    right: Right,
    kind: impl Into<SourceType>,
) -> impl Handler<Parts, Output = Result<HttpResponse, Problem>> {
    let kind = kind.into();
    move |state: State,
          caller: Caller,
          path: web::Path<(String, String)>,
          request: HttpRequest,
          body: Body| async move {
        let addressee = Addressee::find(&state, &caller, right, &path).await?;
        let body = body.bytes(MAX_DATA).await?;
        addressee.send(&state, &caller, kind, &request, data_of(&body)?).await
    }
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
        let member = members::known(state, &chain, name).await?.member_id;
        Ok(Self { chain, member })
    }

    /// Sends a command with this `data`; answers its receipt.
    pub(super) async fn send(
        self,
        state: &AppState,
        caller: &Caller,
        kind: impl Into<SourceType>,
        request: &HttpRequest,
        data: &RawValue,
    ) -> Result<HttpResponse, Problem> {
        let (chain, member) = (&self.chain, Some(self.member));
        let answer = send(state, caller, (chain, member), kind.into(), request, data).await?;
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
    caller: &Caller,
    (chain, member): (&ChainId, Option<MemberId>),
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
        .map_err(|bad| Problem::from(bad).within("data"))?
        .asked_by(caller.name().clone());
    let _permit = state.engine.try_admit()?;
    Ok(state.engine.ingest(chain, event, AnswerWhen::Decided).await?)
}
