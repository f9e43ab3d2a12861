//! Chains as outsiders see them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::chain::{Chain, ChainId};
use crate::domain::text::Name;

/// A chain.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Chain")]
pub struct ChainView {
    /// Its id.
    pub id: ChainId,
    /// Its name for people.
    pub name: Name,
    /// The IANA name of its time zone.
    pub timezone: &'static str,
    /// ISO 4217 code.
    pub currency: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// How often it was changed, and one: what its `ETag` says.
    pub revision: i64,
}

impl From<&Chain> for ChainView {
    fn from(chain: &Chain) -> Self {
        Self {
            id: chain.id.clone(),
            name: chain.name.clone(),
            timezone: chain.timezone.name(),
            currency: chain.currency.code.clone(),
            created_at: chain.created_at,
            revision: chain.revision,
        }
    }
}
