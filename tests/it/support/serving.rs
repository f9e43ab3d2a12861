//! The real binary, for tests of what it says, holds and logs.

use std::io::{BufRead, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::app::repository;

pub(crate) const ADMIN_KEY: &str = "serving-admin-key-0123456789abcdef0123456789";

pub(crate) struct Serving {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<String>>,
    _dir: TempDir,
}

impl Serving {
    /// Serves the rules of the sample on a throwaway SQLite file, and waits until it says where it listens.
    pub(crate) fn start(extra: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_punchcard"))
            .args(["serve", "--bind", "127.0.0.1:0", "--workers", "1", "--rules"])
            .arg(repository().join("rules"))
            .args(["--database", &format!("sqlite://{}/punchcard.db", dir.path().display())])
            .args(["--allow-private", "127.0.0.0/8", "--allow-http"])
            .args(extra)
            .env("PUNCHCARD_ADMIN_KEY", ADMIN_KEY)
            .env("PUNCHCARD_MASTER_KEY", "07".repeat(32))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (kept, said) = (Arc::clone(&log), child.stderr.take().expect("piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut welcome = String::new();
        stdout.read_line(&mut welcome).expect("it says where it listens");
        let address = welcome.trim().rsplit("//").next().and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{welcome} {}", log.lock().unwrap()));
        std::thread::spawn(move || stdout.read_to_end(&mut Vec::new())); // keep the pipe from filling up
        Self { child, address, log, _dir: dir }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The most memory that it has held so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

/// A test that fails leaves no process behind.
impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
