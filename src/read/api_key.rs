//! API keys as outsiders see them: never a text, never a hash.

use schemars::JsonSchema;
use serde::Serialize;

use super::page::{Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::allowance::RequestsPerMinute;
use crate::domain::api_key::{ApiKey, FoundKey, KeyHash};
use crate::domain::chain::ChainId;
use crate::domain::ids::KeyId;
use crate::domain::role::Role;
use crate::domain::text::Name;
use crate::store;

/// A key in a list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
pub struct KeyView {
    /// Its id.
    pub id: KeyId,
    /// What it may do.
    pub role: Role,
    /// The one chain it is for; `null` = all.
    pub chain: Option<ChainId>,
    /// For people.
    pub name: Option<Name>,
    /// When it was made.
    pub created_at: Timestamp,
    /// What people call the key that made it; or what made it otherwise.
    pub created_by: Name,
    /// From this instant on it does not work; `null` = it has no end.
    pub expires_at: Option<Timestamp>,
    /// The minute in which it was used last; known about a minute later. `null` = never.
    pub last_used_at: Option<Timestamp>,
    /// Its own limit, instead of the one for all keys.
    pub requests_per_minute: Option<RequestsPerMinute>,
    /// When it was revoked, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        let ApiKey { id, role, chain, name, created_at, created_by, .. } = key;
        let ApiKey { expires_at, revoked_at, last_used_at, requests_per_minute, .. } = key;
        Self {
            id,
            role,
            chain,
            name,
            created_at,
            created_by,
            expires_at,
            last_used_at,
            requests_per_minute,
            revoked_at,
        }
    }
}

impl Reader {
    /// The key that has a text with this hash, whether it works or not.
    ///
    /// # Errors
    /// The store failed.
    pub async fn key_of_text(&self, hash: KeyHash) -> Result<Option<FoundKey>, ReadError> {
        // With the engine's connections: nobody is let in or kept out because others list.
        Ok(self.store.read(move |conn| store::key::find_by_hash(conn, &hash)).await?)
    }

    /// The key with this id, whether it works or not; with a chain, if it is for that one.
    ///
    /// # Errors
    /// The store failed.
    pub async fn key(&self, chain: Option<ChainId>, id: KeyId) -> Result<Option<KeyView>, ReadError> {
        let find = move |conn: &mut _| Ok(store::key::find(conn, chain.as_ref(), id)?);
        Ok(self.run(find).await?.map(KeyView::from))
    }

    /// The keys of one chain, or all keys; newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn keys(
        &self,
        chain: Option<ChainId>,
        wanted: Wanted<KeyId>,
    ) -> Result<Page<KeyView>, ReadError> {
        let list =
            move |conn: &mut _| Ok(store::key::list(conn, chain.as_ref(), wanted.rows(), wanted.after)?);
        let keys = self.run(list).await?;
        wanted.page(keys, |key| key.id.to_string()).map(|key| Ok(KeyView::from(key)))
    }
}
