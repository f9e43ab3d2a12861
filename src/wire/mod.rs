//! Dialects: how a loyalty event becomes a signed request, and how the answer is judged.
//!
//! Everything here is a pure function with golden vectors: the instant arrives as an argument. A delivery keeps no body, so
//! a message is rendered anew for each attempt, out of what was told; it says the same every time.
//!
//! A dialect is a file that implements [`Speaks`], and an arm of [`speaker`]. What it calls each event stands in
//! [`crate::domain::dialect`].

mod bubblehouse;
mod chat;
mod events_webhook;
mod flat;
mod guestiq;
mod gustaio;
mod loyali;
mod sign;
mod standard;
#[cfg(test)]
mod tests;
mod told;

use std::sync::Arc;

use url::Url;

use crate::domain::Timestamp;
use crate::domain::delivery::Verdict;
use crate::domain::endpoint::{Dialect, Endpoint, Secret, Texts};
use crate::domain::ids::{DeliveryId, EventId};
use crate::domain::loyalty_event::EventType;
use told::Told;

/// The `User-Agent` of every request.
pub const USER_AGENT: &str = concat!("punchcard/", env!("CARGO_PKG_VERSION"));

/// A header's name, in lower case, and its value.
pub type Header = (&'static str, String);

/// What is to be told to one receiver.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The delivery, the same in every attempt.
    pub delivery: DeliveryId,
    /// Its number among those of its endpoint.
    pub sequence: u64,
    /// Which attempt it is.
    pub attempt: u32,
    /// The loyalty event.
    pub event: EventId,
    /// Its canonical message.
    pub message: String,
    /// The endpoint's own texts.
    pub texts: Arc<Texts>,
}

/// A request that is ready to leave: what is sent is byte for byte what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// The protocol's headers, names in lower case.
    pub headers: Vec<Header>,
    /// The body.
    pub body: String,
}

/// What a receiver answered, as far as a dialect looks at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// The `Webhook-Delivery` header.
    pub webhook_delivery: Option<String>,
    /// The body, cut at the cap.
    pub body: Vec<u8>,
}

/// Why an event cannot be sent. Nothing was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// There is nothing to sign with.
    #[error("the endpoint has no signing secret; make a new endpoint")]
    NoSecret,
    /// The endpoint's dialect was changed after the event was addressed to it.
    #[error("the dialect `{}` cannot say `{kind}`; discard the delivery, or change the endpoint's dialect", .dialect.as_str())]
    Unspeakable {
        /// The dialect.
        dialect: Dialect,
        /// The type of the event.
        kind: EventType,
    },
    /// What is stored of the event is not what was told.
    #[error("the stored event cannot be read: {0}")]
    Unreadable(String),
}

/// A message in the words of a dialect, and the headers that repeat something of it.
#[derive(Debug, Default)]
struct Rendered {
    body: String,
    headers: Vec<Header>,
}

/// What the headers of one attempt are made of.
struct Sealing<'a> {
    letter: &'a Letter,
    body: &'a str,
    /// The newest first; at least one.
    secrets: &'a [Secret],
    /// Where a header has room for one signature, it is made with this.
    newest: &'a Secret,
    /// The instant of the attempt, in seconds since the epoch.
    timestamp: i64,
}

/// What a dialect is.
trait Speaks: Sync {
    /// The message; `None` when it is the canonical one.
    fn render(&self, letter: &Letter) -> Result<Option<Rendered>, Unsendable>;

    /// Its own headers of authenticity, beside those of Standard Webhooks.
    fn sign(&self, sealing: &Sealing<'_>) -> Vec<Header>;

    /// What an answer means.
    fn judge(&self, answer: &Answer, now: Timestamp) -> Verdict {
        standard::judge(answer, now)
    }

    /// Where to, when that is not the endpoint's url as it is.
    fn address(&self, _url: &Url) -> Option<Url> {
        None
    }
}

fn speaker(dialect: Dialect) -> &'static dyn Speaks {
    match dialect {
        Dialect::Standard => &standard::Standard,
        Dialect::Guestiq => &guestiq::Guestiq,
        Dialect::Loyali => &loyali::Loyali,
        Dialect::EventsWebhook => &events_webhook::EventsWebhook,
        Dialect::Gustaio => &gustaio::Gustaio,
        Dialect::Bubblehouse => &bubblehouse::Bubblehouse,
        Dialect::Slack => &chat::SLACK,
        Dialect::GoogleChat => &chat::GOOGLE_CHAT,
        Dialect::Discord => &chat::DISCORD,
        Dialect::Flat => &flat::Flat,
    }
}

/// Says and signs one event for a receiver. `secrets` are the current one and, during a rotation, older ones.
///
/// # Errors
/// See [`Unsendable`].
pub fn encode(
    dialect: Dialect,
    letter: Letter,
    secrets: &[Secret],
    now: Timestamp,
) -> Result<SignedRequest, Unsendable> {
    let newest = secrets.first().ok_or(Unsendable::NoSecret)?;
    let speaker = speaker(dialect);
    let (body, about) = match speaker.render(&letter)? {
        Some(Rendered { body, headers }) => (Some(body), headers),
        None => (None, Vec::new()),
    };
    let timestamp = now.timestamp();
    let said = body.as_deref().unwrap_or(&letter.message);
    let sealing = Sealing { letter: &letter, body: said, secrets, newest, timestamp };
    let own = speaker.sign(&sealing);
    // Beside a product's own headers: where its signature says nothing of the time, this one does.
    let standard = sign::standard_headers(&letter.event.to_string(), &timestamp.to_string(), said, secrets);
    let always = [
        ("content-type", "application/json".to_owned()),
        ("user-agent", USER_AGENT.to_owned()),
        ("punchcard-sequence", letter.sequence.to_string()),
    ];
    let headers = always.into_iter().chain(standard).chain(about).chain(own).collect();
    Ok(SignedRequest { headers, body: body.unwrap_or(letter.message) })
}

/// Judges a receiver's answer that came at `now`.
pub fn judge(dialect: Dialect, answer: &Answer, now: Timestamp) -> Verdict {
    speaker(dialect).judge(answer, now)
}

/// Where requests for an endpoint go.
pub fn address(endpoint: &Endpoint) -> Url {
    speaker(endpoint.dialect).address(&endpoint.url).unwrap_or_else(|| endpoint.url.clone())
}

/// What receivers of a dialect that carries this type know it by.
fn name_of(dialect: Dialect, told: &Told<'_>) -> Result<String, Unsendable> {
    let name = dialect.name_of(told.kind).ok_or(Unsendable::Unspeakable { dialect, kind: told.kind })?;
    Ok(name.said.into_owned())
}
