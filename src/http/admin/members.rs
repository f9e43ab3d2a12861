//! Members and their history.

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::commands::{self, Addressee};
use super::loyalty_events::AN_INSTANT;
use super::{found, id, loyalty_events};
use crate::actors::engine::Answer;
use crate::domain::chain::ChainId;
use crate::domain::command::CommandType;
use crate::domain::identity::{Identity, IdentityKind, MemberName};
use crate::domain::ids::MemberId;
use crate::domain::receipt::Receipt;
use crate::domain::role::Right;
use crate::domain::source_event::SourceType;
use crate::domain::statement::Span;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{AppState, State};
use crate::read::ReadError;
use crate::read::ledger::Stated;
use crate::read::loyalty_event::Filter;
use crate::read::member::MemberView;
use crate::read::page::Page;

pub(super) const WHAT: &str = "member";

/// `GET /v1/chains/{chain}/members`: all, or the one with the identity given.
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let snapshot = state.chain(&caller, Right::ViewMembers, &path)?;
    let (program, chain) = (snapshot.program.as_deref(), snapshot.chain.id.clone());
    let named = named(&mut query)?;
    let wanted = query.page()?;
    query.finish()?;
    let Some(name) = named else {
        caller.require_role(Right::View)?; // a till looks up guests, it does not list them
        return Ok(HttpResponse::Ok().json(state.reader.members(program, chain, wanted).await?));
    };
    let found = state.reader.member(program, chain, name).await?;
    Ok(HttpResponse::Ok().json(Page::whole(found.into_iter().collect())))
}

/// The one identity among the parameters.
fn named(query: &mut Query) -> Result<Option<MemberName>, Problem> {
    let mut named = None;
    for kind in IdentityKind::ALL {
        let Some(value) = query.text(kind.as_str())? else { continue };
        if named.is_some() {
            return Err(Problem::field(kind.as_str(), "is one identity too many; look for one at a time"));
        }
        named = Some(name(kind, value)?);
    }
    Ok(named)
}

fn name(kind: IdentityKind, mut value: String) -> Result<MemberName, Problem> {
    if kind == IdentityKind::Id
        && let Ok(ours) = value.parse()
    {
        return Ok(MemberName::Ours(ours));
    }
    // In a query string a plus sign means a space unless it is escaped, and nobody remembers that of phone numbers.
    if kind == IdentityKind::Phone && value.starts_with(' ') {
        value.replace_range(..1, "+");
    }
    let identity = Identity::parse(kind, &value).map_err(|error| Problem::field(kind.as_str(), error))?;
    Ok(MemberName::Known(vec![identity]))
}

/// `GET /v1/chains/{chain}/members/{member}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::ViewMembers, &path.0)?;
    let (name, now) = (MemberName::parse(&path.1), state.engine.clock().now());
    let program = chain.program.as_deref();
    found(state.reader.member_under(program, chain.chain.id.clone(), name, now).await?, WHAT)
}

/// `GET /v1/chains/{chain}/members/{member}/ledger`
pub(in crate::http) async fn ledger(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let (chain, member) = member(&state, &caller, &path).await?;
    let wanted = query.page()?;
    query.finish()?;
    Ok(HttpResponse::Ok().json(state.reader.ledger(chain, member, wanted).await?))
}

/// `GET /v1/chains/{chain}/members/{member}/ledger/{line}`: why it is there.
pub(in crate::http) async fn explain(
    state: State,
    caller: Caller,
    path: web::Path<(String, String, String)>,
) -> Result<HttpResponse, Problem> {
    const WHAT: &str = "ledger line";
    let (chain, name, line) = path.into_inner();
    let (chain, member) = member(&state, &caller, &(chain, name)).await?;
    found(state.reader.explain(chain, member, id(&line, WHAT)?).await?, WHAT)
}

/// `GET /v1/chains/{chain}/members/{member}/statement`: what was held at `from` and at `to`, and what moved in between.
pub(in crate::http) async fn statement(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let (chain, member) = member(&state, &caller, &path).await?;
    let from = query.parsed("from", AN_INSTANT)?;
    let to = query.parsed("to", AN_INSTANT)?.unwrap_or_else(|| state.engine.clock().now());
    query.finish()?;
    if from.is_some_and(|from| from > to) {
        return Err(Problem::field("from", "must not lie behind `to`"));
    }
    match state.reader.statement(chain, member, Span { from, to }).await? {
        Some(Stated::Statement(statement)) => Ok(HttpResponse::Ok().json(statement)),
        Some(Stated::TooFarBack) => Err(Problem::field("from", "lies too many lines back; ask for less")),
        None => Err(Problem::NotFound(WHAT)),
    }
}

/// `GET /v1/chains/{chain}/members/{member}/events`
pub(in crate::http) async fn events(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let (chain, member) = member(&state, &caller, &path).await?;
    let filter = loyalty_events::filter(&mut query)?;
    let wanted = query.page()?;
    query.finish()?;
    let filter = Filter { member: Some(member), ..filter };
    Ok(HttpResponse::Ok().json(state.reader.loyalty_events(chain, filter, wanted).await?))
}

/// `POST /v1/chains/{chain}/members`: makes a member of somebody who did not come yet.
pub(in crate::http) async fn create(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Serve, &path)?.chain.id.clone();
    let kind = SourceType::Command(CommandType::CreateMember);
    let body = body.bytes(commands::MAX_DATA).await?;
    let data = commands::data_of(&body)?;
    let answer = commands::send(&state, &caller, &chain, kind, &request, data).await?;
    let mut reply = if answer.duplicate { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(reply.content_type(ContentType::json()).body(answer.receipt))
}

/// What came of a claim.
#[derive(Serialize, JsonSchema)]
pub(in crate::http) struct Claimed {
    /// The receipt of the claim.
    #[schemars(with = "Receipt")]
    claim: Box<RawValue>,
    /// Those of the order's events.
    #[schemars(with = "Vec<Receipt>")]
    events: Vec<Box<RawValue>>,
}

/// `POST /v1/chains/{chain}/members/{member}/claims`: an order without a guest was theirs. Answers the receipt of the
/// claim, and those of the order's events, which are decided now.
pub(in crate::http) async fn claim(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let addressee = Addressee::find(&state, &caller, Right::Serve, &path).await?;
    let body = body.bytes(commands::MAX_DATA).await?;
    let data = commands::data_of(&body)?;
    let claim = addressee.command(&state, &caller, CommandType::ClaimOrder, &request, data).await?;
    let events = state.engine.decide_claimed(&addressee.chain, addressee.member).await?;
    let receipt =
        |answer: Answer| RawValue::from_string(answer.receipt).map_err(|_| ReadError::Corrupt("receipt"));
    let events = events.into_iter().map(receipt).collect::<Result<_, _>>()?;
    Ok(HttpResponse::Ok().json(Claimed { claim: receipt(claim)?, events }))
}

/// The member of that name.
pub(super) async fn known(state: &AppState, chain: &ChainId, name: &str) -> Result<MemberView, Problem> {
    let member = state.reader.member(None, chain.clone(), MemberName::parse(name)).await?;
    member.ok_or(Problem::NotFound(WHAT))
}

/// The member whose history is asked for.
async fn member(
    state: &AppState,
    caller: &Caller,
    (chain, name): &(String, String),
) -> Result<(ChainId, MemberId), Problem> {
    let chain = state.chain(caller, Right::View, chain)?.chain.id.clone();
    let member = of_record(state, &chain, name).await?;
    Ok((chain, member))
}

/// The member whose records a name means: by our id also one who was merged into another.
pub(super) async fn of_record(state: &AppState, chain: &ChainId, name: &str) -> Result<MemberId, Problem> {
    let member = state.reader.member_of_record(chain.clone(), MemberName::parse(name)).await?;
    member.ok_or(Problem::NotFound(WHAT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_looked_for_by_one_identity() {
        let look = |text: &str| named(&mut Query::parse(text));
        let known =
            |kind, value: &str| Ok(Some(MemberName::Known(vec![Identity::parse(kind, value).unwrap()])));
        assert_eq!(look("email=Ana@example.com"), known(IdentityKind::Email, "ana@example.com"));
        assert_eq!(look("phone=+15551234567"), known(IdentityKind::Phone, "+15551234567"));
        assert_eq!(look("phone=%2B15551234567"), known(IdentityKind::Phone, "+15551234567"));
        assert_eq!(look("external_id=square:C1"), known(IdentityKind::External, "square:C1"));
        let ours = "mem_00000000000000000000000007";
        assert_eq!(look(&format!("id={ours}")), Ok(Some(MemberName::Ours(ours.parse().unwrap()))));
        assert_eq!(look("limit=3"), Ok(None));
        for (text, field) in [("email=ana", "email"), ("phone=555", "phone"), ("id=a&card=b", "card")] {
            let Err(Problem::InvalidField { field: at, .. }) = look(text) else { panic!("{text}") };
            assert_eq!(at, field);
        }
    }
}
