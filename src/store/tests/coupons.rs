//! Coupons in commits: fenced, and written with everything else or not at all.

use diesel::connection::SimpleConnection;

use super::on_both;
use super::sample::*;
use crate::domain::commit::Commit;
use crate::domain::coupon::{
    Card, Coupon, CouponChanges, CouponCode, Holding, MOST_HELD, Tally, Usage, UsageKind, Wanted, Worth,
};
use crate::domain::ids::{CouponBookKey, CouponUsageKey};
use crate::domain::member::Member;
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

/// A new coupon that is worth so much to somebody.
fn having(text: &str, worth: Worth) -> Card {
    Card { coupon: coupon_called(text), holding: Holding { assigned: 1, worth, ..Holding::default() } }
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

    fn what_a_member_has_of_a_book_is_what_is_still_worth_something_the_most_lasting_first(store) {
        let worths = [
            ("OVER", Worth::Until(at(10))),
            ("SOON", Worth::Until(at(11))),
            ("NOTHING", Worth::Nothing),
            ("LASTING", Worth::Lasting),
            ("LATER", Worth::Until(at(20))),
        ];
        let cards = worths.map(|(code, worth)| having(code, worth));
        let other = CouponBookKey::new(ulid(2));
        let elsewhere = Card { coupon: Coupon { book: other, ..coupon_called("OTHER") }, ..having("OTHER", Worth::Lasting) };
        let coupons = CouponChanges { cards: cards.into_iter().chain([elsewhere]).collect(), ..Default::default() };
        store.write(&[Commit { coupons, ..order(1, &newcomer(1)) }.into()]);
        store.write(&[Commit { coupons: CouponChanges { cards: vec![having("BENS", Worth::Lasting)], ..Default::default() }, ..order(2, &newcomer(2)) }.into()]);
        let held = |store: &Store, n| {
            let held = store.look(|c| coupon::held(c, &harvest(), member_id(n), book(), at(10)));
            held.iter().map(|card| card.coupon.code.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(held(store, 1), ["LASTING", "LATER", "SOON"]);
        assert_eq!(held(store, 2), ["BENS"]);
        let wanted = Wanted { held: [(book(), at(10)), (other, at(0))].into(), ..Wanted::default() };
        let desk = store.look(|c| coupon::lay_out(c, &harvest(), member_id(1), &[], &wanted));
        let codes: Vec<_> = desk.cards.keys().map(|code| &**code).collect();
        assert_eq!((codes, desk.held, desk.shelves.len()), (vec!["LASTING", "LATER", "OTHER", "SOON"], [book(), other].into(), 2));
    }

    fn what_a_code_is_worth_to_a_member_is_written_anew_with_every_move(store) {
        let held = |store: &Store| {
            store.look(|c| coupon::held(c, &harvest(), member_id(1), book(), at(10))).pop().map(|card| card.holding.worth)
        };
        let mut member = newcomer(1);
        let worths = [Worth::Nothing, Worth::Lasting, Worth::Until(at(20)), Worth::Nothing];
        for (n, worth) in (0..).zip(worths) {
            let mut card = having("ONE", worth);
            card.coupon.version = n;
            let coupons = CouponChanges { cards: vec![card], ..Default::default() };
            let commit = Commit { coupons, ..order(1 + n as u64, &member) };
            member = Member { version: member.version + 1, ..Member::clone(commit.member.as_ref().unwrap()) };
            assert_eq!(store.write(&[commit.into()]), [Done]);
            assert_eq!(held(store), Some(worth).filter(|worth| *worth != Worth::Nothing));
        }
    }

    fn no_more_of_a_book_is_laid_out_than_is_counted(store) {
        let cards = (0..MOST_HELD + 20).map(|n| having(&format!("CODE-{n}"), Worth::Lasting)).collect();
        let coupons = CouponChanges { cards, ..Default::default() };
        store.write(&[Commit { coupons, ..order(1, &newcomer(1)) }.into()]);
        let held = store.look(|c| coupon::held(c, &harvest(), member_id(1), book(), at(10)));
        assert_eq!(held.len(), MOST_HELD);
    }

    fn a_damaged_coupon_is_named_and_not_healed(store) {
        store.change(|c| coupon::add(c, &harvest(), &[coupon_called("ONE")]));
        store.change(|c| Ok(c.batch_execute("UPDATE coupons SET reservations = '{}'")?));
        let error = store.read_now(|c| coupon::get(c, &harvest(), &code("ONE"))).unwrap_err();
        assert!(error.to_string().starts_with("coupons `ONE` is damaged: column reservations"), "{error}");
    }
}
