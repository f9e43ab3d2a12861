//! What one member takes over from another, and what goes back.

use proptest::prelude::*;
use rust_decimal::Decimal;
use ulid::Ulid;

use super::*;
use crate::domain::identity::IdentityKind;
use crate::domain::ids::ReferralId;
use crate::domain::profile::Attribute;
use crate::domain::referral::{Referral, ReferralCode, ReferralStatus};
use crate::domain::segment::{Membership, SegmentType};
use crate::domain::terms::achievement::Period;
use crate::domain::terms::tier::Tier;
use crate::domain::text::Note;
use crate::domain::tier::ManualTier;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn id(n: u128) -> MemberId {
    MemberId::new(Ulid(n))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(second, 0).unwrap()
}

/// A member with so many cards. The later one enrolled first.
fn member(n: u8, cards: usize) -> Member {
    let card = |card| Identity::parse(IdentityKind::Card, &format!("{n}-{card}")).unwrap();
    let enrolled_at = at(1_000 - i64::from(n));
    Member::new(id(n.into()), (0..cards).map(card).collect(), None, enrolled_at)
}

/// A member who did a bit of everything.
fn lived(n: u8) -> Member {
    let mut member = member(n, 2);
    let (standing, amount) = (&mut member.standing, i64::from(n) * 10);
    standing.wallets.open(&name("points")).credit(Points(amount), None).unwrap();
    standing.achievements.insert(name("regular"), at(100 - i64::from(n)));
    standing.achievements.insert(name(&format!("only {n}")), at(5));
    let day = "2026-03-02".parse().unwrap();
    for feat in ["tasks", &format!("tasks of {n}")] {
        standing.feats.entry(name(feat)).or_default().count(Period::Lifetime, day, Decimal::from(n));
    }
    for counter in ["coffees", &format!("coffees of {n}")] {
        standing.memo.count(&name(counter), amount).unwrap();
    }
    standing.memo.mark(&name("guest"));
    standing.memo.mark(&name(&format!("guest {n}")));
    member.history.visit(day, amount.to_string().parse().unwrap());
    member.profile.first_name = Some(name(&format!("Ana {n}")));
    member.referring.code = Some(ReferralCode::of(member.id));
    member.referring.sent.total = n.into();
    member.absorbed.add(id(100 + u128::from(n)), &Absorbed::default());
    member
}

fn tiers() -> Tiers {
    let ladder = ["bronze", "silver", "gold"].map(|tier| Tier::plain(name(tier)));
    Tiers { ladder: ladder.into(), ..Tiers::default() }
}

fn absorbed(own: &mut Member, other: &mut Member) -> Result<Vec<Handed>, &'static str> {
    own.absorb(other, &tiers(), at(2_000)).map_err(|refused| refused.code)
}

fn released(own: &mut Member, other: &mut Member) -> Result<Vec<Handed>, &'static str> {
    own.release(other, &mut Tombstones::default(), &tiers()).map_err(|refused| refused.code)
}

fn points(balance: i64) -> Vec<Handed> {
    vec![Handed { wallet: name("points"), balance: Points(balance), pending: Points::ZERO }]
}

#[test]
fn a_member_takes_over_everything_and_can_give_it_back_as_it_was() {
    let (mut own, mut other) = (lived(1), lived(2));
    let before = (own.clone(), other.clone());
    assert_eq!(absorbed(&mut own, &mut other), Ok(points(20)));
    assert_eq!((own.standing.points(), own.identities.len(), own.enrolled_at), (Points(30), 4, at(998)));
    assert_eq!(own.standing.achievements[&name("regular")], at(98), "since the first of the two");
    assert_eq!((own.standing.achievements.len(), own.standing.feats.len()), (3, 3));
    assert_eq!((own.history.lifetime_visits, own.referring.sent.total), (2, 3));
    assert!([1, 2, 101, 102].iter().all(|n| own.answers_for(id(*n))) && !own.answers_for(id(3)));

    let mut tombstone = member(2, 0);
    tombstone.standing.wallets = before.1.standing.wallets.emptied();
    tombstone.ended = other.ended.clone();
    assert_eq!((&other, other.heir(), other.is_erased()), (&tombstone, Some(own.id), false));

    assert_eq!(released(&mut own, &mut other), Ok(points(20)));
    assert_eq!((own, other), before);
}

#[test]
fn what_the_survivor_earned_since_stays_theirs() {
    let (mut own, mut other) = (lived(1), lived(2));
    absorbed(&mut own, &mut other).unwrap();
    own.standing.achievements.insert(name("regular"), at(3_000));
    own.standing.wallets.open(&name("points")).credit(Points(5), None).unwrap();
    released(&mut own, &mut other).unwrap();
    assert_eq!(own.standing.achievements[&name("regular")], at(3_000));
    assert_eq!((own.standing.points(), other.standing.points()), (Points(15), Points(20)));
}

#[test]
fn counters_add_up_marks_come_together_and_what_was_counted_back_does_not_return() {
    let (mut own, mut other) = (lived(1), lived(2));
    absorbed(&mut own, &mut other).unwrap();
    assert!(other.standing.memo.is_empty());
    let memo = &mut own.standing.memo;
    assert_eq!((memo.counter("coffees"), memo.counter("coffees of 2"), memo.marks().len()), (30, 20, 3));
    memo.count(&name("coffees"), -25).unwrap();
    memo.unmark(&name("guest 1"));
    released(&mut own, &mut other).unwrap();
    assert_eq!((own.standing.memo.counter("coffees"), other.standing.memo.counter("coffees")), (0, 5));
    assert_eq!(own.standing.memo.marks(), [name("guest")]);
    assert_eq!(other.standing.memo.marks(), [name("guest"), name("guest 2")]);
}

#[test]
fn what_was_spent_of_theirs_does_not_go_back() {
    let (mut own, mut other) = (lived(1), lived(2));
    absorbed(&mut own, &mut other).unwrap();
    own.absorbed.spend(&name("points"), Points(10), Points(15));
    own.standing.wallets.open(&name("points")).debit(Points(15)).unwrap();
    assert_eq!(own.absorbed.spent(&name("points")), Points(5));
    assert_eq!(released(&mut own, &mut other), Ok(points(15)));
    assert_eq!((own.standing.points(), other.standing.points()), (Points(0), Points(15)));
    assert_eq!((own.absorbed.ids(), other.absorbed.ids()), (&[id(101)][..], &[id(102)][..]));
    assert_eq!(own.absorbed.spent(&name("points")), Points::ZERO);
}

#[test]
fn a_member_absorbs_so_much_and_no_more() {
    for (own, other, expected) in [(16, 16, Ok(vec![])), (16, 17, Err("too_many_identities"))] {
        assert_eq!(absorbed(&mut member(1, own), &mut member(2, other)), expected, "{own} and {other}");
    }
    let with = |n, absorbed: usize| {
        let others = (0..absorbed).map(|k| id(1_000 * u128::from(n) + k as u128));
        let mut member = member(n, 1);
        others.for_each(|id| member.absorbed.add(id, &Absorbed::default()));
        member
    };
    for (own, other, expected) in [(15, 0, Ok(vec![])), (10, 5, Ok(vec![])), (10, 6, Err("too_many_merges"))]
    {
        assert_eq!(absorbed(&mut with(1, own), &mut with(2, other)), expected, "{own} and {other}");
    }
}

#[test]
fn only_who_was_absorbed_by_this_very_member_is_given_back() {
    let (mut own, mut other, mut third) = (lived(1), lived(2), lived(3));
    assert_eq!(released(&mut own, &mut third.clone()), Err("not_merged"));
    absorbed(&mut own, &mut other).unwrap();
    assert_eq!(released(&mut third, &mut other.clone()), Err("not_merged"));
    let mut erased = Member { ended: Some(Ended::Erased(at(1))), ..third };
    assert!(erased.is_erased() && erased.heir().is_none());
    assert_eq!(released(&mut own, &mut erased), Err("not_merged"));
    assert!(released(&mut own, &mut other).is_ok());
}

/// A member who has some of what is no sum, or has it otherwise.
fn one_of_many(n: u8, has: [u8; 8]) -> Member {
    let mut member = member(n, 1);
    member.enrolled_at = at(has[0].into());
    member.referring.code = Some(ReferralCode::of(member.id));
    member.referring.received = (has[1] > 0).then(|| Box::new(received(n)));
    let standing = &mut member.standing;
    standing.tier = Some(name(["bronze", "silver", "gold"][usize::from(has[2] % 3)]));
    standing.footing.warned_of = (has[0] > 0).then(|| at(n.into()));
    if has[3] == 2 {
        let (system, reason) = (standing.tier.take(), Note::parse(&format!("friend {n}")).unwrap());
        standing.manual_tier = Some(ManualTier { system, until: None, reason });
        standing.tier = Some(name("gold"));
    }
    for (nth, has) in has.iter().enumerate().skip(4).take(2).filter(|(_, has)| **has > 0) {
        standing.achievements.insert(name(&format!("done {nth}")), at((*has).into()));
    }
    if has[6] > 0 {
        standing.memo.mark(&name("vip"));
        let since = at(has[6].into());
        standing.segments.insert(name("founders"), Membership { kind: SegmentType::Cohort, since });
    }
    if has[7] > 0 {
        let profile = &mut member.profile;
        profile.first_name = Some(name(&format!("Ana {}", has[7])));
        profile.consents.insert(name("post"), has[7] == 1);
        profile.attributes.insert(name("seat"), Attribute::Flag(has[7] == 2));
    }
    member
}

fn received(n: u8) -> Referral {
    let status = ReferralStatus::Pending;
    let (channel, settled_at, reason, order, brought) = Default::default();
    let (id, sender) = (ReferralId::new(Ulid(n.into())), id(99));
    Referral { id, sender, status, channel, created_at: at(1), settled_at, reason, order, brought }
}

#[test]
fn a_referral_of_ones_own_stays_and_one_that_was_brought_goes_as_it_became() {
    let settled = |member: &mut Member| {
        member.referring.received.as_mut().unwrap().status = ReferralStatus::Approved;
        member.referring.clone()
    };
    let (mut own, mut other) = (one_of_many(1, [1; 8]), one_of_many(2, [1; 8]));
    absorbed(&mut own, &mut other).unwrap();
    let as_it_became = settled(&mut own);
    released(&mut own, &mut other).unwrap();
    assert_eq!((own.referring, other.referring.received), (as_it_became, Some(received(2).into())));

    let (mut own, mut other) = (one_of_many(1, [0; 8]), one_of_many(2, [1; 8]));
    absorbed(&mut own, &mut other).unwrap();
    let as_it_became = settled(&mut own).received;
    released(&mut own, &mut other).unwrap();
    assert_eq!((own.referring.received, other.referring.received), (None, as_it_became));
}

const MANY: usize = 5;

/// Members by number, and who was absorbed by whom.
struct Many {
    members: Vec<Member>,
}

impl Many {
    fn living(&self, n: usize) -> usize {
        let heir = self.members[n].heir();
        heir.map_or(n, |heir| self.living(self.members.iter().position(|one| one.id == heir).unwrap()))
    }

    fn merge(&mut self, own: usize, other: usize) {
        let (own, other) = (self.living(own), self.living(other));
        if let Ok([own, other]) = self.members.get_disjoint_mut([own, other]) {
            absorbed(own, other).unwrap();
        }
    }

    fn unmerge(&mut self, n: usize) {
        let own = self.living(n);
        if self.members[n].heir() != Some(self.members[own].id) {
            return;
        }
        let theirs = self.members[own].absorbed.ids().to_vec();
        let others = self.members.iter().filter(|one| theirs.contains(&one.id)).cloned().collect();
        let mut tombstones = Tombstones::of(others);
        let mut other = tombstones.take(self.members[n].id).unwrap();
        self.members[own].release(&mut other, &mut tombstones, &tiers()).unwrap();
        for changed in tombstones.into_changed().chain([other]) {
            let at = self.members.iter().position(|one| one.id == changed.id).unwrap();
            self.members[at] = changed;
        }
    }
}

proptest! {
    #[test]
    fn who_leaves_leaves_the_survivor_as_if_they_had_never_come(
        has in prop::collection::vec(any::<[u8; 8]>().prop_map(|has| has.map(|has| has % 3)), MANY),
        leaves in 1..MANY,
    ) {
        let members: Vec<_> = (1..).zip(has).map(|(n, has)| one_of_many(n, has)).collect();
        let merged = |without: Option<usize>| {
            let mut many = Many { members: members.clone() };
            (1..MANY).filter(|n| Some(*n) != without).for_each(|n| many.merge(0, n));
            many
        };
        let mut many = merged(None);
        many.unmerge(leaves);
        prop_assert_eq!(&many.members[0], &merged(Some(leaves)).members[0]);
        prop_assert_eq!(&many.members[leaves], &members[leaves]);
    }

    #[test]
    fn in_whatever_order_people_are_merged_and_told_apart_they_are_who_they_were(
        has in prop::collection::vec(any::<[u8; 8]>().prop_map(|has| has.map(|has| has % 3)), MANY),
        steps in prop::collection::vec((0..MANY, prop::option::of(0..MANY)), 1..30),
        at_last in Just((0..MANY).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let members: Vec<_> = (1..).zip(has).map(|(n, has)| one_of_many(n, has)).collect();
        let mut many = Many { members: members.clone() };
        for (n, other) in steps {
            match other {
                Some(other) => many.merge(n, other),
                None => many.unmerge(n),
            }
        }
        for _ in 0..MANY {
            at_last.iter().for_each(|n| many.unmerge(*n));
        }
        for (now, then) in many.members.iter().zip(&members) {
            prop_assert_eq!(now, then);
        }
    }
}
