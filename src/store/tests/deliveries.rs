//! Deliveries: due, tried, settled, and sent again.

use std::time::{Duration, Instant};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::on_both;
use super::sample::*;
use crate::domain::delivery::{DeliveryStatus, NextStep};
use crate::domain::ids::{AttemptId, DeliveryId};
use crate::domain::loyalty_event::EventType;
use crate::store::commit::Written::Done;
use crate::store::connection::{Role, begin, rollback};
use crate::store::delivery::{self, StoredDelivery};
use crate::store::delivery_log::{self, Behind};
use crate::store::{DbConn, Store, endpoint as endpoints};

/// A store with endpoint 1 and so many deliveries to it, the first due last.
fn with_deliveries(store: &Store, count: u64) {
    store.change(|c| endpoints::insert(c, store.vault(), &endpoint(1)));
    let commit = |n: u64| owed(order(n, &newcomer(n)), endpoint_id(1), at(100 - n as i64)).into();
    store.write(&(1..=count).map(commit).collect::<Vec<_>>());
}

fn stored(store: &Store, n: u64) -> StoredDelivery {
    store.look(|c| delivery::get(c, &harvest(), delivery_id(n))).unwrap()
}

fn due(store: &Store, seconds: i64) -> Vec<DeliveryId> {
    let due = store.look(|c| delivery::due(c, &harvest(), endpoint_id(1), at(seconds), 10));
    due.into_iter().map(|d| d.id).collect()
}

on_both! {
    fn what_is_due_comes_the_longest_due_first(store) {
        with_deliveries(store, 3);
        assert_eq!(due(store, 98), [delivery_id(3), delivery_id(2)]);
        let first = store.look(|c| delivery::due(c, &harvest(), endpoint_id(1), at(98), 1)).remove(0);
        assert_eq!((first.attempts, first.created_at, first.member), (0, at(97), Some(member_id(3))));
        assert_eq!(first.body, order(3, &newcomer(3)).events[0].to_json());
        assert_eq!(store.look(|c| delivery::next_due(c, &harvest(), endpoint_id(1))), Some(at(97)));
        assert_eq!(store.look(|c| delivery::next_due(c, &harvest(), endpoint_id(2))), None);
    }

    fn an_attempt_moves_its_delivery_along(store) {
        with_deliveries(store, 3);
        let written = store.write(&[
            attempt(endpoint_id(1), 1, 1, NextStep::RetryAt(at(160))).into(),
            attempt(endpoint_id(1), 2, 1, NextStep::Delivered).into(),
            attempt(endpoint_id(1), 3, 1, NextStep::Failed).into(),
        ]);
        assert_eq!(written, [Done, Done, Done]);
        let state = |n| {
            let d = stored(store, n);
            (d.status, d.attempts, d.due_at, d.settled_at)
        };
        assert_eq!(state(1), (DeliveryStatus::Pending, 1, Some(at(160)), None));
        assert_eq!(state(2), (DeliveryStatus::Delivered, 1, None, Some(at(1))));
        assert_eq!(state(3), (DeliveryStatus::Failed, 1, None, Some(at(1))));
        assert_eq!(due(store, 159), []);
        assert_eq!(due(store, 160), [delivery_id(1)]);
        assert_eq!(store.look(|c| delivery::oldest_pending(c, &harvest(), endpoint_id(1))), Some(at(99)));
        let tries = store.look(|c| delivery::attempts(c, &harvest(), delivery_id(2)));
        assert_eq!((tries.len(), tries[0].number, tries[0].status_code), (1, 1, Some(204)));
        assert_eq!(tries[0].response_body.as_deref(), Some("to\u{fffd}o bad"));
        assert_eq!(stored(store, 2).event_kind, EventType::PointsEarned);
    }

    fn two_tries_of_one_delivery_in_one_group_are_both_kept(store) {
        with_deliveries(store, 1);
        store.write(&[
            attempt(endpoint_id(1), 1, 1, NextStep::RetryAt(at(60))).into(),
            attempt(endpoint_id(1), 1, 2, NextStep::Delivered).into(),
        ]);
        let tries = store.look(|c| delivery::attempts(c, &harvest(), delivery_id(1)));
        assert_eq!(tries.iter().map(|t| t.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(stored(store, 1).status, DeliveryStatus::Delivered);
    }

    fn a_try_under_another_key_is_in_the_log_and_no_step_of_the_ladder(store) {
        with_deliveries(store, 1);
        let mut outcome = attempt(endpoint_id(1), 1, 1, NextStep::RetryAt(at(60)));
        let mut refused = outcome.attempt.clone();
        (refused.id, refused.status_code) = (AttemptId::new(ulid(1)), Some(401));
        outcome.under_other_key = Some(Box::new(refused));
        store.write(&[outcome.into()]);
        let tries = store.look(|c| delivery::attempts(c, &harvest(), delivery_id(1)));
        assert_eq!(tries.iter().map(|t| t.status_code).collect::<Vec<_>>(), [Some(401), Some(500)]);
        assert_eq!(stored(store, 1).attempts, 1);
    }

    fn what_a_person_discarded_is_never_revived(store) {
        with_deliveries(store, 2);
        for n in [1, 2] {
            assert_eq!(store.change(|c| delivery::discard(c, &harvest(), delivery_id(n), at(5))), Some(endpoint_id(1)));
        }
        store.write(&[
            attempt(endpoint_id(1), 1, 1, NextStep::RetryAt(at(60))).into(),
            attempt(endpoint_id(1), 2, 1, NextStep::Delivered).into(),
        ]);
        for n in [1, 2] {
            let now = stored(store, n);
            assert_eq!((now.status, now.due_at, now.settled_at), (DeliveryStatus::Discarded, None, Some(at(5))));
            assert_eq!(store.look(|c| delivery::attempts(c, &harvest(), delivery_id(n))).len(), 1, "the try is in the log");
        }
    }

    fn a_retry_by_hand_starts_the_ladder_anew_and_the_log_goes_on(store) {
        with_deliveries(store, 1);
        store.write(&[attempt(endpoint_id(1), 1, 1, NextStep::RetryAt(at(60))).into()]);
        store.write(&[attempt(endpoint_id(1), 1, 2, NextStep::Failed).into()]);
        assert_eq!(store.change(|c| delivery::retry(c, &harvest(), delivery_id(1), at(70))), Some(endpoint_id(1)));
        let again = store.look(|c| delivery::due(c, &harvest(), endpoint_id(1), at(70), 1)).remove(0);
        assert_eq!((again.id, again.attempts), (delivery_id(1), 0));
        let mut third = attempt(endpoint_id(1), 1, 1, NextStep::Delivered);
        third.attempt.id = AttemptId::derived(ulid(1), 3);
        third.attempt.at = at(71);
        store.write(&[third.into()]);
        assert_eq!(stored(store, 1).status, DeliveryStatus::Delivered);
        let tries = store.look(|c| delivery::attempts(c, &harvest(), delivery_id(1)));
        assert_eq!(tries.iter().map(|t| t.number).collect::<Vec<_>>(), [1, 2, 3]);
    }

    fn a_late_try_of_the_old_ladder_does_not_disturb_the_new_one(store) {
        with_deliveries(store, 1);
        store.write(&[attempt(endpoint_id(1), 1, 1, NextStep::RetryAt(at(60))).into()]);
        store.change(|c| delivery::retry(c, &harvest(), delivery_id(1), at(30)));
        store.write(&[attempt(endpoint_id(1), 1, 2, NextStep::Failed).into()]);
        let now = stored(store, 1);
        assert_eq!((now.status, now.attempts, now.due_at), (DeliveryStatus::Pending, 0, Some(at(30))));
        store.write(&[attempt(endpoint_id(1), 1, 3, NextStep::Delivered).into()]);
        assert_eq!(stored(store, 1).status, DeliveryStatus::Delivered);
    }

    fn what_was_delivered_can_be_sent_again_but_not_discarded(store) {
        with_deliveries(store, 1);
        store.write(&[attempt(endpoint_id(1), 1, 1, NextStep::Delivered).into()]);
        assert_eq!(store.change(|c| delivery::discard(c, &harvest(), delivery_id(1), at(5))), None);
        assert_eq!(store.change(|c| delivery::retry(c, &harvest(), delivery_id(1), at(70))), Some(endpoint_id(1)));
        assert_eq!(stored(store, 1).settled_at, None);
        assert_eq!(store.change(|c| delivery::retry(c, &harvest(), delivery_id(9), at(70))), None);
    }

    fn a_deleted_endpoint_owes_nothing_and_keeps_its_log(store) {
        with_deliveries(store, 2);
        store.write(&[attempt(endpoint_id(1), 1, 1, NextStep::Delivered).into()]);
        store.change(|c| endpoints::delete(c, &harvest(), endpoint_id(1), at(50)));
        assert_eq!(store.look(|c| endpoints::deleted_but_owed(c, &harvest())), [endpoint_id(1)]);
        assert_eq!(store.change(|c| delivery::discard_owed(c, &harvest(), endpoint_id(1), at(50))), 1);
        assert_eq!(store.look(|c| endpoints::deleted_but_owed(c, &harvest())), []);
        assert_eq!(due(store, 1_000), []);
        assert_eq!(stored(store, 1).status, DeliveryStatus::Delivered);
        let discarded = stored(store, 2);
        assert_eq!((discarded.status, discarded.settled_at), (DeliveryStatus::Discarded, Some(at(50))));
        assert_eq!(store.change(|c| delivery::retry(c, &harvest(), delivery_id(2), at(70))), None);
        assert!(store.look(|c| endpoints::list(c, store.vault(), &harvest())).is_empty());
    }

    fn what_an_endpoint_is_owed_is_discarded_a_thousand_at_a_time(store) {
        with_deliveries(store, 1_001);
        let discard = || store.change(|c| delivery::discard_owed(c, &harvest(), endpoint_id(1), at(50)));
        assert_eq!(discard(), 1_000);
        assert_eq!(due(store, 1_000), [delivery_id(1_001)], "the oldest go first");
        assert_eq!((discard(), discard()), (1, 0));
        assert_eq!(due(store, 1_000), []);
    }

    fn the_log_of_an_endpoint_is_listed_by_status(store) {
        with_deliveries(store, 5);
        store.change(|c| delivery::discard(c, &harvest(), delivery_id(4), at(5)));
        store.write(&[
            attempt(endpoint_id(1), 1, 1, NextStep::Failed).into(),
            attempt(endpoint_id(1), 2, 1, NextStep::Delivered).into(),
        ]);
        let list = |status, limit, after: Option<DeliveryId>| {
            let due_at = after.and_then(|id| store.look(|c| delivery::get(c, &harvest(), id)).unwrap().due_at);
            let behind = after.map(|id| Behind { id, due_at });
            let page = store.look(|c| delivery_log::list(c, &harvest(), endpoint_id(1), status, limit, behind));
            page.into_iter().map(|d| d.id).collect::<Vec<_>>()
        };
        let ids = |ns: &[u64]| ns.iter().map(|n| delivery_id(*n)).collect::<Vec<_>>();
        assert_eq!(list(None, 3, None), ids(&[5, 4, 3]));
        assert_eq!(list(None, 3, Some(delivery_id(3))), ids(&[2, 1]));
        assert_eq!(list(Some(DeliveryStatus::Failed), 9, None), ids(&[1]));
        assert_eq!(list(Some(DeliveryStatus::Delivered), 9, None), ids(&[2]));
        assert_eq!(list(Some(DeliveryStatus::Discarded), 9, None), ids(&[4]));
        assert_eq!(list(Some(DeliveryStatus::Pending), 9, None), ids(&[3, 5]), "what is due last first");
        assert_eq!(list(Some(DeliveryStatus::Pending), 1, None), ids(&[3]));
        assert_eq!(list(Some(DeliveryStatus::Pending), 1, Some(delivery_id(3))), ids(&[5]));
        assert_eq!(list(Some(DeliveryStatus::Pending), 1, Some(delivery_id(5))), []);
    }
}

/// Attempts lock deliveries in that order, too: with another one, the two could wait for each other for ever.
#[test]
fn discarded_deliveries_are_locked_in_the_order_of_their_ids() {
    let store = &super::postgres();
    store.change(|c| endpoints::insert(c, store.vault(), &endpoint(1)));
    let commit = |n: u64| owed(order(n, &newcomer(n)), endpoint_id(1), at(0)).into();
    store.write(&[3, 2, 1].map(commit)); // the first in its name is the last by number
    std::thread::scope(|scope| {
        let mut attempt = store.opener(Role::Writer).open().unwrap();
        begin(&mut attempt).unwrap();
        assert_eq!(locked(&mut attempt, &format!("WHERE id = '{}' FOR UPDATE", delivery_id(2))).len(), 1);
        let discard =
            scope.spawn(|| store.change(|c| delivery::discard_owed(c, &harvest(), endpoint_id(1), at(50))));
        let deadline = Instant::now() + Duration::from_secs(20);
        while store.look(|c| Ok(diesel::select(sql::<BigInt>(WAITING)).get_result::<i64>(c)?)) == 0 {
            assert!(Instant::now() < deadline, "nobody waits for the attempt");
            std::thread::yield_now();
        }
        let free = store.change(|c| Ok(locked(c, "ORDER BY id FOR UPDATE SKIP LOCKED")));
        assert_eq!(free, [delivery_id(3).to_string()]);
        rollback(&mut attempt).unwrap();
        assert_eq!(discard.join().unwrap(), 3);
    });
}

/// How many connections to this database wait for a lock.
const WAITING: &str =
    "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";

fn locked(conn: &mut DbConn, which: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Locked {
        #[diesel(sql_type = Text)]
        id: String,
    }
    let rows: Vec<Locked> = match conn {
        DbConn::Sqlite(_) => unreachable!("SQLite locks no rows"),
        DbConn::Postgres(c) => {
            diesel::sql_query(format!("SELECT id FROM deliveries {which}")).load(c).unwrap()
        }
    };
    rows.into_iter().map(|row| row.id).collect()
}
