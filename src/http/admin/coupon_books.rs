//! Coupon books.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Deserialize;
use ulid::Ulid;

use super::{created, found};
use crate::actors::coupons::MadeBook;
use crate::actors::snapshot::ChainSnapshot;
use crate::clock::fresh_ulid;
use crate::domain::Timestamp;
use crate::domain::coupon::{
    Attributes, BookDetails, BookType, CouponBook, CouponCode, Discount, DiscountType, Limit, Limits,
    RevertOn, Span, book_called,
};
use crate::domain::ids::CouponBookKey;
use crate::domain::money::Money;
use crate::domain::role::Right;
use crate::domain::text::{Name, Text};
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::once::repeat_key;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{AppState, State};
use crate::read::coupon::BookView;

pub(super) const WHAT: &str = "coupon book";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewCouponBook")]
pub(in crate::http) struct NewBook {
    name: Name,
    #[serde(rename = "type")]
    kind: BookType,
    discount_type: DiscountType,
    #[serde(default)]
    discount_amount: Option<Money>,
    #[serde(default)]
    valid_from_date: Option<Timestamp>,
    #[serde(default)]
    valid_to_date: Option<Timestamp>,
    #[serde(default)]
    usage_limit: Option<Limit>,
    #[serde(default)]
    assign_limit: Option<Limit>,
    #[serde(default)]
    limit_per_member: Option<Limit>,
    #[serde(default)]
    expires_after: Option<Span>,
    #[serde(default)]
    revert_on: RevertOn,
    #[serde(default)]
    description: Option<Text<4000>>,
    #[serde(default)]
    picture_url: Option<Text<1000>>,
    #[serde(default)]
    external_id: Option<Name>,
    #[serde(default)]
    tags: Vec<Name>,
    #[serde(default)]
    custom_attributes: Attributes,
}

impl NewBook {
    fn book(self, key: CouponBookKey) -> Result<CouponBook, Problem> {
        let usual = Limits::default();
        let amount = self.discount_amount.map(Money::limited).transpose();
        let amount = amount.map_err(|bad| Problem::field("discount_amount", bad))?;
        let discount = Discount::of(self.discount_type, amount);
        let book = CouponBook {
            key,
            id: None,
            name: self.name,
            kind: self.kind,
            discount: discount.map_err(|bad| Problem::field("discount_amount", bad))?,
            valid_from: self.valid_from_date,
            valid_to: self.valid_to_date,
            limits: Limits {
                usage_limit: self.usage_limit.unwrap_or(usual.usage_limit),
                assign_limit: self.assign_limit.unwrap_or(usual.assign_limit),
                limit_per_member: self.limit_per_member.unwrap_or(usual.limit_per_member),
            },
            expires_after: self.expires_after,
            revert_on: self.revert_on,
            details: BookDetails {
                description: self.description,
                picture_url: self.picture_url,
                external_id: self.external_id,
                tags: self.tags,
                custom_attributes: self.custom_attributes,
            },
        };
        book.checked().map_err(|bad| Problem::field(bad.field, bad.problem))
    }
}

/// `POST /v1/chains/{chain}/coupon_books`
pub(in crate::http) async fn create(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?.chain.id.clone();
    let asked = repeat_key(&request)?;
    let new: NewBook = body.json().await?;
    let id = match &asked {
        Some(key) => Ulid(u128::from_be_bytes(*first_half(&state.engine.seed(&chain, "coupon_books", key)))),
        None => fresh_ulid(state.engine.clock().now()),
    };
    let book = new.book(CouponBookKey::new(id))?;
    let location = format!("/v1/chains/{chain}/coupon_books/{}", book.key);
    match (state.engine.create_coupon_book(&chain, book.clone()).await?, asked) {
        (MadeBook::New(made), _) => Ok(created(location, &BookView::from(&made))),
        (MadeBook::Known(known), _) if known.book == book => {
            Ok(HttpResponse::Ok().json(BookView::from(&known)))
        }
        (MadeBook::Known(_), key) => {
            Err(Problem::KeyReused { key: key.map_or_else(String::new, |key| key.to_string()) })
        }
    }
}

fn first_half(seed: &[u8; 32]) -> &[u8; 16] {
    seed.first_chunk().unwrap_or_else(|| unreachable!("it is twice as long"))
}

/// `GET /v1/chains/{chain}/coupon_books`: those of `program.toml` and those of the API.
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::View, &path)?;
    let wanted = query.page()?;
    query.finish()?;
    let page = state.reader.coupon_books(chain.chain.id.clone(), chain.coupon_books(), wanted).await?;
    Ok(HttpResponse::Ok().json(page))
}

/// `GET /v1/chains/{chain}/coupon_books/{key}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::View, &path.0)?;
    found(known(&state, &chain, &path.1).await?, WHAT)
}

/// `GET /v1/chains/{chain}/coupon_books/{key}/codes`: its coupons, by code.
pub(in crate::http) async fn codes(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::View, &path.0)?;
    let wanted = query.page::<CouponCode>()?;
    query.finish()?;
    let book = known(&state, &chain, &path.1).await?.ok_or(Problem::NotFound(WHAT))?;
    let key = book.book.coupon_book_key;
    Ok(HttpResponse::Ok().json(state.reader.coupons(chain.chain.id.clone(), key, wanted).await?))
}

/// The book that a path names: by its key, or by the id that rules call it.
pub(super) async fn known(
    state: &AppState,
    chain: &Arc<ChainSnapshot>,
    name: &str,
) -> Result<Option<BookView>, Problem> {
    let Ok(name) = Name::parse(name) else { return Ok(None) };
    let key = book_called(&name);
    if let Some(declared) = chain.coupon_books().iter().find(|book| book.key == key) {
        return Ok(Some(declared.into()));
    }
    Ok(state.reader.coupon_book(chain.chain.id.clone(), key).await?)
}
