use ulid::Ulid;

use super::*;
use crate::domain::source_event::SourceEvent;
use crate::domain::terms::achievement::Unit;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn a_sender_is_rewarded_as_often_as_the_limits_allow() {
    let limits = SenderLimits { total: Some(4), per_period: Some((Unit::Month, 2)) };
    let mut sent = Sent::default();
    let rewarded =
        ["2026-03-01", "2026-03-31", "2026-03-31", "2026-04-01", "2026-05-01", "2026-06-01"].map(|on| {
            let has_room = sent.has_room(&limits, day(on));
            if has_room {
                sent.add(&limits, day(on));
            }
            has_room
        });
    assert_eq!(rewarded, [true, true, false, true, true, false]);
    sent.take_back(&limits, day("2026-03-01"));
    assert_eq!((sent.total, sent.period), (3, Some((day("2026-05-01"), 1))));
    sent.take_back(&limits, day("2026-05-31"));
    assert_eq!((sent.total, sent.period), (2, Some((day("2026-05-01"), 0))));
    assert!(sent.has_room(&SenderLimits::default(), day("2026-06-01")));
}

#[test]
fn the_code_of_a_member_is_always_the_same_and_nobody_elses() {
    let code = |n| ReferralCode::of(MemberId::new(Ulid(n)));
    assert_eq!((code(7), code(7).len()), (code(7), 12));
    let codes: std::collections::HashSet<_> = (0..10_000).map(code).collect();
    assert_eq!(codes.len(), 10_000);
    assert_eq!(code(7).to_lowercase().parse(), Ok(code(7)));
}

#[test]
fn a_follow_up_reads_as_it_was_written() {
    let recruit =
        Recruit { referral: ReferralId::new(Ulid(9)), channel: Some(Name::parse("friend").unwrap()) };
    let now: Timestamp = "2026-03-03T18:30:00.123456Z".parse().unwrap();
    for (turn, key) in [
        (Turn::Approved, "referral:ref_00000000000000000000000009"),
        (Turn::Revoked, "referral:ref_00000000000000000000000009:revoked"),
    ] {
        let event = FollowUp { member: MemberId::new(Ulid(7)), turn, recruit: recruit.clone() }.event(now);
        let read = SourceEvent::parse(event.body.as_bytes(), &"USD".parse().unwrap(), now).unwrap();
        assert_eq!((&read, read.key.as_str()), (&event, key));
    }
}

#[test]
fn what_two_members_brought_is_one_and_comes_apart_again() {
    let of = |total, period: &str, count| Sent { total, period: Some((day(period), count)) };
    let (before, other) = (of(5, "2026-03-01", 2), of(3, "2026-03-01", 1));
    let mut survivor = before;
    survivor.join(other);
    assert_eq!(survivor, of(8, "2026-03-01", 3));
    survivor.part(other);
    assert_eq!(survivor, before);
}
