//! Referrals and achievements of members: shown.

use actix_web::{HttpResponse, web};

use super::{found, members};
use crate::domain::identity::MemberName;
use crate::domain::ids::ReferralId;
use crate::domain::role::Right;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::read::page::Page;

/// `GET /v1/chains/{chain}/members/{member}/referral`: their code, and who brought them.
pub(in crate::http) async fn of_member(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::ViewMembers, &path.0)?;
    let terms = chain.program.as_ref().and_then(|program| program.terms.referrals.as_ref());
    let link = terms.and_then(|terms| terms.link.as_deref());
    found(state.reader.referring(chain.chain.id.clone(), MemberName::parse(&path.1), link).await?, "member")
}

/// `GET /v1/chains/{chain}/members/{member}/referrals`: whom they brought.
pub(in crate::http) async fn sent(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::ViewMembers, &path.0)?.chain.id.clone();
    let wanted = query.page::<ReferralId>()?;
    query.finish()?;
    let member = members::known(&state, &chain, &path.1).await?.member_id;
    Ok(HttpResponse::Ok().json(state.reader.sent_referrals(chain, member, wanted).await?))
}

/// `GET /v1/chains/{chain}/referral_codes/{code}`: whose it is.
pub(in crate::http) async fn code(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    const WHAT: &str = "referral code";
    let chain = state.chain(&caller, Right::ViewMembers, &path.0)?.chain.id.clone();
    found(state.reader.referral_code(chain, super::id(&path.1, WHAT)?).await?, WHAT)
}

/// `GET /v1/chains/{chain}/members/{member}/achievements`
pub(in crate::http) async fn achievements(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::ViewMembers, &path.0)?;
    let (name, now) = (MemberName::parse(&path.1), state.engine.clock().now());
    let program = chain.program()?;
    let views = state.reader.achievements(program, chain.chain.id.clone(), name, now).await?;
    found(views.map(Page::whole), "member")
}
