//! The audit log: who changed what, when, from where, and how it was before and after.
//!
//! A line is written in the transaction of its change, and never again. What is secret of a thing does not get into it
//! ([`face`]), nor does what would have to be forgotten with a member ([`command`]).

mod action;
mod command;
mod face;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::Timestamp;
use super::chain::ChainId;
use super::ids::{AuditId, KeyId, first_ulid_at};
use super::role::Role;
use super::text::{Name, Text};

pub use self::action::{Action, Actions, BadAction};
pub use self::face::Face;

/// Fields of a thing, by name.
pub type Fields = Map<String, Value>;

/// What a caller calls a request, or we did.
pub type RequestName = Text<128>;

/// Who changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Author {
    /// Whoever has this API key.
    Key {
        /// The key's id.
        id: KeyId,
        /// What people called it then.
        name: Name,
        /// What it might do then.
        role: Role,
    },
    /// Whoever has the admin key of the configuration.
    Configuration,
    /// Somebody at the command line; what the system calls them, if it says so.
    CommandLine(Option<Name>),
    /// Whoever edited the rules folder.
    Folder,
    /// The engine by itself.
    Engine,
}

impl Author {
    const CONFIGURATION: &'static str = "configuration";
    const COMMAND_LINE: &'static str = "command_line";
    const FOLDER: &'static str = "folder";
    const ENGINE: &'static str = "engine";

    /// Of what kind they are.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Key { .. } => "key",
            Self::Configuration => Self::CONFIGURATION,
            Self::CommandLine(_) => Self::COMMAND_LINE,
            Self::Folder => Self::FOLDER,
            Self::Engine => Self::ENGINE,
        }
    }

    /// Which of all authors they are.
    pub fn code(&self) -> AuthorCode {
        match self {
            Self::Key { id, .. } => AuthorCode(id.to_string()),
            others => AuthorCode(others.kind().to_owned()),
        }
    }

    /// What people call them.
    pub fn name(&self) -> Name {
        let word =
            |word: &str| Name::parse(word).unwrap_or_else(|_| unreachable!("a short word makes a name"));
        match self {
            Self::Key { name, .. } | Self::CommandLine(Some(name)) => name.clone(),
            Self::Configuration => word(Self::CONFIGURATION),
            Self::CommandLine(None) => word("command line"),
            Self::Folder => word("rules folder"),
            Self::Engine => word(Self::ENGINE),
        }
    }

    /// What people call them, where their kind does not say it all.
    pub const fn given_name(&self) -> Option<&Name> {
        match self {
            Self::Key { name, .. } | Self::CommandLine(Some(name)) => Some(name),
            Self::Configuration | Self::CommandLine(None) | Self::Folder | Self::Engine => None,
        }
    }

    /// What they might do, if they have a key.
    pub const fn role(&self) -> Option<Role> {
        match self {
            Self::Key { role, .. } => Some(*role),
            Self::Configuration | Self::CommandLine(_) | Self::Folder | Self::Engine => None,
        }
    }

    /// Reads what [`Self::code`], [`Self::given_name`] and [`Self::role`] wrote.
    pub fn read(code: &str, name: Option<Name>, role: Option<Role>) -> Option<Self> {
        Some(match (code, name, role) {
            (Self::CONFIGURATION, None, None) => Self::Configuration,
            (Self::COMMAND_LINE, name, None) => Self::CommandLine(name),
            (Self::FOLDER, None, None) => Self::Folder,
            (Self::ENGINE, None, None) => Self::Engine,
            (key, Some(name), Some(role)) => Self::Key { id: key.parse().ok()?, name, role },
            _ => return None,
        })
    }
}

/// Which author: the id of a key, or a word for those without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorCode(String);

impl fmt::Display for AuthorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AuthorCode {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let words = [Author::CONFIGURATION, Author::COMMAND_LINE, Author::FOLDER, Author::ENGINE];
        let is_known = words.contains(&text) || text.parse::<KeyId>().is_ok();
        is_known.then(|| Self(text.to_owned())).ok_or(())
    }
}

/// Where a change was asked for; nothing is known of what did not come over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The address of the client.
    pub address: Option<IpAddr>,
    /// The id of the request, as the log and the answer have it.
    pub request: Option<RequestName>,
}

/// By whom something is changed, and from where. Whatever changes the configuration asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub author: Author,
    /// From where.
    pub origin: Origin,
}

impl By {
    /// By the engine itself: nobody asked for it.
    pub const ENGINE: Self = Self::here(Author::Engine);
    /// By whoever edited the rules folder.
    pub const FOLDER: Self = Self::here(Author::Folder);

    /// By somebody on this machine.
    pub const fn here(author: Author) -> Self {
        Self { author, origin: Origin { address: None, request: None } }
    }

    /// What people call whoever does it.
    pub fn name(&self) -> Name {
        self.author.name()
    }
}

/// How something was, and how it is. Of a change only the fields that differ.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Change {
    /// Before; nothing of what is new.
    pub before: Option<Fields>,
    /// After; nothing of what is gone.
    pub after: Option<Fields>,
}

impl Change {
    /// It was not there before.
    pub fn made(after: Face) -> Self {
        Self { before: None, after: Some(after.known()) }
    }

    /// It is not there any more.
    pub fn gone(before: Face) -> Self {
        Self { before: Some(before.known()), after: None }
    }

    /// It was so, and is otherwise.
    pub fn between(before: Face, after: Face) -> Self {
        let (before, after) = before.differing(after);
        Self { before: Some(before), after: Some(after) }
    }

    /// One field was so, and is otherwise.
    pub fn of(name: &str, before: impl Into<Value>, after: impl Into<Value>) -> Self {
        let before = Fields::from_iter([(name.to_owned(), before.into())]);
        Self { before: Some(before), ..Self::to(name, after) }
    }

    /// Whether nothing differs.
    pub fn is_nothing(&self) -> bool {
        [&self.before, &self.after].iter().all(|fields| fields.as_ref().is_none_or(Fields::is_empty))
    }

    /// Something new came of it, of which this is told.
    pub fn to(name: &str, after: impl Into<Value>) -> Self {
        Self { before: None, after: Some(Fields::from_iter([(name.to_owned(), after.into())])) }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its id, which says when. Later lines have greater ones.
    pub id: AuditId,
    /// The chain that it is about; `None` = none, or all.
    pub chain: Option<ChainId>,
    /// Who, and from where.
    pub by: By,
    /// What was done.
    pub action: Action,
    /// To what, by its id; of which kind, the action says.
    pub target: String,
    /// Before and after.
    pub change: Change,
}

impl AuditId {
    /// When its line was written, to the millisecond.
    pub fn at(self) -> Timestamp {
        let millis = i64::try_from(self.ulid().timestamp_ms()).unwrap_or(i64::MAX);
        Timestamp::from_timestamp_millis(millis).unwrap_or_default()
    }

    /// Before every line of this millisecond, and behind every earlier one.
    pub fn first_at(at: Timestamp) -> Self {
        Self::new(first_ulid_at(at))
    }
}

/// Which lines are sought.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Those about this chain.
    pub chain: Option<ChainId>,
    /// Those by this author.
    pub author: Option<AuthorCode>,
    /// Those of which something of this was done.
    pub actions: Option<Actions>,
    /// Those about the thing of this id.
    pub target: Option<String>,
    /// Not before this instant.
    pub since: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether a line is among them.
    pub fn matches(&self, line: &Entry) -> bool {
        let Self { chain, author, actions, target, since, until } = self;
        chain.as_ref().is_none_or(|chain| line.chain.as_ref() == Some(chain))
            && author.as_ref().is_none_or(|author| line.by.author.code() == *author)
            && actions.as_ref().is_none_or(|actions| actions.have(line.action))
            && target.as_ref().is_none_or(|target| line.target == *target)
            && since.is_none_or(|since| line.id >= AuditId::first_at(since))
            && until.is_none_or(|until| line.id < AuditId::first_at(until))
    }
}
