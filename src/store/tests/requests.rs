//! Requests that came with a key.

use diesel::prelude::*;

use super::on_both;
use super::sample::*;
use crate::domain::once::{Asked, Reply};
use crate::domain::text::Key;
use crate::store::StoreError;
use crate::store::request::{self, Known};
use crate::store::schema::idempotent_requests;

const DAY: i64 = 24 * 60 * 60;

fn asked(caller: &str, key: &str, body: &str) -> Asked {
    Asked::new(caller.to_owned(), Key::parse(key).unwrap(), "POST /v1/chains", body.as_bytes())
}

fn reply(secret: &str) -> Reply {
    Reply::created("/v1/chains/harvest".to_owned(), &serde_json::json!({ "secret": secret }))
        .tagged(&1.into())
}

on_both! {
    fn a_request_is_answered_as_it_was_to_whoever_sent_it_and_to_nobody_else(store) {
        let (first, secret) = (asked("key_1", "k", "{}"), reply("hunter2"));
        store.change(|c| request::insert(c, store.vault(), &first, &secret, at(0)));
        let find = |asked: &Asked, seconds| store.look(|c| request::find(c, store.vault(), asked, at(seconds)));
        assert_eq!(find(&first, 1), Some(Known::Answered(secret.clone())));
        assert_eq!(find(&asked("key_1", "k", "{ }"), 1), Some(Known::OtherOne));
        assert_eq!(find(&asked("key_2", "k", "{}"), 1), None);
        assert_eq!(find(&asked("key_1", "K", "{}"), 1), None);
        assert_eq!(find(&first, DAY - 1), Some(Known::Answered(secret)));
        assert_eq!(find(&first, DAY), None);
    }

    fn of_two_that_write_under_a_key_one_is_told_so(store) {
        let first = asked("key_1", "k", "{}");
        store.change(|c| request::insert(c, store.vault(), &first, &reply("1"), at(0)));
        let second = |seconds| {
            store.writer().unwrap().run(|c, v| request::insert(c, v, &first, &reply("2"), at(seconds)))
        };
        assert!(matches!(second(DAY - 1), Err(StoreError::Repeated)));
        let find = |seconds| store.look(|c| request::find(c, store.vault(), &first, at(seconds)));
        assert_eq!(find(1), Some(Known::Answered(reply("1"))));
        second(DAY).unwrap();
        assert_eq!(find(DAY), Some(Known::Answered(reply("2"))));
        store.change(|c| request::replace(c, store.vault(), &first, &reply("3"), at(DAY)));
        assert_eq!(find(DAY), Some(Known::Answered(reply("3"))));
    }

    fn what_was_answered_is_not_readable_in_the_database(store) {
        store.change(|c| request::insert(c, store.vault(), &asked("key_1", "k", "{}"), &reply("hunter2"), at(0)));
        let sealed: Vec<u8> = store.look(|c| Ok(idempotent_requests::table.select(idempotent_requests::reply).first(c)?));
        assert!(!sealed.windows(7).any(|bytes| bytes == b"hunter2"));
    }

    fn old_requests_are_forgotten_so_many_at_a_time(store) {
        for n in 0..5 {
            let asked = asked("key_1", &format!("k{n}"), "{}");
            store.change(|c| request::insert(c, store.vault(), &asked, &reply("x"), at(n)));
        }
        let forget = |seconds, limit| store.change(|c| request::forget(c, at(seconds), limit));
        assert_eq!(forget(-1, 2), 0);
        assert_eq!(forget(2, 2), 2);
        assert_eq!(forget(2, 2), 1);
        assert_eq!(forget(2, 2), 0);
        let left = store.look(|c| Ok(idempotent_requests::table.count().get_result::<i64>(c)?));
        assert_eq!(left, 2);
    }
}
