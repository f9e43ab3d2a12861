//! A running server, asked over its API.

use std::time::Duration;

use awc::{Client, http::Method};
use serde_json::Value;

use super::Failure;

/// Checking and testing a large program takes a while.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The most that is read of an answer, in bytes.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// Where the server is, and who asks.
#[derive(Debug, clap::Args)]
pub(super) struct Server {
    /// Where the server is
    #[arg(long, value_name = "URL", env = "PUNCHCARD_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// An API key with the role manager
    #[arg(long, value_name = "KEY", env = "PUNCHCARD_KEY", hide_env_values = true)]
    key: String,
}

/// What the server answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Server {
    /// Reads something.
    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(&Method::GET, path, &Value::Null)?.good()
    }

    /// Asks for something to be done.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.ask(&Method::POST, path, body)
    }

    fn ask(&self, method: &Method, path: &str, body: &Value) -> Result<Answer, Failure> {
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        actix_rt::System::new().block_on(self.send(method, &url, body))
    }

    async fn send(&self, method: &Method, url: &str, body: &Value) -> Result<Answer, Failure> {
        let failed = |error: &dyn std::error::Error| Failure::because(&format!("cannot ask {url}"), error);
        let client = Client::builder().timeout(TIMEOUT).finish();
        let request = client.request(method.clone(), url).bearer_auth(&self.key);
        let sent = if body.is_null() { request.send() } else { request.send_json(body) };
        let mut answer = sent.await.map_err(|error| failed(&error))?;
        let text = answer.body().limit(MAX_ANSWER).await.map_err(|error| failed(&error))?;
        let body = serde_json::from_slice(&text);
        let body = body.unwrap_or_else(|_| String::from_utf8_lossy(&text).into());
        Ok(Answer { status: answer.status().as_u16(), body })
    }
}

impl Answer {
    /// What was asked for.
    pub(super) fn good(self) -> Result<Value, Failure> {
        if (200..300).contains(&self.status) { Ok(self.body) } else { Err(self.refusal()) }
    }

    /// Why the server did not do it, in its words.
    pub(super) fn refusal(&self) -> Failure {
        let detail = text(self.body.get("detail").unwrap_or(&self.body));
        Failure::Failed(format!("the server answered {}: {detail}", self.status))
    }
}

/// A value as people read it.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
