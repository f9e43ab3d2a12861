//! The audit log: listed, shown, exported. Nothing here changes it.

use std::str::FromStr;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc;

use super::{found, id};
use crate::domain::audit::Filter;
use crate::domain::chain::ChainId;
use crate::domain::ids::AuditId;
use crate::domain::json::to_json;
use crate::domain::role::Right;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::read::ReadError;
use crate::read::audit::{AuthorView, EntryView};
use crate::read::page::Wanted;

const WHAT: &str = "line of the audit log";
/// Lines that an export reads at a time.
const AT_ONCE: usize = 200;

/// `GET /v1/audit`: newest first; a key of one chain sees the lines about that one.
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let filter = filter(&caller, &mut query)?;
    let wanted = query.page::<AuditId>()?;
    query.finish()?;
    Ok(HttpResponse::Ok().json(state.reader.audit(filter, wanted).await?))
}

/// `GET /v1/audit/{id}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.require_role(Right::Administer)?;
    found(state.reader.audit_entry(caller.chain().cloned(), id(&path, WHAT)?).await?, WHAT)
}

/// `GET /v1/audit/export`: all lines that are sought, newest first, written while they are read.
pub(in crate::http) async fn export(
    state: State,
    caller: Caller,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let filter = filter(&caller, &mut query)?;
    let format = query.parsed("format", "must be ndjson or csv")?.unwrap_or(Format::Ndjson);
    query.finish()?;
    let (pieces, mut fetched) = mpsc::channel(2);
    actix_web::rt::spawn(async move {
        if let Err(error) = write(&state, filter, format, &pieces).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "an export of the audit log could not be finished");
            // The connection breaks off, so that nobody takes a part for the whole.
            let _ = pieces.send(Err(actix_web::error::ErrorInternalServerError("broken off"))).await;
        }
    });
    let stream = poll_fn(move |cx| fetched.poll_recv(cx)).map(|piece: Result<Bytes, actix_web::Error>| piece);
    let (content_type, file) = match format {
        Format::Ndjson => ("application/x-ndjson", "audit.ndjson"),
        Format::Csv => ("text/csv; charset=utf-8", "audit.csv"),
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")))
        .streaming(stream))
}

/// Which lines somebody seeks, as far as they may.
fn filter(caller: &Caller, query: &mut Query) -> Result<Filter, Problem> {
    caller.require_role(Right::Administer)?;
    let an_instant = "must be an RFC 3339 instant such as 2026-03-03T18:30:00Z";
    let asked: Option<ChainId> = query.parsed("chain", "must be the id of a chain")?;
    let chain = match (caller.chain(), asked) {
        (Some(own), Some(other)) if *own != other => return Err(Problem::NotFound("chain")),
        (own, asked) => asked.or_else(|| own.cloned()),
    };
    let authors = "must be the id of a key (key_…), or configuration, command_line, folder or engine";
    let actions = "must be an action such as endpoint.updated, or all of a kind such as endpoint.*";
    Ok(Filter {
        chain,
        author: query.parsed("author", authors)?,
        actions: query.parsed("action", actions)?,
        target: query.text("target")?,
        since: query.parsed("since", an_instant)?,
        until: query.parsed("until", an_instant)?,
    })
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// An object a line.
    Ndjson,
    /// A table.
    Csv,
}

impl FromStr for Format {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "ndjson" => Ok(Self::Ndjson),
            "csv" => Ok(Self::Csv),
            _ => Err(()),
        }
    }
}

impl Format {
    /// What stands before all lines.
    fn heading(self) -> Vec<u8> {
        match self {
            Self::Ndjson => Vec::new(),
            Self::Csv => table([COLUMNS.map(str::to_owned)]),
        }
    }

    fn lines(self, lines: &[EntryView]) -> Vec<u8> {
        match self {
            Self::Ndjson => lines.iter().flat_map(|line| (to_json(line) + "\n").into_bytes()).collect(),
            Self::Csv => table(lines.iter().map(|line| cells(line).map(harmless))),
        }
    }
}

/// Writes what is sought, page by page. A piece waits until the one before it is fetched; when nobody fetches any more, it ends.
async fn write(
    state: &State,
    filter: Filter,
    format: Format,
    pieces: &mpsc::Sender<Result<Bytes, actix_web::Error>>,
) -> Result<(), ReadError> {
    let mut after = None;
    let mut piece = format.heading();
    loop {
        let page = state.reader.audit(filter.clone(), Wanted { limit: AT_ONCE, after }).await?;
        piece.extend(format.lines(&page.items));
        if !piece.is_empty() && pieces.send(Ok(std::mem::take(&mut piece).into())).await.is_err() {
            return Ok(());
        }
        after = page.next_cursor.and_then(|cursor| cursor.parse().ok());
        if after.is_none() {
            return Ok(());
        }
    }
}

/// The columns of a table.
const COLUMNS: [&str; 14] = [
    "id",
    "at",
    "chain",
    "author_type",
    "author_id",
    "author_name",
    "author_role",
    "address",
    "request_id",
    "action",
    "target_type",
    "target_id",
    "before",
    "after",
];

fn cells(line: &EntryView) -> [String; COLUMNS.len()] {
    fn text(value: Option<&impl ToString>) -> String {
        value.map(ToString::to_string).unwrap_or_default()
    }
    let AuthorView { kind, id, name, role } = &line.author;
    let origin = line.origin.as_ref();
    [
        line.id.to_string(),
        line.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        text(line.chain.as_ref()),
        (*kind).to_owned(),
        text(id.as_ref()),
        text(name.as_ref()),
        text(role.as_ref()),
        text(origin.and_then(|origin| origin.address.as_ref())),
        text(origin.and_then(|origin| origin.request_id.as_ref())),
        line.action.to_owned(),
        line.target.kind.to_owned(),
        line.target.id.clone(),
        line.before.as_ref().map(to_json).unwrap_or_default(),
        line.after.as_ref().map(to_json).unwrap_or_default(),
    ]
}

/// A text that no spreadsheet takes for a formula: <https://owasp.org/www-community/attacks/CSV_Injection>
fn harmless(text: String) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        true => format!("'{text}"),
        false => text,
    }
}

fn table(rows: impl IntoIterator<Item = [String; COLUMNS.len()]>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = rows.into_iter().try_for_each(|row| writer.write_record(row));
    // Nothing can fail that writes into memory.
    written.ok().and_then(|()| writer.into_inner().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_keeps_its_commas_quotes_and_lines() {
        for (text, cell) in [
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("till 3", "till 3"),
            ("{\"a\":1}", "{\"a\":1}"),
            ("", ""),
        ] {
            assert_eq!(harmless(text.to_owned()), cell);
        }
        let mut row = COLUMNS.map(str::to_owned);
        row[5] = "a \"till\",\nof 3".to_owned();
        let text = table([row.clone()]);
        let mut read = csv::ReaderBuilder::new().has_headers(false).from_reader(&*text);
        let back: Vec<_> = read.records().map(Result::unwrap).collect();
        assert_eq!(back.len(), 1);
        assert_eq!(back[0].iter().collect::<Vec<_>>(), row.each_ref().map(String::as_str));
    }
}
