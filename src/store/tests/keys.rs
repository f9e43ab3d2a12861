//! API keys: their texts, their end, and who is left to get in.

use std::time::Duration;

use super::on_both;
use super::sample::*;
use crate::domain::Timestamp;
use crate::domain::allowance::RequestsPerMinute;
use crate::domain::api_key::{ApiKey, Dead, FoundKey, KeyHash, MOST_TEXTS, Unchanged, WayIn};
use crate::domain::chain::ChainId;
use crate::domain::ids::KeyId;
use crate::domain::role::Role;
use crate::domain::text::Name;
use crate::store::{Store, key};

const NOBODY_ELSE: WayIn = WayIn::MustStay;

pub(super) fn api_key(n: u64, role: Role, chain: Option<ChainId>) -> ApiKey {
    ApiKey {
        id: KeyId::new(ulid(n)),
        role,
        chain,
        name: Name::parse("tills").ok(),
        created_at: at(0),
        created_by: Name::parse("office").unwrap(),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        requests_per_minute: None,
    }
}

fn hash(n: u8) -> KeyHash {
    KeyHash([n; 32])
}

/// Stores a key with the hash of this number.
fn stored(store: &Store, n: u8, role: Role, chain: Option<ChainId>) -> ApiKey {
    let key = api_key(n.into(), role, chain);
    store.change(|c| key::insert(c, &key, &hash(n)));
    key
}

fn text_until(store: &Store, n: u8) -> Option<Option<Timestamp>> {
    store.look(|c| key::find_by_hash(c, &hash(n))).map(|found| found.text_until)
}

fn expire(store: &Store, key: &ApiKey, expires_at: Option<Timestamp>, way_in: WayIn) -> key::Changed {
    store.change(|c| {
        key::change(c, key.id, way_in, |key| {
            key.expires_at = expires_at;
            Ok(())
        })
    })
}

on_both! {
    fn a_key_is_found_by_its_hash_and_comes_back_as_it_was(store) {
        let new = ApiKey {
            expires_at: Some(at(90)),
            requests_per_minute: Some(RequestsPerMinute::of(600)),
            ..api_key(1, Role::Ingest, Some(harvest()))
        };
        assert!(!store.look(key::any));
        store.change(|c| key::insert(c, &new, &hash(3)));
        assert!(store.look(key::any));
        let found = FoundKey { key: new.clone(), text_until: None };
        assert_eq!(store.look(|c| key::find_by_hash(c, &hash(3))), Some(found));
        assert_eq!(store.look(|c| key::find_by_hash(c, &hash(4))), None);
        assert_eq!(store.look(|c| key::get(c, new.id)), Some(new));
        assert_eq!(store.look(|c| key::get(c, KeyId::new(ulid(2)))), None);
    }

    fn keys_are_listed_page_by_page_newest_first_those_of_a_chain_alone(store) {
        let other: ChainId = "other".parse().unwrap();
        let keys: Vec<_> = (1..=6)
            .map(|n| stored(store, n, Role::Ingest, [None, Some(harvest()), Some(other.clone())][usize::from(n) % 3].clone()))
            .collect();
        let ids = |chain: Option<&ChainId>, limit, after: Option<KeyId>| {
            store.look(|c| key::list(c, chain, limit, after)).into_iter().map(|key| key.id).collect::<Vec<_>>()
        };
        let id = |n: usize| keys[n - 1].id;
        assert_eq!(ids(None, 4, None), [id(6), id(5), id(4), id(3)]);
        assert_eq!(ids(None, 4, Some(id(3))), [id(2), id(1)]);
        assert_eq!(ids(Some(&harvest()), 9, None), [id(4), id(1)]);
        assert_eq!(ids(Some(&harvest()), 9, Some(id(4))), [id(1)]);
    }

    fn a_key_is_revoked_once_and_a_dead_one_is_not_changed(store) {
        let key = stored(store, 1, Role::Ingest, None);
        let revoked = ApiKey { revoked_at: Some(at(5)), ..key.clone() };
        let revoke = |id, seconds| store.change(|c| key::revoke(c, id, at(seconds), NOBODY_ELSE));
        assert_eq!(revoke(key.id, 5), Ok(revoked.clone()));
        assert_eq!(revoke(key.id, 9), Ok(revoked.clone()));
        assert_eq!(store.look(|c| key::get(c, key.id)), Some(revoked));
        assert_eq!(revoke(KeyId::new(ulid(2)), 9), Err(Unchanged::Unknown));
        let refused = store.change(|c| key::change(c, key.id, NOBODY_ELSE, |_| Err(Dead::Revoked)));
        assert_eq!(refused, Err(Unchanged::Dead(Dead::Revoked)));
        let rotated = store.change(|c| key::rotate(c, key.id, &hash(9), at(9), Duration::ZERO));
        assert_eq!(rotated, Err(Unchanged::Dead(Dead::Revoked)));
        assert_eq!((text_until(store, 1), text_until(store, 9)), (Some(None), None));
    }

    fn the_texts_before_the_newest_end_and_none_ends_later_than_it_was_told(store) {
        let key = stored(store, 1, Role::Ingest, None);
        let rotate = |n, now, overlap| {
            store.change(|c| key::rotate(c, key.id, &hash(n), at(now), Duration::from_secs(overlap)))
        };
        assert_eq!(rotate(2, 0, 100), Ok(key.clone()));
        assert_eq!((text_until(store, 1), text_until(store, 2)), (Some(Some(at(100))), Some(None)));
        rotate(3, 10, 1_000).unwrap();
        assert_eq!(text_until(store, 1), Some(Some(at(100))), "as it was told");
        assert_eq!((text_until(store, 2), text_until(store, 3)), (Some(Some(at(1_010))), Some(None)));
        rotate(4, 100, 10).unwrap();
        assert_eq!(text_until(store, 1), None, "it was over");
        assert_eq!((text_until(store, 2), text_until(store, 3)), (Some(Some(at(110))), Some(Some(at(110)))));
        rotate(5, 101, 0).unwrap();
        assert_eq!([2, 3, 4, 5].map(|n| text_until(store, n)), [None, None, None, Some(None)]);
        let again = store.writer().unwrap().run(|c, _| key::rotate(c, key.id, &hash(5), at(102), Duration::from_secs(9)));
        assert!(again.is_err(), "a text opens one key");
    }

    fn a_key_has_so_many_texts_and_no_more(store) {
        let key = stored(store, 1, Role::Ingest, None);
        let most = u8::try_from(MOST_TEXTS).unwrap();
        let rotate = |n, now, overlap| {
            store.change(|c| key::rotate(c, key.id, &hash(n), at(now), Duration::from_secs(overlap)))
        };
        for n in 2..=most {
            rotate(n, 0, 100).unwrap();
        }
        assert_eq!(rotate(99, 0, 100), Err(Unchanged::TooManyTexts));
        assert_eq!(text_until(store, 99), None);
        rotate(99, 100, 100).unwrap();
        rotate(98, 100, 0).unwrap();
    }

    fn the_last_admin_key_of_all_chains_does_not_go(store) {
        let first = stored(store, 1, Role::Admin, None);
        for (n, role, chain) in [(2, Role::Manager, None), (3, Role::Admin, Some(harvest()))] {
            stored(store, n, role, chain);
        }
        let revoke = |key: &ApiKey, way_in| store.change(|c| key::revoke(c, key.id, at(50), way_in));
        assert_eq!(revoke(&first, NOBODY_ELSE), Err(Unchanged::LastAdmin));
        assert_eq!(expire(store, &first, Some(at(60)), NOBODY_ELSE), Err(Unchanged::LastAdmin));
        assert_eq!(store.look(|c| key::get(c, first.id)), Some(first.clone()));
        // One that ends within a day after it is no way in, one that ends later is.
        let second = stored(store, 4, Role::Admin, None);
        let day = 86_400;
        expire(store, &second, Some(at(60 + day)), NOBODY_ELSE).unwrap();
        assert_eq!(expire(store, &first, Some(at(61)), NOBODY_ELSE), Err(Unchanged::LastAdmin));
        expire(store, &first, Some(at(60)), NOBODY_ELSE).unwrap();
        // The second stays for long enough behind one that goes now.
        revoke(&stored(store, 5, Role::Admin, None), NOBODY_ELSE).unwrap();
        expire(store, &first, None, NOBODY_ELSE).unwrap();
        // What has ended takes nothing away by being revoked.
        expire(store, &second, Some(at(50)), NOBODY_ELSE).unwrap();
        revoke(&second, NOBODY_ELSE).unwrap();
        assert_eq!(revoke(&first, NOBODY_ELSE), Err(Unchanged::LastAdmin));
        revoke(&first, WayIn::IsElsewhere).unwrap();
    }

    fn the_last_use_never_goes_back(store) {
        let keys = [1, 2].map(|n| stored(store, n, Role::Ingest, None).id);
        let used = || keys.map(|id| store.look(|c| key::get(c, id)).unwrap().last_used_at);
        store.change(|c| key::note_use(c, &keys, at(60)));
        store.change(|c| key::note_use(c, &keys[..1], at(120)));
        store.change(|c| key::note_use(c, &keys, at(60)));
        assert_eq!(used(), [Some(at(120)), Some(at(60))]);
        // A change of the key leaves it.
        store.change(|c| key::revoke(c, keys[0], at(130), NOBODY_ELSE)).unwrap();
        assert_eq!(used(), [Some(at(120)), Some(at(60))]);
    }
}
