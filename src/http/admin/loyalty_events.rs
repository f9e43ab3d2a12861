//! Loyalty events: what the world was told.

use actix_web::{HttpResponse, web};

use super::{found, id};
use crate::domain::identity::MemberName;
use crate::domain::ids::EventId;
use crate::domain::role::Right;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::read::loyalty_event::{EventView, Filter};
use crate::read::page::Page;

pub(super) const AN_INSTANT: &str = "must be an RFC 3339 instant such as 2026-03-03T18:30:00Z";

/// `GET /v1/chains/{chain}/events`
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = &state.chain(&caller, Right::View, &path)?.chain.id;
    let name = query.text("member")?;
    let mut filter = filter(&mut query)?;
    let wanted = query.page::<EventId>()?;
    query.finish()?;
    if let Some(name) = name {
        match state.reader.member(None, chain.clone(), MemberName::parse(&name)).await? {
            Some(member) => filter.member = Some(member.member_id),
            None => return Ok(HttpResponse::Ok().json(Page::<EventView>::whole(Vec::new()))),
        }
    }
    Ok(HttpResponse::Ok().json(state.reader.loyalty_events(chain.clone(), filter, wanted).await?))
}

/// The filter of any list of loyalty events, without the member.
pub(super) fn filter(query: &mut Query) -> Result<Filter, Problem> {
    Ok(Filter {
        kind: query.parsed("type", "must be a loyalty event; GET /v1/event_types lists them")?,
        member: None,
        since: query.parsed("since", AN_INSTANT)?,
        until: query.parsed("until", AN_INSTANT)?,
    })
}

/// `GET /v1/chains/{chain}/events/{id}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::View, &path.0)?;
    let event = id(&path.1, "event")?;
    found(state.reader.loyalty_event(chain.chain.id.clone(), event).await?, "event")
}
