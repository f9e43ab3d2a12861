//! Random lives under campaigns: whatever comes in whatever order, nothing is given beyond what may be.

use proptest::prelude::*;

use super::*;

/// One thing that happens in a town.
#[derive(Debug, Clone)]
enum Deed {
    Order { who: u128, total: i64 },
    Refund { nth: usize, amount: i64 },
    Cancel { nth: usize },
    Change { nth: usize, total: i64 },
    Wait,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0..3_u128, 0..200_i64).prop_map(|(who, total)| Deed::Order { who, total }),
        1 => (0..20_usize, 0..200_i64).prop_map(|(nth, amount)| Deed::Refund { nth, amount }),
        1 => (0..20_usize).prop_map(|nth| Deed::Cancel { nth }),
        2 => (0..20_usize, 0..200_i64).prop_map(|(nth, total)| Deed::Change { nth, total }),
        1 => Just(Deed::Wait),
    ]
}

fn act(town: &mut Town, orders: &mut Vec<u128>, deed: &Deed) -> Option<Decided> {
    let of = |orders: &[u128], nth: usize| orders.get(nth).map(|who| (*who, format!("o{nth}")));
    Some(match deed {
        Deed::Order { who, total } => {
            orders.push(*who);
            let order = format!("o{}", orders.len() - 1);
            town.order(*who, &order, *total)
        }
        Deed::Refund { nth, amount } => {
            let (who, order) = of(orders, *nth)?;
            town.refund(who, &order, *amount)
        }
        Deed::Cancel { nth } => {
            let (who, order) = of(orders, *nth)?;
            town.send(who, "order.cancelled", &format!(r#""order_id":"{order}""#))
        }
        Deed::Change { nth, total } => {
            let (who, order) = of(orders, *nth)?;
            town.send(who, "order.updated", &format!(r#""order_id":"{order}","total":{total}"#))
        }
        Deed::Wait => {
            town.now += chrono::Duration::hours(13);
            return None;
        }
    })
}

/// Several rules in one campaign, and a group of which one is.
const CROWDED: &str = "rule \"base\" on order.completed { award(order.total); }\n\
    rule \"double\" on order.completed campaign \"c\" { award(order.total); }\n\
    rule \"extra\" on order.completed when order.total > 100 campaign \"c\" { award(40); }\n\
    rule \"big\" on order.completed when order.total > 50 priority 5 group \"g\" campaign \"c\" { award(order.total * 2); }\n\
    rule \"small\" on order.completed group \"g\" { award(10); }\n\
    rule \"back\" on order.refunded { take_back(); }";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn never_is_more_given_than_a_budget_and_what_is_counted_is_what_the_ledger_says(
        deeds in prop::collection::vec(deed(), 1..40), budget in 1..600_i64, day in 1..200_i64, each in 1..300_i64,
    ) {
        let settings = format!("budget = {{ total = {budget}, day = {day} }}\nper_member = {each}");
        let mut town = Town::new(&campaign(&settings), RULES);
        let (mut orders, mut booked, mut by_member, mut told) = (Vec::new(), 0, BTreeMap::new(), 0);
        for deed in &deeds {
            let Some(decided) = act(&mut town, &mut orders, deed) else { continue };
            prop_assert_eq!(&decided.failures, &[]);
            told += usize::from(exhausted(&decided));
            for line in decided.commit.transfers.iter().filter(|line| line.cause.campaign.is_some()) {
                let moved = match (line.debit, line.credit) {
                    (Account::Chain(ChainAccount::Issued), _) => line.amount.0,
                    (_, Account::Chain(ChainAccount::ClawedBack)) => -line.amount.0,
                    odd => panic!("{odd:?}"),
                };
                booked += moved;
                *by_member.entry(line.member).or_insert(0) += moved;
            }
            for moved in &decided.commit.budgets {
                prop_assert!(moved.points > 0);
                let cap = if moved.pot.span == Span::Day { day } else { budget };
                prop_assert!((0..=cap).contains(&town.records.given(&moved.pot)), "{:?}", moved);
            }
            prop_assert_eq!(town.given(), booked);
            prop_assert!((0..=budget).contains(&booked));
            prop_assert!(by_member.values().all(|had| (0..=each).contains(had)), "{:?}", by_member);
        }
        prop_assert!(told <= 1);
    }

    #[test]
    fn an_order_holds_at_most_what_its_rules_ask_for_now_and_loses_nothing_to_other_rules(
        deeds in prop::collection::vec(deed(), 1..40), budget in 1..600_i64, each in 1..300_i64, most in any::<bool>(),
    ) {
        let pick = if most { "most_points" } else { "first" };
        let settings = grouped(pick, &format!("budget = {budget}\nper_member = {each}"));
        let mut town = Town::new(&settings, CROWDED);
        let mut orders = Vec::new();
        for deed in &deeds {
            let Some(decided) = act(&mut town, &mut orders, deed) else { continue };
            prop_assert_eq!(&decided.failures, &[]);
            prop_assert!((0..=budget).contains(&town.given()));
            for nth in 0..orders.len() {
                let record = town.records.order(&Key::parse(&format!("o{nth}")).unwrap()).unwrap();
                if record.phase() != Phase::Completed {
                    continue;
                }
                let total = Points::floor(record.total().unwrap().decimal()).unwrap().0;
                let has = |campaign: Option<&str>| -> i64 {
                    let of_it = record.earned().iter().filter(|earned| earned.campaign.as_deref() == campaign);
                    of_it.map(|earned| earned.earned.0).sum()
                };
                let (plain, limited) = (has(None), has(Some("c")));
                let beside = total + if total > 100 { 40 } else { 0 };
                let big = if total > 50 { total * 2 } else { 0 };
                prop_assert!([total, total + 10].contains(&plain), "order of {}: {:?}", total, record.earned());
                let most = beside + if plain == total { big } else { 0 };
                prop_assert!((0..=most).contains(&limited), "order of {}: {:?}", total, record.earned());
                prop_assert!(total > 50 || plain == total + 10);
            }
        }
    }

    #[test]
    fn without_refunds_a_campaign_gives_what_is_wanted_or_its_whole_budget(
        wanted in prop::collection::vec((0..4_u128, 0..200_i64), 1..30), budget in 1..2_000_i64,
    ) {
        let mut town = Town::new(&campaign(&format!("budget = {budget}")), RULES);
        for (n, (who, total)) in wanted.iter().enumerate() {
            town.order(*who, &format!("o{n}"), *total);
        }
        let sum: i64 = wanted.iter().map(|(_, total)| total).sum();
        prop_assert_eq!(town.given(), budget.min(sum));
        prop_assert_eq!(town.members.keys().map(|who| town.points(*who)).sum::<i64>(), sum + budget.min(sum));
    }
}
