//! Reading and configuring: one file per noun.
//!
//! Whatever makes something knows its `Idempotency-Key`. What concerns a member is a command, whose key is that of its source
//! event; what coupon books and their codes are called comes from theirs. All else is a [`Create`](super::once::Create).
//! What two people may change at once knows `If-Match` ([`conditional`](super::conditional)).

pub(super) mod audit;
pub(super) mod candidate;
pub(super) mod chains;
pub(super) mod churn;
pub(super) mod commands;
pub(super) mod coupon_books;
pub(super) mod coupon_codes;
pub(super) mod coupons;
pub(super) mod deliveries;
pub(super) mod dry_run;
pub(super) mod endpoints;
pub(super) mod event_types;
pub(super) mod export;
pub(super) mod export_schedules;
pub(super) mod integrations;
pub(super) mod keys;
pub(super) mod loyalty_events;
pub(super) mod members;
pub(super) mod program;
pub(super) mod redemptions;
pub(super) mod referrals;
pub(super) mod source_events;

use std::str::FromStr;

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::{Deserialize, Serialize};

use super::problem::Problem;
/// A body that says nothing.
pub(in crate::http) use crate::domain::command::NothingMore as Nothing;

/// An id in a path. What cannot be an id names nothing.
fn id<I: FromStr>(text: &str, what: &'static str) -> Result<I, Problem> {
    text.parse().map_err(|_| Problem::NotFound(what))
}

/// What was found, or 404.
fn found<T: Serialize>(view: Option<T>, what: &'static str) -> Result<HttpResponse, Problem> {
    view.map(|view| HttpResponse::Ok().json(view)).ok_or(Problem::NotFound(what))
}

/// What was created, and where it is.
fn created(location: String, view: &impl Serialize) -> HttpResponse {
    HttpResponse::Created().insert_header((header::LOCATION, location)).json(view)
}

/// A field that may be left out, and not be `null`.
fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A field of a patch that `null` clears: absent is `None`, `null` is `Some(None)`.
fn clearable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
