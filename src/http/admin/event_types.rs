//! The catalogue of loyalty events.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use schemars::JsonSchema;
use schemars::Schema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::endpoint::Dialect;
use crate::domain::loyalty_event::{EventType, LoyaltyEvent};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::read::page::Page;

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventTypeDescription")]
pub(in crate::http) struct EventTypeView {
    #[serde(rename = "type")]
    kind: &'static str,
    description: &'static str,
    /// What receivers of each dialect know it by; null where it cannot be told.
    names: BTreeMap<Dialect, Option<Cow<'static, str>>>,
    /// The dialects whose products document it: there `*` covers it. In others it is told to who names it.
    documented_by: Vec<Dialect>,
    schema: Schema,
    #[schemars(with = "Option<LoyaltyEvent>")]
    example: Option<Box<RawValue>>,
}

impl EventTypeView {
    fn of(kind: &EventType) -> Self {
        let all = || Dialect::ALL.iter().copied();
        Self {
            kind: kind.as_str(),
            description: kind.description().trim(),
            names: all().map(|dialect| (dialect, dialect.name_of(*kind).map(|name| name.said))).collect(),
            documented_by: all().filter(|dialect| dialect.documents(*kind)).collect(),
            schema: kind.schema(),
            example: RawValue::from_string(kind.example().to_json()).ok(),
        }
    }
}

/// `GET /v1/event_types`: all of them on one page, without a key.
pub(in crate::http) async fn list(query: Query) -> Result<HttpResponse, Problem> {
    static CATALOGUE: LazyLock<String> = LazyLock::new(|| {
        let page = Page::whole(EventType::ALL.iter().map(EventTypeView::of).collect());
        serde_json::to_string(&page).unwrap_or_else(|_| unreachable!("plain structs serialize"))
    });
    query.finish()?;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(CATALOGUE.as_str()))
}
