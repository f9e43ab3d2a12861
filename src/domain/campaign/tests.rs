use proptest::prelude::*;

use super::*;
use crate::domain::terms::campaign::Caps;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A campaign that limits what a member has, within every span.
fn campaign() -> CampaignTerms {
    CampaignTerms {
        id: name("c"),
        name: name("C"),
        from: None,
        to: None,
        wallet: None,
        budget: Caps::default(),
        per_member: Caps::of(|_| Some(Points(100))),
    }
}

fn had(allowances: &Allowances, on: &str) -> [i64; 4] {
    Span::ALL.map(|span| allowances.had(&name("c"), span, day(on)))
}

#[test]
fn of_each_span_only_the_current_one_is_kept() {
    let (campaign, mut allowances) = (campaign(), Allowances::default());
    let declared = std::slice::from_ref(&campaign);
    let mut count = |on: &str, points| {
        allowances.count(&campaign, day(on), points, declared);
        had(&allowances, on)
    };
    assert_eq!(count("2026-03-03", 10), [10, 10, 10, 10]);
    assert_eq!(count("2026-03-05", 5), [15, 5, 15, 15]);
    assert_eq!(count("2026-03-09", 1), [16, 1, 1, 16]);
    assert_eq!(count("2026-03-03", 2), [18, 3, 3, 18], "what is late counts for the last ones");
    assert_eq!(count("2026-03-03", -4), [14, 3, 3, 14], "but takes nothing off them");
    assert_eq!(count("2026-04-01", -20), [0, 0, 0, 0]);
    assert_eq!(count("2026-04-01", 3), [3, 3, 3, 3]);
    assert_eq!(serde_json::to_string(&allowances).unwrap().matches("\"n\"").count(), 4);
}

#[test]
fn what_another_version_of_the_program_limits_is_kept() {
    let (other, mut allowances) = (CampaignTerms { id: name("other"), ..campaign() }, Allowances::default());
    allowances.count(&other, day("2026-03-03"), 10, std::slice::from_ref(&other));
    allowances.count(&campaign(), day("2026-03-03"), 10, &[campaign()]);
    let less =
        CampaignTerms { per_member: Caps::of(|span| (span == Span::Day).then_some(Points(5))), ..campaign() };
    allowances.count(&less, day("2026-03-03"), 1, std::slice::from_ref(&less));
    assert_eq!(allowances.had(&name("other"), Span::Total, day("2026-03-03")), 10);
    assert_eq!(had(&allowances, "2026-03-03"), [10, 11, 10, 10]);
}

#[test]
fn of_too_many_campaigns_those_are_forgotten_that_the_program_has_no_more_the_oldest_first() {
    let (declared, mut allowances) = (campaign(), Allowances::default());
    let declared = std::slice::from_ref(&declared);
    allowances.count(&campaign(), day("2026-01-01"), 1, declared);
    let on = |n: usize| day("2026-03-31") - chrono::Days::new(n as u64);
    for n in 0..30 {
        let other = CampaignTerms { id: name(&format!("other{n}")), ..campaign() };
        allowances.count(&other, on(29 - n), 1, declared);
    }
    let kept = |n: usize| allowances.had(&name(&format!("other{n}")), Span::Total, on(0)) == 1;
    assert_eq!((0..30).filter(|n| kept(*n)).collect::<Vec<_>>(), (11..30).collect::<Vec<_>>());
    assert_eq!(allowances.had(&name("c"), Span::Total, on(0)), 1);
}

proptest! {
    #[test]
    fn whoever_parts_again_has_what_they_had(mine in 0..99_i64, theirs in 0..99_i64, then in 0..99_i64) {
        let campaign = campaign();
        let declared = std::slice::from_ref(&campaign);
        let of = |points| {
            let mut allowances = Allowances::default();
            allowances.count(&campaign, day("2026-03-03"), points, declared);
            allowances
        };
        let (mut together, theirs) = (of(mine), of(theirs));
        together.join(&theirs);
        together.count(&campaign, day("2026-03-03"), then, declared);
        together.part(&theirs);
        prop_assert_eq!(together, of(mine + then));
    }
}
