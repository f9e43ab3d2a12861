//! Random lives in two worlds: in one, people are merged and told apart again; in the other, never. In the end nobody
//! can tell which world it was.

use proptest::prelude::*;

use super::*;
use crate::domain::wallet::Wallet;

const TERMS: &str = r#"
[[wallets]]
code = "points"

[[wallets]]
code = "stars"
pending = "3 days"

[[rewards]]
id = "mug"
title = "A mug"
type = "physical"
cost = 10
limit_per_member = 1000

[[achievements]]
id = "coffees"
counts = "items"
category = "coffee"
target = 1000
"#;

const RULES: &str = r#"
    rule "Points" on order.completed { award(order.total); award_to(order.total, "stars"); }
    rule "Back" on order.refunded { take_back("refund"); }
"#;

const PEOPLE: u8 = 4;
const ORDERS: u8 = 8;

#[derive(Debug, Clone)]
enum Step {
    /// Something is said of an order that this person names: what, and how many cups it is of.
    Order(u8, &'static str, u32),
    Refund(u8, u32),
    Redeem(u8),
    Redemption(&'static str, prop::sample::Index),
    Merge(u8, u8),
    Unmerge(u8),
    Days(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let said = prop::sample::select(vec![
        "order.created",
        "order.completed",
        "order.completed",
        "order.updated",
        "order.cancelled",
    ]);
    let done = prop::sample::select(vec!["fulfill", "cancel", "cancel"]);
    prop_oneof![
        8 => (0..ORDERS, said, 1_u32..40).prop_map(|(order, said, cups)| Step::Order(order, said, cups)),
        3 => (0..ORDERS, 1_u32..50).prop_map(|(order, amount)| Step::Refund(order, amount)),
        2 => (1..=PEOPLE).prop_map(Step::Redeem),
        2 => (done, any::<prop::sample::Index>()).prop_map(|(step, which)| Step::Redemption(step, which)),
        3 => (1..=PEOPLE, 1..=PEOPLE).prop_map(|(survivor, from)| Step::Merge(survivor, from)),
        2 => (1..=PEOPLE).prop_map(Step::Unmerge),
        1 => (1_i64..3).prop_map(Step::Days),
    ]
}

/// The same life twice.
struct Twins {
    /// Here people are merged.
    merged: World,
    /// Here they never are.
    alone: World,
    /// The redemptions of both.
    redemptions: Vec<[RedemptionId; 2]>,
}

/// Who it is.
fn who(id: MemberId) -> u8 {
    (1..=PEOPLE).find(|who| super::id(*who) == id).unwrap()
}

impl Twins {
    fn new(terms: &str) -> Self {
        let world = || World::with_rules(RULES, terms);
        let mut twins = Self { merged: world(), alone: world(), redemptions: Vec::new() };
        (1..=PEOPLE).for_each(|who| twins.visit(who));
        twins
    }

    fn both(&mut self) -> [&mut World; 2] {
        [&mut self.merged, &mut self.alone]
    }

    fn visit(&mut self, who: u8) {
        for world in self.both() {
            world.send(who, "visit", &json!({})).unwrap();
        }
    }

    /// Something about an order is said by one who names it; in the world without merges by whose it is.
    fn say(&mut self, named: u8, kind: &str, order: &str, data: &Value) {
        let owner = self.merged.orders.get(&Key::parse(order).unwrap()).and_then(|order| order.member);
        let addressee = self.merged.living(match kind {
            "order.created" | "order.completed" => id(named),
            _ => owner.unwrap_or(id(named)),
        });
        let whose = owner.filter(|owner| self.merged.living(*owner) == addressee).unwrap_or(addressee);
        self.merged.send(named, kind, data).unwrap();
        self.alone.send(who(whose), kind, data).unwrap();
    }

    fn perform(&mut self, step: &Step) {
        for world in self.both() {
            world.now += chrono::Duration::seconds(1);
        }
        match step {
            Step::Order(nth, kind, cups) => {
                let order = format!("o{nth}");
                let item = json!({ "name": "x", "category": "coffee", "price": 1, "quantity": cups });
                let data = match *kind {
                    "order.cancelled" => json!({ "order_id": order }),
                    _ => json!({ "order_id": order, "total": cups, "items": [item] }),
                };
                self.say(nth % PEOPLE + 1, kind, &order, &data);
            }
            Step::Refund(nth, amount) => {
                let order = format!("o{nth}");
                let data = json!({ "order_id": order, "amount": amount });
                self.say(nth % PEOPLE + 1, "order.refunded", &order, &data);
            }
            Step::Redeem(named) => {
                let whose = who(self.merged.living(id(*named)));
                // Nobody spends what is somebody else's here.
                if self.alone.points(whose) >= 10 && self.merged.points(whose) >= 10 {
                    let both = self.both().map(|world| world.redeem(whose, "mug"));
                    self.redemptions.push(both);
                }
            }
            Step::Redemption(step, which) if !self.redemptions.is_empty() => {
                let both = self.redemptions[which.index(self.redemptions.len())];
                if self.alone.redemptions[&both[1]].status.is_open() {
                    self.merged.step(step, both[0]);
                    self.alone.step(step, both[1]);
                }
            }
            Step::Redemption(..) => {}
            Step::Merge(survivor, from) => _ = self.merged.merge(*survivor, *from),
            Step::Unmerge(named) => self.unmerge(*named),
            Step::Days(days) => {
                for world in self.both() {
                    world.now += chrono::Duration::days(*days);
                }
            }
        }
    }

    fn unmerge(&mut self, named: u8) {
        if let Some(heir) = self.merged.members[&id(named)].heir() {
            let outcome = self.merged.unmerge(who(self.merged.living(heir)), named);
            assert_eq!(outcome.is_ok(), self.merged.members[&heir].heir().is_none());
        }
    }

    fn part_all(&mut self) {
        while (1..=PEOPLE).any(|who| self.merged.members[&id(who)].heir().is_some()) {
            (1..=PEOPLE).for_each(|who| self.unmerge(who));
        }
        (1..=PEOPLE).for_each(|who| self.visit(who)); // and does what fell due
    }
}

/// What is compared of a member.
fn portrait(world: &World, who: u8) -> String {
    let Member { standing, history, absorbed, .. } = &world.members[&id(who)];
    let wallet = |wallet: &Wallet| (wallet.balance().0, wallet.pending().0);
    let wallets: Vec<_> = standing.wallets.iter().map(|(code, held)| (code, wallet(held))).collect();
    let (mugs, open) = (standing.redemptions.has(&Name::parse("mug").unwrap()), standing.redemptions.open());
    let coffees = &world.program.terms.achievements[0];
    let (goal, today) = (coffees.goal.as_ref().unwrap(), world.now.date_naive());
    let drunk = standing
        .feats
        .get(&coffees.id)
        .map_or_else(Default::default, |feat| feat.progress(goal, history, today));
    let lifetime = history.lifetime();
    format!("{wallets:?} {lifetime:?} {mugs} of {open} {} cups {absorbed:?}", drunk.normalize())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whoever_was_merged_and_told_apart_is_as_if_they_never_were(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut twins = Twins::new(TERMS);
        steps.iter().for_each(|step| twins.perform(step));
        twins.part_all();
        for who in 1..=PEOPLE {
            prop_assert_eq!(portrait(&twins.merged, who), portrait(&twins.alone, who), "{}", who);
        }
    }

    #[test]
    fn whatever_is_spent_of_each_others_points_none_are_made_and_nobody_pays_more_than_they_had(
        steps in prop::collection::vec((step(), prop::option::of((1..=PEOPLE, 1_i64..60))), 1..60),
    ) {
        let (mut twins, mut all_spent) = (Twins::new(TERMS), 0);
        for (step, spent) in &steps {
            twins.perform(step);
            let Some((named, most)) = *spent else { continue };
            let whose = who(twins.merged.living(id(named)));
            let amount = most.min(twins.merged.points(whose));
            if amount > 0 {
                let data = json!({ "amount": -amount, "reason": "x" });
                twins.merged.send(whose, "points.adjust", &data).unwrap();
                all_spent += amount;
            }
        }
        twins.part_all();
        let sum = |world: &World| (1..=PEOPLE).map(|who| world.points(who)).sum::<i64>();
        for who in 1..=PEOPLE {
            let (has, alone) = (twins.merged.points(who), twins.alone.points(who));
            prop_assert!(has <= alone, "{} has {} and would have {}", who, has, alone);
            // Who comes to owe anything has lost it by refunds of what was spent.
            prop_assert!(has >= (alone - all_spent).min(0), "{} has {} and would have {}", who, has, alone);
        }
        prop_assert_eq!(sum(&twins.merged) + all_spent, sum(&twins.alone));
    }

    #[test]
    fn where_points_expire_nobody_has_less_for_having_been_merged(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut twins = Twins::new(&TERMS.replace("\"3 days\"", "\"3 days\"\nexpiry = \"5 days\""));
        steps.iter().for_each(|step| twins.perform(step));
        twins.part_all();
        let stars = |world: &World, who| {
            let held = world.member(who).standing.wallets.get("stars").cloned().unwrap_or_default();
            (held.balance(), held.pending())
        };
        for who in 1..=PEOPLE {
            let (has, alone) = (stars(&twins.merged, who), stars(&twins.alone, who));
            prop_assert!(has.0 >= alone.0, "{} has {:?} and would have {:?}", who, has, alone);
            prop_assert_eq!((twins.merged.points(who), has.1), (twins.alone.points(who), alone.1), "{}", who);
        }
    }
}
