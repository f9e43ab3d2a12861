//! Everything that can go wrong with a request, as RFC 9457 problem documents. One enum is the whole list.

pub(super) mod examples;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::actors::engine::{EngineError, EventRef, FilterProblem, TransformProblem};
use crate::actors::publish::{Diagnostic, PublishError};
use crate::domain::allowance::RequestsPerMinute;
use crate::domain::api_key::Dead;
use crate::domain::json::BadJson;
use crate::domain::precondition::{Outdated, Tag};
use crate::domain::refusal::Refused;
use crate::domain::role::Role;
use crate::domain::source_event::{BadEvent, BadEventCode};
use crate::read::ReadError;
use crate::read::backtest::{BacktestFailure, MOST_EVENTS, MOST_TIME};

/// Why a request is refused. `Display` is the `detail` that people read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// No key came with the request.
    #[error("this route needs an API key")]
    NoKey,
    /// The key is not one of ours, or not any more.
    #[error("the API key is not known")]
    BadKey,
    /// The key is one of ours, and does not work.
    #[error("{0}")]
    DeadKey(Dead),
    /// Keys that nobody knows, and many of them.
    #[error("the API key is not known, nor were many others that came from the same network")]
    TooManyAttempts {
        /// Seconds after which the next one is looked at.
        retry_after_s: u32,
    },
    /// More requests than the limit of the key, or of the chain, allows.
    #[error("the limit of this {whose}, {} requests a minute, is used up", limit.get())]
    RateLimited {
        /// `key` or `chain`.
        whose: &'static str,
        /// The limit.
        limit: RequestsPerMinute,
        /// Seconds until the next one is answered.
        retry_after_s: u32,
    },
    /// The key is good for less.
    #[error("this route needs the role `{needed}`; the key has `{has}`")]
    Forbidden {
        /// The least role that would do.
        needed: Role,
        /// The caller's role.
        has: Role,
    },
    /// The route is for keys of all chains.
    #[error("this route needs a key for all chains; this one is for a single chain")]
    OneChainKey,
    /// No such thing, or it belongs to another chain.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// No such route.
    #[error("there is no such route")]
    NoRoute,
    /// The route does not know this method.
    #[error("this route takes {allow}")]
    MethodNotAllowed {
        /// The methods it knows, as in the `Allow` header.
        allow: String,
    },
    /// It cannot be done in the state things are in.
    #[error("{0}")]
    Conflict(String),
    /// What was asked for cannot be done; the code says why.
    #[error("{0}")]
    Refused(Refused),
    /// It is not any more what the caller believes it to be.
    #[error("it was changed since you read it: it is {current} by now, and `If-Match` names something else")]
    PreconditionFailed {
        /// What it is.
        current: Tag,
    },
    /// The same request is under way.
    #[error("the same request, under the same key, is being carried out")]
    InProgress,
    /// The idempotency key came before with another body, or elsewhere.
    #[error("the key `{key}` was used before for something else")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// The engine runs on the system's clock.
    #[error("the engine runs on the system's clock, which does not move on request")]
    NotATestClock,
    /// Not JSON.
    #[error("{0}")]
    NotJson(String),
    /// A batch that is neither a list nor lines.
    #[error("{0}")]
    BrokenBatch(&'static str),
    /// A field or parameter is wrong.
    #[error("`{field}`: {problem}")]
    InvalidField {
        /// Its path in the body, or the name of the parameter.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The body as a whole has the wrong shape.
    #[error("{0}")]
    InvalidBody(String),
    /// A GraphQL request or query that cannot be answered, or is too much.
    #[error("{0}")]
    BadQuery(String),
    /// A GraphQL query that was not answered in time.
    #[error("the query was not answered in time; whether a mutation took effect is unknown")]
    QueryTimeout,
    /// A body of another type.
    #[error("the body must come as application/json")]
    MediaType,
    /// More bytes than this route takes.
    #[error("at most {limit} bytes are taken here")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A compressed or otherwise coded body.
    #[error("the body must come without Content-Encoding")]
    ContentEncoding,
    /// The body came too slowly.
    #[error("the body did not arrive in time")]
    BodyTimeout,
    /// The body ended early or was coded wrongly.
    #[error("the body ended before it was complete")]
    BodyIncomplete,
    /// Another protocol is asked for.
    #[error("this server speaks HTTP/1.1 only and does not upgrade connections")]
    UpgradeRefused,
    /// A program that does not check, or whose tests fail. Nothing was published.
    #[error("{} of the program; what is in force stays", counted(.0.len()))]
    DoesNotCheck(Vec<Diagnostic>),
    /// An endpoint's filter that does not check.
    #[error("`{field}`: {problem}")]
    BadFilter {
        /// Which condition of it.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
        /// The same at its places.
        problems: Vec<Diagnostic>,
    },
    /// An endpoint's transform that does not check.
    #[error("`transform`: {0}")]
    BadTransform(Box<TransformProblem>),
    /// One backtest after the other.
    #[error("another backtest is running on this node")]
    BacktestRunning,
    /// More than is looked at while somebody waits.
    #[error("stopped after {events} events; at most {} events and {} s are looked at here", MOST_EVENTS, MOST_TIME.as_secs())]
    BacktestTooLarge {
        /// Events that were looked at.
        events: u64,
    },
    /// No version of the chain's rules could be put in force. Nothing was accepted.
    #[error("no rules of this chain are in force: {0}; nothing was accepted")]
    NoRules(String),
    /// More work than fits. Nothing was accepted.
    #[error("the engine is at capacity; nothing was accepted")]
    Overloaded,
    /// Not up yet. Nothing was accepted.
    #[error("the engine is starting; nothing was accepted")]
    Starting,
    /// Shutting down. Nothing was accepted.
    #[error("the engine is shutting down; nothing was accepted")]
    Draining,
    /// The store is away or the fate of the commit is unknown.
    #[error("the store is unavailable; whether the request took effect is unknown")]
    Unavailable,
}

fn counted(problems: usize) -> String {
    if problems == 1 { "there is a problem".to_owned() } else { format!("there are {problems} problems") }
}

/// The fixed part of a problem.
struct Class {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    action: &'static str,
}

impl Class {
    const fn new(status: StatusCode, code: &'static str, title: &'static str, action: &'static str) -> Self {
        Self { status, code, title, action }
    }
}

/// A problem document; RFC 9457 with our own members `code`, `action`, `field`, `line` and `problems`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
struct Document<'a> {
    /// `urn:punchcard:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// What class of problem it is, for people.
    title: &'a str,
    /// The status of the answer.
    status: u16,
    /// The stable word for programs.
    code: &'a str,
    /// What is wrong, for people.
    detail: String,
    /// The field or parameter at fault, as a path such as `data.items[0].price`.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// What to do.
    action: &'a str,
    /// In batches and uploads: which event or line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// Every problem of a program, a filter or a transform at its place.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [Diagnostic],
}

impl Problem {
    /// A wrong field or parameter.
    pub fn field(field: impl Into<String>, problem: impl ToString) -> Self {
        Self::InvalidField { field: field.into(), problem: problem.to_string() }
    }

    /// Names fields as the sender of a part named `part` knows them.
    pub fn within(self, part: &str) -> Self {
        let Self::InvalidField { field, problem } = self else { return self };
        let inner = field.strip_prefix(part).and_then(|rest| rest.strip_prefix('.'));
        Self::InvalidField { field: inner.unwrap_or(&field).to_owned(), problem }
    }

    /// A field of the wrong shape; without a name it is the body as a whole.
    fn shape(field: String, problem: String) -> Self {
        if field.is_empty() {
            return Self::InvalidBody(format!("the body {problem}"));
        }
        Self::InvalidField { field, problem }
    }

    /// The schema of the document.
    pub(super) fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Document<'static>>()
    }

    #[rustfmt::skip]
    fn class(&self) -> Class {
        use StatusCode as S;
        match self {
            Self::NoKey => Class::new(S::UNAUTHORIZED, "unauthorized", "No API key",
                "Send `Authorization: Bearer <key>`; `punchcard key create` makes keys."),
            Self::BadKey => Class::new(S::UNAUTHORIZED, "unauthorized", "Unknown API key",
                "Check the key; `punchcard key create` makes a new one."),
            Self::DeadKey(Dead::Revoked) => Class::new(S::UNAUTHORIZED, "unauthorized", "Revoked API key",
                "Use another key; `punchcard key create` makes a new one."),
            Self::DeadKey(Dead::Expired(_)) => Class::new(S::UNAUTHORIZED, "key_expired", "Expired API key",
                "Use another key, or have an admin move its end: `PATCH /v1/keys/{id}` with `expires_at`."),
            Self::DeadKey(Dead::Replaced(_)) => Class::new(S::UNAUTHORIZED, "key_expired", "Rotated API key",
                "Use the text that the rotation showed, or have an admin rotate the key again."),
            Self::TooManyAttempts { .. } => Class::new(S::TOO_MANY_REQUESTS, "too_many_attempts",
                "Too many unknown API keys", "Check the key; a good one is answered at once, also from here."),
            Self::RateLimited { .. } => Class::new(S::TOO_MANY_REQUESTS, "rate_limited", "Too many requests",
                "Send the same request again after the pause of Retry-After; nothing was changed."),
            Self::Forbidden { .. } | Self::OneChainKey => Class::new(S::FORBIDDEN, "forbidden", "Not allowed",
                "Use a key with the role that the route needs."),
            Self::NotFound(_) => Class::new(S::NOT_FOUND, "not_found", "Not found",
                "Check the id; a key sees its own chain only."),
            Self::NoRoute => Class::new(S::NOT_FOUND, "no_such_route", "No such route",
                "Check the path; there is no slash at its end."),
            Self::MethodNotAllowed { .. } => Class::new(S::METHOD_NOT_ALLOWED, "method_not_allowed",
                "Wrong method", "Use one of the methods of the Allow header."),
            Self::Refused(refused) => Class::new(S::CONFLICT, refused.code, "Refused",
                "Read the detail; nothing was changed."),
            Self::Conflict(_) => Class::new(S::CONFLICT, "conflict", "Conflict",
                "Read the detail; the same request will fail again until the state changes."),
            Self::PreconditionFailed { .. } => Class::new(S::PRECONDITION_FAILED, "precondition_failed",
                "Changed meanwhile", "Read it again, make your change to what it is now, and send that with the new ETag."),
            Self::InProgress => Class::new(S::CONFLICT, "in_progress", "Under way",
                "Send the same request again after the pause of Retry-After: its answer is there then."),
            Self::KeyReused { .. } => Class::new(S::CONFLICT, "key_reused", "Key used before for something else",
                "Give everything a key of its own; repeat a request with exactly the same body."),
            Self::NotATestClock => Class::new(S::CONFLICT, "not_a_test_clock", "Not a test clock",
                "Start the server with --test-clock to move its clock."),
            Self::NotJson(_) => Class::new(S::BAD_REQUEST, "not_json", "Not JSON", "Send valid JSON in UTF-8."),
            Self::BrokenBatch(_) => Class::new(S::BAD_REQUEST, "broken_batch", "Not a list of events",
                "Send a JSON array, or one event a line as application/x-ndjson; \
                 send again what has no receipt: repeats are recognised."),
            Self::InvalidField { .. } => Class::new(S::UNPROCESSABLE_ENTITY, "invalid_field", "Invalid field",
                "Correct the field and send the request again."),
            Self::InvalidBody(_) => Class::new(S::UNPROCESSABLE_ENTITY, "invalid_body", "Invalid body",
                "Correct the body and send the request again."),
            Self::DoesNotCheck(_) => Class::new(S::UNPROCESSABLE_ENTITY, "program_does_not_check",
                "The program does not check", "Mend each of the problems at its place and send the files again."),
            Self::BadFilter { .. } => Class::new(S::UNPROCESSABLE_ENTITY, "filter_does_not_check",
                "The filter does not check", "Correct the condition at its place and send the request again."),
            Self::BadTransform(_) => Class::new(S::UNPROCESSABLE_ENTITY, "transform_does_not_check",
                "The transform does not check", "Correct it at its place and send the request again."),
            Self::BacktestRunning => Class::new(S::TOO_MANY_REQUESTS, "backtest_running", "A backtest is running",
                "Send the same request again after the pause of Retry-After."),
            Self::BacktestTooLarge { .. } => Class::new(S::UNPROCESSABLE_ENTITY, "backtest_too_large",
                "Too much for one request", "Use `punchcard backtest` on the server, which has no such limit."),
            Self::BadQuery(_) => Class::new(S::BAD_REQUEST, "invalid_query", "Invalid GraphQL query",
                "Correct the query and send it again; docs/graphql.md says how much one may ask for."),
            Self::QueryTimeout => Class::new(S::SERVICE_UNAVAILABLE, "query_timeout", "Query too slow",
                "Ask for less in one query."),
            Self::MediaType => Class::new(S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Wrong Content-Type",
                "Send the body with `Content-Type: application/json`."),
            Self::TooLarge { .. } => Class::new(S::PAYLOAD_TOO_LARGE, "too_large", "Too large",
                "Send less in one piece."),
            Self::ContentEncoding => Class::new(S::UNSUPPORTED_MEDIA_TYPE, "content_encoding",
                "Compressed or coded", "Send the body as it is, without Content-Encoding."),
            Self::BodyTimeout => Class::new(S::REQUEST_TIMEOUT, "body_timeout", "Body too slow",
                "Send the same request again: repeats are recognised."),
            Self::BodyIncomplete => Class::new(S::BAD_REQUEST, "body_incomplete", "Body incomplete",
                "Send the same request again: repeats are recognised."),
            Self::UpgradeRefused => Class::new(S::BAD_REQUEST, "upgrade_refused", "Upgrade refused",
                "Leave the Upgrade header out."),
            Self::NoRules(_) => Class::new(S::SERVICE_UNAVAILABLE, "no_rules_in_force", "No rules in force",
                "Mend the chain's rules folder (`punchcard check` shows every mistake); it is taken over within a \
                 second. Then send the same request again."),
            Self::Overloaded => Class::new(S::SERVICE_UNAVAILABLE, "overloaded", "At capacity",
                "Send the same request again after the pause of Retry-After."),
            Self::Starting => Class::new(S::SERVICE_UNAVAILABLE, "starting", "Starting",
                "Send the same request again after the pause of Retry-After."),
            Self::Draining => Class::new(S::SERVICE_UNAVAILABLE, "draining", "Shutting down",
                "Send the same request again after the pause of Retry-After."),
            Self::Unavailable => Class::new(S::SERVICE_UNAVAILABLE, "unavailable", "Store unavailable",
                "Send the same request again after the pause of Retry-After; an event counts once."),
        }
    }

    /// The stable word for programs.
    pub fn code(&self) -> &'static str {
        self.class().code
    }

    /// What to do about it.
    pub(super) fn action(&self) -> &'static str {
        self.class().action
    }

    /// The field or parameter at fault.
    pub(super) fn at_field(&self) -> Option<&str> {
        match self {
            Self::InvalidField { field, .. } | Self::BadFilter { field, .. } => Some(field),
            Self::BadTransform(_) => Some("transform"),
            _ => None,
        }
    }

    fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::DoesNotCheck(problems) | Self::BadFilter { problems, .. } => problems,
            Self::BadTransform(bad) => std::slice::from_ref(&bad.problem),
            _ => &[],
        }
    }

    /// Seconds after which trying again makes sense.
    const fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::RateLimited { retry_after_s, .. } | Self::TooManyAttempts { retry_after_s } => {
                Some(*retry_after_s)
            }
            Self::Overloaded | Self::Starting | Self::InProgress => Some(1),
            Self::Unavailable | Self::QueryTimeout => Some(2),
            // A person has to mend the rules first.
            Self::Draining | Self::NoRules(_) | Self::BacktestRunning => Some(5),
            _ => None,
        }
    }

    /// Whether the request was well and the server could not take it.
    pub(super) const fn is_shed(&self) -> bool {
        self.retry_after_s().is_some()
    }

    /// The problem document. `line` counts the events of a batch from 1.
    pub fn to_json(&self, line: Option<u64>) -> String {
        let class = self.class();
        let document = Document {
            kind: format!("urn:punchcard:problem:{}", class.code),
            title: class.title,
            status: class.status.as_u16(),
            code: class.code,
            detail: self.to_string(),
            field: self.at_field(),
            action: class.action,
            line,
            problems: self.diagnostics(),
        };
        serde_json::to_string(&document).unwrap_or_else(|_| unreachable!("plain structs serialize"))
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.class().status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        answer.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        match self {
            Self::NoKey => {
                answer.insert_header((header::WWW_AUTHENTICATE, r#"Bearer realm="punchcard""#));
            }
            Self::BadKey | Self::DeadKey(_) => {
                let challenge = r#"Bearer realm="punchcard", error="invalid_token""#;
                answer.insert_header((header::WWW_AUTHENTICATE, challenge));
            }
            Self::MethodNotAllowed { allow } => {
                answer.insert_header((header::ALLOW, allow.as_str()));
            }
            Self::PreconditionFailed { current } => {
                answer.insert_header((header::ETAG, current.to_string()));
            }
            _ => {}
        }
        if let Some(seconds) = self.retry_after_s() {
            answer.insert_header((header::RETRY_AFTER, HeaderValue::from(seconds)));
        }
        answer.body(self.to_json(None))
    }
}

/// Logs a failure of the store, at most once a second: while it is away, every event fails, and a full log helps nobody.
fn store_failed(event: Option<&EventRef>, error: &(dyn std::error::Error + 'static)) {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    static QUIET_UNTIL_S: AtomicU64 = AtomicU64::new(0);
    let now_s = START.elapsed().as_secs();
    if QUIET_UNTIL_S.fetch_max(now_s + 1, Ordering::Relaxed) > now_s {
        return;
    }
    match event {
        Some(EventRef { chain, source, key }) => {
            tracing::error!(%chain, %source, %key, error, "the store failed");
        }
        None => tracing::error!(error, "the store failed"),
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::KeyReused { key } => Self::KeyReused { key },
            EngineError::InProgress => Self::InProgress,
            EngineError::Outdated(Outdated { current }) => Self::PreconditionFailed { current },
            EngineError::NotFound(what) => Self::NotFound(what),
            EngineError::Conflict(why) => Self::Conflict(why),
            EngineError::Refused(refused) => Self::Refused(refused),
            EngineError::BadFilter(bad) => {
                let problem = bad.to_string();
                let FilterProblem { field, problems, .. } = *bad;
                Self::BadFilter { field, problem, problems }
            }
            EngineError::BadTransform(bad) => Self::BadTransform(bad),
            EngineError::NoRules(why) => Self::NoRules(why),
            EngineError::Overloaded => Self::Overloaded,
            EngineError::Draining => Self::Draining,
            EngineError::Unavailable(cause) => {
                store_failed(None, &*cause);
                Self::Unavailable
            }
            EngineError::Undecided { event, cause } => {
                store_failed(Some(&event), &*cause);
                Self::Unavailable
            }
        }
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::DoesNotCheck(problems) => Self::DoesNotCheck(problems),
            PublishError::Engine(error) => error.into(),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        store_failed(None, &error);
        Self::Unavailable
    }
}

impl From<BacktestFailure> for Problem {
    fn from(failure: BacktestFailure) -> Self {
        match failure {
            BacktestFailure::DoesNotCheck(problems) => Self::DoesNotCheck(problems),
            BacktestFailure::NoChain => Self::NotFound("chain"),
            BacktestFailure::NoVersion(_) => Self::NotFound("version"),
            BacktestFailure::Busy => Self::BacktestRunning,
            BacktestFailure::Stopped { events } => Self::BacktestTooLarge { events },
            BacktestFailure::Store(error) => {
                store_failed(None, &error);
                Self::Unavailable
            }
            other @ (BacktestFailure::Replay(_)
            | BacktestFailure::Unreadable { .. }
            | BacktestFailure::NoLongerKept(_)
            | BacktestFailure::BadLine { .. }
            | BacktestFailure::Log(_)) => Self::Conflict(other.to_string()),
        }
    }
}

impl From<BadJson> for Problem {
    fn from(bad: BadJson) -> Self {
        match bad {
            BadJson::NotJson(why) => Self::NotJson(why),
            BadJson::Shape { field, problem } => Self::shape(field, problem),
        }
    }
}

impl From<BadEvent> for Problem {
    fn from(bad: BadEvent) -> Self {
        match bad.code {
            BadEventCode::NotJson => Self::NotJson(bad.problem),
            BadEventCode::TooLarge => Self::TooLarge { limit: crate::domain::source_event::MAX_BYTES },
            BadEventCode::InvalidField => Self::shape(bad.field, bad.problem),
        }
    }
}

#[cfg(test)]
mod tests;
