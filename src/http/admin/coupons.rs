//! Coupons: shown, given away, used.

use actix_web::{Handler, HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::commands::{Addressee, Parts};
use super::{found, members};
use crate::domain::Timestamp;
use crate::domain::command::CommandType;
use crate::domain::coupon::{Attributes, CouponCode};
use crate::domain::ids::CouponUsageKey;
use crate::domain::role::Right;
use crate::domain::text::Name;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::query::Query;

const WHAT: &str = "coupon";

/// `GET /v1/chains/{chain}/coupons/{code}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::ViewMembers, &path.0)?;
    let code = super::id(&path.1, WHAT)?;
    found(state.reader.coupon(chain.chain.id.clone(), chain.coupon_books(), code).await?, WHAT)
}

/// `GET /v1/chains/{chain}/members/{member}/coupons`
pub(in crate::http) async fn of_member(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let snapshot = state.chain(&caller, Right::ViewMembers, &path.0)?;
    let wanted = query.page::<CouponCode>()?;
    query.finish()?;
    let member = members::known(&state, &snapshot.chain.id, &path.1).await?.member_id;
    let chain = snapshot.chain.id.clone();
    let page = state.reader.member_coupons(chain, snapshot.coupon_books(), member, wanted).await?;
    Ok(HttpResponse::Ok().json(page))
}

/// What a till says of a coupon that the path names. Which of it belongs to which command, that one knows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CouponWish")]
pub(in crate::http) struct Wish {
    /// Any id that the chain knows the member by.
    member: Name,
    /// Until when it is kept; only of `reserve`, a quarter of an hour without it.
    #[serde(default)]
    #[schemars(with = "Option<Timestamp>")]
    until: Option<Box<RawValue>>,
    /// The use that is taken back; only of `revert`, where it must be there.
    #[serde(default)]
    #[schemars(with = "Option<CouponUsageKey>")]
    usage: Option<Box<RawValue>>,
    /// What the chain keeps beside.
    #[serde(default)]
    #[schemars(with = "Option<Attributes>")]
    custom_attributes: Option<Box<RawValue>>,
}

/// The `data` of the command.
#[derive(Serialize)]
struct Data {
    code: CouponCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_attributes: Option<Box<RawValue>>,
}

/// The handler of a route whose path names a coupon and whose body says for whom: `reserve` keeps a use for a member while
/// they order, `release` keeps it no longer, `use` uses it, `revert` takes a use back.
pub(in crate::http) fn about_coupon(
    kind: CommandType,
) -> impl Handler<Parts, Output = Result<HttpResponse, Problem>> {
    move |state, caller, path: web::Path<(String, String)>, request, body| {
        command(state, caller, path.into_inner(), request, body, kind)
    }
}

async fn command(
    state: State,
    caller: Caller,
    (chain, code): (String, String),
    request: HttpRequest,
    body: Body,
    kind: CommandType,
) -> Result<HttpResponse, Problem> {
    state.chain(&caller, Right::Serve, &chain)?;
    let code: CouponCode = super::id(&code, WHAT)?;
    let Wish { member, until, usage, custom_attributes } = body.json().await?;
    let addressee = Addressee::find(&state, &caller, Right::Serve, &(chain, member.to_string())).await?;
    let data = to_raw_value(&Data { code, until, usage, custom_attributes })
        .unwrap_or_else(|_| unreachable!("it came as JSON"));
    addressee.send(&state, &caller, kind, &request, &data).await
}
