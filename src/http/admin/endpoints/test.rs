//! Trying an endpoint out.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::known;
use crate::actors::endpoint::trial::{Sample, Trial};
use crate::domain::Timestamp;
use crate::domain::delivery::Verdict;
use crate::domain::endpoint::Endpoint;
use crate::domain::loyalty_event::EventType;
use crate::domain::once::Reply;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::once::Create;
use crate::http::problem::Problem;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "NewTrial")]
pub(in crate::http) struct Wanted {
    event_type: Option<String>,
    hook: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Trial")]
pub(in crate::http) struct TrialView {
    request: RequestView,
    attempt: AttemptView,
    verdict: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TrialRequest")]
struct RequestView {
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TrialAttempt")]
struct AttemptView {
    at: Timestamp,
    duration_ms: u64,
    status_code: Option<u16>,
    response_body: Option<String>,
    error: Option<String>,
}

impl From<Trial> for TrialView {
    fn from(trial: Trial) -> Self {
        let Trial { url, headers, body, at, duration_ms, status_code, response_body, error, verdict } = trial;
        let verdict = match verdict {
            Verdict::Accepted => "accepted",
            Verdict::Refused { .. } => "refused",
            Verdict::Rejected { .. } => "rejected",
            Verdict::Gone { .. } => "gone",
        };
        let request = RequestView { url, headers, body };
        Self { request, attempt: AttemptView { at, duration_ms, status_code, response_body, error }, verdict }
    }
}

/// `POST /v1/chains/{chain}/endpoints/{id}/test`: sends a sample now, whether or not deliveries leave. Nothing
/// is stored, but the answer to a request with a key.
pub(in crate::http) async fn send(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    wanted: Create,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    wanted
        .or_empty()
        .once(&caller, async |wanted: Wanted, _| {
            let sample = sample(&endpoint, wanted)?;
            Ok(Reply::done(&TrialView::from(state.engine.try_out(endpoint.clone(), sample).await?)))
        })
        .await
}

fn sample(endpoint: &Endpoint, wanted: Wanted) -> Result<Sample, Problem> {
    match wanted {
        Wanted { event_type: Some(_), hook: Some(_) } => {
            Err(Problem::field("hook", "takes no event; leave `event_type` out"))
        }
        Wanted { hook: Some(hook), .. } => match endpoint.dialect.greeting() {
            Some(greeting) if greeting == hook => Ok(Sample::Greeting),
            Some(greeting) => Err(Problem::field("hook", format!("must be `{greeting}`"))),
            None => Err(Problem::field("hook", "is for endpoints of the dialect `bubblehouse`")),
        },
        Wanted { event_type: Some(text), .. } => event_type(endpoint, &text).map(Sample::Event),
        Wanted { .. } => Ok(Sample::Event(endpoint.first_asked_for().unwrap_or(EventType::PointsEarned))),
    }
}

/// A type by our name, or by one that the endpoint's dialect knows.
fn event_type(endpoint: &Endpoint, text: &str) -> Result<EventType, Problem> {
    let dialect = endpoint.dialect;
    let known = EventType::ALL.iter().copied().find(|kind| kind.as_str() == text);
    let kind = known.or_else(|| dialect.kinds_called(text).first().copied());
    let kind = kind.ok_or_else(|| {
        Problem::field("event_type", "must be a type of loyalty event, such as points.earned")
    })?;
    let unspeakable = format!("cannot be said in the dialect `{}`", dialect.as_str());
    dialect.carries(kind).then_some(kind).ok_or_else(|| Problem::field("event_type", unspeakable))
}
