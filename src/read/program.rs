//! A chain's program and its versions as outsiders see them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use smol_str::SmolStr;

use super::page::{Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::publication::{Origin, Publication};
use crate::domain::roll_out::{Audience, RollOut};
use crate::domain::suspension::Suspension;
use crate::domain::text::{Name, Note};
use crate::rules::diagnostic::Diagnostic;
use crate::rules::difference::{self, FileDifference};
use crate::rules::program::{Program, Sources};
use crate::store::program;

/// A published version.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Publication")]
pub struct PublicationView {
    version: i64,
    /// SHA-256 of its files, in hexadecimal.
    hash: String,
    origin: Origin,
    /// The version whose files a rollback or a promotion repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    restores: Option<i64>,
    /// The API key that published it; `null` = nobody did, the folder was edited.
    by: Option<Name>,
    note: Option<Note>,
    published_at: Timestamp,
}

impl PublicationView {
    /// What may be shown of a version.
    pub fn of(publication: Publication) -> Self {
        let Publication { version, hash, origin, by, note, at } = publication;
        let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { version, hash, origin, restores: origin.restores(), by, note, published_at: at }
    }
}

/// The program in force.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Program")]
pub struct ProgramView<'a> {
    /// The version in force; 0 = none.
    pub(crate) version: i64,
    pub(crate) hash: Option<String>,
    pub(crate) published_at: Option<Timestamp>,
    pub(crate) origin: Option<Origin>,
    pub(crate) by: Option<Name>,
    pub(crate) note: Option<Note>,
    /// Lowest first.
    pub(crate) tiers: Vec<&'a Name>,
    /// In the order of their files.
    pub(crate) rules: Vec<&'a str>,
    /// Those of them that kept failing and are not run.
    pub(crate) suspended: Vec<SuspensionView>,
    /// What is tried on some beside it.
    pub(crate) candidate: Option<TriedView<'a>>,
    /// Why the newest edit of the folder is not in force; empty when it is.
    pub(crate) problems: &'a [Diagnostic],
}

/// A suspended rule.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "SuspendedRule")]
pub struct SuspensionView {
    /// Its name.
    pub(crate) rule: SmolStr,
    /// `file:line`.
    pub(crate) at: SmolStr,
    pub(crate) since: Timestamp,
    /// For how many members in a row it had failed.
    pub(crate) members: u16,
    /// `file:line:column` of the last failure.
    pub(crate) failed_at: SmolStr,
    pub(crate) error: SmolStr,
}

impl SuspensionView {
    /// What may be shown of it.
    pub fn of(suspension: &Suspension) -> Self {
        let Suspension { rule, at, version: _, since, members, failed_at, error } = suspension.clone();
        Self { rule, at, since, members, failed_at, error }
    }
}

/// A candidate, and for whom it decides.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "TriedVersion")]
pub(crate) struct TriedView<'a> {
    pub(crate) version: i64,
    #[serde(flatten)]
    audience: &'a Audience,
    /// Those of its rules that kept failing and are not run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suspended: Vec<SuspensionView>,
}

fn suspended(program: &Program) -> Vec<SuspensionView> {
    program.suspended().iter().map(SuspensionView::of).collect()
}

/// A version with its files.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Version")]
pub struct VersionView {
    #[serde(flatten)]
    publication: PublicationView,
    /// Their texts by name.
    files: BTreeMap<String, String>,
}

/// What differs between two versions.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Difference")]
pub struct DifferenceView {
    from: i64,
    to: i64,
    files: Vec<FileDifference>,
}

impl Reader {
    /// The program in force, if one is, and `problems` of an edit that is not.
    ///
    /// # Errors
    /// The store failed.
    pub async fn program<'a>(
        &self,
        chain: ChainId,
        program: Option<&'a Program>,
        candidate: Option<(&'a Program, &'a RollOut)>,
        problems: &'a [Diagnostic],
    ) -> Result<ProgramView<'a>, ReadError> {
        let version = program.map_or(0, |program| program.version);
        let stored = self.run(move |conn| Ok(program::publication(conn, &chain, version)?)).await?;
        let publication = stored.map(PublicationView::of);
        Ok(ProgramView {
            version,
            hash: publication.as_ref().map(|publication| publication.hash.clone()),
            published_at: publication.as_ref().map(|publication| publication.published_at),
            origin: publication.as_ref().map(|publication| publication.origin),
            by: publication.as_ref().and_then(|publication| publication.by.clone()),
            note: publication.and_then(|publication| publication.note),
            tiers: program.map_or_else(Vec::new, |program| program.terms.tiers.ids().collect()),
            rules: program.map_or_else(Vec::new, |program| program.rule_names().collect()),
            suspended: program.map_or_else(Vec::new, suspended),
            candidate: candidate.map(|(program, roll_out)| TriedView {
                suspended: suspended(program),
                version: roll_out.version,
                audience: &roll_out.stage().audience,
            }),
            problems,
        })
    }

    /// All versions, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn versions(
        &self,
        chain: ChainId,
        wanted: Wanted<i64>,
    ) -> Result<Page<PublicationView>, ReadError> {
        let (after, limit) = (wanted.after, wanted.rows());
        let rows = self.run(move |conn| Ok(program::list(conn, &chain, after, limit)?)).await?;
        let page = wanted.page(rows, |publication| publication.version.to_string());
        page.map(|publication| Ok(PublicationView::of(publication)))
    }

    /// One version with its files.
    ///
    /// # Errors
    /// The store failed.
    pub async fn version(&self, chain: ChainId, version: i64) -> Result<Option<VersionView>, ReadError> {
        let Some(stored) = self.run(move |conn| Ok(program::get(conn, &chain, version)?)).await? else {
            return Ok(None);
        };
        let files = sources(&stored.files_json)?.files.into_iter().collect();
        Ok(Some(VersionView { publication: PublicationView::of(stored.publication), files }))
    }

    /// What differs between two versions; `None` when there never was one of them. Version 0 is the program without
    /// files. Without `from`, since the one that was in force before.
    ///
    /// # Errors
    /// The store failed.
    pub async fn difference(
        &self,
        chain: ChainId,
        from: Option<i64>,
        to: i64,
    ) -> Result<Option<DifferenceView>, ReadError> {
        self.run(move |conn| {
            let from = match from {
                Some(from) => from,
                None => program::before(conn, &chain, to)?.unwrap_or(0),
            };
            let mut files = |version| match version {
                0 => Ok(Some(Sources::default())),
                _ => {
                    let stored = program::get(conn, &chain, version)?;
                    stored.map(|stored| sources(&stored.files_json)).transpose()
                }
            };
            let (Some(was), Some(is)) = (files(from)?, files(to)?) else { return Ok(None) };
            Ok(Some(DifferenceView { from, to, files: difference::between(&was, &is) }))
        })
        .await
    }
}

fn sources(json: &str) -> Result<Sources, ReadError> {
    Sources::read(json).map_err(|_| ReadError::Corrupt("program version"))
}
