//! Commands: what people and programs ask of the engine through the admin routes.
//!
//! A command is a source event of its own type: it is stored under its key, decided by the member's actor like anything
//! a till says, answered with a receipt, and comes up again in a replay. Unlike a till's event, a command that cannot be
//! carried out is refused: nothing is stored, and the answer names why.

use std::num::NonZeroI64;
use std::str::FromStr;

use serde::Deserialize;

use super::json;
use super::money::Points;
use super::profile::ProfileChange;
use super::source_event::BadEvent;
use super::text::{Key, Name, Note};

/// The types of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommandType {
    /// Points given or taken by hand.
    AdjustPoints,
    /// A member made before they ever came.
    CreateMember,
    /// Points that waited for it can be spent.
    ConfirmPoints,
}

impl CommandType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AdjustPoints, Self::CreateMember, Self::ConfirmPoints];

    /// The type of the source event that carries it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AdjustPoints => "points.adjust",
            Self::CreateMember => "member.create",
            Self::ConfirmPoints => "points.confirm",
        }
    }
}

impl FromStr for CommandType {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(())
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// `points.adjust`
    AdjustPoints(Adjustment),
    /// `member.create`
    CreateMember(ProfileChange),
    /// `points.confirm`
    ConfirmPoints(Confirmation),
}

/// Points given or taken by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Adjustment {
    /// How many; below zero to take.
    pub amount: NonZeroI64,
    /// Why, for people.
    pub reason: Note,
    /// In which wallet; `None` = the program's first.
    pub wallet: Option<Name>,
}

/// What earned the points that can be spent from now on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The id of the order, or the key of the event.
    pub origin: Key,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdjustmentBody {
    amount: i64,
    reason: Note,
    #[serde(default)]
    wallet: Option<Name>,
}

impl Command {
    /// Its type.
    pub const fn kind(&self) -> CommandType {
        match self {
            Self::AdjustPoints(_) => CommandType::AdjustPoints,
            Self::CreateMember(_) => CommandType::CreateMember,
            Self::ConfirmPoints(_) => CommandType::ConfirmPoints,
        }
    }

    /// Reads the `data` of the event.
    pub(super) fn parse(kind: CommandType, raw: &str) -> Result<Self, BadEvent> {
        Ok(match kind {
            CommandType::AdjustPoints => Self::AdjustPoints(Adjustment::parse(raw)?),
            CommandType::CreateMember => {
                let person = ProfileChange::parse(raw)?;
                if person.new_identities().is_empty() {
                    let problem = "names nobody; give at least one of id, card, phone, email, external_id";
                    return Err(BadEvent::field("data.id", problem));
                }
                Self::CreateMember(person)
            }
            CommandType::ConfirmPoints => Self::ConfirmPoints(json::object(raw, "data")?),
        })
    }
}

impl Adjustment {
    fn parse(raw: &str) -> Result<Self, BadEvent> {
        let body: AdjustmentBody = json::object(raw, "data")?;
        let amount = NonZeroI64::new(body.amount)
            .filter(|amount| amount.get().unsigned_abs() <= Points::LIMIT.unsigned_abs())
            .ok_or_else(|| {
                let problem = format!("must be a whole number other than 0, within {} points", Points::LIMIT);
                BadEvent::field("data.amount", problem)
            })?;
        Ok(Self { amount, reason: body.reason, wallet: body.wallet })
    }
}
