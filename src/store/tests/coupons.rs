//! Coupons in commits: fenced, and written with everything else or not at all.

use diesel::connection::SimpleConnection;

use super::on_both;
use super::sample::*;
use crate::domain::commit::Commit;
use crate::domain::coupon::{Card, Coupon, CouponChanges, CouponCode, Tally, Usage, UsageKind, Wanted};
use crate::domain::ids::{CouponBookKey, CouponUsageKey};
use crate::store::commit::Written::{Conflict, Done};
use crate::store::{DbConn, Store, coupon};

fn book() -> CouponBookKey {
    CouponBookKey::new(ulid(1))
}

fn code(text: &str) -> CouponCode {
    text.parse().unwrap()
}

fn coupon_called(text: &str) -> Coupon {
    Coupon::fresh(code(text), book(), at(0))
}

/// What the store knows of a code for a member.
fn card(store: &Store, text: &str, n: u64) -> Card {
    let wanted = Wanted { codes: [code(text)].into(), ..Wanted::default() };
    let desk = store.look(|c| coupon::lay_out(c, &harvest(), member_id(n), &[], &wanted));
    desk.cards[&code(text)].clone().unwrap()
}

/// The `n`-th commit, by a new member, who also uses this coupon.
fn using(n: u64, mut card: Card) -> Commit {
    card.coupon.total_usages += 1;
    card.holding.used += 1;
    let usage = Usage {
        key: CouponUsageKey::derived(ulid(n), 0),
        code: card.coupon.code.clone(),
        member: member_id(n),
        kind: UsageKind::Used,
        at: at(0),
        amount_used: 1,
        amount_assigned: 0,
        reverts: None,
        reverted_by: None,
        total_usages: card.coupon.total_usages,
        total_assigned: 0,
    };
    let tallies = vec![(book(), Tally { assigned: 0, used: 1 })];
    let coupons = CouponChanges { cards: vec![card], tallies, usages: vec![usage] };
    Commit { coupons, ..order(n, &newcomer(n)) }
}

fn free(conn: &mut DbConn, after: Option<&str>, until: Option<&str>) -> Vec<String> {
    let (after, until) = (after.map(code), until.map(code));
    let found =
        coupon::free_codes(conn, &harvest(), book(), at(0), (after.as_ref(), until.as_ref()), 10).unwrap();
    found.iter().map(ToString::to_string).collect()
}

on_both! {
    fn a_commit_decided_from_an_old_coupon_loses_with_everything_in_it(store) {
        store.change(|c| coupon::add(c, &harvest(), &[coupon_called("ONE")]));
        let seen = card(store, "ONE", 1);
        assert_eq!(store.write(&[using(1, seen.clone()).into()]), [Done]);
        assert_eq!(store.write(&[using(2, seen).into()]), [Conflict]);
        let fresh = Card { coupon: coupon_called("ONE"), holding: Default::default() };
        assert_eq!(store.write(&[using(3, fresh).into()]), [Conflict], "a new coupon whose code is taken");
        assert_eq!((card(store, "ONE", 1).holding.used, card(store, "ONE", 2).holding.used), (1, 0));
        assert_eq!(store.look(|c| coupon::usage(c, &harvest(), CouponUsageKey::derived(ulid(2), 0))), None);
        assert_eq!(store.write(&[using(2, card(store, "ONE", 2)).into()]), [Done]);
        assert_eq!(card(store, "ONE", 2).coupon.total_usages, 2);
    }

    fn two_commits_about_one_coupon_in_one_group_follow_one_another(store) {
        store.change(|c| coupon::add(c, &harvest(), &[coupon_called("ONE"), coupon_called("TWO")]));
        let (one, two) = (card(store, "ONE", 1), card(store, "TWO", 1));
        let group = [using(1, one.clone()).into(), using(2, one).into(), using(3, two).into()];
        assert_eq!(store.write(&group), [Done, Conflict, Done]);
        assert_eq!(card(store, "ONE", 1).coupon.total_usages, 1);
    }

    fn free_codes_are_those_that_nobody_touched(store) {
        let all = ["AAA", "BBB", "CCC", "DDD"].map(coupon_called);
        assert_eq!(store.change(|c| coupon::add(c, &harvest(), &all)), 4);
        assert_eq!(store.change(|c| coupon::add(c, &harvest(), &[coupon_called("AAA"), coupon_called("EEE")])), 1);
        store.write(&[using(1, card(store, "BBB", 1)).into()]);
        store.change(|c| {
            assert_eq!(free(c, None, None), ["AAA", "CCC", "DDD", "EEE"]);
            assert_eq!(free(c, Some("AAA"), Some("DDD")), ["CCC", "DDD"]);
            Ok(())
        });
        let page = store.look(|c| coupon::list(c, &harvest(), book(), 2, Some(&code("AAA"))));
        assert_eq!(page.iter().map(|coupon| &*coupon.code).collect::<Vec<_>>(), ["BBB", "CCC"]);
    }

    fn a_damaged_coupon_is_named_and_not_healed(store) {
        store.change(|c| coupon::add(c, &harvest(), &[coupon_called("ONE")]));
        store.change(|c| Ok(c.batch_execute("UPDATE coupons SET reservations = '{}'")?));
        let error = store.read_now(|c| coupon::get(c, &harvest(), &code("ONE"))).unwrap_err();
        assert!(error.to_string().starts_with("coupons `ONE` is damaged: column reservations"), "{error}");
    }
}
