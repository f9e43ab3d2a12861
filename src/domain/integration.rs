//! Integrations: the platforms that a chain's data are kept in step with.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use super::Timestamp;
use super::chain::ChainId;
use super::endpoint::Credential;
use super::export_schedule::ExportDataType;
use super::ids::IntegrationId;

/// A platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Platform {
    /// Loyalty.
    Punchh,
    /// Loyalty.
    Thanx,
    /// Loyalty.
    Paytronix,
    /// Ordering.
    Olo,
    /// Marketing.
    Braze,
    /// Marketing.
    Klaviyo,
    /// Customer data.
    Segment,
    /// Customer relations.
    Salesforce,
}

impl Platform {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Punchh,
        Self::Thanx,
        Self::Paytronix,
        Self::Olo,
        Self::Braze,
        Self::Klaviyo,
        Self::Segment,
        Self::Salesforce,
    ];

    /// The word used in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Punchh => "punchh",
            Self::Thanx => "thanx",
            Self::Paytronix => "paytronix",
            Self::Olo => "olo",
            Self::Braze => "braze",
            Self::Klaviyo => "klaviyo",
            Self::Segment => "segment",
            Self::Salesforce => "salesforce",
        }
    }

    /// Whether each of its customers has an address of their own there, which has to be said.
    pub const fn has_instances(self) -> bool {
        matches!(self, Self::Braze | Self::Salesforce)
    }
}

impl FromStr for Platform {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|platform| platform.as_str() == word).ok_or(())
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What lets us in there. It is serialized to be sealed, and not shown again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Who we are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Credential>,
    /// What proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_secret: Option<Credential>,
    /// The chain's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<Credential>,
    /// Where its own instance is, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_url: Option<Url>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// What is kept in step, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SyncSettings")]
pub struct Sync {
    /// Members.
    pub guests: bool,
    /// Who is in which segment.
    pub segments: bool,
    /// Signals and sessions.
    pub signals: bool,
    /// Orders.
    pub orders: bool,
    /// As it happens, or in batches.
    pub real_time: bool,
}

impl Sync {
    /// The kinds of data that are kept in step.
    pub fn data_types(self) -> Vec<ExportDataType> {
        let wanted = [
            (self.guests, ExportDataType::GuestProfiles),
            (self.segments, ExportDataType::Segments),
            (self.signals, ExportDataType::Signals),
            (self.orders, ExportDataType::Orders),
        ];
        wanted.into_iter().filter_map(|(is_wanted, kind)| is_wanted.then_some(kind)).collect()
    }
}

/// An integration: one for each chain and platform. Its credentials are kept apart, because nobody is shown them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integration {
    /// Its id.
    pub id: IntegrationId,
    /// Whose data.
    pub chain: ChainId,
    /// With whom.
    pub platform: Platform,
    /// What is kept in step.
    pub sync: Sync,
    /// When it was configured first.
    pub created_at: Timestamp,
    /// When it was configured last.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_in_step_is_what_was_asked_for() {
        let sync = Sync { guests: true, segments: true, signals: false, orders: true, real_time: true };
        let kinds = [ExportDataType::GuestProfiles, ExportDataType::Segments, ExportDataType::Orders];
        assert_eq!(sync.data_types(), kinds);
        let nothing = Sync { guests: false, segments: false, orders: false, ..sync };
        assert_eq!(nothing.data_types(), []);
    }

    #[test]
    fn platforms_survive_their_word() {
        for platform in Platform::ALL {
            assert_eq!(platform.as_str().parse(), Ok(platform));
        }
        assert_eq!("square".parse::<Platform>(), Err(()));
    }

    #[test]
    fn credentials_are_written_to_be_sealed_and_not_for_logs() {
        let json = r#"{"api_key":"pk_1","account_id":"us","instance_url":"https://eu.braze.example/"}"#;
        let read: Credentials = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert_eq!(format!("{read:?}"), "Credentials(…)");
    }
}
