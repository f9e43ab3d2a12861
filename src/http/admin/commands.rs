//! Commands: an admin route makes one of its body and sends it the way of all source events.

use actix_web::http::header::ContentType;
use actix_web::{Handler, HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::value::RawValue;

use super::members;
use crate::actors::engine::{Answer, AnswerWhen};
use crate::clock::fresh_ulid;
use crate::domain::chain::ChainId;
use crate::domain::identity::MemberName;
use crate::domain::ids::MemberId;
use crate::domain::role::Right;
use crate::domain::source_event::{MAX_BYTES, SourceEvent, SourceType};
use crate::domain::text::{Key, Name};
use crate::domain::trace::Trace;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::ingest::single::{KEY_HEADER, key_of_header};
use crate::http::problem::Problem;
use crate::http::{AppState, State, trace};

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
        addressee.send(&state, &caller, kind, &request, data_of(&body)?).await
    }
}

/// Whom a command is about.
pub(super) struct Addressee {
    pub(super) chain: ChainId,
    /// As whoever asks calls them.
    name: String,
    /// Who that is now. What is asked for once more may have had the effect that nobody goes by the name any more.
    pub(super) member: Option<MemberId>,
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
        let member = state.reader.member(None, chain.clone(), MemberName::parse(name)).await?;
        Ok(Self { chain, name: name.clone(), member: member.map(|member| member.member_id) })
    }

    /// A member by our id.
    pub(super) fn known(chain: ChainId, member: MemberId) -> Self {
        Self { chain, name: member.to_string(), member: Some(member) }
    }

    /// Sends a command with this `data`.
    pub(super) async fn command(
        &self,
        state: &AppState,
        caller: &Caller,
        kind: impl Into<SourceType>,
        request: &HttpRequest,
        data: &RawValue,
    ) -> Result<Answer, Problem> {
        let by = caller.name();
        let order = Order {
            chain: &self.chain,
            by,
            key: key(state, request)?,
            trace: trace::brought(request),
            kind: kind.into(),
            data,
        };
        // It is known by how it was asked for: by the time that it is asked for again the name may mean another member.
        let asked = order.about(Some(&self.name));
        match self.member {
            Some(member) => order.send(state, &order.about(Some(&member.to_string())), &asked).await,
            None => {
                let known = state.engine.answered(&self.chain, &order.key, asked.as_bytes()).await?;
                known.ok_or(Problem::NotFound(members::WHAT))
            }
        }
    }

    /// Sends a command with this `data`; answers its receipt.
    pub(super) async fn send(
        &self,
        state: &AppState,
        caller: &Caller,
        kind: impl Into<SourceType>,
        request: &HttpRequest,
        data: &RawValue,
    ) -> Result<HttpResponse, Problem> {
        let answer = self.command(state, caller, kind, request, data).await?;
        Ok(HttpResponse::Ok().content_type(ContentType::json()).body(answer.receipt))
    }
}

/// Sends a command about whom its `data` name.
pub(super) async fn send(
    state: &AppState,
    caller: &Caller,
    chain: &ChainId,
    kind: impl Into<SourceType>,
    request: &HttpRequest,
    data: &RawValue,
) -> Result<Answer, Problem> {
    let by = caller.name();
    let order = Order {
        chain,
        by,
        key: key(state, request)?,
        trace: trace::brought(request),
        kind: kind.into(),
        data,
    };
    let body = order.about(None);
    order.send(state, &body, &body).await
}

/// What is asked for.
struct Order<'a> {
    chain: &'a ChainId,
    /// Whose key it is.
    by: &'a Name,
    key: Key,
    trace: Option<Trace>,
    kind: SourceType,
    data: &'a RawValue,
}

impl Order<'_> {
    /// As a source event about a member of that name.
    fn about(&self, name: Option<&str>) -> String {
        let member = name.map(|id| Named { id });
        let envelope = Envelope { key: &self.key, kind: self.kind.as_str(), member, data: self.data };
        serde_json::to_string(&envelope).unwrap_or_else(|_| unreachable!("it came as JSON"))
    }

    async fn send(&self, state: &AppState, body: &str, asked: &str) -> Result<Answer, Problem> {
        let snapshot = state.engine.known_chain(self.chain.as_str())?;
        let now = state.engine.clock().now();
        let event = SourceEvent::parse(body.as_bytes(), &snapshot.chain.currency, now)
            .map_err(|bad| Problem::from(bad).within("data"))?
            .from_outside()?
            .asked_as(asked.as_bytes())
            .asked_by(self.by.clone())
            .traced(self.trace.clone());
        let _permit = state.engine.try_admit()?;
        Ok(state.engine.ingest(self.chain, event, AnswerWhen::Decided).await?)
    }
}

/// The key of a command: what the caller gave, else a fresh one.
fn key(state: &AppState, request: &HttpRequest) -> Result<Key, Problem> {
    let given = key_of_header(request)?;
    let key = given.unwrap_or_else(|| format!("cmd:{}", fresh_ulid(state.engine.clock().now())).into());
    Key::parse(&key).map_err(|bad| Problem::field(KEY_HEADER, bad))
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
