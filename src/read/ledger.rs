//! A member's ledger as outsiders see it.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::page::{OfMember, Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::effect::Cause;
use crate::domain::ids::{MemberId, SourceId, TransferId};
use crate::domain::ledger::Account;
use crate::domain::money::Points;
use crate::domain::statement::{Line, Span, Statements, WalletStatement};
use crate::store::ledger::{self, StoredTransfer};
use crate::store::{self, DbConn, at_one_instant};

/// One ledger line.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "LedgerLine")]
pub struct TransferView {
    /// Its id.
    pub id: TransferId,
    /// The wallet's code.
    pub wallet: String,
    /// The account that is less after it.
    pub debit: Account,
    /// The account that is more after it.
    pub credit: Account,
    /// How much; always positive.
    pub amount: Points,
    /// What caused it.
    pub cause: Cause,
    /// The reason shown to people.
    pub reason: String,
    /// The source event; `null` for a scheduled tick.
    pub source_event: Option<SourceId>,
    /// When it was decided.
    pub at: Timestamp,
}

/// A line as far as sums care.
pub(super) fn as_stated(line: &StoredTransfer) -> Line<'_> {
    let StoredTransfer { wallet, debit, credit, amount, at, .. } = line;
    Line { wallet, debit: *debit, credit: *credit, amount: *amount, at: *at }
}

impl From<StoredTransfer> for TransferView {
    fn from(stored: StoredTransfer) -> Self {
        Self {
            id: stored.id,
            wallet: stored.wallet,
            debit: stored.debit,
            credit: stored.credit,
            amount: stored.amount,
            cause: stored.cause,
            reason: stored.reason,
            source_event: stored.source,
            at: stored.at,
        }
    }
}

/// A statement of account.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Statement")]
pub struct StatementView {
    /// Whose.
    pub member_id: MemberId,
    /// What was decided after this instant moved in it; `null` = since enrolment.
    pub from: Option<Timestamp>,
    /// The last instant in it.
    pub to: Timestamp,
    /// One for each wallet that the member ever had.
    pub wallets: Vec<WalletStatement>,
}

/// What became of the wish for a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Stated {
    /// It was made.
    Statement(StatementView),
    /// More than [`ledger::MOST_LINES`] lines came since.
    TooFarBack,
}

impl Reader {
    /// What a member held and what moved; `None` when there is no such member.
    ///
    /// # Errors
    /// The store failed.
    pub async fn statement(
        &self,
        chain: ChainId,
        member: MemberId,
        span: Span,
    ) -> Result<Option<Stated>, ReadError> {
        let state = move |conn: &mut DbConn| {
            let Some(member) = store::member::load(conn, &chain, member)? else { return Ok(None) };
            let mut statements = Statements::new(&member.standing.wallets, span);
            let is_whole = ledger::walk_back(conn, &chain, member.latest.transfer, |line| {
                statements.back_over(as_stated(&line))
            })?;
            let Span { from, to } = span;
            let wallets = statements.finish();
            let view = StatementView { member_id: member.id, from, to, wallets };
            Ok(Some(if is_whole { Stated::Statement(view) } else { Stated::TooFarBack }))
        };
        self.run(move |conn| Ok(at_one_instant(conn, state)?)).await
    }

    /// A member's ledger lines, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn ledger(
        &self,
        chain: ChainId,
        member: MemberId,
        wanted: Wanted<TransferId>,
    ) -> Result<Page<TransferView>, ReadError> {
        self.run(move |conn| lines(conn, &chain, &OfMember { member, wanted })).await
    }

    /// The same of several members of a chain, each with the page that is asked for, in one go.
    ///
    /// # Errors
    /// The store failed.
    pub async fn ledgers(
        &self,
        chain: ChainId,
        asked: Vec<OfMember<TransferId>>,
    ) -> Result<HashMap<OfMember<TransferId>, Page<TransferView>>, ReadError> {
        let page =
            move |conn: &mut DbConn, asked: OfMember<_>| Ok((asked.clone(), lines(conn, &chain, &asked)?));
        self.run(move |conn| asked.into_iter().map(|asked| page(conn, asked)).collect()).await
    }
}

fn lines(
    conn: &mut DbConn,
    chain: &ChainId,
    OfMember { member, wanted }: &OfMember<TransferId>,
) -> Result<Page<TransferView>, ReadError> {
    let found = ledger::list(conn, chain, *member, wanted.rows(), wanted.after)?;
    wanted.page(found, |line| line.id.to_string()).map(|line| Ok(line.into()))
}
