//! What is counted along: how many of a reward are taken, how many points campaigns gave, how often a code was used and assigned.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::{Wrong, look};
use crate::domain::chain::ChainId;
use crate::domain::ids::RedemptionId;
use crate::store::connection::{DbConn, at_one_instant};
use crate::store::error::StoreError;
use crate::store::redemption::{self, RedemptionFilter};
use crate::store::schema::reward_stock;

/// Redemptions in memory at a time.
const PAGE: i64 = 5_000;

/// Checks all of it.
pub(super) fn verify(conn: &mut DbConn, chain: &ChainId, wrong: &mut Vec<Wrong>) -> Result<(), StoreError> {
    at_one_instant(conn, |conn| stock(conn, chain, wrong))?;
    wrong.extend(look(conn, chain, GIVEN)?.into_iter().map(|row| {
        let what = format!("points that campaign `{}` gave", row.name);
        Wrong::Miscounted { what, found: row.found, stored: row.stored }
    }));
    wrong.extend(look(conn, chain, UNKNOWN)?.into_iter().map(|row| Wrong::Missing {
        table: "coupons",
        id: row.about,
        named_by: format!("coupon usage {}", row.name),
    }));
    for (query, deeds) in [(USED, "uses"), (ASSIGNED, "assignments")] {
        wrong.extend(look(conn, chain, query)?.into_iter().map(|row| Wrong::Miscounted {
            what: format!("{deeds} of coupon {}", row.name),
            found: row.found,
            stored: row.stored,
        }));
    }
    Ok(())
}

/// What is taken of each reward is what its redemptions took and did not give back.
fn stock(conn: &mut DbConn, chain: &ChainId, wrong: &mut Vec<Wrong>) -> Result<(), StoreError> {
    let stored: Vec<(String, i64)> = reward_stock::table
        .filter(reward_stock::chain.eq(chain.as_str()))
        .select((reward_stock::reward, reward_stock::taken))
        .load(conn)?;
    // How many were found, and how many were counted.
    let mut taken: BTreeMap<String, (i64, i64)> =
        stored.into_iter().map(|(reward, stored)| (reward, (0, stored))).collect();
    let mut after: Option<RedemptionId> = None;
    loop {
        let page = redemption::list(conn, chain, RedemptionFilter::All, PAGE, after)?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for redemption in page.iter().filter(|one| one.counted.stock && !one.status.came_to_nothing()) {
            taken.entry(redemption.reward.id.to_string()).or_default().0 += 1;
        }
    }
    let differ = taken.into_iter().filter(|(_, (found, stored))| found != stored);
    wrong.extend(differ.map(|(reward, (found, stored))| Wrong::Miscounted {
        what: format!("of `{reward}` that are taken"),
        found,
        stored,
    }));
    Ok(())
}

/// Campaigns of which more or less is counted than their ledger lines say.
const GIVEN: &str = "\
    SELECT campaign AS name, campaign AS about, CAST(SUM(lines) AS BIGINT) AS found,
        CAST(SUM(counted) AS BIGINT) AS stored
    FROM (
        SELECT campaign, taken AS counted, 0 AS lines FROM campaign_budgets
        WHERE chain = $1 AND period = 'total'
        UNION ALL
        SELECT campaign, 0 AS counted,
            CASE WHEN debit = 'chain:issued' THEN amount WHEN credit = 'chain:clawed_back' THEN -amount ELSE 0 END AS lines
        FROM transfers WHERE chain = $1 AND campaign IS NOT NULL
    ) AS moves
    GROUP BY campaign HAVING SUM(lines) <> SUM(counted) ORDER BY campaign";

/// Codes whose number of uses is not what was used of them, less what was taken back.
const USED: &str = "\
    SELECT coupons.code AS name, coupons.book AS about, COALESCE(deeds.total, 0) AS found,
        coupons.total_usages AS stored
    FROM coupons LEFT JOIN (
        SELECT code, CAST(SUM(CASE kind WHEN 'used' THEN amount_used ELSE -amount_used END) AS BIGINT) AS total
        FROM coupon_usages WHERE chain = $1 AND kind IN ('used', 'reverted') GROUP BY code
    ) AS deeds ON deeds.code = coupons.code
    WHERE coupons.chain = $1 AND coupons.total_usages <> COALESCE(deeds.total, 0)
    ORDER BY coupons.code";

/// Codes whose number of assignments is not how often they were assigned.
const ASSIGNED: &str = "\
    SELECT coupons.code AS name, coupons.book AS about, COALESCE(deeds.total, 0) AS found,
        coupons.total_assigned AS stored
    FROM coupons LEFT JOIN (
        SELECT code, CAST(SUM(amount_assigned) AS BIGINT) AS total
        FROM coupon_usages WHERE chain = $1 AND kind = 'assigned' GROUP BY code
    ) AS deeds ON deeds.code = coupons.code
    WHERE coupons.chain = $1 AND coupons.total_assigned <> COALESCE(deeds.total, 0)
    ORDER BY coupons.code";

/// What was done with codes that are not there.
const UNKNOWN: &str = "\
    SELECT coupon_usages.key AS name, coupon_usages.code AS about, CAST(0 AS BIGINT) AS found,
        CAST(0 AS BIGINT) AS stored
    FROM coupon_usages
    WHERE coupon_usages.chain = $1 AND NOT EXISTS (
        SELECT 1 FROM coupons WHERE coupons.chain = coupon_usages.chain AND coupons.code = coupon_usages.code)
    ORDER BY coupon_usages.key";
