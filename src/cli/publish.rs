//! `punchcard publish`: sends a folder to a running server, which puts it in force.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::domain::chain::ChainId;
use crate::rules::diagnostic::Diagnostic;
use crate::rules::folder;
use crate::rules::program::Sources;
use crate::rules::report::{chain_of, check_folder, render};

use super::server::{Answer, Server};
use super::{Failure, out};

/// Put a folder's rules in force on a running server
///
/// Checks and tests them here first. Exits 1, and changes nothing, when they do not check or the server refuses them.
#[derive(Debug, clap::Args)]
pub(super) struct Publish {
    /// The folder of the chain
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The chain; without it, the one that the folder is named after
    #[arg(long, value_name = "CHAIN")]
    chain: Option<ChainId>,
    /// Make the chain first, as program.toml describes it; that takes a key with the role admin
    #[arg(long)]
    new: bool,
    /// Why, in words, for whoever looks at the versions later
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Try it on so many per cent of the members first; everybody else keeps what is in force
    #[arg(long, value_name = "PERCENT", conflicts_with = "location")]
    share: Option<u8>,
    /// Try it at this location first; may be given several times
    #[arg(long, value_name = "LOCATION")]
    location: Vec<String>,
    /// The version that it was edited from: nothing is published when another one is in force by now
    #[arg(long, value_name = "VERSION")]
    replaces: Option<i64>,
    #[command(flatten)]
    server: Server,
}

impl Publish {
    /// Whether it is for some and not for all.
    fn is_for_some(&self) -> bool {
        self.share.is_some() || !self.location.is_empty()
    }
}

pub(super) fn run(verb: &Publish) -> Result<(), Failure> {
    let report = check_folder(&verb.dir);
    out::text(&report.render(&verb.dir, out::colour()));
    if !report.is_good() {
        return Err(Failure::Reported);
    }
    let chain = verb.chain.as_ref().map_or(&*report.chain, ChainId::as_str);
    let sources = folder::read(&verb.dir).map_err(|problem| Failure::Failed(problem.to_string()))?;
    if verb.new {
        make_chain(verb, chain, &sources)?;
    }
    let what = if verb.is_for_some() { "candidate" } else { "publish" };
    let path = format!("/v1/chains/{chain}/program/{what}");
    let answer = verb.server.post(&path, &verb.body(&sources))?;
    tell(chain, verb, &sources, &answer)
}

fn make_chain(verb: &Publish, id: &str, sources: &Sources) -> Result<(), Failure> {
    let failed = |problems: Vec<Diagnostic>| {
        Failure::Failed(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    };
    let chain = chain_of(id, sources).map_err(failed)?;
    let body = json!({
        "id": id,
        "name": chain.name,
        "timezone": chain.timezone.name(),
        "currency": chain.currency.code,
    });
    verb.server.post("/v1/chains", &body)?.good()?;
    out::line(format_args!("{id}: made the chain \"{}\"", chain.name));
    Ok(())
}

impl Publish {
    fn body(&self, sources: &Sources) -> Value {
        let files = sources.files.iter();
        let files: serde_json::Map<_, _> =
            files.map(|(name, text)| (name.clone(), Value::String(text.clone()))).collect();
        let mut body = json!({ "files": files });
        if let Some(note) = &self.note {
            body["note"] = note.as_str().into();
        }
        if let Some(replaces) = self.replaces {
            body["replaces"] = replaces.into();
        }
        if let Some(share) = self.share {
            body["share"] = share.into();
        }
        if !self.location.is_empty() {
            body["locations"] = json!(self.location);
        }
        body
    }
}

fn tell(chain: &str, verb: &Publish, sources: &Sources, answer: &Answer) -> Result<(), Failure> {
    let version = &answer.body["version"];
    match answer.status {
        201 if verb.is_for_some() => {
            out::line(format_args!(
                "{chain}: version {version} is tried; everybody else keeps what is in force"
            ));
        }
        201 => out::line(format_args!("{chain}: version {version} is in force")),
        200 => out::line(format_args!("{chain}: version {version} was in force already")),
        _ => {
            let problems = answer.body["problems"].as_array().into_iter().flatten();
            for problem in problems.filter_map(Diagnostic::told) {
                out::draw(&render(&problem, &verb.dir, sources, out::colour()));
            }
            return Err(answer.refusal());
        }
    }
    Ok(())
}
