//! Single-use codes: two want each, one gets it; used, taken back, used again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use awc::http::Method;
use futures_util::future::join;
use serde_json::{Value, json};

use crate::counter::{Counter, told};
use crate::server::{call, send};

/// The program's part in it.
pub(crate) const PROGRAM: &str = r#"
[[coupon_books]]
id = "gift"
name = "A gift"
discount_type = "percentage"
discount_amount = 20

[[coupon_books]]
id = "once"
type = "uploaded"
name = "First come"
discount_type = "other"
assign_limit = "unlimited"
"#;
const GUESTS: u32 = 10;
const CODES: u32 = 5_000;

/// What was done, as those who did it were told.
#[derive(Default)]
struct Done {
    /// By code: who has used it, less what was taken back.
    used: BTreeMap<String, Option<String>>,
    /// By code: whose it is.
    assigned: BTreeMap<String, String>,
    uses: usize,
    reverts: usize,
}

pub(crate) struct Coupons {
    counter: Rc<Counter>,
    done: RefCell<Done>,
}

impl Coupons {
    pub(crate) async fn open(base: &str, counter: &Rc<Counter>) -> Rc<Self> {
        for guest in 0..GUESTS {
            let name = format!("guest-{guest}");
            counter.order(Method::POST, "members", &format!("make-{name}"), &json!({ "id": name })).await;
        }
        let codes: String = (0..CODES).map(|n| code(n) + "\n").collect();
        let (path, plain) = (codes_of(base, "First come").await, ("content-type", "text/plain"));
        let (status, report) = send(base, Method::POST, &path, &[plain], codes).await.expect("an answer");
        assert_eq!(status, 200, "{report}");
        Rc::new(Self { counter: counter.clone(), done: RefCell::default() })
    }

    /// Two guests want the same code; what one of them used is taken back, now and then, and the other one has it.
    pub(crate) async fn story(self: Rc<Self>, n: u32) {
        assert!(n < CODES, "more codes are needed");
        let (code, [one, other]) = (code(n), [n, n + 1].map(|n| format!("guest-{}", n % GUESTS)));
        let uses = join(self.use_code(&code, &one, n), self.use_code(&code, &other, n)).await;
        let (winner, loser, usage) = match uses {
            (Some(usage), None) => (one, other, usage),
            (None, Some(usage)) => (other, one, usage),
            both => panic!("{code} is for one: {both:?}"),
        };
        self.note(&code, Some(&winner));
        if n.is_multiple_of(2) {
            let back = json!({ "member": winner, "usage": usage });
            let path = format!("coupons/{code}/revert");
            self.counter.order(Method::POST, &path, &format!("revert-{n}"), &back).await;
            self.note(&code, None);
        }
        if n.is_multiple_of(4) {
            self.use_code(&code, &loser, CODES + n).await.expect("it is free again");
            self.note(&code, Some(&loser));
        }
        let path = format!("members/{winner}/coupons");
        let given =
            self.counter.order(Method::POST, &path, &format!("assign-{n}"), &json!({ "book": "gift" })).await;
        let gift = told(&given, "coupon.assigned", "code");
        let seen = self.done.borrow_mut().assigned.insert(gift.clone(), winner.clone());
        assert_eq!(seen, None, "{gift} was given away twice");
        if n.is_multiple_of(3) {
            self.use_code(&gift, &winner, n).await.expect("it is theirs");
            self.note(&gift, Some(&winner));
        }
    }

    /// Uses a code; answers under which key, if it was to be had.
    async fn use_code(&self, code: &str, guest: &str, n: u32) -> Option<String> {
        let (path, key) = (format!("coupons/{code}/use"), format!("use-{code}-{guest}-{n}"));
        let (status, answer) = self.counter.ask(Method::POST, &path, &key, &json!({ "member": guest })).await;
        if status == 200 {
            return Some(told(&answer, "coupon.used", "coupon_usage_key"));
        }
        assert_eq!((status, &answer["code"]), (409, &Value::from("coupon_exhausted")), "{answer}");
        None
    }

    fn note(&self, code: &str, user: Option<&str>) {
        let mut done = self.done.borrow_mut();
        *(if user.is_some() { &mut done.uses } else { &mut done.reverts }) += 1;
        done.used.insert(code.to_owned(), user.map(str::to_owned));
    }

    /// Each code was used and assigned as often as people were told, members have what they were given, and each use
    /// was told once.
    pub(crate) async fn reconcile(&self) {
        let done = self.done.take();
        for (code, user) in &done.used {
            let shown = self.counter.see(&format!("coupons/{code}")).await;
            let found = (shown["total_usages"].as_u64(), shown["total_assigned"].as_u64());
            let assigned = u64::from(done.assigned.contains_key(code));
            assert_eq!(found, (Some(user.is_some().into()), Some(assigned)), "{shown}");
        }
        for guest in 0..GUESTS {
            let name = format!("guest-{guest}");
            let held = self.counter.all(&format!("members/{name}/coupons?")).await;
            let held: BTreeMap<_, _> = held
                .iter()
                .map(|held| {
                    (held["code"].as_str().unwrap(), (held["assigned"].as_u64(), held["used"].as_u64()))
                })
                .filter(|(_, has)| *has != (Some(0), Some(0)))
                .collect();
            let mut expected = BTreeMap::new();
            let assigned = done.assigned.iter().filter(|(_, of)| **of == name);
            assigned.for_each(|(code, _)| expected.entry(&**code).or_insert((Some(0), Some(0))).0 = Some(1));
            let used = done.used.iter().filter(|(_, by)| by.as_deref() == Some(&name));
            used.for_each(|(code, _)| expected.entry(&**code).or_insert((Some(0), Some(0))).1 = Some(1));
            assert_eq!(held, expected, "{name}");
        }
        for (kind, times) in
            [("used", done.uses), ("reverted", done.reverts), ("assigned", done.assigned.len())]
        {
            let told = self.counter.all(&format!("events?type=coupon.{kind}")).await;
            assert_eq!(told.len(), times, "coupon.{kind}");
        }
        println!("{} uses of coupons, {} taken back", done.uses, done.reverts);
    }
}

fn code(n: u32) -> String {
    format!("ONCE-{n:05}")
}

/// The route to the codes of the book of that name.
pub(crate) async fn codes_of(base: &str, name: &str) -> String {
    let books = "/v1/chains/harvest/coupon_books";
    let list = call(base, Method::GET, books, &Value::Null).await.expect("an answer").1;
    let mut all = list["items"].as_array().expect("a list").iter();
    let book = all.find(|book| book["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}"));
    format!("{books}/{}/codes", book["coupon_book_key"].as_str().expect("a key"))
}
