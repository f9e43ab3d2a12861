//! What the audit log sees of a thing: what may be shown of it, and of the rest only whether it changed.
//!
//! Each thing is taken apart field by field, so that whoever adds one says what of it may be shown.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::Fields;
use crate::domain::api_key::ApiKey;
use crate::domain::chain::Chain;
use crate::domain::coupon::{BookFace, CouponBook};
use crate::domain::endpoint::{Auth, ClientCredentials, Endpoint, Identity, Keys};
use crate::domain::export_schedule::{Destination, ExportSchedule, ExportSettings};
use crate::domain::integration::{Credentials, Integration};
use crate::domain::json::to_json;
use crate::domain::publication::Publication;
use crate::domain::recovery::Recovery;
use crate::domain::roll_out::RollOut;
use crate::domain::suspension::Suspension;

/// The longest value that is shown whole, in bytes; of a longer one its length and its SHA-256.
const LONGEST: usize = 2_000;
/// What stands for what is not shown.
const VEIL: &str = "…";

/// A thing as the audit log sees it.
#[derive(Debug, Default)]
pub struct Face {
    shown: Fields,
    /// What tells those apart of which not all is shown.
    veiled: BTreeMap<String, [u8; 32]>,
}

impl Face {
    /// A field that may be seen.
    #[must_use]
    pub fn show(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.shown.insert(name.to_owned(), shortened(value));
        self
    }

    /// The fields of something that may be seen.
    #[must_use]
    fn show_all(self, value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(Value::Object(fields)) => {
                fields.into_iter().fold(self, |face, (name, value)| face.show(&name, value))
            }
            _ => self,
        }
    }

    /// A field of which only this may be seen; and whether it changes.
    #[must_use]
    fn veil(mut self, name: &str, seen: impl Into<Value>, real: &str) -> Self {
        self.veiled.insert(name.to_owned(), Sha256::digest(real).into());
        self.shown.insert(name.to_owned(), seen.into());
        self
    }

    /// The fields that have a value.
    pub(super) fn known(self) -> Fields {
        self.shown.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }

    /// The fields that differ, as they were and as they are.
    pub(super) fn differing(mut self, mut after: Self) -> (Fields, Fields) {
        let names: BTreeSet<String> = self.shown.keys().chain(after.shown.keys()).cloned().collect();
        let (mut were, mut are) = (Fields::new(), Fields::new());
        for name in names {
            let is_same = self.shown.get(&name) == after.shown.get(&name)
                && self.veiled.get(&name) == after.veiled.get(&name);
            if !is_same {
                were.extend(self.shown.remove(&name).map(|value| (name.clone(), value)));
                are.extend(after.shown.remove(&name).map(|value| (name, value)));
            }
        }
        (were, are)
    }
}

fn shortened(value: Value) -> Value {
    let text = value.to_string();
    if text.len() <= LONGEST { value } else { digest(&text) }
}

/// What a long text is told by.
fn digest(text: &str) -> Value {
    json!({ "bytes": text.len(), "sha256": hex(&Sha256::digest(text).into()) })
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a url leads. What stands behind its host often is a credential, as in those of chat rooms.
fn place(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    if url.path() == "/" && url.query().is_none() { format!("{origin}/") } else { format!("{origin}/{VEIL}") }
}

/// How we say who we are, without what proves it.
fn way(auth: &Auth) -> Value {
    match auth {
        Auth::Basic { username, password: _ } => json!({ "type": "basic", "username": username }),
        Auth::Bearer { token: _ } => json!({ "type": "bearer" }),
        Auth::OAuth2(ClientCredentials { token_url, client_id, client_secret: _, scope, audience }) => {
            json!({
                "type": "oauth2", "token_url": place(token_url), "client_id": client_id, "scope": scope, "audience": audience,
            })
        }
        Auth::Mtls(Identity { certificate, key: _ }) => {
            json!({ "type": "mtls", "certificate": digest(certificate) })
        }
    }
}

/// Which keys there are, the newest first.
fn numbers(keys: &Keys) -> Value {
    let newest = json!({ "id": keys.newest().id });
    let older = keys.older().iter().map(|older| json!({ "id": older.key.id, "until": older.until }));
    std::iter::once(newest).chain(older).collect()
}

impl From<&Endpoint> for Face {
    fn from(endpoint: &Endpoint) -> Self {
        let Endpoint {
            id: _,
            chain: _,
            url,
            description,
            dialect,
            events,
            tags,
            headers,
            state,
            settings,
            keys,
            auth,
            created_at: _,
            updated_at: _,
            revision: _,
        } = endpoint;
        let face = Self::default()
            .show_all(settings)
            .show_all(state)
            .veil("url", place(url), url.as_str())
            .show("description", description)
            .show("dialect", dialect)
            .show("events", events)
            .show("tags", tags)
            .show("signatures", keys.signatures())
            .show("keys", numbers(keys));
        // A script may hold what a receiver wants to be told.
        let face = match &settings.transform {
            Some(script) => face.show("transform", digest(script.as_str())),
            None => face,
        };
        let face = match auth {
            Some(auth) => face.veil("auth", way(auth), &to_json(auth)),
            None => face,
        };
        headers.iter().fold(face, |face, (name, value)| face.veil(&format!("headers.{name}"), VEIL, value))
    }
}

impl From<&ApiKey> for Face {
    fn from(key: &ApiKey) -> Self {
        let ApiKey {
            id: _,
            role,
            chain,
            name,
            created_at: _,
            created_by: _,
            expires_at,
            revoked_at,
            last_used_at: _,
            requests_per_minute,
        } = key;
        Self::default()
            .show("role", role)
            .show("chain", chain)
            .show("name", name)
            .show("expires_at", expires_at)
            .show("revoked_at", revoked_at)
            .show("requests_per_minute", requests_per_minute)
    }
}

impl From<&Chain> for Face {
    fn from(chain: &Chain) -> Self {
        let Chain { id: _, name, timezone, currency, created_at: _, revision: _ } = chain;
        Self::default().show("name", name).show("timezone", timezone.name()).show("currency", &currency.code)
    }
}

impl From<&Publication> for Face {
    fn from(publication: &Publication) -> Self {
        let Publication { version, hash, origin, by: _, note, at: _ } = publication;
        Self::default()
            .show("version", version)
            .show("origin", origin)
            .show("restores", origin.restores())
            .show("note", note)
            .show("files_sha256", hex(hash))
    }
}

impl From<&ExportSchedule> for Face {
    fn from(schedule: &ExportSchedule) -> Self {
        let ExportSchedule { id: _, chain: _, settings, created_at: _ } = schedule;
        let ExportSettings { frequency, destination, data_types, modified_since } = settings;
        let face = Self::default()
            .show("frequency", frequency)
            .show("data_types", data_types)
            .show("modified_since", modified_since);
        match destination {
            Destination::Webhook { url } => face.veil("destination", place(url), url.as_str()),
            elsewhere @ (Destination::S3 { .. } | Destination::Sftp { .. }) => {
                face.show("destination", elsewhere)
            }
        }
    }
}

impl From<(&Integration, Option<&Credentials>)> for Face {
    fn from((integration, credentials): (&Integration, Option<&Credentials>)) -> Self {
        let Integration { id: _, chain: _, platform, sync, created_at: _, updated_at: _ } = integration;
        let face = Self::default().show("platform", platform).show_all(sync);
        face.veil("credentials", VEIL, &to_json(&credentials))
    }
}

impl From<&RollOut> for Face {
    fn from(roll_out: &RollOut) -> Self {
        let RollOut { version: _, base, began: _, changes: _, ended } = roll_out;
        Self::default()
            .show_all(&roll_out.stage().audience)
            .show("base", base)
            .show("ended", ended.as_ref().map(|ended| ended.how))
    }
}

impl From<&Suspension> for Face {
    fn from(suspension: &Suspension) -> Self {
        let Suspension { rule: _, at, version, since, members, failed_at, error: _ } = suspension;
        Self::default()
            .show("version", version)
            .show("at", at)
            .show("since", since)
            .show("members", members)
            .show("failed_at", failed_at)
    }
}

impl From<&Recovery> for Face {
    fn from(recovery: &Recovery) -> Self {
        let Recovery { id: _, endpoint, which, period, asked_by: _, begun_at: _, counts: _, progress: _ } =
            recovery;
        Self::default()
            .show("endpoint", endpoint)
            .show("status", which)
            .show("since", period.since())
            .show("until", period.until())
    }
}

impl From<&CouponBook> for Face {
    fn from(book: &CouponBook) -> Self {
        Self::default().show_all(BookFace::from(book))
    }
}
