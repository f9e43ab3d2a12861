//! One transaction of many writes.
//!
//! The order of the tables, and of the rows in each, is the same in every transaction, so that two of them never wait
//! for each other in a circle.

use std::collections::{HashMap, HashSet};

use super::attempt::AttemptChange;
use super::audit;
use super::campaign::{self, BudgetChange};
use super::commit::{CommitRows, Prepared, Rows, Write, Written};
use super::condition;
use super::connection::{DbConn, begin, commit, rollback};
use super::coupon::{self, CouponRow, HoldingRow, TallyRow, UsageRow};
use super::endpoint_minutes;
use super::erasure;
use super::error::StoreError;
use super::lane;
use super::ledger::{self, TransferRow};
use super::loyalty_event::{self, EventRow};
use super::member::{self, IdentityRow, MemberChange};
use super::order::{self, OrderRow};
use super::parked;
use super::redemption::{self, RedemptionRow, StockChange};
use super::referral::{self, CodeRow, ReferralRow};
use super::row::Row;
use super::source_event::{self, SourceRow};
use crate::domain::chain::ChainId;
use crate::domain::commit::{Commit, SourceChange, SourceOrigin};
use crate::domain::coupon::CouponCode;
use crate::domain::ids::{DeliveryId, MemberId};
use crate::domain::text::Key;

/// How a transaction ended.
pub(super) enum Fate {
    /// It is durable, but for the commits whose source event was there before, by their place in the group.
    Written(Vec<(usize, Written)>),
    /// It was undone, because these lost against what is stored.
    Undone(HashSet<usize>),
}

/// What two writes of one transaction must not share.
#[derive(PartialEq, Eq, Hash)]
enum Claim<'a> {
    Member(&'a ChainId, MemberId),
    Order(&'a ChainId, &'a Key),
    Coupon(&'a ChainId, &'a CouponCode),
    Delivery(&'a ChainId, DeliveryId),
}

fn claims(write: &Write) -> impl Iterator<Item = Claim<'_>> {
    let (commit, attempt) = match write {
        Write::Commit(commit) => (Some(&**commit), None),
        Write::Attempt(outcome) => (None, Some(outcome)),
    };
    let of_commit = commit.into_iter().flat_map(|commit| {
        let members = commit.member.as_deref().into_iter().chain(&commit.people.others);
        let member = members.map(|m| Claim::Member(&commit.chain, m.id));
        let order = commit.order.iter().map(|o| Claim::Order(&commit.chain, &o.order_id));
        let coupons = commit.coupons.cards.iter().map(|c| Claim::Coupon(&commit.chain, &c.coupon.code));
        member.chain(order).chain(coupons)
    });
    of_commit.chain(attempt.map(|outcome| Claim::Delivery(&outcome.chain, outcome.attempt.delivery)))
}

/// Splits a group into rounds that share nothing within themselves; what shares something keeps its order.
pub(super) fn rounds(group: &[Prepared]) -> Vec<Vec<usize>> {
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    let mut free_from: HashMap<Claim<'_>, usize> = HashMap::with_capacity(2 * group.len());
    for (at, prepared) in group.iter().enumerate() {
        let claims = || claims(prepared.write());
        let round = claims().filter_map(|claim| free_from.get(&claim).copied()).max().unwrap_or(0);
        claims().for_each(|claim| _ = free_from.insert(claim, round + 1));
        if round == rounds.len() {
            rounds.push(Vec::new());
        }
        rounds[round].push(at);
    }
    rounds
}

/// Writes one round of a group in one transaction, or undoes it when some of it lost.
pub(super) fn write(conn: &mut DbConn, group: &[Prepared], round: &[usize]) -> Result<Fate, StoreError> {
    begin(conn)?;
    match Round::of(group, round).write(conn) {
        Ok(Fate::Written(duplicates)) => {
            commit(conn)?;
            Ok(Fate::Written(duplicates))
        }
        undone => {
            rollback(conn)?;
            undone
        }
    }
}

/// The writes of one transaction by kind, each with its place in the group.
struct Round<'a> {
    commits: Vec<(usize, &'a Commit, &'a CommitRows)>,
    attempts: Vec<&'a AttemptChange>,
    losers: HashSet<usize>,
}

impl<'a> Round<'a> {
    fn of(group: &'a [Prepared], round: &[usize]) -> Self {
        let mut sorted = Self { commits: Vec::new(), attempts: Vec::new(), losers: HashSet::new() };
        for &at in round {
            match (group[at].write(), &group[at].rows) {
                (Write::Commit(commit), Rows::Commit(rows)) => sorted.commits.push((at, commit, rows)),
                (Write::Attempt(outcome), Rows::Attempt(change)) => {
                    // What it tells cannot lose: nobody can have written it before.
                    let told = outcome.told.as_deref().zip(change.told.as_deref());
                    sorted.commits.extend(told.map(|(told, rows)| (at, told, rows)));
                    sorted.attempts.push(change);
                }
                _ => unreachable!("rows are made from their write"),
            }
        }
        sorted
    }

    /// First whatever can lose, then whatever cannot.
    fn write(mut self, conn: &mut DbConn) -> Result<Fate, StoreError> {
        let duplicates = self.keep_sources(conn)?;
        self.commits.retain(|(at, ..)| !duplicates.iter().any(|(duplicate, _)| duplicate == at));
        self.decide_stored_sources(conn)?;
        self.write_members(conn)?;
        self.claim_identities(conn)?;
        self.claim_referral_codes(conn)?;
        self.write_orders(conn)?;
        self.write_coupons(conn)?;
        self.move_stock(conn)?;
        self.move_budgets(conn)?;
        if !self.losers.is_empty() {
            return Ok(Fate::Undone(self.losers));
        }
        self.write_consequences(conn)?;
        Ok(Fate::Written(duplicates))
    }

    /// Keeps new source events and answers those whose key was there before.
    fn keep_sources(&self, conn: &mut DbConn) -> Result<Vec<(usize, Written)>, StoreError> {
        let new = self.sources().filter(|(_, _, change, _)| change.from == SourceOrigin::Outside);
        let (places, rows) = ordered(new.clone().map(|(at, _, _, row)| (at, row)), SourceRow::key);
        let kept = source_event::keep_new(conn, &rows)?;
        let repeated: HashSet<usize> =
            places.into_iter().zip(kept).filter(|(_, kept)| !kept).map(|(at, _)| at).collect();
        new.filter(|(at, ..)| repeated.contains(at))
            .map(|(at, commit, change, _)| Ok((at, duplicate(conn, &commit.chain, change)?)))
            .collect()
    }

    fn decide_stored_sources(&mut self, conn: &mut DbConn) -> Result<(), StoreError> {
        let mut stored: Vec<_> = self
            .sources()
            .filter_map(|(at, _, change, row)| match change.from {
                SourceOrigin::Stored { status, .. } => Some((at, row, status)),
                SourceOrigin::Outside => None,
            })
            .collect();
        stored.sort_by_key(|(_, row, _)| row.key());
        for (at, row, status) in stored {
            if !source_event::decide_again(conn, row, status)? {
                self.losers.insert(at);
            }
        }
        Ok(())
    }

    fn write_members(&mut self, conn: &mut DbConn) -> Result<(), StoreError> {
        let (places, rows) =
            self.ordered_rows(|rows| rows.member.iter().chain(&rows.others), MemberChange::key);
        let written = member::write(conn, &rows)?;
        self.lose(places, written);
        Ok(())
    }

    fn claim_identities(&mut self, conn: &mut DbConn) -> Result<(), StoreError> {
        let (places, rows) = self.ordered_rows(|rows| &rows.identities, IdentityRow::key);
        let claimed = member::claim(conn, &rows)?;
        self.lose(places, claimed);
        for (at, commit, _) in &self.commits {
            for moved in &commit.people.identities {
                if !member::hand_over(conn, &commit.chain, moved)? {
                    self.losers.insert(*at);
                }
            }
            if let (Some(order_id), Some(member)) = (&commit.people.claimed, &commit.member)
                && !parked::claim(conn, &commit.chain, order_id, member.id)?
            {
                self.losers.insert(*at);
            }
        }
        Ok(())
    }

    fn claim_referral_codes(&mut self, conn: &mut DbConn) -> Result<(), StoreError> {
        let (places, rows) = self.ordered_rows(|rows| &rows.referral_code, CodeRow::key);
        let claimed = referral::claim(conn, &rows)?;
        self.lose(places, claimed);
        Ok(())
    }

    fn write_orders(&mut self, conn: &mut DbConn) -> Result<(), StoreError> {
        let (places, rows) = self.ordered_rows(|rows| &rows.order, OrderRow::key);
        let written = order::write(conn, &rows)?;
        self.lose(places, written);
        Ok(())
    }

    fn write_coupons(&mut self, conn: &mut DbConn) -> Result<(), StoreError> {
        let (places, rows) = self.ordered_rows(|rows| &rows.coupons, CouponRow::key);
        let written = coupon::write(conn, &rows)?;
        self.lose(places, written);
        Ok(())
    }

    /// One after the other, each seeing those before it: moves of one reward need no rounds of their own.
    fn move_stock(&mut self, conn: &mut DbConn) -> Result<(), StoreError> {
        let (places, changes) = self.ordered_rows(|rows| &rows.stock, StockChange::key);
        let moved = redemption::move_stock(conn, &changes)?;
        self.lose(places, moved);
        Ok(())
    }

    /// As stock is moved.
    fn move_budgets(&mut self, conn: &mut DbConn) -> Result<(), StoreError> {
        let (places, changes) = self.ordered_rows(|rows| &rows.budgets, BudgetChange::key);
        let moved = campaign::move_budgets(conn, &changes)?;
        self.lose(places, moved);
        Ok(())
    }

    /// What members have of coupons and did with them: guarded by the fences of member and coupon.
    fn write_holdings(&self, conn: &mut DbConn) -> Result<(), StoreError> {
        let (_, holdings) = self.ordered_rows(|rows| &rows.holdings, HoldingRow::key);
        coupon::write_holdings(conn, &holdings)?;
        let (_, tallies) = self.ordered_rows(|rows| &rows.tallies, TallyRow::key);
        coupon::write_tallies(conn, &tallies)?;
        let (_, usages) = self.ordered_rows(|rows| &rows.usages, UsageRow::key);
        coupon::write_usages(conn, &usages)?;
        Ok(())
    }

    /// Redemptions, which only their member changes. Ledger lines, loyalty events and deliveries: new rows that nobody
    /// can have written before. And attempts, which are kept whatever became of their deliveries.
    fn write_consequences(mut self, conn: &mut DbConn) -> Result<(), StoreError> {
        self.write_holdings(conn)?;
        let (_, referrals) = self.ordered_rows(|rows| &rows.referral, ReferralRow::key);
        referral::write(conn, &referrals)?;
        let told = self.commits.iter().flat_map(|(_, _, rows)| &rows.referral_events);
        told.into_iter().try_for_each(|row| referral::note_event(conn, row))?;
        let rewards = self.commits.iter().filter_map(|(_, _, rows)| rows.referral_reward.as_ref());
        rewards.into_iter().try_for_each(|reward| referral::write_reward(conn, reward))?;
        // Each has a key that nobody but what it follows of can give, so it is new.
        let (_, follow_ups) = self.ordered_rows(|rows| &rows.follow_up, SourceRow::key);
        source_event::keep_new(conn, &follow_ups)?;
        for (_, commit, _) in &self.commits {
            commit.people.erased.iter().try_for_each(|id| erasure::begin(conn, &commit.chain, *id))?;
            for gone in commit.people.identities.iter().filter(|moved| moved.to.is_none()) {
                parked::erase(conn, &commit.chain, &gone.identity, gone.from)?;
            }
            commit.source.as_ref().map_or(Ok(()), |change| parked::note(conn, &commit.chain, change))?;
            if let (Some(order_id), Some(member)) = (&commit.people.awaited, &commit.member) {
                parked::claim(conn, &commit.chain, order_id, member.id)?;
            }
            let coupons = commit.people.coupons.as_ref();
            coupons.map_or(Ok(()), |moved| coupon::hand_over(conn, &commit.chain, moved))?;
        }
        let by_people = self.commits.iter().filter_map(|(_, _, rows)| rows.audit.as_deref());
        by_people.into_iter().try_for_each(|row| audit::insert_row(conn, row))?;
        let (_, redemptions) = self.ordered_rows(|rows| &rows.redemptions, RedemptionRow::key);
        redemption::write(conn, &redemptions)?;
        let (_, transfers) = self.ordered_rows(|rows| &rows.transfers, TransferRow::key);
        ledger::insert(conn, &transfers)?;
        let (_, events) = self.ordered_rows(|rows| &rows.events, EventRow::key);
        loyalty_event::insert(conn, &events)?;
        let deliveries: Vec<_> = self.commits.iter().flat_map(|(_, _, rows)| &rows.deliveries).collect();
        // Of each endpoint the last one stands.
        let conditions = self.attempts.iter().filter_map(|change| change.condition.as_ref());
        let conditions = condition::last_of_each(conditions);
        self.attempts.sort_by_key(|change| change.key());
        lane::write(conn, &deliveries, &self.attempts)?;
        condition::write(conn, &conditions)?;
        endpoint_minutes::count(conn, &self.attempts)?;
        Ok(())
    }

    fn sources(&self) -> impl Iterator<Item = (usize, &'a Commit, &'a SourceChange, &'a SourceRow)> + Clone {
        self.commits.iter().filter_map(|&(at, commit, rows)| {
            Some((at, commit, commit.source.as_ref()?, rows.source.as_ref()?))
        })
    }

    /// Rows of one kind in the order in which they are written, and the places in the group that they belong to.
    fn ordered_rows<R: 'a, I, K>(
        &self,
        of: impl Fn(&'a CommitRows) -> I,
        key: impl Fn(&'a R) -> K,
    ) -> (Vec<usize>, Vec<&'a R>)
    where
        I: IntoIterator<Item = &'a R>,
        K: Ord,
    {
        ordered(
            self.commits.iter().flat_map(|&(at, _, rows)| of(rows).into_iter().map(move |row| (at, row))),
            key,
        )
    }

    fn lose(&mut self, places: Vec<usize>, held: Vec<bool>) {
        self.losers.extend(places.into_iter().zip(held).filter(|(_, held)| !held).map(|(at, _)| at));
    }
}

/// The answer to a source event whose key was there before.
fn duplicate(conn: &mut DbConn, chain: &ChainId, change: &SourceChange) -> Result<Written, StoreError> {
    let key = &change.event.key;
    let first = source_event::answered(conn, chain, key)?.ok_or_else(|| {
        Row { table: "source_events", id: key }.corrupt("its key is taken, yet no event has it")
    })?;
    Ok(Written::Duplicate {
        same_body: first.body_hash == change.event.body_hash,
        receipt: first.receipt,
        status: first.status,
    })
}

/// Rows in the order of their keys, and their places. Equals keep their order: the first of two events with one key
/// wins.
fn ordered<'a, R: 'a, K: Ord>(
    rows: impl Iterator<Item = (usize, &'a R)>,
    key: impl Fn(&'a R) -> K,
) -> (Vec<usize>, Vec<&'a R>) {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|(_, row)| key(row));
    rows.into_iter().unzip()
}
