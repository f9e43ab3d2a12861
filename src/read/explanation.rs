//! Why a line of the ledger is there: who or what wrote it, by which rule as it was then, and of which event.

use serde::Serialize;

use super::ledger::TransferView;
use super::program::PublicationView;
use super::source_event::SourceDetail;
use super::{ReadError, Reader};
use crate::domain::chain::ChainId;
use crate::domain::effect::{API, Cause, ENGINE};
use crate::domain::ids::{MemberId, TransferId};
use crate::rules::cut;
use crate::rules::program::Sources;
use crate::store::{self, DbConn, at_one_instant};

/// A ledger line with everything that it came of.
#[derive(Debug, Serialize)]
pub struct ExplainedTransfer {
    #[serde(flatten)]
    line: TransferView,
    because: Because,
    /// The source event, with its body; `null` for what fell due.
    input: Option<SourceDetail>,
}

/// Who or what wrote a line.
#[derive(Debug, Serialize)]
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

impl Because {
    fn of(cause: &Cause, program: Option<(PublicationView, Sources)>) -> Self {
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
        match &*cause.at == ENGINE {
            true => Self::Engine { what, version },
            false => Self::Rule { rule: what, at: cause.at.to_string(), text, uses, version },
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
        let because = Because::of(&line.cause, program);
        let input = source.map(SourceDetail::of).transpose()?;
        Ok(Some(ExplainedTransfer { line: line.into(), because, input }))
    }
}
