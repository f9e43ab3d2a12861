//! A running engine on a throwaway database, spoken to over HTTP.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use awc::http::Method;
use punchcard::app::App;
use punchcard::config::{Config, Hidden};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::builders::START;
use super::catalogue;
use super::copy_folder::copy_folder;
use super::documented;
use super::postgres;

const ADMIN_KEY: &str = "test-admin-key-0123456789abcdef0123456789";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Reply {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text))
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) struct TestApp {
    app: Option<App>,
    base: String,
    config: Config,
    /// Gone with the last node that works in it.
    dir: Rc<TempDir>,
    client: awc::Client,
}

impl TestApp {
    /// The sample chain, the test clock at [`START`], deliveries to this machine allowed.
    pub(crate) async fn start(backend: Backend) -> Self {
        Self::start_with(backend, |_| ()).await
    }

    pub(crate) async fn start_with(backend: Backend, change: impl FnOnce(&mut Config)) -> Self {
        let dir = Rc::new(tempfile::tempdir().expect("a temporary folder"));
        copy_folder(&repository().join("rules"), &dir.path().join("rules"));
        let mut config = Config::defaults();
        config.bind = "127.0.0.1:0".parse().unwrap();
        config.database = match backend {
            Backend::Sqlite => format!("sqlite://{}/punchcard.db", dir.path().display()).parse().unwrap(),
            Backend::Postgres => postgres::fresh_database().parse().unwrap(),
        };
        config.rules = dir.path().join("rules");
        config.admin_key = Some(Hidden::new(ADMIN_KEY.to_owned()));
        config.master_key = Some(Hidden::new([7; 32]));
        config.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
        config.allow_http = true;
        config.test_clock = Some(START.parse().unwrap());
        config.workers = std::num::NonZeroUsize::new(1).unwrap();
        change(&mut config);
        let client = awc::Client::builder().timeout(Duration::from_secs(60)).finish();
        let mut this = Self { app: None, base: String::new(), config, dir, client };
        this.run().await;
        this
    }

    async fn run(&mut self) {
        let app = App::start(&self.config).await.unwrap_or_else(|e| panic!("the engine starts: {e:?}"));
        self.base = format!("http://{}", app.address());
        self.app = Some(app);
    }

    /// Another node that serves the same database, as many may on PostgreSQL.
    pub(crate) async fn another_node(&self) -> Self {
        let (config, dir, client) = (self.config.clone(), self.dir.clone(), self.client.clone());
        let mut this = Self { app: None, base: String::new(), config, dir, client };
        this.run().await;
        this
    }

    /// Stops and starts again on the same database, with a changed configuration.
    pub(crate) async fn restart_with(&mut self, change: impl FnOnce(&mut Config)) {
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
        change(&mut self.config);
        self.run().await;
    }

    pub(crate) fn rules(&self) -> PathBuf {
        self.dir.path().join("rules")
    }

    /// Where it listens, for tests that speak HTTP by hand.
    pub(crate) fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// The `Authorization` header of the admin.
    pub(crate) fn admin() -> String {
        format!("Bearer {ADMIN_KEY}")
    }

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Reply {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.base));
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.bearer_auth(ADMIN_KEY);
        }
        for header in headers {
            request = request.insert_header(*header);
        }
        let mut answer = request.send_body(body).await.unwrap_or_else(|e| panic!("{path} answers: {e}"));
        let text = answer.body().limit(64 << 20).await.expect("a body");
        let reply = Reply {
            status: answer.status().as_u16(),
            headers: answer
                .headers()
                .iter()
                .map(|(n, v)| (n.to_string(), v.to_str().unwrap_or_default().to_owned()))
                .collect(),
            text: String::from_utf8(text.to_vec()).expect("UTF-8"),
        };
        documented::check(&method, path, &reply);
        reply
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.request(Method::GET, path, &[], Vec::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.with_body(Method::POST, path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.with_body(Method::PATCH, path, body).await
    }

    async fn with_body(&self, method: Method, path: &str, body: &Value) -> Reply {
        let json = ("content-type", "application/json");
        self.request(method, path, &[json], body.to_string().into_bytes()).await
    }

    /// Sends one source event of the sample chain.
    pub(crate) async fn send(&self, event: &Value) -> Reply {
        self.post("/v1/chains/harvest/events", event).await
    }

    /// Creates an endpoint of the sample chain; answers its id and its secret.
    pub(crate) async fn endpoint(&self, url: &str, events: &[&str]) -> (String, String) {
        let body = json!({ "url": url, "events": events });
        let made = self.post("/v1/chains/harvest/endpoints", &body).await.expect(201);
        let text = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{name} in {made}")).to_owned();
        (text("id"), text("secret"))
    }

    /// Moves the clock; everything due in between is done when this returns.
    pub(crate) async fn advance(&self, seconds: i64) {
        self.post("/v1/clock", &json!({ "advance_ms": seconds * 1000 })).await.expect(200);
    }

    /// Waits until what `look` sees is wanted; for what happens by itself, without the clock being moved.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "in vain: {what}");
            actix_web::rt::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The delivery log of an endpoint, newest first.
    pub(crate) async fn deliveries(&self, endpoint: &str) -> Vec<Value> {
        let path = format!("/v1/chains/harvest/endpoints/{endpoint}/deliveries?limit=100");
        self.get(&path).await.expect(200)["items"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) async fn delivery(&self, id: &str) -> Value {
        self.get(&format!("/v1/chains/harvest/deliveries/{id}")).await.expect(200)
    }

    /// Where everything is.
    pub(crate) fn database(&self) -> String {
        self.config.database.to_string()
    }

    /// Has the command line check the books, which are in order.
    pub(crate) fn verify(&self) {
        let (code, said) = self.verdict();
        assert_eq!(code, Some(0), "{said}");
    }

    /// Has the command line check the books; answers its exit code and what it said.
    pub(crate) fn verdict(&self) -> (Option<i32>, String) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_punchcard"));
        command.args(["verify", "--database", &self.database()]);
        let verdict = command.env("PUNCHCARD_MASTER_KEY", "07".repeat(32)).output().expect("it runs");
        let said = [verdict.stdout, verdict.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        (verdict.status.code(), said.concat())
    }

    /// Stops it, once everything that it told has been held against the catalogue.
    pub(crate) async fn stop(mut self) {
        catalogue::holds(&self).await;
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
    }
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
