//! What is remembered of orders.

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::batch::which_took_effect;
use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::orders;
use crate::domain::chain::ChainId;
use crate::domain::ids::MemberId;
use crate::domain::json::to_json;
use crate::domain::order::OrderRecord;
use crate::domain::text::Key;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = orders, treat_none_as_default_value = false)]
pub(super) struct OrderRow {
    chain: String,
    order_id: String,
    version: i64,
    state: String,
}

impl OrderRow {
    /// The row after a commit that was decided from `order.version`.
    pub(super) fn after(chain: &ChainId, order: &OrderRecord) -> Self {
        Self {
            chain: chain.to_string(),
            order_id: order.order_id.to_string(),
            version: order.version + 1,
            state: to_json(order),
        }
    }

    /// The order in which orders are written, the same in every transaction.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.chain, &self.order_id)
    }

    fn read(self) -> Result<OrderRecord, StoreError> {
        let order: OrderRecord = Row { table: "orders", id: &self.order_id }.json("state", &self.state)?;
        Ok(order.at_version(self.version))
    }
}

/// Writes orders, each only if it is still at the version it was decided from. Answers which were written, in order.
pub(super) fn write(conn: &mut DbConn, rows: &[&OrderRow]) -> QueryResult<Vec<bool>> {
    use diesel::query_dsl::methods::FilterDsl; // the `WHERE` of an upsert

    which_took_effect!(
        conn,
        rows,
        |values| diesel::insert_into(orders::table)
            .values(values)
            .on_conflict((orders::chain, orders::order_id))
            .do_update()
            .set((orders::version.eq(excluded(orders::version)), orders::state.eq(excluded(orders::state)),))
            .filter((orders::version + 1).eq(excluded(orders::version))),
        (orders::chain, orders::order_id),
        |row| -> (String, String) { (row.chain.clone(), row.order_id.clone()) }
    )
}

/// What is remembered of one order.
pub fn load(conn: &mut DbConn, chain: &ChainId, id: &Key) -> Result<Option<OrderRecord>, StoreError> {
    let row = orders::table
        .find((chain.as_str(), id.as_str()))
        .select(OrderRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(OrderRow::read).transpose()
}

/// What is remembered of one order, as it is stored, if it is this member's.
pub fn state(
    conn: &mut DbConn,
    chain: &ChainId,
    id: &Key,
    member: MemberId,
) -> Result<Option<String>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Whose {
        member: Option<MemberId>,
    }
    let found = orders::table
        .find((chain.as_str(), id.as_str()))
        .select(orders::state)
        .get_result::<String>(conn)
        .optional()?;
    let Some(state) = found else { return Ok(None) };
    let Whose { member: owner } = Row { table: "orders", id }.json("state", &state)?;
    Ok((owner == Some(member)).then_some(state))
}
