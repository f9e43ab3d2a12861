//! README.md, word for word: what it tells a newcomer to type is read from it and typed, in a folder that holds what a
//! fresh clone holds. Only the ports differ, so that the test can run beside anything.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "support/copy_folder.rs"]
mod copy_folder;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use copy_folder::copy_folder;
use serde_json::Value;

const README: &str = include_str!("../README.md");
const PATIENCE: Duration = Duration::from_secs(30);
const HELP: &str = "the README's steps need curl and python3: apt-get install curl python3";

/// The fenced blocks of one language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The one block of shell commands in which these words stand.
fn shell(words: &str) -> &'static str {
    let found: Vec<_> = blocks("sh").into_iter().filter(|block| block.contains(words)).collect();
    assert_eq!(found.len(), 1, "README.md has {} blocks with `{words}`", found.len());
    found[0]
}

/// The words that follow `cargo run --release` in a block; what it runs is already built.
fn arguments(block: &'static str) -> Vec<&'static str> {
    let line =
        block.lines().find_map(|line| line.strip_prefix("cargo run --release")).expect("a run command");
    let words = line.split('#').next().unwrap_or_default().split_whitespace();
    words.skip_while(|word| *word == "--").collect()
}

/// A process that ends with the test, and the lines that it prints.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|e| panic!("{HELP} ({e})"));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    /// Everything up to the first line that is wanted.
    fn until(&self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut text = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line =
                self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("not seen in time, only: {text}"));
            text.push_str(&line);
            text.push('\n');
            if wanted(&line) {
                return text;
            }
        }
    }

    fn stop(mut self) {
        let ended = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(ended.success());
        assert!(self.child.wait().unwrap().success(), "it ends well when it is told to");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A newcomer: their clone, the address that the engine printed, their key.
struct Newcomer {
    clone: tempfile::TempDir,
    address: String,
    key: String,
    hook: String,
}

impl Newcomer {
    fn arrives() -> Self {
        let clone = tempfile::tempdir().unwrap();
        copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"), &clone.path().join("rules"));
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let hook = free.local_addr().unwrap().to_string();
        Self { clone, address: String::new(), key: String::new(), hook }
    }

    /// Runs the binary as `cargo run` would. Answers what it printed up to its address.
    fn run(&mut self, arguments: &[&str], last: &str) -> (Running, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_punchcard"));
        command.args(arguments).current_dir(self.clone.path()).env("PUNCHCARD_BIND", "127.0.0.1:0");
        let running = Running::start(&mut command);
        let welcome = running.until(|line| line.contains(last));
        self.address = between(&welcome, "listens on http://", "\n").to_owned();
        (running, welcome)
    }

    /// Types commands into a shell; answers what they print.
    fn types(&self, commands: &str) -> String {
        let mine = commands.replace("127.0.0.1:8080", &self.address).replace("127.0.0.1:9000", &self.hook);
        let output = Command::new("sh")
            .args(["-euc", &mine])
            .env("KEY", &self.key)
            .current_dir(self.clone.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{HELP}\n{mine}\n{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// Types commands that print JSON.
    fn asks(&self, commands: &str) -> Vec<Value> {
        let said = self.types(commands);
        let values = serde_json::Deserializer::from_str(&said).into_iter();
        values.collect::<Result<_, _>>().unwrap_or_else(|e| panic!("{e}: {said}"))
    }

    fn program(&self) -> Value {
        let get = "curl -s http://127.0.0.1:8080/v1/chains/harvest/program -H \"Authorization: Bearer $KEY\"";
        self.asks(get).remove(0)
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("`{before}` in {text}"));
    rest.split(after).next().unwrap_or_default().trim()
}

#[test]
fn the_first_five_minutes_work_as_printed() {
    let mut newcomer = Newcomer::arrives();

    // Run it: no argument, nothing prepared. The welcome shows the key and a command to copy.
    let (engine, welcome) = newcomer.run(&arguments(shell("cargo test")), "    -d '");
    let key = between(&welcome, "keep it safe:\n\n", "\n");
    assert!(key.starts_with(between(shell("export KEY="), "export KEY=", "…")), "{welcome}");
    let receipt = newcomer.asks(between(&welcome, "Send a first order:\n\n", "\n\n")).remove(0);
    assert_eq!(
        (&receipt["status"], &receipt["member"]["id"]),
        (&"processed".into(), &"m-42".into()),
        "{receipt}"
    );
    newcomer.key = key.to_owned();

    // 1. Send an order; again; the same key with another body.
    let first_order = shell("README-1");
    let receipt = newcomer.asks(first_order).remove(0);
    assert_eq!(
        (&receipt["status"], &receipt["duplicate"]),
        (&"processed".into(), &false.into()),
        "{receipt}"
    );
    assert!(receipt["member"]["points"].as_i64().is_some_and(|points| points > 0), "{receipt}");
    let again = newcomer.asks(first_order).remove(0);
    assert_eq!((&again["duplicate"], &again["member"]), (&true.into(), &receipt["member"]), "{again}");
    let reused = newcomer.asks(&first_order.replace("24.50", "25.50")).remove(0);
    assert_eq!((&reused["status"], &reused["code"]), (&409.into(), &"key_reused".into()), "{reused}");
    engine.stop();

    // 2. Get webhooks.
    let (engine, _) = newcomer.run(&arguments(shell("--allow-private")), "listens on");
    let python = shell("python3 -c").replace("127.0.0.1\", 9000", &newcomer.hook.replace(':', "\", "));
    assert!(python.contains(newcomer.hook.rsplit(':').next().unwrap()), "{python}");
    let receiver = Running::start(
        Command::new("sh").args(["-c", &format!("exec {}", python.replace("python3 ", "python3 -u "))]),
    );
    await_port(&newcomer.hook);
    let answers = newcomer.asks(shell("README-2"));
    let secret = answers[0]["secret"].as_str().unwrap_or_else(|| panic!("{answers:?}"));
    assert_eq!(answers[1]["status"], "processed", "{answers:?}");
    let webhook = receiver.until(|line| line.contains("points.earned"));
    let (signature, body) = webhook.trim_end().split_once(' ').unwrap();
    assert!(signature.starts_with("v1,") && body.contains("README-2"), "{webhook}");
    assert!(standardwebhooks::Webhook::new(secret).is_ok());

    // 3. Change a rule; the running engine takes it over; `check` agrees.
    let earning: PathBuf = newcomer.clone.path().join("rules/harvest/earning.rhai");
    let added = format!("{}\n{}", std::fs::read_to_string(&earning).unwrap(), blocks("rhai")[0]);
    let version = newcomer.program()["version"].as_i64().unwrap();
    std::fs::write(&earning, added).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while newcomer.program()["version"] != version + 1 {
        assert!(Instant::now() < deadline, "the edit is not in force: {}", newcomer.program());
    }
    let app_order = shell("README-2").lines().skip(2).collect::<Vec<_>>().join("\n");
    let app_order =
        app_order.replace("README-2", "README-3").replace("\"total\"", "\"channel\": \"app\", \"total\"");
    let receipt = newcomer.asks(&app_order).remove(0);
    assert!(receipt["effects"].to_string().contains("Thank you for using the app"), "{receipt}");
    let checked = Command::new(env!("CARGO_BIN_EXE_punchcard"))
        .args(arguments(shell("check rules")))
        .current_dir(newcomer.clone.path())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    engine.stop();
}

fn await_port(address: &str) {
    let deadline = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nobody listens on {address}; {HELP}");
        std::thread::yield_now();
    }
}

#[test]
fn every_command_of_the_table_exists() {
    let verbs: Vec<_> = README.lines().filter_map(|line| line.strip_prefix("| `punchcard ")).collect();
    assert!(verbs.len() >= 7, "{verbs:?}");
    for line in verbs {
        let verb = line.split(['`', ' ']).next().unwrap();
        let mut help = Command::new(env!("CARGO_BIN_EXE_punchcard"))
            .args([verb, "--help"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut text = String::new();
        help.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(help.wait().unwrap().success() && text.contains("Usage"), "{verb}: {text}");
    }
}

/// `cargo run` must know which binary is meant.
#[test]
fn the_run_command_needs_no_name() {
    let manifest: toml::Table = include_str!("../Cargo.toml").parse().unwrap();
    assert_eq!(manifest["package"]["default-run"].as_str(), Some("punchcard"));
    assert!(
        shell("cargo test")
            .lines()
            .any(|line| line.split('#').next().unwrap().trim() == "cargo run --release")
    );
}
