//! Recovery, by a process that is killed in the middle of it, again and again: all that failed is sent, nothing is taken up
//! twice, and whatever happens meanwhile is delivered as ever.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::rt::{spawn, time::sleep};
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use awc::http::Method;
use serde_json::{Value, json};

use crate::counter::Counter;
use crate::server::{BATCH, EVENTS, NDJSON, Server, call, send, verify};
use crate::{on_both_backends, rounds};

on_both_backends! { a_recovery_that_is_killed_again_and_again_ends_with_exact_counts }

/// Kills per backend, unless more are asked for.
const ROUNDS: u32 = 6;
/// What failed, for each kill: so much that none comes too late.
const FAILED_PER_ROUND: u32 = 500;
/// Requests at a time, so few that a recovery takes its time.
const CONCURRENCY: u32 = 2;

/// A receiver that takes nothing, until it takes everything. It remembers of each loyalty event which processes sent it after
/// that, and whether they said that a recovery did.
#[derive(Default)]
struct Crm {
    takes: AtomicBool,
    /// Which process it is that sends.
    round: AtomicU32,
    connections: AtomicUsize,
    arrived: Mutex<HashMap<String, Vec<(u32, bool)>>>,
}

/// Counts a connection until it is closed.
struct Open(Arc<Crm>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Crm {
    fn open() -> (String, Arc<Self>) {
        let crm = Arc::new(Self::default());
        let (data, counter) = (Data::from(crm.clone()), crm.clone());
        let server =
            HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(receive)))
                .on_connect(move |_, connection| {
                    counter.connections.fetch_add(1, Ordering::SeqCst);
                    connection.insert(Open(counter.clone()));
                })
                .workers(1)
                .disable_signals()
                .bind("127.0.0.1:0")
                .expect("a free port");
        let url = format!("http://{}/hook", server.addrs()[0]);
        spawn(server.run());
        (url, crm)
    }
}

async fn receive(request: HttpRequest, body: Bytes, crm: Data<Crm>) -> HttpResponse {
    if !crm.takes.load(Ordering::SeqCst) {
        return HttpResponse::NotFound().finish();
    }
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    let is_replay = request.headers().contains_key("punchcard-replay");
    let id = event["id"].as_str().expect("an id").to_owned();
    let arrival = (crm.round.load(Ordering::SeqCst), is_replay);
    crm.arrived.lock().unwrap().entry(id).or_default().push(arrival);
    // So slow that a recovery takes its time.
    sleep(Duration::from_millis(4)).await;
    HttpResponse::Ok().finish()
}

/// An order that is told of once: it is in no happy hour.
fn an_order(key: &str) -> Value {
    json!({ "key": key, "type": "order.completed", "occurred_at": "2026-03-03T12:00:00Z", "member": { "id": key },
        "data": { "order_id": key, "total": "7.00", "items": [{ "category": "food", "price": "7.00" }] } })
}

async fn a_recovery_that_is_killed_again_and_again_ends_with_exact_counts(database: &str) {
    let (rounds, (url, crm)) = (rounds(ROUNDS), Crm::open());
    let mut server = Server::start(database, &[]);
    // One refusal is enough.
    let body =
        json!({ "url": url, "events": ["points.earned"], "rate_limit": null, "retry": { "pauses_s": [] } });
    let made = call(&server.base, Method::POST, "/v1/chains/harvest/endpoints", &body).await.unwrap().1;
    let endpoint = format!("endpoints/{}", made["id"].as_str().expect("an id"));
    let counter = Counter::open(&server.base);
    let failed = rounds * FAILED_PER_ROUND;
    fail(&server.base, failed).await;
    let is_settled = async || {
        let owed = counter.see(&format!("{endpoint}/deliveries?limit=1&status=pending")).await;
        owed["items"].as_array().expect("a list").is_empty()
    };
    counter.until("all of them fail", is_settled).await;
    crm.takes.store(true, Ordering::SeqCst);
    counter.order(Method::PATCH, &endpoint, "slowly", &json!({ "concurrency": CONCURRENCY })).await;
    let wanted = json!({ "since": "2020-01-01T00:00:00Z", "status": "failed" });
    let begun = counter.order(Method::POST, &format!("{endpoint}/recover"), "recover", &wanted).await;
    let recovery = format!("{endpoint}/recoveries/{}", begun["recovery"].as_str().expect("an id"));

    let mut live = 0;
    for round in 0..rounds {
        let sender = spawn(sell(server.base.clone(), live));
        sleep(Duration::from_millis(150 + u64::from(round * 7919 % 300))).await;
        let stands = counter.see(&recovery).await;
        assert_eq!(stands["state"], "running", "the kill of round {round} comes too late: {stands}");
        server.kill();
        live = sender.await.expect("the till goes on");
        // What it sent may still be read.
        let is_gone = async || crm.connections.load(Ordering::SeqCst) == 0;
        counter.until("all its connections are closed", is_gone).await;
        crm.round.store(round + 1, Ordering::SeqCst);
        server = Server::start(database, &[]);
        counter.move_to(&server.base);
    }
    counter.order(Method::PATCH, &endpoint, "fast", &json!({ "concurrency": 64 })).await;
    counter.until("it is done", async || counter.see(&recovery).await["state"] == "done").await;
    counter.until("all is delivered", is_settled).await;

    let ended = counter.see(&recovery).await;
    let counts = ["matched", "requeued", "created", "waiting"].map(|name| ended[name].as_u64());
    assert_eq!(counts, [failed.into(), failed.into(), 0, 0].map(Some), "{ended}");
    let log = counter.all(&format!("{endpoint}/deliveries?")).await;
    assert!(log.len() as u32 >= failed + live, "{} deliveries, {failed} + {live} orders", log.len());
    let (arrived, mut again) = (crm.arrived.lock().unwrap().clone(), 0);
    for delivery in &log {
        assert_eq!(delivery["status"], "delivered", "{delivery}");
        let arrivals = &arrived[delivery["event"].as_str().expect("an event")];
        let is_recovered = delivery["mark"] == ended["recovery"];
        assert!(is_recovered || delivery["mark"].is_null(), "{delivery}");
        assert!(arrivals.iter().all(|(_, is_replay)| *is_replay == is_recovered), "{delivery}");
        // Again only from another process, which did not know what became of it.
        let rounds: BTreeSet<_> = arrivals.iter().map(|(round, _)| round).collect();
        assert_eq!(rounds.len(), arrivals.len(), "{delivery} arrived in {arrivals:?}");
        again += arrivals.len() - 1;
    }
    let recovered = log.iter().filter(|delivery| !delivery["mark"].is_null()).count();
    assert_eq!((recovered, arrived.len()), (failed as usize, log.len()));
    println!("{failed} recovered and {live} sold meanwhile, {again} of them arrived again");
    server.kill();
    verify(database);
}

/// So many orders whose loyalty events nobody takes.
async fn fail(base: &str, count: u32) {
    let keys: Vec<_> = (0..count).map(|n| format!("f{n}")).collect();
    for keys in keys.chunks(500) {
        let lines: Vec<_> = keys.iter().map(|key| an_order(key).to_string()).collect();
        let (status, text) = send(base, Method::POST, BATCH, &[NDJSON], lines.join("\n")).await.unwrap();
        assert!(status == 200 && text.matches("\"processed\"").count() >= keys.len(), "{status} {text}");
    }
}

/// Sells on, one order after the other, as long as there is somebody who answers. Answers which is next.
async fn sell(base: String, mut next: u32) -> u32 {
    loop {
        match call(&base, Method::POST, EVENTS, &an_order(&format!("l{next}"))).await {
            Some((200, _)) => next += 1,
            Some((429 | 503, _)) => {}
            Some((status, answer)) => panic!("{status} {answer}"),
            None => return next,
        }
        sleep(Duration::from_millis(10)).await;
    }
}
