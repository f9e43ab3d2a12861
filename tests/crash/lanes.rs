//! Order, by a process that is killed at each step of an attempt: before the receiver reads it, before it is answered, with the
//! answer on its way, and once it is recorded.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::rt::{spawn, time::sleep};
use awc::http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::counter::Counter;
use crate::server::{EVENTS, PATIENCE, Server, call, verify};
use crate::{on_both_backends, rounds};

on_both_backends! { lanes_keep_their_order_at_whichever_step_of_an_attempt_kill_9_comes }

/// Kills per backend, unless more are asked for.
const ROUNDS: u32 = 8;
const MEMBERS: u32 = 4;
/// Orders a round: enough that each member has one behind another.
const ORDERS: u32 = 12;

/// When the process is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    BeforeItIsRead,
    BeforeTheAnswer,
    WithTheAnswer,
    OnceItIsRecorded,
    Never,
}

const MOMENTS: [Moment; 4] =
    [Moment::BeforeItIsRead, Moment::BeforeTheAnswer, Moment::WithTheAnswer, Moment::OnceItIsRecorded];

/// What the receiver took.
struct Seen {
    member: String,
    number: u64,
    round: u32,
}

/// The receiver, which has the process that sends in its hands.
struct Executioner {
    server: RefCell<Option<Server>>,
    moment: Cell<Moment>,
    /// So many such moments go by first.
    mercies: Cell<u32>,
    round: Cell<u32>,
    seen: RefCell<Vec<Seen>>,
    connections: Cell<usize>,
}

impl Executioner {
    async fn receive(self: Rc<Self>, listener: TcpListener) {
        while let Ok((tcp, _)) = listener.accept().await {
            self.connections.set(self.connections.get() + 1);
            let receiver = self.clone();
            spawn(async move {
                receiver.converse(tcp).await;
                receiver.connections.set(receiver.connections.get() - 1);
            });
        }
    }

    async fn converse(&self, mut tcp: TcpStream) {
        while tcp.peek(&mut [0]).await.is_ok_and(|there| there > 0) {
            if self.strikes(Moment::BeforeItIsRead) {
                return;
            }
            let Some((number, body)) = read_request(&mut tcp).await else { return };
            let member = body["member"]["member_id"].as_str().expect("a member").to_owned();
            let round = self.round.get();
            // It would not be here if the one before it were not recorded.
            let follows = self.seen.borrow().iter().any(|seen| seen.round == round && seen.member == member);
            if follows && self.strikes(Moment::OnceItIsRecorded) {
                return;
            }
            self.seen.borrow_mut().push(Seen { member, number, round });
            if self.strikes(Moment::BeforeTheAnswer) {
                return;
            }
            if tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
                return;
            }
            self.strikes(Moment::WithTheAnswer);
        }
    }

    /// Kills the process if this is the moment for it.
    fn strikes(&self, moment: Moment) -> bool {
        if self.moment.get() != moment {
            return false;
        }
        if let Some(left) = self.mercies.get().checked_sub(1) {
            self.mercies.set(left);
            return false;
        }
        self.moment.set(Moment::Never);
        self.server.take().expect("a process").kill();
        true
    }

    /// Everything arrived, in each lane in its order; twice only what nobody knew to have arrived when the process was killed.
    fn reconcile(&self, log: &[Value]) {
        let mut lanes: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for delivery in log {
            assert_eq!(delivery["status"], "delivered", "{delivery}");
            let member = delivery["member"].as_str().expect("a member").to_owned();
            lanes.entry(member).or_default().push(delivery["sequence"].as_u64().expect("a number"));
        }
        let seen = self.seen.borrow();
        for (member, mut expected) in lanes {
            expected.sort_unstable();
            let arrived: Vec<_> = seen.iter().filter(|seen| seen.member == member).collect();
            for pair in arrived.windows(2) {
                let [one, next] = pair else { continue };
                let again = one.number == next.number && one.round < next.round;
                assert!(
                    one.number < next.number || again,
                    "{} after {} of {member}",
                    next.number,
                    one.number
                );
            }
            let mut numbers: Vec<_> = arrived.iter().map(|seen| seen.number).collect();
            numbers.dedup();
            assert_eq!(numbers, expected, "{member}");
        }
        println!("{} deliveries in order, {} of them again", log.len(), seen.len() - log.len());
    }
}

/// The number and the body of the next request.
async fn read_request(tcp: &mut TcpStream) -> Option<(u64, Value)> {
    let (mut all, mut some) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&all);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let value = |name: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                let found = lines.find(|(given, _)| given.eq_ignore_ascii_case(name));
                found.and_then(|(_, value)| value.parse::<u64>().ok()).expect(name)
            };
            if body.len() as u64 == value("content-length") {
                return Some((value("punchcard-sequence"), serde_json::from_str(body).expect("JSON")));
            }
        }
        let read = tcp.read(&mut some).await.ok().filter(|read| *read > 0)?;
        all.extend_from_slice(&some[..read]);
    }
}

async fn lanes_keep_their_order_at_whichever_step_of_an_attempt_kill_9_comes(database: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let server = Server::start(database, &[]);
    let body = json!({ "url": url, "events": ["points.earned"], "rate_limit": null, "lane": "member" });
    let made = call(&server.base, Method::POST, "/v1/chains/harvest/endpoints", &body).await.unwrap().1;
    let endpoint = made["id"].as_str().unwrap().to_owned();
    let mut base = server.base.clone();
    let executioner = Rc::new(Executioner {
        server: RefCell::new(Some(server)),
        moment: Cell::new(Moment::Never),
        mercies: Cell::new(0),
        round: Cell::new(0),
        seen: RefCell::default(),
        connections: Cell::new(0),
    });
    spawn(executioner.clone().receive(listener));
    let mut sent = 0;
    for round in 0..rounds(ROUNDS) {
        executioner.round.set(round);
        executioner.mercies.set(round / 4 % 5);
        executioner.moment.set(MOMENTS[round as usize % MOMENTS.len()]);
        sent = send(&base, sent, sent + ORDERS).await;
        until("the process is killed", || executioner.server.borrow().is_none()).await;
        // What it sent may still be read.
        until("all connections are closed", || executioner.connections.get() == 0).await;
        executioner.round.set(round + 1);
        let server = Server::start(database, &[]);
        base = server.base.clone();
        executioner.server.replace(Some(server));
    }
    send(&base, sent, sent + ORDERS).await;
    let counter = Counter::open(&base);
    let log = format!("endpoints/{endpoint}/deliveries?");
    counter
        .until("everything is delivered", async || {
            counter.all(&log).await.iter().all(|delivery| delivery["status"] == "delivered")
        })
        .await;
    executioner.reconcile(&counter.all(&log).await);
    executioner.server.take().unwrap().kill();
    verify(database);
}

/// Sends these orders, one after the other, as long as there is somebody who answers. Answers which is next.
async fn send(base: &str, from: u32, to: u32) -> u32 {
    for number in from..to {
        let key = format!("k{number}");
        let order = json!({ "key": key, "type": "order.completed", "member": { "id": format!("m{}", number % MEMBERS) },
            "data": { "order_id": key, "total": "7.00", "items": [{ "category": "food", "price": "7.00" }] } });
        match call(base, Method::POST, EVENTS, &order).await {
            Some((200, _)) => {}
            Some((status, answer)) => panic!("{status} {answer}"),
            None => return number,
        }
    }
    to
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < PATIENCE, "in vain: {what}");
        sleep(Duration::from_millis(1)).await;
    }
}
