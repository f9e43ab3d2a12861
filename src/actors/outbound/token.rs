//! Access tokens: fetched once for many deliveries, and kept until shortly before they end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use awc::http::Uri;
use awc::http::header::{self, HeaderValue};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::form_urlencoded;

use super::line::Trace;
use super::{AttemptError, Outbound};
use crate::domain::endpoint::ClientCredentials;

/// For how long a token is taken to be good when whoever gave it does not say.
const GOOD_FOR: u64 = 300;
/// A token is used no more so long before it ends, so that none ends on its way. Of a short-lived one, a quarter.
const MARGIN: u64 = 60;

/// Why there is no access token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// Nobody answered.
    #[error("at its url: {0}")]
    Unanswered(Box<AttemptError>),
    /// The answer is no.
    #[error("its url answered {status}{}", .why.map(|why| format!(", {why}")).unwrap_or_default())]
    Refused {
        /// The status.
        status: u16,
        /// The word of RFC 6749 for it.
        why: Option<&'static str>,
    },
    /// The answer holds none that could be sent.
    #[error("its url answered without a token of the type `Bearer`")]
    Unreadable,
}

/// A token as it is sent.
#[derive(Clone)]
pub(super) struct Token {
    header: HeaderValue,
    fetched: Instant,
    good_for: Duration,
}

impl Token {
    pub(super) const fn header(&self) -> &HeaderValue {
        &self.header
    }

    /// Whether it was fetched after that instant.
    pub(super) fn is_newer_than(&self, then: Instant) -> bool {
        self.fetched >= then
    }

    fn is_good(&self) -> bool {
        self.fetched.elapsed() < self.good_for
    }
}

/// The token of some credentials, fetched when somebody needs it.
pub(super) struct Tokens {
    credentials: ClientCredentials,
    uri: Uri,
    kept: RefCell<Option<Result<Token, NoToken>>>,
    /// How often one was fetched, or tried to be.
    fetches: Cell<u64>,
    fetching: Mutex<()>,
    /// When a receiver refused one that was new.
    new_refused: Cell<Option<Instant>>,
}

impl Tokens {
    /// After a receiver refused a new token, no other is fetched for its sake for so long.
    const REST: Duration = Duration::from_secs(60);

    pub(super) fn of(credentials: &ClientCredentials) -> Result<Self, AttemptError> {
        let uri = credentials.token_url.as_str().parse();
        Ok(Self {
            credentials: credentials.clone(),
            uri: uri.map_err(|_| AttemptError::Unsendable("token_url"))?,
            kept: RefCell::default(),
            fetches: Cell::default(),
            fetching: Mutex::default(),
            new_refused: Cell::default(),
        })
    }

    pub(super) fn are_of(&self, credentials: &ClientCredentials) -> bool {
        self.credentials == *credentials
    }

    /// A token that is good now. Whoever comes while one is being fetched takes what comes of that.
    pub(super) async fn get(&self, outbound: &Outbound, within: Duration) -> Result<Token, NoToken> {
        if let Some(token) = self.good() {
            return Ok(token);
        }
        let fetches = self.fetches.get();
        let _one_at_a_time = self.fetching.lock().await;
        if let Some(token) = self.good() {
            return Ok(token);
        }
        if let (true, Some(Err(error))) = (self.fetches.get() != fetches, &*self.kept.borrow()) {
            return Err(error.clone());
        }
        let trace = Rc::new(Trace::default());
        let fetched = match tokio::time::timeout(within, self.fetch(outbound, &trace)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(NoToken::Unanswered(Box::new(trace.late(within)))),
        };
        self.fetches.set(self.fetches.get() + 1);
        self.kept.replace(Some(fetched.clone()));
        fetched
    }

    /// Takes note that a receiver does not take a new one either.
    pub(super) fn note_new_refused(&self) {
        self.new_refused.set(Some(Instant::now()));
    }

    /// Whether another token would be refused as well, as far as is known.
    pub(super) fn are_refused(&self) -> bool {
        self.new_refused.get().is_some_and(|then| then.elapsed() < Self::REST)
    }

    /// Keeps a token no longer that a receiver does not take.
    pub(super) fn drop_refused(&self, refused: &Token) {
        let is_kept =
            |kept: &Result<Token, _>| kept.as_ref().is_ok_and(|token| token.fetched == refused.fetched);
        self.kept.borrow_mut().take_if(|kept| is_kept(kept));
    }

    fn good(&self) -> Option<Token> {
        self.kept.borrow().as_ref()?.as_ref().ok().filter(|token| token.is_good()).cloned()
    }

    /// RFC 6749 has everybody know the header; many know the form alone, and refuse who says it in both.
    async fn fetch(&self, outbound: &Outbound, trace: &Rc<Trace>) -> Result<Token, NoToken> {
        let answered = |error| NoToken::Unanswered(Box::new(error));
        outbound
            .reach
            .policy
            .check_scheme(&self.credentials.token_url)
            .map_err(|refusal| answered(refusal.into()))?;
        let mut refused = NoToken::Unreadable;
        for in_header in [true, false] {
            let (fetched, form) = (Instant::now(), self.form(in_header));
            let ask = || {
                let post = outbound.client.post(&self.uri).no_decompress();
                let post = post.content_type("application/x-www-form-urlencoded");
                let post = post.insert_header((header::ACCEPT, "application/json"));
                if in_header { post.insert_header((header::AUTHORIZATION, self.header())) } else { post }
            };
            let answer = match outbound.answer(ask, &form, trace).await {
                // Where to is nobody's business who hears of it.
                Err(AttemptError::Redirect { status, .. }) => {
                    return Err(NoToken::Refused { status, why: None });
                }
                answer => answer.map_err(answered)?,
            };
            match answer.status {
                200..=299 => return read(&answer.body, fetched).ok_or(NoToken::Unreadable),
                status => refused = NoToken::Refused { status, why: reason(&answer.body) },
            }
            if !matches!(answer.status, 400 | 401) {
                break;
            }
        }
        Err(refused)
    }

    /// RFC 6749 §2.3.1: both are encoded like a form before they are joined.
    fn header(&self) -> String {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let (id, secret) = (&self.credentials.client_id, self.credentials.client_secret.reveal());
        basic(&encoded(id), &encoded(secret))
    }

    fn form(&self, is_named: bool) -> String {
        let ClientCredentials { client_id, client_secret, scope, audience, .. } = &self.credentials;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        let also = [("scope", scope), ("audience", audience)];
        form.extend_pairs(also.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))));
        if !is_named {
            form.append_pair("client_id", client_id).append_pair("client_secret", client_secret.reveal());
        }
        form.finish()
    }
}

/// The value of `authorization` for a name and a password.
pub(super) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
}

/// The value of `authorization` for a token.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    hidden(&format!("Bearer {token}"))
}

/// A header's value that logs of libraries do not show.
pub(super) fn hidden(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// RFC 6749 §5.1.
fn read(body: &[u8], fetched: Instant) -> Option<Token> {
    #[derive(Deserialize)]
    struct Given {
        access_token: String,
        token_type: Option<String>,
        expires_in: Option<Seconds>,
    }
    /// Some say it as a text.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(u64),
        Text(String),
    }
    let Given { access_token, token_type, expires_in } = serde_json::from_slice(body).ok()?;
    if token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return None;
    }
    let seconds = match expires_in {
        Some(Seconds::Number(seconds)) => seconds,
        Some(Seconds::Text(text)) => text.parse().ok()?,
        None => GOOD_FOR,
    };
    Some(Token { header: bearer(&access_token)?, fetched, good_for: kept_for(seconds) })
}

/// For how long a token is kept that is good for so many seconds; never longer than a day.
fn kept_for(seconds: u64) -> Duration {
    const DAY: u64 = 86_400;
    let seconds = seconds.min(DAY);
    Duration::from_secs(seconds - MARGIN.min(seconds.div_ceil(4)))
}

/// What an answer gives as the reason, if it is one of RFC 6749 §5.2. Nothing else of it is said on.
fn reason(body: &[u8]) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Given {
        error: String,
    }
    const REASONS: [&str; 6] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ];
    let Given { error } = serde_json::from_slice(body).ok()?;
    REASONS.into_iter().find(|reason| *reason == error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_until_shortly_before_it_ends() {
        for (good_for, kept) in
            [(3600, 3540), (240, 180), (60, 45), (4, 3), (1, 0), (0, 0), (u64::MAX, 86_340)]
        {
            assert_eq!(kept_for(good_for), Duration::from_secs(kept), "{good_for}");
        }
    }

    #[test]
    fn answers_are_read_as_the_standard_has_them_and_as_some_write_them() {
        let now = Instant::now();
        for (body, expected) in [
            (r#"{"access_token":"abc","token_type":"Bearer","expires_in":100}"#, Some(75)),
            (r#"{"access_token":"abc","token_type":"bearer","expires_in":"100","scope":"x"}"#, Some(75)),
            (r#"{"access_token":"abc"}"#, Some(240)),
            (r#"{"access_token":"abc","token_type":"mac"}"#, None),
            (r#"{"access_token":"a\nb"}"#, None),
            (r#"{"access_token":"abc","expires_in":-1}"#, None),
            (r#"{"error":"invalid_client"}"#, None),
            ("access_token=abc", None),
        ] {
            let token = read(body.as_bytes(), now);
            assert_eq!(token.map(|token| token.good_for.as_secs()), expected, "{body}");
        }
    }

    #[test]
    fn only_reasons_of_the_standard_are_said_on() {
        assert_eq!(reason(br#"{"error":"invalid_scope","error_description":"x"}"#), Some("invalid_scope"));
        assert_eq!(reason(br#"{"error":"root:x:0:0"}"#), None);
        assert_eq!(reason(b"<html>"), None);
    }
}
