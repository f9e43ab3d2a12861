//! The engine without HTTP: what happens when actors die, leave memory, or lose against another writer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::chain::{FindById, Residency};
use super::endpoints::{Endpoints, EndpointsParts};
use super::engine::{Answer, AnswerWhen, Engine, EngineError, EngineParts};
use super::journal::{Journal, Nudges};
use super::member::Panic;
use crate::clock::{Clock, fresh_ulid};
use crate::domain::chain::ChainId;
use crate::domain::commit::SourceOrigin;
use crate::domain::decide::{SourceInput, keep};
use crate::domain::delivery::RetryPolicy;
use crate::domain::ids::{MemberId, SourceId};
use crate::domain::receipt::SourceStatus;
use crate::domain::source_event::SourceEvent;
use crate::store::commit::{Write, Written};
use crate::store::vault::Vault;
use crate::store::{self, Store, sabotage};
use crate::telemetry::Metrics;

struct Bench {
    engine: Engine,
    metrics: Arc<Metrics>,
    store: Store,
    chain: ChainId,
    dir: TempDir,
}

impl Bench {
    /// An engine with the sample chain.
    async fn start(residency: Residency) -> Self {
        let bench = Self::empty(residency);
        bench.engine.follow_rules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).await;
        bench
    }

    /// An engine without chains.
    fn empty(residency: Residency) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.migrate().unwrap();
        let metrics = Arc::new(Metrics::new());
        let engine = engine(&store, &metrics, residency);
        engine.load_chains().unwrap();
        Self { engine, metrics, store, chain: "harvest".parse().unwrap(), dir }
    }

    /// Another engine on the same database, with this rules folder.
    async fn restart(self, rules: &Path) -> Self {
        self.engine.release();
        let metrics = Arc::new(Metrics::new());
        let engine = engine(&self.store, &metrics, Residency::default());
        engine.load_chains().unwrap();
        engine.follow_rules(rules).await;
        Self { engine, metrics, ..self }
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

fn order_event(engine: &Engine, number: u32, member: &str) -> SourceEvent {
    let body = format!(
        r#"{{"key":"o{number}","type":"order.completed","member":{{"id":"{member}"}},
            "data":{{"order_id":"o{number}","total":10,"items":[{{"category":"food","price":10}}]}}}}"#
    );
    SourceEvent::parse(body.as_bytes(), &"USD".parse().unwrap(), engine.clock().now()).unwrap()
}

async fn order(engine: &Engine, chain: &ChainId, number: u32, member: &str) -> Answer {
    engine.ingest(chain, order_event(engine, number, member), AnswerWhen::Decided).await.unwrap()
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
    other.follow_rules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).await;
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
async fn a_stored_program_that_no_longer_loads_decides_nothing_and_kept_events_wait_for_the_next() {
    let bench = Bench::start(Residency::default()).await;
    let event = order_event(&bench.engine, 1, "ana");
    let input = SourceInput {
        id: SourceId::new(fresh_ulid(bench.engine.clock().now())),
        event: Arc::new(event),
        received_at: bench.engine.clock().now(),
        from: SourceOrigin::Outside,
    };
    let program = bench.engine.chain("harvest").unwrap().program().unwrap().clone();
    let kept = keep(program.frame(&bench.chain), input, SourceStatus::Accepted, bench.engine.clock().now());
    let of = bench.chain.clone();
    let written = bench.store.writer().unwrap().write(&[Write::Commit(Box::new(kept))]).unwrap();
    assert_eq!(written, [Written::Done]);
    let files = r#"{"files":[["program.toml","nam = 1"]]}"#;
    let spoil =
        |conn: &mut _, _: &_| store::program::insert(conn, &of, 9, &[9; 32], files, Default::default());
    bench.store.writer().unwrap().run(spoil).unwrap();

    let nowhere = tempfile::tempdir().unwrap();
    let bench = bench.restart(nowhere.path()).await;
    let refused =
        bench.engine.ingest(&bench.chain, order_event(&bench.engine, 2, "ana"), AnswerWhen::Decided);
    let refused = refused.await.unwrap_err();
    assert!(matches!(&refused, EngineError::NoRules(why) if why.contains("program.toml:1:1")), "{refused}");
    bench.engine.advance_clock(chrono::Duration::days(40)).await.unwrap();

    let bench = bench.restart(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).await;
    bench.engine.advance_clock(chrono::Duration::zero()).await.unwrap();
    let answer = bench.order(2, "ana").await;
    assert!(answer.receipt.contains(r#""points":20"#), "{}", answer.receipt);
    assert!(answer.receipt.contains(r#""program_version":10"#), "{}", answer.receipt);
    bench.engine.release();
}

/// A rules folder with one chain `harvest` that has this file.
fn rules(text: &str, schedule: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("harvest");
    std::fs::create_dir(&folder).unwrap();
    let manifest = format!("name = \"H\"\ntimezone = \"UTC\"\ncurrency = \"USD\"\n[schedule]\n{schedule}\n");
    std::fs::write(folder.join("program.toml"), manifest).unwrap();
    std::fs::write(folder.join("rules.rhai"), text).unwrap();
    root
}

#[actix_web::test]
async fn a_failure_between_two_ticks_that_are_due_at_once_loses_and_repeats_neither() {
    let rules = rules(
        "rule \"Daily\" on tick.daily { award(1, \"daily\"); }\nrule \"Review\" on tier.review { award(100, \"review\"); }\n",
        "daily = \"0 0 3 * * *\"\ntier_review = \"0 0 3 1 * *\"",
    );
    let bench = Bench::empty(Residency::default());
    bench.engine.follow_rules(rules.path()).await;
    bench.order(1, "ana").await;
    let ana = bench.member("ana").await;
    bench.engine.clock().move_to("2026-04-01T12:00:00Z".parse().unwrap());

    sabotage::refuse_member_version(&bench.store, 3);
    bench.engine.wake(&bench.chain, ana).await.unwrap_err();
    sabotage::relent(&bench.store);
    for _ in 0..3 {
        bench.engine.wake(&bench.chain, ana).await.unwrap();
    }
    let answer = bench.order(2, "ana").await;
    assert!(answer.receipt.contains(r#""points":101"#), "{}", answer.receipt);
    bench.engine.release();
}
