//! Coupons, what members have of them, and what was done with them.

mod book;
mod hand_over;
mod rows;

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::batch::which_took_effect;
use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::{coupon_holdings, coupon_tallies, coupon_usages, coupons};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::coupon::{
    Card, Coupon, CouponCode, Desk, Holding, MOST_HELD, Shelf, Tally, Usage, Wanted,
};
use crate::domain::ids::{CouponBookKey, CouponUsageKey, MemberId};

pub(super) use hand_over::hand_over;

pub use book::{StoredBook, books, get as get_book, insert as insert_book};
pub(super) use rows::{CouponRow, HoldingRow, TallyRow, UsageRow};

/// Writes coupons, each only if it is still at the version it was decided from. Answers which were written, in order.
pub(super) fn write(conn: &mut DbConn, rows: &[&CouponRow]) -> QueryResult<Vec<bool>> {
    use diesel::query_dsl::methods::FilterDsl; // the `WHERE` of an upsert

    which_took_effect!(
        conn,
        rows,
        |values| diesel::insert_into(coupons::table)
            .values(values)
            .on_conflict((coupons::chain, coupons::code))
            .do_update()
            .set((
                coupons::version.eq(excluded(coupons::version)),
                coupons::is_free.eq(excluded(coupons::is_free)),
                coupons::total_usages.eq(excluded(coupons::total_usages)),
                coupons::total_assigned.eq(excluded(coupons::total_assigned)),
                coupons::updated_at.eq(excluded(coupons::updated_at)),
                coupons::reservations.eq(excluded(coupons::reservations)),
                coupons::reserved_until.eq(excluded(coupons::reserved_until)),
            ))
            .filter((coupons::version + 1).eq(excluded(coupons::version))),
        (coupons::chain, coupons::code),
        |row| -> (String, String) { (row.chain.clone(), row.code.clone()) }
    )
}

/// Writes what members have of codes. The fence of the member guards it: nobody else writes it.
pub(super) fn write_holdings(conn: &mut DbConn, rows: &[&HoldingRow]) -> QueryResult<()> {
    which_took_effect!(
        conn,
        rows,
        |values| diesel::insert_into(coupon_holdings::table)
            .values(values)
            .on_conflict((coupon_holdings::chain, coupon_holdings::member, coupon_holdings::code))
            .do_update()
            .set((
                coupon_holdings::assigned.eq(excluded(coupon_holdings::assigned)),
                coupon_holdings::used.eq(excluded(coupon_holdings::used)),
                coupon_holdings::expires_at.eq(excluded(coupon_holdings::expires_at)),
                coupon_holdings::worth_until.eq(excluded(coupon_holdings::worth_until)),
            )),
        (coupon_holdings::chain, coupon_holdings::member, coupon_holdings::code),
        |row| -> (String, String, String) { (row.chain.clone(), row.member.clone(), row.code.clone()) }
    )
    .map(drop)
}

/// Writes what members did with books, guarded likewise.
pub(super) fn write_tallies(conn: &mut DbConn, rows: &[&TallyRow]) -> QueryResult<()> {
    which_took_effect!(
        conn,
        rows,
        |values| diesel::insert_into(coupon_tallies::table)
            .values(values)
            .on_conflict((coupon_tallies::chain, coupon_tallies::member, coupon_tallies::book))
            .do_update()
            .set((
                coupon_tallies::assigned.eq(excluded(coupon_tallies::assigned)),
                coupon_tallies::used.eq(excluded(coupon_tallies::used)),
            )),
        (coupon_tallies::chain, coupon_tallies::member, coupon_tallies::book),
        |row| -> (String, String, String) { (row.chain.clone(), row.member.clone(), row.book.clone()) }
    )
    .map(drop)
}

/// Writes what was done; of a use that is known already, only what took it back is new.
pub(super) fn write_usages(conn: &mut DbConn, rows: &[&UsageRow]) -> QueryResult<()> {
    which_took_effect!(
        conn,
        rows,
        |values| diesel::insert_into(coupon_usages::table)
            .values(values)
            .on_conflict((coupon_usages::chain, coupon_usages::key))
            .do_update()
            .set(coupon_usages::reverted_by.eq(excluded(coupon_usages::reverted_by))),
        (coupon_usages::chain, coupon_usages::key),
        |row| -> (String, String) { (row.chain.clone(), row.key.clone()) }
    )
    .map(drop)
}

/// Adds new coupons; a code that the chain knows already stays what it is. Answers how many were new.
pub fn add(conn: &mut DbConn, chain: &ChainId, coupons: &[Coupon]) -> Result<usize, StoreError> {
    let rows: Vec<_> = coupons.iter().map(|coupon| CouponRow::after(chain, coupon)).collect();
    let rows: Vec<_> = rows.iter().collect();
    let added = which_took_effect!(
        conn,
        rows,
        |values| diesel::insert_into(coupons::table)
            .values(values)
            .on_conflict((coupons::chain, coupons::code))
            .do_nothing(),
        (coupons::chain, coupons::code),
        |row| -> (String, String) { (row.chain.clone(), row.code.clone()) }
    )?;
    Ok(added.into_iter().filter(|added| *added).count())
}

/// One coupon.
pub fn get(conn: &mut DbConn, chain: &ChainId, code: &CouponCode) -> Result<Option<Coupon>, StoreError> {
    let row = coupons::table
        .find((chain.as_str(), code.as_str()))
        .select(CouponRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(CouponRow::read).transpose()
}

/// What was done under this key.
pub fn usage(conn: &mut DbConn, chain: &ChainId, key: CouponUsageKey) -> Result<Option<Usage>, StoreError> {
    let row = coupon_usages::table
        .find((chain.as_str(), key.to_string()))
        .select(UsageRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(UsageRow::read).transpose()
}

fn holding(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    code: &CouponCode,
) -> Result<Holding, StoreError> {
    let row = coupon_holdings::table
        .find((chain.as_str(), member.to_string(), code.as_str()))
        .select(HoldingRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map_or(Ok(Holding::default()), |row| Ok(row.read()?.1))
}

fn tally(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    book: CouponBookKey,
) -> Result<Tally, StoreError> {
    let row = coupon_tallies::table
        .find((chain.as_str(), member.to_string(), book.to_string()))
        .select(TallyRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map_or(Ok(Tally::default()), TallyRow::read)
}

/// Lays on the desk of one member's decision what it wants: codes, usages, and whatever belongs to their books. Free
/// codes of books are chosen by the caller. What was kept for, or done by, somebody whom the member has absorbed is
/// theirs.
pub fn lay_out(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    absorbed: &[MemberId],
    wanted: &Wanted,
) -> Result<Desk, StoreError> {
    let mut desk = Desk::default();
    for code in &wanted.codes {
        let card = match get(conn, chain, code)? {
            Some(coupon) => Some(Card { coupon, holding: holding(conn, chain, member, code)? }),
            None => None,
        };
        desk.cards.insert(code.clone(), card);
    }
    for (book, since) in &wanted.held {
        let cards = held(conn, chain, member, *book, *since)?;
        desk.cards.extend(cards.into_iter().map(|card| (card.coupon.code.clone(), Some(card))));
        desk.held.insert(*book);
    }
    for card in desk.cards.values_mut().flatten() {
        let theirs = card.coupon.reservations.iter_mut().filter(|kept| absorbed.contains(&kept.member));
        theirs.for_each(|kept| kept.member = member);
    }
    for key in &wanted.usages {
        let mut usage = usage(conn, chain, *key)?;
        if let Some(usage) = usage.as_mut().filter(|usage| absorbed.contains(&usage.member)) {
            usage.member = member;
        }
        desk.usages.insert(*key, usage);
    }
    let books = desk.cards.values().flatten().map(|card| card.coupon.book);
    let books = books.chain(wanted.books.keys().chain(wanted.held.keys()).copied());
    for key in books.collect::<std::collections::BTreeSet<_>>() {
        let book = get_book(conn, chain, key)?.map(|stored| stored.book);
        let shelf = Shelf::of(book, tally(conn, chain, member, key)?);
        desk.shelves.insert(key, shelf);
    }
    Ok(desk)
}

/// What a member has of a book that may be of use to them after `since`: what lasts longest first, and no more than is
/// counted.
pub fn held(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    book: CouponBookKey,
    since: Timestamp,
) -> Result<Vec<Card>, StoreError> {
    let of_code = coupons::chain.eq(coupon_holdings::chain).and(coupons::code.eq(coupon_holdings::code));
    let rows: Vec<(HoldingRow, CouponRow)> = coupon_holdings::table
        .inner_join(coupons::table.on(of_code))
        .filter(coupon_holdings::chain.eq(chain.as_str()))
        .filter(coupon_holdings::member.eq(member.to_string()))
        .filter(coupon_holdings::book.eq(book.to_string()))
        .filter(coupon_holdings::worth_until.gt(since.timestamp_micros()))
        .select((HoldingRow::as_select(), CouponRow::as_select()))
        .order(coupon_holdings::worth_until.desc())
        .limit(MOST_HELD as i64)
        .load(conn)?;
    let card = |(holding, coupon): (HoldingRow, CouponRow)| {
        Ok(Card { coupon: coupon.read()?, holding: holding.read()?.1 })
    };
    rows.into_iter().map(card).collect()
}

/// Codes of a book that can be given to anybody now after `after`, up to and including `until`, in the order of codes.
pub fn free_codes(
    conn: &mut DbConn,
    chain: &ChainId,
    book: CouponBookKey,
    now: Timestamp,
    (after, until): (Option<&CouponCode>, Option<&CouponCode>),
    limit: i64,
) -> Result<Vec<CouponCode>, StoreError> {
    let mut query = coupons::table
        .filter(coupons::chain.eq(chain.as_str()))
        .filter(coupons::book.eq(book.to_string()))
        .filter(coupons::is_free.eq(true))
        .filter(coupons::reserved_until.is_null().or(coupons::reserved_until.le(now.timestamp_micros())))
        .filter(coupons::code.gt(after.map_or("", |after| after.as_str())))
        .select(coupons::code)
        .order(coupons::code)
        .limit(limit)
        .into_boxed();
    if let Some(until) = until {
        query = query.filter(coupons::code.le(until.as_str()));
    }
    let codes: Vec<String> = query.load(conn)?;
    codes.iter().map(|code| Row { table: "coupons", id: code }.parse("code", code)).collect()
}

/// The coupons of a book by code, after `after`.
pub fn list(
    conn: &mut DbConn,
    chain: &ChainId,
    book: CouponBookKey,
    limit: i64,
    after: Option<&CouponCode>,
) -> Result<Vec<Coupon>, StoreError> {
    // The index has the free ones first, so that one is found at once among a million.
    let mut found = of_book(conn, chain, book, true, after, limit)?;
    found.extend(of_book(conn, chain, book, false, after, limit)?);
    found.sort_unstable_by(|a, b| a.code.cmp(&b.code));
    found.truncate(limit as usize);
    Ok(found)
}

fn of_book(
    conn: &mut DbConn,
    chain: &ChainId,
    book: CouponBookKey,
    free: bool,
    after: Option<&CouponCode>,
    limit: i64,
) -> Result<Vec<Coupon>, StoreError> {
    let rows = coupons::table
        .filter(coupons::chain.eq(chain.as_str()))
        .filter(coupons::book.eq(book.to_string()))
        .filter(coupons::is_free.eq(free))
        .filter(coupons::code.gt(after.map_or("", |after| after.as_str())))
        .select(CouponRow::as_select())
        .order(coupons::code)
        .limit(limit)
        .load(conn)?;
    rows.into_iter().map(CouponRow::read).collect()
}

/// A member's coupons by code, after `after`.
pub fn of_member(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    limit: i64,
    after: Option<&CouponCode>,
) -> Result<Vec<Card>, StoreError> {
    let rows: Vec<HoldingRow> = coupon_holdings::table
        .filter(coupon_holdings::chain.eq(chain.as_str()))
        .filter(coupon_holdings::member.eq(member.to_string()))
        .filter(coupon_holdings::code.gt(after.map_or("", |after| after.as_str())))
        .filter(coupon_holdings::assigned.gt(0).or(coupon_holdings::used.gt(0)))
        .select(HoldingRow::as_select())
        .order(coupon_holdings::code)
        .limit(limit)
        .load(conn)?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let (code, holding) = row.read()?;
        if let Some(coupon) = get(conn, chain, &code)? {
            found.push(Card { coupon, holding });
        }
    }
    Ok(found)
}
