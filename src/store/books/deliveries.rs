//! What endpoints are owed: its numbers, where each delivery stands, and the order of its lanes.

use super::{Wrong, look};
use crate::domain::chain::ChainId;
use crate::store::connection::DbConn;
use crate::store::error::StoreError;

/// Checks all of it. The database counts, so it is no matter how many deliveries there are.
pub(super) fn verify(conn: &mut DbConn, chain: &ChainId, wrong: &mut Vec<Wrong>) -> Result<(), StoreError> {
    wrong.extend(look(conn, chain, NUMBERS)?.into_iter().map(|row| match row.found == row.stored {
        true => Wrong::Gaps { endpoint: row.name },
        false => Wrong::Miscounted {
            what: format!("deliveries to endpoint {}", row.name),
            found: row.found,
            stored: row.stored,
        },
    }));
    wrong.extend(
        look(conn, chain, STANDS)?
            .into_iter()
            .map(|row| Wrong::Undecided { delivery: row.name, status: row.about }),
    );
    wrong.extend(look(conn, chain, LANES)?.into_iter().map(|row| Wrong::Unordered {
        endpoint: row.name,
        lane: row.about,
        due: row.found,
        owed: row.stored,
    }));
    wrong.extend(look(conn, chain, EVENTS)?.into_iter().map(|row| Wrong::Missing {
        table: "loyalty_events",
        id: row.about,
        named_by: format!("delivery {}", row.name),
    }));
    Ok(())
}

/// Endpoints whose deliveries are not numbered from 1 to the last number that was given. No number is there twice: an index
/// sees to that.
const NUMBERS: &str = "\
    SELECT endpoint AS name, endpoint AS about, MAX(there) AS found, MAX(last) AS stored
    FROM (
        SELECT endpoint, last_seq AS last, CAST(0 AS BIGINT) AS there, CAST(0 AS BIGINT) AS highest,
            CAST(1 AS BIGINT) AS lowest
        FROM endpoint_sequences WHERE chain = $1
        UNION ALL
        SELECT endpoint, 0, COUNT(*), MAX(seq), MIN(seq) FROM deliveries WHERE chain = $1 GROUP BY endpoint
    ) AS numbers
    GROUP BY endpoint HAVING MAX(there) <> MAX(last) OR MAX(highest) <> MAX(last) OR MIN(lowest) < 1
    ORDER BY endpoint";

/// Deliveries that are owed and settled at once, or neither, or due though nobody is to send them.
const STANDS: &str = "\
    SELECT id AS name, status AS about, CAST(0 AS BIGINT) AS found, CAST(0 AS BIGINT) AS stored
    FROM deliveries
    WHERE chain = $1 AND NOT CASE status
        WHEN 'pending' THEN settled_at IS NULL AND due_at IS NOT NULL
        WHEN 'waiting' THEN settled_at IS NULL AND due_at IS NULL AND lane IS NOT NULL
        WHEN 'delivered' THEN settled_at IS NOT NULL AND due_at IS NULL
        WHEN 'failed' THEN settled_at IS NOT NULL AND due_at IS NULL
        WHEN 'discarded' THEN settled_at IS NOT NULL AND due_at IS NULL
        ELSE FALSE END
    ORDER BY endpoint, id";

/// Lanes in which something else is due than the first of what is owed, or nothing. While it is being changed what waits
/// for what, and while what a deleted endpoint was owed is discarded, nothing can be said.
const LANES: &str = "\
    SELECT deliveries.endpoint AS name, deliveries.lane AS about, COUNT(deliveries.due_at) AS found,
        COUNT(*) AS stored
    FROM deliveries
    JOIN endpoint_sequences ON endpoint_sequences.chain = deliveries.chain
        AND endpoint_sequences.endpoint = deliveries.endpoint
    JOIN endpoints ON endpoints.chain = deliveries.chain AND endpoints.id = deliveries.endpoint
    WHERE deliveries.chain = $1 AND deliveries.lane IS NOT NULL AND deliveries.settled_at IS NULL
        AND endpoint_sequences.laned_to IS NULL AND endpoints.deleted_at IS NULL
    GROUP BY deliveries.endpoint, deliveries.lane
    HAVING COUNT(deliveries.due_at) <> 1
        OR MIN(CASE WHEN deliveries.due_at IS NOT NULL THEN deliveries.seq END) <> MIN(deliveries.seq)
    ORDER BY deliveries.endpoint, deliveries.lane";

/// Deliveries of nothing: they would be due for ever, and never found.
const EVENTS: &str = "\
    SELECT deliveries.id AS name, deliveries.event AS about, CAST(0 AS BIGINT) AS found,
        CAST(0 AS BIGINT) AS stored
    FROM deliveries
    WHERE deliveries.chain = $1 AND NOT EXISTS (
        SELECT 1 FROM loyalty_events WHERE loyalty_events.chain = deliveries.chain
            AND loyalty_events.id = deliveries.event)
    ORDER BY deliveries.endpoint, deliveries.id";
