use ulid::Ulid;

use super::*;
use crate::domain::endpoint::{Concurrency, PerMinute};

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(1_772_562_600 + second, 0).unwrap()
}

fn period() -> Period {
    Period::new(at(10), Some(at(20)), at(100)).unwrap()
}

fn owed(n: u64, second: i64, status: DeliveryStatus) -> Candidate {
    let delivery = DeliveryId::new(Ulid(n.into()));
    let position = Position::Events(Some(EventId::new(Ulid(n.into()))));
    Candidate { position, at: at(second), what: Past::Owed { delivery, status } }
}

fn never_owed(n: u64, second: i64, kind: EventType) -> Candidate {
    let event = EventId::new(Ulid(n.into()));
    let what = Past::NeverOwed { event, kind, member: None, message: kind.example().to_json() };
    Candidate { position: Position::Events(Some(event)), at: at(second), what }
}

fn endpoint(events: &str) -> Endpoint {
    Endpoint { events: vec![events.parse().unwrap()], ..Endpoint::sample("https://crm.example/") }
}

#[test]
fn each_kind_takes_what_it_says() {
    let candidates: Vec<_> = DeliveryStatus::ALL
        .into_iter()
        .zip(1..)
        .map(|(status, n)| owed(n, 15, status))
        .chain([
            never_owed(8, 15, EventType::PointsEarned),
            never_owed(9, 15, EventType::TierUpgraded), // nobody asked for it
            owed(10, 9, DeliveryStatus::Failed),
            owed(11, 20, DeliveryStatus::Failed),
            never_owed(12, 20, EventType::PointsEarned),
        ])
        .collect();
    for (which, requeued, created, waiting) in
        [(Which::Failed, 1, 0, 0), (Which::Unsent, 0, 1, 2), (Which::All, 2, 1, 2)]
    {
        let page = Page { candidates: candidates.clone(), next: None };
        let feed = Feed::of(page, &endpoint("points.*"), which, &period(), 500);
        assert_eq!(feed.counts(), Counts { requeued, created, waiting }, "{which:?}");
        assert_eq!(feed.counts().matched(), requeued + created + waiting);
    }
}

#[test]
fn a_full_feed_goes_on_right_after_what_it_took() {
    let candidates: Vec<_> = (1..=5).map(|n| owed(n, 15, DeliveryStatus::Failed)).collect();
    let next = Some(Position::Failed(None));
    for room in 1..=6 {
        let (mut left, mut taken) = (candidates.clone(), Vec::new());
        loop {
            let page = Page { candidates: left.clone(), next };
            let feed = Feed::of(page, &endpoint("*"), Which::Failed, &period(), room);
            assert!(feed.due() <= room);
            taken.extend(feed.reopen);
            match candidates.iter().position(|candidate| Some(candidate.position) == feed.next) {
                Some(last) => left = candidates[last + 1..].to_vec(),
                None => break assert_eq!(feed.next, next),
            }
        }
        assert_eq!(taken.len(), 5, "{room}");
    }
}

#[test]
fn a_period_ends_now_at_the_latest_and_is_never_empty() {
    let of = |since, until: Option<i64>| Period::new(at(since), until.map(at), at(50));
    assert!(of(50, None).unwrap().holds(at(50)), "what was committed right now, too");
    assert!(!of(0, Some(50)).unwrap().holds(at(50)));
    assert_eq!(of(0, Some(90)), of(0, None));
    assert_eq!((of(51, None), of(10, Some(10)), of(10, Some(9))), (None, None, None));
}

#[test]
fn a_position_survives_its_text() {
    let id = EventId::new(Ulid(7));
    for position in [
        Position::first(Which::Failed),
        Position::first(Which::All),
        Position::Failed(Some(DeliveryId::new(Ulid(7)))),
        Position::Events(Some(id)),
        Position::LateEvents(Some((at(0) + chrono::Duration::microseconds(5), id))),
    ] {
        let text = crate::domain::json::to_json(&position);
        assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position, "{text}");
    }
}

#[test]
fn a_slow_receiver_is_fed_with_little() {
    for (concurrency, limit, expected) in
        [(64, Some(10_000), 512), (64, None, 512), (1, None, 8), (64, Some(100), 25), (64, Some(1), 1)]
    {
        let mut endpoint = endpoint("*");
        endpoint.settings.concurrency = Concurrency::of(concurrency);
        endpoint.settings.rate_limit = limit.map(PerMinute::of);
        assert_eq!(most_due(&endpoint), expected, "{concurrency} {limit:?}");
    }
}
