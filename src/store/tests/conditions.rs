//! How receivers do, and what attempts tell.

use super::on_both;
use super::sample::*;
use crate::domain::commit::Commit;
use crate::domain::delivery::{AttemptOutcome, DeliveryStatus, NextStep};
use crate::domain::endpoint::EndpointState;
use crate::domain::gate::{Condition, Hold, Noted, Trouble};
use crate::domain::health::slot_of;
use crate::domain::ids::AttemptId;
use crate::domain::loyalty_event::EventType;
use crate::store::{Store, condition, delivery, endpoint as endpoints, endpoint_minutes, loyalty_event};

fn noted(epoch: i64, seconds: i64, trips: u32) -> Noted {
    let trouble = Some(Trouble { since: at(seconds), warned_at: Some(at(seconds + 1)) });
    Noted { epoch, condition: Condition { trouble, hold: Hold::Open { until: at(seconds + 30), trips } } }
}

/// The first try of the `n`-th delivery to endpoint 1, and what it taught.
fn taught(n: u64, condition: Noted) -> AttemptOutcome {
    AttemptOutcome { condition: Some(condition), ..attempt(endpoint_id(1), n, 1, NextStep::RetryAt(at(60))) }
}

fn known(store: &Store) -> Noted {
    store.look(|c| condition::get(c, &harvest(), endpoint_id(1)))
}

fn with_deliveries(store: &Store, count: u64) {
    store.change(|c| endpoints::insert(c, store.vault(), &endpoint(1)));
    let commit = |n: u64| owed(order(n, &newcomer(n)), endpoint_id(1), at(0)).into();
    store.write(&(1..=count).map(commit).collect::<Vec<_>>());
}

on_both! {
    fn a_condition_is_written_with_the_attempt_that_changed_it_and_the_last_of_a_group_counts(store) {
        with_deliveries(store, 5);
        assert_eq!(known(store), Noted::default());
        // By their keys the deliveries would be written in another order.
        store.write(&[taught(3, noted(0, 1, 1)).into(), taught(1, noted(0, 2, 2)).into(), taught(2, noted(0, 3, 3)).into()]);
        assert_eq!(known(store), noted(0, 3, 3));
        for (n, hold) in [(4, Hold::Free), (5, Hold::Asked { until: at(9) })] {
            let noted = Noted { epoch: 0, condition: Condition { trouble: None, hold } };
            store.write(&[taught(n, noted).into()]);
            assert_eq!(known(store), noted);
        }
        let listed = store.look(|c| condition::list(c, &harvest()));
        assert_eq!(listed, [(endpoint_id(1), known(store).condition)]);
        assert_eq!(store.look(|c| condition::list(c, &"other".parse().unwrap())), []);
    }

    fn what_was_under_way_when_people_began_anew_changes_nothing(store) {
        with_deliveries(store, 3);
        store.change(|c| condition::begin_anew(c, &harvest(), endpoint_id(1)));
        store.write(&[taught(1, noted(0, 1, 1)).into()]);
        assert_eq!(known(store), Noted { epoch: 1, condition: Condition::default() });
        store.write(&[taught(2, noted(1, 1, 1)).into()]);
        assert_eq!(known(store), noted(1, 1, 1));
        store.change(|c| condition::begin_anew(c, &harvest(), endpoint_id(1)));
        store.write(&[taught(3, noted(1, 2, 2)).into()]);
        assert_eq!(known(store), Noted { epoch: 2, condition: Condition::default() });
        let tries = store.look(|c| delivery::attempts(c, &harvest(), delivery_id(3)));
        assert_eq!(tries.len(), 1, "the try is in the log all the same");
    }

    fn a_try_that_does_not_count_moves_its_delivery_and_uses_up_nothing(store) {
        with_deliveries(store, 1);
        // Each try has an id of its own.
        let first = |id, next| {
            let mut tried = attempt(endpoint_id(1), 1, 1, next);
            tried.attempt.id = AttemptId::derived(ulid(1), id);
            store.write(&[tried.into()]);
        };
        first(1, NextStep::Spared(at(90)));
        let stored = store.look(|c| delivery::get(c, &harvest(), delivery_id(1))).unwrap();
        assert_eq!((stored.status, stored.attempts, stored.due_at), (DeliveryStatus::Pending, 0, Some(at(90))));
        first(2, NextStep::RetryAt(at(160)));
        first(3, NextStep::Spared(at(90)));
        let stored = store.look(|c| delivery::get(c, &harvest(), delivery_id(1))).unwrap();
        assert_eq!((stored.attempts, stored.due_at), (1, Some(at(160))), "it belonged to an older step");
    }

    fn a_try_that_did_not_get_out_of_our_own_network_is_in_the_log_and_counts_nowhere(store) {
        with_deliveries(store, 1);
        let tries = || {
            let minutes = store.look(|c| endpoint_minutes::since(c, &harvest(), endpoint_id(1), slot_of(at(0))));
            minutes.first_tries + minutes.retries
        };
        let hindered = |seconds, again| NextStep::Hindered { until: at(seconds), again };
        for (n, next, due, counted, logged) in [
            (1, hindered(61, false), 61, 0, 1),
            (2, hindered(62, true), 62, 0, 1), // said already
            (3, NextStep::Spared(at(90)), 90, 1, 2),
        ] {
            let mut tried = attempt(endpoint_id(1), 1, 1, next);
            tried.attempt.id = AttemptId::derived(ulid(1), n);
            store.write(&[AttemptOutcome { condition: Some(noted(0, n.into(), 1)), ..tried }.into()]);
            let stored = store.look(|c| delivery::get(c, &harvest(), delivery_id(1))).unwrap();
            assert_eq!((stored.attempts, stored.due_at, tries()), (0, Some(at(due)), counted));
            let log = store.look(|c| delivery::attempts(c, &harvest(), delivery_id(1)));
            assert_eq!((log.len(), known(store)), (logged, noted(0, n.into(), 1)));
        }
    }

    fn what_an_attempt_tells_is_written_with_it_and_owed_to_others(store) {
        with_deliveries(store, 1);
        store.change(|c| endpoints::insert(c, store.vault(), &endpoint(2)));
        let told = crate::domain::decide::tell((&harvest(), 3), [EventType::DeliveryExhausted.example().data], ulid(7), at(5));
        let told: Commit = owed(told, endpoint_id(2), at(5));
        let event = told.events[0].id;
        let failed = attempt(endpoint_id(1), 1, 5, NextStep::Failed);
        store.write(&[AttemptOutcome { told: Some(Box::new(told)), ..failed }.into()]);
        assert!(store.look(|c| loyalty_event::get(c, &harvest(), event)).is_some());
        let due = store.look(|c| delivery::due(c, &harvest(), endpoint_id(2), at(5), 9));
        assert_eq!(due.iter().map(|due| (due.event, due.kind)).collect::<Vec<_>>(), [(event, EventType::DeliveryExhausted)]);
    }

    fn a_pause_is_kept_with_its_end_if_it_has_one(store) {
        let mut stored = endpoint(1);
        store.change(|c| endpoints::insert(c, store.vault(), &stored));
        for until in [None, Some(at(600))] {
            stored.state = EndpointState::Paused { at: at(3), until };
            store.change(|c| endpoints::update(c, store.vault(), &stored));
            assert_eq!(store.look(|c| endpoints::list(c, store.vault(), &harvest())), [stored.clone()]);
        }
    }
}
