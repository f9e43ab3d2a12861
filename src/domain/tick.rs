//! Ticks that are kept. Most leave nothing behind; but what a rule failed on must be there when the rule is mended.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::Timestamp;
use super::command::{Command, CommandType};
use super::ids::MemberId;
use super::json;
use super::schedule::TickType;
use super::source_event::{BadEvent, KeyOrigin, SourceData, SourceEvent};
use super::text::Key;

/// What fell due by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptTick {
    /// The tick; `None` = a deadline that the member carried, on which only rules can have failed that react to what was
    /// told.
    pub tick: Option<TickType>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TickBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tick: Option<String>,
}

/// The source event, as it is stored.
#[derive(Serialize)]
struct Envelope<'a> {
    key: &'a Key,
    #[serde(rename = "type")]
    kind: &'static str,
    occurred_at: Timestamp,
    member: Named,
    data: TickBody,
}

#[derive(Serialize)]
struct Named {
    id: MemberId,
}

impl KeptTick {
    /// Reads the `data` of the event.
    pub(super) fn parse(raw: &str) -> Result<Self, BadEvent> {
        let TickBody { tick } = json::object(raw, "data")?;
        let tick = tick.map(|word| word.parse().map_err(|()| BadEvent::field("data.tick", "is no tick")));
        Ok(Self { tick: tick.transpose()? })
    }

    /// As a source event of the engine's own. Its key is this tick's of this member alone.
    pub fn event(self, id: Ulid, member: MemberId, occurred_at: Timestamp) -> SourceEvent {
        let key = Key::parse(&format!("tick:{id}")).unwrap_or_else(|_| unreachable!("an id makes a key"));
        let data = TickBody { tick: self.tick.map(|tick| tick.as_str().to_owned()) };
        let kind = CommandType::Tick.as_str();
        let envelope = Envelope { key: &key, kind, occurred_at, member: Named { id: member }, data };
        let body: Arc<str> = json::to_json(&envelope).into();
        SourceEvent {
            key,
            key_origin: KeyOrigin::Sender,
            occurred_at,
            member: Some(member),
            identities: Vec::new(),
            location: None,
            asked_by: None,
            data: SourceData::Command(Command::Tick(self)),
            body_hash: Sha256::digest(body.as_bytes()).into(),
            body,
        }
    }
}
