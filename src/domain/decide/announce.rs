//! What happens to no guest: told to the world, and nothing else changes.

use ulid::Ulid;

use super::finish::event_line;
use super::{Frame, SourceInput, keep};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::commit::Commit;
use crate::domain::ids::EventId;
use crate::domain::loyalty_event::{EventData, LoyaltyEvent};
use crate::domain::receipt::SourceStatus;
use crate::domain::source_event::SourceData;

/// The commit of a source event that is about no guest, without deliveries. `None` when it is about one.
pub fn announce(frame: Frame<'_>, input: &SourceInput, now: Timestamp) -> Option<Commit> {
    let data = match &input.event.data {
        SourceData::Offering(news) => EventData::Offering(news.clone()),
        _ => return None,
    };
    let told = LoyaltyEvent {
        // Nothing in it can fail, so it is decided once.
        id: EventId::derived(input.id.ulid(), 0),
        chain: frame.chain.clone(),
        subject: None,
        at: input.event.occurred_at,
        data,
        source_key: Some(input.event.key.clone()),
        program_version: frame.program_version,
    };
    let mut commit = keep(frame, input.clone(), SourceStatus::Processed, now);
    if let Some(source) = &mut commit.source {
        source.receipt.events.push(event_line(&told));
    }
    commit.events.push(told);
    Some(commit)
}

/// The commit that only tells of the program itself, without deliveries; `id` tells its events from all others.
pub fn tell(
    (chain, program_version): (&ChainId, i64),
    told: impl IntoIterator<Item = EventData>,
    id: Ulid,
    now: Timestamp,
) -> Commit {
    let event = |(n, data)| LoyaltyEvent {
        id: EventId::derived(id, n),
        chain: chain.clone(),
        subject: None,
        at: now,
        data,
        source_key: None,
        program_version,
    };
    let events = (0..).zip(told).map(event).collect();
    Commit { events, ..Commit::of_nothing(chain.clone(), now) }
}
