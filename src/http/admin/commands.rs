//! Commands: an admin route makes one of its body and sends it the way of all source events.

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
    key: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<Named<'a>>,
    data: &'a RawValue,
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
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
        addressee.send(&state, kind, &request, data_of(&body)?).await
    }
}

/// Whom a command is about, once that is known to exist.
pub(super) struct Addressee {
    pub(super) chain: ChainId,
    pub(super) member: MemberId,
    /// What the caller calls them.
    pub(super) name: String,
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
        Ok(Self { chain, member, name: name.clone() })
    }

    /// Sends a command with this `data`; answers its receipt.
    pub(super) async fn send(
        self,
        state: &AppState,
        kind: impl Into<SourceType>,
        request: &HttpRequest,
        data: &RawValue,
    ) -> Result<HttpResponse, Problem> {
        let answer = send(state, &self.chain, Some(&self), kind.into(), request, data).await?;
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

/// Sends the source event of this `data`, about a member or about whom the data name. A repeat is known by what the
/// caller asked for, whomever the name means by then.
pub(super) async fn send(
    state: &AppState,
    chain: &ChainId,
    about: Option<&Addressee>,
    kind: SourceType,
    request: &HttpRequest,
    data: &RawValue,
) -> Result<Answer, Problem> {
    let now = state.engine.clock().now();
    let key = key_of_header(request)?.unwrap_or_else(|| format!("cmd:{}", fresh_ulid(now)).into());
    let envelope = |member: Option<&str>| {
        let member = member.map(|id| Named { id });
        let envelope = Envelope { key: &key, kind: kind.as_str(), member, data };
        serde_json::to_string(&envelope).unwrap_or_else(|_| unreachable!("it came as JSON"))
    };
    let text = envelope(about.map(|about| about.member.to_string()).as_deref());
    let snapshot = state.engine.known_chain(chain.as_str())?;
    let event = SourceEvent::parse(text.as_bytes(), &snapshot.chain.currency, now)
        .map_err(|bad| Problem::from(bad).within("data"))?
        .asked_for_as(&envelope(about.map(|about| &*about.name)));
    let _permit = state.engine.try_admit()?;
    Ok(state.engine.ingest(chain, event, AnswerWhen::Decided).await?)
}
