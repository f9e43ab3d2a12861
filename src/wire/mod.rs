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

use sha2::{Digest as _, Sha256};
use url::Url;

use crate::domain::Timestamp;
use crate::domain::delivery::{Mark, Verdict};
use crate::domain::endpoint::{Dialect, Endpoint, Secret, Signers, Texts};
use crate::domain::ids::{DeliveryId, EventId};
use crate::domain::loyalty_event::EventType;
use crate::domain::trace::Trace;
use told::Told;

/// The `User-Agent` of every request.
pub const USER_AGENT: &str = concat!("punchcard/", env!("CARGO_PKG_VERSION"));

/// A header's name, in lower case, and its value.
pub type Header = (&'static str, String);

/// Why a letter is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Something happened.
    News,
    /// It did before, and this is sent again or late.
    Again(Mark),
    /// Nothing happened: somebody tries out the receiver.
    Test,
    /// The same, and nothing is told: is anybody there?
    Greeting,
}

impl Occasion {
    fn header(self) -> Option<Header> {
        match self {
            Self::News => None,
            Self::Again(mark) => Some(("punchcard-replay", mark.to_string())),
            Self::Test | Self::Greeting => Some(("punchcard-test", "true".to_owned())),
        }
    }
}

impl From<Option<Mark>> for Occasion {
    fn from(mark: Option<Mark>) -> Self {
        mark.map_or(Self::News, Self::Again)
    }
}

/// What is to be told to one receiver.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The delivery, the same in every attempt.
    pub delivery: DeliveryId,
    /// Its number among those of its endpoint.
    pub sequence: u64,
    /// Which attempt it is.
    pub attempt: u32,
    /// Why it is sent.
    pub occasion: Occasion,
    /// The loyalty event.
    pub event: EventId,
    /// Its canonical message.
    pub message: String,
    /// The name by which the endpoint asks for it, where that is not the usual one.
    pub name: Option<&'static str>,
    /// The endpoint's own texts.
    pub texts: Arc<Texts>,
    /// The trace that the loyalty event is part of.
    pub trace: Option<Trace>,
}

impl Letter {
    /// The headers that tie the receiver's work to the request that brought it about. Each attempt is a step of its own.
    fn trace(&self) -> impl Iterator<Item = Header> + use<> {
        let parent = self.trace.as_ref().map(|trace| {
            let hash = Sha256::new()
                .chain_update(self.delivery.ulid().to_bytes())
                .chain_update(self.attempt.to_be_bytes());
            let hash: [u8; 32] = hash.finalize().into();
            let span = hash.first_chunk().copied().unwrap_or([1; 8]);
            ("traceparent", trace.parent(span))
        });
        let state = self.trace.as_ref().and_then(|trace| Some(("tracestate", trace.state()?.to_owned())));
        parent.into_iter().chain(state)
    }
}

/// A request that is ready to leave: what is sent is byte for byte what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// The protocol's headers, names in lower case.
    pub headers: Vec<Header>,
    /// Whether all names are sent with capitals (`X-Api-Key`).
    pub capitals: bool,
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
    signers: &'a Signers<'a>,
    /// The instant of the attempt.
    now: Timestamp,
}

impl Sealing<'_> {
    /// The instant of the attempt, in seconds since the epoch.
    const fn timestamp(&self) -> i64 {
        self.now.timestamp()
    }

    /// Where a header has room for one signature, it is made with this.
    fn secret(&self) -> &Secret {
        &self.signers.lead().secret
    }
}

/// What a dialect is.
trait Speaks: Sync {
    /// The message; `None` when it is the canonical one.
    fn render(&self, letter: &Letter) -> Result<Option<Rendered>, Unsendable>;

    /// Its own headers of authenticity, beside those of Standard Webhooks.
    fn sign(&self, sealing: &Sealing<'_>) -> Vec<Header>;

    /// Whether the product's document shows names of headers with capitals. HTTP ignores that, and code that looks a name up
    /// in what came over the wire does not.
    fn capitals(&self) -> bool {
        false
    }

    /// What an answer means.
    fn judge(&self, answer: &Answer, now: Timestamp) -> Verdict {
        standard::judge(answer, now)
    }

    /// Where to, when that is not the endpoint's url as it is.
    fn address(&self, _url: &Url, _occasion: Occasion) -> Option<Url> {
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

/// Says and signs one event for a receiver. During a rotation there are several signers.
///
/// # Errors
/// See [`Unsendable`].
pub fn encode(
    dialect: Dialect,
    letter: Letter,
    signers: &Signers<'_>,
    now: Timestamp,
) -> Result<SignedRequest, Unsendable> {
    let speaker = speaker(dialect);
    let (body, about) = match speaker.render(&letter)? {
        Some(Rendered { body, headers }) => (Some(body), headers),
        None => (None, Vec::new()),
    };
    let said = body.as_deref().unwrap_or(&letter.message);
    let sealing = Sealing { letter: &letter, body: said, signers, now };
    let own = speaker.sign(&sealing);
    // Beside a product's own headers: where its signature says nothing of the time, this one does.
    let standard = sign::standard_headers(&letter.event.to_string(), sealing.timestamp(), said, signers);
    let always = [
        ("content-type", "application/json".to_owned()),
        ("user-agent", USER_AGENT.to_owned()),
        ("punchcard-sequence", letter.sequence.to_string()),
    ];
    let occasion = letter.occasion.header();
    let trace = letter.trace();
    let headers =
        always.into_iter().chain(standard).chain(occasion).chain(about).chain(own).chain(trace).collect();
    Ok(SignedRequest { headers, capitals: speaker.capitals(), body: body.unwrap_or(letter.message) })
}

/// Judges a receiver's answer that came at `now`.
pub fn judge(dialect: Dialect, answer: &Answer, now: Timestamp) -> Verdict {
    speaker(dialect).judge(answer, now)
}

/// Judges the answer to a greeting, of which no product says more than HTTP does.
pub fn judge_greeting(answer: &Answer, now: Timestamp) -> Verdict {
    standard::judge(answer, now)
}

/// Where requests for an endpoint go.
pub fn address(endpoint: &Endpoint, occasion: Occasion) -> Url {
    speaker(endpoint.dialect).address(&endpoint.url, occasion).unwrap_or_else(|| endpoint.url.clone())
}

/// What receivers of a dialect that carries this type know it by.
fn name_of(dialect: Dialect, told: &Told<'_>) -> Result<String, Unsendable> {
    let name = dialect.name_of(told.kind).ok_or(Unsendable::Unspeakable { dialect, kind: told.kind })?;
    Ok(name.said.into_owned())
}
