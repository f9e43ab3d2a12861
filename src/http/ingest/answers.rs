//! The answers of a batch, on their way out.

use std::time::Duration;

use actix_web::web::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::splitter::Format;

/// Answers must be fetched within this.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// The receiver of the answers is gone, or does not fetch them.
pub(super) struct NobodyListens;

/// Gathers answers and hands them on in large pieces.
pub(super) struct Answers {
    format: Format,
    /// Answers so far.
    count: u64,
    buffer: BytesMut,
    /// Where to; `None` once nobody listens.
    to: Option<mpsc::Sender<Bytes>>,
    /// How long the receiver may take to make room.
    patience: Duration,
}

impl Answers {
    /// Answers in this format, to the body of the response.
    pub(super) fn new(format: Format, to: mpsc::Sender<Bytes>) -> Self {
        Self { format, count: 0, buffer: BytesMut::new(), to: Some(to), patience: FETCH_TIMEOUT }
    }

    /// Adds one JSON document.
    pub(super) fn add(&mut self, json: &str) {
        if self.format == Format::Array {
            let joint = if self.count == 0 { "[\n" } else { ",\n" };
            self.buffer.extend_from_slice(joint.as_bytes());
        }
        self.buffer.extend_from_slice(json.as_bytes());
        if self.format == Format::Lines {
            self.buffer.extend_from_slice(b"\n");
        }
        self.count += 1;
    }

    /// Hands on what was added; waits while the receiver is slow.
    pub(super) async fn hand_on(&mut self) -> Result<(), NobodyListens> {
        let gathered = self.buffer.split().freeze();
        let Some(to) = &self.to else { return Err(NobodyListens) };
        if gathered.is_empty() {
            return Ok(());
        }
        match timeout(self.patience, to.send(gathered)).await {
            Ok(Ok(())) => Ok(()),
            _ => {
                self.to = None;
                Err(NobodyListens)
            }
        }
    }

    /// Ends the response.
    pub(super) async fn close(mut self) {
        if self.format == Format::Array {
            let end = if self.count == 0 { "[]\n" } else { "\n]\n" };
            self.buffer.extend_from_slice(end.as_bytes());
        }
        // Whether anybody listens does not matter any more.
        let _ = self.hand_on().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn written(format: Format, answers: &[&str]) -> String {
        let (to, mut from) = mpsc::channel(8);
        let mut out = Answers::new(format, to);
        for answer in answers {
            out.add(answer);
            assert!(out.hand_on().await.is_ok());
        }
        out.close().await;
        let mut text = Vec::new();
        while let Some(bytes) = from.recv().await {
            text.extend_from_slice(&bytes);
        }
        String::from_utf8(text).unwrap()
    }

    #[actix_web::test]
    async fn answers_come_in_the_format_of_the_batch() {
        assert_eq!(written(Format::Lines, &["{}", "1"]).await, "{}\n1\n");
        assert_eq!(written(Format::Lines, &[]).await, "");
        assert_eq!(written(Format::Array, &["{}", "1"]).await, "[\n{},\n1\n]\n");
        assert_eq!(written(Format::Array, &[]).await, "[]\n");
    }

    #[actix_web::test]
    async fn a_receiver_that_does_not_fetch_is_given_up() {
        let (to, from) = mpsc::channel(1);
        let mut out = Answers::new(Format::Lines, to);
        out.patience = Duration::from_millis(20);
        out.add("1");
        assert!(out.hand_on().await.is_ok());
        out.add("2");
        assert!(out.hand_on().await.is_err());
        drop(from);
    }
}
