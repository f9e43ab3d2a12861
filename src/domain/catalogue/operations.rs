//! Examples of what is told of delivery itself.

use ulid::Ulid;

use super::literal;
use crate::domain::Timestamp;
use crate::domain::endpoint::{Endpoint, Secret};
use crate::domain::ids::{DeliveryId, EndpointId, EventId, MemberId};
use crate::domain::loyalty_event::{EventData, EventType};
use crate::domain::operations::{
    DeliveryExhausted, EndpointDisabled, EndpointEnabled, EndpointFace, EndpointFailing, EndpointRecovered,
    LaneBlocked, Untaken,
};

/// A made-up one of this type; of any other type, that an endpoint recovered.
pub(super) fn example(kind: EventType) -> EventData {
    let since = Timestamp::from_timestamp_nanos(1_772_476_200_000_000_000);
    let endpoint = face(since);
    let reason = "the receiver answered 503";
    match kind {
        EventType::EndpointFailing => EventData::EndpointFailing(Box::new(EndpointFailing {
            endpoint,
            since,
            reason: reason.into(),
            disabled_from: since + chrono::Duration::days(5),
        })),
        EventType::EndpointDisabled => EventData::EndpointDisabled(Box::new(EndpointDisabled {
            endpoint,
            reason: format!("it took nothing for 5 days; at last, {reason}").into(),
            since: Some(since),
        })),
        EventType::EndpointEnabled => EventData::EndpointEnabled(Box::new(EndpointEnabled {
            endpoint,
            since,
            reason: "disabled by hand".into(),
        })),
        EventType::DeliveryExhausted => {
            EventData::DeliveryExhausted(Box::new(DeliveryExhausted { endpoint, untaken: untaken(since) }))
        }
        EventType::LaneBlocked => EventData::LaneBlocked(Box::new(LaneBlocked {
            endpoint,
            member_id: Some(MemberId::new(Ulid(0x019c_b5c8_a3d0_0000_0000_0000_0000_0007))),
            untaken: untaken(since),
        })),
        _ => EventData::EndpointRecovered(Box::new(EndpointRecovered { endpoint, since })),
    }
}

fn face(now: Timestamp) -> EndpointFace {
    let id = EndpointId::new(Ulid(0x019c_b5c8_a3d0_0000_0000_0000_0000_0051));
    let url = literal("https://crm.example/hooks".parse());
    let endpoint = Endpoint::new(id, literal("harvest".parse()), url, Secret::of(&[0; 32]), now);
    (&endpoint).into()
}

fn untaken(since: Timestamp) -> Untaken {
    Untaken {
        delivery: DeliveryId::new(Ulid(0x019c_b5c8_a3d0_0000_0000_0000_0000_0061)),
        event: EventId::new(Ulid(0x019c_b5c8_a3d0_0000_0000_0000_0000_0029)),
        event_type: EventType::PointsEarned.as_str().into(),
        tries: 5,
        reason: "the receiver answered 500".into(),
        since,
    }
}
