//! Redemptions, and what is taken of the rewards' stock.

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::batch::which_took_effect;
use super::connection::{DbConn, on_backend};
use super::error::StoreError;
use super::fixed::fixed;
use super::row::Row;
use super::schema::{redemptions, reward_stock};
use crate::domain::chain::ChainId;
use crate::domain::ids::{MemberId, RedemptionId};
use crate::domain::json::to_json;
use crate::domain::redemption::{Desk, Redemption, RedemptionStatus, StockMove, StockWay, Wanted};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = redemptions, treat_none_as_default_value = false)]
pub(super) struct RedemptionRow {
    chain: String,
    id: String,
    member: String,
    reward: String,
    status: String,
    state: String,
}

impl RedemptionRow {
    /// The row after a commit of its member.
    pub(super) fn of(chain: &ChainId, redemption: &Redemption) -> Self {
        Self {
            chain: chain.to_string(),
            id: redemption.id.to_string(),
            member: redemption.member.to_string(),
            reward: redemption.reward.id.to_string(),
            status: redemption.status.as_str().to_owned(),
            state: to_json(redemption),
        }
    }

    /// The order in which redemptions are written, the same in every transaction.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.chain, &self.id)
    }

    fn read(self) -> Result<Redemption, StoreError> {
        Row { table: "redemptions", id: &self.id }.json("state", &self.state)
    }
}

/// Writes redemptions, new ones and changed ones. Their members' versions guard them.
pub(super) fn write(conn: &mut DbConn, rows: &[&RedemptionRow]) -> QueryResult<()> {
    which_took_effect!(
        conn,
        rows,
        |values| diesel::insert_into(redemptions::table)
            .values(values)
            .on_conflict((redemptions::chain, redemptions::id))
            .do_update()
            .set((
                redemptions::member.eq(excluded(redemptions::member)),
                redemptions::status.eq(excluded(redemptions::status)),
                redemptions::state.eq(excluded(redemptions::state)),
            )),
        (redemptions::chain, redemptions::id),
        |row| -> (String, String) { (row.chain.clone(), row.id.clone()) }
    )
    .map(drop)
}

/// A move of a reward's stock to be written.
pub(super) struct StockChange {
    chain: String,
    reward: String,
    way: StockWay,
}

impl StockChange {
    pub(super) fn of(chain: &ChainId, moved: &StockMove) -> Self {
        Self { chain: chain.to_string(), reward: moved.reward.to_string(), way: moved.way }
    }

    /// The order in which stock is moved, the same in every transaction.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.chain, &self.reward)
    }

    fn make(&self, conn: &mut DbConn) -> QueryResult<bool> {
        match self.way {
            StockWay::Take { of } => self.take(conn, of.into()),
            StockWay::GiveBack => self.give_back(conn).map(|()| true),
        }
    }

    /// Takes one, unless so many are taken.
    fn take(&self, conn: &mut DbConn, of: i64) -> QueryResult<bool> {
        use diesel::query_dsl::methods::FilterDsl; // the `WHERE` of an upsert

        let first = (
            reward_stock::chain.eq(&self.chain),
            reward_stock::reward.eq(&self.reward),
            reward_stock::taken.eq(1),
        );
        let one_more = diesel::insert_into(reward_stock::table)
            .values(first)
            .on_conflict((reward_stock::chain, reward_stock::reward))
            .do_update()
            .set(reward_stock::taken.eq(reward_stock::taken + 1))
            .filter(reward_stock::taken.lt(of));
        Ok(match conn {
            DbConn::Sqlite(c) => fixed!(one_more).count(c)? == 1,
            DbConn::Postgres(c) => one_more.execute(c)? == 1,
        })
    }

    fn give_back(&self, conn: &mut DbConn) -> QueryResult<()> {
        let one_less = diesel::update(reward_stock::table.find((&self.chain, &self.reward)))
            .filter(reward_stock::taken.gt(0))
            .set(reward_stock::taken.eq(reward_stock::taken - 1));
        on_backend!(conn, |c| one_less.execute(c)).map(drop)
    }
}

/// Moves stock, one move after the other. Answers which moves held, in order.
pub(super) fn move_stock(conn: &mut DbConn, changes: &[&StockChange]) -> QueryResult<Vec<bool>> {
    changes.iter().map(|change| change.make(conn)).collect()
}

/// Lays on the desk of a decision what it wants.
pub fn lay_out(conn: &mut DbConn, chain: &ChainId, wanted: &Wanted) -> Result<Desk, StoreError> {
    let mut desk = Desk::default();
    for id in &wanted.carried {
        let Some(redemption) = get(conn, chain, *id)? else {
            let row = Row { table: "redemptions", id: &id.to_string() };
            return Err(row.corrupt("its member carries it, yet it is not there"));
        };
        desk.known.insert(*id, Some(redemption));
    }
    for id in &wanted.named {
        desk.known.insert(*id, get(conn, chain, *id)?);
    }
    for reward in &wanted.stock {
        let taken: Option<i64> = reward_stock::table
            .find((chain.as_str(), reward.as_str()))
            .select(reward_stock::taken)
            .get_result(conn)
            .optional()?;
        let taken = Row { table: "reward_stock", id: reward }.number("taken", taken.unwrap_or(0))?;
        desk.taken.insert(reward.clone(), taken);
    }
    Ok(desk)
}

/// One redemption.
pub fn get(conn: &mut DbConn, chain: &ChainId, id: RedemptionId) -> Result<Option<Redemption>, StoreError> {
    let row = redemptions::table
        .find((chain.as_str(), id.to_string()))
        .select(RedemptionRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(RedemptionRow::read).transpose()
}

/// Which redemptions a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedemptionFilter {
    /// All of the chain.
    All,
    /// Those of one member.
    Member(MemberId),
    /// Those that stand there.
    Status(RedemptionStatus),
}

/// Redemptions, newest first, from before `after`.
pub fn list(
    conn: &mut DbConn,
    chain: &ChainId,
    filter: RedemptionFilter,
    limit: i64,
    after: Option<RedemptionId>,
) -> Result<Vec<Redemption>, StoreError> {
    let mut query = redemptions::table
        .filter(redemptions::chain.eq(chain.as_str()))
        .select(RedemptionRow::as_select())
        .order(redemptions::id.desc())
        .limit(limit)
        .into_boxed();
    query = match filter {
        RedemptionFilter::All => query,
        RedemptionFilter::Member(member) => query.filter(redemptions::member.eq(member.to_string())),
        RedemptionFilter::Status(status) => query.filter(redemptions::status.eq(status.as_str())),
    };
    if let Some(after) = after {
        query = query.filter(redemptions::id.lt(after.to_string()));
    }
    query.load(conn)?.into_iter().map(RedemptionRow::read).collect()
}
