//! Statements whose text never varies.

use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};

/// A statement whose text is the same at every call, so that its prepared form is kept. Diesel prepares every `UPDATE`
/// and every upsert anew, because their columns may vary from call to call; here they do not, and preparing costs SQLite
/// several times what running does.
pub(super) struct Fixed<Q>(pub(super) Q);

impl<Q> QueryId for Fixed<Q> {
    type QueryId = ();
    /// Kept by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB: Backend, Q: QueryFragment<DB>> QueryFragment<DB> for Fixed<Q> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Q, Conn> RunQueryDsl<Conn> for Fixed<Q> {}
