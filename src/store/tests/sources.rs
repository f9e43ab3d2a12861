//! Source events: once each, and again when a person asks.

use super::on_both;
use super::sample::*;
use crate::domain::commit::{Commit, SourceOrigin};
use crate::domain::effect::RuleFailure;
use crate::domain::ids::SourceId;
use crate::domain::ledger::Transfer;
use crate::domain::receipt::SourceStatus;
use crate::store::commit::Prepared;
use crate::store::commit::Written::{self, Conflict, Done, Duplicate};
use crate::store::connection::Role;
use crate::store::group::{self, Fate};
use crate::store::{books, source_event as sources};
use std::sync::Arc;
use std::sync::mpsc::channel;

fn with_status(mut commit: Commit, status: SourceStatus) -> Commit {
    commit.source.as_mut().unwrap().receipt.status = status;
    commit
}

fn kept(n: u64, status: SourceStatus) -> Commit {
    let mut commit = with_status(order(n, &newcomer(n)), status);
    commit.source.as_mut().unwrap().member = None;
    (commit.member, commit.order) = (None, None);
    (commit.transfers, commit.events) = (Vec::new(), Vec::new());
    commit
}

on_both! {
    fn a_repeated_key_is_answered_with_the_first_receipt(store) {
        let first = order(1, &newcomer(1));
        store.write(&[first.clone().into()]);
        let receipt = first.source.as_ref().unwrap().receipt.to_json();
        let mut again = order(1, &store.member(1));
        again.source.as_mut().unwrap().id = SourceId::new(ulid(50));
        let same = Duplicate { receipt: receipt.clone(), same_body: true, status: SourceStatus::Processed };
        assert_eq!(store.write(&[again.clone().into()]), [same]);
        again.source.as_mut().unwrap().event = Arc::new(source_event("order-1", 11));
        let other = Duplicate { receipt, same_body: false, status: SourceStatus::Processed };
        assert_eq!(store.write(&[again.into()]), [other]);
        assert_eq!(store.member(1).version, 1);
    }

    fn of_two_events_with_one_key_in_a_group_the_first_wins(store) {
        let mut second = order(2, &newcomer(2));
        second.source.as_mut().unwrap().event = Arc::new(source_event("order-1", 10));
        let written = store.write(&[order(1, &newcomer(1)).into(), second.into()]);
        assert!(matches!(&written[..], [Done, Duplicate { same_body: true, .. }]), "{written:?}");
    }

    fn when_the_first_of_two_loses_the_second_takes_its_place(store) {
        store.write(&[order(1, &newcomer(1)).into()]);
        let stale = order(5, &newcomer(1));
        let mut second = order(6, &newcomer(6));
        second.source.as_mut().unwrap().event = Arc::new(source_event("order-5", 10));
        assert_eq!(store.write(&[stale.into(), second.into()]), [Conflict, Done]);
    }

    fn keys_of_different_chains_do_not_meet(store) {
        store.write(&[kept(1, SourceStatus::Parked).into()]);
        let mut other = kept(2, SourceStatus::Parked);
        other.chain = "other".parse().unwrap();
        other.source.as_mut().unwrap().event = Arc::new(source_event("order-1", 99));
        assert_eq!(store.write(&[other.into()]), [Done]);
    }

    fn a_failed_event_is_decided_again_once(store) {
        let mut failed = with_status(order(1, &newcomer(1)), SourceStatus::Failed);
        let failure = RuleFailure::new("Tier", "tiers.rhai:4:9", "division by zero");
        failed.source.as_mut().unwrap().receipt.errors = vec![failure.clone()];
        store.write(&[failed.clone().into()]);
        let stored = store.look(|c| sources::list(c, &harvest(), Some(SourceStatus::Failed), 10, None)).remove(0);
        assert_eq!((stored.runs, stored.errors), (1, vec![failure]));
        assert_eq!(stored.body_hash, failed.source.as_ref().unwrap().event.body_hash);

        let mut again = order(1, &store.member(1));
        again.source.as_mut().unwrap().from = SourceOrigin::Stored { status: SourceStatus::Failed, runs: 1 };
        again.order.as_mut().unwrap().version = 1;
        let line = transfer(1, 1 << 20, member_id(1), 10);
        again.transfers = vec![Transfer { previous: Some(failed.transfers[0].id), ..line }];
        again.events.clear();
        let mut twice = again.clone();
        assert_eq!(store.write(&[again.into()]), [Done]);
        twice.member.as_mut().unwrap().version = 2;
        twice.order.as_mut().unwrap().version = 2;
        assert_eq!(store.write(&[twice.into()]), [Conflict]);
        let after = store.look(|c| sources::get(c, &harvest(), stored.id)).unwrap();
        assert_eq!((after.status, after.runs), (SourceStatus::Processed, 2));
        assert_eq!(store.look(|c| books::verify(c, Some(&harvest()))), []);
    }

    fn stored_events_are_decided_in_the_order_of_their_keys(store) {
        use diesel::connection::{Connection, InstrumentationEvent};
        let arrived = [3, 1, 2];
        store.write(&arrived.map(|n| kept(n, SourceStatus::Accepted).into()));
        let group = arrived.map(|n| {
            let mut commit = order(n, &newcomer(n));
            commit.source.as_mut().unwrap().from = SourceOrigin::Stored { status: SourceStatus::Accepted, runs: 0 };
            Prepared::from(commit)
        });
        let mut conn = store.opener(Role::Writer).open().unwrap();
        let (log, updates) = channel();
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { query, .. } = event {
                let _ = log.send(query.to_string());
            }
        });
        assert!(matches!(group::write(&mut conn, &group, &[0, 1, 2]), Ok(Fate::Written(_))));
        let decided = updates.try_iter().filter(|text| text.starts_with("UPDATE") && text.contains("source_events"));
        let decided: Vec<_> = decided
            .filter_map(|text| (1..=3).find(|n| text.contains(&SourceId::new(ulid(*n)).to_string())))
            .collect();
        assert_eq!(decided, [1, 2, 3]);
    }

    fn a_kept_event_waits_to_be_decided(store) {
        let group: Vec<_> = [1, 2].map(|n| kept(n, SourceStatus::Accepted).into()).into();
        store.write(&group);
        store.write(&[kept(3, SourceStatus::Parked).into(), order(4, &newcomer(4)).into()]);
        let waiting = store.look(|c| sources::undecided(c, &harvest(), 10, None));
        assert_eq!(waiting.iter().map(|s| &*s.key).collect::<Vec<_>>(), ["order-1", "order-2"]);
        assert_eq!((waiting[0].runs, waiting[0].member), (0, None));
        let behind = store.look(|c| sources::undecided(c, &harvest(), 10, Some(waiting[0].id)));
        assert_eq!(behind.iter().map(|s| s.id).collect::<Vec<_>>(), [waiting[1].id]);

        let mut decided = order(1, &newcomer(1));
        decided.source.as_mut().unwrap().from = SourceOrigin::Stored { status: SourceStatus::Accepted, runs: 0 };
        assert_eq!(store.write(&[decided.into()]), [Done]);
        let by_key = store.look(|c| sources::by_key(c, &harvest(), &waiting[0].key)).unwrap();
        assert_eq!((by_key.status, by_key.runs, by_key.member), (SourceStatus::Processed, 1, Some(member_id(1))));
        assert_eq!(store.look(|c| sources::undecided(c, &harvest(), 10, None)).len(), 1);
    }

    fn what_a_decision_takes_out_of_a_kept_event_is_stored_no_more(store) {
        store.write(&[kept(1, SourceStatus::Accepted).into()]);
        let mut decided = order(1, &newcomer(1));
        let source = decided.source.as_mut().unwrap();
        source.from = SourceOrigin::Stored { status: SourceStatus::Accepted, runs: 0 };
        Arc::make_mut(&mut source.event).body = "{}".into();
        let (id, hash) = (source.id, source.event.body_hash);
        assert_eq!(store.write(&[decided.into()]), [Done]);
        let stored = store.look(|c| sources::get(c, &harvest(), id)).unwrap();
        assert_eq!((&*stored.body, stored.body_hash), ("{}", hash), "a repeat is known all the same");
    }

    fn pages_follow_one_another_without_gap_or_overlap(store) {
        store.write(&(1..=25).map(|n| kept(n, SourceStatus::Parked).into()).collect::<Vec<_>>());
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.look(|c| sources::list(c, &harvest(), Some(SourceStatus::Parked), 10, after));
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            seen.extend(page.into_iter().map(|s| s.id));
        }
        let expected: Vec<_> = (1..=25).rev().map(|n| SourceId::new(ulid(n))).collect();
        assert_eq!(seen, expected);
    }

    fn two_writers_and_one_key_make_one_effect(store) {
        let written: Vec<Written> = std::thread::scope(|scope| {
            let threads: Vec<_> = (1..=8)
                .map(|n| {
                    scope.spawn(move || {
                        let mut commit = order(n, &newcomer(n));
                        commit.source.as_mut().unwrap().event = Arc::new(source_event("order-0", 10));
                        store.write(&[commit.into()]).remove(0)
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(written.iter().filter(|w| **w == Done).count(), 1, "{written:?}");
        assert_eq!(store.look(|c| crate::store::member::list(c, &harvest(), 10, None)).len(), 1);
    }
}
