//! Rewards redeemed, handed over, taken back.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use awc::http::Method;
use serde_json::{Value, json};

use crate::counter::{Counter, told};

/// The program's part in it.
pub(crate) const PROGRAM: &str = r#"
[[rewards]]
id = "coffee"
title = "A free coffee"
type = "digital"
cost = 10

[[rewards]]
id = "mug"
title = "A blue mug"
type = "physical"
cost = 20
stock = 40
auto_approve = false
"#;
const STOCK: usize = 40;
const GUESTS: u32 = 12;
const GIVEN: i64 = 100_000;

/// A redemption as those who asked for it were told.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Redeemed {
    guest: u32,
    reward: &'static str,
    status: &'static str,
}

impl Redeemed {
    fn cost(self) -> i64 {
        match (self.status, self.reward) {
            ("cancelled" | "rejected", _) => 0,
            (_, "coffee") => 10,
            _ => 20,
        }
    }
}

/// All that was redeemed, by id.
pub(crate) struct Redemptions {
    counter: Rc<Counter>,
    all: RefCell<BTreeMap<String, Redeemed>>,
}

impl Redemptions {
    pub(crate) async fn open(counter: &Rc<Counter>) -> Rc<Self> {
        for guest in 0..GUESTS {
            endow(counter, &format!("rich-{guest}")).await;
        }
        Rc::new(Self { counter: counter.clone(), all: RefCell::default() })
    }

    /// One wish and what comes of it.
    pub(crate) async fn story(self: Rc<Self>, n: u32) {
        let guest = n % GUESTS;
        let reward = if n.is_multiple_of(3) { "coffee" } else { "mug" };
        let Some(id) = redeem(&self.counter, &format!("rich-{guest}"), reward, &format!("redeem-{n}")).await
        else {
            return;
        };
        let steps: &[_] = match (reward, n % 8) {
            ("mug", 0) => &[],
            ("mug", 1) => &["approve", "fulfill"],
            ("mug", 2 | 3) => &["reject"],
            ("mug", 4 | 5) => &["approve", "cancel"],
            ("coffee", 0..4) => &["fulfill"],
            _ => &["cancel"],
        };
        for step in steps {
            let path = format!("redemptions/{id}/{step}");
            self.counter.order(Method::POST, &path, &format!("{step}-{n}"), &json!({})).await;
        }
        let status = match steps.last() {
            Some(&"fulfill") => "fulfilled",
            Some(&"reject") => "rejected",
            Some(_) => "cancelled",
            None => "pending",
        };
        let seen = self.all.borrow_mut().insert(id, Redeemed { guest, reward, status });
        assert_eq!(seen, None, "two wishes, one redemption");
    }

    /// Every redemption that was made stands where it was left, was paid for once, and stock was counted once.
    pub(crate) async fn reconcile(&self) {
        let all = self.all.take();
        let stored = self.counter.all("redemptions?").await;
        assert_eq!(stored.len(), all.len(), "redemptions of which nobody was told");
        for redemption in stored {
            let id = redemption["id"].as_str().unwrap();
            let found = (redemption["status"].as_str(), redemption["reward"]["id"].as_str());
            let known = all.get(id).unwrap_or_else(|| panic!("nobody was told of {redemption}"));
            assert_eq!(found, (Some(known.status), Some(known.reward)), "{redemption}");
        }
        for guest in 0..GUESTS {
            let spent: i64 =
                all.values().filter(|known| known.guest == guest).map(|known| known.cost()).sum();
            let shown = self.counter.see(&format!("members/rich-{guest}")).await;
            assert_eq!(shown["points"], GIVEN - spent, "{shown}");
        }
        let taken = all.values().filter(|known| known.reward == "mug" && known.cost() > 0).count();
        endow(&self.counter, "late").await;
        let mut left = 0;
        while redeem(&self.counter, "late", "mug", &format!("late-{left}")).await.is_some() {
            left += 1;
        }
        assert_eq!(taken + left, STOCK, "{taken} are taken, {left} were left");
        println!("{} redemptions, {taken} of {STOCK} mugs taken", all.len());
    }
}

async fn endow(counter: &Counter, guest: &str) {
    counter.order(Method::POST, "members", &format!("make-{guest}"), &json!({ "id": guest })).await;
    let gift = json!({ "amount": GIVEN, "reason": "Gift" });
    counter.order(Method::POST, &format!("members/{guest}/points"), &format!("gift-{guest}"), &gift).await;
}

/// The id of the redemption; none when nothing is left.
async fn redeem(counter: &Counter, guest: &str, reward: &str, key: &str) -> Option<String> {
    let path = format!("members/{guest}/redemptions");
    let (status, answer) = counter.ask(Method::POST, &path, key, &json!({ "reward": reward })).await;
    if status == 200 {
        return Some(told(&answer, "redemption.created", "redemption_id"));
    }
    assert_eq!((status, &answer["code"]), (409, &Value::from("out_of_stock")), "{answer}");
    None
}
