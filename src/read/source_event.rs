//! Source events as outsiders see them: what came, and what became of it.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::page::{Page, Wanted};
use super::{ReadError, Reader, raw};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::effect::RuleFailure;
use crate::domain::ids::{MemberId, SourceId};
use crate::domain::json::JsonObject;
use crate::domain::receipt::{Receipt, SourceStatus};
use crate::domain::text::{Key, Name};
use crate::store::source_event::{self, StoredSource};

/// A source event in a list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "SourceEvent")]
pub struct SourceView {
    /// Its id.
    pub id: SourceId,
    /// The POS's key of it.
    pub key: Key,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What became of it.
    pub status: SourceStatus,
    /// When it happened, by the POS's clock.
    pub occurred_at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
    /// Where.
    pub location: Option<Name>,
    /// The API key that asked for it, by its name; of commands only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<Name>,
    /// The id of the trace that it is part of, if its request brought one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Our id of the member, once known.
    pub member: Option<MemberId>,
    /// The version of the program that decided last.
    pub program_version: i64,
    /// How often it was decided.
    pub runs: u32,
    /// The rules that failed.
    pub errors: Vec<RuleFailure>,
}

/// A source event with everything that is kept of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SourceEventDetail")]
pub struct SourceDetail {
    /// As in a list.
    #[serde(flatten)]
    pub source: SourceView,
    /// The body as it came; of an event that is too old to be kept, `no_longer_kept` and the id of its order.
    #[schemars(with = "JsonObject")]
    pub body: Box<RawValue>,
    /// The receipt.
    #[schemars(with = "Receipt")]
    pub receipt: Box<RawValue>,
}

impl SourceDetail {
    pub(super) fn of(mut stored: StoredSource) -> Result<Self, ReadError> {
        let body = raw(std::mem::take(&mut stored.body), "source event")?;
        let receipt = raw(std::mem::take(&mut stored.receipt), "receipt")?;
        Ok(Self { source: stored.into(), body, receipt })
    }
}

impl From<StoredSource> for SourceView {
    fn from(stored: StoredSource) -> Self {
        Self {
            id: stored.id,
            key: stored.key,
            kind: stored.kind.as_str(),
            status: stored.status,
            occurred_at: stored.occurred_at,
            received_at: stored.received_at,
            location: stored.location,
            asked_by: stored.asked_by,
            trace_id: stored.trace.map(|trace| trace.id().to_string()),
            member: stored.member,
            program_version: stored.program_version,
            runs: stored.runs,
            errors: stored.errors,
        }
    }
}

impl Reader {
    /// Source events, newest first, of one status or all.
    ///
    /// # Errors
    /// The store failed.
    pub async fn source_events(
        &self,
        chain: ChainId,
        status: Option<SourceStatus>,
        wanted: Wanted<SourceId>,
    ) -> Result<Page<SourceView>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after);
        let found = self.run(move |conn| Ok(source_event::list(conn, &chain, status, rows, after)?)).await?;
        wanted.page(found, |source| source.id.to_string()).map(|source| Ok(source.into()))
    }

    /// One source event.
    ///
    /// # Errors
    /// The store failed.
    pub async fn source_event(
        &self,
        chain: ChainId,
        id: SourceId,
    ) -> Result<Option<SourceDetail>, ReadError> {
        let found = self.run(move |conn| Ok(source_event::get(conn, &chain, id)?)).await?;
        found.map(SourceDetail::of).transpose()
    }
}
