//! Endpoints. Their credentials (keys, headers, and how we say who we are) are sealed by the vault.

use std::collections::BTreeMap;

use diesel::dsl::exists;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::{deliveries, endpoints};
use super::sequence;
use super::vault::Vault;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::endpoint::{
    Auth, BadKeys, Endpoint, EndpointState, KeyNumber, Keys, OlderKey, Secret, Signatures, SigningKey,
    SigningPair,
};
use crate::domain::ids::EndpointId;
use crate::domain::json::to_json;
use crate::domain::text::Note;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = endpoints, primary_key(chain, id))]
#[diesel(treat_none_as_default_value = false, treat_none_as_null = true)]
struct EndpointRow {
    chain: String,
    id: String,
    url: String,
    description: Option<String>,
    dialect: String,
    events: String,
    tags: String,
    credentials: Vec<u8>,
    settings: String,
    disabled_reason: Option<String>,
    disabled_at: Option<i64>,
    paused_at: Option<i64>,
    paused_until: Option<i64>,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

/// What is sealed: receivers' own keys often travel in headers.
#[derive(Serialize, Deserialize)]
struct Credentials {
    signatures: Signatures,
    /// The newest first.
    keys: Vec<SealedKey>,
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth: Option<Auth>,
}

#[derive(Serialize, Deserialize)]
struct SealedKey {
    id: KeyNumber,
    secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ed25519: Option<String>,
    since: Timestamp,
    /// Of the newest there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

impl SealedKey {
    fn of(key: &SigningKey, until: Option<Timestamp>) -> Self {
        Self {
            id: key.id,
            secret: key.secret.reveal().to_owned(),
            ed25519: key.pair.as_ref().map(SigningPair::reveal),
            since: key.since,
            until,
        }
    }

    fn read(self, row: Row<'_>) -> Result<(SigningKey, Option<Timestamp>), StoreError> {
        let pair = self.ed25519.as_deref().map(SigningPair::of_text).transpose();
        let key = SigningKey {
            id: self.id,
            secret: row.check("credentials", Secret::of_text(&self.secret))?,
            pair: row.check("credentials", pair)?,
            since: self.since,
        };
        Ok((key, self.until))
    }
}

impl Credentials {
    fn of(endpoint: &Endpoint) -> Self {
        let keys = &endpoint.keys;
        let older = keys.older().iter().map(|older| SealedKey::of(&older.key, Some(older.until)));
        Self {
            signatures: keys.signatures(),
            keys: std::iter::once(SealedKey::of(keys.newest(), None)).chain(older).collect(),
            headers: endpoint.headers.clone(),
            auth: endpoint.auth.clone(),
        }
    }

    /// The keys among them; the rest stays.
    fn take_keys(&mut self, row: Row<'_>) -> Result<Keys, StoreError> {
        let kept: Vec<_> =
            std::mem::take(&mut self.keys).into_iter().map(|key| key.read(row)).collect::<Result<_, _>>()?;
        let mut kept = kept.into_iter();
        let newest = row.check("credentials", kept.next().ok_or(BadKeys))?;
        let older = kept.map(|(key, until)| Some(OlderKey { key, until: until? }));
        let older = row.check("credentials", older.collect::<Option<_>>().ok_or(BadKeys))?;
        row.check("credentials", Keys::kept(self.signatures, newest.0, older))
    }
}

impl EndpointRow {
    fn of(endpoint: &Endpoint, vault: &Vault) -> Result<Self, StoreError> {
        let micros = |at: &Timestamp| at.timestamp_micros();
        let (disabled, paused) = match &endpoint.state {
            EndpointState::Enabled => (None, None),
            EndpointState::Disabled { reason, at } => (Some((reason.to_string(), micros(at))), None),
            EndpointState::Paused { at, until } => (None, Some((micros(at), until.as_ref().map(micros)))),
        };
        let (disabled_reason, disabled_at) = disabled.unzip();
        Ok(Self {
            chain: endpoint.chain.to_string(),
            id: endpoint.id.to_string(),
            url: endpoint.url.to_string(),
            description: endpoint.description.as_ref().map(|d| d.to_string()),
            dialect: endpoint.dialect.as_str().to_owned(),
            events: to_json(&endpoint.events),
            tags: to_json(&endpoint.tags),
            credentials: seal(endpoint, vault)?,
            settings: to_json(&endpoint.settings),
            disabled_reason,
            disabled_at,
            paused_at: paused.map(|(at, _)| at),
            paused_until: paused.and_then(|(_, until)| until),
            created_at: endpoint.created_at.timestamp_micros(),
            updated_at: endpoint.updated_at.timestamp_micros(),
            revision: endpoint.revision,
        })
    }

    fn read(self, vault: &Vault) -> Result<Endpoint, StoreError> {
        let row = Row { table: "endpoints", id: &self.id };
        let credentials = vault.open(&sealed_for(&self.chain, &self.id), &self.credentials)?;
        // What does not fit is not quoted.
        let mut credentials: Credentials = row.check("credentials", serde_json::from_str(&credentials))?;
        let keys = credentials.take_keys(row)?;
        let state = match (&self.disabled_reason, self.disabled_at, self.paused_at) {
            (Some(reason), Some(at), _) => EndpointState::Disabled {
                reason: row.check("disabled_reason", Note::parse(reason))?,
                at: row.time("disabled_at", at)?,
            },
            (_, _, Some(at)) => EndpointState::Paused {
                at: row.time("paused_at", at)?,
                until: row.time_opt("paused_until", self.paused_until)?,
            },
            _ => EndpointState::Enabled,
        };
        let description = self.description.as_deref().map(Note::parse).transpose();
        Ok(Endpoint {
            id: row.parse("id", &self.id)?,
            chain: row.parse("chain", &self.chain)?,
            url: row.parse("url", &self.url)?,
            description: row.check("description", description)?,
            dialect: row.parse("dialect", &self.dialect)?,
            events: row.json("events", &self.events)?,
            tags: row.json("tags", &self.tags)?,
            headers: credentials.headers,
            state,
            settings: row.json("settings", &self.settings)?,
            keys,
            auth: credentials.auth,
            created_at: row.time("created_at", self.created_at)?,
            updated_at: row.time("updated_at", self.updated_at)?,
            revision: self.revision,
        })
    }
}

fn sealed_for(chain: &str, id: &str) -> String {
    format!("endpoint {chain}/{id}")
}

fn seal(endpoint: &Endpoint, vault: &Vault) -> Result<Vec<u8>, StoreError> {
    let aad = sealed_for(endpoint.chain.as_str(), &endpoint.id.to_string());
    vault.seal_anew(&aad, &to_json(&Credentials::of(endpoint)))
}

/// Stores a new endpoint.
pub fn insert(conn: &mut DbConn, vault: &Vault, endpoint: &Endpoint) -> Result<(), StoreError> {
    diesel::insert_into(endpoints::table)
        .values(EndpointRow::of(endpoint, vault)?)
        .execute(conn)
        .map_err(|e| StoreError::taken(e, "endpoint", endpoint.id))?;
    sequence::begin(conn, endpoint)
}

/// Replaces an endpoint; a deleted one stays as it is. When other deliveries are to wait for each other from now on, those that
/// are owed are left to [`lane::relane`](super::lane::relane).
pub fn update(conn: &mut DbConn, vault: &Vault, endpoint: &Endpoint) -> Result<(), StoreError> {
    diesel::update(endpoints::table.find((endpoint.chain.as_str(), endpoint.id.to_string())))
        .filter(endpoints::deleted_at.is_null())
        .set(EndpointRow::of(endpoint, vault)?)
        .execute(conn)?;
    sequence::change_lane(conn, endpoint)
}

/// Deletes an endpoint: nobody sees it any more, its log stays. What it is still owed is left to
/// [`delivery::discard_owed`](super::delivery::discard_owed).
pub fn delete(conn: &mut DbConn, chain: &ChainId, id: EndpointId, now: Timestamp) -> Result<(), StoreError> {
    diesel::update(endpoints::table.find((chain.as_str(), id.to_string())))
        .filter(endpoints::deleted_at.is_null())
        .set(endpoints::deleted_at.eq(now.timestamp_micros()))
        .execute(conn)?;
    Ok(())
}

/// Deleted endpoints that are still owed something: a commit that was decided before the deletion was written after it,
/// or not everything was discarded yet.
pub fn deleted_but_owed(conn: &mut DbConn, chain: &ChainId) -> Result<Vec<EndpointId>, StoreError> {
    let owed = deliveries::table
        .filter(deliveries::chain.eq(endpoints::chain))
        .filter(deliveries::endpoint.eq(endpoints::id))
        .filter(deliveries::settled_at.is_null());
    let ids: Vec<String> = endpoints::table
        .filter(endpoints::chain.eq(chain.as_str()))
        .filter(endpoints::deleted_at.is_not_null())
        .filter(exists(owed))
        .select(endpoints::id)
        .load(conn)?;
    ids.iter().map(|id| Row { table: "endpoints", id }.parse("id", id)).collect()
}

/// A chain's endpoints, oldest first.
pub fn list(conn: &mut DbConn, vault: &Vault, chain: &ChainId) -> Result<Vec<Endpoint>, StoreError> {
    let rows = endpoints::table
        .filter(endpoints::chain.eq(chain.as_str()))
        .filter(endpoints::deleted_at.is_null())
        .select(EndpointRow::as_select())
        .order(endpoints::id)
        .load(conn)?;
    rows.into_iter().map(|row| row.read(vault)).collect()
}

/// One endpoint, unless it is deleted.
pub fn get(
    conn: &mut DbConn,
    vault: &Vault,
    chain: &ChainId,
    id: EndpointId,
) -> Result<Option<Endpoint>, StoreError> {
    let row = endpoints::table
        .find((chain.as_str(), id.to_string()))
        .filter(endpoints::deleted_at.is_null())
        .select(EndpointRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(|row| row.read(vault)).transpose()
}
