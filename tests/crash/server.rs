//! The real binary, and how to talk to it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use actix_web::rt::time::sleep;
use awc::http::Method;
use serde_json::{Value, json};

pub(crate) const ADMIN_KEY: &str = "crash-admin-key-0123456789abcdef0123456789";
pub(crate) const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Nothing that must happen takes longer, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const EVENTS: &str = "/v1/chains/harvest/events";
pub(crate) const BATCH: &str = "/v1/chains/harvest/events/batch";
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) base: String,
}

impl Server {
    /// Starts the binary under the sample's rules and waits until it says where it listens.
    pub(crate) fn start(database: &str, extra: &[&str]) -> Self {
        Self::start_under(&sample_rules(), database, extra)
    }

    /// Starts the binary under these rules and waits until it says where it listens.
    pub(crate) fn start_under(rules: &Path, database: &str, extra: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_punchcard"))
            .args(["serve", "--bind", "127.0.0.1:0", "--database", database, "--rules"])
            .arg(rules)
            .args(["--allow-private", "127.0.0.0/8", "--allow-http"])
            .args(extra)
            .env("PUNCHCARD_ADMIN_KEY", ADMIN_KEY)
            .env("PUNCHCARD_MASTER_KEY", MASTER_KEY)
            .env("PUNCHCARD_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let base = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_whitespace().find(|w| w.starts_with("http://127.0.0.1:")).map(str::to_owned)
            })
            .expect("it says where it listens");
        std::thread::spawn(move || lines.for_each(drop)); // keep the pipe from filling up
        Self { child, base: base.trim_end_matches(['/', '.', ',']).to_owned() }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("it is gone");
    }
}

/// A test that fails leaves no process behind.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
impl Server {
    /// Asks it to end, as a service manager does; answers its exit code and how long it took.
    pub(crate) async fn terminate(mut self) -> (Option<i32>, Duration) {
        let started = Instant::now();
        let signalled = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(signalled.success());
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), started.elapsed());
            }
            assert!(started.elapsed() < Duration::from_secs(10), "still running");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The rules of the sample.
pub(crate) fn sample_rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")
}

pub(crate) async fn call(base: &str, method: Method, path: &str, body: &Value) -> Option<(u16, Value)> {
    let text = send(base, method, path, &[JSON], body.to_string()).await?;
    Some((text.0, serde_json::from_str(&text.1).unwrap_or(Value::Null)))
}

/// One request; nothing when the server went away before its answer was complete.
pub(crate) async fn send(
    base: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Option<(u16, String)> {
    let client = awc::Client::builder().timeout(Duration::from_secs(20)).finish();
    let mut request = client.request(method, format!("{base}{path}")).bearer_auth(ADMIN_KEY);
    for header in headers {
        request = request.insert_header(*header);
    }
    let mut answer = request.send_body(body).await.ok()?;
    let bytes = answer.body().limit(64 << 20).await.ok()?;
    Some((answer.status().as_u16(), String::from_utf8(bytes.to_vec()).expect("UTF-8")))
}

pub(crate) async fn make_endpoint(base: &str, url: &str) -> String {
    let body = json!({ "url": url, "events": ["points.earned"], "rate_limit": null });
    let (status, made) =
        call(base, Method::POST, "/v1/chains/harvest/endpoints", &body).await.expect("an answer");
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().expect("an id").to_owned()
}

pub(crate) fn verify(database: &str) {
    let verify = Command::new(env!("CARGO_BIN_EXE_punchcard"))
        .args(["verify", "--database", database])
        .env("PUNCHCARD_MASTER_KEY", MASTER_KEY)
        .output()
        .expect("verify runs");
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
}
