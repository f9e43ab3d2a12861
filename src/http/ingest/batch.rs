//! Many events in one request, streamed both ways.
//!
//! A task of its own reads the body, keeps a bounded number of events inside the engine, and hands their answers in
//! order to the response. While answers are not fetched, or the engine is busy, the body is not read: TCP slows the
//! sender down. When the sender goes away, reading stops and what was taken is finished.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use futures_util::stream::{FuturesOrdered, poll_fn};
use futures_util::{FutureExt, StreamExt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::Instrument;

use super::answers::Answers;
use super::splitter::{Format, Piece, Splitter};
use super::{answer_when, count, take};
use crate::actors::engine::{Answer, AnswerWhen};
use crate::actors::snapshot::ChainSnapshot;
use crate::domain::receipt::Receipt;
use crate::domain::role::Right;
use crate::domain::source_event::{MAX_BYTES, SourceEvent};
use crate::domain::trace::Trace;
use crate::http::auth::Caller;
use crate::http::body::{Body, broken};
use crate::http::limits::{EVENTS_A_REQUEST, Meter};
use crate::http::problem::Problem;
use crate::http::{AppState, State, trace};

/// Events of one connection inside the engine at once.
const MOST_EVENTS: usize = 512;
/// Bytes of events of one connection inside the engine at once, without the event that crosses the line.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// The next chunk of the body must come within this.
pub(in crate::http) const CHUNK_TIMEOUT: Duration = Duration::from_secs(10);
/// White space that may stand before the first event.
const MOST_BLANK: usize = 64 * 1024;

/// `POST /v1/chains/{chain}/events/batch`
pub(in crate::http) async fn receive(
    state: State,
    caller: Caller,
    chain: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::SendEvents, &chain)?;
    // A batch waits for room, but nothing new begins while the server shuts down.
    if state.engine.is_draining() {
        return Err(Problem::Draining);
    }
    let mut body = body.into_payload();
    let (format, beginning) = begin(&request, &mut body).await?;
    let (answers, mut fetched) = mpsc::channel(2);
    let batch = Batch {
        state,
        chain,
        meter: caller.meter().clone(),
        events: 0,
        when: answer_when(&request),
        trace: trace::brought(&request),
        splitter: Splitter::new(format, MAX_BYTES),
        answers: Answers::new(format, answers),
        bytes_inside: 0,
        reading: true,
    };
    actix_web::rt::spawn(batch.run(beginning, body).in_current_span());
    let stream = poll_fn(move |cx| fetched.poll_recv(cx)).map(Ok::<_, actix_web::Error>);
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, format.content_type())).streaming(stream))
}

/// Finds out the format, from the content type or else from the first byte. Returns what it has read of the body.
async fn begin(request: &HttpRequest, body: &mut Payload) -> Result<(Format, Bytes), Problem> {
    let announced = Format::announced(request.content_type());
    let mut beginning = BytesMut::new();
    if announced == Some(Format::Lines) {
        return Ok((Format::Lines, beginning.freeze()));
    }
    while beginning.trim_ascii_start().is_empty() && beginning.len() <= MOST_BLANK {
        match timeout(CHUNK_TIMEOUT, body.next()).await.map_err(|_| Problem::BodyTimeout)? {
            Some(chunk) => beginning.extend_from_slice(&chunk.map_err(broken)?),
            None => break,
        }
    }
    match (beginning.trim_ascii_start().first(), announced) {
        (Some(b'['), _) => Ok((Format::Array, beginning.freeze())),
        (_, None) => Ok((Format::Lines, beginning.freeze())),
        (_, Some(_)) => Err(Problem::BrokenBatch("the body is not a JSON array")),
    }
}

/// What is answered for each event, for the document: a receipt or a problem.
pub(in crate::http) struct Outcome;

impl JsonSchema for Outcome {
    fn schema_name() -> Cow<'static, str> {
        "Outcome".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<Receipt>(), Problem::schema(generator)] })
    }
}

/// What became of one piece of the batch.
struct Done {
    line: u64,
    bytes: usize,
    outcome: Result<Answer, Problem>,
}

/// A batch on its way.
struct Batch {
    state: State,
    chain: Arc<ChainSnapshot>,
    meter: Meter,
    /// Taken in so far.
    events: u64,
    when: AnswerWhen,
    /// What all its events are part of.
    trace: Option<Trace>,
    splitter: Splitter,
    answers: Answers,
    bytes_inside: usize,
    /// Whether more of the body is wanted.
    reading: bool,
}

impl Batch {
    async fn run(mut self, beginning: Bytes, mut body: Payload) {
        // Events inside the engine, in the order of the body.
        let mut inside = FuturesOrdered::new();
        self.splitter.feed(&beginning);
        loop {
            while self.has_room(inside.len()) {
                let Some(numbered) = self.splitter.next_piece() else { break };
                inside.push_back(self.take_in(numbered.line, event_of(numbered.piece)));
            }
            let room = self.has_room(inside.len());
            tokio::select! {
                biased;
                Some(done) = inside.next() => {
                    self.settle(done);
                    while let Some(Some(done)) = inside.next().now_or_never() {
                        self.settle(done);
                    }
                    self.reading &= self.answers.hand_on().await.is_ok();
                }
                chunk = timeout(CHUNK_TIMEOUT, body.next()), if room => {
                    if let Some((line, last)) = self.feed(chunk.map_err(|_| Problem::BodyTimeout)) {
                        inside.push_back(self.take_in(line, last));
                    }
                }
                else => break,
            }
        }
        self.answers.close().await;
    }

    fn has_room(&self, events_inside: usize) -> bool {
        self.reading && events_inside < MOST_EVENTS && self.bytes_inside < MOST_BYTES
    }

    /// Feeds the next chunk to the splitter. Returns what the end of the body makes of its rest.
    fn feed(
        &mut self,
        chunk: Result<Option<Result<Bytes, PayloadError>>, Problem>,
    ) -> Option<(u64, Result<Bytes, Problem>)> {
        let problem = match chunk {
            Ok(Some(Ok(bytes))) => {
                self.splitter.feed(&bytes);
                return None;
            }
            Ok(Some(Err(error))) => broken(error),
            Ok(None) => {
                self.reading = false;
                return self.splitter.finish().map(|last| (last.line, event_of(last.piece)));
            }
            Err(problem) => problem,
        };
        self.reading = false;
        Some((self.splitter.next_line(), Err(problem)))
    }

    /// Parses an event now and returns the rest of its way as a future.
    fn take_in(&mut self, line: u64, event: Result<Bytes, Problem>) -> impl Future<Output = Done> + use<> {
        let bytes = event.as_ref().map_or(0, Bytes::len);
        self.bytes_inside += bytes;
        self.reading &= !matches!(event, Err(Problem::BrokenBatch(_)));
        let started = Instant::now();
        let now = self.state.engine.clock().now();
        if self.events > 0 && self.events.is_multiple_of(EVENTS_A_REQUEST) {
            self.meter.charge(1, now); // the first hundred are paid by the request itself
        }
        self.events += 1;
        let parsed = event.and_then(|event| Ok(SourceEvent::parse(&event, &self.chain.chain.currency, now)?));
        let parsed = parsed.map(|event| event.traced(self.trace.clone()));
        let (state, chain, when) = (self.state.clone(), Arc::clone(&self.chain), self.when);
        // A task of its own: it gives its place in the engine back when it is done, also while nobody fetches answers.
        let decided = parsed.map(|event| {
            actix_web::rt::spawn(
                async move { decide(&state, &chain, event, when, started).await }.in_current_span(),
            )
        });
        async move {
            let outcome = match decided {
                Ok(task) => task.await.unwrap_or(Err(Problem::Draining)),
                Err(problem) => Err(problem),
            };
            Done { line, bytes, outcome }
        }
    }

    fn settle(&mut self, done: Done) {
        self.bytes_inside -= done.bytes;
        count(&self.state.metrics, &done.outcome);
        // Whatever else the sender has is for the next process.
        self.reading &= !matches!(done.outcome, Err(Problem::Draining));
        match done.outcome {
            Ok(answer) => self.answers.add(&answer.receipt),
            Err(problem) => self.answers.add(&problem.to_json(Some(done.line))),
        }
    }
}

/// Waits for room and takes the event through the engine.
async fn decide(
    state: &AppState,
    chain: &ChainSnapshot,
    event: SourceEvent,
    when: AnswerWhen,
    started: Instant,
) -> Result<Answer, Problem> {
    let permit = state.engine.admit().await?;
    take(state, chain, event, when, permit, started).await
}

fn event_of(piece: Piece) -> Result<Bytes, Problem> {
    match piece {
        Piece::Event(bytes) => Ok(bytes),
        Piece::TooLong => Err(Problem::TooLarge { limit: MAX_BYTES }),
        Piece::Broken(why) => Err(Problem::BrokenBatch(why)),
    }
}
