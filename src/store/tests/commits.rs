//! Groups of commits: what holds, what loses, and that one does not harm another.

use super::on_both;
use super::sample::*;
use crate::domain::identity::Identity;
use crate::domain::ledger::Account;
use crate::domain::loyalty_event::EventType;
use crate::domain::money::Points;
use crate::store::books::Wrong;
use crate::store::commit::Written::{Conflict, Done};
use crate::store::loyalty_event::EventFilter;
use crate::store::{books, chain, ledger, loyalty_event, member, order as orders};

on_both! {
    fn a_commit_is_read_back_as_it_was_decided(store) {
        let mut first = order(1, &newcomer(1));
        first.new_identities = vec![card(1)];
        first.member.as_mut().unwrap().next_wake_at = Some(at(60));
        assert_eq!(store.write(&[first.clone().into()]), [Done]);

        let mut stored = store.member(1);
        assert_eq!(stored.version, 1);
        stored.version = 0;
        assert_eq!(Some(&stored), first.member.as_deref());
        let owners = store.look(|c| member::owners(c, &harvest(), &[card(9), card(1)]));
        assert_eq!(owners, [(card(1), member_id(1))]);
        let record = store.look(|c| orders::load(c, &harvest(), &first.order.as_ref().unwrap().order_id)).unwrap();
        assert_eq!(record.earned_in("points"), Points(10));
        assert_eq!(Some(record), first.order.clone().map(|order| order.at_version(1)));
        let lines = store.look(|c| ledger::list(c, &harvest(), member_id(1), 10, None));
        assert_eq!(lines[0].id, first.transfers[0].id);
        assert_eq!(lines[0].credit.to_string(), format!("member:{}", member_id(1)));
        assert_eq!(lines[0].cause, first.transfers[0].cause);
        let event = store.look(|c| loyalty_event::get(c, &harvest(), first.events[0].id)).unwrap();
        assert_eq!(event.body, first.events[0].to_json());
        assert_eq!(store.look(|c| member::due_wakes(c, &harvest(), at(60), 10, 0)), [member_id(1)]);
        assert_eq!(store.look(|c| member::due_wakes(c, &harvest(), at(59), 10, 0)), []);
        assert_eq!(store.look(|c| member::next_wake(c, &harvest())), Some(at(60)));
    }

    fn a_members_events_and_lines_are_listed_newest_first_and_page_by_page(store) {
        store.write(&[order(1, &newcomer(1)).into(), order(50, &newcomer(2)).into()]);
        for n in 2..=5 {
            store.write(&[order(n, &store.member(1)).into()]);
        }
        let lines = |limit, after: Option<u64>| {
            let after = after.map(|n| order(n, &newcomer(1)).transfers[0].id);
            let page = store.look(|c| ledger::list(c, &harvest(), member_id(1), limit, after));
            page.into_iter().map(|line| line.id).collect::<Vec<_>>()
        };
        let line_ids = |ns: &[u64]| ns.iter().map(|n| order(*n, &newcomer(1)).transfers[0].id).collect::<Vec<_>>();
        assert_eq!(lines(3, None), line_ids(&[5, 4, 3]));
        assert_eq!(lines(3, Some(3)), line_ids(&[2, 1]));
        assert_eq!(lines(3, Some(1)), []);
        assert_eq!(lines(3, Some(50)), [], "that line is somebody else's");

        let events = |filter: EventFilter, limit, after: Option<u64>| {
            let filter = EventFilter { member: Some(member_id(1)), ..filter };
            let after = after.map(|n| order(n, &newcomer(1)).events[0].id);
            let page = store.look(|c| loyalty_event::list(c, &harvest(), &filter, limit, after));
            page.into_iter().map(|event| event.id).collect::<Vec<_>>()
        };
        let event_ids = |ns: &[u64]| ns.iter().map(|n| order(*n, &newcomer(1)).events[0].id).collect::<Vec<_>>();
        assert_eq!(events(EventFilter::default(), 2, None), event_ids(&[5, 4]));
        assert_eq!(events(EventFilter::default(), 9, Some(4)), event_ids(&[3, 2, 1]));
        assert_eq!(events(EventFilter::default(), 9, Some(50)), []);
        let earned = EventFilter { kind: Some(EventType::PointsEarned), ..EventFilter::default() };
        assert_eq!(events(earned, 1, Some(5)), event_ids(&[4]));
        let none = EventFilter { until: Some(at(0)), ..EventFilter::default() };
        assert_eq!(events(none, 2, None), [], "the walk goes on until the first event, and ends");
    }

    fn a_commit_decided_from_an_old_member_loses(store) {
        store.write(&[order(1, &newcomer(1)).into()]);
        let seen = store.member(1);
        assert_eq!(store.write(&[order(2, &seen).into()]), [Done]);
        assert_eq!(store.write(&[order(3, &seen).into()]), [Conflict]);
        assert_eq!(store.write(&[order(4, &newcomer(1)).into()]), [Conflict]);
        let now = store.member(1);
        assert_eq!((now.version, now.standing.points()), (2, Points(20)));
        let lines = store.look(|c| ledger::list(c, &harvest(), member_id(1), 10, None));
        assert_eq!(lines.len(), 2);
    }

    fn a_commit_decided_from_an_old_order_loses(store) {
        let first = order(1, &newcomer(1));
        store.write(&[first.clone().into()]);
        let mut other = order(2, &newcomer(2));
        other.order = first.order;
        assert_eq!(store.write(&[other.clone().into()]), [Conflict]);
        other.order.as_mut().unwrap().version = 1;
        assert_eq!(store.write(&[other.into()]), [Done]);
    }

    fn an_identity_belongs_to_whoever_came_first(store) {
        let with = |n: u64, identity: Identity| {
            let mut commit = order(n, &newcomer(n));
            commit.new_identities = vec![identity];
            commit.into()
        };
        assert_eq!(store.write(&[with(1, card(1)), with(2, card(1)), with(3, card(3))]), [Done, Conflict, Done]);
        assert_eq!(store.write(&[with(4, card(3))]), [Conflict]);
        assert!(store.look(|c| member::load(c, &harvest(), member_id(2))).is_none());
    }

    fn losers_and_repeats_in_a_group_do_not_harm_the_others(store) {
        store.write(&[order(1, &newcomer(1)).into(), order(2, &newcomer(2)).into()]);
        let (one, two) = (store.member(1), store.member(2));
        let group = [
            order(10, &one).into(),         // holds
            order(2, &two).into(),          // seen before
            order(11, &newcomer(2)).into(), // loses
            order(12, &newcomer(3)).into(), // holds
        ];
        let written = store.write(&group);
        assert!(matches!(&written[..], [Done, crate::store::commit::Written::Duplicate { .. }, Conflict, Done]), "{written:?}");
        assert_eq!(store.member(1).version, 2);
        assert_eq!(store.member(2).version, 1);
        assert_eq!(store.member(3).version, 1);
        assert_eq!(store.look(|c| books::verify(c, Some(&harvest()))), []);
    }

    fn commits_of_one_member_in_one_group_follow_one_another(store) {
        let first = order(1, &newcomer(1));
        let mut then = first.member.clone().unwrap();
        then.version = 1;
        let stale = order(3, &newcomer(1));
        let written = store.write(&[first.into(), order(2, &then).into(), stale.into(), order(4, &newcomer(4)).into()]);
        assert_eq!(written, [Done, Done, Conflict, Done]);
        assert_eq!(store.member(1).version, 2);
    }

    fn a_large_group_is_written_whole(store) {
        let group: Vec<_> = (1..=2_500).map(|n| order(n, &newcomer(n)).into()).collect();
        assert!(store.write(&group).iter().all(|w| *w == Done));
        let page = store.look(|c| member::list(c, &harvest(), 2_000, None));
        let rest = store.look(|c| member::list(c, &harvest(), 2_000, Some(page[1_999].id)));
        assert_eq!((page[0].id, rest.len()), (member_id(2_500), 500));
        assert_eq!(store.look(|c| books::verify(c, Some(&harvest()))), []);
    }

    fn a_failed_transaction_leaves_nothing_and_the_writer_goes_on(store) {
        let mut writer = store.writer().unwrap();
        let mut broken = order(1, &newcomer(1));
        broken.transfers[0].amount = Points(0); // the table refuses it
        let group = [order(2, &newcomer(2)).into(), broken.into()];
        let error = writer.write(&group).unwrap_err();
        assert!(!error.is_unknown_fate(), "{error}");
        assert!(store.look(|c| member::load(c, &harvest(), member_id(2))).is_none());
        assert_eq!(writer.write(&group[..1]).unwrap(), [Done]);
    }

    fn verify_names_the_member_whose_balance_was_tampered_with(store) {
        use diesel::connection::SimpleConnection;
        store.write(&(1..=1_200).map(|n| order(n, &newcomer(n)).into()).collect::<Vec<_>>());
        store.change(|c| chain::insert(c, &crate::store::tests::administration::chain()));
        assert_eq!(store.look(|c| books::verify(c, None)), []);
        store.change(|c| {
            let victim = member_id(700);
            c.batch_execute(&format!("UPDATE transfers SET amount = 11 WHERE member = '{victim}'"))?;
            c.batch_execute(&format!("DELETE FROM members WHERE id = '{}'", member_id(1_100)))?;
            Ok(c.batch_execute(&format!("DELETE FROM transfers WHERE member = '{}'", member_id(1_200)))?)
        });
        let found: Vec<_> = store
            .look(|c| books::verify(c, None))
            .into_iter()
            .filter_map(|finding| match finding.what {
                Wrong::Unbalanced { account, ledger, stored, .. } => {
                    Some((account, ledger.0, stored.map(|stored| stored.0)))
                }
                _ => None,
            })
            .collect();
        assert_eq!(
            found,
            [
                (Account::Member(member_id(700)), 11, Some(10)),
                (Account::Member(member_id(1_200)), 0, Some(10)),
                (Account::Member(member_id(1_100)), 10, None),
            ]
        );
    }

    fn verify_beside_a_server_finds_nothing_wrong(store) {
        use diesel::connection::{Connection, InstrumentationEvent};
        store.change(|c| chain::insert(c, &crate::store::tests::administration::chain()));
        store.write(&[order(1, &newcomer(1)).into()]);
        let (server, mut commit) = (store.clone(), Some(order(2, &store.member(1))));
        let found = store.look(|c| {
            // Written when the members are read already and the sums are not.
            c.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                if let InstrumentationEvent::StartQuery { query, .. } = event
                    && query.to_string().contains("SUM(")
                    && let Some(commit) = commit.take()
                {
                    server.write(&[commit.into()]);
                }
            });
            books::verify(c, None)
        });
        assert_eq!(store.member(1).version, 2, "nothing was written in between");
        assert_eq!(found, []);
    }

    fn a_trail_that_breaks_off_is_never_read_as_a_whole_one(store) {
        use diesel::connection::SimpleConnection;
        store.change(|c| chain::insert(c, &crate::store::tests::administration::chain()));
        store.write(&[order(1, &newcomer(1)).into()]);
        for n in 2..=3 {
            store.write(&[order(n, &store.member(1)).into()]);
        }
        let ids = |n| {
            let commit = order(n, &newcomer(1));
            (commit.transfers[0].id, commit.events[0].id)
        };
        let remove = |n| store.change(|c| {
            let (line, event) = ids(n);
            c.batch_execute(&format!("DELETE FROM transfers WHERE id = '{line}'"))?;
            Ok(c.batch_execute(&format!("DELETE FROM loyalty_events WHERE id = '{event}'"))?)
        });
        let of_member = EventFilter { member: Some(member_id(1)), ..EventFilter::default() };
        let lines = |limit, after| store.read_now(|c| ledger::list(c, &harvest(), member_id(1), limit, after));
        let events = |limit, after| store.read_now(|c| loyalty_event::list(c, &harvest(), &of_member, limit, after));
        let missing = || {
            let found = store.look(|c| books::verify(c, None)).into_iter();
            let missing = found.filter_map(|finding| match finding.what {
                Wrong::Missing { table, id, named_by } => Some((table, id, named_by)),
                _ => None,
            });
            missing.collect::<Vec<_>>()
        };

        remove(2);
        let ((line, event), (newest, newest_event)) = (ids(2), ids(3));
        assert_eq!(lines(1, None).unwrap().len(), 1, "that page is whole");
        assert_eq!(events(1, None).unwrap().len(), 1, "that page is whole");
        for error in [lines(2, None).unwrap_err(), lines(2, Some(newest)).unwrap_err()] {
            assert!(error.to_string().starts_with(&format!("transfers `{line}` is damaged")), "{error}");
        }
        for error in [events(2, None).unwrap_err(), events(2, Some(newest_event)).unwrap_err()] {
            assert!(error.to_string().starts_with(&format!("loyalty_events `{event}` is damaged")), "{error}");
        }
        assert_eq!(missing(), [("transfers", line.to_string(), format!("ledger line {newest}"))]);

        remove(3);
        assert!(lines(1, None).is_err() && events(1, None).is_err());
        let named_by = format!("member {}", member_id(1));
        assert_eq!(missing(), [
            ("loyalty_events", newest_event.to_string(), named_by.clone()),
            ("transfers", newest.to_string(), named_by),
        ]);
    }

    fn a_damaged_member_is_named_and_not_healed(store) {
        use diesel::connection::SimpleConnection;
        store.write(&[order(1, &newcomer(1)).into()]);
        for state in [r#"{"form":1}"#, r#"{"form":9,"standing":{"points":0,"tier":null,"status":"active"},"history":{"days":[],"lifetime_visits":0,"lifetime_spend":0},"identities":[]}"#] {
            store.change(|c| Ok(c.batch_execute(&format!("UPDATE members SET state = '{state}'"))?));
            let error = store.read_now(|c| member::load(c, &harvest(), member_id(1))).unwrap_err();
            assert!(error.to_string().starts_with(&format!("members `{}` is damaged: column state", member_id(1))), "{error}");
        }
    }
}
