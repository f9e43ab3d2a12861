//! The server under load: one that is started for the run, or one that runs already.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use crate::cli::net::api::{Access, CallError, Client};
use crate::cli::serve::Stops;
use crate::cli::{Failure, new_key, sample};
use crate::config::setting::Setting;

use super::Which;
use super::process::Process;

/// Encrypts secrets in a PostgreSQL database that is used for benchmarks: no secret worth keeping is in it.
const BENCH_MASTER_KEY: &str = "62656e63682062656e63682062656e63682062656e63682062656e6368202121";
const READY_WITHIN: Duration = Duration::from_secs(60);
/// What shells answer for a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;
const STOP_WITHIN: Duration = Duration::from_secs(12);

/// A server that can be sent to.
#[derive(Debug)]
pub(super) struct Server {
    /// Where it is.
    pub(super) access: Access,
    /// The chain to send to.
    pub(super) chain: String,
    ours: Option<Ours>,
}

/// A server that we started.
#[derive(Debug)]
struct Ours {
    child: Child,
    command: Command,
    /// Deleted with everything in it after the child has ended.
    folder: TempDir,
}

impl Server {
    /// Finds or starts the server that the command line asks for, and waits until it is ready.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub(super) fn of(which: &Which) -> Result<Self, Failure> {
        match (&which.target, &which.key) {
            (Some(target), Some(key)) => Self::running(target, key, which),
            _ => Self::start(which),
        }
    }

    fn running(target: &url::Url, key: &str, which: &Which) -> Result<Self, Failure> {
        let usage = |problem: &str| Failure::Usage(format!("--target {target}: {problem}"));
        let (Some(host), Some(port)) = (target.host_str(), target.port_or_known_default()) else {
            return Err(usage("has no host; write for example http://127.0.0.1:8080"));
        };
        if target.scheme() != "http" {
            return Err(usage("only http is spoken here, so that TLS is not what is measured"));
        }
        let chain = which.chain.as_ref().map_or(sample::CHAIN, |chain| chain.as_str()).to_owned();
        let access = Access { authority: format!("{host}:{port}"), key: key.to_owned() };
        Ok(Self { access, chain, ours: None })
    }

    fn start(which: &Which) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("punchcard-bench-")
            .tempdir()
            .map_err(|e| Failure::because("cannot make a temporary folder", &e))?;
        let rules = rules_folder(which, folder.path())?;
        let chain = match &which.chain {
            Some(chain) => chain.to_string(),
            None => crate::cli::serve::first_chain(&rules).ok_or_else(|| {
                Failure::Usage(format!("--rules {}: there is no chain in it", rules.display()))
            })?,
        };
        let key = new_key()?.reveal().to_owned();
        let mut command = command(which, folder.path(), &rules, &key)?;
        let access = Access { authority: String::new(), key };
        let child = spawn(&mut command)?;
        end_with_us(&child, folder.path())?;
        // From here on dropping the server ends the child.
        let ours = Ours { child, command, folder };
        let mut server = Self { access, chain, ours: Some(ours) };
        server.find_address()?;
        Ok(server)
    }

    /// Stops it and starts it anew with what it had. `None` when it is not ours.
    ///
    /// # Errors
    /// It did not start.
    pub(super) fn restart(&mut self) -> Result<Option<()>, Failure> {
        let Some(ours) = &mut self.ours else { return Ok(None) };
        ours.stop();
        ours.child = spawn(&mut ours.command)?;
        end_with_us(&ours.child, ours.folder.path())?;
        self.find_address().map(Some)
    }

    fn find_address(&mut self) -> Result<(), Failure> {
        let address = self.ours.as_mut().and_then(|ours| address_of(&mut ours.child));
        self.access.authority = address.ok_or_else(|| {
            Failure::Failed("the server ended before it was ready; its reason is above".to_owned())
        })?;
        Ok(())
    }

    /// The server's process, when it is ours.
    pub(super) fn process(&self) -> Option<Process> {
        self.ours.as_ref().map(|ours| Process(ours.child.id()))
    }

    /// Waits until the server takes work, and makes the chain if it has none of that name.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn prepare(&self, client: &mut Client) -> Result<(), CallError> {
        let begun = Instant::now();
        while let Err(error) = client.call("GET", "/readyz", None).await {
            if begun.elapsed() > READY_WITHIN {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        match client.call("GET", &format!("/v1/chains/{}", self.chain), None).await {
            Err(CallError::Refused { status: 404, .. }) => {
                let chain =
                    json!({ "id": self.chain, "name": self.chain, "timezone": "UTC", "currency": "USD" });
                client.call("POST", "/v1/chains", Some(&chain)).await.map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Ours {
    fn stop(&mut self) {
        let child = &mut self.child;
        let _ = kill_process(Pid::from_child(child), Signal::TERM);
        let (ended, wait) = std::sync::mpsc::channel::<()>();
        let begun = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < STOP_WITHIN {
            // Nobody sends: this is a pause that blocks no event loop, which has ended by now.
            let _ = wait.recv_timeout(Duration::from_millis(10));
        }
        drop(ended);
        // A server that will not stop is killed: what it acknowledged is in its store.
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn spawn(command: &mut Command) -> Result<Child, Failure> {
    command.spawn().map_err(|e| Failure::because("cannot start the server", &e))
}

/// A benchmark that is told to stop takes its server and its files with it.
fn end_with_us(child: &Child, folder: &Path) -> Result<(), Failure> {
    let (child, folder) = (Pid::from_child(child), folder.to_owned());
    let fail = |e| Failure::because("cannot listen for signals", &e);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
    let mut stops = runtime.block_on(async { Stops::listen() })?;
    let wait = move || {
        runtime.block_on(stops.next());
        // Neither may be there any more; there is nobody left to tell.
        let _ = kill_process(child, Signal::KILL);
        let _ = std::fs::remove_dir_all(folder);
        std::process::exit(INTERRUPTED);
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(|_| ()).map_err(fail)
}

fn rules_folder(which: &Which, folder: &Path) -> Result<PathBuf, Failure> {
    let here = Path::new(Setting::Rules.default());
    let given = which.rules.as_deref().or_else(|| Some(here).filter(|rules| rules.is_dir()));
    match given {
        // The child has its own working directory.
        Some(rules) => {
            std::path::absolute(rules).map_err(|e| Failure::because("cannot find the rules folder", &e))
        }
        None => {
            let rules = folder.join("rules");
            sample::write_rules(&rules).map_err(|e| Failure::because("cannot write the sample chain", &e))?;
            Ok(rules)
        }
    }
}

fn command(which: &Which, folder: &Path, rules: &Path, key: &str) -> Result<Command, Failure> {
    let program = std::env::current_exe().map_err(|e| Failure::because("cannot find this program", &e))?;
    let database = match &which.database {
        Some(url) => absolute_database(url),
        None => format!("sqlite://{}", folder.join("bench.db").display()),
    };
    let mut command = Command::new(program);
    // Nothing but what stands here decides how the server runs: no configuration file, no variables of the shell.
    command.current_dir(folder).env_remove("PUNCHCARD_CONFIG");
    for setting in Setting::ALL {
        command.env_remove(setting.environment());
    }
    command.env(Setting::AdminKey.environment(), key);
    if database.starts_with("postgres") {
        command.env(Setting::MasterKey.environment(), BENCH_MASTER_KEY);
    }
    command.args(["serve", "--bind", "127.0.0.1:0", "--allow-private", "127.0.0.0/8", "--allow-http"]);
    command.args(["--log-level", "warn", "--database", &database, "--rules"]).arg(rules);
    command.args(&which.serve_flags).stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}

/// A SQLite path relative to our working directory, made absolute for the child.
fn absolute_database(url: &str) -> String {
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
    match path.map(std::path::absolute) {
        Some(Ok(path)) => format!("sqlite://{}", path.display()),
        _ => url.to_owned(),
    }
}

/// The address in the child's first line; `None` when it ended without one.
fn address_of(child: &mut Child) -> Option<String> {
    let mut line = String::new();
    BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
    line.trim().rsplit_once("http://").map(|(_, address)| address.to_owned())
}
