//! Codes into a book: uploaded, a million in constant memory, or made.

use std::fmt;

use actix_web::web::Bytes;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::coupon_books::{WHAT, known};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::coupon::{Attributes, BookType, Coupon, CouponCode};
use crate::domain::ids::CouponBookKey;
use crate::domain::json::{self, BadJson};
use crate::domain::role::Right;
use crate::http::auth::Caller;
use crate::http::body::{Body, broken};
use crate::http::ingest::batch::CHUNK_TIMEOUT;
use crate::http::ingest::splitter::{Format as Splitting, Numbered, Piece, Splitter};
use crate::http::once::repeat_key;
use crate::http::problem::Problem;
use crate::http::{State, random_bytes};

/// Codes of one transaction.
const BATCH: usize = 1_000;
/// The longest line.
const MOST_BYTES: usize = 8 * 1024;
/// The most codes that one request makes.
const MOST_GENERATED: u64 = 100_000;
/// Problems that are shown; all are counted.
const MOST_PROBLEMS: usize = 10;

/// How the codes are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// One a line.
    Plain,
    /// One a line, in the first column; in the second, perhaps, when it expires.
    Csv,
    /// One object a line.
    Json,
}

impl Format {
    fn of(content_type: &str) -> Option<Self> {
        Some(match content_type {
            "text/plain" => Self::Plain,
            "text/csv" => Self::Csv,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::Json,
            _ => return None,
        })
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GenerateCodes")]
pub(in crate::http) struct Generate {
    generate: u64,
}

/// A line of NDJSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    code: CouponCode,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    custom_attributes: Attributes,
}

/// What became of the codes.
#[derive(Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "CodesReport")]
pub(in crate::http) struct Report {
    /// Codes that are new.
    added: usize,
    /// Codes that the chain had already, in this book or another one, or further up in the same upload.
    duplicate: usize,
    /// Lines that hold no code.
    invalid: usize,
    /// The first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<LineProblem>,
}

#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct LineProblem {
    line: u64,
    problem: String,
}

/// `POST /v1/chains/{chain}/coupon_books/{key}/codes`
pub(in crate::http) async fn add(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path.0)?;
    let book = known(&state, &chain, &path.1).await?.ok_or(Problem::NotFound(WHAT))?.book;
    let shelf =
        Filling { state, chain: chain.chain.id.clone(), book: book.coupon_book_key, batch: Vec::new() };
    let content_type = request.content_type().to_ascii_lowercase();
    let report = match (Format::of(&content_type), book.kind) {
        (Some(format), BookType::Uploaded) => shelf.upload(format, body).await?,
        (None, BookType::Generated) if content_type == "application/json" => {
            let seed = match repeat_key(&request)? {
                Some(key) => shelf.state.engine.seed(&shelf.chain, &shelf.book.to_string(), &key),
                None => random_bytes()?,
            };
            shelf.generate(body.json().await?, &seed).await?
        }
        (_, BookType::Uploaded) => {
            let wanted =
                "must be text/plain (a code a line), text/csv or application/x-ndjson for an uploaded book";
            return Err(Problem::field("Content-Type", wanted));
        }
        (_, BookType::Generated) => {
            let wanted = "must be application/json for a generated book: {\"generate\": 1000}";
            return Err(Problem::field("Content-Type", wanted));
        }
    };
    Ok(HttpResponse::Ok().json(report))
}

/// A book that is being filled.
struct Filling {
    state: State,
    chain: ChainId,
    book: CouponBookKey,
    batch: Vec<Coupon>,
}

impl Filling {
    async fn upload(mut self, format: Format, body: Body) -> Result<Report, Problem> {
        let mut report = Report::default();
        let mut splitter = Splitter::new(Splitting::Lines, MOST_BYTES);
        let mut payload = body.into_payload();
        while let Some(chunk) =
            timeout(CHUNK_TIMEOUT, payload.next()).await.map_err(|_| Problem::BodyTimeout)?
        {
            splitter.feed(&chunk.map_err(broken)?);
            while let Some(piece) = splitter.next_piece() {
                self.take(format, piece, &mut report).await?;
            }
        }
        if let Some(last) = splitter.finish() {
            self.take(format, last, &mut report).await?;
        }
        self.store(&mut report).await?;
        Ok(report)
    }

    async fn take(&mut self, format: Format, piece: Numbered, report: &mut Report) -> Result<(), Problem> {
        let Numbered { line, piece } = piece;
        let parsed = match piece {
            Piece::Event(bytes) => self.coupon(format, line, &bytes),
            Piece::TooLong => Err(format!("is longer than {MOST_BYTES} bytes")),
            Piece::Broken(why) => Err(why.to_owned()),
        };
        match parsed {
            Ok(coupon) => self.batch.extend(coupon),
            Err(problem) => report.refuse(line, problem),
        }
        if self.batch.len() >= BATCH {
            self.store(report).await?;
        }
        Ok(())
    }

    /// The coupon of a line; `None` for the heading of a table.
    fn coupon(&self, format: Format, line: u64, bytes: &Bytes) -> Result<Option<Coupon>, String> {
        let text = str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
        let text = if line == 1 { text.trim_start_matches('\u{feff}') } else { text };
        let read = match format {
            Format::Plain => Line::of(text, None)?,
            Format::Csv => {
                let mut columns = text.split([',', ';']).map(|column| column.trim().trim_matches('"'));
                let code = columns.next().unwrap_or_default();
                if line == 1 && code.eq_ignore_ascii_case("code") {
                    return Ok(None);
                }
                Line::of(code, columns.next().filter(|expiry| !expiry.is_empty()))?
            }
            Format::Json => json::object(text, "").map_err(|bad| match bad {
                BadJson::NotJson(problem) => problem,
                BadJson::Shape { field, problem } => format!("{field} {problem}").trim().to_owned(),
            })?,
        };
        let fresh = Coupon::fresh(read.code, self.book, self.state.engine.clock().now());
        Ok(Some(Coupon { expires_at: read.expires_at, custom_attributes: read.custom_attributes, ..fresh }))
    }

    /// Makes as many codes of a seed as were asked for; those that were made of it before stay.
    async fn generate(mut self, wanted: Generate, seed: &[u8; 32]) -> Result<Report, Problem> {
        let count = wanted.generate;
        if !(1..=MOST_GENERATED).contains(&count) {
            let problem = format!("must be a whole number from 1 to {MOST_GENERATED}; ask again for more");
            return Err(Problem::field("generate", problem));
        }
        let mut report = Report::default();
        for n in 0..count {
            let code = CouponCode::generated(seed, n);
            self.batch.push(Coupon::fresh(code, self.book, self.state.engine.clock().now()));
            if self.batch.len() >= BATCH {
                self.store(&mut report).await?;
            }
        }
        self.store(&mut report).await?;
        Ok(report)
    }

    async fn store(&mut self, report: &mut Report) -> Result<(), Problem> {
        if self.state.engine.is_draining() {
            return Err(Problem::Draining);
        }
        let batch = std::mem::take(&mut self.batch);
        let count = batch.len();
        let added = self.state.engine.add_coupons(&self.chain, batch).await?;
        report.added += added;
        report.duplicate += count - added;
        Ok(())
    }
}

impl Line {
    fn of(code: &str, expires_at: Option<&str>) -> Result<Self, String> {
        let said = |field: &str, problem: &dyn fmt::Display| format!("{field} {problem}");
        let code = code.parse().map_err(|bad| said("the code", &bad))?;
        let expires_at = expires_at.map(str::parse).transpose();
        let expires_at = expires_at.map_err(|_| {
            said("the second column", &"must be an RFC 3339 instant such as 2026-03-03T18:30:00Z, or empty")
        })?;
        Ok(Self { code, expires_at, custom_attributes: Attributes::new() })
    }
}

impl Report {
    fn refuse(&mut self, line: u64, problem: String) {
        self.invalid += 1;
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(LineProblem { line, problem });
        }
    }
}
