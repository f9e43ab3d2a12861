//! Everything that is known of one member, as one JSON document that is written while it is read.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::members;
use crate::actors::snapshot::ChainSnapshot;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::identity::MemberName;
use crate::domain::ids::MemberId;
use crate::domain::json::{self, JsonObject};
use crate::domain::role::Right;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::read::ReadError;
use crate::read::achievement::AchievementView;
use crate::read::coupon::MemberCouponView;
use crate::read::export::{EventWithDeliveries, OpenView, OrderState};
use crate::read::ledger::TransferView;
use crate::read::member::MemberView;
use crate::read::page::{Page, Wanted};
use crate::read::redemption::{RedemptionFilter, RedemptionView};
use crate::read::referral::{ReferringView, SentView};
use crate::read::source_event::SourceDetail;

/// Records that are read at a time.
const AT_ONCE: usize = 50;

/// `GET /v1/chains/{chain}/members/{member}/export`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let snapshot = state.chain(&caller, Right::Manage, &path.0)?;
    let (chain, now) = (snapshot.chain.id.clone(), state.engine.clock().now());
    let name = MemberName::parse(&path.1);
    let member = state.reader.member_under(snapshot.program.as_deref(), chain.clone(), name, now).await?;
    let member = member.ok_or(Problem::NotFound(members::WHAT))?;
    let mut whose = vec![member.member_id];
    whose.extend(&member.absorbed);
    let name = || MemberName::Ours(member.member_id);
    let program = snapshot.program.as_deref();
    let link = program.and_then(|program| program.terms.referrals.as_ref()?.link.as_deref());
    let referral = state.reader.referring(chain.clone(), name(), link).await?;
    let achievements = match program {
        Some(program) => state.reader.achievements(program, chain.clone(), name(), now).await?,
        None => None,
    };
    let open = state.reader.open_of(chain.clone(), name()).await?;
    let head = Head { exported_at: now, member: &member, open, referral, achievements };
    let head = json::to_json(&head);
    let (pieces, mut fetched) = mpsc::channel(2);
    actix_web::rt::spawn(async move {
        let mut document = Document { state, chain, snapshot, whose, pieces };
        if let Err(Broken::Read(error)) = document.write(head).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "an export could not be finished");
            // Without its end the document is not valid, and the connection breaks off.
            let _ = document.pieces.send(Err(actix_web::error::ErrorInternalServerError("broken off"))).await;
        }
    });
    let stream = poll_fn(move |cx| fetched.poll_recv(cx)).map(|piece: Result<Bytes, actix_web::Error>| piece);
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).streaming(stream))
}

/// The document, for documents: its head, and the lists that follow it.
pub(in crate::http) struct Exported;

impl JsonSchema for Exported {
    fn schema_name() -> Cow<'static, str> {
        "Export".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Head::json_schema(generator);
        let lists = [
            ("ledger", generator.subschema_for::<Vec<TransferView>>()),
            ("events", generator.subschema_for::<Vec<EventWithDeliveries>>()),
            ("coupons", generator.subschema_for::<Vec<MemberCouponView>>()),
            ("redemptions", generator.subschema_for::<Vec<RedemptionView>>()),
            ("referrals", generator.subschema_for::<Vec<SentView>>()),
            ("source_events", generator.subschema_for::<Vec<SourceDetail>>()),
            ("parked_events", generator.subschema_for::<Vec<SourceDetail>>()),
            ("orders", generator.subschema_for::<Vec<JsonObject>>()),
        ];
        let names = lists.iter().map(|(name, _)| (*name).into());
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.extend(names);
        }
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.extend(lists.map(|(name, list)| (name.to_owned(), list.into())));
        }
        schema
    }
}

/// What the member themselves carries.
#[derive(Serialize, JsonSchema)]
struct Head<'a> {
    exported_at: Timestamp,
    member: &'a MemberView,
    #[serde(flatten)]
    open: Option<OpenView>,
    referral: Option<ReferringView>,
    achievements: Option<Vec<AchievementView>>,
}

/// Why a document has no end.
enum Broken {
    /// Nobody fetches it any more.
    GoneAway,
    /// The store failed.
    Read(ReadError),
}

impl From<ReadError> for Broken {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// A document on its way. A piece waits until the one before it is fetched.
struct Document {
    state: State,
    chain: ChainId,
    snapshot: Arc<ChainSnapshot>,
    /// The member, and whom they have absorbed.
    whose: Vec<MemberId>,
    pieces: mpsc::Sender<Result<Bytes, actix_web::Error>>,
}

impl Document {
    async fn write(&mut self, head: String) -> Result<(), Broken> {
        let head = head.strip_suffix('}').unwrap_or(&head).to_owned();
        self.send(head).await?;
        let state = self.state.clone();
        let reader = &state.reader;
        let of = self.chain.clone();
        self.list("ledger", async |id, page| reader.ledger(of.clone(), id, page).await).await?;
        self.list("events", async |id, page| reader.events_with_deliveries(of.clone(), id, page).await)
            .await?;
        let snapshot = self.snapshot.clone();
        let books = snapshot.coupon_books();
        self.list("coupons", async |id, page| reader.member_coupons(of.clone(), books, id, page).await)
            .await?;
        let redeemed =
            async |id, page| reader.redemptions(of.clone(), RedemptionFilter::Member(id), page).await;
        self.list("redemptions", redeemed).await?;
        self.list("referrals", async |id, page| reader.sent_referrals(of.clone(), id, page).await).await?;
        self.list("source_events", async |id, page| reader.source_events_of(of.clone(), id, page).await)
            .await?;
        self.list("parked_events", async |id, page| reader.parked_events_of(of.clone(), id, page).await)
            .await?;
        // Several events name one order. So many ids as the member has orders are remembered while they are fetched.
        let seen = RefCell::new(HashSet::new());
        let new = |order: &OrderState| seen.borrow_mut().insert(order.order_id.clone());
        let orders = async |id, page| {
            let Page { items, next_cursor } = reader.orders_of(of.clone(), id, page).await?;
            let items = items.into_iter().flatten().filter(&new).map(|order| order.state).collect();
            Ok(Page { items, next_cursor })
        };
        self.list("orders", orders).await?;
        self.send("}".to_owned()).await
    }

    /// Writes a list, page by page, of the member and then of everybody they have absorbed.
    async fn list<T: Serialize, I: FromStr>(
        &self,
        name: &str,
        read: impl AsyncFn(MemberId, Wanted<I>) -> Result<Page<T>, ReadError>,
    ) -> Result<(), Broken> {
        self.send(format!(",\"{name}\":[")).await?;
        let mut separator = "";
        for member in &self.whose {
            let mut after = None;
            loop {
                let page = read(*member, Wanted { limit: AT_ONCE, after: after.take() }).await?;
                for item in &page.items {
                    let item = serde_json::to_string(item).map_err(|_| ReadError::Corrupt("record"))?;
                    self.send(format!("{separator}{item}")).await?;
                    separator = ",";
                }
                match page.next_cursor.map(|cursor| cursor.parse()) {
                    Some(Ok(cursor)) => after = Some(cursor),
                    Some(Err(_)) | None => break,
                }
            }
        }
        self.send("]".to_owned()).await
    }

    async fn send(&self, piece: String) -> Result<(), Broken> {
        self.pieces.send(Ok(piece.into())).await.map_err(|_| Broken::GoneAway)
    }
}
