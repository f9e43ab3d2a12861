//! The engine without HTTP: what happens when actors die, leave memory, or lose against another writer.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::chain::{FindById, Residency};
use super::endpoints::{Endpoints, EndpointsParts};
use super::engine::{Answer, AnswerWhen, Engine, EngineError, EngineParts};
use super::journal::{Journal, Nudges};
use super::member::Panic;
use crate::clock::Clock;
use crate::domain::chain::ChainId;
use crate::domain::delivery::RetryPolicy;
use crate::domain::ids::MemberId;
use crate::domain::source_event::SourceEvent;
use crate::store::vault::Vault;
use crate::store::{self, Store};
use crate::telemetry::Metrics;

struct Bench {
    engine: Engine,
    metrics: Arc<Metrics>,
    store: Store,
    chain: ChainId,
    dir: TempDir,
}

impl Bench {
    async fn start(residency: Residency) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.migrate().unwrap();
        let metrics = Arc::new(Metrics::new());
        let engine = engine(&store, &metrics, residency);
        engine.load_chains().unwrap();
        engine.follow_rules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).await.unwrap();
        Self { engine, metrics, store, chain: "harvest".parse().unwrap(), dir }
    }

    async fn order(&self, number: u32, member: &str) -> Answer {
        order(&self.engine, &self.chain, number, member).await
    }

    async fn member(&self, member: &str) -> MemberId {
        let (chain, member) = (self.chain.clone(), member.to_owned());
        let identity =
            crate::domain::identity::Identity::parse(crate::domain::identity::IdentityKind::Id, &member);
        let identity = [identity.unwrap()];
        self.store.read(move |conn| store::member::owners(conn, &chain, &identity)).await.unwrap()[0].1
    }
}

fn open(dir: &Path) -> Store {
    let url = format!("sqlite://{}/p.db", dir.display());
    Store::open(&url.parse().unwrap(), Vault::new([1; 32])).unwrap()
}

fn engine(store: &Store, metrics: &Arc<Metrics>, residency: Residency) -> Engine {
    let nudges = Nudges::default();
    let journal = Journal::start(store, metrics.clone(), &nudges).unwrap();
    let clock = Clock::test("2026-03-03T18:30:00Z".parse().unwrap());
    let endpoints = EndpointsParts {
        store: store.clone(),
        journal: journal.clone(),
        clock: clock.clone(),
        policy: Arc::default(),
        retry: RetryPolicy::default(),
        metrics: metrics.clone(),
        timeout: Duration::from_secs(1),
        threads: 1,
    };
    let parts = EngineParts {
        store: store.clone(),
        clock,
        metrics: metrics.clone(),
        max_in_flight: 1_000,
        residency,
        threads: 1,
    };
    Engine::start(parts, Endpoints::new(endpoints, nudges.clone()), nudges, journal)
}

async fn order(engine: &Engine, chain: &ChainId, number: u32, member: &str) -> Answer {
    let body = format!(
        r#"{{"key":"o{number}","type":"order.completed","member":{{"id":"{member}"}},
            "data":{{"order_id":"o{number}","total":10,"items":[{{"category":"food","price":10}}]}}}}"#
    );
    let event = SourceEvent::parse(body.as_bytes(), &"USD".parse().unwrap(), engine.clock().now()).unwrap();
    engine.ingest(chain, event, AnswerWhen::Decided).await.unwrap()
}

#[actix_web::test]
async fn a_member_whose_actor_panicked_is_rebuilt_from_the_store() {
    let bench = Bench::start(Residency::default()).await;
    bench.order(1, "ana").await;
    let id = bench.member("ana").await;
    let chain = bench.engine.chain_addr(&bench.chain);
    let addr = chain.send(FindById(id)).await.unwrap().unwrap().unwrap();
    assert!(addr.send(Panic).await.is_err());
    let answer = bench.order(2, "ana").await;
    assert!(answer.receipt.contains(r#""points":20"#), "{}", answer.receipt);
    assert!(bench.metrics.respawns.get() >= 1);
    bench.engine.release();
}

#[actix_web::test]
async fn members_beyond_the_bound_leave_memory_and_come_back_as_they_were() {
    let bench = Bench::start(Residency { max_members: 10, idle: Duration::from_secs(600) }).await;
    for round in 0..2 {
        for member in 0..50 {
            bench.order(round * 50 + member, &format!("m{member}")).await;
        }
    }
    assert!(bench.metrics.members_resident.get() <= 11, "{}", bench.metrics.members_resident.get());
    for member in 0..50 {
        let answer = bench.order(1_000 + member, &format!("m{member}")).await;
        assert!(answer.receipt.contains(r#""points":30"#), "{}", answer.receipt);
    }
    bench.engine.release();
}

#[actix_web::test]
async fn two_engines_on_one_database_never_decide_from_the_same_version() {
    let bench = Bench::start(Residency::default()).await;
    let metrics = Arc::new(Metrics::new());
    let other = engine(&open(bench.dir.path()), &metrics, Residency::default());
    other.load_chains().unwrap();
    other.follow_rules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).await.unwrap();
    for number in 0..40 {
        let engine = if number % 2 == 0 { &bench.engine } else { &other };
        order(engine, &bench.chain, number, "ana").await;
    }
    let answer = bench.order(40, "ana").await;
    // 41 orders of 10 dollars, and the 50 points of the sample for five visits in 30 days, once.
    assert!(answer.receipt.contains(r#""points":460"#), "{}", answer.receipt);
    let conflicts = bench.metrics.conflicts.get() + metrics.conflicts.get();
    assert!(conflicts > 0, "the fence was never tried");
    other.release();
    bench.engine.release();
}

#[actix_web::test]
async fn draining_waits_for_what_is_inside_and_takes_nothing_new() {
    let bench = Bench::start(Residency::default()).await;
    let inside = bench.engine.try_admit().unwrap();
    let late = bench.engine.drain(Instant::now() + Duration::from_millis(50)).await;
    assert!(!late, "one event is still inside");
    assert!(matches!(bench.engine.try_admit(), Err(EngineError::Draining)));
    drop(inside);
    assert!(bench.engine.drain(Instant::now() + Duration::from_secs(5)).await);
}
