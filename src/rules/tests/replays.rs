//! Orders of which some rule failed: what is settled later, by a change or a replay, comes to the same, once.

use super::orders::{life, notes};
use super::*;
use crate::domain::receipt::SourceStatus;

const MENDED: &str = "rule \"flat\" on order.completed { award(order.total); }";
/// The same, but it fails above so many.
const BROKEN: &str = "rule \"flat\" on order.completed { award(order.total / (order.total - order.total)); }";

fn status(commit: &Commit) -> SourceStatus {
    commit.source.as_ref().unwrap().status()
}

impl Life {
    fn mend(&mut self, rules: &str) {
        self.program = program(rules);
    }

    /// An event about the order, under rules that hold for it alone.
    fn under(&mut self, rules: &str, kind: &str, data: &str) -> Commit {
        self.mend(rules);
        self.tell(kind, data)
    }
}

#[test]
fn a_completion_that_failed_is_settled_by_the_next_change_and_its_replay_pays_nothing_more() {
    let mut life = life("", BROKEN);
    let failed = life.tell("order.completed", r#""total":50,"version":1"#);
    assert_eq!((status(&failed), life.balance()), (SourceStatus::Failed, 0));
    life.under(MENDED, "order.updated", r#""total":60,"version":2"#);
    assert_eq!(life.balance(), 60);
    let again = life.replay(&failed);
    assert_eq!((status(&again), life.balance()), (SourceStatus::Processed, 60), "{}", notes(&again));
    life.tell("order.refunded", r#""full":true"#);
    life.tell("order.cancelled", r#""version":3"#);
    assert_eq!(life.balance(), 0, "what was settled late is taken back like everything else");
}

#[test]
fn a_completion_that_failed_is_settled_by_its_replay_as_the_order_has_become() {
    let mut life = life("", BROKEN);
    let failed = life.tell("order.completed", r#""total":50,"version":1"#);
    let changed = life.tell("order.updated", r#""total":60,"version":2"#);
    assert_eq!((status(&failed), status(&changed)), (SourceStatus::Failed, SourceStatus::Failed));
    life.mend(MENDED);
    for (event, balance) in [(&changed, 60), (&failed, 60)] {
        assert_eq!((status(&life.replay(event)), life.balance()), (SourceStatus::Processed, balance));
    }
}

#[test]
fn changes_that_failed_one_after_the_other_are_settled_together_by_whatever_comes_first() {
    let changes = [r#""total":60,"version":2"#, r#""total":70,"version":3"#];
    // The rule is mended before the second change, or after both; then either is replayed first.
    for (mended, replayed) in [(true, 0), (true, 1), (false, 0), (false, 1)] {
        let mut life = life("", MENDED);
        life.tell("order.completed", r#""total":50,"version":1"#);
        let first = life.under(BROKEN, "order.updated", changes[0]);
        assert_eq!((status(&first), life.balance()), (SourceStatus::Failed, 50));
        let second = life.under(if mended { MENDED } else { BROKEN }, "order.updated", changes[1]);
        assert_eq!(life.balance(), if mended { 70 } else { 50 });
        life.mend(MENDED);
        let failed = [first, second];
        for event in [&failed[replayed], &failed[1 - replayed]] {
            if status(event) == SourceStatus::Failed {
                assert_eq!(status(&life.replay(event)), SourceStatus::Processed);
                assert_eq!(life.balance(), 70, "{mended} {replayed}");
            }
        }
        assert_eq!(life.balance(), 70);
    }
}

#[test]
fn each_rule_is_settled_from_where_it_stands_itself() {
    let good = "rule \"a\" on order.completed { award(order.total); }\n\
                rule \"b\" on order.completed { award(order.total * 10); }";
    let [bad_a, bad_b] = ["order.total)", "order.total * 10)"].map(|award| {
        good.replacen(award, &format!("{} / (order.total - order.total))", &award[..award.len() - 1]), 1)
    });
    let mut life = life("", good);
    life.tell("order.completed", r#""total":1,"version":1"#);
    let first = life.under(&bad_a, "order.updated", r#""total":2,"version":2"#);
    assert_eq!(life.balance(), 1 + 20);
    let second = life.under(&bad_b, "order.updated", r#""total":3,"version":3"#);
    assert_eq!(life.balance(), 3 + 20, "the one that was mended is settled, the other one is not");
    life.mend(good);
    life.replay(&first);
    assert_eq!(life.balance(), 23);
    life.replay(&second);
    assert_eq!(life.balance(), 33);
}

#[test]
fn what_failed_of_an_order_that_was_cancelled_pays_nothing() {
    let mut life = life("", BROKEN);
    let failed = life.tell("order.completed", r#""total":50,"version":1"#);
    life.under(MENDED, "order.cancelled", r#""version":2"#);
    assert_eq!((status(&life.replay(&failed)), life.balance()), (SourceStatus::Processed, 0));
    life.tell("order.completed", r#""total":50,"version":3"#);
    assert_eq!(life.balance(), 50);
    life.replay(&failed);
    assert_eq!(life.balance(), 50);
}

#[test]
fn a_change_whose_points_cannot_move_now_is_failed_and_moves_them_when_it_runs_again() {
    let wallets = "\n[[wallets]]\ncode = \"points\"\npending = \"until confirmed\"\n";
    let mut life = life(wallets, MENDED);
    life.tell("order.completed", r#""total":50,"version":1"#);
    for _ in 1..crate::domain::wallet::MAX_PENDING {
        life.order(r#""total":1"#);
    }
    // At another instant: what an order earns at one waits together.
    let later = r#"{"key":"later","type":"order.updated","occurred_at":"2026-03-03T18:40:00Z",
                    "data":{"order_id":"o","total":60,"version":2}}"#;
    let failed = life.send(later);
    assert_eq!(status(&failed), SourceStatus::Failed, "{}", notes(&failed));
    let pending = |life: &Life| life.member.standing.wallets.first().unwrap().pending().0;
    assert_eq!(pending(&life), 50 + 99);
    assert_eq!(status(&life.replay(&failed)), SourceStatus::Failed, "nothing has changed");
    life.member.standing.wallets = Default::default();
    assert_eq!(status(&life.replay(&failed)), SourceStatus::Processed);
    assert_eq!(pending(&life), 10);
}
