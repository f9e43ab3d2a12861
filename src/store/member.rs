//! Members and the identities they are found by.

use std::collections::HashSet;

use diesel::dsl::min;
use diesel::prelude::*;
use diesel::upsert::excluded;
use serde::{Deserialize, Serialize};

use super::batch::{ROWS_PER_STATEMENT, which_took_effect};
use super::connection::DbConn;
use super::error::StoreError;
use super::fixed::fixed;
use super::row::Row;
use super::schema::{identities, members};
use super::word::Word;
use crate::domain::Timestamp;
use crate::domain::cart::Carts;
use crate::domain::celebration::Celebrated;
use crate::domain::chain::ChainId;
use crate::domain::commit::{IdentityMove, Wake};
use crate::domain::history::History;
use crate::domain::identity::{Identity, MemberName};
use crate::domain::ids::MemberId;
use crate::domain::json::to_json;
use crate::domain::member::{Latest, Member, Standing};
use crate::domain::merge::{Absorbed, Ended, MAX_ABSORBED};
use crate::domain::profile::Profile;
use crate::domain::referral::Referring;
use crate::domain::session::OpenSessions;

/// The form of `members.state` that this version writes.
const STATE_FORM: u32 = 1;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = members, treat_none_as_default_value = false)]
pub(super) struct MemberRow {
    chain: Word,
    pub(super) id: Word,
    version: i64,
    state: String,
    days: Vec<u8>,
    enrolled_at: i64,
    next_wake_at: Option<i64>,
    ended: bool,
}

/// A member to be written.
pub(super) struct MemberChange {
    row: MemberRow,
    wake: Wake,
}

#[derive(Serialize)]
struct StateOut<'a> {
    form: u32,
    standing: &'a Standing,
    /// The days stand in a column of their own.
    history: History,
    identities: &'a [Identity],
    #[serde(skip_serializing_if = "is_default")]
    profile: &'a Profile,
    #[serde(skip_serializing_if = "is_default")]
    celebrated: &'a Celebrated,
    #[serde(skip_serializing_if = "is_default")]
    referring: &'a Referring,
    sessions: &'a OpenSessions,
    #[serde(skip_serializing_if = "is_default")]
    carts: &'a Carts,
    latest: Latest,
    #[serde(skip_serializing_if = "is_default")]
    absorbed: &'a Absorbed,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<&'a Ended>,
}

#[derive(Deserialize)]
struct StateIn {
    form: u32,
    standing: Standing,
    history: History,
    identities: Vec<Identity>,
    #[serde(default)]
    profile: Profile,
    #[serde(default)]
    celebrated: Celebrated,
    #[serde(default)]
    referring: Referring,
    sessions: OpenSessions,
    #[serde(default)]
    carts: Carts,
    latest: Latest,
    #[serde(default)]
    absorbed: Absorbed,
    #[serde(default)]
    ended: Option<Ended>,
}

/// What most members do not have is not written.
fn is_default<T: Default + PartialEq>(value: &&T) -> bool {
    **value == T::default()
}

impl MemberChange {
    /// The row after a commit that was decided from `member.version`.
    pub(super) fn after(chain: &ChainId, member: &Member, wake: Wake) -> Self {
        let state = StateOut {
            form: STATE_FORM,
            standing: &member.standing,
            history: member.history.without_days(),
            identities: &member.identities,
            profile: &member.profile,
            celebrated: &member.celebrated,
            referring: &member.referring,
            sessions: &member.sessions,
            carts: &member.carts,
            latest: member.latest,
            absorbed: &member.absorbed,
            ended: member.ended.as_ref(),
        };
        let row = MemberRow {
            chain: chain.as_str().into(),
            id: member.id.into(),
            version: member.version + 1,
            state: to_json(&state),
            days: member.history.packed_days().to_vec(),
            enrolled_at: member.enrolled_at.timestamp_micros(),
            next_wake_at: member.next_wake_at.map(|at| at.timestamp_micros()),
            ended: member.ended.is_some(),
        };
        Self { row, wake }
    }

    /// The order in which members are written, the same in every transaction.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.row.chain, &self.row.id)
    }

    /// Whether the row is there and its wake-up stays.
    fn only_moves_on(&self) -> bool {
        self.row.version > 1 && self.wake == Wake::Kept
    }
}

impl MemberRow {
    pub(super) fn read(self) -> Result<Member, StoreError> {
        let row = Row { table: "members", id: &self.id };
        let state: StateIn = row.json("state", &self.state)?;
        if state.form != STATE_FORM {
            return Err(row.corrupt(format!("column state has form {}, not {STATE_FORM}", state.form)));
        }
        Ok(Member {
            id: row.parse("id", &self.id)?,
            version: self.version,
            enrolled_at: row.time("enrolled_at", self.enrolled_at)?,
            next_wake_at: row.time_opt("next_wake_at", self.next_wake_at)?,
            identities: state.identities,
            profile: state.profile,
            celebrated: state.celebrated,
            referring: state.referring,
            sessions: state.sessions,
            carts: state.carts,
            standing: state.standing,
            history: row.check("days", state.history.with_days(self.days))?,
            latest: state.latest,
            absorbed: state.absorbed,
            ended: state.ended,
        })
    }
}

/// Writes members, new ones and changed ones, each only if it is still at the version it was decided from.
/// Answers which were written, in order.
pub(super) fn write(conn: &mut DbConn, changes: &[&MemberChange]) -> QueryResult<Vec<bool>> {
    match conn {
        DbConn::Sqlite(c) => {
            changes
                .iter()
                .map(|change| {
                    if change.only_moves_on() { move_on(c, &change.row) } else { upsert_one(c, &change.row) }
                })
                .collect()
        }
        DbConn::Postgres(c) => upsert(c, &changes.iter().map(|change| &change.row).collect::<Vec<_>>()),
    }
}

/// The upsert of members, for one row or many.
macro_rules! upsert {
    ($rows:expr) => {{
        use diesel::query_dsl::methods::FilterDsl; // the `WHERE` of an upsert

        diesel::insert_into(members::table)
            .values($rows)
            .on_conflict((members::chain, members::id))
            .do_update()
            .set((
                members::version.eq(excluded(members::version)),
                members::state.eq(excluded(members::state)),
                members::days.eq(excluded(members::days)),
                members::enrolled_at.eq(excluded(members::enrolled_at)),
                members::next_wake_at.eq(excluded(members::next_wake_at)),
                members::ended.eq(excluded(members::ended)),
            ))
            .filter((members::version + 1).eq(excluded(members::version)))
    }};
}

fn upsert(conn: &mut PgConnection, rows: &[&MemberRow]) -> QueryResult<Vec<bool>> {
    let mut written = HashSet::<String>::with_capacity(rows.len());
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        written.extend(upsert!(rows.to_vec()).returning(members::id).load::<String>(conn)?);
    }
    Ok(rows.iter().map(|row| written.contains(&*row.id)).collect())
}

fn upsert_one(conn: &mut SqliteConnection, row: &MemberRow) -> QueryResult<bool> {
    Ok(fixed!(upsert!(row)).count(conn)? == 1)
}

/// Leaves the wake-up alone. SQLite would write its index anew even if it stayed the same.
fn move_on(conn: &mut SqliteConnection, row: &MemberRow) -> QueryResult<bool> {
    let update = diesel::update(members::table.find((&row.chain, &row.id)))
        .filter(members::version.eq(row.version - 1))
        .set((
            members::version.eq(row.version),
            members::state.eq(row.state.as_str()),
            members::days.eq(row.days.as_slice()),
        ));
    Ok(fixed!(update).count(conn)? == 1)
}

#[derive(Insertable)]
#[diesel(table_name = identities, treat_none_as_default_value = false)]
pub(super) struct IdentityRow {
    chain: Word,
    kind: &'static str,
    value: Word,
    member: Word,
}

impl IdentityRow {
    pub(super) fn of(chain: &ChainId, identity: &Identity, member: MemberId) -> Self {
        Self {
            chain: chain.as_str().into(),
            kind: identity.kind.as_str(),
            value: (*identity.value).into(),
            member: member.into(),
        }
    }

    /// The order in which identities are written, the same in every transaction.
    pub(super) fn key(&self) -> (&str, &str, &str) {
        (&self.chain, self.kind, &self.value)
    }
}

/// Gives identities to members, unless they are somebody's. Answers which were free, in order.
pub(super) fn claim(conn: &mut DbConn, rows: &[&IdentityRow]) -> QueryResult<Vec<bool>> {
    which_took_effect!(
        conn,
        rows,
        |values| diesel::insert_into(identities::table)
            .values(values)
            .on_conflict((identities::chain, identities::kind, identities::value))
            .do_nothing(),
        (identities::chain, identities::kind, identities::value),
        |row| -> (String, String, String) {
            (row.chain.to_string(), row.kind.to_owned(), row.value.to_string())
        }
    )
}

/// Gives an identity to another member, or to nobody, if it is still whose it was. Answers whether it was.
pub(super) fn hand_over(conn: &mut DbConn, chain: &ChainId, moved: &IdentityMove) -> QueryResult<bool> {
    let IdentityMove { identity, from, to } = moved;
    let row = identities::table
        .find((chain.as_str(), identity.kind.as_str(), &*identity.value))
        .filter(identities::member.eq(from.to_string()));
    let count = match to {
        Some(to) => diesel::update(row).set(identities::member.eq(to.to_string())).execute(conn)?,
        None => diesel::delete(row).execute(conn)?,
    };
    Ok(count == 1)
}

/// The member who answers for this one: themselves, or whoever they were merged into.
pub fn load_living(conn: &mut DbConn, chain: &ChainId, id: MemberId) -> Result<Option<Member>, StoreError> {
    let mut next = id;
    for _ in 0..=MAX_ABSORBED {
        let Some(member) = load(conn, chain, next)? else { return Ok(None) };
        match member.heir() {
            None => return Ok(Some(member)),
            Some(heir) => next = heir,
        }
    }
    Err(Row { table: "members", id: &id.to_string() }.corrupt("they were merged in a circle"))
}

/// The member of that name, or whoever answers for them.
pub fn find(conn: &mut DbConn, chain: &ChainId, name: &MemberName) -> Result<Option<Member>, StoreError> {
    let id = match name {
        MemberName::Ours(id) => Some(*id),
        MemberName::Known(identities) => owners(conn, chain, identities)?.first().map(|(_, owner)| *owner),
    };
    id.map_or(Ok(None), |id| load_living(conn, chain, id))
}

/// One member, as of its last commit.
pub fn load(conn: &mut DbConn, chain: &ChainId, id: MemberId) -> Result<Option<Member>, StoreError> {
    let row = members::table
        .find((chain.as_str(), id.to_string()))
        .select(MemberRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(MemberRow::read).transpose()
}

/// Whose these identities are; those that are nobody's are left out. In the order asked.
pub fn owners(
    conn: &mut DbConn,
    chain: &ChainId,
    wanted: &[Identity],
) -> Result<Vec<(Identity, MemberId)>, StoreError> {
    let mut found = Vec::with_capacity(wanted.len());
    for identity in wanted {
        let member: Option<String> = identities::table
            .find((chain.as_str(), identity.kind.as_str(), &*identity.value))
            .select(identities::member)
            .get_result(conn)
            .optional()?;
        if let Some(member) = member {
            let row = Row { table: "identities", id: &identity.value };
            found.push((identity.clone(), row.parse("member", &member)?));
        }
    }
    Ok(found)
}

/// Members, newest first, from before `after`. Who was merged into another or erased is none any more.
pub fn list(
    conn: &mut DbConn,
    chain: &ChainId,
    limit: i64,
    after: Option<MemberId>,
) -> Result<Vec<Member>, StoreError> {
    let mut query = members::table
        .filter(members::chain.eq(chain.as_str()))
        .filter(members::ended.eq(false))
        .select(MemberRow::as_select())
        .order(members::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(members::id.lt(after.to_string()));
    }
    query.load(conn)?.into_iter().map(MemberRow::read).collect()
}

/// How many members a chain has.
pub fn count(conn: &mut DbConn, chain: &ChainId) -> Result<u64, StoreError> {
    let count: i64 = members::table.filter(members::chain.eq(chain.as_str())).count().get_result(conn)?;
    Ok(count.unsigned_abs())
}

/// Ids of members, in order, from beyond `after`.
pub fn ids(
    conn: &mut DbConn,
    chain: &ChainId,
    after: Option<MemberId>,
    limit: i64,
) -> Result<Vec<MemberId>, StoreError> {
    let after = after.map_or_else(String::new, |after| after.to_string());
    let ids: Vec<String> = members::table
        .filter(members::chain.eq(chain.as_str()))
        .filter(members::id.gt(after))
        .order(members::id)
        .limit(limit)
        .select(members::id)
        .load(conn)?;
    ids.iter().map(|id| Row { table: "members", id }.parse("id", id)).collect()
}

/// What these members did, in no order. A damaged one is no matter of the others.
pub fn histories(
    conn: &mut DbConn,
    chain: &ChainId,
    of: &[MemberId],
) -> Result<Vec<Result<History, StoreError>>, StoreError> {
    #[derive(Deserialize)]
    struct HistoryIn {
        history: History,
    }
    let rows: Vec<(String, String, Vec<u8>)> = members::table
        .filter(members::chain.eq(chain.as_str()))
        .filter(members::id.eq_any(of.iter().map(MemberId::to_string)))
        .select((members::id, members::state, members::days))
        .load(conn)?;
    let read = |(id, state, days): (String, String, Vec<u8>)| {
        let row = Row { table: "members", id: &id };
        let history = row.json::<HistoryIn>("state", &state)?.history;
        row.check("days", history.with_days(days))
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Members whose wake-up is due at `now`, the longest due first, behind the first `skip` of them.
pub fn due_wakes(
    conn: &mut DbConn,
    chain: &ChainId,
    now: Timestamp,
    limit: i64,
    skip: i64,
) -> Result<Vec<MemberId>, StoreError> {
    let ids: Vec<String> = members::table
        .filter(members::chain.eq(chain.as_str()))
        .filter(members::next_wake_at.le(now.timestamp_micros()))
        .order(members::next_wake_at)
        .limit(limit)
        .offset(skip)
        .select(members::id)
        .load(conn)?;
    ids.iter().map(|id| Row { table: "members", id }.parse("id", id)).collect()
}

/// When the next member wakes up.
pub fn next_wake(conn: &mut DbConn, chain: &ChainId) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<i64> = members::table
        .filter(members::chain.eq(chain.as_str()))
        .filter(members::next_wake_at.is_not_null())
        .select(min(members::next_wake_at))
        .get_result(conn)?;
    Row { table: "members", id: chain.as_str() }.time_opt("next_wake_at", at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity::IdentityKind;
    use crate::domain::money::{Money, Points};
    use crate::domain::text::Name;
    use crate::store::tests::sample;
    use chrono::Days;
    use ulid::Ulid;

    /// The most that a member may take, in memory and stored.
    const LIMIT: usize = 8 * 1_024;

    /// After so many orders, one on each day, with points that last a year each.
    fn guest(orders: u64) -> Member {
        let identities = [(IdentityKind::Id, "guest-1234567"), (IdentityKind::Email, "guest@example.com")];
        let identities = identities.map(|(kind, value)| Identity::parse(kind, value).unwrap()).to_vec();
        let (tier, code) = (Name::parse("bronze").unwrap(), Name::parse("points").unwrap());
        let mut member = Member::new(MemberId::new(Ulid(1)), identities, Some(tier), sample::at(0));
        for n in 0..orders {
            let (today, cents) = (sample::at(0) + Days::new(n), 800 + n * 37 % 4_000);
            let wallet = member.standing.wallets.open(&code);
            wallet.expire(today);
            wallet.credit(Points(cents as i64 / 100), Some(today + Days::new(365))).unwrap();
            let spend = format!("{}.{:02}", cents / 100, cents % 100).parse::<Money>().unwrap();
            member.history.visit(today.date_naive(), spend);
            member.history.earn(today.date_naive(), cents as i64 / 100);
        }
        member
    }

    #[test]
    fn a_member_stays_small_however_long_their_past() {
        let chain = sample::harvest();
        let stored = |member: &Member| MemberChange::after(&chain, member, Wake::Kept).row;
        let old = guest(10_000);
        let wallet = old.standing.wallets.get("points").unwrap();
        assert_eq!((old.history.lifetime_visits, wallet.lots().count()), (10_000, 365));
        let row = stored(&old);
        assert!(row.state.len() + row.days.len() < LIMIT, "{} + {}", row.state.len(), row.days.len());
        // What is on the heap is in the row, where it takes no less; only lots take a third more there.
        let text = row.state.len() - wallet.packed_lots().len() / 3 * 4;
        let memory = size_of::<Member>() + row.days.len() + wallet.packed_lots().len() + text;
        assert!(memory < LIMIT, "{memory}");
        let older = stored(&guest(12_000));
        assert!(older.state.len() + older.days.len() <= row.state.len() + row.days.len() + 500);
        assert_eq!(row.read().unwrap().history, old.history);
    }
}
