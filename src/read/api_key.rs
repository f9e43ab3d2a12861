//! API keys as outsiders see them: never the hash.

use serde::Serialize;

use super::page::{Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::api_key::{ApiKey, KeyHash};
use crate::domain::chain::ChainId;
use crate::domain::ids::KeyId;
use crate::domain::role::Role;
use crate::store;

/// A key in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeyView {
    /// Its id.
    pub id: KeyId,
    /// What it may do.
    pub role: Role,
    /// The one chain it is for; `null` = all.
    pub chain: Option<ChainId>,
    /// For people.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl From<&ApiKey> for KeyView {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id,
            role: key.role,
            chain: key.chain.clone(),
            name: key.name.as_ref().map(ToString::to_string),
            created_at: key.created_at,
            revoked_at: None,
        }
    }
}

impl KeyView {
    fn of(key: store::key::ApiKey) -> Result<Self, ReadError> {
        let role = key.role.parse().map_err(|_| ReadError::Corrupt("key"))?;
        let name = Some(key.name).filter(|name| !name.is_empty());
        let (id, chain, created_at) = (key.id, key.chain, key.created_at);
        Ok(Self { id, role, chain, name, created_at, revoked_at: key.revoked_at })
    }
}

impl Reader {
    /// The key with this hash, unless it was revoked.
    ///
    /// # Errors
    /// The store failed.
    pub async fn live_key(&self, hash: KeyHash) -> Result<Option<KeyView>, ReadError> {
        let found = self.run(move |conn| Ok(store::key::find_by_hash(conn, &hash.0)?)).await?;
        found.filter(|key| key.revoked_at.is_none()).map(KeyView::of).transpose()
    }

    /// The key with this id, revoked or not.
    ///
    /// # Errors
    /// The store failed.
    pub async fn key(&self, id: KeyId) -> Result<Option<KeyView>, ReadError> {
        let keys = self.run(|conn| Ok(store::key::list(conn)?)).await?;
        keys.into_iter().find(|key| key.id == id).map(KeyView::of).transpose()
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
        let keys = rows.into_iter().map(KeyView::of).collect::<Result<Vec<_>, _>>()?;
        Ok(wanted.of_all(keys, |key| key.id, |key| key.id.to_string()))
    }
}
