//! What a page of loyalty events costs when many are stored: the first one, and one in the middle, by each filter.
//!
//! `cargo bench --bench listing`, with `PUNCHCARD_BENCH_EVENTS=10000000` for the figure that is wanted: a 95th percentile under 20
//! milliseconds. On SQLite, in a folder that is gone afterwards; ten million take 8 GB there.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark")]

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use punchcard::domain::Timestamp;
use punchcard::domain::chain::ChainId;
use punchcard::domain::ids::EventId;
use punchcard::domain::loyalty_event::EventType;
use punchcard::read::Reader;
use punchcard::read::loyalty_event::Filter;
use punchcard::read::page::Wanted;
use punchcard::store::Store;
use punchcard::store::vault::Vault;

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const START: i64 = 1_735_689_600; // 2025-01-01
const PAGES: u64 = 200;

/// Events a second apart: mostly visits and points, one in a thousand a tier, one in a million a churned member.
fn fill(path: &str, events: u64) {
    let mut conn = SqliteConnection::establish(path).unwrap();
    conn.batch_execute(&format!(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;
         WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < {events})
         INSERT INTO loyalty_events (chain, id, kind, at, program_version, body)
         SELECT 'harvest', printf('evt_%026d', n),
                CASE WHEN n % 1000000 = 7 THEN 'member.churned' WHEN n % 1000 = 3 THEN 'tier.upgraded'
                     WHEN n % 2 = 0 THEN 'points.earned' ELSE 'order.completed' END,
                ({START} + n) * 1000000, 1,
                printf('{{\"id\":\"evt_%026d\",\"data\":\"%.400c\"}}', n, 'x')
         FROM counted;"
    ))
    .unwrap();
}

/// The instant of the `n`-th event.
fn at(n: u64) -> Timestamp {
    Timestamp::from_timestamp(START + n as i64, 0).unwrap()
}

async fn measure(reader: &Reader, events: u64, name: &str, filter: impl Fn(u64) -> Filter) {
    let chain: ChainId = "harvest".parse().unwrap();
    let mut took = Vec::new();
    for nth in 0..PAGES {
        // Places all over the table, in no order that a cache could like.
        let place = nth.wrapping_mul(0x9E37_79B9_7F4A_7C15) % events;
        let behind: EventId = format!("evt_{:026}", (place + 43_200) % events).parse().unwrap();
        let after = (nth % 2 == 1).then_some(behind);
        let began = Instant::now();
        reader.loyalty_events(chain.clone(), filter(place), Wanted { limit: 100, after }).await.unwrap();
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let of = |percent: usize| took[(took.len() - 1) * percent / 100];
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    println!("{name:38} p50 {:6.2} ms   p95 {:6.2} ms   max {:6.2} ms", ms(of(50)), ms(of(95)), ms(of(100)));
}

fn main() {
    let events = std::env::var("PUNCHCARD_BENCH_EVENTS").map_or(1_000_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("listing.db");
    let path = path.to_str().unwrap();
    let store = Store::open(&format!("sqlite://{path}").parse().unwrap(), Vault::new([7; 32])).unwrap();
    store.migrate().unwrap();
    let began = Instant::now();
    fill(path, events);
    let mib = std::fs::metadata(path).unwrap().len() >> 20;
    println!("{events} loyalty events, {mib} MiB, written in {:.0} s", began.elapsed().as_secs_f64());

    let reader = Reader::from(store);
    let of = |kind: &str| Some(kind.parse::<EventType>().unwrap());
    actix_rt::System::new().block_on(async {
        measure(&reader, events, "all", |_| Filter::default()).await;
        let every = [
            ("every other", "points.earned"),
            ("1 in 1,000", "tier.upgraded"),
            ("1 in 1,000,000", "member.churned"),
        ];
        for (share, kind) in every {
            measure(&reader, events, &format!("of a type, {share}"), |_| Filter {
                kind: of(kind),
                ..Filter::default()
            })
            .await;
        }
        let day = |n: u64| Filter { since: Some(at(n)), until: Some(at(n + 86_400)), ..Filter::default() };
        measure(&reader, events, "of a day", day).await;
        measure(&reader, events, "of a type, 1 in 1,000, of a day", |n| Filter {
            kind: of("tier.upgraded"),
            ..day(n)
        })
        .await;
        measure(&reader, events, "until a day", |n| Filter { since: None, ..day(n) }).await;
    });
}
