//! Chains, endpoints, keys, programs, loyalty events in lists.

use super::on_both;
use super::sample::*;
use crate::domain::api_key::{ApiKey, KeyHash};
use crate::domain::chain::Chain;
use crate::domain::endpoint::EndpointState;
use crate::domain::ids::{EventId, KeyId};
use crate::domain::loyalty_event::EventType;
use crate::domain::role::Role;
use crate::domain::text::{Name, Note};
use crate::store::key;
use crate::store::loyalty_event::{self, EventFilter};
use crate::store::vault::Vault;
use crate::store::{StoreError, chain as chains, endpoint as endpoints, program};

pub(super) fn chain() -> Chain {
    Chain {
        id: harvest(),
        name: Name::parse("Harvest").unwrap(),
        timezone: chrono_tz::America::New_York,
        currency: "USD".parse().unwrap(),
        created_at: at(0),
    }
}

on_both! {
    fn a_chain_is_created_once_and_renamed(store) {
        store.change(|c| chains::insert(c, &chain()));
        let again = store.writer().unwrap().run(|c, _| chains::insert(c, &chain()));
        assert!(matches!(again, Err(StoreError::Taken { .. })), "{again:?}");
        let renamed = Chain { name: Name::parse("Harvest Bowls").unwrap(), ..chain() };
        store.change(|c| chains::update(c, &renamed));
        assert_eq!(store.look(|c| chains::get(c, &harvest())), Some(renamed.clone()));
        assert_eq!(store.look(chains::list), [renamed]);
    }

    fn an_endpoint_keeps_everything_and_hides_its_credentials(store) {
        let mut stored = endpoint(1);
        stored.description = Some(Note::parse("the CRM").unwrap());
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

    fn a_key_is_found_by_its_hash_and_revoked_once(store) {
        let new = ApiKey {
            id: KeyId::new(ulid(1)),
            hash: KeyHash([3; 32]),
            role: Role::Ingest,
            chain: Some(harvest()),
            name: Name::parse("tills").ok(),
            created_at: at(0),
            revoked_at: None,
        };
        store.change(|c| key::insert(c, &new));
        assert_eq!(store.look(|c| key::find_by_hash(c, &KeyHash([3; 32]))), Some(new.clone()));
        assert_eq!(store.look(|c| key::find_by_hash(c, &KeyHash([4; 32]))), None);
        let revoked = ApiKey { revoked_at: Some(at(5)), ..new };
        assert_eq!(store.change(|c| key::revoke(c, revoked.id, at(5))), Some(revoked.clone()));
        assert_eq!(store.change(|c| key::revoke(c, revoked.id, at(9))), Some(revoked.clone()));
        assert_eq!(store.look(key::list), [revoked]);
        assert_eq!(store.change(|c| key::revoke(c, KeyId::new(ulid(2)), at(9))), None);
    }

    fn the_newest_program_version_is_the_latest(store) {
        assert_eq!(store.look(|c| program::latest(c, &harvest())), None);
        for version in [1, 2] {
            store.change(|c| program::insert(c, &harvest(), version, &[version as u8; 32], "{}", at(version)));
        }
        let latest = store.look(|c| program::latest(c, &harvest())).unwrap();
        assert_eq!((latest.version, latest.hash, latest.created_at), (2, [2; 32], at(2)));
        let again = store.writer().unwrap().run(|c, _| program::insert(c, &harvest(), 2, &[9; 32], "{}", at(3)));
        assert!(matches!(again, Err(StoreError::Taken { .. })));
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
    }
}
