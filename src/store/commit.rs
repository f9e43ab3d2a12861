//! The hot path: groups of commits and attempts, each group in one transaction.

use super::attempt::AttemptChange;
use super::campaign::BudgetChange;
use super::checkpoint::Checkpointer;
use super::connection::{DbConn, Opener, begin, commit, rollback};
use super::coupon::{CouponRow, HoldingRow, TallyRow, UsageRow};
use super::delivery::{self, DeliveryRow};
use super::error::StoreError;
use super::group::{self, Fate};
use super::ledger::TransferRow;
use super::loyalty_event::{self, EventRow};
use super::member::{IdentityRow, MemberChange};
use super::order::OrderRow;
use super::redemption::{RedemptionRow, StockChange};
use super::referral::{CodeRow, ReferralEventRow, ReferralRow, RewardRow};
use super::source_event::SourceRow;
use super::url::DatabaseUrl;
use super::vault::Vault;
use crate::domain::commit::{Commit, Wake};
use crate::domain::delivery::AttemptOutcome;
use crate::domain::receipt::SourceStatus;

/// One thing to write.
#[derive(Debug, Clone)]
pub enum Write {
    /// What a decision changed.
    Commit(Box<Commit>),
    /// How a delivery went.
    Attempt(Box<AttemptOutcome>),
}

/// A write with its rows. Making the rows takes about as long as writing them, so it is not left to the one thread that
/// writes.
pub struct Prepared {
    write: Write,
    pub(super) rows: Rows,
}

/// The rows of a write.
pub(super) enum Rows {
    Commit(Box<CommitRows>),
    Attempt(Box<AttemptChange>),
}

/// The rows of a commit.
pub(super) struct CommitRows {
    pub(super) source: Option<SourceRow>,
    pub(super) member: Option<MemberChange>,
    /// Of a merge: the other one.
    pub(super) others: Vec<MemberChange>,
    pub(super) identities: Vec<IdentityRow>,
    pub(super) order: Option<OrderRow>,
    pub(super) coupons: Vec<CouponRow>,
    pub(super) holdings: Vec<HoldingRow>,
    pub(super) tallies: Vec<TallyRow>,
    pub(super) usages: Vec<UsageRow>,
    pub(super) referral_code: Option<CodeRow>,
    pub(super) referral: Option<ReferralRow>,
    pub(super) referral_reward: Option<RewardRow>,
    pub(super) referral_events: Vec<ReferralEventRow>,
    pub(super) follow_up: Option<SourceRow>,
    pub(super) redemptions: Vec<RedemptionRow>,
    pub(super) stock: Vec<StockChange>,
    pub(super) budgets: Vec<BudgetChange>,
    pub(super) transfers: Vec<TransferRow>,
    pub(super) events: Vec<EventRow>,
    pub(super) deliveries: Vec<DeliveryRow>,
}

impl Prepared {
    /// What it was made from.
    pub const fn write(&self) -> &Write {
        &self.write
    }

    /// Gives back what it was made from, and the JSON of the receipt that is among its rows.
    pub fn into_parts(self) -> (Write, Option<String>) {
        let receipt = match self.rows {
            Rows::Commit(rows) => rows.source.map(SourceRow::into_receipt),
            Rows::Attempt(_) => None,
        };
        (self.write, receipt)
    }
}

impl From<Write> for Prepared {
    fn from(write: Write) -> Self {
        let rows = match &write {
            Write::Commit(commit) => Rows::Commit(Box::new(CommitRows::of(commit))),
            Write::Attempt(outcome) => Rows::Attempt(Box::new(AttemptChange::of(outcome))),
        };
        Self { write, rows }
    }
}

impl CommitRows {
    pub(super) fn of(commit: &Commit) -> Self {
        let chain = &commit.chain;
        let (coupons, redemptions) = (&commit.coupons, &commit.redemptions);
        let member = commit.member.as_ref().map(|member| member.id);
        let holdings = member
            .iter()
            .flat_map(|member| coupons.cards.iter().map(|card| HoldingRow::of(chain, *member, card)));
        let tallies = member.iter().flat_map(|member| {
            coupons.tallies.iter().map(|(book, tally)| TallyRow::of(chain, *member, *book, *tally))
        });
        let identities = commit.member.iter().flat_map(|member| {
            commit.new_identities.iter().map(|identity| IdentityRow::of(chain, identity, member.id))
        });
        let others = commit.people.others.iter().map(|other| MemberChange::after(chain, other, Wake::Moved));
        // The day of enrolment, and that somebody is no member any more, is written only where the row is written whole.
        let people = &commit.people;
        let is_usual = people.others.is_empty() && people.erased.is_empty();
        let wake = if is_usual { commit.wake } else { Wake::Moved };
        let source = commit.source.as_ref().map(|source| SourceRow::after(chain, source));
        // Whatever is told, and whatever follows, is part of the trace that brought it about.
        let trace = source.as_ref().and_then(SourceRow::trace).cloned();
        let follow_up =
            commit.follow_up.as_ref().map(|next| SourceRow::after(chain, next).traced(trace.clone()));
        let told = |event| EventRow::of(event, commit.decided_at, trace.as_ref());
        Self {
            member: commit.member.as_ref().map(|member| MemberChange::after(chain, member, wake)),
            others: others.collect(),
            identities: identities.collect(),
            order: commit.order.as_ref().map(|order| OrderRow::after(chain, order)),
            coupons: coupons.cards.iter().map(|card| CouponRow::after(chain, &card.coupon)).collect(),
            holdings: holdings.collect(),
            tallies: tallies.collect(),
            usages: coupons.usages.iter().map(|usage| UsageRow::of(chain, usage)).collect(),
            referral_code: member
                .zip(commit.new_referral_code.as_ref())
                .map(|(member, code)| CodeRow::of(chain, code, member)),
            referral: member
                .zip(commit.referral.as_ref())
                .map(|(member, referral)| ReferralRow::of(chain, member, referral)),
            referral_events: commit.events.iter().filter_map(ReferralEventRow::of).collect(),
            referral_reward: commit.referral_reward.as_ref().map(|reward| RewardRow::of(chain, reward)),
            follow_up,
            redemptions: redemptions.made.iter().map(|made| RedemptionRow::of(chain, made)).collect(),
            stock: redemptions.stock.iter().map(|moved| StockChange::of(chain, moved)).collect(),
            budgets: commit.budgets.iter().map(|moved| BudgetChange::of(chain, moved)).collect(),
            transfers: commit.transfers.iter().map(|transfer| TransferRow::of(chain, transfer)).collect(),
            events: commit.events.iter().map(told).collect(),
            deliveries: commit.deliveries.iter().map(|delivery| DeliveryRow::new(chain, delivery)).collect(),
            source,
        }
    }
}

/// Writes what a commit tells, as part of an administrative change. It changes nothing else.
pub fn write_told(conn: &mut DbConn, told: &Commit) -> Result<(), StoreError> {
    let rows = CommitRows::of(told);
    loyalty_event::insert(conn, &rows.events.iter().collect::<Vec<_>>())?;
    delivery::insert(conn, &rows.deliveries.iter().collect::<Vec<_>>())
}

/// What became of a [`Write`].
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// It is durable.
    Done,
    /// The key of its source event was seen before; nothing was written.
    Duplicate {
        /// The JSON of the first receipt.
        receipt: String,
        /// Whether the body is the first one, to the byte.
        same_body: bool,
        /// What became of the first.
        status: SourceStatus,
    },
    /// What it was decided from does not hold any more; nothing was written. Reload and decide again.
    Conflict,
}

/// A connection of its own that writes.
pub struct Writer {
    opener: Opener,
    vault: Vault,
    /// What PostgreSQL does not need.
    checkpointer: Option<Checkpointer>,
    /// Absent after a failure that may have spoilt it.
    conn: Option<DbConn>,
}

impl Writer {
    pub(super) fn open(opener: Opener, vault: Vault) -> Result<Self, StoreError> {
        let conn = Some(opener.open()?);
        let checkpointer = match &opener.url {
            DatabaseUrl::Sqlite(path) => Some(Checkpointer::start(path)?),
            DatabaseUrl::Postgres(_) => None,
        };
        Ok(Self { opener, vault, checkpointer, conn })
    }

    /// Writes a group in one transaction and answers for each, in order. A `Conflict` or `Duplicate` of one does not
    /// harm the others.
    ///
    /// Two writes of the same member, order or delivery do not fit into one transaction: the later ones follow in
    /// further ones. When one of those fails, [`StoreError::Partly`] says so.
    pub fn write(&mut self, group: &[Prepared]) -> Result<Vec<Written>, StoreError> {
        let mut answers = vec![Written::Done; group.len()];
        for (nth, round) in group::rounds(group).into_iter().enumerate() {
            self.write_round(group, round, &mut answers).map_err(|e| match nth {
                0 => e,
                _ => StoreError::Partly(Box::new(e)),
            })?;
        }
        Ok(answers)
    }

    /// Writes one round, without those that lose against what is stored: one loser undoes the transaction, and the rest
    /// is written again. Every turn has fewer writes, so it ends.
    fn write_round(
        &mut self,
        group: &[Prepared],
        mut round: Vec<usize>,
        answers: &mut [Written],
    ) -> Result<(), StoreError> {
        while !round.is_empty() {
            match self.with_conn(|conn, _| group::write(conn, group, &round))? {
                Fate::Written(duplicates) => {
                    self.checkpointer.iter().for_each(Checkpointer::wake);
                    for (at, duplicate) in duplicates {
                        answers[at] = duplicate;
                    }
                    return Ok(());
                }
                Fate::Undone(losers) => {
                    round.retain(|at| !losers.contains(at));
                    for at in losers {
                        answers[at] = Written::Conflict;
                    }
                }
            }
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn checkpointer(&self) -> &Checkpointer {
        self.checkpointer.as_ref().unwrap()
    }

    /// An administrative change in a transaction of its own.
    pub fn run<T>(
        &mut self,
        f: impl FnOnce(&mut DbConn, &Vault) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with_conn(|conn, vault| {
            begin(conn)?;
            match f(conn, vault) {
                Ok(value) => commit(conn).map(|()| value),
                Err(error) => rollback(conn).and(Err(error)),
            }
        })
    }

    /// Lends the connection, a new one after a failure. It is out of our hands meanwhile: a panic must not leave a
    /// transaction open.
    fn with_conn<T>(
        &mut self,
        f: impl FnOnce(&mut DbConn, &Vault) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.opener.open()?,
        };
        let outcome = f(&mut conn, &self.vault);
        if !outcome.as_ref().is_err_and(StoreError::spoils_connection) {
            self.conn = Some(conn);
        }
        outcome
    }
}
