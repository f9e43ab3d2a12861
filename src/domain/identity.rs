//! How a member is recognised.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::ids::MemberId;
use super::text::{BadText, Text};

/// What kind of mark identifies a member. The order is the priority: when the identities of one event belong to
/// different members, the first kind wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// The chain's own id for the guest.
    Id,
    /// A card or app code shown at the till.
    Card,
    /// A phone number in E.164 form.
    Phone,
    /// An e-mail address, lower-cased.
    Email,
    /// Another system's id, written `system:id`.
    External,
}

impl IdentityKind {
    /// All kinds, by priority.
    pub const ALL: [Self; 5] = [Self::Id, Self::Card, Self::Phone, Self::Email, Self::External];

    /// Its place among all kinds, from 1: of identities that belong to different members, the lowest wins.
    pub const fn priority(self) -> usize {
        self as usize + 1
    }

    /// The word used in JSON, in the store and in query strings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Card => "card",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::External => "external_id",
        }
    }
}

impl FromStr for IdentityKind {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(())
    }
}

/// Why a text cannot identify a member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// Not an acceptable text at all.
    #[error(transparent)]
    Text(#[from] BadText),
    /// Not of the form `name@host`.
    #[error("must be an e-mail address such as ana@example.com")]
    Email,
    /// Not E.164.
    #[error("must be a phone number in E.164 form such as +15551234567")]
    Phone,
    /// Would be taken for one of our own ids.
    #[error("must not start with `mem_`: that prefix marks our own ids")]
    Reserved,
    /// Not `system:id`.
    #[error("must be written `system:id`, such as square:CUST1")]
    External,
}

/// One mark by which a chain knows a member. Unique within the chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// Its kind.
    pub kind: IdentityKind,
    /// Its normalised value.
    pub value: SmolStr,
}

impl Identity {
    /// Checks and normalises `value`: e-mail addresses are lower-cased, phone numbers lose spaces, dots, dashes and
    /// brackets; ids and cards are taken to the letter.
    pub fn parse(kind: IdentityKind, value: &str) -> Result<Self, BadIdentity> {
        let text = Text::<200>::parse(value)?;
        let value: SmolStr = match kind {
            IdentityKind::Id if text.starts_with("mem_") => return Err(BadIdentity::Reserved),
            IdentityKind::Id | IdentityKind::Card => text.as_str().into(),
            IdentityKind::Email => email(&text).ok_or(BadIdentity::Email)?,
            IdentityKind::Phone => phone(&text).ok_or(BadIdentity::Phone)?,
            IdentityKind::External => match text.split_once(':') {
                Some((system, id)) if !system.is_empty() && !id.is_empty() => text.as_str().into(),
                _ => return Err(BadIdentity::External),
            },
        };
        Ok(Self { kind, value })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.value)
    }
}

fn email(text: &str) -> Option<SmolStr> {
    let (name, host) = text.rsplit_once('@')?;
    let good =
        !name.is_empty() && !host.is_empty() && !text.contains(char::is_whitespace) && !name.contains('@');
    good.then(|| text.to_lowercase().into())
}

fn phone(text: &str) -> Option<SmolStr> {
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
    let number = digits.strip_prefix('+')?;
    let good = (7..=15).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
        && !number.starts_with('0');
    good.then(|| digits.into())
}

/// How somebody names a member: our id, or anything the chain knows them by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberName {
    /// `mem_…`
    Ours(MemberId),
    /// Any of these, by priority.
    Known(Vec<Identity>),
}

impl MemberName {
    /// Reads a name of any kind: whatever identities the text could be.
    pub fn parse(text: &str) -> Self {
        if let Ok(id) = text.parse() {
            return Self::Ours(id);
        }
        let identities = IdentityKind::ALL.into_iter().filter_map(|kind| Identity::parse(kind, text).ok());
        Self::Known(identities.collect())
    }
}

/// Whose an event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// This member's; `None` = nobody who is known.
    pub owner: Option<MemberId>,
    /// Identities of the event that belong to nobody and come to be the member's.
    pub attach: Vec<Identity>,
    /// What was resolved differently than the sender may expect.
    pub notes: Vec<Box<str>>,
}

/// Decides whose an event is: the owner's of its order, where it follows that; else the owner's of the first identity, by
/// priority, that anybody owns. Identities of others are left where they are.
pub fn whose(
    identities: &[Identity],
    by_order: Option<MemberId>,
    owner_of: impl Fn(&Identity) -> Option<MemberId>,
) -> Whose {
    let by_identity = identities.iter().find_map(&owner_of);
    let mut attach: Vec<_> = identities.iter().filter(|i| owner_of(i).is_none()).cloned().collect();
    let mut notes = Vec::new();
    let owner = by_order.or(by_identity);
    if let Some(id) = owner {
        for identity in identities.iter().filter(|i| owner_of(i).is_some_and(|owner| owner != id)) {
            notes.push(format!("{identity} belongs to another member and was left there").into());
        }
        if by_order.is_some_and(|owner| by_identity != Some(owner)) {
            attach.clear(); // the one who brings it need not be the guest
        }
    }
    Whose { owner, attach, notes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_normalised_so_that_one_guest_is_one_member() {
        for (kind, given, kept) in [
            (IdentityKind::Email, "Ana@Example.COM", "ana@example.com"),
            (IdentityKind::Phone, "+1 (555) 123-4567", "+15551234567"),
            (IdentityKind::Id, "M-42", "M-42"),
            (IdentityKind::Phone, "+1234567", "+1234567"),
            (IdentityKind::Phone, "+123456789012345", "+123456789012345"),
            (IdentityKind::External, "square:CUST1", "square:CUST1"),
        ] {
            assert_eq!(&*Identity::parse(kind, given).unwrap().value, kept);
        }
    }

    #[test]
    fn what_cannot_identify_anybody_is_refused() {
        for (kind, given) in [
            (IdentityKind::Email, "ana"),
            (IdentityKind::Email, "@example.com"),
            (IdentityKind::Email, "ana@"),
            (IdentityKind::Email, "ana b@example.com"),
            (IdentityKind::Email, "a@b@example.com"),
            (IdentityKind::Phone, "5551234567"),
            (IdentityKind::Phone, "+0123456789"),
            (IdentityKind::Phone, "+123456"),
            (IdentityKind::Phone, "+1234567890123456"),
            (IdentityKind::Phone, "+1555CALLNOW"),
            (IdentityKind::Id, "mem_x"),
            (IdentityKind::Id, ""),
            (IdentityKind::Card, "70\u{0}01"),
            (IdentityKind::External, "square"),
            (IdentityKind::External, ":CUST1"),
            (IdentityKind::External, "square:"),
        ] {
            assert!(Identity::parse(kind, given).is_err(), "{given:?}");
        }
    }

    #[test]
    fn a_name_is_whatever_it_can_be() {
        let kinds = |text: &str| match MemberName::parse(text) {
            MemberName::Ours(_) => vec![],
            MemberName::Known(identities) => identities.iter().map(|i| i.kind).collect(),
        };
        use IdentityKind::{Card, Email, External, Id, Phone};
        assert_eq!(kinds("mem_00000000000000000000000007"), []);
        assert_eq!(kinds("m-42"), [Id, Card]);
        assert_eq!(kinds("ana@example.com"), [Id, Card, Email]);
        assert_eq!(kinds("+15551234567"), [Id, Card, Phone]);
        assert_eq!(kinds("square:CUST1"), [Id, Card, External]);
    }
}
