//! Endpoints as outsiders see them: never a secret, and of extra headers only the names, because their values are
//! often credentials.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::endpoint::{
    Auth, ClientCredentials, Dialect, Endpoint, EndpointState, EventPattern, Identity, KeyNumber, Keys,
    Settings, Signatures, SigningKey, SigningPair,
};
use crate::domain::gate::{Condition, Hold, Leave};
use crate::domain::ids::EndpointId;
use crate::domain::text::{Name, Note};
use crate::store::condition;

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Endpoint")]
pub struct EndpointView {
    /// Its id.
    pub id: EndpointId,
    /// Where loyalty events go.
    pub url: String,
    /// For people.
    pub description: Option<Note>,
    /// How it is spoken to.
    pub dialect: Dialect,
    /// The loyalty events it gets.
    pub events: Vec<EventPattern>,
    /// Names that triggers forward to.
    pub tags: Vec<Name>,
    /// The names of its extra headers.
    pub headers: Vec<String>,
    /// How we say who we are.
    pub auth: Option<AuthView>,
    /// What `webhook-signature` holds.
    pub signatures: Signatures,
    /// The keys that sign, the newest first.
    pub keys: Vec<KeyView>,
    /// How deliveries leave.
    #[serde(flatten)]
    pub settings: Settings,
    /// Why its filter cannot be asked about all that it is for; that passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_problem: Option<String>,
    /// `status`, and when disabled or paused also since when, and why or for how long.
    #[serde(flatten)]
    pub state: EndpointState,
    /// How its receiver does.
    pub condition: ConditionView,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// How often it was changed, and one: what its `ETag` says.
    pub revision: i64,
}

/// A key, without what is secret of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "SigningKey")]
pub struct KeyView {
    /// Which one.
    pub id: KeyNumber,
    /// Since when it signs.
    pub since: Timestamp,
    /// Until when; null while no other has followed it.
    pub until: Option<Timestamp>,
    /// What verifies its `v1a`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

impl KeyView {
    /// Those that sign at `now`, the newest first.
    pub fn all(keys: &Keys, now: Timestamp) -> Vec<Self> {
        let view = |(key, until): (&SigningKey, _)| Self {
            id: key.id,
            since: key.since,
            until,
            public_key: key.pair.as_ref().map(SigningPair::public_key),
        };
        keys.live(now).map(view).collect()
    }
}

/// How we say who we are, without what is secret of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "EndpointAuth")]
pub enum AuthView {
    /// With a name and a password.
    Basic {
        /// The name.
        username: String,
    },
    /// With a token.
    Bearer,
    /// With tokens that somebody else gives out.
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// Who does.
        token_url: String,
        /// Who we are there.
        client_id: String,
        /// What they are to be good for.
        scope: Option<String>,
        /// Whom they are for.
        audience: Option<String>,
    },
    /// With a certificate.
    Mtls {
        /// The certificate.
        certificate: String,
    },
}

impl From<&Auth> for AuthView {
    fn from(auth: &Auth) -> Self {
        match auth.clone() {
            Auth::Basic { username, password: _ } => Self::Basic { username },
            Auth::Bearer { token: _ } => Self::Bearer,
            Auth::OAuth2(ClientCredentials { token_url, client_id, client_secret: _, scope, audience }) => {
                Self::OAuth2 { token_url: token_url.into(), client_id, scope, audience }
            }
            Auth::Mtls(Identity { certificate, key: _ }) => Self::Mtls { certificate },
        }
    }
}

/// Whether the circuit breaker lets deliveries leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Breaker")]
pub enum BreakerView {
    /// They leave.
    Closed,
    /// None leaves.
    Open,
    /// The next one decides.
    HalfOpen,
}

/// How an endpoint's receiver does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "EndpointCondition")]
pub struct ConditionView {
    /// Whether the breaker lets deliveries leave.
    pub breaker: BreakerView,
    /// Nothing leaves before this; `null` when nothing is held back.
    pub held_until: Option<Timestamp>,
    /// Since when it has taken nothing; `null` when it took the last one.
    pub failing_since: Option<Timestamp>,
    /// When it was told that the endpoint is failing.
    pub warned_at: Option<Timestamp>,
}

impl ConditionView {
    fn of(condition: &Condition, now: Timestamp) -> Self {
        let held_until = match condition.leave(now) {
            Leave::NothingBefore(until) => Some(until),
            Leave::Freely | Leave::OneProbe => None,
        };
        let breaker = match condition.hold {
            Hold::Free | Hold::Asked { .. } => BreakerView::Closed,
            Hold::Open { .. } if held_until.is_some() => BreakerView::Open,
            Hold::Open { .. } => BreakerView::HalfOpen,
        };
        Self {
            breaker,
            held_until,
            failing_since: condition.trouble.map(|trouble| trouble.since),
            warned_at: condition.trouble.and_then(|trouble| trouble.warned_at),
        }
    }
}

impl Reader {
    /// Endpoints of one chain as they are at `now`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn endpoints(
        &self,
        chain: ChainId,
        endpoints: &[Arc<Endpoint>],
        now: Timestamp,
    ) -> Result<Vec<EndpointView>, ReadError> {
        let read = move |conn: &mut _| Ok(condition::list(conn, &chain)?);
        let conditions: BTreeMap<_, _> = self.run(read).await?.into_iter().collect();
        let condition = |id| conditions.get(&id).copied().unwrap_or_default();
        Ok(endpoints.iter().map(|one| EndpointView::new(one, &condition(one.id), now)).collect())
    }

    /// An endpoint as it is at `now`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn endpoint(&self, endpoint: &Endpoint, now: Timestamp) -> Result<EndpointView, ReadError> {
        let (chain, id) = (endpoint.chain.clone(), endpoint.id);
        let noted = self.run(move |conn| Ok(condition::get(conn, &chain, id)?)).await?;
        Ok(EndpointView::new(endpoint, &noted.condition, now))
    }
}

impl From<&Endpoint> for EndpointView {
    /// One that was just made: nothing is known of its receiver.
    fn from(endpoint: &Endpoint) -> Self {
        Self::new(endpoint, &Condition::default(), endpoint.created_at)
    }
}

impl EndpointView {
    fn new(endpoint: &Endpoint, condition: &Condition, now: Timestamp) -> Self {
        Self {
            condition: ConditionView::of(condition, now),
            id: endpoint.id,
            url: endpoint.url.to_string(),
            description: endpoint.description.clone(),
            dialect: endpoint.dialect,
            events: endpoint.events.clone(),
            tags: endpoint.tags.clone(),
            headers: endpoint.headers.keys().cloned().collect(),
            auth: endpoint.auth.as_ref().map(AuthView::from),
            signatures: endpoint.keys.signatures(),
            keys: KeyView::all(&endpoint.keys, now),
            settings: endpoint.settings.clone(),
            filter_problem: None,
            state: endpoint.state.clone(),
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
            revision: endpoint.revision,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::Secret;

    #[test]
    fn a_view_shows_no_secret() {
        let mut endpoint = Endpoint {
            events: vec!["points.*".parse().unwrap()],
            headers: [("x-api-key".to_owned(), "hunter2".to_owned())].into(),
            state: EndpointState::Disabled {
                reason: Note::parse("gone").unwrap(),
                at: Timestamp::UNIX_EPOCH,
            },
            ..Endpoint::sample("https://crm.example/hook")
        };
        endpoint.keys.sign_with(Signatures::Both, [7; 32]);
        for auth in [
            r#"{"type":"basic","username":"us","password":"hunter2"}"#,
            r#"{"type":"bearer","token":"hunter2"}"#,
            r#"{"type":"oauth2","token_url":"https://id.example/","client_id":"us","client_secret":"hunter2"}"#,
            r#"{"type":"mtls","certificate":"us","key":"hunter2"}"#,
        ] {
            endpoint.auth = serde_json::from_str(auth).unwrap();
            let json = serde_json::to_string(&EndpointView::new(
                &endpoint,
                &Condition::default(),
                Timestamp::UNIX_EPOCH,
            ))
            .unwrap();
            for secret in ["whsec_", "whsk_", "hunter2"] {
                assert!(!json.contains(secret), "{json}");
            }
            assert!(json.contains(r#""headers":["x-api-key"]"#), "{json}");
            assert!(json.contains(r#""status":"disabled","disabled_reason":"gone""#), "{json}");
            assert!(json.contains(r#""public_key":"whpk_"#), "{json}");
            assert!(json.contains(&auth[1..14]), "{json}");
        }
    }

    #[test]
    fn a_key_that_is_over_is_not_shown() {
        let mut endpoint = Endpoint::sample("https://crm.example/hook");
        let minute = std::time::Duration::from_secs(60);
        endpoint.keys.rotate(Secret::of(&[2; 32]), [2; 32], Timestamp::UNIX_EPOCH, minute).unwrap();
        let shown = |seconds| {
            let at = Timestamp::UNIX_EPOCH + chrono::Duration::seconds(seconds);
            EndpointView::new(&endpoint, &Condition::default(), at).keys.len()
        };
        assert_eq!([shown(59), shown(60)], [2, 1]);
    }

    #[test]
    fn a_breaker_is_open_until_its_pause_is_over() {
        let at = |seconds| Timestamp::UNIX_EPOCH + chrono::Duration::seconds(seconds);
        for (hold, breaker, held) in [
            (Hold::Free, "closed", false),
            (Hold::Asked { until: at(9) }, "closed", true),
            (Hold::Asked { until: at(8) }, "closed", false),
            (Hold::Open { until: at(9), trips: 1 }, "open", true),
            (Hold::Open { until: at(8), trips: 1 }, "half_open", false),
        ] {
            let view = ConditionView::of(&Condition { trouble: None, hold }, at(8));
            assert_eq!(serde_json::to_value(view.breaker).unwrap(), breaker, "{hold:?}");
            assert_eq!(view.held_until, held.then(|| at(9)), "{hold:?}");
        }
    }
}
