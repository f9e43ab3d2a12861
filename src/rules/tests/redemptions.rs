//! Rewards redeemed, handed over, and given back.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::decide::Undecided;
use crate::domain::ids::RedemptionId;
use crate::domain::ledger::Account;
use crate::domain::money::Points;
use crate::domain::redemption::{self, MAX_OPEN, Redemption, RedemptionStatus, StockWay};
use crate::domain::refusal::Refused;
use crate::domain::text::Name;

const RULES: &str = r#"rule "Points" on order.completed { award(order.total); }"#;

const REWARDS: &str = r#"
[[wallets]]
code = "points"
expiry = "10 days"

[[rewards]]
id = "coffee"
title = "A coffee"
type = "digital"
cost = 10
expires_after_days = 4

[[rewards]]
id = "mug"
title = "A mug"
type = "physical"
cost = 25
stock = 3
limit_per_member = 2
expires_after_days = 30
auto_approve = false
"#;

/// A life with redemptions, and a store for them.
struct Counter {
    life: Life,
    store: BTreeMap<RedemptionId, Redemption>,
    taken: u32,
    /// What the ledger says the member has.
    booked: i64,
}

impl Counter {
    fn open(terms: &str) -> Self {
        Self::under(RULES, terms)
    }

    fn under(rules: &str, terms: &str) -> Self {
        let mut sources = sources(rules);
        let manifest = sources.files.iter_mut().find(|(name, _)| name == "program.toml").unwrap();
        if terms.contains("[[achievements]]") {
            manifest.1 = manifest.1.replace("achievements = [\"regular\"]\n", "");
        }
        manifest.1.push_str(terms);
        let program = Program::load(&sources, &chain(), 1).unwrap_or_else(|problems| panic!("{problems:#?}"));
        Self { life: Life::new(program), store: BTreeMap::new(), taken: 0, booked: 0 }
    }

    fn keep(&mut self, commit: &Commit) -> Vec<&'static str> {
        self.store.extend(commit.redemptions.made.iter().map(|made| (made.id, made.clone())));
        for moved in &commit.redemptions.stock {
            match moved.way {
                StockWay::Take { of } => {
                    assert!(self.taken < of);
                    self.taken += 1;
                }
                StockWay::GiveBack => self.taken -= 1,
            }
        }
        for line in &commit.transfers {
            for (account, sign) in [(line.credit, 1), (line.debit, -1)] {
                if matches!(account, Account::Member(_)) {
                    self.booked += sign * line.amount.0;
                }
            }
        }
        commit.events.iter().map(|event| event.kind().as_str()).collect()
    }

    fn lay_out(&self, wanted: &redemption::Wanted, desk: &mut redemption::Desk) {
        for id in wanted.carried.union(&wanted.named) {
            desk.known.insert(*id, self.store.get(id).cloned());
        }
        desk.taken.extend(wanted.stock.iter().map(|reward| (reward.clone(), self.taken)));
    }

    fn decide(&mut self, occasion: Occasion) -> Result<Vec<&'static str>, Refused> {
        let mut case = self.life.case(occasion, None);
        let commit = loop {
            match decide(&self.life.program, &self.life.chain.id, &[], case.clone()) {
                Ok(commit) => break commit,
                Err(Undecided::Refused(refused)) => return Err(refused),
                Err(Undecided::Lacks(wanted)) => {
                    self.lay_out(&wanted.redemptions, &mut case.desk.redemptions);
                }
            }
        };
        self.life.keep(&commit);
        Ok(self.keep(&commit))
    }

    fn send(&mut self, kind: &str, data: &str) -> Result<Vec<&'static str>, Refused> {
        self.life.events += 1;
        let n = self.life.events;
        let body = format!(r#"{{"key":"k{n}","type":"{kind}","data":{data}}}"#);
        let event = SourceEvent::parse(body.as_bytes(), &self.life.chain.currency, self.life.now).unwrap();
        let id = SourceId::new(Ulid(n << 64));
        let from = SourceOrigin::Outside;
        let input = SourceInput { id, event: Arc::new(event), received_at: self.life.now, from };
        self.decide(Occasion::Source(input))
    }

    fn order(&mut self, total: i64) -> Vec<&'static str> {
        let n = self.life.events;
        self.send("order.completed", &format!(r#"{{"order_id":"o{n}","total":{total}}}"#)).unwrap()
    }

    fn redeem(&mut self, reward: &str) -> Result<RedemptionId, &'static str> {
        let told = self.send("redemption.create", &format!(r#"{{"reward":"{reward}"}}"#));
        told.map_err(|refused| refused.code)?;
        Ok(*self.store.keys().next_back().unwrap())
    }

    fn step(&mut self, step: &str, id: RedemptionId) -> Result<Vec<&'static str>, &'static str> {
        let told = self.send(&format!("redemption.{step}"), &format!(r#"{{"redemption":"{id}"}}"#));
        told.map_err(|refused| refused.code)
    }

    fn wake(&mut self) -> Vec<&'static str> {
        self.life.events += 1;
        let id = Ulid(self.life.events << 64);
        self.decide(Occasion::Due { id }).unwrap()
    }

    fn points(&self) -> i64 {
        self.life.member.standing.points().0
    }

    fn lots(&self) -> Vec<(String, i64)> {
        let wallet = self.life.member.standing.wallets.get("points").unwrap();
        wallet.lots().map(|lot| (lot.expires_at.unwrap().to_string(), lot.remaining.0)).collect()
    }
}

#[test]
fn a_reward_that_needs_no_approval_is_approved_at_once_and_then_fulfilled() {
    let mut counter = Counter::open(REWARDS);
    counter.order(30);
    let told = counter.send("redemption.create", r#"{"reward":"coffee"}"#).unwrap();
    assert_eq!(told, ["redemption.created", "points.redeemed", "redemption.approved"]);
    let id = *counter.store.keys().next().unwrap();
    assert_eq!((counter.points(), counter.step("approve", id)), (20, Err("redemption_not_pending")));
    assert_eq!(counter.step("fulfill", id).unwrap(), ["redemption.fulfilled"]);
    assert_eq!(counter.step("cancel", id), Err("redemption_not_open"));
    assert_eq!((counter.points(), counter.life.member.standing.redemptions.open()), (20, 0));
}

#[test]
fn a_rule_gives_a_reward_for_nothing_and_its_stock_and_limit_count() {
    let rules = "rule \"Points\" on order.completed { award(order.total); }\n\
                 rule \"A mug\" on order.completed when order.total >= 50 { give_reward(\"mug\"); give_reward(\"coffee\"); }";
    let mut counter = Counter::under(rules, REWARDS);
    let told = counter.order(50);
    let given = ["redemption.created", "redemption.pending", "redemption.created", "redemption.approved"];
    assert_eq!(told[told.len() - 4..], given, "{told:?}");
    assert_eq!((counter.points(), counter.taken, counter.store.len()), (50, 1, 2));
    assert!(counter.store.values().all(|made| made.points_spent == Points::ZERO && made.drawn.is_empty()));
    let mug = counter.store.values().find(|made| &*made.reward.id == "mug").unwrap().id;
    assert_eq!(counter.step("reject", mug).unwrap(), ["redemption.rejected"], "no points come back");
    assert_eq!((counter.points(), counter.taken), (50, 0));
    counter.order(50);
    counter.order(60);
    assert_eq!((counter.taken, counter.life.member.standing.redemptions.open()), (2, 5));
    let told = counter.order(70);
    assert!(!told.contains(&"redemption.created"), "a member may have two: {told:?}");
    assert_eq!(counter.points(), 230, "the other rule stands");
}

#[test]
fn a_reward_goes_with_the_achievement_that_brought_it_unless_the_guest_has_it() {
    let rules = "rule \"Thanks\" on achievement.earned { give_reward(\"mug\"); }";
    let achievement = "[[achievements]]\nid = \"each\"\ncounts = \"orders\"\ntarget = 1\nrecurrence = \"each_time\"\nrevoke_on_refund = true\n";
    let mut counter = Counter::under(rules, &format!("{REWARDS}{achievement}"));
    counter.order(10);
    assert_eq!(counter.taken, 1);
    let told = counter.send("order.refunded", r#"{"order_id":"o0","amount":10}"#).unwrap();
    assert!(told.contains(&"redemption.cancelled"), "{told:?}");
    assert_eq!((counter.taken, counter.life.member.standing.redemptions.open()), (0, 0));

    counter.order(10);
    let given = *counter.store.keys().next_back().unwrap();
    counter.step("approve", given).unwrap();
    counter.step("fulfill", given).unwrap();
    let order = counter.life.events - 3;
    let refund = format!(r#"{{"order_id":"o{order}","amount":10}}"#);
    let told = counter.send("order.refunded", &refund).unwrap();
    assert!(told.contains(&"achievement.revoked") && !told.contains(&"redemption.cancelled"), "{told:?}");
    assert_eq!(counter.store[&given].status, RedemptionStatus::Fulfilled);
}

#[test]
fn a_rule_that_gives_what_is_not_left_fails_and_says_so() {
    let mut counter = Counter::under("rule \"A mug\" on visit { give_reward(\"mug\"); }", REWARDS);
    counter.taken = 3;
    let mut case = counter.life.case(
        Occasion::Source(SourceInput {
            id: SourceId::new(Ulid(1 << 64)),
            event: Arc::new(
                SourceEvent::parse(
                    br#"{"key":"v","type":"visit"}"#,
                    &counter.life.chain.currency,
                    counter.life.now,
                )
                .unwrap(),
            ),
            received_at: counter.life.now,
            from: SourceOrigin::Outside,
        }),
        None,
    );
    case.desk.redemptions.taken.insert(Name::parse("mug").unwrap(), 3);
    let commit = decide(&counter.life.program, &counter.life.chain.id, &[], case).unwrap();
    let failed = &receipt(&commit)["errors"][0];
    assert_eq!(failed["rule"], "A mug");
    assert!(failed["error"].as_str().unwrap().contains("nothing is left of `mug`"), "{failed}");
}

#[test]
fn what_is_rejected_or_cancelled_goes_back_to_the_lots_it_came_from() {
    let mut counter = Counter::open(REWARDS);
    counter.order(20);
    counter.life.now = at("2026-03-05T19:00:00Z");
    counter.order(40);
    let before = counter.lots();
    assert_eq!(before.len(), 2);
    for steps in [&["reject"][..], &["cancel"], &["approve", "cancel"]] {
        let id = counter.redeem("mug").unwrap();
        assert_eq!((counter.points(), counter.taken, counter.lots().len()), (35, 1, 1));
        let told: Vec<_> = steps.iter().flat_map(|step| counter.step(step, id).unwrap()).collect();
        assert_eq!(told.last(), Some(&"points.returned"), "{told:?}");
        assert_eq!((counter.lots(), counter.taken), (before.clone(), 0));
    }
}

#[test]
fn what_has_expired_meanwhile_expires_again_when_it_is_given_back() {
    let mut counter = Counter::open(REWARDS);
    counter.order(25);
    let id = counter.redeem("mug").unwrap();
    counter.life.now = at("2026-03-20T19:00:00Z");
    counter.order(7);
    let told = counter.step("cancel", id).unwrap();
    assert_eq!(told, ["redemption.cancelled", "points.returned", "points.expired"]);
    assert_eq!(counter.points(), 7);
}

#[test]
fn what_is_not_fulfilled_in_time_gives_the_points_back_by_itself() {
    let mut counter = Counter::open(REWARDS);
    counter.order(10);
    let id = counter.redeem("coffee").unwrap();
    let deadline = counter.life.member.standing.redemptions.next_expiry().unwrap();
    assert!(counter.life.member.next_wake_at.unwrap() <= deadline);
    assert_eq!(deadline, counter.life.now + chrono::Duration::days(4));
    counter.life.now = deadline;
    assert_eq!(counter.wake(), ["redemption.expired", "points.returned"]);
    assert_eq!((counter.points(), counter.store[&id].status), (10, RedemptionStatus::Expired));
    assert_eq!(counter.step("fulfill", id), Err("redemption_not_approved"));
    assert!(counter.life.member.next_wake_at.unwrap() > deadline);
}

#[test]
fn what_cannot_be_redeemed_is_refused_by_name_and_changes_nothing() {
    let mut counter = Counter::open(REWARDS);
    counter.order(24);
    assert_eq!(counter.redeem("mug"), Err("insufficient_points"));
    assert_eq!(counter.redeem("mgu"), Err("unknown_reward"));
    counter.order(300);
    counter.taken = 3;
    assert_eq!(counter.redeem("mug"), Err("out_of_stock"));
    counter.taken = 0;
    let first = counter.redeem("mug").unwrap();
    counter.redeem("mug").unwrap();
    assert_eq!(counter.redeem("mug"), Err("reward_limit_reached"));
    counter.step("reject", first).unwrap();
    counter.redeem("mug").unwrap();
    let nobodys = RedemptionId::new(Ulid(9));
    assert_eq!(counter.step("approve", nobodys), Err("unknown_redemption"));
    counter.store.get_mut(&first).unwrap().member = MemberId::new(Ulid(99));
    assert_eq!(counter.step("approve", first), Err("unknown_redemption"));
    assert_eq!((counter.points(), counter.taken), (324 - 50, 2));
}

#[test]
fn a_member_has_so_many_open_redemptions_and_no_more() {
    let mut counter = Counter::open(REWARDS);
    counter.order(10_000);
    for _ in 0..MAX_OPEN {
        counter.redeem("coffee").unwrap();
    }
    assert_eq!(counter.redeem("coffee"), Err("too_many_redemptions"));
    let state = serde_json::to_string(&counter.life.member.standing.redemptions).unwrap();
    assert!(state.len() < 4_096, "{}", state.len());
    let first = *counter.store.keys().next().unwrap();
    counter.step("fulfill", first).unwrap();
    counter.redeem("coffee").unwrap();
}

#[test]
fn points_of_a_wallet_that_the_program_dropped_are_given_back_all_the_same() {
    let stars = REWARDS.replace(
        "[[rewards]]\nid = \"mug\"",
        "[[wallets]]\ncode = \"stars\"\n[[rewards]]\nwallet = \"stars\"\nid = \"mug\"",
    );
    let mut counter = Counter::open(&stars);
    let stars = Name::parse("stars").unwrap();
    counter.life.member.standing.wallets.open(&stars).credit(Points(25), None).unwrap();
    let id = counter.redeem("mug").unwrap();
    counter.life.program = Counter::open(REWARDS).life.program;
    assert_eq!(counter.step("reject", id).unwrap(), ["redemption.rejected", "points.returned"]);
    assert_eq!(counter.life.member.standing.wallets.get("stars").unwrap().balance(), Points(25));
}

#[derive(Debug, Clone)]
enum Move {
    Order(i64),
    Redeem(&'static str),
    Step(&'static str, prop::sample::Index),
    Days(i64),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        (1..60i64).prop_map(Move::Order),
        prop::sample::select(vec!["coffee", "mug"]).prop_map(Move::Redeem),
        (prop::sample::select(vec!["approve", "fulfill", "reject", "cancel"]), any::<prop::sample::Index>())
            .prop_map(|(step, of)| Move::Step(step, of)),
        (1..6i64).prop_map(Move::Days),
    ]
}

/// Every point by itself: the day from which it is gone.
#[derive(Default)]
struct Naive {
    purse: Vec<i64>,
    /// Reward, status, points paid, the day from which it is over.
    made: Vec<(&'static str, &'static str, Vec<i64>, i64)>,
}

impl Naive {
    fn mugs(&self) -> usize {
        self.made.iter().filter(|(reward, status, ..)| *reward == "mug" && *status != "over").count()
    }

    fn redeem(&mut self, reward: &'static str, today: i64) -> bool {
        let (cost, status, days) = if reward == "mug" { (25, "pending", 30) } else { (10, "approved", 4) };
        let limit = reward == "mug" && self.mugs() >= 2;
        if limit || self.purse.len() < cost {
            return false;
        }
        self.made.push((reward, status, self.purse.drain(..cost).collect(), today + days));
        true
    }

    fn step(&mut self, step: &str, at: usize, today: i64) -> bool {
        let (_, status, paid, _) = &mut self.made[at];
        *status = match (&**status, step) {
            ("pending", "approve") => "approved",
            ("approved", "fulfill") => "done",
            ("pending", "reject") | ("pending" | "approved", "cancel") => {
                self.purse.append(paid);
                "over"
            }
            _ => return false,
        };
        self.purse.retain(|gone| *gone > today);
        self.purse.sort_unstable();
        true
    }

    fn pass(&mut self, today: i64) {
        for (_, status, paid, until) in &mut self.made {
            if matches!(*status, "pending" | "approved") && *until <= today {
                *status = "over";
                self.purse.append(paid);
            }
        }
        self.purse.retain(|gone| *gone > today);
        self.purse.sort_unstable();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn redemptions_agree_with_a_purse_of_single_points(moves in prop::collection::vec(moves(), 1..60)) {
        // Noon in the chain's zone, so that days are days.
        let mut counter = Counter::open(REWARDS);
        let start = at("2026-03-09T16:00:00Z");
        let (mut naive, mut today, mut ids) = (Naive::default(), 0, Vec::new());
        for step in moves {
            counter.life.now = start + chrono::Duration::days(today);
            match step {
                Move::Order(total) => {
                    counter.order(total);
                    // To the end of the tenth day after: gone on the morning of the eleventh.
                    naive.purse.extend(std::iter::repeat_n(today + 11, total as usize));
                }
                Move::Redeem(reward) => {
                    let made = counter.redeem(reward);
                    prop_assert_eq!(made.is_ok(), naive.redeem(reward, today), "{:?}", made);
                    ids.extend(made);
                }
                Move::Step(..) if ids.is_empty() => {}
                Move::Step(step, of) => {
                    let at = of.index(ids.len());
                    let done = counter.step(step, ids[at]);
                    prop_assert_eq!(done.is_ok(), naive.step(step, at, today), "{:?}", done);
                }
                Move::Days(days) => {
                    today += days;
                    counter.life.now = start + chrono::Duration::days(today);
                    counter.wake();
                    naive.pass(today);
                }
            }
            naive.purse.sort_unstable();
            let wallet = counter.life.member.standing.wallets.get("points");
            let lots: Vec<_> = wallet.into_iter().flat_map(|wallet| wallet.lots()).flat_map(|lot| {
                let gone = (lot.expires_at.unwrap() - start + chrono::Duration::hours(12)).num_days();
                std::iter::repeat_n(gone, lot.remaining.0 as usize)
            }).collect();
            prop_assert_eq!(&lots, &naive.purse);
            prop_assert_eq!(counter.taken as usize, naive.mugs());
            prop_assert_eq!(counter.booked, counter.points());
        }
    }
}

#[test]
fn what_a_full_wallet_has_no_room_for_is_not_given_back_and_holds_up_nothing() {
    let mut counter = Counter::open(&REWARDS.replace("expiry = \"10 days\"\n", ""));
    counter.order(100);
    counter.redeem("coffee").unwrap();
    let room = 4;
    let wallet = Name::parse("points").unwrap();
    let fill = Points(Points::LIMIT - counter.points() - room);
    counter.life.member.standing.wallets.open(&wallet).credit(fill, None).unwrap();
    let booked = counter.booked;
    counter.life.now += chrono::Duration::days(5);
    let told = counter.wake();
    assert_eq!(told, ["redemption.expired", "points.returned"]);
    assert_eq!((counter.points(), counter.booked), (Points::LIMIT, booked + room));
    counter.order(0);
}
