//! Whether the random lives are as full as they should be: what never happens in them is not tested by them.

use std::collections::BTreeMap;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use proptest_state_machine::ReferenceStateMachine;

use super::STEPS;
use super::reference::{Call, Expected, Last, Reference};

const LIVES: usize = 4;
/// What happens in a few lives.
const USUAL: [&str; 36] = [
    "again",
    "cart abandoned",
    "cart.updated done",
    "collector more",
    "collector less",
    "coupons coupon_member_limit_reached",
    "coupons done",
    "enrol done",
    "faithful more",
    "key reused",
    "merge done",
    "merge same_member",
    "order.cancelled done",
    "order.completed done",
    "order.created done",
    "order.refunded done",
    "order.updated done",
    "points done",
    "points insufficient_points",
    "redemptions done",
    "redemptions insufficient_points",
    "redemptions reward_limit_reached",
    "refer already_referred",
    "refer done",
    "refer not_a_new_member",
    "refer self_referral",
    "referral/approve done",
    "referral/approve no_referral",
    "referral/approve referral_not_pending",
    "regular more",
    "restarted",
    "revert done",
    "rewarded for another",
    "unmerge done",
    "unmerge not_merged",
    "use done",
];

#[test]
fn random_lives_have_something_of_everything() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeMap::new();
    for _ in 0..LIVES {
        let life = Reference::sequential_strategy(STEPS).new_tree(&mut runner).unwrap();
        let (mut state, steps, _) = life.current();
        for step in steps {
            let before = state.clone();
            state = Reference::apply(state, &step);
            for happened in what_happened(&before, &state) {
                *seen.entry(happened).or_insert(0) += 1;
            }
        }
    }
    let never: Vec<_> = USUAL.iter().filter(|usual| !seen.contains_key(**usual)).collect();
    assert!(never.is_empty(), "{never:?} of {seen:#?}");
}

fn what_happened(before: &Reference, after: &Reference) -> Vec<String> {
    let mut happened = vec![match &after.last {
        Last::Nothing => "nothing".to_owned(),
        Last::Again(_) => "again".to_owned(),
        Last::KeyReused(_) => "key reused".to_owned(),
        Last::Waited(_) => "waited".to_owned(),
        Last::Restarted => "restarted".to_owned(),
        Last::Sent(_, call, expected, _) => {
            let came = match expected {
                Expected::Done => "done",
                Expected::Refused(code) => code,
            };
            format!("{} {came}", what(call))
        }
    }];
    let all = 0..before.members.len();
    if all.clone().any(|member| after.rewarded(member) > before.rewarded(member)) {
        happened.push("rewarded for another".to_owned());
    }
    if after.abandoned.len() > before.abandoned.len() {
        happened.push("cart abandoned".to_owned());
    }
    let is_about_two = matches!(after.last, Last::Sent(_, Call::Merge(..) | Call::Unmerge(..), ..));
    for (nth, id) in
        super::program::ACHIEVEMENTS.iter().map(|(id, ..)| id).enumerate().filter(|_| !is_about_two)
    {
        for member in all.clone() {
            match after.achievement(member, nth).0.cmp(&before.achievement(member, nth).0) {
                std::cmp::Ordering::Less => happened.push(format!("{id} less")),
                std::cmp::Ordering::Equal => {}
                std::cmp::Ordering::Greater => happened.push(format!("{id} more")),
            }
        }
    }
    happened
}

fn what(call: &Call) -> &str {
    match call {
        Call::Event(event) => event["type"].as_str().unwrap(),
        Call::Command(_, what, _) => what,
        Call::Coupon(_, _, deed, _) => deed.as_str(),
        Call::Redemption(_, step) => step.as_str(),
        Call::Enrol(_) => "enrol",
        Call::Refer(..) => "refer",
        Call::Merge(..) => "merge",
        Call::Unmerge(..) => "unmerge",
    }
}
