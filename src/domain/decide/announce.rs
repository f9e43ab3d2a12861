//! What happens to no guest: told to the world, and nothing else changes.

use super::{Frame, SourceInput, event_line};
use crate::domain::Timestamp;
use crate::domain::commit::{Commit, SourceChange, Wake};
use crate::domain::ids::EventId;
use crate::domain::loyalty_event::{EventData, LoyaltyEvent};
use crate::domain::receipt::{Receipt, SourceStatus};
use crate::domain::source_event::SourceData;

/// The commit of a source event that is about no guest, without deliveries. `None` when it is about one.
pub fn announce(frame: Frame<'_>, input: &SourceInput, now: Timestamp) -> Option<Commit> {
    let data = match &input.event.data {
        SourceData::Offering(news) => EventData::Offering(news.clone()),
        _ => return None,
    };
    let key = input.event.key.clone();
    let told = LoyaltyEvent {
        // Nothing in it can fail, so it is decided once.
        id: EventId::derived(input.id.ulid(), 0),
        chain: frame.chain.clone(),
        subject: None,
        at: input.event.occurred_at,
        data,
        source_key: Some(key.clone()),
    };
    let receipt = Receipt {
        events: vec![event_line(&told)],
        ..Receipt::kept(input.id, key, SourceStatus::Processed, frame.program_version)
    };
    Some(Commit {
        chain: frame.chain.clone(),
        source: Some(SourceChange {
            id: input.id,
            event: input.event.clone(),
            received_at: input.received_at,
            from: input.from,
            member: None,
            receipt,
        }),
        member: None,
        wake: Wake::Kept,
        new_identities: Vec::new(),
        order: None,
        transfers: Vec::new(),
        events: vec![told],
        deliveries: Vec::new(),
        decided_at: now,
    })
}
