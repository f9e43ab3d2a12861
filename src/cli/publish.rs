//! `punchcard publish`: sends a folder to a running server, which puts it in force.

use std::path::PathBuf;
use std::time::Duration;

use awc::Client;
use serde_json::{Value, json};

use crate::domain::chain::ChainId;
use crate::rules::folder;
use crate::rules::report::{Colour, check_folder};

use super::{Failure, out};

/// Checking and testing a large program takes a while.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The most that is read of an answer, in bytes.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

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
    /// Where the server is
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// An API key with the role manager
    #[arg(long, value_name = "KEY", env = "PUNCHCARD_KEY", hide_env_values = true)]
    key: String,
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
}

impl Publish {
    /// Whether it is for some and not for all.
    fn is_for_some(&self) -> bool {
        self.share.is_some() || !self.location.is_empty()
    }
}

pub(super) fn run(verb: &Publish) -> Result<(), Failure> {
    let report = check_folder(&verb.dir);
    let colour = if out::is_watched() { Colour::Terminal } else { Colour::Plain };
    out::text(&report.render(&verb.dir, colour));
    if !report.is_good() {
        return Err(Failure::Reported);
    }
    let chain = verb.chain.as_ref().map_or(&*report.chain, ChainId::as_str);
    let sources = folder::read(&verb.dir).map_err(|problem| Failure::Failed(problem.to_string()))?;
    let files: serde_json::Map<_, _> =
        sources.files.into_iter().map(|(name, text)| (name, Value::String(text))).collect();
    let mut body = json!({ "files": files });
    if let Some(note) = &verb.note {
        body["note"] = note.as_str().into();
    }
    if let Some(replaces) = verb.replaces {
        body["replaces"] = replaces.into();
    }
    let what = if verb.is_for_some() { "candidate" } else { "publish" };
    if let Some(share) = verb.share {
        body["share"] = share.into();
    }
    if !verb.location.is_empty() {
        body["locations"] = json!(verb.location);
    }
    let path = format!("{}/v1/chains/{chain}/program/{what}", verb.url.trim_end_matches('/'));
    let (status, answer) = actix_rt::System::new().block_on(send(&path, &verb.key, &body))?;
    tell(chain, verb, status, &answer)
}

async fn send(path: &str, key: &str, body: &Value) -> Result<(u16, Value), Failure> {
    let failed = |error: &dyn std::error::Error| Failure::because(&format!("cannot ask {path}"), error);
    let client = Client::builder().timeout(TIMEOUT).finish();
    let sent = client.post(path).bearer_auth(key).send_json(body).await;
    let mut answer = sent.map_err(|error| failed(&error))?;
    let text = answer.body().limit(MAX_ANSWER).await.map_err(|error| failed(&error))?;
    let shown = serde_json::from_slice(&text);
    Ok((answer.status().as_u16(), shown.unwrap_or_else(|_| String::from_utf8_lossy(&text).into())))
}

fn tell(chain: &str, verb: &Publish, status: u16, answer: &Value) -> Result<(), Failure> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match status {
        201 if verb.is_for_some() => {
            out::line(format_args!(
                "{chain}: version {} is tried; everybody else keeps what is in force",
                answer["version"]
            ));
        }
        201 => out::line(format_args!("{chain}: version {} is in force", answer["version"])),
        200 => out::line(format_args!("{chain}: version {} was in force already", answer["version"])),
        _ => {
            for problem in answer["problems"].as_array().into_iter().flatten() {
                let Value::String(file) = &problem["file"] else { continue };
                let (line, column, message) =
                    (&problem["line"], &problem["column"], text(&problem["message"]));
                let help = problem["help"].as_str().map_or(String::new(), |help| format!(" ({help})"));
                out::error(format_args!("{file}:{line}:{column}: {message}{help}"));
            }
            let detail = answer.get("detail").unwrap_or(answer);
            return Err(Failure::Failed(format!("the server answered {status}: {}", text(detail))));
        }
    }
    Ok(())
}
