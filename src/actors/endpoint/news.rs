//! What a courier has to tell of its endpoint, and to whom it says so.

use std::sync::Arc;

use actix::Recipient;
use chrono::TimeDelta;

use super::DisableEndpoint;
use super::errand::Report;
use crate::domain::Timestamp;
use crate::domain::commit::Commit;
use crate::domain::delivery::{NextStep, Verdict};
use crate::domain::endpoint::{Endpoint, Lane};
use crate::domain::gate::News;
use crate::domain::ids::EventId;
use crate::domain::loyalty_event::{EventData, EventType};
use crate::domain::operations::{
    DeliveryExhausted, EndpointFailing, EndpointRecovered, LaneBlocked, Untaken, reason as tellable,
};

/// Knows who wants to hear of endpoints.
pub trait Tell: Send + Sync {
    /// These events, with deliveries to whoever wants to hear of them, but for the endpoint that they are about.
    fn tell(&self, about: &Endpoint, told: Vec<EventData>) -> Option<Commit>;
}

/// Whom couriers tell.
#[derive(Clone)]
pub struct Teller {
    /// Says to whom goes what is told.
    pub tell: Arc<dyn Tell>,
    /// Who disables endpoints.
    pub disable: Recipient<DisableEndpoint>,
}

impl Teller {
    /// What is to be written with what it tells of; nothing when there is nothing to tell.
    pub(super) fn tell(&self, about: &Endpoint, told: Vec<EventData>) -> Option<Box<Commit>> {
        if told.is_empty() {
            return None;
        }
        self.tell.tell(about, told).map(Box::new)
    }

    /// Does not wait for the engine, which may be waiting for this endpoint to drain. If the message is lost, the next
    /// attempt ends the same way.
    pub(super) fn disable(&self, end: DisableEndpoint) {
        let id = end.endpoint.id;
        if let Err(error) = self.disable.try_send(end) {
            tracing::error!(endpoint = %id, %error, "an endpoint could not be disabled");
        }
    }
}

/// What went wrong, as far as it may be told: where a receiver redirects to is its own affair.
fn reason(report: &Report) -> String {
    let attempt = &report.outcome.attempt;
    match (attempt.status_code, &attempt.error) {
        (Some(status @ 300..=399), _) => format!("the receiver answered {status}, a redirect"),
        (_, error) => error.clone().unwrap_or_default(),
    }
}

/// The end of an endpoint whose receiver wants nothing more.
pub(super) fn gone(report: &Report, at: Timestamp) -> Option<DisableEndpoint> {
    let Verdict::Gone { .. } = report.verdict else { return None };
    let reason = match report.outcome.attempt.status_code {
        Some(410) => "the receiver answered 410 Gone",
        _ => "the receiver asked for no more deliveries (webhook-delivery: disable)",
    };
    let endpoint = Arc::clone(&report.sent_to);
    Some(DisableEndpoint { endpoint, reason: reason.to_owned(), since: None, at })
}

/// The end of an endpoint that took nothing for too long.
pub(super) fn given_up(report: &Report, since: Timestamp, at: Timestamp) -> DisableEndpoint {
    let reason = format!("it took nothing for {}; at last, {}", span(at - since), reason(report));
    DisableEndpoint { endpoint: Arc::clone(&report.sent_to), reason, since: Some(since), at }
}

/// What is told of the endpoint.
pub(super) fn of_endpoint(report: &Report, news: News) -> Option<EventData> {
    let endpoint = (&*report.sent_to).into();
    match news {
        News::Failing { trouble } => Some(EventData::EndpointFailing(Box::new(EndpointFailing {
            endpoint,
            since: trouble.since,
            reason: tellable(&reason(report)),
            disabled_from: trouble.next_step(&report.sent_to.settings.failing),
        }))),
        News::Recovered { since } => {
            Some(EventData::EndpointRecovered(Box::new(EndpointRecovered { endpoint, since })))
        }
        News::GivenUp { .. } => None,
    }
}

/// What is told of a delivery that nobody took, unless it was about such things itself.
pub(super) fn exhausted(report: &Report) -> Option<EventData> {
    let (event, kind, since) = report.event;
    if report.outcome.next != NextStep::Failed || kind.is_about_delivery() {
        return None;
    }
    let untaken = untaken(report, event, kind, since);
    Some(EventData::DeliveryExhausted(Box::new(DeliveryExhausted {
        endpoint: (&*report.sent_to).into(),
        untaken,
    })))
}

/// One or two tries may fail by chance.
const BLOCKED_AFTER: u32 = 3;

/// What is told of a delivery that holds up its lane: once in its ladder.
pub(super) fn lane_blocked(report: &Report) -> Option<EventData> {
    let (event, kind, since) = report.event;
    let member_id = match report.sent_to.settings.lane {
        Lane::None => return None,
        Lane::Member => Some(report.member?),
        Lane::Endpoint => None,
    };
    let attempt = &report.outcome.attempt;
    let is_blocked = attempt.number == BLOCKED_AFTER && matches!(report.outcome.next, NextStep::RetryAt(_));
    if !is_blocked || kind.is_about_delivery() {
        return None;
    }
    let untaken = untaken(report, event, kind, since);
    Some(EventData::LaneBlocked(Box::new(LaneBlocked {
        endpoint: (&*report.sent_to).into(),
        member_id,
        untaken,
    })))
}

fn untaken(report: &Report, event: EventId, kind: EventType, since: Timestamp) -> Untaken {
    let attempt = &report.outcome.attempt;
    Untaken {
        delivery: attempt.delivery,
        event,
        event_type: kind.as_str().into(),
        tries: attempt.number,
        reason: tellable(&reason(report)),
        since,
    }
}

/// A span of time for people.
fn span(time: TimeDelta) -> String {
    let (hours, days) = (time.num_hours(), time.num_days());
    match (time.num_minutes(), hours) {
        (minutes, 0) => format!("{minutes} min"),
        (_, ..48) => format!("{hours} h"),
        _ => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_as_people_say_them() {
        for (seconds, said) in [(59, "0 min"), (3_599, "59 min"), (86_400, "24 h"), (5 * 86_400, "5 days")] {
            assert_eq!(span(TimeDelta::seconds(seconds)), said);
        }
    }
}
