//! The tills: what they send, and what they were told.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use actix_web::rt::{spawn, time::sleep};
use awc::http::Method;
use serde_json::{Value, json};

use crate::server::{BATCH, EVENTS, JSON, NDJSON, send};

const SENDERS: u32 = 16;
pub(crate) const MEMBERS: u32 = 40;

pub(crate) fn event(number: u32) -> Value {
    json!({ "key": format!("k{number}"), "type": "order.completed", "member": { "id": format!("m{}", number % MEMBERS) },
        "data": { "order_id": format!("k{number}"), "total": "7.00",
                  "items": [{ "category": "food", "price": "7.00" }] } })
}

/// How a till sends.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// One event, and waits for its receipt.
    Single,
    /// One event, and only waits until it is kept.
    Kept,
    /// Ten events in one request.
    Batch,
}

/// What the senders share: where the server is now, who comes next, who was answered.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) base: RefCell<String>,
    next: Cell<u32>,
    /// Whatever was answered 2xx; the receipt, where there was one.
    pub(crate) acknowledged: RefCell<HashMap<u32, Option<Value>>>,
    pub(crate) stop: Cell<bool>,
}

impl Load {
    /// Starts the senders.
    pub(crate) fn start(base: &str) -> (Rc<Self>, Vec<JoinHandle<()>>) {
        let load = Rc::new(Self::default());
        load.base.replace(base.to_owned());
        let manner = |n| match n % 4 {
            0 => Manner::Kept,
            1 => Manner::Batch,
            _ => Manner::Single,
        };
        let senders = (0..SENDERS).map(|n| spawn(load.clone().keep_sending(manner(n)))).collect();
        (load, senders)
    }

    pub(crate) fn answered(&self) -> usize {
        self.acknowledged.borrow().len()
    }

    /// Sends events until told to stop. What has no 2xx is sent again, as a till does, until it has one.
    async fn keep_sending(self: Rc<Self>, manner: Manner) {
        while !self.stop.get() {
            let count = if matches!(manner, Manner::Batch) { 10 } else { 1 };
            let first = self.next.replace(self.next.get() + count);
            let numbers: Vec<u32> = (first..first + count).collect();
            while let Err(Again) = self.try_sending(manner, &numbers).await {
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn try_sending(&self, manner: Manner, numbers: &[u32]) -> Result<(), Again> {
        let base = self.base.borrow().clone();
        let body = numbers.iter().map(|number| event(*number).to_string()).collect::<Vec<_>>().join("\n");
        let (path, header) = match manner {
            Manner::Single => (EVENTS, JSON),
            Manner::Kept => (EVENTS, ("prefer", "respond-async")),
            Manner::Batch => (BATCH, NDJSON),
        };
        let (status, text) = send(&base, Method::POST, path, &[header], body).await.ok_or(Again)?;
        assert!(matches!(status, 200 | 202 | 429 | 503), "{status}: {text}");
        if status >= 300 {
            return Err(Again);
        }
        for (number, line) in numbers.iter().zip(text.lines()) {
            let receipt: Value = serde_json::from_str(line).expect("JSON");
            match receipt["status"].as_str() {
                Some("processed") => self.acknowledge(*number, Some(receipt)),
                Some("accepted") => self.acknowledge(*number, None),
                _ if receipt["status"] == 503 => {}
                _ => panic!("{receipt}"),
            }
        }
        let all = self.acknowledged.borrow();
        if numbers.iter().all(|number| all.contains_key(number)) { Ok(()) } else { Err(Again) }
    }

    fn acknowledge(&self, number: u32, receipt: Option<Value>) {
        self.acknowledged.borrow_mut().insert(number, receipt);
    }
}

/// There was no 2xx for all of it.
struct Again;
