use proptest::prelude::*;
use ulid::Ulid;

use super::*;

fn share(percent: u8) -> Audience {
    Audience::Share(Share::try_from(percent).unwrap())
}

fn locations<const N: usize>(names: [&str; N]) -> Audience {
    let names: BTreeSet<_> = names.into_iter().map(|name| Name::parse(name).unwrap()).collect();
    Audience::Locations(names.try_into().unwrap())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(second, 0).unwrap()
}

fn member(n: u128) -> MemberId {
    MemberId::new(Ulid(n))
}

/// Members who enrolled one after the other, as far as ids tell.
fn members() -> impl Iterator<Item = MemberId> {
    (0..10_000).map(|n| MemberId::new(Ulid::from_parts(1_700_000_000_000 + n * 977, u128::from(n) << 24)))
}

fn stage(second: i64, audience: Audience) -> Stage {
    Stage { at: at(second), by: None, audience }
}

fn from_second_ten() -> RollOut {
    let (began, changes) = (stage(10, share(1)), vec![stage(20, share(100)), stage(30, locations(["mall"]))]);
    RollOut { version: 7, base: 6, began, changes, ended: None }
}

#[test]
fn a_share_is_about_so_many_of_the_members() {
    for (percent, wanted) in [(1, 100), (10, 1_000), (50, 5_000), (99, 9_900)] {
        let found = members().filter(|member| share(percent).includes(7, *member, None)).count();
        // Four standard deviations of a fair draw.
        let tolerance = (4.0 * (wanted as f64 * (1.0 - f64::from(percent) / 100.0)).sqrt()) as usize;
        assert!(found.abs_diff(wanted) <= tolerance, "{percent} %: {found}");
    }
    assert!(members().all(|member| share(100).includes(7, member, None)));
}

#[test]
fn another_candidate_is_tried_on_other_members() {
    let both = members().filter(|m| [7, 8].iter().all(|version| share(10).includes(*version, *m, None)));
    let both = both.count();
    assert!((50..200).contains(&both), "a tenth of a tenth, not {both}");
}

#[test]
fn who_gets_it_never_changes_between_releases() {
    let among: Vec<_> = (0..60).filter(|n| share(10).includes(7, member(*n), None)).collect();
    assert_eq!(among, [40, 44, 49, 57]);
}

proptest! {
    #[test]
    fn who_is_in_stays_in_while_the_share_grows(id: u128, version in 1_i64.., low in 1_u8..=100, more in 0_u8..100) {
        let high = low.saturating_add(more).min(100);
        let [is_in, stays_in] = [low, high].map(|percent| share(percent).includes(version, member(id), None));
        prop_assert!(!is_in || stays_in);
    }

    #[test]
    fn where_something_happens_does_not_matter_to_a_share_nor_whose_it_is_to_locations(
        id: u128, other: u128, percent in 1_u8..=100
    ) {
        let mall = Name::parse("mall").unwrap();
        let [with, without] = [Some(&mall), None].map(|location| share(percent).includes(7, member(id), location));
        prop_assert_eq!(with, without);
        for id in [id, other] {
            prop_assert!(locations(["mall", "pier"]).includes(7, member(id), Some(&mall)));
            prop_assert!(!locations(["pier"]).includes(7, member(id), Some(&mall)));
            prop_assert!(!locations(["mall"]).includes(7, member(id), None));
        }
    }
}

#[test]
fn what_it_decided_then_is_said_by_its_stage_of_then() {
    let outside = member(1);
    let mall = Name::parse("mall").unwrap();
    let mut roll_out = from_second_ten();
    let decided = |roll_out: &RollOut, second, location| roll_out.decided(at(second), outside, location);
    for (second, nowhere, at_the_mall) in
        [(9, false, false), (10, false, false), (20, true, true), (29, true, true), (30, false, true)]
    {
        assert_eq!(decided(&roll_out, second, None), nowhere, "{second}");
        assert_eq!(decided(&roll_out, second, Some(&mall)), at_the_mall, "{second}");
    }
    assert!(roll_out.decides(outside, Some(&mall)));
    roll_out.ended = Some(Ended { how: Ending::Dropped, at: at(40), by: None });
    assert!(decided(&roll_out, 39, Some(&mall)) && !decided(&roll_out, 40, Some(&mall)));
    assert!(!roll_out.decides(outside, Some(&mall)), "it has ended");
}

#[test]
fn a_share_is_a_whole_number_of_per_cent_and_locations_are_a_few_names() {
    for (text, is_good) in [
        (r#"{"share":1}"#, true),
        (r#"{"share":100}"#, true),
        (r#"{"share":0}"#, false),
        (r#"{"share":101}"#, false),
        (r#"{"share":2.5}"#, false),
        (r#"{"locations":["mall","pier"]}"#, true),
        (r#"{"locations":[]}"#, false),
    ] {
        let read = serde_json::from_str::<Audience>(text);
        assert_eq!(read.is_ok(), is_good, "{text}: {read:?}");
        if let Ok(audience) = read {
            assert_eq!(serde_json::to_string(&audience).unwrap(), text);
        }
    }
}

#[test]
fn it_is_changed_only_so_often() {
    let mut roll_out = RollOut { changes: Vec::new(), ..from_second_ten() };
    let changed = (0..200).filter(|n| roll_out.change(stage(100 + n, share(5)))).count();
    assert_eq!((changed, roll_out.stages().count()), (99, 100));
}
