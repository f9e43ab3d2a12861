//! Source events of the engine's own: what follows of a decision for somebody else, and what it keeps to run again.

use std::sync::Arc;

use serde::Serialize;

use super::{KeyOrigin, SourceData, SourceEvent};
use crate::domain::Timestamp;
use crate::domain::command::Command;
use crate::domain::ids::MemberId;
use crate::domain::json;
use crate::domain::text::Key;

/// The event, as it is stored.
#[derive(Serialize)]
struct Envelope<'a, Data> {
    key: &'a Key,
    #[serde(rename = "type")]
    kind: &'static str,
    occurred_at: Timestamp,
    member: Named,
    data: &'a Data,
}

#[derive(Serialize)]
struct Named {
    id: MemberId,
}

impl SourceEvent {
    /// A command about a member, with its `data` as they are stored. Its `key` is made of ids, and nothing else gives it.
    pub(in crate::domain) fn own<Data: Serialize>(
        key: &str,
        member: MemberId,
        occurred_at: Timestamp,
        command: Command,
        data: &Data,
    ) -> Self {
        let key = Key::parse(key).unwrap_or_else(|_| unreachable!("ids make a key"));
        let kind = command.kind().as_str();
        let envelope = Envelope { key: &key, kind, occurred_at, member: Named { id: member }, data };
        let body: Arc<str> = json::to_json(&envelope).into();
        Self {
            key,
            key_origin: KeyOrigin::Sender,
            occurred_at,
            member: Some(member),
            identities: Vec::new(),
            location: None,
            asked_by: None,
            trace: None,
            data: SourceData::Command(command),
            body_hash: Self::hash_of(body.as_bytes()),
            body,
        }
    }
}
