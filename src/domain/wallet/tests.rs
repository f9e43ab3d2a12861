//! The wallet by tables, and against a heap of single points.

use super::*;
use proptest::prelude::*;

fn day(n: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(n * 86_400_000_000).unwrap()
}

fn lots(wallet: &Wallet) -> Vec<(Option<Timestamp>, i64)> {
    wallet.lots().map(|lot| (lot.expires_at, lot.remaining.0)).collect()
}

#[test]
fn what_expires_soonest_is_spent_first_and_what_never_expires_last() {
    let mut wallet = Wallet::default();
    for (amount, expires) in [(10, None), (20, Some(day(30))), (30, Some(day(10))), (5, Some(day(30)))] {
        wallet.credit(Points(amount), expires).unwrap();
    }
    assert_eq!(lots(&wallet), [(Some(day(10)), 30), (Some(day(30)), 25), (None, 10)]);
    let drawn = wallet.debit(Points(40)).unwrap();
    assert_eq!(lots(&wallet), [(Some(day(30)), 15), (None, 10)]);
    wallet.put_back(&drawn);
    assert_eq!(lots(&wallet), [(Some(day(10)), 30), (Some(day(30)), 25), (None, 10)]);
}

#[test]
fn expiry_takes_its_own_lot_only_and_not_a_moment_early() {
    let mut wallet = Wallet::default();
    wallet.credit(Points(30), Some(day(10))).unwrap();
    wallet.credit(Points(20), Some(day(11))).unwrap();
    assert_eq!(wallet.expire(day(10) - chrono::Duration::microseconds(1)), Points(0));
    assert_eq!(wallet.expire(day(10)), Points(30));
    assert_eq!((wallet.balance(), wallet.next_expiry()), (Points(20), Some((day(11), Points(20)))));
}

#[test]
fn what_one_order_earns_by_many_rules_waits_together_and_ends_as_it_would_have() {
    let mut wallet = Wallet::default();
    let waiting = |origin: &str, until, amount| Waiting {
        amount: Points(amount),
        until,
        earned_at: day(1),
        origin: Key::parse(origin).unwrap(),
    };
    for _ in 0..MAX_PENDING {
        wallet.wait(waiting("o1", Until::At(day(15)), 2)).unwrap();
    }
    wallet.wait(waiting("o1", Until::Confirmed, 3)).unwrap();
    wallet.wait(waiting("o2", Until::At(day(15)), 4)).unwrap();
    let amounts = |wallet: &Wallet| wallet.waiting().iter().map(|held| held.amount.0).collect::<Vec<_>>();
    assert_eq!(amounts(&wallet), [200, 3, 4]);
    assert_eq!(wallet.take_waiting(&Key::parse("o1").unwrap(), Points(201)), Points(201));
    assert_eq!(amounts(&wallet), [2, 4]);
    for n in 2..MAX_PENDING {
        wallet.wait(waiting(&format!("n{n}"), Until::Confirmed, 1)).unwrap();
    }
    let one_more = wallet.wait(waiting("x", Until::Confirmed, 1));
    assert_eq!(one_more, Err(WalletError::TooManyPending));
}

#[test]
fn a_deficit_is_paid_by_what_comes_next() {
    let mut wallet = Wallet::with(Points(10));
    wallet.debit(Points(25)).unwrap();
    assert_eq!((wallet.balance(), lots(&wallet)), (Points(-15), vec![]));
    wallet.credit(Points(10), Some(day(5))).unwrap();
    assert_eq!((wallet.balance(), lots(&wallet)), (Points(-5), vec![]));
    wallet.credit(Points(10), Some(day(6))).unwrap();
    assert_eq!((wallet.balance(), lots(&wallet)), (Points(5), vec![(Some(day(6)), 5)]));
}

#[test]
fn a_balance_beyond_the_limit_is_refused_and_changes_nothing() {
    let mut wallet = Wallet::with(Points(Points::LIMIT));
    assert_eq!(wallet.credit(Points(1), None), Err(WalletError::TooMany));
    let mut poor = Wallet::with(Points(-Points::LIMIT));
    assert_eq!(poor.debit(Points(1)), Err(WalletError::TooMany));
    assert_eq!((wallet.balance(), poor.balance()), (Points(Points::LIMIT), Points(-Points::LIMIT)));
}

#[test]
fn lots_are_bounded_and_joining_them_loses_nothing() {
    let mut wallet = Wallet::default();
    for n in 0..2 * MAX_LOTS as i64 {
        wallet.credit(Points(1), Some(day(n))).unwrap();
    }
    assert_eq!((wallet.lots().count(), wallet.balance()), (MAX_LOTS, Points(2 * MAX_LOTS as i64)));
}

#[test]
fn an_emptied_wallet_has_no_lots_and_keeps_its_deficit() {
    let mut wallet = Wallet::default();
    wallet.credit(Points(10), Some(day(5))).unwrap();
    wallet.credit(Points(5), None).unwrap();
    assert_eq!(wallet.empty(), Points(15));
    assert_eq!((wallet.balance(), lots(&wallet)), (Points(0), vec![]));
    wallet.debit(Points(7)).unwrap();
    assert_eq!((wallet.empty(), wallet.balance()), (Points(0), Points(-7)));
}

#[test]
fn of_two_wallets_joined_the_last_use_counts_and_the_warning_that_both_had() {
    let mut own = Wallet { used_at: Some(day(3)), warned_until: Some(day(9)), ..Wallet::default() };
    let mut other = Wallet { used_at: Some(day(4)), warned_until: Some(day(8)), ..Wallet::default() };
    let mut empty = own.clone();
    empty.join(&other).unwrap();
    assert_eq!((empty.used_at, empty.warned_until), (Some(day(4)), Some(day(9))), "no lot to be warned of");
    other.credit(Points(1), Some(day(9))).unwrap();
    own.join(&other).unwrap();
    assert_eq!((own.used_at, own.warned_until), (Some(day(4)), Some(day(8))));
}

#[test]
fn what_waits_is_bounded_and_joined_with_its_wallet() {
    let waiting = |n: usize| Waiting {
        amount: Points(2),
        until: Until::Confirmed,
        earned_at: day(1),
        origin: Key::parse(&format!("o{n}")).unwrap(),
    };
    let mut full = Wallet::default();
    for n in 0..MAX_PENDING {
        full.wait(waiting(n)).unwrap();
    }
    assert_eq!(full.wait(waiting(MAX_PENDING)), Err(WalletError::TooManyPending));
    assert_eq!(full.pending(), Points(2 * MAX_PENDING as i64));
    let mut one = Wallet::default();
    assert_eq!(one.join(&full), Ok(()));
    assert_eq!((one.pending(), one.join(&full)), (full.pending(), Ok(())), "the same origins wait together");
    let mut other = Wallet::default();
    other.wait(waiting(MAX_PENDING)).unwrap();
    assert_eq!(one.join(&other), Err(WalletError::TooManyPending));
}

#[test]
fn a_debt_that_was_joined_goes_with_whose_it_was() {
    let mut both = Wallet::with(Points(10));
    let mut other = Wallet::default();
    other.debit(Points(4)).unwrap();
    both.join(&other).unwrap();
    assert_eq!(both.balance(), Points(6));
    let back = both.part(&other, Points::ZERO).unwrap();
    assert_eq!((both.balance(), back.balance()), (Points(10), Points(-4)));
}

#[test]
fn wallets_stand_in_the_programs_order() {
    let [points, stars, cash] = ["points", "stars", "cash"].map(|code| Name::parse(code).unwrap());
    let codes = |wallets: &Wallets| wallets.iter().map(|(code, _)| code.to_string()).collect::<Vec<_>>();
    let mut wallets = Wallets::default();
    for code in [&cash, &stars, &points] {
        *wallets.open(code) = Wallet::with(Points(7));
    }
    wallets.arrange([&points, &stars].into_iter());
    assert_eq!(codes(&wallets), ["points", "stars", "cash"]);
    wallets.arrange([&points, &stars].into_iter());
    assert_eq!(codes(&wallets), ["points", "stars", "cash"]);
    let mut few = Wallets::only(stars.clone(), Wallet::with(Points(7)));
    few.arrange([&points, &stars].into_iter());
    assert_eq!((codes(&few), few.points()), (vec!["points".to_owned(), "stars".to_owned()], Points::ZERO));
    assert_eq!(few.get("stars").unwrap().balance(), Points(7));
}

#[derive(Debug, Clone)]
enum Step {
    Credit(i64, Option<i64>),
    Debit(i64),
    Cancel,
    Days(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..500i64, proptest::option::of(0..60i64)).prop_map(|(n, days)| Step::Credit(n, days)),
        (1..900i64).prop_map(Step::Debit),
        Just(Step::Cancel),
        (0..9i64).prop_map(Step::Days),
    ]
}

/// Every point by itself, with when it is gone; a deficit is a number.
#[derive(Default)]
struct Naive {
    points: Vec<i64>,
    deficit: i64,
}

const NEVER: i64 = i64::MAX;

impl Naive {
    fn credit(&mut self, amount: i64, gone: i64) {
        for _ in 0..amount {
            if self.deficit > 0 {
                self.deficit -= 1;
            } else {
                self.points.push(gone);
            }
        }
        self.points.sort_unstable();
    }

    fn debit(&mut self, amount: i64) -> Vec<i64> {
        let taken: Vec<_> = self.points.drain(..(amount as usize).min(self.points.len())).collect();
        self.deficit += amount - taken.len() as i64;
        taken
    }
}

proptest! {
    #[test]
    fn the_wallet_agrees_with_a_heap_of_single_points(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut wallet, mut naive, mut today) = (Wallet::default(), Naive::default(), 0);
        let mut last: (Vec<Lot>, Vec<i64>) = Default::default();
        for step in steps {
            match step {
                Step::Credit(n, days) => {
                    wallet.credit(Points(n), days.map(|days| day(today + days))).unwrap();
                    naive.credit(n, days.map_or(NEVER, |days| today + days));
                }
                Step::Debit(n) => last = (wallet.debit(Points(n)).unwrap(), naive.debit(n)),
                Step::Cancel => {
                    let (drawn, single) = std::mem::take(&mut last);
                    wallet.put_back(&drawn);
                    single.into_iter().for_each(|gone| naive.credit(1, gone));
                }
                Step::Days(days) => today += days,
            }
            let gone = wallet.expire(day(today)).0;
            let before = naive.points.len();
            naive.points.retain(|gone| *gone > today);
            prop_assert_eq!(gone, (before - naive.points.len()) as i64);
            prop_assert_eq!(wallet.balance().0, naive.points.len() as i64 - naive.deficit);
            let mut expanded = Vec::new();
            for lot in wallet.lots() {
                let gone = lot.expires_at.map_or(NEVER, |at| at.timestamp() / 86_400);
                expanded.extend(std::iter::repeat_n(gone, lot.remaining.0 as usize));
            }
            prop_assert_eq!(expanded, naive.points.clone());
        }
    }

    #[test]
    fn what_is_joined_comes_out_again_as_far_as_it_is_still_there(
        own in proptest::collection::vec(step(), 0..20),
        brought in proptest::collection::vec(step(), 0..20),
        spent in 0..900i64,
    ) {
        let fill = |steps: Vec<Step>| {
            let mut wallet = Wallet::default();
            for step in steps {
                match step {
                    Step::Credit(n, days) => wallet.credit(Points(n), days.map(day)).unwrap(),
                    Step::Debit(n) => drop(wallet.debit(Points(n)).unwrap()),
                    Step::Cancel | Step::Days(_) => {}
                }
            }
            wallet
        };
        let (own, brought) = (fill(own), fill(brought));
        let mut both = own.clone();
        both.join(&brought).unwrap();
        prop_assert_eq!(both.balance().0, own.balance().0 + brought.balance().0);
        if own.balance() >= Points::ZERO && brought.balance() >= Points::ZERO {
            let mut unspent = both.clone();
            let back = unspent.part(&brought, Points::ZERO).unwrap();
            prop_assert_eq!(lots(&back), lots(&brought));
            prop_assert_eq!(lots(&unspent), lots(&own));
        }
        both.debit(Points(spent)).unwrap();
        let before = both.balance().0;
        let back = both.part(&brought, Points::ZERO).unwrap();
        prop_assert_eq!(both.balance().0 + back.balance().0, before);
        prop_assert!(back.balance() <= brought.balance().max(Points::ZERO));
        let sum = |wallet: &Wallet| wallet.lots().map(|lot| lot.remaining.0).sum::<i64>();
        prop_assert_eq!((sum(&both), sum(&back)), (both.balance().0.max(0), back.balance().0.max(0)));
    }
}
