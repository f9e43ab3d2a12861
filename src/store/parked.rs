//! Events about orders without a guest, by what their receipts say, until they are claimed and decided.

use std::collections::BTreeSet;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::connection::{DbConn, on_backend};
use super::error::StoreError;
use super::order;
use super::row::Row;
use super::schema::{parked, parked_guests, source_events};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::claim::Claim;
use crate::domain::commit::{SourceChange, SourceOrigin};
use crate::domain::identity::Identity;
use crate::domain::ids::{MemberId, SourceId};
use crate::domain::receipt::SourceStatus;
use crate::domain::source_event::SourceData;
use crate::domain::text::Key;

/// The condition of the index `parked_claimed`, to the letter: neither planner trusts a parameter.
const IS_CLAIMED: &str = "parked.member IS NOT NULL AND parked.code = parked.order_id";

#[derive(Insertable)]
#[diesel(table_name = parked, treat_none_as_default_value = false)]
struct ParkedRow {
    chain: String,
    code: String,
    source: String,
    order_id: String,
    member: Option<String>,
}

/// An event that was claimed and is still to be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// The event.
    pub source: SourceId,
    /// Who claimed it.
    pub member: MemberId,
}

/// Notes a parked event under its order and, if it has one, the code of its receipt. What happens to an order that was
/// claimed is claimed with it.
pub(super) fn note(conn: &mut DbConn, chain: &ChainId, change: &SourceChange) -> Result<(), StoreError> {
    note_guests(conn, chain, change)?;
    let Some(order_id) = change.event.data.order_id().filter(|_| change.status() == SourceStatus::Parked)
    else {
        return Ok(());
    };
    let owner = owner(conn, chain, order_id)?;
    let receipt_code = match &change.event.data {
        SourceData::OrderCreated(new) | SourceData::OrderUpdated(new) | SourceData::OrderCompleted(new) => {
            new.receipt_code.as_ref().filter(|code| *code != order_id)
        }
        _ => None,
    };
    for (code, member) in [(Some(order_id), owner), (receipt_code, None)] {
        let Some(code) = code else { continue };
        let row = ParkedRow {
            chain: chain.to_string(),
            code: code.to_string(),
            source: change.id.to_string(),
            order_id: order_id.to_string(),
            member: member.map(|member| member.to_string()),
        };
        let insert = diesel::insert_into(parked::table).values(row).on_conflict_do_nothing();
        on_backend!(conn, |c| insert.execute(c))?;
    }
    Ok(())
}

/// Notes whom an event names that is nobody's, parked or refused, so that it is found should they ever become a member;
/// forgets that when the event is decided.
fn note_guests(conn: &mut DbConn, chain: &ChainId, change: &SourceChange) -> QueryResult<()> {
    let nobodys = |status| matches!(status, SourceStatus::Parked | SourceStatus::Refused);
    let was_parked = matches!(change.from, SourceOrigin::Stored { status, .. } if nobodys(status));
    let is_parked = nobodys(change.status());
    if was_parked == is_parked {
        return Ok(());
    }
    if was_parked {
        return forget_guests(conn, chain, change.id);
    }
    for Identity { kind, value } in &change.event.identities {
        let row = (
            parked_guests::chain.eq(chain.as_str()),
            parked_guests::kind.eq(kind.as_str()),
            parked_guests::value.eq(&**value),
            parked_guests::source.eq(change.id.to_string()),
        );
        let insert = diesel::insert_into(parked_guests::table).values(row).on_conflict_do_nothing();
        on_backend!(conn, |c| insert.execute(c))?;
    }
    Ok(())
}

/// Whoever it names, nobody finds it by them any more.
fn forget_guests(conn: &mut DbConn, chain: &ChainId, source: SourceId) -> QueryResult<()> {
    let of_source = parked_guests::table
        .filter(parked_guests::chain.eq(chain.as_str()))
        .filter(parked_guests::source.eq(source.to_string()));
    diesel::delete(of_source).execute(conn).map(drop)
}

/// Somebody who went by this was erased: what is parked of them is to be forgotten, too.
pub(super) fn erase(
    conn: &mut DbConn,
    chain: &ChainId,
    identity: &Identity,
    member: MemberId,
) -> QueryResult<()> {
    let of_them = parked_guests::table
        .filter(parked_guests::chain.eq(chain.as_str()))
        .filter(parked_guests::kind.eq(identity.kind.as_str()))
        .filter(parked_guests::value.eq(&*identity.value));
    diesel::update(of_them).set(parked_guests::member.eq(member.to_string())).execute(conn).map(drop)
}

/// Parked events that name somebody who was erased.
pub fn of_erased(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    limit: i64,
) -> Result<Vec<SourceId>, StoreError> {
    let found: Vec<String> = parked_guests::table
        .filter(parked_guests::chain.eq(chain.as_str()))
        .filter(parked_guests::member.eq(member.to_string()))
        .select(parked_guests::source)
        .distinct()
        .order(parked_guests::source)
        .limit(limit)
        .load(conn)?;
    found.iter().map(|id| Row { table: "parked_guests", id }.parse("source", id)).collect()
}

/// These parked events name nobody any more.
pub fn forget(conn: &mut DbConn, chain: &ChainId, sources: &[SourceId]) -> Result<(), StoreError> {
    Ok(sources.iter().try_for_each(|source| forget_guests(conn, chain, *source))?)
}

/// Parked events that name one of these, oldest first, from beyond `after`.
pub fn of_guest(
    conn: &mut DbConn,
    chain: &ChainId,
    identities: &[Identity],
    limit: i64,
    after: Option<SourceId>,
) -> Result<Vec<SourceId>, StoreError> {
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let mut all = BTreeSet::new();
    for identity in identities {
        let found: Vec<String> = parked_guests::table
            .filter(parked_guests::chain.eq(chain.as_str()))
            .filter(parked_guests::kind.eq(identity.kind.as_str()))
            .filter(parked_guests::value.eq(&*identity.value))
            .filter(parked_guests::source.gt(&after))
            .select(parked_guests::source)
            .order(parked_guests::source)
            .limit(limit)
            .load(conn)?;
        all.extend(found);
    }
    let first = all.iter().take(limit as usize);
    first.map(|id| Row { table: "parked_guests", id }.parse("source", id)).collect()
}

/// Whose an order is: whoever claimed it, or whose it turned out to be.
fn owner(conn: &mut DbConn, chain: &ChainId, order_id: &Key) -> Result<Option<MemberId>, StoreError> {
    let claimed: Option<Option<String>> = parked::table
        .filter(parked::chain.eq(chain.as_str()))
        .filter(parked::code.eq(order_id.as_str()))
        .filter(parked::member.is_not_null())
        .select(parked::member)
        .first(conn)
        .optional()?;
    match claimed.flatten() {
        Some(member) => Ok(Some(Row { table: "parked", id: order_id }.parse("member", &member)?)),
        None => Ok(order::load(conn, chain, order_id)?.and_then(|order| order.member)),
    }
}

/// The order that a code means: that of a receipt, or the order's own id.
pub fn find(conn: &mut DbConn, chain: &ChainId, code: &Key) -> Result<Option<Claim>, StoreError> {
    let row = Row { table: "parked", id: code };
    let found: Option<(String, String)> = parked::table
        .filter(parked::chain.eq(chain.as_str()))
        .filter(parked::code.eq(code.as_str()))
        .select((parked::order_id, parked::source))
        .order(parked::source)
        .first(conn)
        .optional()?;
    let Some((order_id, source)) = found else {
        // An order that is somebody's has left the table, or never was in it.
        let owner = order::load(conn, chain, code)?.and_then(|order| order.member);
        let since = Timestamp::UNIX_EPOCH;
        return Ok(owner.map(|owner| Claim { order_id: code.clone(), owner: Some(owner), since }));
    };
    let order_id = row.check("order_id", Key::parse(&order_id))?;
    let received_at: i64 = source_events::table
        .find((chain.as_str(), &source))
        .select(source_events::received_at)
        .get_result(conn)?;
    let owner = owner(conn, chain, &order_id)?;
    Ok(Some(Claim { order_id, owner, since: row.time("received_at", received_at)? }))
}

/// Gives an order to a member, unless it is somebody's. Answers whether it was nobody's.
pub(super) fn claim(
    conn: &mut DbConn,
    chain: &ChainId,
    order_id: &Key,
    member: MemberId,
) -> QueryResult<bool> {
    let nobodys = parked::table
        .filter(parked::chain.eq(chain.as_str()))
        .filter(parked::code.eq(order_id.as_str()))
        .filter(parked::order_id.eq(order_id.as_str()))
        .filter(parked::member.is_null());
    Ok(diesel::update(nobodys).set(parked::member.eq(member.to_string())).execute(conn)? > 0)
}

/// Events that were claimed, by a member or by anybody, and are still to be decided, as they came.
pub fn claimed(
    conn: &mut DbConn,
    chain: &ChainId,
    member: Option<MemberId>,
    limit: i64,
) -> Result<Vec<Claimed>, StoreError> {
    let mut query = parked::table
        .filter(parked::chain.eq(chain.as_str()))
        .filter(sql::<Bool>(IS_CLAIMED))
        .select((parked::source, parked::member.assume_not_null()))
        .order(parked::source)
        .limit(limit)
        .into_boxed();
    if let Some(member) = member {
        query = query.filter(parked::member.eq(member.to_string()));
    }
    let found: Vec<(String, String)> = query.load(conn)?;
    let read = |(source, member): &(String, String)| {
        let row = Row { table: "parked", id: source };
        Ok(Claimed { source: row.parse("source", source)?, member: row.parse("member", member)? })
    };
    found.iter().map(read).collect()
}

/// A claimed event was decided. The code of its receipt stays known.
pub fn settle(conn: &mut DbConn, chain: &ChainId, source: SourceId) -> Result<(), StoreError> {
    let of_order = parked::table
        .filter(parked::chain.eq(chain.as_str()))
        .filter(sql::<Bool>(IS_CLAIMED))
        .filter(parked::source.eq(source.to_string()));
    diesel::delete(of_order).execute(conn)?;
    Ok(())
}
