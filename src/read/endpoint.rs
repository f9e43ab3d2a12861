//! Endpoints as outsiders see them: never the secret, and of extra headers only the names, because their values are
//! often credentials.

use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::endpoint::{Dialect, Endpoint, EndpointState, EventPattern, Settings};
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
    /// How deliveries leave.
    #[serde(flatten)]
    pub settings: Settings,
    /// Why its filter cannot be asked about all that it is for; that passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_problem: Option<String>,
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
            settings: endpoint.settings.clone(),
            filter_problem: None,
            state: endpoint.state.clone(),
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_shows_neither_the_secret_nor_the_values_of_headers() {
        let endpoint = Endpoint {
            events: vec!["points.*".parse().unwrap()],
            headers: [("x-api-key".to_owned(), "hunter2".to_owned())].into(),
            state: EndpointState::Disabled {
                reason: Note::parse("gone").unwrap(),
                at: Timestamp::UNIX_EPOCH,
            },
            ..Endpoint::sample("https://crm.example/hook")
        };
        let json = serde_json::to_string(&EndpointView::from(&endpoint)).unwrap();
        assert!(!json.contains("whsec_") && !json.contains("hunter2"), "{json}");
        assert!(json.contains(r#""headers":["x-api-key"]"#), "{json}");
        assert!(json.contains(r#""status":"disabled","disabled_reason":"gone""#), "{json}");
    }
}
