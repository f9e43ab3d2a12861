//! Recoveries and what is counted beside attempts.

use super::on_both;
use super::sample::*;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::delivery::{DeliveryStatus, Mark, NextStep};
use crate::domain::health::{Minutes, slot_of};
use crate::domain::ids::{DeliveryId, RecoveryId};
use crate::domain::recovery::{Counts, Feed, Period, Position, Progress, Recovery, Which};
use crate::domain::text::Name;
use crate::store::connection::{begin, rollback};
use crate::store::delivery::{self, StoredDelivery};
use crate::store::{Store, StoreError, endpoint as endpoints, endpoint_minutes, recovery};

/// A recovery of endpoint 1 of everything.
fn of_all() -> Recovery {
    Recovery {
        id: RecoveryId::new(ulid(900)),
        endpoint: endpoint_id(1),
        which: Which::All,
        period: Period::new(at(-10), None, at(1_000)).unwrap(),
        asked_by: Name::parse("ops").unwrap(),
        begun_at: at(1_000),
        counts: Counts::default(),
        progress: Progress::Running(Position::first(Which::All)),
    }
}

/// Endpoint 1 with one failed, one delivered and one pending delivery, and an event that it was never owed.
fn with_past(store: &Store) -> Recovery {
    store.change(|c| endpoints::insert(c, store.vault(), &endpoint(1)));
    let owed = |n| owed(order(n, &newcomer(n)), endpoint_id(1), at(0)).into();
    store.write(&[owed(1), owed(2), owed(3), order(4, &newcomer(4)).into()]);
    store.write(&[
        attempt(endpoint_id(1), 1, 1, NextStep::Failed).into(),
        attempt(endpoint_id(1), 2, 1, NextStep::Delivered).into(),
    ]);
    let recovery = of_all();
    store.change(|c| recovery::insert(c, &harvest(), &recovery));
    recovery
}

fn found(store: &Store, recovery: &Recovery) -> Feed {
    let Progress::Running(mut position) = recovery.progress else { panic!("it has ended") };
    loop {
        let page = store.look(|c| recovery::page(c, &endpoint(1), &recovery.period, position));
        let feed = Feed::of(page, &endpoint(1), recovery.which, &recovery.period, 500);
        match feed.next {
            Some(next) if feed.is_nothing() => position = next,
            _ => return feed,
        }
    }
}

fn stored(store: &Store, id: DeliveryId) -> Option<StoredDelivery> {
    store.look(|c| delivery::get(c, &harvest(), id))
}

fn of(store: &Store, recovery: &Recovery) -> Recovery {
    store.look(|c| recovery::get(c, &harvest(), recovery.endpoint, recovery.id)).unwrap()
}

on_both! {
    fn a_page_is_fed_once_whoever_feeds_it(store) {
        let begun = with_past(store);
        let feed = found(store, &begun);
        assert_eq!(feed.counts(), Counts { requeued: 2, created: 1, waiting: 1 });
        let go = |at_second| store.change(|c| recovery::feed(c, &harvest(), &begun, &feed, at(at_second)));
        assert_eq!((go(1_001), go(1_002)), (true, false));
        let after = of(store, &begun);
        assert_eq!((after.counts, after.counts.matched()), (feed.counts(), 4));
        let late = DeliveryId::made_late(endpoint_id(1), feed.create[0].event);
        for (id, created_at) in [(delivery_id(1), at(0)), (delivery_id(2), at(0)), (late, at(0) + chrono::Duration::milliseconds(4))] {
            let now = stored(store, id).unwrap();
            assert_eq!((now.status, now.due_at, now.attempts), (DeliveryStatus::Pending, Some(at(1_001)), 0));
            assert_eq!((now.mark, now.settled_at), (Some(Mark::Recovery(begun.id)), None));
            assert_eq!(now.created_at, created_at, "when its event was committed");
        }
        assert_eq!(stored(store, delivery_id(3)).unwrap().mark, None);
        let event = stored(store, late).unwrap().event;
        let of_event = store.look(|c| delivery::of_event(c, &harvest(), event));
        assert_eq!(of_event.iter().map(|d| d.id).collect::<Vec<_>>(), [late], "who forgets its member finds it");
        // The next page ends it, and nothing is found twice.
        let rest = found(store, &after);
        assert_eq!((rest.counts(), rest.next), (Counts::default(), None));
        assert!(store.change(|c| recovery::feed(c, &harvest(), &after, &rest, at(1_003))));
        assert_eq!(of(store, &begun).progress, Progress::Done(at(1_003)));
        assert_eq!(store.look(recovery::running), []);
    }

    fn a_feed_that_a_crash_undoes_leaves_nothing_behind(store) {
        let begun = with_past(store);
        let feed = found(store, &begun);
        let mut writer = store.opener(crate::store::connection::Role::Writer).open().unwrap();
        begin(&mut writer).unwrap();
        assert!(recovery::feed(&mut writer, &harvest(), &begun, &feed, at(1_001)).unwrap());
        rollback(&mut writer).unwrap();
        assert_eq!(of(store, &begun), begun);
        assert_eq!(found(store, &begun), feed);
        assert_eq!(stored(store, delivery_id(1)).unwrap().status, DeliveryStatus::Failed);
    }

    fn what_changed_since_it_was_found_is_not_sent(store) {
        let begun = with_past(store);
        let feed = found(store, &begun);
        store.change(|c| delivery::discard(c, &harvest(), delivery_id(1), at(5)));
        store.change(|c| recovery::feed(c, &harvest(), &begun, &feed, at(1_001)));
        assert_eq!(of(store, &begun).counts.requeued, 1);
        assert_eq!(stored(store, delivery_id(1)).unwrap().status, DeliveryStatus::Discarded);
    }

    fn one_recovery_of_an_endpoint_runs_at_a_time(store) {
        let begun = with_past(store);
        let other = Recovery { id: RecoveryId::new(ulid(901)), ..begun.clone() };
        let taken = store.writer().unwrap().run(|c, _| recovery::insert(c, &harvest(), &other));
        assert!(matches!(taken, Err(StoreError::Taken { .. })), "{taken:?}");
        let stop = |second| {
            store.change(|c| recovery::stop(c, &harvest(), begun.endpoint, Some(begun.id), at(second)));
        };
        store.change(|c| recovery::stop(c, &harvest(), begun.endpoint, Some(other.id), at(1_000)));
        assert_eq!(of(store, &begun), begun, "it was another one");
        stop(1_001);
        stop(1_002);
        assert_eq!(of(store, &begun).progress, Progress::Stopped(at(1_001)));
        store.change(|c| recovery::insert(c, &harvest(), &other));
        let listed = store.look(|c| recovery::list(c, &harvest(), endpoint_id(1), 9, None));
        assert_eq!(listed.iter().map(|one| one.id).collect::<Vec<_>>(), [other.id, begun.id]);
        let feed = found(store, &begun);
        assert!(!store.change(|c| recovery::feed(c, &harvest(), &begun, &feed, at(1_003))), "it was stopped");
        store.change(|c| recovery::stop(c, &harvest(), endpoint_id(1), None, at(1_004)));
        assert_eq!(of(store, &other).progress, Progress::Stopped(at(1_004)), "as when its endpoint is deleted");
    }

    fn what_is_due_is_counted_so_far(store) {
        with_past(store);
        let due = |second, most| store.look(|c| recovery::due_count(c, &harvest(), endpoint_id(1), at(second), most));
        assert_eq!((due(-1, 9), due(0, 9), due(0, 0)), (0, 1, 0));
    }

    fn attempts_are_counted_in_slots_and_forgotten_after_a_month(store) {
        with_past(store);
        store.write(&[attempt(endpoint_id(1), 3, 400, NextStep::Delivered).into()]);
        let since = |slot: Timestamp| {
            store.look(|c| endpoint_minutes::since(c, &harvest(), endpoint_id(1), slot_of(slot)))
        };
        let numbers = |m: &Minutes| (m.first_tries, m.retries, m.delivered, m.failed);
        assert_eq!(numbers(&since(at(0))), (2, 1, 2, 1));
        assert_eq!(since(at(0)).latencies.percentile(95), Some(12));
        assert_eq!(numbers(&since(at(400))), (0, 1, 1, 0));
        let owed = |most| store.look(|c| endpoint_minutes::owed(c, &harvest(), endpoint_id(1), most));
        assert_eq!((owed(9).deliveries, owed(9).oldest), (0, None));
        let chain: &ChainId = &harvest();
        let old = |slot| store.look(|c| endpoint_minutes::older_than(c, chain, slot_of(slot)));
        assert_eq!((old(at(0)), old(at(400))), (vec![], vec![endpoint_id(1)]));
        store.change(|c| endpoint_minutes::forget(c, chain, endpoint_id(1), slot_of(at(400))));
        assert_eq!((old(at(400)), numbers(&since(at(0)))), (vec![], (0, 1, 1, 0)));
    }
}
