//! What campaigns have given, counted in place.

use diesel::prelude::*;

use super::connection::{DbConn, on_backend};
use super::error::StoreError;
use super::fixed::fixed;
use super::schema::campaign_budgets::{self, table};
use crate::domain::campaign::{BudgetMove, Desk, Pot, Taken, Wanted, Way};
use crate::domain::chain::ChainId;
use crate::domain::terms::campaign::Span;
use crate::domain::text::Name;

/// A pot's name in the store.
fn period(pot: &Pot) -> String {
    match pot.begin {
        None => pot.span.as_str().to_owned(),
        Some(day) => format!("{}:{day}", pot.span.as_str()),
    }
}

/// A move of a campaign's budget to be written.
pub(super) struct BudgetChange {
    chain: String,
    campaign: String,
    period: String,
    points: i64,
    way: Way,
}

impl BudgetChange {
    pub(super) fn of(chain: &ChainId, moved: &BudgetMove) -> Self {
        Self {
            chain: chain.to_string(),
            campaign: moved.pot.campaign.to_string(),
            period: period(&moved.pot),
            points: moved.points,
            way: moved.way,
        }
    }

    /// The order in which budgets are moved, the same in every transaction.
    pub(super) fn key(&self) -> (&str, &str, &str) {
        (&self.chain, &self.campaign, &self.period)
    }

    fn make(&self, conn: &mut DbConn) -> QueryResult<bool> {
        match self.way {
            Way::Take => self.take(conn, i64::MAX),
            Way::TakeUpTo(most) => self.take(conn, most.0),
            Way::TakeTheLast(of) => self.take_the_last(conn, of.0),
            Way::GiveBack => self.give_back(conn).map(|()| true),
        }
    }

    /// Takes, unless more than so many would be taken then.
    fn take(&self, conn: &mut DbConn, most: i64) -> QueryResult<bool> {
        use diesel::query_dsl::methods::FilterDsl; // the `WHERE` of an upsert

        let first = (
            campaign_budgets::chain.eq(&self.chain),
            campaign_budgets::campaign.eq(&self.campaign),
            campaign_budgets::period.eq(&self.period),
            campaign_budgets::taken.eq(self.points),
            campaign_budgets::told.eq(0),
        );
        let more = diesel::insert_into(table)
            .values(first)
            .on_conflict((campaign_budgets::chain, campaign_budgets::campaign, campaign_budgets::period))
            .do_update()
            .set(campaign_budgets::taken.eq(campaign_budgets::taken + self.points))
            .filter(campaign_budgets::taken.le(most - self.points));
        Ok(match conn {
            DbConn::Sqlite(c) => fixed!(more).count(c)? == 1,
            DbConn::Postgres(c) => more.execute(c)? == 1,
        })
    }

    /// Takes what makes so many, if that was not told before.
    fn take_the_last(&self, conn: &mut DbConn, of: i64) -> QueryResult<bool> {
        use diesel::query_dsl::methods::FilterDsl;

        let first = (
            campaign_budgets::chain.eq(&self.chain),
            campaign_budgets::campaign.eq(&self.campaign),
            campaign_budgets::period.eq(&self.period),
            campaign_budgets::taken.eq(self.points),
            campaign_budgets::told.eq(of),
        );
        let last = diesel::insert_into(table)
            .values(first)
            .on_conflict((campaign_budgets::chain, campaign_budgets::campaign, campaign_budgets::period))
            .do_update()
            .set((campaign_budgets::taken.eq(of), campaign_budgets::told.eq(of)))
            .filter(campaign_budgets::taken.eq(of - self.points).and(campaign_budgets::told.ne(of)));
        Ok(on_backend!(conn, |c| last.execute(c))? == 1)
    }

    /// Gives back. Of a budget that was not counted when the points were given, nothing is left to give back.
    fn give_back(&self, conn: &mut DbConn) -> QueryResult<()> {
        let pot = || table.find((&self.chain, &self.campaign, &self.period));
        let less = diesel::update(pot())
            .filter(campaign_budgets::taken.ge(self.points))
            .set(campaign_budgets::taken.eq(campaign_budgets::taken - self.points));
        if on_backend!(conn, |c| less.execute(c))? == 0 {
            let none = diesel::update(pot()).set(campaign_budgets::taken.eq(0));
            on_backend!(conn, |c| none.execute(c))?;
        }
        Ok(())
    }
}

/// Moves budgets, one move after the other. Answers which moves held, in order.
pub(super) fn move_budgets(conn: &mut DbConn, changes: &[&BudgetChange]) -> QueryResult<Vec<bool>> {
    changes.iter().map(|change| change.make(conn)).collect()
}

/// Lays on the desk of a decision what it wants.
pub fn lay_out(conn: &mut DbConn, chain: &ChainId, wanted: &Wanted) -> Result<Desk, StoreError> {
    let mut desk = Desk::default();
    for pot in wanted {
        desk.known.insert(pot.clone(), get(conn, chain, pot)?);
    }
    Ok(desk)
}

/// What was given out of a pot.
fn get(conn: &mut DbConn, chain: &ChainId, pot: &Pot) -> Result<Taken, StoreError> {
    let row: Option<(i64, i64)> = table
        .find((chain.as_str(), pot.campaign.as_str(), period(pot)))
        .select((campaign_budgets::taken, campaign_budgets::told))
        .get_result(conn)
        .optional()?;
    Ok(row.map_or_else(Taken::default, |(points, told)| Taken { points, told }))
}

/// What campaigns have given as a whole.
pub fn totals(conn: &mut DbConn, chain: &ChainId, campaigns: &[Name]) -> Result<Vec<i64>, StoreError> {
    let total = |campaign: &Name| Pot { campaign: campaign.clone(), span: Span::Total, begin: None };
    campaigns.iter().map(|campaign| Ok(get(conn, chain, &total(campaign))?.points)).collect()
}
