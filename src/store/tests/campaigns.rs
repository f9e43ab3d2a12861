//! Budgets of campaigns: moved in place, and never beyond what they are.

use super::on_both;
use super::sample::*;
use crate::domain::campaign::{BudgetMove, Pot, Taken, Way};
use crate::domain::commit::Commit;
use crate::domain::money::Points;
use crate::domain::terms::campaign::Span;
use crate::domain::text::Name;
use crate::store::commit::Written::{Conflict, Done};
use crate::store::{Store, campaign};

fn pot() -> Pot {
    Pot { campaign: Name::parse("summer").unwrap(), span: Span::Total, begin: None }
}

/// The `n`-th commit, by a new member, who also moves the budget.
fn moving(n: u64, points: i64, way: Way) -> Commit {
    let budgets = vec![BudgetMove { pot: pot(), points, way }];
    Commit { budgets, ..order(n, &newcomer(n)) }
}

fn taken(store: &Store) -> Taken {
    store.look(|c| campaign::lay_out(c, &harvest(), &[pot()].into())).known[&pot()]
}

on_both! {
    fn a_take_holds_while_there_is_so_much_and_the_others_of_its_group_are_not_harmed(store) {
        let up_to = |most| Way::TakeUpTo(Points(most));
        let group = [moving(1, 60, up_to(99)), moving(2, 40, up_to(99)), moving(3, 39, up_to(99))];
        assert_eq!(store.write(&group.map(Into::into)), [Done, Conflict, Done]);
        assert_eq!(taken(store), Taken { points: 99, told: 0 });
        assert_eq!(store.write(&[moving(4, 1, up_to(99)).into()]), [Conflict]);
        assert_eq!(store.write(&[moving(5, 7, Way::Take).into()]), [Done]);
        assert_eq!(taken(store).points, 106);
    }

    fn the_last_points_are_taken_by_whoever_reaches_the_budget_exactly_and_once_for_each_size_of_it(store) {
        let last = |of| Way::TakeTheLast(Points(of));
        let up_to = |most| Way::TakeUpTo(Points(most));
        let three = [moving(1, 50, up_to(99)), moving(2, 49, last(100)), moving(3, 50, last(100))];
        let written = three.map(|commit| store.write(&[commit.into()]));
        assert_eq!(written.concat(), [Done, Conflict, Done]);
        assert_eq!(taken(store), Taken { points: 100, told: 100 });
        assert_eq!(store.write(&[moving(4, 30, Way::GiveBack).into()]), [Done]);
        let again = [moving(5, 30, last(100)), moving(6, 30, up_to(100)), moving(7, 1, last(101))];
        let written = again.map(|commit| store.write(&[commit.into()]));
        assert_eq!(written.concat(), [Conflict, Done, Done]);
        assert_eq!(taken(store), Taken { points: 101, told: 101 });
    }

    fn a_budget_that_was_not_counted_when_it_gave_has_nothing_to_take_back(store) {
        assert_eq!(store.write(&[moving(1, 30, Way::GiveBack).into()]), [Done]);
        assert_eq!(taken(store), Taken::default());
        assert_eq!(store.write(&[moving(2, 10, Way::Take).into(), moving(3, 30, Way::GiveBack).into()]), [Done, Done]);
        assert_eq!(taken(store).points, 0);
    }
}
