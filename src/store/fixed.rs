//! Statements whose text never varies.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Integer;
use diesel::sqlite::Sqlite;

/// A statement whose text is the same whenever `Site` runs it, so that SQLite keeps its prepared form. Diesel prepares
/// every `UPDATE` and every upsert anew, because their columns may vary from call to call; here they do not, and
/// preparing costs several times what running does. Made by [`fixed!`].
pub(super) struct Fixed<Site, Q> {
    query: Q,
    site: PhantomData<Site>,
}

impl<Site, Q> Fixed<Site, Q> {
    pub(super) const fn at(_: fn() -> Option<Site>, query: Q) -> Self {
        Self { query, site: PhantomData }
    }
}

impl<Site: 'static, Q: QueryFragment<Sqlite>> Fixed<Site, Q> {
    /// Runs it. It is loaded, as something that answers no rows: diesel's `execute` borrows the statement first, and a
    /// borrowed one is prepared anew each time, whatever it promises.
    pub(super) fn run(self, conn: &mut SqliteConnection) -> QueryResult<()> {
        self.load::<i32>(conn).map(drop)
    }

    /// Runs it and answers how many rows it wrote.
    pub(super) fn count(self, conn: &mut SqliteConnection) -> QueryResult<i32> {
        self.run(conn)?;
        diesel::select(changes()).get_result(conn)
    }
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// Rows that the last statement of this connection wrote. <https://sqlite.org/lang_corefunc.html#changes>
    fn changes() -> Integer;
}

/// The prepared form is found by the site's type, without writing out the text.
impl<Site: 'static, Q> QueryId for Fixed<Site, Q> {
    type QueryId = Fixed<Site, ()>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<DB: Backend, Site, Q: QueryFragment<DB>> QueryFragment<DB> for Fixed<Site, Q> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.query.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Site, Q> Query for Fixed<Site, Q> {
    type SqlType = Integer;
}

impl<Site, Q, Conn> RunQueryDsl<Conn> for Fixed<Site, Q> {}

/// Promises that the text of a statement is the same whenever this place in the program runs it.
macro_rules! fixed {
    ($query:expr) => {{
        /// This place.
        enum Site {}
        $crate::store::fixed::Fixed::at(|| None::<Site>, $query)
    }};
}

pub(super) use fixed;
