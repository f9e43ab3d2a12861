//! Members who bring others: whoever brought somebody is rewarded by an event of their own, once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use awc::http::Method;
use serde_json::json;

use crate::counter::{Counter, given};
use crate::people::purchase;

/// The program's part in it.
pub(crate) const PROGRAM: &str = r#"
[referrals]
minimum = 15
[referrals.sender]
award = 1000
[referrals.receiver]
award = 300
"#;
const SENDERS: u32 = 3;

/// Whom everybody brought, and what those were given.
pub(crate) struct Referrals {
    counter: Rc<Counter>,
    /// By sender: their code, and their points at first.
    senders: Vec<(String, i64)>,
    brought: RefCell<BTreeMap<u32, i64>>,
}

impl Referrals {
    pub(crate) async fn open(counter: &Rc<Counter>) -> Rc<Self> {
        let mut senders = Vec::new();
        for n in 0..SENDERS {
            let receipt = counter
                .send(&format!("sends-{n}"), &purchase(&format!("sends-{n}"), &format!("sender-{n}"), "5.00"))
                .await;
            let shown = counter.see(&format!("members/sender-{n}/referral")).await;
            senders.push((shown["code"].as_str().expect("a code").to_owned(), given(&receipt)));
        }
        Rc::new(Self { counter: counter.clone(), senders, brought: RefCell::default() })
    }

    /// Somebody new comes with a code and orders.
    pub(crate) async fn story(self: Rc<Self>, n: u32) {
        let (name, (code, _)) = (format!("new-{n}"), &self.senders[(n % SENDERS) as usize]);
        let counter = &self.counter;
        counter.order(Method::POST, "members", &format!("make-{name}"), &json!({ "id": name })).await;
        let path = format!("members/{name}/referral");
        counter.order(Method::POST, &path, &format!("refer-{n}"), &json!({ "code": code })).await;
        let receipt =
            counter.send(&format!("first-{n}"), &purchase(&format!("first-{n}"), &name, "20.00")).await;
        assert!(receipt["events"].to_string().contains("referral.approved"), "{receipt}");
        self.brought.borrow_mut().insert(n, given(&receipt));
    }

    /// Both sides have what they were promised, once.
    pub(crate) async fn reconcile(&self) {
        let (brought, counter) = (self.brought.take(), &self.counter);
        for (n, points) in &brought {
            let shown = counter.see(&format!("members/new-{n}")).await;
            assert_eq!((shown["points"].as_i64(), points >= &300), (Some(*points), true), "{shown}");
        }
        for (sender, (_, first)) in (0..SENDERS).zip(&self.senders) {
            let times = brought.keys().filter(|n| **n % SENDERS == sender).count() as i64;
            let is_rewarded = async || {
                let shown = counter.see(&format!("members/sender-{sender}/referral")).await;
                shown["rewarded"] == times
            };
            counter.until("the senders are rewarded", is_rewarded).await;
            let shown = counter.see(&format!("members/sender-{sender}")).await;
            assert_eq!(shown["points"], first + 1_000 * times, "{shown}");
        }
        let told = counter.all("events?type=referral.approved").await;
        assert_eq!(told.len(), 2 * brought.len(), "each side of each is told once");
        println!("{} referrals, both sides rewarded once", brought.len());
    }
}
