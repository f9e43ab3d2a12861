//! Why a line of the ledger is there: who or what wrote it, by which rule as it was then, and of which event.

use schemars::JsonSchema;
use serde::Serialize;

use super::backtest::Unread;
use super::ledger::TransferView;
use super::program::PublicationView;
use super::source_event::SourceDetail;
use super::{ReadError, Reader};
use crate::domain::chain::ChainId;
use crate::domain::effect::{API, Cause, ENGINE};
use crate::domain::ids::{MemberId, TransferId};
use crate::rules::cut;
use crate::rules::program::Sources;
use crate::rules::verdict::Value;
use crate::store::{self, DbConn, at_one_instant};

/// A ledger line with everything that it came of.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainedLedgerLine")]
pub struct ExplainedTransfer {
    #[serde(flatten)]
    line: TransferView,
    because: Because,
    /// The source event, with its body; `null` for what fell due.
    input: Option<SourceDetail>,
}

/// Who or what wrote a line.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Because {
    /// A rule of the chain's program.
    Rule {
        rule: String,
        /// `file:line`, in the version that decided.
        at: String,
        /// The rule as it was written in that version.
        text: Option<String>,
        /// The constants and functions that it used, as they were in that version.
        uses: Vec<String>,
        /// What it had read.
        #[serde(flatten)]
        reads: Reads,
        /// That version.
        version: Option<PublicationView>,
    },
    /// Somebody asked for it, over the API.
    Person {
        /// The name of the API key.
        key: Option<String>,
        /// What they asked for.
        what: String,
    },
    /// The engine did it by itself, as `program.toml` says.
    Engine {
        /// What it did, or what fell due.
        what: String,
        /// The version of that time.
        version: Option<PublicationView>,
    },
}

/// What a rule had read of the member and of what happened.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Reads {
    Known {
        reads: Vec<Value>,
    },
    Unknown {
        /// Always `null`.
        reads: (),
        reads_missing: Unread,
    },
}

impl From<Result<Vec<Value>, Unread>> for Reads {
    fn from(read: Result<Vec<Value>, Unread>) -> Self {
        match read {
            Ok(reads) => Self::Known { reads },
            Err(reads_missing) => Self::Unknown { reads: (), reads_missing },
        }
    }
}

/// Whether a rule wrote a line.
fn is_a_rules(cause: &Cause) -> bool {
    let who = cause.at.split_once(':').map_or(&*cause.at, |(who, _)| who);
    who != API && who != ENGINE
}

impl Because {
    fn of(cause: &Cause, program: Option<(PublicationView, Sources)>, reads: Option<Reads>) -> Self {
        let what = cause.rule.to_string();
        match cause.at.split_once(':') {
            Some((API, key)) => return Self::Person { key: Some(key.to_owned()), what },
            None if &*cause.at == API => return Self::Person { key: None, what },
            _ => {}
        }
        let text = program.as_ref().and_then(|(_, sources)| cut::rule(sources, &cause.rule, &cause.at));
        let uses = program.as_ref().zip(text).map(|((_, sources), text)| cut::used_by(sources, text));
        let uses = uses.into_iter().flatten().map(str::to_owned).collect();
        let text = text.map(str::to_owned);
        let version = program.map(|(version, _)| version);
        match reads {
            None => Self::Engine { what, version },
            Some(reads) => Self::Rule { rule: what, at: cause.at.to_string(), text, uses, reads, version },
        }
    }
}

impl Reader {
    /// One line of a member's ledger, explained.
    ///
    /// # Errors
    /// The store failed.
    pub async fn explain(
        &self,
        chain: ChainId,
        member: MemberId,
        line: TransferId,
    ) -> Result<Option<ExplainedTransfer>, ReadError> {
        let of_chain = chain.clone();
        let look = move |conn: &mut DbConn| {
            let Some(line) = store::ledger::get(conn, &chain, member, line)? else { return Ok(None) };
            let program = store::program::get(conn, &chain, line.cause.program_version)?;
            let source = line.source.map(|id| store::source_event::get(conn, &chain, id)).transpose()?;
            Ok(Some((line, program, source.flatten())))
        };
        let found = self.run(move |conn| Ok(at_one_instant(conn, look)?)).await?;
        let Some((line, program, source)) = found else { return Ok(None) };
        let program = program
            .map(|stored| {
                let sources = Sources::read(&stored.files_json);
                let sources = sources.map_err(|_| ReadError::Corrupt("program version"))?;
                Ok::<_, ReadError>((PublicationView::of(stored.publication), sources))
            })
            .transpose()?;
        let was_replayed = source.as_ref().is_some_and(|source| source.runs > 1);
        let reads = match is_a_rules(&line.cause) {
            true if was_replayed => Some(Err(Unread::Replayed)),
            true => Some(self.what_was_read(of_chain, member, line.clone()).await?),
            false => None,
        };
        let because = Because::of(&line.cause, program, reads.map(Reads::from));
        let input = source.map(SourceDetail::of).transpose()?;
        Ok(Some(ExplainedTransfer { line: line.into(), because, input }))
    }
}
