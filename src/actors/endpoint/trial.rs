//! Trying an endpoint out: a made-up event is sent as a real one would be, and everything about it is shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::errand::complaint;
use super::scribe::Scribe;
use crate::actors::engine::{Engine, EngineError};
use crate::actors::outbound::{Exchange, Outbound};
use crate::clock::{Clock, fresh_ulid};
use crate::domain::Timestamp;
use crate::domain::delivery::Verdict;
use crate::domain::endpoint::{Auth, Endpoint};
use crate::domain::ids::{DeliveryId, EventId};
use crate::domain::loyalty_event::{EventType, LoyaltyEvent};
use crate::wire::{self, Letter, Occasion};

/// What stands for a value that is nobody's business.
const MASK: &str = "***";

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// The catalogue's example of this type, as if it happened now.
    Event(EventType),
    /// Nothing, to the hook that asks for nothing.
    Greeting,
}

impl Sample {
    const fn kind(self) -> Option<EventType> {
        match self {
            Self::Event(kind) => Some(kind),
            Self::Greeting => None,
        }
    }
}

/// How it went.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Where it was sent.
    pub url: String,
    /// The headers, names in lower case; credentials are masked.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
    /// When it began, by the engine's clock.
    pub at: Timestamp,
    /// How long the whole exchange took.
    pub duration_ms: u64,
    /// The status code, when an answer came.
    pub status_code: Option<u16>,
    /// The first characters of the answer's body.
    pub response_body: Option<String>,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// What a delivery would make of it.
    pub verdict: Verdict,
}

impl Engine {
    /// Sends a sample to an endpoint, whether or not deliveries leave. Nothing is stored.
    ///
    /// # Errors
    /// `Overloaded` while too many people do; `Conflict` when the endpoint's dialect cannot say it; `BadTransform`.
    pub async fn try_out(&self, endpoint: Arc<Endpoint>, sample: Sample) -> Result<Trial, EngineError> {
        self.0.endpoints.try_out(endpoint, sample).await
    }
}

/// Sends a sample to an endpoint.
pub(in crate::actors) async fn send(
    outbound: &Outbound,
    endpoint: &Endpoint,
    sample: Sample,
    clock: &Clock,
) -> Result<Trial, EngineError> {
    let at = clock.now();
    let letter = letter(endpoint, sample, at);
    let occasion = letter.occasion;
    let written = Scribe::of(endpoint).write(letter, &endpoint.keys.signers(at), at);
    let request = written.map_err(|unwritten| unwritten.of_sample(sample.kind()))?;
    let exchange = match outbound.target_for(endpoint, occasion) {
        Ok(target) => outbound.attempt(&target, &request).await,
        Err(error) => Exchange::unsent(error),
    };
    let judge = |answer| match sample {
        Sample::Event(_) => wire::judge(endpoint.dialect, answer, clock.now()),
        Sample::Greeting => wire::judge_greeting(answer, clock.now()),
    };
    let answer = exchange.outcome.as_ref().ok();
    let verdict = answer.map_or(Verdict::Refused { retry_after: None }, judge);
    Ok(Trial {
        url: wire::address(endpoint, occasion).into(),
        headers: shown(endpoint, &request.headers),
        body: request.body,
        at,
        duration_ms: exchange.duration.as_millis() as u64,
        status_code: exchange.status,
        response_body: exchange.body_start(),
        error: complaint(&exchange, &verdict),
        verdict,
    })
}

fn letter(endpoint: &Endpoint, sample: Sample, now: Timestamp) -> Letter {
    let event = EventId::new(fresh_ulid(now));
    let (occasion, message) = match sample {
        Sample::Event(kind) => {
            let chain = endpoint.chain.clone();
            (Occasion::Test, LoyaltyEvent { id: event, chain, at: now, ..kind.example() }.to_json())
        }
        Sample::Greeting => (Occasion::Greeting, String::new()),
    };
    let delivery = DeliveryId::derived(event.ulid(), 0);
    let texts = Arc::clone(&endpoint.settings.texts);
    let name = sample.kind().and_then(|kind| endpoint.asks_by_name(kind));
    Letter { delivery, sequence: 0, attempt: 1, occasion, event, message, name, texts, trace: None }
}

/// What was sent, without what only the receiver is to know. Extra headers are often keys; the protocol's own replace
/// them.
fn shown(endpoint: &Endpoint, protocol: &[wire::Header]) -> BTreeMap<String, String> {
    let extra = endpoint.headers.keys().map(|name| (name.to_ascii_lowercase(), MASK.to_owned()));
    let own = protocol.iter().map(|(name, value)| match *name {
        "authorization" => {
            let scheme = value.split(' ').next().unwrap_or_default();
            ((*name).to_owned(), format!("{scheme} {MASK}"))
        }
        _ => ((*name).to_owned(), value.clone()),
    });
    let says_who = endpoint.auth.as_ref().filter(|auth| !matches!(auth, Auth::Mtls(_)));
    let auth = says_who.map(|_| ("authorization".to_owned(), MASK.to_owned()));
    extra.chain(auth).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::Dialect;

    #[test]
    fn what_is_shown_of_a_request_opens_no_door() {
        let headers = [("X-Api-Key", "hunter2"), ("Authorization", "Bearer hunter3")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let endpoint = Endpoint { headers, ..Endpoint::sample("https://crm.example/") };
        let all = shown(&endpoint, &[("webhook-id", "evt_1".to_owned())]);
        let expected = [("authorization", MASK), ("webhook-id", "evt_1"), ("x-api-key", MASK)];
        assert!(all.iter().map(|(name, value)| (&**name, &**value)).eq(expected));
        let signed = shown(&endpoint, &[("authorization", "Bearer ey.J.9".to_owned())]);
        assert_eq!(signed["authorization"], "Bearer ***");
    }

    #[test]
    fn a_sample_is_an_event_of_this_chain_that_happens_now() {
        let now = "2027-01-02T03:04:05Z".parse().unwrap();
        let endpoint = Endpoint::sample("https://crm.example/");
        for dialect in Dialect::ALL {
            let endpoint = Endpoint { dialect: *dialect, ..endpoint.clone() };
            for kind in EventType::ALL.iter().filter(|kind| dialect.carries(**kind)) {
                let letter = letter(&endpoint, Sample::Event(*kind), now);
                let (id, message) = (letter.event.to_string(), letter.message.clone());
                assert!(message.contains(&id) && message.contains("2027-01-02T03:04:05Z"), "{message}");
                let request = wire::encode(*dialect, letter, &endpoint.keys.signers(now), now).unwrap();
                assert!(request.headers.contains(&("punchcard-test", "true".to_owned())));
            }
        }
    }
}
