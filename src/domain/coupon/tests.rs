//! Tables for each rejection, and a naive model for all moves in any order.

use proptest::prelude::*;
use ulid::Ulid;

use super::*;
use crate::domain::text::Name;

fn at(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::days(20_000) + Duration::minutes(minutes)
}

fn member(n: u8) -> MemberId {
    MemberId::new(Ulid(n.into()))
}

fn hand(who: u8, minutes: i64) -> Hand {
    Hand {
        key: CouponUsageKey::new(Ulid(minutes.unsigned_abs().into())),
        member: member(who),
        now: at(minutes),
    }
}

fn limit(times: u32) -> Limit {
    i64::from(times).try_into().unwrap_or(Limit::Unlimited)
}

fn book(usage: u32, assign: u32, per_member: u32) -> CouponBook {
    CouponBook {
        key: CouponBookKey::new(Ulid(1)),
        id: None,
        name: Name::parse("Test discount").unwrap(),
        kind: BookType::Generated,
        discount: Discount::Percentage(20.into()),
        valid_from: None,
        valid_to: None,
        limits: Limits {
            usage_limit: limit(usage),
            assign_limit: limit(assign),
            limit_per_member: limit(per_member),
        },
        expires_after: None,
        revert_on: RevertOn::default(),
        details: BookDetails::default(),
    }
}

fn stake() -> Stake {
    let coupon = Coupon::fresh("SUMMER-20".parse().unwrap(), CouponBookKey::new(Ulid(1)), at(0));
    Stake { coupon, holding: Holding::default(), tally: Tally::default() }
}

/// The same coupon as another member sees it, who has nothing of it yet.
fn of_another(stake: &Stake) -> Stake {
    Stake { coupon: stake.coupon.clone(), holding: Holding::default(), tally: Tally::default() }
}

#[test]
fn totals_are_told_before_and_after_as_the_events_webhook_shows_them() {
    let (book, new) = (book(1, 1, 0), stake());
    let (assigned, given) = new.play(&book, hand(1, 1), Move::Assign).unwrap();
    assert_eq!((new.coupon.total_usages, new.coupon.total_assigned), (0, 0));
    assert_eq!((given.amount_used, given.amount_assigned), (0, 1));
    assert_eq!((given.total_usages, given.total_assigned), (0, 1));
    let (used, use_) = assigned.play(&book, hand(1, 2), Move::Use).unwrap();
    assert_eq!((assigned.coupon.total_usages, assigned.coupon.total_assigned), (0, 1));
    assert_eq!((use_.amount_used, use_.amount_assigned, use_.reverts), (1, 1, None));
    assert_eq!((use_.total_usages, use_.total_assigned), (1, 1));
    let (_, back) = used.play(&book, hand(1, 3), Move::Revert(&use_)).unwrap();
    assert_eq!((back.amount_used, back.amount_assigned, back.reverts), (1, 0, Some(use_.key)));
    assert_eq!((back.total_usages, back.total_assigned), (0, 1));
}

#[test]
fn every_rejection_has_its_name() {
    let (a, b) = (1, 2);
    let once = book(1, 1, 0);
    let play = |stake: &Stake, book: &CouponBook, who, minutes, what: Move<'_>| {
        stake.play(book, hand(who, minutes), what).map(|(after, _)| after).map_err(Rejection::code)
    };
    let bounded = CouponBook { valid_from: Some(at(10)), valid_to: Some(at(20)), ..once.clone() };
    for what in [Move::Assign, Move::Use, Move::Reserve { until: at(15) }] {
        assert_eq!(play(&stake(), &bounded, a, 9, what), Err("coupon_not_yet_valid"), "{what:?}");
        assert!(play(&stake(), &bounded, a, 10, what).is_ok(), "{what:?}");
    }
    assert!(play(&stake(), &bounded, a, 19, Move::Use).is_ok());
    assert_eq!(play(&stake(), &bounded, a, 20, Move::Use), Err("coupon_expired"));
    let short = CouponBook { expires_after: Some("15m".parse().unwrap()), ..once.clone() };
    let given = play(&stake(), &short, a, 0, Move::Assign).unwrap();
    assert!(play(&given, &short, a, 14, Move::Use).is_ok());
    assert_eq!(play(&given, &short, a, 15, Move::Use), Err("coupon_expired"));
    let mut own = stake();
    own.coupon.expires_at = Some(at(5));
    assert_eq!(play(&own, &once, a, 5, Move::Use), Err("coupon_expired"));

    let used = play(&stake(), &once, a, 1, Move::Use).unwrap();
    assert_eq!(play(&of_another(&used), &once, b, 2, Move::Use), Err("coupon_exhausted"));
    assert_eq!(play(&of_another(&used), &once, b, 2, Move::Assign), Err("coupon_exhausted"));
    let given = play(&stake(), &once, a, 1, Move::Assign).unwrap();
    assert_eq!(play(&of_another(&given), &once, b, 2, Move::Use), Err("coupon_recipient_does_not_match"));
    assert_eq!(play(&of_another(&given), &once, b, 2, Move::Assign), Err("coupon_assign_limit_reached"));
    let twice = book(0, 0, 2);
    let used = play(&play(&stake(), &twice, a, 1, Move::Use).unwrap(), &twice, a, 2, Move::Use).unwrap();
    assert_eq!(play(&used, &twice, a, 3, Move::Use), Err("coupon_member_limit_reached"));
    assert_eq!(play(&used, &twice, a, 3, Move::Assign), Err("coupon_member_limit_reached"));
    assert!(play(&of_another(&used), &twice, b, 3, Move::Use).is_ok());

    let reserved = play(&stake(), &once, a, 1, Move::Reserve { until: at(10) }).unwrap();
    assert_eq!(play(&of_another(&reserved), &once, b, 9, Move::Use), Err("coupon_reserved"));
    assert!(play(&of_another(&reserved), &once, b, 10, Move::Use).is_ok());
    assert!(play(&reserved, &once, a, 9, Move::Use).is_ok());
    assert_eq!(play(&of_another(&reserved), &once, b, 2, Move::Release), Err("coupon_reservation_missing"));
    assert_eq!(play(&reserved, &once, a, 10, Move::Release), Err("coupon_reservation_missing"));
    let released = play(&reserved, &once, a, 2, Move::Release).unwrap();
    assert!(play(&of_another(&released), &once, b, 3, Move::Use).is_ok());
    for until in [at(1), at(1 + 24 * 60 + 1)] {
        assert_eq!(play(&stake(), &once, a, 1, Move::Reserve { until }), Err("coupon_reservation_length"));
    }

    let (used, use_) = stake().play(&once, hand(a, 1), Move::Use).unwrap();
    assert_eq!(
        play(&of_another(&used), &once, b, 2, Move::Revert(&use_)),
        Err("coupon_recipient_does_not_match")
    );
    let mut elsewhere = use_.clone();
    elsewhere.code = "OTHER".parse().unwrap();
    assert_eq!(play(&used, &once, a, 2, Move::Revert(&elsewhere)), Err("coupon_usage_not_found"));
    let done = Usage { reverted_by: Some(use_.key), ..use_.clone() };
    assert_eq!(play(&used, &once, a, 2, Move::Revert(&done)), Err("coupon_already_reverted"));
    let given = Usage { kind: UsageKind::Assigned, ..use_ };
    assert_eq!(play(&used, &once, a, 2, Move::Revert(&given)), Err("coupon_usage_not_a_use"));

    let given = play(&stake(), &once, a, 1, Move::Assign).unwrap();
    assert_eq!(
        play(&of_another(&given), &once, b, 2, Move::Withdraw),
        Err("coupon_recipient_does_not_match")
    );
    let used = play(&given, &once, a, 2, Move::Use).unwrap();
    assert_eq!(play(&used, &once, a, 3, Move::Withdraw), Err("coupon_used"));
    let withdrawn = play(&given, &once, a, 2, Move::Withdraw).unwrap();
    assert_eq!(play(&withdrawn, &once, a, 3, Move::Use), Err("coupon_recipient_does_not_match"));
    assert_eq!(play(&withdrawn, &once, a, 3, Move::Withdraw), Err("coupon_recipient_does_not_match"));
}

#[test]
fn a_code_that_anybody_may_use_holds_a_bounded_number_of_reservations() {
    let open = book(0, 0, 0);
    let mut shared = stake();
    for n in 0..MOST_RESERVATIONS {
        let hand = Hand { member: MemberId::new(Ulid(n as u128)), ..hand(0, 1) };
        shared = of_another(&shared).play(&open, hand, Move::Reserve { until: at(9) }).unwrap().0;
    }
    let late = hand(255, 1);
    assert_eq!(shared.play(&open, late, Move::Reserve { until: at(9) }).unwrap_err(), Rejection::Reserved);
    let again = Hand { member: MemberId::new(Ulid(3)), ..late };
    assert!(of_another(&shared).play(&open, again, Move::Reserve { until: at(20) }).is_ok());
    assert!(of_another(&shared).play(&open, hand(255, 9), Move::Reserve { until: at(20) }).is_ok());
}

/// The naive model: everything that was ever done, asked anew each time.
#[derive(Default)]
struct Model {
    done: Vec<(u8, Did)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Did {
    Assign,
    Use { key: CouponUsageKey, reverted: bool },
    Reserve { until: i64 },
    Ended,
    Withdraw,
}

impl Model {
    fn count(&self, who: Option<u8>, what: impl Fn(&Did) -> bool) -> u32 {
        self.done.iter().filter(|(by, did)| who.is_none_or(|who| who == *by) && what(did)).count() as u32
    }

    fn uses(&self, who: Option<u8>) -> u32 {
        self.count(who, |did| matches!(did, Did::Use { reverted: false, .. }))
    }

    fn assigned(&self, who: Option<u8>) -> u32 {
        self.count(who, |did| *did == Did::Assign)
    }

    /// What one has of them, less what was taken back.
    fn held(&self, who: u8) -> u32 {
        self.assigned(Some(who)) - self.count(Some(who), |did| *did == Did::Withdraw)
    }

    fn reserved_for(&self, who: u8, now: i64) -> bool {
        let last = self.done.iter().rev().find(|(by, did)| {
            *by == who && matches!(did, Did::Reserve { .. } | Did::Ended | Did::Withdraw | Did::Use { .. })
        });
        matches!(last, Some((_, Did::Reserve { until })) if *until > now)
    }

    fn may_use(&self, who: u8, now: i64, [usage, assign, per_member]: [u32; 3]) -> bool {
        let others = (0..4).filter(|other| *other != who && self.reserved_for(*other, now)).count() as u32;
        let over = |limit: u32, times: u32| limit > 0 && times >= limit;
        let somebody_elses = assign > 0 && self.assigned(None) > 0 && self.held(who) == 0;
        !somebody_elses && !over(usage, self.uses(None) + others) && !over(per_member, self.uses(Some(who)))
    }
}

#[test]
fn what_a_code_is_worth_to_a_member_ends_with_its_last_use_its_expiry_or_its_reservation() {
    let book = CouponBook { expires_after: Some("1h".parse().unwrap()), ..book(2, 0, 0) };
    let after = |stake: &Stake, minutes, what| stake.play(&book, hand(1, minutes), what).unwrap().0;
    let kept = after(&stake(), 0, Move::Reserve { until: at(15) });
    assert_eq!(kept.holding.worth, Worth::Until(at(15)));
    assert_eq!(after(&kept, 5, Move::Release).holding.worth, Worth::Nothing);
    let given = after(&kept, 5, Move::Assign);
    assert_eq!(given.holding.worth, Worth::Until(at(65)));
    let once = after(&given, 6, Move::Use);
    assert_eq!(once.holding.worth, Worth::Until(at(65)), "one use is left");
    let (twice, last) = once.play(&book, hand(1, 7), Move::Use).unwrap();
    assert_eq!(twice.holding.worth, Worth::Nothing);
    assert_eq!(after(&twice, 8, Move::Revert(&last)).holding.worth, Worth::Until(at(65)));
    let mut own = stake();
    own.coupon.expires_at = Some(at(20));
    assert_eq!(after(&own, 0, Move::Assign).holding.worth, Worth::Until(at(20)));
    let lasting = CouponBook { expires_after: None, ..book.clone() };
    assert_eq!(stake().play(&lasting, hand(1, 0), Move::Assign).unwrap().0.holding.worth, Worth::Lasting);
    assert_eq!(after(&given, 6, Move::Withdraw).holding.worth, Worth::Nothing);
}

#[test]
fn a_reservation_is_told_with_its_own_end() {
    let (book, new) = (book(0, 0, 0), stake());
    let (first, _) = new.play(&book, hand(1, 1), Move::Reserve { until: at(10) }).unwrap();
    let before = of_another(&first);
    let (after, usage) = before.play(&book, hand(2, 2), Move::Reserve { until: at(20) }).unwrap();
    let telling = Telling { member: "m-2", cause: Ulid(7), custom_attributes: &Attributes::default() };
    let told = CouponMoved::of(&book, &Played { before, after, usage }, &telling);
    assert_eq!(told.reserved_until, Some(at(20)));
}

#[test]
fn what_is_kept_beside_a_use_or_a_book_has_bounds() {
    let attributes = |n: usize| (0..n).map(|n| format!(r#""a{n}":"x""#)).collect::<Vec<_>>().join(",");
    let of = |n| {
        CouponCommand::use_up(&format!(r#"{{"code":"SUMMER-20","custom_attributes":{{{}}}}}"#, attributes(n)))
    };
    assert_eq!(of(MOST_ENTRIES).unwrap().custom_attributes.len(), MOST_ENTRIES);
    assert_eq!(of(MOST_ENTRIES + 1).unwrap_err().field, "data.custom_attributes");
    let tagged = |n: usize| {
        let mut book = book(1, 1, 0);
        book.details.tags = (0..n).map(|n| Name::parse(&format!("tag {n}")).unwrap()).collect();
        book.checked().map(|book| book.details.tags.len()).map_err(|bad| bad.field)
    };
    assert_eq!((tagged(MOST_ENTRIES), tagged(MOST_ENTRIES + 1)), (Ok(MOST_ENTRIES), Err("tags")));
}

proptest! {
    #[test]
    fn any_moves_in_any_order_agree_with_a_naive_model(
        limits in [0_u32..4, 0_u32..4, 0_u32..4],
        moves in prop::collection::vec((0_u8..4, 0_u8..6, 1_i64..8, any::<prop::sample::Index>()), 1..120),
    ) {
        let [usage, assign, per_member] = limits;
        let book = book(usage, assign, per_member);
        let mut coupon = stake().coupon;
        let mut members = [(Holding::default(), Tally::default()); 4];
        let mut usages: Vec<Usage> = Vec::new();
        let mut model = Model::default();
        let mut now = 1;
        for (who, what, minutes, pick) in moves {
            now += minutes;
            let (holding, tally) = members[usize::from(who)];
            let stake = Stake { coupon: coupon.clone(), holding, tally };
            let target = (!usages.is_empty()).then(|| pick.get(&usages).clone());
            let over = |limit: u32, times: u32| limit > 0 && times >= limit;
            let (what, expected) = match what {
                0 => (Move::Assign, !over(usage, model.uses(None)) && !over(assign, model.assigned(None))
                    && !over(per_member, model.held(who).max(model.uses(Some(who))))),
                1 => (Move::Use, model.may_use(who, now, limits)),
                2 => (Move::Reserve { until: at(now + 10) }, model.may_use(who, now, limits)),
                3 => (Move::Release, model.reserved_for(who, now)),
                4 => (Move::Withdraw, model.held(who) > model.uses(Some(who))),
                _ => {
                    let Some(target) = &target else { continue };
                    let fits = model.done.iter().any(|(by, did)| *by == who
                        && matches!(did, Did::Use { key, reverted: false } if *key == target.key));
                    (Move::Revert(target), fits)
                }
            };
            let outcome = stake.play(&book, hand(who, now), what);
            prop_assert_eq!(outcome.is_ok(), expected, "{:?} by {} at {}: {:?}", what, who, now, outcome);
            let Ok((after, usage)) = outcome else { continue };
            match what {
                Move::Assign => model.done.push((who, Did::Assign)),
                Move::Use => model.done.push((who, Did::Use { key: usage.key, reverted: false })),
                Move::Reserve { .. } => model.done.push((who, Did::Reserve { until: now + 10 })),
                Move::Release => model.done.push((who, Did::Ended)),
                Move::Withdraw => model.done.push((who, Did::Withdraw)),
                Move::Revert(of) => {
                    for (_, did) in &mut model.done {
                        if let Did::Use { key, reverted } = did {
                            *reverted |= *key == of.key;
                        }
                    }
                    let key = of.key;
                    for earlier in usages.iter_mut().filter(|earlier| earlier.key == key) {
                        earlier.reverted_by = Some(usage.key);
                    }
                }
            }
            coupon = after.coupon;
            members[usize::from(who)] = (after.holding, after.tally);
            prop_assert_eq!((coupon.total_usages, coupon.total_assigned), (model.uses(None), model.assigned(None)));
            prop_assert_eq!((usage.total_usages, usage.total_assigned), (coupon.total_usages, coupon.total_assigned));
            prop_assert_eq!(after.tally.used, model.uses(Some(who)));
            usages.push(usage);
            for (who, (holding, tally)) in (0..).zip(members) {
                let stake = Stake { coupon: coupon.clone(), holding, tally };
                for later in [now, now + 4, now + 10] {
                    let has = model.held(who) > 0 || model.reserved_for(who, later);
                    let is_held = stake.is_held(&book, member(who), at(later));
                    prop_assert_eq!(is_held, has && model.may_use(who, later, limits), "{} at {}", who, later);
                    let is_worth = match holding.worth {
                        Worth::Nothing => false,
                        Worth::Until(end) => end > at(later),
                        Worth::Lasting => true,
                    };
                    prop_assert!(is_worth || !is_held, "{:?} is too little for {} at {}", holding, who, later);
                }
            }
        }
    }
}
