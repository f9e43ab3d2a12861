//! A small client of a punchcard server's API.

use std::io;

use serde_json::Value;
use tokio::net::TcpStream;

use super::http1::{self, Incoming, ResponseHead};

/// Where a server is and how to be let in.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Access {
    /// `host:port`
    pub(in crate::cli) authority: String,
    /// The key sent with every request.
    pub(in crate::cli) key: String,
}

impl Access {
    /// The request line and the headers that every request has; the framing of the body and an empty line are to
    /// follow.
    pub(in crate::cli) fn head(&self, method: &str, path: &str, content_type: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {content_type}\r\n",
            self.authority, self.key
        )
    }
}

/// A connection that is opened when needed, and again after it was lost.
#[derive(Debug)]
pub(in crate::cli) struct Client {
    access: Access,
    connection: Option<Incoming<TcpStream>>,
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum CallError {
    /// The server cannot be talked to.
    #[error("no answer to {what}")]
    Network {
        /// Method and path.
        what: String,
        /// The system's reason.
        #[source]
        why: io::Error,
    },
    /// The server answered with a problem.
    #[error("{what} was answered {status}: {problem}")]
    Refused {
        /// Method and path.
        what: String,
        /// The status code.
        status: u16,
        /// The body.
        problem: String,
    },
    /// The answer is not what this version expects.
    #[error("{what} was answered with something that is not expected: {answer}")]
    Unexpected {
        /// Method and path.
        what: String,
        /// The body.
        answer: String,
    },
}

impl Client {
    /// A client that has no connection yet.
    pub(in crate::cli) fn new(access: Access) -> Self {
        Self { access, connection: None, request: Vec::new(), answer: Vec::new() }
    }

    /// Lets the next request open a connection of its own.
    pub(in crate::cli) fn reconnect(&mut self) {
        self.connection = None;
    }

    /// Sends a request whose head (up to its framing) and body are given; answers the head and the body of the answer.
    ///
    /// # Errors
    /// The connection failed, so the fate of the request is unknown. The next call opens another one.
    pub(in crate::cli) async fn send(
        &mut self,
        head: &str,
        body: &[u8],
    ) -> io::Result<(ResponseHead, &[u8])> {
        self.request.clear();
        self.request.extend_from_slice(head.as_bytes());
        self.request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        self.request.extend_from_slice(body);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Incoming::new(http1::connect(&self.access.authority).await?),
        };
        let head = http1::exchange(&mut connection, &self.request, &mut self.answer).await?;
        self.connection = head.keeps_open.then_some(connection);
        Ok((head, &self.answer))
    }

    /// Calls a route with an optional JSON body. `Null` for an empty answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(in crate::cli) async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, CallError> {
        let what = format!("{method} {path}");
        let head = self.access.head(method, path, "application/json");
        let body = body.map(Value::to_string).unwrap_or_default();
        let answered = self.send(&head, body.as_bytes()).await;
        let (head, answer) = match answered {
            Ok(answered) => answered,
            Err(why) => return Err(CallError::Network { what, why }),
        };
        let text = || String::from_utf8_lossy(answer).into_owned();
        if !(200..300).contains(&head.status) {
            return Err(CallError::Refused { what, status: head.status, problem: text() });
        }
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(answer).map_err(|_| CallError::Unexpected { what, answer: text() })
    }

    /// Creates an endpoint; answers its id and its signing secret.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(in crate::cli) async fn create_endpoint(
        &mut self,
        chain: &str,
        url: &str,
        events: &[String],
    ) -> Result<(String, String), CallError> {
        let path = format!("/v1/chains/{chain}/endpoints");
        let body = serde_json::json!({ "url": url, "events": events, "rate_limit": null });
        let made = self.call("POST", &path, Some(&body)).await?;
        match (made["id"].as_str(), made["secret"].as_str()) {
            (Some(id), Some(secret)) => Ok((id.to_owned(), secret.to_owned())),
            _ => Err(CallError::Unexpected { what: format!("POST {path}"), answer: made.to_string() }),
        }
    }
}
