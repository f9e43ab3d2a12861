//! Commands: an admin route makes one of its body and sends it the way of all source events.

use std::borrow::Cow;

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::actors::engine::AnswerWhen;
use crate::clock::fresh_ulid;
use crate::domain::chain::ChainId;
use crate::domain::command::CommandType;
use crate::domain::ids::MemberId;
use crate::domain::role::Right;
use crate::domain::source_event::{MAX_BYTES, SourceEvent};
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
    member: Named,
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
        kind: CommandType,
        request: &HttpRequest,
        body: Body,
    ) -> Result<HttpResponse, Problem> {
        let body = body.bytes(MAX_BYTES / 2).await?;
        let data: &RawValue = match body.trim_ascii() {
            [] => serde_json::from_str("{}"),
            body => serde_json::from_slice(body),
        }
        .map_err(|bad| Problem::NotJson(bad.to_string()))?;
        self.send(state, kind, request, data).await
    }

    /// Sends a command with this `data`.
    pub(super) async fn send(
        self,
        state: &AppState,
        kind: CommandType,
        request: &HttpRequest,
        data: &RawValue,
    ) -> Result<HttpResponse, Problem> {
        let now = state.engine.clock().now();
        let key = key_of_header(request)?.unwrap_or_else(|| format!("cmd:{}", fresh_ulid(now)).into());
        let envelope = Envelope { key, kind: kind.as_str(), member: Named { id: self.member }, data };
        let text = serde_json::to_string(&envelope).unwrap_or_else(|_| unreachable!("it came as JSON"));
        let snapshot = state.engine.known_chain(self.chain.as_str())?;
        let event = SourceEvent::parse(text.as_bytes(), &snapshot.chain.currency, now)
            .map_err(|bad| Problem::from(bad).within("data"))?;
        let _permit = state.engine.try_admit()?;
        let answer = state.engine.ingest(&self.chain, event, AnswerWhen::Decided).await?;
        Ok(HttpResponse::Ok().content_type(ContentType::json()).body(answer.receipt))
    }
}
