//! Orders that change, come twice, in the wrong order, late, and go back: what moves for it.

use proptest::prelude::*;

use super::*;
use crate::domain::loyalty_event::EventType;
use crate::domain::source_event::SourceType;

const RULES: &str = "rule \"earn\" on order.completed { award(order.eligible * 1.5); }\n\
                     rule \"back\" on order.refunded { take_back(); }";

/// A life under the rules above and these settings, of a member who has so many points from elsewhere.
pub(super) fn life(settings: &str, rules: &str) -> Life {
    let mut sources = sources(rules);
    sources.files[1].1.push_str(settings);
    let program = Program::load(&sources, &chain(), 7).unwrap_or_else(|problems| panic!("{problems:#?}"));
    Life::new(program)
}

impl Life {
    /// One event about the order `o`; its key is new.
    pub(super) fn tell(&mut self, kind: &str, data: &str) -> Commit {
        self.now += chrono::Duration::microseconds(1);
        let key = self.now.timestamp_micros();
        let at = "2026-03-03T18:30:00Z";
        self.send(&format!(
            r#"{{"key":"k{key}","type":"{kind}","occurred_at":"{at}","data":{{"order_id":"o",{data}}}}}"#
        ))
    }

    pub(super) fn balance(&self) -> i64 {
        self.member
            .standing
            .wallets
            .get(&self.program.terms.wallets[0].code)
            .map_or(0, |held| held.balance().0)
    }
}

fn told(commit: &Commit) -> Vec<EventType> {
    commit.events.iter().map(|event| event.kind()).filter(|kind| *kind != EventType::MemberEnrolled).collect()
}

pub(super) fn notes(commit: &Commit) -> String {
    commit.source.as_ref().unwrap().receipt.notes.join("; ")
}

/// One event, what is told of it, and the balance and the lifetime spending after it.
type Scene = (&'static str, &'static str, &'static [EventType], i64, &'static str);

fn play(mut life: Life, scenes: &[Scene]) {
    for (kind, data, events, balance, spend) in scenes {
        let commit = life.tell(kind, data);
        let found = (told(&commit), life.balance(), life.member.history.lifetime_spend.decimal());
        let wanted = (events.to_vec(), *balance, spend.parse().unwrap());
        assert_eq!(found, wanted, "{kind} {data}: {}", notes(&commit));
        assert_eq!(commit.source.as_ref().unwrap().receipt.errors, []);
    }
}

use EventType::{
    OrderCancelled as Cancelled, OrderCompleted as Completed, OrderCreated as Created,
    OrderRefunded as Refunded, OrderUpdated as Updated, PointsClawedBack as ClawedBack,
    PointsEarned as Earned,
};

#[test]
fn an_order_lives_through_its_snapshots_and_counts_from_completion() {
    play(
        life("", RULES),
        &[
            ("order.created", r#""total":10,"version":1"#, &[Created], 0, "0"),
            ("order.updated", r#""total":12,"version":2,"status":"preparing""#, &[Updated], 0, "0"),
            ("order.completed", r#""total":14,"version":3"#, &[Completed, Earned], 21, "14"),
            ("order.updated", r#""total":20,"version":4"#, &[Updated, Earned], 30, "20"),
            ("order.completed", r#""total":16,"version":5"#, &[Updated, ClawedBack], 24, "16"),
            ("order.updated", r#""total":16,"version":6,"status":"picked_up""#, &[Updated], 24, "16"),
            ("order.cancelled", r#""version":7"#, &[Cancelled, ClawedBack], 0, "0"),
            ("order.completed", r#""total":10,"version":8"#, &[Completed, Earned], 15, "10"),
        ],
    );
}

#[test]
fn a_stale_snapshot_changes_nothing_and_the_receipt_says_so() {
    let mut life = life("", RULES);
    life.tell("order.completed", r#""total":20,"version":5"#);
    for (kind, data, says) in [
        ("order.updated", r#""total":99,"version":4"#, "as new or newer"),
        ("order.completed", r#""total":99,"version":5"#, "as new or newer"),
        ("order.created", r#""total":99"#, "as new or newer"),
        ("order.cancelled", r#""version":4"#, "as new or newer"),
        ("order.completed", r#""total":20,"version":5"#, "counts once"),
        ("order.completed", r#""total":20,"version":6"#, "counts once"),
        ("order.completed", r#""total":20"#, "counts once"),
    ] {
        let commit = life.tell(kind, data);
        assert_eq!((told(&commit), life.balance()), (vec![], 30), "{kind} {data}");
        assert!(notes(&commit).contains(says), "{kind} {data}: {}", notes(&commit));
    }
    assert_eq!(life.member.history.lifetime_visits, 1);
}

#[test]
fn without_versions_time_decides_and_completion_wins_the_instant() {
    let mut life = life("", RULES);
    let mut at = |kind: &str, time: &str, total: u32| {
        life.now += chrono::Duration::microseconds(1);
        let key = life.now.timestamp_micros();
        life.send(&format!(
            r#"{{"key":"k{key}","type":"{kind}","occurred_at":"2026-03-03T{time}Z","data":{{"order_id":"o","total":{total}}}}}"#
        ));
        life.balance()
    };
    let balances = [
        at("order.updated", "12:00:00", 10),
        at("order.completed", "12:00:00", 20),
        at("order.created", "12:00:00", 40),
        at("order.updated", "11:59:00", 40),
        at("order.updated", "12:01:00", 40),
    ];
    assert_eq!(balances, [0, 30, 30, 30, 60]);
}

#[test]
fn a_completion_that_comes_late_counts_what_the_order_has_become() {
    play(
        life("", RULES),
        &[
            ("order.updated", r#""total":20,"version":2"#, &[Updated], 0, "0"),
            ("order.completed", r#""total":10,"version":1"#, &[Completed, Earned], 30, "20"),
        ],
    );
    play(
        life("", RULES),
        &[
            ("order.cancelled", r#""version":2,"reason":"no show""#, &[Cancelled], 0, "0"),
            ("order.completed", r#""total":10,"version":1"#, &[], 0, "0"),
            ("order.updated", r#""total":10,"version":3,"status":"void""#, &[Updated], 0, "0"),
        ],
    );
}

#[test]
fn a_cancelled_order_was_no_visit() {
    let mut life = life("", RULES);
    life.tell("order.completed", r#""total":10"#);
    assert_eq!(life.member.history.lifetime_visits, 1);
    life.now = at("2026-03-03T20:00:00Z");
    life.send(r#"{"key":"c","type":"order.cancelled","data":{"order_id":"o"}}"#);
    assert_eq!((life.member.history.lifetime_visits, life.balance()), (0, 0));
}

#[test]
fn refunds_in_every_form_take_their_share_once() {
    let items = r#""items":[{"sku":"a","price":4,"quantity":2},{"sku":"b","price":2}]"#;
    let order = format!(r#""total":12,{items}"#);
    let order: &'static str = order.leak();
    play(
        life("", RULES),
        &[
            ("order.completed", order, &[Completed, Earned], 18, "12"),
            ("order.refunded", r#""amount":3.00"#, &[Refunded, ClawedBack], 13, "9"),
            ("order.refunded", r#""items":[{"sku":"a","quantity":1}]"#, &[Refunded, ClawedBack], 6, "5"),
            ("order.refunded", r#""items":[{"line":7}]"#, &[Refunded], 6, "5"),
            ("order.refunded", r#""full":true"#, &[Refunded, ClawedBack], 0, "0"),
            ("order.refunded", r#""amount":99"#, &[Refunded], 0, "0"),
        ],
    );
    play(
        life("", RULES),
        &[
            ("order.refunded", r#""items":[{"line":1}]"#, &[Refunded], 0, "0"),
            ("order.refunded", r#""amount":1.20"#, &[Refunded], 0, "0"),
            ("order.completed", order, &[Completed, Earned, ClawedBack], 1, "2.80"),
            ("order.updated", r#""total":24,"version":1"#, &[Updated, Earned], 34, "22.80"),
        ],
    );
}

#[test]
fn a_refund_is_told_with_the_money_it_came_to() {
    let mut life = life("", RULES);
    let amount = |commit: &Commit| -> serde_json::Value {
        let refund = commit.events.iter().find(|event| event.kind() == Refunded).unwrap();
        let message: serde_json::Value = serde_json::from_str(&refund.to_json()).unwrap();
        message["data"]["amount"].clone()
    };
    let early = life.tell("order.refunded", r#""items":[{"sku":"a","quantity":1}]"#);
    assert!(amount(&early).is_null());
    life.tell(
        "order.completed",
        r#""total":10,"items":[{"sku":"a","price":3,"quantity":2},{"sku":"b","price":4}]"#,
    );
    assert_eq!(amount(&life.tell("order.refunded", r#""items":[{"sku":"a"}]"#)), 3);
    assert_eq!(amount(&life.tell("order.refunded", r#""full":true"#)), 4);
}

#[test]
fn a_one_time_bonus_survives_a_change_of_its_order() {
    let rules = "rule \"earn\" on order.completed { award(order.total); }\n\
                 rule \"welcome\" on order.completed when member.is_new { award(100); }\n\
                 rule \"regular\" on order.completed when !member.has_achievement(\"regular\") { achieve(\"regular\"); award(50); }\n\
                 rule \"spend\" on order.completed when order.total >= 15 { set_tier(\"silver\"); deduct(5); award(7); }";
    let mut life = life("", rules);
    life.tell("order.completed", r#""total":10,"version":1"#);
    assert_eq!(life.balance(), 160);
    let commit = life.tell("order.updated", r#""total":14,"version":2"#);
    assert_eq!((life.balance(), told(&commit)), (164, vec![Updated, Earned]));
    let commit = life.tell("order.updated", r#""total":15,"version":3"#);
    assert_eq!(life.balance(), 172, "nothing is deducted for a change");
    assert_eq!(told(&commit), [Updated, EventType::TierUpgraded, Earned]);
    assert_eq!(receipt(&commit)["effects"][1]["rule"], "order changed");
    life.tell("order.cancelled", r#""version":4"#);
    assert_eq!(life.balance(), 0);
}

#[test]
fn rules_see_the_snapshot_that_counts_and_start_on_each_step() {
    let rules = "rule \"created\" on order.created when order.total == 10 and order.status == \"new\" { achieve(\"regular\"); }\n\
                 rule \"completed\" on order.completed when order.total == 12 and order.at.hour == 13 { award(1); }\n\
                 rule \"cancelled\" on order.cancelled when order.id == \"o\" and order.total == 12 { award(3); }";
    let mut life = life("", rules);
    life.tell("order.created", r#""total":10,"version":1,"status":"new""#);
    assert_eq!(life.member.standing.achievements.len(), 1);
    life.tell("order.updated", r#""total":12,"version":3"#);
    life.tell("order.completed", r#""total":11,"version":2"#);
    assert_eq!(life.balance(), 1);
    life.tell("order.cancelled", r#""version":4"#);
    assert_eq!(life.balance(), 3);
}

#[test]
fn a_failed_rule_of_a_change_is_settled_by_its_replay() {
    let rules = "rule \"flat\" on order.completed { award(order.total); }\n\
                 rule \"tip\" on order.completed when order.total > 10 { award(100.0 / order.tip); }";
    let mut life = life("", rules);
    life.tell("order.completed", r#""total":10,"version":1"#);
    life.now += chrono::Duration::microseconds(1);
    let body = r#"{"key":"change","type":"order.updated","occurred_at":"2026-03-03T18:30:00Z",
                   "data":{"order_id":"o","total":20,"version":2}}"#;
    let commit = life.send(body);
    assert_eq!((receipt(&commit)["status"].as_str(), life.balance()), (Some("failed"), 20));
    life.program = program(&rules.replace("order.tip", "4.0"));
    life.replay(&commit);
    assert_eq!(life.balance(), 45);
}

#[test]
fn an_order_that_is_cancelled_and_completed_again_pays_once_whatever_was_let_go() {
    for policy in ["within_balance", "forgive", "go_negative"] {
        let rules = format!("{RULES}\nrule \"spend\" on visit {{ deduct(150); }}");
        let mut life = life(&format!("\n[refunds]\nclawback = \"{policy}\"\n"), &rules);
        life.tell("order.completed", r#""total":100,"version":1"#);
        life.send(r#"{"key":"spend","type":"visit","data":{}}"#);
        assert_eq!(life.balance(), 0, "{policy}");
        for version in [2, 4] {
            life.tell("order.cancelled", &format!("\"version\":{version}"));
            assert_eq!(life.balance(), if policy == "go_negative" { -150 } else { 0 }, "{policy}");
            life.tell("order.completed", &format!("\"total\":100,\"version\":{}", version + 1));
            assert_eq!(life.balance(), 0, "{policy}: 150 for one order, which are spent");
        }
        life.tell("order.updated", r#""total":120,"version":6"#);
        assert_eq!(life.balance(), 30, "{policy}");
    }
}

#[test]
fn what_was_let_go_of_a_refund_is_not_given_a_second_time_when_the_order_grows() {
    let rules = format!("{RULES}\nrule \"spend\" on visit {{ deduct(150); }}");
    let mut life = life("\n[refunds]\nclawback = \"forgive\"\n", &rules);
    life.tell("order.completed", r#""total":100,"version":1"#);
    life.send(r#"{"key":"spend","type":"visit","data":{}}"#);
    life.tell("order.refunded", r#""amount":50"#);
    assert_eq!(life.balance(), 0);
    life.tell("order.updated", r#""total":200,"version":2"#);
    assert_eq!(life.balance(), 75, "225 for what is left of it, of which 150 are spent");
}

#[test]
fn only_eligible_money_earns_and_comes_back() {
    let settings = "\n[earning]\ntax = false\nexcluded_categories = [\"coffee\"]\n";
    play(
        life(settings, RULES),
        &[
            (
                "order.completed",
                r#""total":33,"tax":3,"items":[{"sku":"a","category":"coffee","price":10},{"sku":"b","category":"food","price":20}]"#,
                &[Completed, Earned],
                30,
                "33",
            ),
            ("order.refunded", r#""items":[{"sku":"a"}]"#, &[Refunded], 30, "23"),
            ("order.refunded", r#""items":[{"sku":"b"}]"#, &[Refunded, ClawedBack], 0, "0"),
        ],
    );
}

#[test]
fn points_that_are_spent_are_taken_back_as_the_program_says() {
    let rules = format!("{RULES}\nrule \"spend\" on visit {{ deduct(12); }}");
    for (policy, left, says) in
        [("go_negative", -12, ""), ("within_balance", 0, "3 of 15"), ("forgive", 3, "0 of 15")]
    {
        let mut life = life(&format!("\n[refunds]\nclawback = \"{policy}\"\n"), &rules);
        life.tell("order.completed", r#""total":10"#);
        life.send(r#"{"key":"spend","type":"visit"}"#);
        assert_eq!(life.balance(), 3);
        let commit = life.tell("order.refunded", r#""full":true"#);
        assert_eq!(life.balance(), left, "{policy}");
        assert!(notes(&commit).contains(says), "{policy}: {}", notes(&commit));
        life.tell("order.refunded", r#""amount":10"#);
        assert_eq!(life.balance(), left, "{policy}: what was let go is not asked for again");
    }
}

#[test]
fn an_order_earns_and_gives_back_in_every_wallet() {
    let settings = "\n[[wallets]]\ncode = \"points\"\n[[wallets]]\ncode = \"stars\"\npending = \"7 days\"\n";
    let rules = "rule \"earn\" on order.completed { award(order.total); award_to(order.total * 2, \"stars\"); }\n\
                 rule \"back\" on order.refunded { take_back(); }";
    let mut life = life(settings, rules);
    let mut after = |kind: &str, data: &str| {
        life.tell(kind, data);
        let stars = life.member.standing.wallets.get(&life.program.terms.wallets[1].code);
        (life.balance(), stars.map_or(0, |stars| stars.pending().0))
    };
    assert_eq!(after("order.completed", r#""total":10,"version":1"#), (10, 20));
    assert_eq!(after("order.refunded", r#""amount":2.50"#), (7, 15));
    assert_eq!(after("order.updated", r#""total":20,"version":2"#), (17, 35));
    assert_eq!(after("order.updated", r#""total":5,"version":3"#), (2, 5));
    assert_eq!(after("order.cancelled", r#""version":4"#), (0, 0));
}

/// One event about an order.
#[derive(Debug, Clone)]
enum Word {
    Snapshot { version: usize, kind: SourceType, cents: i64, lines: Vec<(usize, i64, i64)> },
    Amount(i64),
    Lines(Vec<(usize, i64)>),
    Full,
}

const SKUS: [&str; 3] = ["a", "b", "c"];

impl Word {
    fn json(&self) -> (&'static str, String) {
        let money = |cents: &i64| format!("{}.{:02}", cents / 100, cents % 100);
        match self {
            Self::Snapshot { version, kind, cents, lines } => {
                let line = |(sku, quantity, price): &(usize, i64, i64)| {
                    format!(r#"{{"sku":"{}","quantity":{quantity},"price":{}}}"#, SKUS[*sku], money(price))
                };
                let items: Vec<_> = lines.iter().map(line).collect();
                let (total, items) = (money(cents), items.join(","));
                (kind.as_str(), format!(r#""version":{version},"total":{total},"items":[{items}]"#))
            }
            Self::Amount(cents) => ("order.refunded", format!(r#""amount":{}"#, money(cents))),
            Self::Lines(lines) => {
                let line = |(sku, quantity): &(usize, i64)| {
                    format!(r#"{{"sku":"{}","quantity":{quantity}}}"#, SKUS[*sku])
                };
                let items: Vec<_> = lines.iter().map(line).collect();
                ("order.refunded", format!(r#""items":[{}]"#, items.join(",")))
            }
            Self::Full => ("order.refunded", r#""full":true"#.to_owned()),
        }
    }
}

/// What the order leaves with its member, reckoned at once from everything that was ever said of it.
fn naive(words: &[Word]) -> i64 {
    let snapshots = words.iter().filter_map(|word| match word {
        Word::Snapshot { version, kind, cents, lines } => Some((*version, *kind, *cents, lines)),
        _ => None,
    });
    let decisive = snapshots
        .clone()
        .filter(|(_, kind, ..)| matches!(kind, SourceType::OrderCompleted | SourceType::OrderCancelled));
    let Some((_, SourceType::OrderCompleted, ..)) = decisive.max_by_key(|s| s.0) else { return 0 };
    // A cancellation says nothing of what is in the order.
    let content = snapshots.filter(|(_, kind, ..)| *kind != SourceType::OrderCancelled).max_by_key(|s| s.0);
    let Some((_, _, total, lines)) = content else { return 0 };
    let (mut amount, mut back) = (0, [0; 3]);
    for word in words {
        match word {
            Word::Full => return 0,
            Word::Amount(cents) => amount += cents,
            Word::Lines(lines) => lines.iter().for_each(|(sku, quantity)| back[*sku] += quantity),
            Word::Snapshot { .. } => {}
        }
    }
    let (mut worth, mut sum, mut returned, mut things) = (0, 0, 0, 0);
    for (sku, quantity, price) in lines {
        let taken = back[*sku].min(*quantity);
        back[*sku] -= taken;
        (worth, sum) = (worth + taken * price, sum + quantity * price);
        (returned, things) = (returned + taken, things + quantity);
    }
    if returned == things && returned > 0 {
        return 0;
    }
    let earned = i128::from(total * 3 / 200); // 1.5 points a dollar, whole ones
    let (total, sum) = (i128::from(total.max(1)), i128::from(sum.max(1)));
    let left = total * sum - i128::from(amount).min(total) * sum - i128::from(worth) * total;
    (earned * left.max(0) / (total * sum)) as i64
}

fn words() -> impl Strategy<Value = Vec<Word>> {
    let kinds = [
        SourceType::OrderCreated,
        SourceType::OrderUpdated,
        SourceType::OrderCompleted,
        SourceType::OrderCompleted,
        SourceType::OrderCancelled,
    ];
    let lines = prop::collection::vec((0..3_usize, 0..3_i64, 0..3_000_i64), 0..4);
    let snapshot = (prop::sample::select(kinds.to_vec()), 0..20_000_i64, lines);
    let refund = prop_oneof![
        1 => Just(Word::Full),
        6 => (0..8_000_i64).prop_map(Word::Amount),
        6 => prop::collection::vec((0..3_usize, 0..3_i64), 1..3).prop_map(Word::Lines),
    ];
    let snapshots = prop::collection::vec(snapshot, 1..6);
    (snapshots, prop::collection::vec(refund, 0..5), any::<u64>()).prop_map(|(snapshots, refunds, _)| {
        let snapshots = snapshots
            .into_iter()
            .zip(1..)
            .map(|((kind, cents, lines), version)| Word::Snapshot { version, kind, cents, lines });
        snapshots.chain(refunds).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_comes_in_whatever_order_ends_as_if_it_had_come_at_once(
        words in words().prop_flat_map(|words| Just(words).prop_shuffle()),
        again in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
    ) {
        let mut life = life("", RULES);
        let mut all = words.clone();
        // Tills say things twice; of refunds, only the same key says the same, and that never gets here.
        for (which, place) in again {
            let word = all[which.index(all.len())].clone();
            if matches!(word, Word::Snapshot { .. }) {
                all.insert(place.index(all.len() + 1), word);
            }
        }
        for word in &all {
            let (kind, data) = word.json();
            let data = match kind {
                "order.cancelled" => data.split(',').next().unwrap().to_owned(),
                _ => data,
            };
            let commit = life.tell(kind, &data);
            prop_assert_eq!(&commit.source.as_ref().unwrap().receipt.errors, &[]);
            prop_assert!(life.balance() >= 0);
            prop_assert!(life.member.history.lifetime_spend.decimal() >= rust_decimal::Decimal::ZERO);
            prop_assert!(life.member.history.lifetime_visits <= 1);
        }
        prop_assert_eq!(life.balance(), naive(&words));
        let left: i64 = life.orders[0].earned().iter().map(|in_wallet| in_wallet.earned.0 - in_wallet.taken_back.0).sum();
        prop_assert_eq!(left, naive(&words));
    }
}
