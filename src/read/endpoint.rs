//! Endpoints as outsiders see them: never the secret, and of extra headers only the names, because their values are
//! often credentials.

use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::endpoint::{Dialect, Endpoint, EndpointState, EventPattern};
use crate::domain::ids::EndpointId;
use crate::domain::text::{Name, Note};

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// `status`, and when disabled also since when and why.
    #[serde(flatten)]
    pub state: EndpointState,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl From<&Endpoint> for EndpointView {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            id: endpoint.id,
            url: endpoint.url.to_string(),
            description: endpoint.description.clone(),
            dialect: endpoint.dialect,
            events: endpoint.events.clone(),
            tags: endpoint.tags.clone(),
            headers: endpoint.headers.keys().cloned().collect(),
            state: endpoint.state.clone(),
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::Secret;

    #[test]
    fn a_view_shows_neither_the_secret_nor_the_values_of_headers() {
        let endpoint = Endpoint {
            id: EndpointId::new(ulid::Ulid(1)),
            chain: "harvest".parse().unwrap(),
            url: "https://crm.example/hook".parse().unwrap(),
            description: None,
            dialect: Dialect::Standard,
            events: vec!["points.*".parse().unwrap()],
            tags: vec![],
            headers: [("x-api-key".to_owned(), "hunter2".to_owned())].into(),
            state: EndpointState::Disabled {
                reason: Note::parse("gone").unwrap(),
                at: Timestamp::UNIX_EPOCH,
            },
            secret: Secret::of(&[7; 32]),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        let json = serde_json::to_string(&EndpointView::from(&endpoint)).unwrap();
        assert!(!json.contains("whsec_") && !json.contains("hunter2"), "{json}");
        assert!(json.contains(r#""headers":["x-api-key"]"#), "{json}");
        assert!(json.contains(r#""status":"disabled","disabled_reason":"gone""#), "{json}");
    }
}
