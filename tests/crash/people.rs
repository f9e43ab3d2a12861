//! Two who are one person, and people who are to be forgotten.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use awc::http::Method;
use futures_util::future::join4;
use serde_json::{Value, json};

use crate::counter::{Counter, given};

/// An order without a key, for those who say it beside.
pub(crate) fn purchase(order: &str, member: &str, total: &str) -> Value {
    json!({ "type": "order.completed", "occurred_at": "2026-03-03T18:30:00Z", "member": { "id": member },
        "data": { "order_id": order, "total": total, "items": [{ "category": "food", "price": total }] } })
}

/// Pairs that were merged, some of them told apart again: what was given to both together.
pub(crate) struct Merges {
    counter: Rc<Counter>,
    all: RefCell<BTreeMap<u32, (Now, i64)>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Now {
    One,
    Two,
}

impl Merges {
    pub(crate) fn open(counter: &Rc<Counter>) -> Rc<Self> {
        Rc::new(Self { counter: counter.clone(), all: RefCell::default() })
    }

    /// Two members come, and turn out to be one while both are busy.
    pub(crate) async fn story(self: Rc<Self>, n: u32) {
        let (keeps, goes) = (format!("keeps-{n}"), format!("goes-{n}"));
        let buy = async |key: String, member: &str| {
            given(&self.counter.send(&key, &purchase(&key, member, "7.00")).await)
        };
        let mut points = buy(format!("a-{n}"), &keeps).await + buy(format!("b-{n}"), &goes).await;
        let (gift, from) = (json!({ "amount": 5, "reason": "Gift" }), json!({ "from": goes }));
        let (gift_path, merge_path) = (format!("members/{goes}/points"), format!("members/{keeps}/merge"));
        let (gift_key, merge_key) = (format!("five-{n}"), format!("merge-{n}"));
        let (one, two, gift, _) = join4(
            buy(format!("c-{n}"), &keeps),
            buy(format!("d-{n}"), &goes),
            self.counter.order(Method::POST, &gift_path, &gift_key, &gift),
            self.counter.order(Method::POST, &merge_path, &merge_key, &from),
        )
        .await;
        points += one + two + given(&gift);
        let mut now = Now::One;
        if n.is_multiple_of(3) {
            let other =
                json!({ "member": self.counter.see(&format!("members/{keeps}")).await["absorbed"][0] });
            let path = format!("members/{keeps}/unmerge");
            self.counter.order(Method::POST, &path, &format!("unmerge-{n}"), &other).await;
            now = Now::Two;
        }
        self.all.borrow_mut().insert(n, (now, points));
    }

    /// They are as many as they were said to be, and have together what was given to either.
    pub(crate) async fn reconcile(&self) {
        let all = self.all.take();
        for (n, (now, points)) in &all {
            let keeps = self.counter.see(&format!("members/keeps-{n}")).await;
            let goes = self.counter.see(&format!("members/goes-{n}")).await;
            let is_one = keeps["member_id"] == goes["member_id"];
            assert_eq!(is_one, *now == Now::One, "{keeps} {goes}");
            let of = |member: &Value, what: &str| member[what].as_i64().expect("a number");
            let both = |what| of(&keeps, what) + if is_one { 0 } else { of(&goes, what) };
            assert_eq!((both("points"), both("lifetime_visits")), (*points, 4), "{keeps} {goes}");
        }
        println!("{} pairs merged, or told apart again", all.len());
    }
}

/// Members who were erased, by our ids.
pub(crate) struct Erasures {
    counter: Rc<Counter>,
    all: RefCell<BTreeMap<u32, String>>,
}

impl Erasures {
    pub(crate) fn open(counter: &Rc<Counter>) -> Rc<Self> {
        Rc::new(Self { counter: counter.clone(), all: RefCell::default() })
    }

    /// Somebody comes, and wants to be forgotten.
    pub(crate) async fn story(self: Rc<Self>, n: u32) {
        let name = format!("gone-{n}");
        let path = format!("members/{name}");
        let person = json!({ "id": name, "email": secret(n) });
        self.counter.order(Method::POST, "members", &format!("make-{name}"), &person).await;
        self.counter.send(&format!("last-{n}"), &purchase(&format!("last-{n}"), &name, "7.00")).await;
        let erased = self.counter.order(Method::DELETE, &path, &format!("erase-{n}"), &json!({})).await;
        self.all.borrow_mut().insert(n, erased["member"]["id"].as_str().expect("our id").to_owned());
    }

    /// Nothing knows them any more, and the books balance.
    pub(crate) async fn reconcile(&self) {
        let all = self.all.take();
        for (n, id) in &all {
            assert_eq!(self.counter.look(&format!("members/gone-{n}")).await, None);
            let left = self.counter.see(&format!("members/{id}")).await;
            assert_eq!((&left["points"], &left["identities"]), (&json!(0), &json!([])), "{left}");
            let export = format!("members/{id}/export");
            let is_forgotten = async || !self.counter.see(&export).await.to_string().contains(&secret(*n));
            self.counter.until("the log forgets who was erased", is_forgotten).await;
        }
        let told = self.counter.all("events?type=member.erased").await;
        assert_eq!(told.len(), all.len(), "each is told once");
        println!("{} members forgotten", told.len());
    }
}

fn secret(n: u32) -> String {
    format!("secret-{n}@example.com")
}
