//! Ticks that are kept. Most leave nothing behind; but what a rule failed on must be there when the rule is mended.

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::Timestamp;
use super::command::Command;
use super::ids::MemberId;
use super::json;
use super::schedule::TickType;
use super::source_event::{BadEvent, SourceEvent};

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

impl KeptTick {
    /// Reads the `data` of the event.
    pub(super) fn parse(raw: &str) -> Result<Self, BadEvent> {
        let TickBody { tick } = json::object(raw, "data")?;
        let tick = tick.map(|word| word.parse().map_err(|()| BadEvent::field("data.tick", "is no tick")));
        Ok(Self { tick: tick.transpose()? })
    }

    /// As a source event of the engine's own. Its key is this tick's of this member alone.
    pub fn event(self, id: Ulid, member: MemberId, occurred_at: Timestamp) -> SourceEvent {
        let data = TickBody { tick: self.tick.map(|tick| tick.as_str().to_owned()) };
        SourceEvent::own(&format!("tick:{id}"), member, occurred_at, Command::Tick(self), &data)
    }
}
