//! Chains, endpoints, keys, programs, loyalty events in lists.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::on_both;
use super::sample::*;
use crate::domain::chain::Chain;
use crate::domain::churn::ChurnModel;
use crate::domain::endpoint::{EndpointState, Secret, Signatures};
use crate::domain::ids::EventId;
use crate::domain::loyalty_event::EventType;
use crate::domain::publication::{Origin, Publication};
use crate::domain::roll_out::{Audience, Ended, Ending, RollOut, Stage};
use crate::domain::suspension::Suspension;
use crate::domain::text::{Name, Note};
use crate::store::loyalty_event::{self, EventFilter};
use crate::store::schema::churn_models;
use crate::store::vault::Vault;
use crate::store::{
    StoreError, chain as chains, churn, endpoint as endpoints, member, program, roll_out, suspension,
};

pub(super) fn chain() -> Chain {
    Chain {
        id: harvest(),
        name: Name::parse("Harvest").unwrap(),
        timezone: chrono_tz::America::New_York,
        currency: "USD".parse().unwrap(),
        created_at: at(0),
        revision: 1,
    }
}

on_both! {
    fn a_chain_is_created_once_and_renamed(store) {
        store.change(|c| chains::insert(c, &chain()));
        let again = store.writer().unwrap().run(|c, _| chains::insert(c, &chain()));
        assert!(matches!(again, Err(StoreError::Taken { .. })), "{again:?}");
        let renamed = Chain { name: Name::parse("Harvest Bowls").unwrap(), revision: 2, ..chain() };
        store.change(|c| chains::update(c, &renamed));
        assert_eq!(store.look(|c| chains::get(c, &harvest())), Some(renamed.clone()));
        assert_eq!(store.look(chains::list), [renamed]);
    }

    fn an_endpoint_keeps_everything_and_hides_its_credentials(store) {
        let mut stored = endpoint(1);
        stored.description = Some(Note::parse("the CRM").unwrap());
        stored.auth = serde_json::from_str(
            r#"{"type":"oauth2","token_url":"https://id.example/token","client_id":"us","client_secret":"hunter2","scope":"a b"}"#,
        )
        .unwrap();
        stored.keys.sign_with(Signatures::Both, [5; 32]);
        for n in [6, 7] {
            let overlap = std::time::Duration::from_secs(60);
            stored.keys.rotate(Secret::of(&[n; 32]), [n; 32], at(n.into()), overlap).unwrap();
        }
        store.change(|c| endpoints::insert(c, store.vault(), &stored));
        assert_eq!(store.look(|c| endpoints::get(c, store.vault(), &harvest(), stored.id)), Some(stored.clone()));
        stored.description = None;
        stored.state = EndpointState::Disabled { reason: Note::parse("410 Gone").unwrap(), at: at(9) };
        store.change(|c| endpoints::update(c, store.vault(), &stored));
        assert_eq!(store.look(|c| endpoints::list(c, store.vault(), &harvest())), [stored.clone()]);
        stored.state = EndpointState::Enabled;
        store.change(|c| endpoints::update(c, store.vault(), &stored));
        assert_eq!(store.look(|c| endpoints::list(c, store.vault(), &harvest())), [stored]);
        let other = Vault::new([8; 32]);
        let refused = store.read_now(|c| endpoints::list(c, &other, &harvest()));
        assert!(matches!(refused, Err(StoreError::WrongMasterKey { .. })));
    }

    fn program_versions_are_a_line_of_which_the_newest_counts(store) {
        assert_eq!(store.look(|c| program::latest(c, &harvest())), None);
        let version = |version: i64, origin| Publication {
            version,
            hash: [version as u8; 32],
            origin,
            by: Name::parse("office").ok(),
            note: Note::parse("why").ok(),
            at: at(version),
        };
        let plain = Publication { by: None, note: None, ..version(2, Origin::Folder) };
        let all = [version(1, Origin::Api), plain, version(3, Origin::Rollback(1))];
        for publication in &all {
            store.change(|c| program::insert(c, &harvest(), publication, "{}"));
        }
        store.change(|c| program::insert(c, &"other".parse().unwrap(), &version(9, Origin::Folder), "{}"));
        let latest = store.look(|c| program::latest(c, &harvest())).unwrap();
        assert_eq!((&latest.publication, &*latest.files_json), (&all[2], "{}"));
        assert_eq!(store.look(|c| program::get(c, &harvest(), 1)).unwrap().publication, all[0]);
        assert_eq!(store.look(|c| program::get(c, &harvest(), 9)), None);
        assert_eq!(store.look(|c| program::publication(c, &harvest(), 1)), Some(all[0].clone()));
        assert_eq!(store.look(|c| program::before(c, &harvest(), 3)), Some(2));
        assert_eq!(store.look(|c| program::before(c, &harvest(), 1)), None);
        assert_eq!(store.look(|c| program::list(c, &harvest(), None, 2)), [all[2].clone(), all[1].clone()]);
        assert_eq!(store.look(|c| program::list(c, &harvest(), Some(2), 2)), [all[0].clone()]);
        let mut newest = store.look(program::newest);
        newest.sort();
        assert_eq!(newest, [("harvest".to_owned(), 3), ("other".to_owned(), 9)]);
        let again = store.writer().unwrap().run(|c, _| program::insert(c, &harvest(), &version(2, Origin::Api), "{}"));
        assert!(matches!(again, Err(StoreError::Taken { .. })));
    }

    fn a_suspended_rule_comes_back_as_it_was_until_it_runs_again(store) {
        let suspended = |rule: &str, version| Suspension {
            rule: rule.into(),
            at: "earning.rhai:12".into(),
            version,
            since: at(3),
            members: 10,
            failed_at: "earning.rhai:15:22".into(),
            error: "Division by zero".into(),
        };
        let (first, second) = (suspended("Zebra", 2), suspended("Apple", 3));
        let other = "other".parse().unwrap();
        for (chain, row) in [(&harvest(), &second), (&harvest(), &first), (&other, &first)] {
            store.change(|c| suspension::insert(c, chain, row));
        }
        let again = store.writer().unwrap().run(|c, _| suspension::insert(c, &harvest(), &first));
        assert!(matches!(again, Err(StoreError::Taken { .. })));
        assert_eq!(store.look(|c| suspension::list(c, &harvest())), [first.clone(), second.clone()]);
        let all = [("harvest", &first), ("harvest", &second), ("other", &first)];
        assert_eq!(store.look(suspension::all), all.map(|(chain, row)| (chain.to_owned(), row.clone())));
        assert!(store.change(|c| suspension::remove(c, &harvest(), &first)));
        assert!(!store.change(|c| suspension::remove(c, &harvest(), &first)));
        assert_eq!(store.look(|c| suspension::list(c, &harvest())), [second]);
        assert_eq!(store.look(|c| suspension::list(c, &other)).len(), 1);
    }

    fn candidates_are_passed_over_and_one_is_tried_at_a_time(store) {
        let version = |version: i64, origin| {
            Publication { version, hash: [version as u8; 32], origin, by: None, note: None, at: at(version) }
        };
        for publication in [version(1, Origin::Api), version(2, Origin::Candidate)] {
            store.change(|c| program::insert(c, &harvest(), &publication, "{}"));
        }
        let share = |percent: u8| Audience::Share(percent.try_into().unwrap());
        let stage = |n, percent| Stage { at: at(n), by: Name::parse("office").ok(), audience: share(percent) };
        let roll_out = |version| RollOut { version, base: 1, began: stage(2, 10), changes: Vec::new(), ended: None };
        let first = roll_out(2);
        store.change(|c| roll_out::insert(c, &harvest(), &first));
        let standing = store.look(|c| program::standing(c, &harvest()));
        assert_eq!((standing.in_force, standing.candidate, standing.next), (Some(version(1, Origin::Api)), Some(first.clone()), 3));
        assert_eq!(store.look(|c| program::latest(c, &harvest())).unwrap().publication.version, 1);
        assert_eq!(store.look(program::newest), [("harvest".to_owned(), 1)]);
        assert_eq!(store.look(|c| program::before(c, &harvest(), 3)), Some(1));
        let second = store.writer().unwrap().run(|c, _| roll_out::insert(c, &harvest(), &roll_out(3)));
        assert!(matches!(second, Err(StoreError::Taken { .. })));
        store.change(|c| roll_out::insert(c, &"other".parse().unwrap(), &roll_out(9)));

        let grown = RollOut { changes: vec![stage(3, 50)], ..first.clone() };
        assert!(store.change(|c| roll_out::update(c, &harvest(), &first, &grown)));
        assert!(!store.change(|c| roll_out::update(c, &harvest(), &first, &grown)), "it is another one by now");
        assert_eq!(store.look(|c| roll_out::running(c, &harvest())), Some(grown.clone()));
        let ended = Ended { how: Ending::Dropped, at: at(4), by: None };
        let ended = RollOut { ended: Some(ended), ..grown.clone() };
        assert!(store.change(|c| roll_out::update(c, &harvest(), &grown, &ended)));
        assert!(!store.change(|c| roll_out::update(c, &harvest(), &grown, &grown)), "it has ended");
        assert_eq!(store.look(|c| roll_out::get(c, &harvest(), 2)), Some(ended.clone()));
        assert_eq!(store.look(|c| roll_out::running(c, &harvest())), None);
        store.change(|c| roll_out::insert(c, &harvest(), &roll_out(3)));
        assert_eq!(store.look(|c| roll_out::list(c, &harvest(), None, 9)), [roll_out(3), ended]);
        let running: Vec<_> = store.look(roll_out::all_running).into_iter().map(|(chain, found)| (chain, found.version)).collect();
        assert!(running.len() == 2 && running.contains(&("harvest".to_owned(), 3)), "{running:?}");
    }

    fn a_churn_model_comes_back_to_the_bit_and_the_oldest_are_forgotten(store) {
        assert_eq!(store.look(|c| churn::latest(c, &harvest())), None);
        let model = |n| ChurnModel { fitted_at: at(n), log_likelihood: -0.1 - n as f64 / 3.0, ..ChurnModel::example() };
        let other = "other".parse().unwrap();
        store.change(|c| churn::insert(c, &other, &model(0)));
        for n in 1..=churn::KEPT + 2 {
            store.change(|c| churn::insert(c, &harvest(), &model(n)));
        }
        let newest = ChurnModel { members: 7, ..model(churn::KEPT + 2) };
        store.change(|c| churn::insert(c, &harvest(), &newest)); // at the same instant
        let kept = store.look(|c| churn::list(c, &harvest()));
        assert_eq!((kept.len() as i64, kept.first(), kept.last()), (churn::KEPT, Some(&newest), Some(&model(3))));
        assert_eq!(store.look(|c| churn::latest(c, &harvest())), Some(newest));
        let rows = store.look(|c| Ok(churn_models::table.count().get_result::<i64>(c)?));
        assert_eq!((rows, store.look(|c| churn::list(c, &other))), (churn::KEPT + 1, vec![model(0)]));
    }

    fn members_are_counted_and_read_in_pages(store) {
        store.write(&(1..=5).map(|n| order(n, &newcomer(n)).into()).collect::<Vec<_>>());
        assert_eq!(store.look(|c| member::count(c, &harvest())), 5);
        assert_eq!(store.look(|c| member::count(c, &"other".parse().unwrap())), 0);
        let ids = |after| store.look(|c| member::ids(c, &harvest(), after, 2));
        assert_eq!(ids(None), [member_id(1), member_id(2)]);
        assert_eq!(ids(Some(member_id(4))), [member_id(5)]);
        let of = [member_id(2), member_id(4), member_id(9)];
        let histories = store.look(|c| member::histories(c, &harvest(), &of));
        assert_eq!(histories.len(), 2);
        assert!(histories.iter().all(|history| history.as_ref().unwrap().lifetime_visits == 1));
        store.change(|c| Ok(c.batch_execute(&format!("UPDATE members SET state = '{{}}' WHERE id = '{}'", of[0]))?));
        let histories = store.look(|c| member::histories(c, &harvest(), &of));
        assert_eq!(histories.iter().filter(|history| history.is_err()).count(), 1, "one is no matter of the other");
    }

    fn loyalty_events_are_filtered_and_paged(store) {
        store.write(&(1..=6).map(|n| order(n, &newcomer(n)).into()).collect::<Vec<_>>());
        let list = |filter: EventFilter, limit, after| {
            let page = store.look(|c| loyalty_event::list(c, &harvest(), &filter, limit, after));
            page.into_iter().map(|e| e.id).collect::<Vec<_>>()
        };
        let id = |n| EventId::derived(ulid(n), 0);
        assert_eq!(list(EventFilter::default(), 2, None), [id(6), id(5)]);
        assert_eq!(list(EventFilter::default(), 2, Some(id(5))), [id(4), id(3)]);
        assert_eq!(list(EventFilter { member: Some(member_id(3)), ..Default::default() }, 9, None), [id(3)]);
        assert_eq!(list(EventFilter { kind: Some(EventType::TierUpgraded), ..Default::default() }, 9, None), []);
        assert_eq!(list(EventFilter { since: Some(at(1)), ..Default::default() }, 9, None), []);
        assert_eq!(list(EventFilter { since: Some(at(0)), until: Some(at(1)), ..Default::default() }, 9, None).len(), 6);
        let mut early = order(7, &newcomer(7));
        early.events[0].at = at(-5);
        store.write(&[early.into()]);
        assert_eq!(list(EventFilter::default(), 9, Some(id(2))), [id(1), id(7)], "by when they happened");
        assert_eq!(list(EventFilter { until: Some(at(0)), ..Default::default() }, 9, None), [id(7)]);
    }
}
