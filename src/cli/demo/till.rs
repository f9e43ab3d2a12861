//! The made-up till: a thread that sends the story, step by step.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::cli::net::api::{Access, Client};
use crate::cli::sample;

use super::Pace;
use super::story::{Step, Story};
use super::tally::{Receipt, Tally};

/// As real tills do: send the same event again after a bad connection or a busy server.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A till at work.
#[derive(Debug)]
pub(super) struct Till {
    closing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Till {
    /// Opens the till: it sends until its pace says stop, or until it is closed.
    ///
    /// # Errors
    /// The system's reason why there is no thread or no event loop.
    pub(super) fn open(access: Access, pace: Pace, tally: Arc<Tally>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let closing = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&closing);
        let work = move || runtime.block_on(work(&access, pace, &tally, &asked));
        let thread = std::thread::Builder::new().name("till".to_owned()).spawn(work)?;
        Ok(Self { closing, thread })
    }

    /// Whether everything is sent.
    pub(super) fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// Finishes the current step and closes.
    pub(super) fn close(self) {
        self.closing.store(true, Relaxed);
        // A till that panicked has said so on stderr; the tally shows how far it came.
        let _ = self.thread.join();
    }
}

async fn work(access: &Access, pace: Pace, tally: &Tally, closing: &AtomicBool) {
    let path = format!("/v1/chains/{}/events", sample::CHAIN);
    let head = access.head("POST", &path, "application/json");
    let mut client = Client::new(access.clone());
    let mut story = Story::new();
    let begun = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / pace.per_second));
    let is_over = |story: &Story| {
        closing.load(Relaxed)
            || pace.orders.is_some_and(|orders| story.orders() >= orders)
            || pace.time.is_some_and(|time| begun.elapsed() >= time)
    };
    while !is_over(&story) {
        tick.tick().await;
        let step = story.next();
        match send(&mut client, &head, &step).await {
            Ok(receipt) => tally.answered(&step.about, &receipt),
            Err(why) => tally.refused(&why),
        }
    }
}

async fn send(client: &mut Client, head: &str, step: &Step) -> Result<Receipt, String> {
    let mut why = String::new();
    for _ in 0..TRIES {
        let answer = tokio::time::timeout(ANSWER_WITHIN, client.send(head, step.body.as_bytes())).await;
        match answer.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok((head, body)) if head.status == 200 => {
                return serde_json::from_slice(body).map_err(|e| e.to_string());
            }
            Ok((head, body)) => {
                why = format!("{} {}", head.status, String::from_utf8_lossy(body));
                if !matches!(head.status, 429 | 503) {
                    break;
                }
            }
            Err(error) => why = error.to_string(),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(why)
}
