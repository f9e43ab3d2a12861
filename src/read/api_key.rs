//! API keys as outsiders see them: never the hash.

use schemars::JsonSchema;
use serde::Serialize;

use super::page::{Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::api_key::{ApiKey, KeyHash};
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
    /// When it was revoked, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl KeyView {
    /// What may be shown of a key.
    pub fn of(key: ApiKey) -> Self {
        let ApiKey { id, role, chain, name, created_at, revoked_at, hash: _ } = key;
        Self { id, role, chain, name, created_at, revoked_at }
    }
}

impl Reader {
    /// The key with this hash, unless it was revoked.
    ///
    /// # Errors
    /// The store failed.
    pub async fn live_key(&self, hash: KeyHash) -> Result<Option<KeyView>, ReadError> {
        // With the engine's connections: nobody is let in or kept out because others list.
        let found = self.store.read(move |conn| store::key::find_by_hash(conn, &hash)).await?;
        Ok(found.filter(|key| key.revoked_at.is_none()).map(KeyView::of))
    }

    /// The key with this id, revoked or not.
    ///
    /// # Errors
    /// The store failed.
    pub async fn key(&self, id: KeyId) -> Result<Option<KeyView>, ReadError> {
        let keys = self.run(|conn| Ok(store::key::list(conn)?)).await?;
        Ok(keys.into_iter().find(|key| key.id == id).map(KeyView::of))
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
        let mut rows = self.run(|conn| Ok(store::key::list(conn)?)).await?;
        rows.retain(|key| chain.is_none() || key.chain == chain);
        rows.sort_unstable_by_key(|key| std::cmp::Reverse(key.id));
        let keys = rows.into_iter().map(KeyView::of).collect::<Vec<_>>();
        Ok(wanted.of_all(keys, |key| key.id, |key| key.id.to_string()))
    }
}
