//! The receiver, which remembers what arrived and thinks before it answers.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::rt::{spawn, time::sleep};
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::Value;

/// What arrived, by loyalty event id: the source event's key, and when first. Answers take a moment, so that there are
/// always requests under way for a kill to cut off.
#[derive(Default)]
pub(crate) struct Arrived {
    pub(crate) events: Mutex<HashMap<String, (String, Instant)>>,
    under_way: AtomicUsize,
}

/// How long the receiver thinks about each delivery.
const THINKS: Duration = Duration::from_millis(25);

impl Arrived {
    /// Whether a delivery waits for its answer.
    pub(crate) fn is_busy(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    /// The ids of the loyalty events that arrived, by source event.
    pub(crate) fn by_source(&self) -> HashMap<String, BTreeSet<String>> {
        let mut ids: HashMap<String, BTreeSet<String>> = HashMap::new();
        for (id, (key, _)) in self.events.lock().unwrap().iter() {
            ids.entry(key.clone()).or_default().insert(id.clone());
        }
        ids
    }
}

/// A receiver on `address`; answers its url.
pub(crate) fn receiver(address: impl std::net::ToSocketAddrs) -> (String, Arc<Arrived>) {
    let arrived = Arc::new(Arrived::default());
    let data = Data::from(arrived.clone());
    let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(receive)))
        .workers(1)
        .disable_signals()
        .bind(address)
        .expect("a free port");
    let url = format!("http://{}/hook", server.addrs()[0]);
    spawn(server.run());
    (url, arrived)
}

async fn receive(body: Bytes, arrived: Data<Arrived>) -> HttpResponse {
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entry = (text(&event["data"]["source_event"]), Instant::now());
    arrived.events.lock().unwrap().entry(text(&event["id"])).or_insert(entry);
    let _under_way = UnderWay::begin(&arrived);
    sleep(THINKS).await;
    HttpResponse::Ok().finish()
}

/// Counts a request until it is answered or cut off.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn begin(arrived: &'a Arrived) -> Self {
        arrived.under_way.fetch_add(1, Ordering::Relaxed);
        Self(&arrived.under_way)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
