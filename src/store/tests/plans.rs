//! The queries of the delivery loop, of wake-ups and of lists read an index, and nothing else, on both databases.

use std::sync::{Arc, Mutex};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel::sql_types::Text;
use diesel::{Connection, QueryableByName, RunQueryDsl, sql_query};

use super::on_both;
use super::sample::*;
use crate::domain::api_key::KeyHash;
use crate::domain::audit::{Action, Author, By, Entry, Filter};
use crate::domain::chain::ChainId;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::identity::MemberName;
use crate::domain::ids::{AuditId, CouponBookKey, EventId, KeyId, SourceId, TransferId};
use crate::domain::loyalty_event::EventType;
use crate::domain::receipt::SourceStatus;
use crate::domain::recovery::{Period, Position};
use crate::domain::role::Role;
use crate::domain::text::{Key, Name};
use crate::store::delivery_log::Behind;
use crate::store::loyalty_event::EventFilter;
use crate::store::vault::Vault;
use crate::store::{
    DbConn, Store, StoreError, audit, coupon, delivery, delivery_log, endpoint, endpoint_minutes, key, lane,
    ledger, loyalty_event, member, recovery, source_event,
};

/// Remembers the text of what is run.
struct Listener(Arc<Mutex<Vec<String>>>);

impl Instrumentation for Listener {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            self.0.lock().unwrap().push(query.to_string());
        }
    }
}

/// An index, by the column that it begins with; empty for an expression.
#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    first: String,
}

fn indexes(conn: &mut DbConn) -> Result<Vec<Index>, StoreError> {
    Ok(match conn {
        DbConn::Sqlite(c) => sql_query(
            "SELECT t.name AS table_name, coalesce(i.name, '') AS first
                FROM sqlite_master t JOIN pragma_index_list(t.name) l JOIN pragma_index_info(l.name) i
                WHERE t.type = 'table' AND i.seqno = 0",
        )
        .load(c)?,
        DbConn::Postgres(c) => sql_query(
            "SELECT t.relname::text AS table_name, coalesce(a.attname::text, '') AS first
                FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
                LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
                WHERE t.relnamespace = current_schema()::regnamespace",
        )
        .load(c)?,
    })
}

/// A look-up of the n-th thing of its kind in a chain: whether it is there.
type LookUp = fn(&mut DbConn, &ChainId, u64) -> Result<bool, StoreError>;

/// Whatever a path names by its id, in its chain or in that of the key.
const LOOK_UPS: &[(&str, LookUp)] = &[
    ("member", |c, chain, n| Ok(member::load_living(c, chain, member_id(n))?.is_some())),
    ("member by name", |c, chain, n| {
        let name = MemberName::Known(vec![card(n)]);
        Ok(member::find(c, chain, &name)?.is_some())
    }),
    ("source event", |c, chain, n| Ok(source_event::get(c, chain, SourceId::new(ulid(n)))?.is_some())),
    ("event", |c, chain, n| Ok(loyalty_event::get(c, chain, EventId::derived(ulid(n), 0))?.is_some())),
    ("ledger line", |c, chain, n| {
        let line = TransferId::derived(ulid(n), 0);
        Ok(ledger::get(c, chain, member_id(n), line)?.is_some())
    }),
    ("endpoint", |c, chain, n| {
        let vault = Vault::new([7; 32]);
        Ok(endpoint::get(c, &vault, chain, endpoint_id(n))?.is_some())
    }),
    ("delivery", |c, chain, n| Ok(delivery::get(c, chain, delivery_id(n))?.is_some())),
    ("API key", |c, chain, n| Ok(key::find(c, Some(chain), KeyId::new(ulid(n)))?.is_some())),
    ("audit line", |c, chain, n| Ok(audit::get(c, Some(chain), AuditId::new(ulid(n)))?.is_some())),
];

#[derive(QueryableByName)]
struct SqlitePlan {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct PostgresPlan {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}

/// What `f` comes to, and the queries that it runs.
fn heard<T>(
    conn: &mut DbConn,
    f: impl FnOnce(&mut DbConn) -> Result<T, StoreError>,
) -> Result<(T, Vec<String>), StoreError> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    conn.set_instrumentation(Listener(heard.clone()));
    let found = f(conn)?;
    let queries = std::mem::take(&mut *heard.lock().unwrap());
    Ok((found, queries.iter().map(|query| query.split(" -- binds").next().unwrap().to_owned()).collect()))
}

/// The plan of the one query that `f` runs.
fn plan<T>(store: &Store, f: impl FnOnce(&mut DbConn) -> Result<T, StoreError>) -> String {
    store.change(|conn| {
        let (_, queries) = heard(conn, f)?;
        Ok(explain(conn, queries.last().unwrap())?)
    })
}

fn explain(conn: &mut DbConn, text: &str) -> diesel::QueryResult<String> {
    match conn {
        DbConn::Sqlite(c) => {
            let lines: Vec<SqlitePlan> = sql_query(format!("EXPLAIN QUERY PLAN {text}")).load(c)?;
            Ok(lines.into_iter().map(|l| l.detail).collect::<Vec<_>>().join("\n"))
        }
        DbConn::Postgres(c) => {
            let parameters = (1..).take_while(|n| text.contains(&format!("${n}"))).count();
            let nulls = match parameters {
                0 => String::new(),
                _ => format!(" ({})", vec!["NULL"; parameters].join(", ")),
            };
            // A table of a few rows is read whole, unless that is forbidden; a plan with parameters in it is wanted.
            for setting in
                ["enable_seqscan = off", "enable_bitmapscan = off", "plan_cache_mode = force_generic_plan"]
            {
                sql_query(format!("SET LOCAL {setting}")).execute(c)?;
            }
            sql_query(format!("PREPARE explained AS {text}")).execute(c)?;
            let lines: Vec<PostgresPlan> = sql_query(format!("EXPLAIN EXECUTE explained{nulls}")).load(c)?;
            Ok(lines.into_iter().map(|l| l.line).collect::<Vec<_>>().join("\n"))
        }
    }
}

fn assert_reads(plan: &str, index: &str) {
    assert!(plan.contains(index), "{index} is not used:\n{plan}");
    for bad in ["SCAN ", "USE TEMP B-TREE", "Seq Scan", "Sort"] {
        assert!(!plan.contains(bad), "{bad}:\n{plan}");
    }
}

/// Of an empty table, one index of PostgreSQL is as good as another.
fn fill(store: &Store) {
    let mut commit = order(1, &newcomer(1));
    for _ in 0..1_000 {
        commit = owed(commit, endpoint_id(1), at(0));
    }
    store.write(&[commit.into()]);
    store.change(|conn| match conn {
        DbConn::Sqlite(_) => Ok(0),
        DbConn::Postgres(c) => Ok(sql_query("ANALYZE deliveries").execute(c)?),
    });
}

on_both! {
    fn due_deliveries_are_read_from_their_index_in_order(store) {
        let due = plan(store, |c| delivery::due(c, &harvest(), endpoint_id(1), at(0), 10));
        assert_reads(&due, "deliveries_due");
        let next = plan(store, |c| delivery::next_due(c, &harvest(), endpoint_id(1)));
        assert_reads(&next, "deliveries_due");
        let oldest = plan(store, |c| delivery::oldest_pending(c, &harvest(), endpoint_id(1)));
        assert_reads(&oldest, "deliveries_owed");
        let digest = plan(store, |c| delivery::numbered_after(c, &harvest(), endpoint_id(1), 7, 10));
        assert_reads(&digest, "deliveries_by_seq");
        let heads = plan(store, |c| lane::heads(c, &harvest(), endpoint_id(1), true, 10, Some(7)));
        assert!(heads.contains("deliveries_due") && !heads.contains("SCAN "), "{heads}");
    }

    fn the_delivery_log_is_read_from_keys_in_order(store) {
        let behind = Some(Behind { id: delivery_id(1), due_at: Some(at(0)) });
        let list = |status| {
            plan(store, |c| delivery_log::list(c, &harvest(), endpoint_id(1), status, 10, behind))
        };
        assert_reads(&list(Some(DeliveryStatus::Failed)), "deliveries_failed");
        assert_reads(&list(Some(DeliveryStatus::Discarded)), "deliveries_discarded");
        assert_reads(&list(Some(DeliveryStatus::Pending)), "deliveries_due");
        assert_reads(&list(Some(DeliveryStatus::Waiting)), "deliveries_owed");
        fill(store);
        let all = list(None);
        assert!(all.contains("PRIMARY KEY") || all.contains("deliveries_pkey"), "{all}");
        let one = plan(store, |c| delivery::get(c, &harvest(), delivery_id(1)));
        assert!(one.contains("PRIMARY KEY (chain=? AND endpoint=? AND id=?)") || one.contains("deliveries_pkey"), "{one}");
    }

    fn tries_are_read_by_their_keys(store) {
        let last = plan(store, |c| delivery::last_tried(c, &harvest(), endpoint_id(1)));
        assert_reads(&last, if last.contains("pkey") { "attempts_pkey" } else { "PRIMARY KEY (chain=? AND endpoint=?)" });
        let asked = [delivery_id(1), delivery_id(2)];
        let tries = plan(store, |c| delivery::attempts_of(c, &harvest(), endpoint_id(1), &asked));
        assert!(tries.contains("PRIMARY KEY (chain=?") || tries.contains("attempts_pkey"), "{tries}");
    }

    fn the_past_of_an_endpoint_is_read_from_indexes_in_order(store) {
        let period = Period::new(at(0), None, at(60)).unwrap();
        let page = |position| plan(store, |c| recovery::page(c, &endpoint(1), &period, position));
        assert_reads(&page(Position::Failed(Some(delivery_id(1)))), "deliveries_failed");
        let late = Position::LateEvents(Some((at(0), EventId::new(ulid(1)))));
        assert_reads(&page(late), "loyalty_events_late");
        let events = page(Position::Events(None));
        assert_reads(&events, if events.contains("pkey") { "loyalty_events_pkey" } else { "sqlite_autoindex_loyalty_events_1" });
        let running = plan(store, recovery::running); // all of its index, which holds no others
        assert!(running.contains("recoveries_running") && !running.contains("Seq Scan"), "{running}");
        let due = plan(store, |c| recovery::due_count(c, &harvest(), endpoint_id(1), at(0), 10));
        assert_reads(&due, "deliveries_due");
        let owed = plan(store, |c| endpoint_minutes::owed(c, &harvest(), endpoint_id(1), 10));
        assert!(owed.contains("deliveries_owed") && !owed.contains("Sort") && !owed.contains("TEMP"), "{owed}");
    }

    fn the_loyalty_events_of_a_chain_are_read_from_indexes_in_order(store) {
        store.write(&[order(1, &newcomer(1)).into()]);
        let after = Some(EventId::derived(ulid(1), 0));
        let list = |filter| plan(store, |c| loyalty_event::list(c, &harvest(), &filter, 10, after));
        let span = EventFilter { since: Some(at(0)), until: Some(at(60)), ..EventFilter::default() };
        assert_reads(&list(EventFilter::default()), "loyalty_events_by_time");
        assert_reads(&list(span.clone()), "loyalty_events_by_time");
        for filter in [EventFilter::default(), span] {
            let kind = Some(EventType::TierUpgraded);
            assert_reads(&list(EventFilter { kind, ..filter }), "loyalty_events_by_kind");
        }
    }

    fn open_source_events_are_read_from_their_index_in_order(store) {
        let undecided = plan(store, |c| source_event::undecided(c, &harvest(), 10, None));
        assert_reads(&undecided, "source_events_open");
        let failed = plan(store, |c| source_event::list(c, &harvest(), Some(SourceStatus::Failed), 10, None));
        assert_reads(&failed, "source_events_open");
        let all = plan(store, |c| source_event::list(c, &harvest(), None, 10, None));
        assert_reads(&all, if all.contains("pkey") { "source_events_pkey" } else { "sqlite_autoindex_source_events_1" });
        let first = Key::parse("hash:00").unwrap();
        let keyless = plan(store, |c| source_event::newest_keyless(c, &harvest(), &first));
        let by_key = if keyless.contains("chain_key") { "source_events_chain_key_key" } else { "sqlite_autoindex_source_events_2" };
        assert_reads(&keyless, by_key);
    }

    fn a_members_records_are_found_by_their_keys_alone(store) {
        store.write(&[order(1, &newcomer(1)).into()]);
        let of_member = EventFilter { member: Some(member_id(1)), ..Default::default() };
        let events = plan(store, |c| loyalty_event::list(c, &harvest(), &of_member, 10, None));
        let lines = plan(store, |c| ledger::list(c, &harvest(), member_id(1), 10, None));
        let sources = plan(store, |c| source_event::of_member(c, &harvest(), member_id(1), 10, None));
        for (plan, table) in
            [(events, "loyalty_events"), (lines, "transfers"), (sources, "source_events")]
        {
            for bad in [format!("SCAN {table}"), "SCAN earlier".to_owned(), "Seq Scan".to_owned()] {
                assert!(!plan.contains(&bad), "{bad}:\n{plan}");
            }
        }
    }

    fn free_codes_and_lists_of_a_book_are_read_from_its_index_in_order(store) {
        let (book, code) = (CouponBookKey::new(ulid(1)), "AAA".parse().unwrap());
        let free = plan(store, |c| coupon::free_codes(c, &harvest(), book, at(0), (Some(&code), Some(&code)), 10));
        assert_reads(&free, "coupons_of_book");
        let all = plan(store, |c| coupon::list(c, &harvest(), book, 10, Some(&code)));
        assert_reads(&all, "coupons_of_book");
    }

    fn what_a_member_has_of_a_book_is_read_from_its_index_in_order(store) {
        let held = plan(store, |c| coupon::held(c, &harvest(), member_id(1), CouponBookKey::new(ulid(1)), at(0)));
        assert_reads(&held, "coupon_holdings_of_worth");
    }

    fn the_audit_log_is_read_from_indexes_in_order_whatever_is_sought(store) {
        let author = |n: u64| {
            let name = Name::parse("till").unwrap();
            Author::Key { id: KeyId::new(ulid(n % 50)), name, role: Role::Admin }
        };
        // In no order: else reading all lines as they lie looks as good as an index to PostgreSQL.
        for n in (1..=1_000).map(|n| n * 379 % 1_009) {
            let line = Entry {
                chain: format!("chain-{}", n % 50).parse().ok(),
                by: By::here(author(n)),
                action: Action::ALL[n as usize % Action::ALL.len()],
                target: format!("ep_{n}"),
                ..crate::store::tests::audit::line(n)
            };
            store.change(|c| audit::insert(c, &line));
        }
        store.change(|conn| match conn {
            DbConn::Sqlite(_) => Ok(0),
            DbConn::Postgres(c) => Ok(sql_query("ANALYZE audit_log").execute(c)?),
        });
        let with = |change: fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            filter
        };
        let by_author = Filter { author: Some(author(1).code()), ..Filter::default() };
        let since = Filter { since: Some(at(0)), ..Filter::default() };
        for (filter, index) in [
            (with(|f| f.chain = "chain-0".parse().ok()), "audit_log_of_chain"),
            (by_author.clone(), "audit_log_by_author"),
            (with(|f| f.target = Some("ep_1".to_owned())), "audit_log_of_target"),
            (
                Filter { chain: "chain-0".parse().ok(), ..by_author },
                "audit_log_of_chain_by_author",
            ),
            (
                with(|f| (f.chain, f.target) = ("chain-0".parse().ok(), Some("ep_1".to_owned()))),
                "audit_log_of_chain_by_target",
            ),
            (with(|f| f.actions = "endpoint.*".parse().ok()), "audit_log_by_action"),
            (
                with(|f| (f.chain, f.actions) = ("chain-0".parse().ok(), "key.*".parse().ok())),
                "audit_log_of_chain_by_action",
            ),
            (with(|_| ()), "audit_log_"),
            (since, "audit_log_"),
        ] {
            let looked = plan(store, |c| audit::look(c, &filter, 10, Some(AuditId::new(ulid(500)))));
            assert_reads(&looked, index);
        }
        let old = plan(store, |c| audit::delete_before(c, at(-9), 10));
        assert_reads(&old, "audit_log_");
        let one = plan(store, |c| audit::get(c, Some(&harvest()), AuditId::new(ulid(1))));
        assert_reads(&one, "audit_log_");
    }

    fn keys_and_the_texts_of_one_are_read_from_indexes_in_order(store) {
        let by_hash = plan(store, |c| key::find_by_hash(c, &KeyHash([1; 32])));
        assert!(!by_hash.contains("SCAN ") && !by_hash.contains("Seq Scan"), "{by_hash}");
        let of_chain = plan(store, |c| key::list(c, Some(&harvest()), 10, Some(KeyId::new(ulid(1)))));
        assert_reads(&of_chain, "api_keys_by_chain");
        let all = plan(store, |c| key::list(c, None, 10, Some(KeyId::new(ulid(1)))));
        assert_reads(&all, if all.contains("pkey") { "api_keys_pkey" } else { "PRIMARY KEY" });
    }

    fn an_index_begins_with_the_chain_so_that_no_chain_walks_through_what_is_of_others(store) {
        // What is found by a hash or an id of its own, is of callers, or of all chains. How one chain's lines of the audit log and
        // keys are read is tested above.
        const OF_ALL: &[&str] = &[
            "__diesel_schema_migrations",
            "api_key_texts",
            "api_keys",
            "audit_log",
            "chains",
            "idempotent_requests",
            "sweeps",
        ];
        let indexes = store.look(indexes);
        assert!(indexes.len() > 50, "{}", indexes.len());
        for Index { table_name, first } in indexes {
            assert!(first == "chain" || OF_ALL.contains(&&*table_name), "{table_name}: {first}");
        }
    }

    fn what_is_another_chains_is_looked_for_like_what_is_not_there(store) {
        let mut commit = owed(order(1, &newcomer(1)), endpoint_id(1), at(0));
        commit.new_identities = vec![card(1)];
        store.change(|c| {
            endpoint::insert(c, &Vault::new([7; 32]), &endpoint(1))?;
            key::insert(c, &crate::store::tests::keys::api_key(1, Role::Viewer, Some(harvest())), &KeyHash([1; 32]))?;
            audit::insert(c, &Entry { chain: Some(harvest()), ..crate::store::tests::audit::line(1) })
        });
        store.write(&[commit.into()]);
        let other = "other".parse().unwrap();
        for (what, look_up) in LOOK_UPS {
            let look = |chain: &ChainId, n| store.change(|conn| heard(conn, |c| look_up(c, chain, n)));
            assert!(look(&harvest(), 1).0, "{what}");
            let (theirs, nobodys) = (look(&other, 1), look(&other, 77));
            assert!(!theirs.0 && !theirs.1.is_empty(), "{what}");
            assert_eq!(theirs, nobodys, "{what}");
        }
    }

    fn wake_ups_are_read_from_their_index_in_order(store) {
        let wakes = plan(store, |c| member::due_wakes(c, &harvest(), at(0), 10, 5));
        assert_reads(&wakes, "members_by_wake");
        let next = plan(store, |c| member::next_wake(c, &harvest()));
        assert_reads(&next, "members_by_wake");
    }
}
