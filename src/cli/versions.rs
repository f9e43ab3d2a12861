//! `punchcard versions`, `diff` and `rollback`: what was published on a running server, and the way back.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::domain::chain::ChainId;

use super::server::{Server, text};
use super::{Failure, out};

/// The most versions on one list.
const MAX_LISTED: usize = 50;

/// List the newest versions of a chain's program on a running server
///
/// The newest is in force, but for candidates: who published it, when, and why.
#[derive(Debug, clap::Args)]
pub(super) struct Versions {
    /// The chain
    #[arg(value_name = "CHAIN")]
    chain: ChainId,
    #[command(flatten)]
    server: Server,
}

/// Show what differs between two versions of a chain's program on a running server
#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    /// The chain
    #[arg(value_name = "CHAIN")]
    chain: ChainId,
    /// The older version [default: the one that was in force before the other]
    #[arg(long, value_name = "VERSION")]
    from: Option<i64>,
    /// The newer version [default: the one in force]
    #[arg(long, value_name = "VERSION")]
    to: Option<i64>,
    #[command(flatten)]
    server: Server,
}

/// Put an older version of a chain's program in force again on a running server
///
/// Its files become the next version. What was decided meanwhile stays decided.
#[derive(Debug, clap::Args)]
pub(super) struct Rollback {
    /// The chain
    #[arg(value_name = "CHAIN")]
    chain: ChainId,
    /// The version whose files are to be in force again
    #[arg(value_name = "VERSION")]
    version: i64,
    /// Why, in words, for whoever looks at the versions later
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    server: Server,
}

pub(super) fn versions(verb: &Versions) -> Result<(), Failure> {
    let page = verb.server.get(&format!("/v1/chains/{}/program/versions?limit={MAX_LISTED}", verb.chain))?;
    let listed = page["items"].as_array().into_iter().flatten();
    listed.for_each(|version| out::line(format_args!("{}", in_a_line(version))));
    if !page["next_cursor"].is_null() {
        out::line(format_args!("and older ones"));
    }
    Ok(())
}

fn in_a_line(version: &Value) -> String {
    let mut line = format!("{:>5}  {}  ", text(&version["version"]), text(&version["published_at"]));
    line.push_str(&text(&version["origin"]));
    // Writing to a String cannot fail.
    if let Some(restores) = version["restores"].as_i64() {
        let _ = write!(line, " of {restores}");
    }
    if let Some(by) = version["by"].as_str() {
        let _ = write!(line, " by {by}");
    }
    if let Some(note) = version["note"].as_str() {
        let _ = write!(line, ": {note}");
    }
    line
}

pub(super) fn diff(verb: &Diff) -> Result<(), Failure> {
    let query: Vec<_> = [("from", verb.from), ("to", verb.to)]
        .into_iter()
        .filter_map(|(name, version)| Some(format!("{name}={}", version?)))
        .collect();
    let found = verb.server.get(&format!("/v1/chains/{}/program/diff?{}", verb.chain, query.join("&")))?;
    let files = found["files"].as_array().into_iter().flatten();
    files.for_each(|file| out::text(&text(&file["diff"])));
    Ok(())
}

pub(super) fn roll_back(verb: &Rollback) -> Result<(), Failure> {
    let Rollback { chain, version, note, server } = verb;
    let body = json!({ "version": version, "note": note });
    let answer = server.post(&format!("/v1/chains/{chain}/program/rollback"), &body)?;
    let is_new = answer.status == 201;
    let now = text(&answer.good()?["version"]);
    if is_new {
        out::line(format_args!("{chain}: version {now} is in force, as version {version} was"));
    } else {
        out::line(format_args!("{chain}: version {now} was in force already"));
    }
    Ok(())
}
