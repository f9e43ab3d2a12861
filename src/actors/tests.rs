//! The engine without HTTP: what happens when actors die, leave memory, or lose against another writer.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tempfile::TempDir;
use tracing::Instrument as _;

use super::chain::{Find, FindById, FindTooEarly, Residency, Route};
use super::endpoint::DisableEndpoint;
use super::endpoints::{Endpoints, EndpointsParts};
use super::engine::{Answer, AnswerWhen, Engine, EngineError, EngineParts};
use super::journal::{Journal, Nudges};
use super::member::{Apply, Busy, Panic};
use super::once::Once;
use super::outbound::Reach;
use super::publish::{Proposal, files as files_of};
use crate::clock::{Clock, fresh_ulid};
use crate::domain::audit::{By, Filter};
use crate::domain::chain::ChainId;
use crate::domain::commit::SourceOrigin;
use crate::domain::decide::{SourceInput, keep};
use crate::domain::endpoint::{Endpoint, EndpointState};
use crate::domain::ids::{EndpointId, MemberId, SourceId};
use crate::domain::precondition::Precondition;
use crate::domain::publication::{Origin, Publication};
use crate::domain::receipt::SourceStatus;
use crate::domain::source_event::SourceEvent;
use crate::domain::text::{Name, Note};
use crate::store::commit::{Write, Written};
use crate::store::vault::Vault;
use crate::store::{self, Store, sabotage};
use crate::telemetry::Metrics;
use crate::telemetry::heard::Log;

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
        reach: Reach::to_the_public(Duration::from_secs(1)),
        metrics: metrics.clone(),
        threads: 1,
    };
    let parts = EngineParts {
        retention: Default::default(),
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
async fn the_task_of_an_event_is_small() {
    let bench = Bench::empty(Residency::default());
    let event = order_event(&bench.engine, 1, "m");
    let task = bench.engine.ingest(&bench.chain, event, AnswerWhen::Decided);
    // Thousands of them wait at a time, so what is large in them and rarely needed belongs into a box.
    assert!(size_of_val(&task) < 4_000, "{}", size_of_val(&task));
}

#[actix_web::test]
async fn a_member_whose_actor_panicked_is_rebuilt_from_the_store() {
    let bench = Bench::start(Residency::default()).await;
    bench.order(1, "ana").await;
    let id = bench.member("ana").await;
    let chain = bench.engine.chain_addr(&bench.chain);
    let (_, addr) = chain.send(FindById(id)).await.unwrap().unwrap().unwrap();
    assert!(addr.send(Panic).await.is_err());
    let answer = bench.order(2, "ana").await;
    assert!(answer.receipt.contains(r#""points":20"#), "{}", answer.receipt);
    assert!(bench.metrics.respawns.get() >= 1);
    bench.engine.release();
}

#[actix_web::test]
async fn a_member_whose_actor_dies_before_a_look_up_saw_them_is_looked_up_again() {
    let bench = Bench::start(Residency::default()).await;
    bench.order(1, "ana").await;
    let ana = bench.member("ana").await;
    let chain = bench.engine.chain_addr(&bench.chain);
    let (_, addr) = chain.send(FindById(ana)).await.unwrap().unwrap().unwrap();
    assert!(addr.send(Panic).await.is_err());
    let now = bench.engine.clock().now();
    let event = Arc::new(order_event(&bench.engine, 2, "ana"));
    let find = Find { event, newcomer: MemberId::new(fresh_ulid(now)) };
    let route = chain.send(FindTooEarly(find)).await.unwrap().unwrap();
    assert!(matches!(&route, Route::Member(to) if to.id == ana), "{route:?}");
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
    let written = bench.store.writer().unwrap().write(&[Write::Commit(Box::new(kept)).into()]).unwrap();
    assert_eq!(written, [Written::Done]);
    let files = r#"{"files":[["program.toml","nam = 1"]]}"#;
    let publication = Publication {
        version: 9,
        hash: [9; 32],
        origin: Origin::Folder,
        by: None,
        note: None,
        at: Default::default(),
    };
    let spoil = |conn: &mut _, _: &_| {
        store::program::take_over_folder(conn, &of, publication.hash)?;
        store::program::insert(conn, &of, &publication, files)
    };
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

fn endpoint(engine: &Engine, chain: &ChainId) -> Endpoint {
    let now = engine.clock().now();
    Endpoint {
        id: EndpointId::new(fresh_ulid(now)),
        chain: chain.clone(),
        events: vec!["*".parse().unwrap()],
        state: EndpointState::Disabled { reason: Note::parse("not yet").unwrap(), at: now },
        ..Endpoint::sample("https://crm.example/hook")
    }
}

/// Waits until something holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        actix_rt::time::sleep(Duration::from_millis(2)).await;
    }
}

#[actix_web::test]
async fn a_change_that_its_sender_does_not_wait_for_takes_effect_all_the_same() {
    let bench = Bench::start(Residency::default()).await;
    let engine = &bench.engine;
    let known = || engine.chain("harvest").unwrap().endpoints.clone();
    let endpoint = endpoint(engine, &bench.chain);
    let id = endpoint.id;
    assert!(
        Box::pin(engine.create_endpoint(endpoint, Once::default(), By::ENGINE))
            .as_mut()
            .now_or_never()
            .is_none()
    );
    until("it is made", async || known().iter().any(|e| e.id == id)).await;
    let move_away = |e: &Endpoint| -> Result<_, EngineError> {
        Ok(Endpoint { url: "https://new.example/".parse().unwrap(), ..e.clone() })
    };
    let change = engine.update_endpoint(&bench.chain, id, move_away, By::ENGINE);
    assert!(Box::pin(change).as_mut().now_or_never().is_none());
    until("it is changed", async || known()[0].url.as_str() == "https://new.example/").await;
    assert!(
        Box::pin(engine.delete_endpoint(&bench.chain, id, Precondition::None, By::ENGINE))
            .as_mut()
            .now_or_never()
            .is_none()
    );
    until("it is deleted", async || known().is_empty()).await;
    bench.engine.release();
}

#[actix_web::test]
async fn an_endpoint_that_the_store_does_not_delete_stays() {
    let bench = Bench::start(Residency::default()).await;
    let engine = &bench.engine;
    let made =
        engine.create_endpoint(endpoint(engine, &bench.chain), Once::default(), By::ENGINE).await.unwrap();
    sabotage::refuse_endpoint_changes(&bench.store);
    engine.delete_endpoint(&bench.chain, made.id, Precondition::None, By::ENGINE).await.unwrap_err();
    assert_eq!(engine.chain("harvest").unwrap().endpoints.len(), 1);
    sabotage::relent(&bench.store);
    engine.delete_endpoint(&bench.chain, made.id, Precondition::None, By::ENGINE).await.unwrap();
    assert!(engine.chain("harvest").unwrap().endpoints.is_empty());
    bench.engine.release();
}

#[actix_web::test]
async fn a_change_and_its_line_of_the_audit_log_stand_or_fall_together() {
    let bench = Bench::start(Residency::default()).await;
    let engine = &bench.engine;
    let lines = async || {
        let look = |conn: &mut _| store::audit::look(conn, &Filter::default(), 100, None);
        bench.store.read(look).await.unwrap()
    };
    let made =
        engine.create_endpoint(endpoint(engine, &bench.chain), Once::default(), By::ENGINE).await.unwrap();
    let before = lines().await;
    let actions: Vec<_> = before.iter().map(|line| line.action.as_str()).collect();
    assert_eq!(actions, ["endpoint.created", "program.published", "chain.created"]);
    // Without the change there is no line,
    sabotage::refuse_endpoint_changes(&bench.store);
    engine.delete_endpoint(&bench.chain, made.id, Precondition::None, By::ENGINE).await.unwrap_err();
    engine.enable_endpoint(&bench.chain, made.id, Precondition::None, By::ENGINE).await.unwrap_err();
    sabotage::relent(&bench.store);
    assert_eq!(lines().await, before);
    // and without the line there is no change.
    sabotage::refuse_audit_lines(&bench.store);
    engine.delete_endpoint(&bench.chain, made.id, Precondition::None, By::ENGINE).await.unwrap_err();
    engine
        .rename_chain(&bench.chain, Name::parse("Other").unwrap(), Precondition::None, By::ENGINE)
        .await
        .unwrap_err();
    let manifest = "name = \"Harvest\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n";
    let files = [("program.toml".to_owned(), manifest.to_owned())].into();
    let (changed, of) = (Proposal::of(files_of(files).unwrap(), By::ENGINE), &bench.chain);
    engine.publish(of, changed.clone(), Once::default()).await.unwrap_err();
    sabotage::relent(&bench.store);
    let (chain, id) = (bench.chain.clone(), made.id);
    let vault = bench.store.vault().clone();
    let stored = bench.store.read(move |conn| {
        let name = store::chain::get(conn, &chain)?.map(|chain| chain.name);
        let newest = store::program::latest(conn, &chain)?.map(|stored| stored.publication.version);
        Ok((store::endpoint::get(conn, &vault, &chain, id)?.is_some(), name, newest))
    });
    assert_eq!(stored.await.unwrap(), (true, Name::parse("Harvest Kitchen").ok(), Some(1)));
    assert_eq!(lines().await, before);
    engine.publish(of, changed, Once::default()).await.unwrap();
    assert_eq!(lines().await.len(), before.len() + 1);
    bench.engine.release();
}

#[actix_web::test]
async fn an_endpoint_that_is_owed_thousands_is_deleted_in_steps_and_owed_nothing() {
    let bench = Bench::start(Residency::default()).await;
    let engine = &bench.engine;
    let made =
        engine.create_endpoint(endpoint(engine, &bench.chain), Once::default(), By::ENGINE).await.unwrap();
    sabotage::owe(&bench.store, &bench.chain, made.id, 2_500);
    engine.delete_endpoint(&bench.chain, made.id, Precondition::None, By::ENGINE).await.unwrap();
    let (chain, id) = (bench.chain.clone(), made.id);
    let due = bench.store.read(move |conn| store::delivery::next_due(conn, &chain, id)).await.unwrap();
    assert_eq!(due, None);
    bench.engine.release();
}

#[actix_web::test]
async fn what_a_commit_under_way_owes_to_a_deleted_endpoint_is_discarded() {
    let bench = Bench::start(Residency::default()).await;
    let engine = &bench.engine;
    bench.order(1, "ana").await;
    let made =
        engine.create_endpoint(endpoint(engine, &bench.chain), Once::default(), By::ENGINE).await.unwrap();
    let snapshot = engine.chain("harvest").unwrap();
    engine.delete_endpoint(&bench.chain, made.id, Precondition::None, By::ENGINE).await.unwrap();
    let input = SourceInput {
        id: SourceId::new(fresh_ulid(engine.clock().now())),
        event: Arc::new(order_event(engine, 2, "ana")),
        received_at: engine.clock().now(),
        from: SourceOrigin::Outside,
    };
    let ana = bench.member("ana").await;
    let (_, addr) = engine.chain_addr(&bench.chain).send(FindById(ana)).await.unwrap().unwrap().unwrap();
    let apply = Apply {
        input,
        snapshot,
        attach: Vec::new(),
        order: None,
        notes: Vec::new(),
        again: None,
        span: tracing::Span::none(),
    };
    addr.send(apply).await.unwrap().unwrap();

    let pending = async || {
        let (chain, id) = (bench.chain.clone(), made.id);
        bench.store.read(move |conn| store::delivery::next_due(conn, &chain, id)).await.unwrap().is_some()
    };
    assert!(pending().await, "the commit was decided before the deletion");
    actix_rt::spawn(engine.clone().keep_schedule());
    until("they are discarded", async || !pending().await).await;
    bench.engine.release();
}

#[actix_web::test]
async fn a_receiver_that_is_gone_disables_only_the_endpoint_that_was_sent_to() {
    let bench = Bench::start(Residency::default()).await;
    let engine = &bench.engine;
    let former =
        engine.create_endpoint(endpoint(engine, &bench.chain), Once::default(), By::ENGINE).await.unwrap();
    let enable = |e: &Endpoint| -> Result<_, EngineError> {
        Ok(Endpoint { state: EndpointState::Enabled, ..e.clone() })
    };
    let changed = engine.update_endpoint(&bench.chain, former.id, enable, By::ENGINE).await.unwrap();
    let at = engine.clock().now();
    let gone = |endpoint: &Arc<Endpoint>| DisableEndpoint {
        endpoint: endpoint.clone(),
        reason: "gone".to_owned(),
        since: None,
        at,
    };
    assert_eq!(engine.disable_gone(gone(&former)).await.unwrap(), None);
    assert!(engine.chain("harvest").unwrap().endpoints[0].is_enabled());
    assert!(engine.disable_gone(gone(&changed)).await.unwrap().is_some());
    assert!(!engine.chain("harvest").unwrap().endpoints[0].is_enabled());
    engine.delete_endpoint(&bench.chain, former.id, Precondition::None, By::ENGINE).await.unwrap();
    assert_eq!(engine.disable_gone(gone(&changed)).await.unwrap(), None);
    bench.engine.release();
}

#[actix_web::test]
async fn a_chain_that_cannot_be_published_holds_up_no_other_and_is_tried_again() {
    let rules = rules("", "");
    std::fs::create_dir(rules.path().join("acme")).unwrap();
    std::fs::copy(rules.path().join("harvest/program.toml"), rules.path().join("acme/program.toml")).unwrap();
    let bench = Bench::empty(Residency::default());
    sabotage::refuse_programs(&bench.store, &"acme".parse().unwrap());
    let follower = bench.engine.follow_rules(rules.path()).await;
    bench.order(1, "ana").await;
    assert!(bench.engine.chain("acme").unwrap().program.is_none());
    sabotage::relent(&bench.store);
    actix_rt::spawn(bench.engine.clone().keep_following(follower));
    until("it is published", async || bench.engine.chain("acme").unwrap().program.is_some()).await;
    bench.engine.release();
}

#[actix_web::test]
async fn a_folder_that_cannot_be_read_is_told_of_once_and_tried_again_although_it_looks_the_same() {
    let log = Log::listen();
    let rules = rules("", "");
    let file = rules.path().join("harvest/latin_4714.rhai");
    std::fs::write(&file, b"// caf\xe9\n").unwrap();
    let written = std::fs::metadata(&file).unwrap().modified().unwrap();
    let bench = Bench::empty(Residency::default());
    let mut follower = bench.engine.follow_rules(rules.path()).await;
    bench.engine.look_at_rules(&mut follower).await;
    let Err(EngineError::NoRules(why)) = bench.engine.known_chain("harvest") else { panic!("it is known") };
    assert!(why.starts_with("latin_4714.rhai:1:7: ") && why.contains("(save the file again"), "{why}");
    assert_eq!(log.lines(&["rules/harvest/latin_4714.rhai:1:7: "]).len(), 1);

    std::fs::write(&file, "// cafe\n").unwrap();
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(written).unwrap();
    bench.engine.look_at_rules(&mut follower).await;
    assert_eq!(bench.engine.known_chain("harvest").unwrap().program().unwrap().version, 1);
    bench.engine.release();
}

#[actix_web::test]
async fn a_damaged_member_fails_alone() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let mut bench = Bench::start(Residency::default()).await;
    for (number, member) in (0..).zip(["ana", "ben", "cleo", "dan", "eve", "fay"]) {
        bench.order(number, member).await;
    }
    sabotage::damage_member(&bench.store, bench.member("cleo").await);
    sabotage::damage_identities(&bench.store, bench.member("eve").await);
    bench = bench.restart(&rules).await;
    // The first two are looked up alone; everybody else is in the group after them.
    let guests = ["ana", "ben", "cleo", "cleo", "dan", "eve", "fay", "new"];
    let sent = (10..).zip(guests).map(|(number, member)| {
        let event = order_event(&bench.engine, number, member);
        bench.engine.ingest(&bench.chain, event, AnswerWhen::Decided)
    });
    let answers = futures_util::future::join_all(sent).await;
    for (guest, answer) in guests.iter().zip(answers) {
        match *guest {
            "cleo" | "eve" => assert!(answer.unwrap_err().to_string().contains("unavailable"), "{guest}"),
            _ => assert_eq!(answer.unwrap().status, SourceStatus::Processed, "{guest}"),
        }
    }
    bench.engine.release();
}

#[actix_web::test]
async fn the_log_ties_a_failed_rule_to_its_event_and_its_request() {
    let log = Log::listen();
    let rules = rules("rule \"Odd\" on order.completed { award(10.0 / order.tip, \"tip\"); }", "");
    let bench = Bench::empty(Residency::default());
    bench.engine.follow_rules(rules.path()).await;
    let event = order_event(&bench.engine, 4711, "ana");
    let sent = bench.engine.ingest(&bench.chain, event, AnswerWhen::Decided);
    let answer = sent.instrument(tracing::info_span!("request", id = "req_4711")).await.unwrap();
    assert_eq!(answer.status, SourceStatus::Failed, "{}", answer.receipt);
    let receipt: serde_json::Value = serde_json::from_str(&answer.receipt).unwrap();
    let id = receipt["id"].as_str().unwrap();
    assert!(log.line(&["a rule failed", "Odd", "harvest", "o4711", id, "req_4711"]).is_some());
    bench.engine.release();
}

#[actix_web::test]
async fn an_event_that_met_a_failure_of_the_store_is_named_to_whoever_logs_it() {
    let bench = Bench::start(Residency::default()).await;
    bench.order(1, "ana").await;
    sabotage::refuse_member_version(&bench.store, 2);
    let event = order_event(&bench.engine, 2, "ana");
    let error = bench.engine.ingest(&bench.chain, event, AnswerWhen::Decided).await.unwrap_err();
    let EngineError::Undecided { event, .. } = error else { panic!("{error}") };
    assert_eq!((&event.chain, event.key.as_str()), (&bench.chain, "o2"));
    bench.engine.release();
}

#[actix_web::test]
async fn an_event_without_a_key_is_named_although_its_key_could_not_be_looked_up() {
    let bench = Bench::start(Residency::default()).await;
    let body = r#"{"type":"visit","member":{"id":"ana"},"data":{}}"#;
    let now = bench.engine.clock().now();
    let event = SourceEvent::parse(body.as_bytes(), &"USD".parse().unwrap(), now).unwrap();
    let ingest = || bench.engine.ingest(&bench.chain, event.clone(), AnswerWhen::Decided);
    ingest().await.unwrap();
    sabotage::damage_source_times(&bench.store);
    let error = ingest().await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Undecided { event: named, .. } if named.key == event.key),
        "{error:?}"
    );
    bench.engine.release();
}

#[actix_web::test]
async fn the_log_names_the_event_on_whose_way_an_actor_died() {
    let log = Log::listen();
    let bench = Bench::start(Residency::default()).await;
    bench.order(1, "ana").await;
    let id = bench.member("ana").await;
    let deadline = Instant::now() + Duration::from_secs(20);
    // Until an event stands in the mailbox behind the panic. On a busy machine it may come too late for that.
    for number in 4712.. {
        let (_, addr) =
            bench.engine.chain_addr(&bench.chain).send(FindById(id)).await.unwrap().unwrap().unwrap();
        let busy = addr.send(Busy(Duration::from_millis(50)));
        let died = addr.send(Panic);
        let event = order_event(&bench.engine, number, "ana");
        let decided = bench.engine.ingest(&bench.chain, event, AnswerWhen::Decided);
        let (_, died, decided) = futures_util::join!(busy, died, decided);
        assert!(died.is_err());
        assert_eq!(decided.unwrap().status, SourceStatus::Processed);
        if log.line(&["the member's actor died", "harvest", &format!("o{number}"), "src_"]).is_some() {
            break;
        }
        assert!(Instant::now() < deadline);
    }
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
