//! Somebody who has just cloned the repository, and types what a page says: in a folder that holds what a fresh clone holds.
//! Only the ports differ, so that the tests can run beside anything.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::copy_folder::copy_folder;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const PUNCHCARD: &str = env!("CARGO_BIN_EXE_punchcard");
const HELP: &str = "the steps need curl and python3: apt-get install curl python3";

/// A page of the documentation.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// A fenced block, and the indented lines right behind it.
pub(crate) struct Block {
    pub(crate) language: &'static str,
    pub(crate) text: &'static str,
    pub(crate) shown: Vec<&'static str>,
}

impl Page {
    /// All fenced blocks, in order.
    pub(crate) fn all_blocks(self) -> Vec<Block> {
        let mut fences = self.text.split("\n```");
        fences.next();
        let mut found = Vec::new();
        while let (Some(inside), Some(behind)) = (fences.next(), fences.next()) {
            let (language, text) = inside.split_once('\n').unwrap();
            let behind = behind.lines().skip_while(|line| line.trim().is_empty());
            let shown = behind.map_while(|line| line.strip_prefix("    ")).collect();
            found.push(Block { language, text, shown });
        }
        found
    }

    /// The fenced blocks of one language, in order.
    pub(crate) fn blocks(self, language: &str) -> Vec<&'static str> {
        let all = self.all_blocks().into_iter();
        all.filter(|block| block.language == language).map(|block| block.text).collect()
    }

    /// The one block of shell commands in which these words stand.
    pub(crate) fn shell(self, words: &str) -> &'static str {
        let found: Vec<_> = self.blocks("sh").into_iter().filter(|block| block.contains(words)).collect();
        assert_eq!(found.len(), 1, "{} has {} blocks with `{words}`", self.name, found.len());
        found[0]
    }
}

/// A process that ends with the test, and the lines that it prints.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|e| panic!("{HELP} ({e})"));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    /// Everything up to the first line that is wanted.
    pub(crate) fn until(&self, wanted: impl Fn(&str) -> bool) -> String {
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

    pub(crate) fn stop(mut self) {
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
pub(crate) struct Newcomer {
    pub(crate) clone: tempfile::TempDir,
    pub(crate) address: String,
    pub(crate) key: String,
    pub(crate) hook: String,
}

impl Newcomer {
    pub(crate) fn arrives() -> Self {
        let clone = tempfile::tempdir().unwrap();
        copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"), &clone.path().join("rules"));
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let hook = free.local_addr().unwrap().to_string();
        Self { clone, address: String::new(), key: String::new(), hook }
    }

    /// Runs the binary as `cargo run` would. Answers what it printed up to its address.
    pub(crate) fn run(&mut self, arguments: &[&str], last: &str) -> (Running, String) {
        let mut command = Command::new(PUNCHCARD);
        command.args(arguments).current_dir(self.clone.path()).env("PUNCHCARD_BIND", "127.0.0.1:0");
        let running = Running::start(&mut command);
        let welcome = running.until(|line| line.contains(last));
        self.address = between(&welcome, "listens on http://", "\n").to_owned();
        (running, welcome)
    }

    /// Types commands into a shell; answers what they print.
    pub(crate) fn types(&self, commands: &str) -> String {
        let mine = commands.replace("127.0.0.1:8080", &self.address).replace("127.0.0.1:9000", &self.hook);
        let installed = Path::new(PUNCHCARD).parent().unwrap().display();
        let output = Command::new("sh")
            .args(["-euc", &format!("PATH=\"{installed}:$PATH\"\n{mine}")])
            .env("KEY", &self.key)
            .env("PUNCHCARD_KEY", &self.key)
            .env("PUNCHCARD_URL", format!("http://{}", self.address))
            .current_dir(self.clone.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{HELP}\n{mine}\n{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// Types commands that print JSON.
    pub(crate) fn asks(&self, commands: &str) -> Vec<Value> {
        let said = self.types(commands);
        let values = serde_json::Deserializer::from_str(&said).into_iter();
        values.collect::<Result<_, _>>().unwrap_or_else(|e| panic!("{e}: {said}"))
    }
}

pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("`{before}` in {text}"));
    rest.split(after).next().unwrap_or_default().trim()
}

pub(crate) fn await_port(address: &str) {
    let deadline = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nobody listens on {address}; {HELP}");
        std::thread::yield_now();
    }
}
