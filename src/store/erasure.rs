//! Forgetting who a member was, in everything that was written down about them.
//!
//! It is done page by page, beside the commits. Each page can be done again: what is forgotten already stays so.

use diesel::prelude::*;

use super::connection::{DbConn, on_backend};
use super::error::StoreError;
use super::row::Row;
use super::schema::{attempts, erasures, loyalty_events, source_events};
use super::{order, referral};
use crate::domain::chain::ChainId;
use crate::domain::erasure::{
    body_without_person, message_without_person, receipt_without_person, referral_without,
};
use crate::domain::ids::{EventId, MemberId, ReferralId, SourceId};
use crate::domain::loyalty_event::EventType;
use crate::domain::text::Key;

/// Members that one look finds.
const PAGE: i64 = 5_000;
/// Rows that are rewritten at a time, so that commits need not wait.
pub const AT_ONCE: usize = 100;

/// Notes that a member is to be forgotten, in the commit that erases them.
pub(super) fn begin(conn: &mut DbConn, chain: &ChainId, member: MemberId) -> QueryResult<()> {
    let row = (erasures::chain.eq(chain.to_string()), erasures::member.eq(member.to_string()));
    let insert = diesel::insert_into(erasures::table).values(row).on_conflict_do_nothing();
    on_backend!(conn, |c| insert.execute(c)).map(drop)
}

/// Members who are not forgotten altogether yet.
pub fn open(conn: &mut DbConn, chain: &ChainId) -> Result<Vec<MemberId>, StoreError> {
    let found: Vec<String> = erasures::table
        .filter(erasures::chain.eq(chain.as_str()))
        .select(erasures::member)
        .order(erasures::member)
        .limit(PAGE)
        .load(conn)?;
    found.iter().map(|id| Row { table: "erasures", id }.parse("member", id)).collect()
}

/// Nothing names them any more.
pub fn finish(conn: &mut DbConn, chain: &ChainId, member: MemberId) -> Result<(), StoreError> {
    diesel::delete(erasures::table.find((chain.as_str(), member.to_string()))).execute(conn)?;
    Ok(())
}

/// The member's loyalty events before `after`, newest first.
pub fn events_of(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    after: Option<EventId>,
) -> Result<Vec<EventId>, StoreError> {
    let filter = super::loyalty_event::EventFilter { member: Some(member), ..Default::default() };
    let found = super::loyalty_event::list(conn, chain, &filter, AT_ONCE as i64, after)?;
    Ok(found.into_iter().map(|event| event.id).collect())
}

/// Takes the person out of loyalty events; what receivers answered to them goes, too. The word that somebody was erased
/// stays as it is: it says whom to forget.
pub fn forget_events(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    events: &[EventId],
) -> Result<(), StoreError> {
    for id in events {
        let Some(event) = super::loyalty_event::get(conn, chain, *id)? else { continue };
        if event.kind == EventType::MemberErased {
            continue;
        }
        if let Some(body) = message_without_person(event.kind, &event.body, member) {
            diesel::update(loyalty_events::table.find((chain.as_str(), id.to_string())))
                .set(loyalty_events::body.eq(body))
                .execute(conn)?;
        }
        forget_answers(conn, chain, *id)?;
    }
    Ok(())
}

/// What receivers answered to an event may repeat what they were sent.
fn forget_answers(conn: &mut DbConn, chain: &ChainId, event: EventId) -> Result<(), StoreError> {
    for delivery in super::delivery::of_event(conn, chain, event)? {
        let tries = attempts::table
            .filter(attempts::chain.eq(chain.as_str()))
            .filter(attempts::endpoint.eq(delivery.endpoint.to_string()))
            .filter(attempts::delivery.eq(delivery.id.to_string()));
        diesel::update(tries).set(attempts::response_body.eq(None::<String>)).execute(conn)?;
    }
    Ok(())
}

/// Of the source events that were decided for the member, those before `after`, newest first.
pub fn sources_of(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    after: Option<SourceId>,
) -> Result<Vec<SourceId>, StoreError> {
    let found = super::source_event::of_member(conn, chain, member, AT_ONCE as i64, after)?;
    Ok(found.into_iter().map(|source| source.id).collect())
}

/// Takes one side out of what was told of a member's referrals to the other side. Answers where it stopped; without it
/// there are no more.
pub fn forget_referrals(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    after: Option<ReferralId>,
) -> Result<Option<ReferralId>, StoreError> {
    let of_them = referral::of_either_side(conn, chain, member, AT_ONCE as i64, after)?;
    for (id, side) in &of_them {
        for event in referral::events_of(conn, chain, *id)? {
            let told = super::loyalty_event::get(conn, chain, event)?;
            let others = told.filter(|told| told.member != Some(member));
            let Some(body) = others.and_then(|told| referral_without(&told.body, *side)) else { continue };
            diesel::update(loyalty_events::table.find((chain.as_str(), event.to_string())))
                .set(loyalty_events::body.eq(body))
                .execute(conn)?;
            forget_answers(conn, chain, event)?;
        }
    }
    Ok(of_them.last().filter(|_| of_them.len() == AT_ONCE).map(|(id, _)| *id))
}

/// Takes the person out of source events, their receipts and the orders that they name.
pub fn forget_sources(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    sources: &[SourceId],
) -> Result<(), StoreError> {
    for id in sources {
        let at = source_events::table.find((chain.as_str(), id.to_string()));
        let (body, receipt): (String, String) =
            at.clone().select((source_events::body, source_events::receipt)).get_result(conn)?;
        let order_id = order_of(&body);
        let (body, receipt) = (body_without_person(&body, member), receipt_without_person(&receipt, member));
        if let (Some(body), Some(receipt)) = (body, receipt) {
            diesel::update(at)
                .set((source_events::body.eq(body), source_events::receipt.eq(receipt)))
                .execute(conn)?;
        }
        if let Some(order_id) = order_id {
            forget_order(conn, chain, &order_id)?;
        }
    }
    Ok(())
}

/// The order that the body of an event names.
pub fn order_of(body: &str) -> Option<Key> {
    #[derive(serde::Deserialize)]
    struct Body {
        data: Data,
    }
    #[derive(serde::Deserialize)]
    struct Data {
        order_id: Key,
    }
    serde_json::from_str::<Body>(body).ok().map(|body| body.data.order_id)
}

fn forget_order(conn: &mut DbConn, chain: &ChainId, id: &Key) -> Result<(), StoreError> {
    let Some(mut record) = order::load(conn, chain, id)? else { return Ok(()) };
    if record.forget_person() {
        let row = order::OrderRow::after(chain, &record);
        // If somebody is faster, a refund perhaps, the next pass comes again.
        if order::write(conn, &[&row])? != [true] {
            return Err(StoreError::from(diesel::result::Error::RollbackTransaction));
        }
    }
    Ok(())
}
