//! The counter: people ask for things, each under a key of its own, again and again until they have an answer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::rt::spawn;
use actix_web::rt::task::JoinHandle;
use actix_web::rt::time::{sleep, timeout};
use awc::http::Method;
use serde_json::Value;

use crate::server::{JSON, PATIENCE, call, send};

const CHAIN: &str = "/v1/chains/harvest";

/// Where the server is now, and what became of what was asked.
#[derive(Default)]
pub(crate) struct Counter {
    base: RefCell<String>,
    is_closed: Cell<bool>,
    stories: Cell<u32>,
    asked: Cell<u32>,
    answered: Cell<u32>,
    repeated: Cell<u32>,
}

impl Counter {
    pub(crate) fn open(base: &str) -> Rc<Self> {
        let counter = Rc::new(Self::default());
        counter.move_to(base);
        counter
    }

    /// The server is another one now.
    pub(crate) fn move_to(&self, base: &str) {
        self.base.replace(base.to_owned());
    }

    /// Nobody begins another story.
    pub(crate) fn close(&self) {
        self.is_closed.set(true);
    }

    /// How many requests had their answer.
    pub(crate) fn answered(&self) -> u32 {
        self.answered.get()
    }

    /// How many of the answers say that it was done before: nobody had heard of it.
    pub(crate) fn repeated(&self) -> u32 {
        self.repeated.get()
    }

    /// Has so many clerks tell one numbered story after the other until the counter is closed.
    pub(crate) fn staff<F: Future<Output = ()>>(
        self: &Rc<Self>,
        clerks: usize,
        story: impl Fn(u32) -> F + Clone + 'static,
    ) -> Vec<JoinHandle<()>> {
        let clerk = |_| {
            let (counter, story) = (self.clone(), story.clone());
            spawn(async move {
                while !counter.is_closed.get() {
                    story(count(&counter.stories)).await;
                }
            })
        };
        (0..clerks).map(clerk).collect()
    }

    /// Asks until there is an answer. Every third time the line breaks first, and mostly before the answer comes.
    pub(crate) async fn ask(&self, method: Method, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let number = count(&self.asked);
        let mut patience =
            if number.is_multiple_of(3) { Duration::from_millis((number % 17).into()) } else { PATIENCE };
        let (path, headers, since) =
            (format!("{CHAIN}/{path}"), [JSON, ("idempotency-key", key)], Instant::now());
        loop {
            let base = self.base.borrow().clone();
            let sent = send(&base, method.clone(), &path, &headers, body.to_string());
            match timeout(patience, sent).await.ok().flatten() {
                Some((status, text)) if !matches!(status, 429 | 503) => {
                    assert!(status < 500, "{key}: {text}");
                    count(&self.answered);
                    let answer: Value = serde_json::from_str(&text).expect("JSON");
                    if answer["duplicate"] == true {
                        count(&self.repeated);
                    }
                    return (status, answer);
                }
                shed => assert!(since.elapsed() < PATIENCE, "{key} is never answered: {shed:?}"),
            }
            patience = PATIENCE;
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks for what cannot be refused.
    pub(crate) async fn order(&self, method: Method, path: &str, key: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(method, path, key, body).await;
        assert!(matches!(status, 200 | 201), "{key}: {status} {answer}");
        answer
    }

    /// Sends a source event.
    pub(crate) async fn send(&self, key: &str, event: &Value) -> Value {
        self.order(Method::POST, "events", key, event).await
    }

    /// What is there, if it is.
    pub(crate) async fn look(&self, path: &str) -> Option<Value> {
        let (path, since) = (format!("{CHAIN}/{path}"), Instant::now());
        loop {
            let base = self.base.borrow().clone();
            match call(&base, Method::GET, &path, &Value::Null).await {
                Some((200, shown)) => return Some(shown),
                Some((404, _)) => return None,
                shed => assert!(since.elapsed() < PATIENCE, "{path} is never shown: {shed:?}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What must be there.
    pub(crate) async fn see(&self, path: &str) -> Value {
        self.look(path).await.unwrap_or_else(|| panic!("there is no {path}"))
    }

    /// A list, page by page. The path has a `?` already.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.see(&format!("{path}&limit=100{cursor}")).await;
            all.extend(page["items"].as_array().expect("a list").iter().cloned());
            let Some(next) = page["next_cursor"].as_str() else { return all };
            cursor = format!("&cursor={next}");
        }
    }

    /// Waits for what happens by itself.
    pub(crate) async fn until(&self, what: &str, look: impl AsyncFn() -> bool) {
        let since = Instant::now();
        while !look().await {
            assert!(since.elapsed() < PATIENCE, "in vain: {what}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

fn count(cell: &Cell<u32>) -> u32 {
    cell.replace(cell.get() + 1)
}

/// Waits for tasks; one that failed fails the test.
pub(crate) async fn join(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.await.expect("no task failed");
    }
}

/// The points that a receipt says were given.
pub(crate) fn given(receipt: &Value) -> i64 {
    let moved = |event: &&Value| matches!(event["type"].as_str(), Some("points.earned" | "points.adjusted"));
    let events = receipt["events"].as_array().expect("events");
    events.iter().filter(moved).filter_map(|event| event["data"]["amount"].as_i64()).sum()
}

/// What the receipt of a command tells under a name.
pub(crate) fn told(receipt: &Value, kind: &str, what: &str) -> String {
    let events = receipt["events"].as_array().expect("events");
    let event = events.iter().find(|event| event["type"] == kind);
    let found = event.and_then(|event| event["data"][what].as_str());
    found.unwrap_or_else(|| panic!("no {what} of {kind} in {receipt}")).to_owned()
}
