//! Published versions of a chain's program: numbered from 1, never changed. The newest that is no candidate is in force.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::Timestamp;
use super::text::{Name, Note};

/// Where a version comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The chain's folder under `rules/` was edited.
    Folder,
    /// Somebody sent the files.
    Api,
    /// Somebody went back to this version.
    Rollback(i64),
    /// Somebody tries it on some members or at some locations: it is not in force.
    Candidate,
    /// This candidate was put in force for everybody.
    Promotion(i64),
}

impl Origin {
    /// Its name, as stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Api => "api",
            Self::Rollback(_) => "rollback",
            Self::Candidate => "candidate",
            Self::Promotion(_) => "promotion",
        }
    }

    /// The version whose files it repeats, if it does.
    pub const fn restores(self) -> Option<i64> {
        match self {
            Self::Rollback(version) | Self::Promotion(version) => Some(version),
            Self::Folder | Self::Api | Self::Candidate => None,
        }
    }

    /// Reads what [`Self::as_str`] and [`Self::restores`] wrote.
    pub fn read(name: &str, restores: Option<i64>) -> Option<Self> {
        match (name, restores) {
            ("folder", None) => Some(Self::Folder),
            ("api", None) => Some(Self::Api),
            ("rollback", Some(version)) => Some(Self::Rollback(version)),
            ("candidate", None) => Some(Self::Candidate),
            ("promotion", Some(version)) => Some(Self::Promotion(version)),
            _ => None,
        }
    }
}

impl JsonSchema for Origin {
    fn schema_name() -> Cow<'static, str> {
        "Origin".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["folder", "api", "rollback", "candidate", "promotion"] })
    }
}

impl Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One version, but for its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Its number.
    pub version: i64,
    /// SHA-256 of its files.
    pub hash: [u8; 32],
    /// Where it comes from.
    pub origin: Origin,
    /// The API key that published it; `None` = nobody did, the folder was edited.
    pub by: Option<Name>,
    /// Why, in words.
    pub note: Option<Note>,
    /// When.
    pub at: Timestamp,
}
