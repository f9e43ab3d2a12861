//! The ledger: immutable double-entry lines, so that the books balance by construction.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use smol_str::SmolStr;

use super::Timestamp;
use super::effect::Cause;
use super::ids::{MemberId, SourceId, TransferId};
use super::money::Points;
use super::text::Name;

/// The chain's side of a line: why points came into being or went out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum ChainAccount {
    /// Points awarded.
    Issued,
    /// Points deducted by a rule.
    Deducted,
    /// Points taken back for refunded orders.
    ClawedBack,
    /// Points given or taken by hand.
    Adjusted,
    /// Points that were not used in time.
    Expired,
    /// Points spent on a reward.
    Redeemed,
    /// Points on their way from one member to another who is the same person: nothing stays here.
    Merged,
    /// Points of a member who was erased.
    Forfeited,
}

impl ChainAccount {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Issued,
        Self::Deducted,
        Self::ClawedBack,
        Self::Adjusted,
        Self::Expired,
        Self::Redeemed,
        Self::Merged,
        Self::Forfeited,
    ];

    /// The word used in the store and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Deducted => "deducted",
            Self::ClawedBack => "clawed_back",
            Self::Adjusted => "adjusted",
            Self::Expired => "expired",
            Self::Redeemed => "redeemed",
            Self::Merged => "merged",
            Self::Forfeited => "forfeited",
        }
    }
}

/// One account of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Account {
    /// The member's wallet: what can be spent.
    Member(MemberId),
    /// What the member earned and cannot spend yet.
    Pending(MemberId),
    /// One of the chain's accounts.
    Chain(ChainAccount),
}

impl Serialize for ChainAccount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(id) => write!(f, "member:{id}"),
            Self::Pending(id) => write!(f, "pending:{id}"),
            Self::Chain(account) => write!(f, "chain:{}", account.as_str()),
        }
    }
}

impl FromStr for Account {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once(':').ok_or(())? {
            ("member", id) => id.parse().map(Self::Member).map_err(|_| ()),
            ("pending", id) => id.parse().map(Self::Pending).map_err(|_| ()),
            ("chain", word) => {
                ChainAccount::ALL.into_iter().find(|a| a.as_str() == word).map(Self::Chain).ok_or(())
            }
            _ => Err(()),
        }
    }
}

impl JsonSchema for Account {
    fn schema_name() -> Cow<'static, str> {
        "Account".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(member:mem_|pending:mem_|chain:)[0-9A-Za-z_]+$" })
    }
}

impl Serialize for Account {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One immutable ledger line: `amount` points leave `debit` and arrive in `credit`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transfer {
    /// Its id.
    pub id: TransferId,
    /// The member's line before it.
    #[serde(skip)]
    pub previous: Option<TransferId>,
    /// Whose history it belongs to.
    #[serde(skip)]
    pub member: MemberId,
    /// The wallet's code.
    pub wallet: Name,
    /// The account that is less after it.
    pub debit: Account,
    /// The account that is more after it.
    pub credit: Account,
    /// How much; always positive.
    pub amount: Points,
    /// What caused it.
    pub cause: Cause,
    /// The reason shown to people.
    pub reason: SmolStr,
    /// The source event; `None` for a scheduled tick.
    pub source: Option<SourceId>,
    /// When it was decided.
    pub at: Timestamp,
}
