//! A chain's program.

use async_graphql::{Context, Object, SimpleObject};

use super::scalars::DateTime;
use super::{Asked, word};
use crate::domain::role::Right;
use crate::http::problem::Problem;
use crate::read::program::{ProgramView, SuspensionView};

/// What a chain decides by.
#[derive(SimpleObject)]
pub(super) struct Program {
    /// The version in force; 0 = none.
    version: i64,
    /// SHA-256 of its files, in hexadecimal.
    hash: Option<String>,
    /// When it was published.
    published_at: Option<DateTime>,
    /// Where it comes from: `folder`, `api`, `rollback`, `promotion`.
    origin: Option<String>,
    /// The API key that published it; null when the folder was edited.
    by: Option<String>,
    /// What was said of it.
    note: Option<String>,
    /// The tiers, lowest first.
    tiers: Vec<String>,
    /// The rules, in the order of their files.
    rules: Vec<String>,
    /// Rules that kept failing and are not run.
    suspended: Vec<SuspendedRule>,
    /// The version that is tried on some beside it.
    candidate: Option<i64>,
    /// Why the newest edit of the folder is not in force; empty when it is.
    problems: Vec<String>,
}

/// A rule that kept failing.
#[derive(SimpleObject)]
pub(super) struct SuspendedRule {
    /// Its name.
    rule: String,
    /// `file:line`.
    at: String,
    /// Since when it is not run.
    since: DateTime,
    /// For how many members in a row it had failed.
    members: u16,
    /// `file:line:column` of the last failure.
    failed_at: String,
    /// What went wrong there.
    error: String,
}

impl From<SuspensionView> for SuspendedRule {
    fn from(view: SuspensionView) -> Self {
        Self {
            rule: view.rule.into(),
            at: view.at.into(),
            since: view.since.into(),
            members: view.members,
            failed_at: view.failed_at.into(),
            error: view.error.into(),
        }
    }
}

impl From<ProgramView<'_>> for Program {
    fn from(view: ProgramView<'_>) -> Self {
        Self {
            version: view.version,
            hash: view.hash,
            published_at: view.published_at.map(Into::into),
            origin: view.origin.map(|origin| word(&origin)),
            by: view.by.map(|by| by.to_string()),
            note: view.note.map(|note| note.to_string()),
            tiers: view.tiers.into_iter().map(ToString::to_string).collect(),
            rules: view.rules.into_iter().map(str::to_owned).collect(),
            suspended: view.suspended.into_iter().map(Into::into).collect(),
            candidate: view.candidate.map(|tried| tried.version),
            problems: view.problems.iter().map(ToString::to_string).collect(),
        }
    }
}

#[derive(Default)]
pub(super) struct ProgramQueries;

#[Object]
impl ProgramQueries {
    /// The program in force.
    async fn program(&self, ctx: &Context<'_>, chain_id: String) -> Result<Program, Problem> {
        let asked = Asked::of(ctx);
        let chain = asked.chain(Right::Manage, &chain_id)?;
        let candidate = chain.candidate.as_ref().map(|tried| (&*tried.program, &tried.roll_out));
        let (program, id) = (chain.program.as_deref(), chain.chain.id.clone());
        Ok(asked.state.reader.program(id, program, candidate, &chain.problems).await?.into())
    }
}
