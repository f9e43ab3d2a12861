//! Two nodes that serve one PostgreSQL database. What one of them holds in memory does not bind the other: only the fences
//! in the store keep what is promised of everybody together.

use actix_web::rt::time::sleep;
use awc::http::Method;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use crate::support::{Backend, TestApp, order};

const CHAIN: &str = "/v1/chains/harvest";
const GUESTS: usize = 60;

const PROGRAM: &str = r#"
[[rewards]]
id = "mug"
title = "A blue mug"
type = "physical"
cost = 5
stock = 10

[[rewards]]
id = "tour"
title = "A look into the kitchen"
type = "digital"
cost = 1
limit_per_member = 2

[[campaigns]]
id = "rush"
name = "Rush hour"
budget = 100

[[coupon_books]]
id = "once"
type = "uploaded"
name = "First come"
discount_type = "other"
assign_limit = "unlimited"

[[coupon_books]]
id = "summer"
type = "uploaded"
name = "Summer"
discount_type = "other"
assign_limit = "unlimited"
usage_limit = "unlimited"
limit_per_member = 1
"#;

const RULES: &str = r#"
rule "Rush" on visit campaign "rush" { award(7); }
"#;

/// Two nodes, and guests with a few points.
async fn two_nodes() -> [TestApp; 2] {
    let one = TestApp::start_with(Backend::Postgres, |config| {
        let manifest = config.rules.join("harvest/program.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(manifest, text + PROGRAM).unwrap();
        std::fs::write(config.rules.join("harvest/rush.rhai"), RULES).unwrap();
    })
    .await;
    let other = one.another_node().await;
    let nodes = [one, other];
    let orders: Vec<_> = (0..GUESTS).map(|n| order(&format!("o-{n}"), &guest(n), "50.00")).collect();
    let sent = orders.iter().zip(nodes.iter().cycle()).map(|(order, node)| node.send(order));
    join_all(sent).await.into_iter().for_each(|answer| drop(answer.expect(200)));
    nodes
}

fn guest(n: usize) -> String {
    format!("guest-{n}")
}

/// Asks until there is an answer: two nodes that meet over and over may ask for patience.
async fn ask(node: &TestApp, path: &str, body: Value) -> Result<Value, String> {
    loop {
        let answer = node.post(&format!("{CHAIN}/{path}"), &body).await;
        match answer.status {
            503 => sleep(Duration::from_millis(10)).await,
            200 => return Ok(answer.json()),
            _ => return Err(answer.expect(409)["code"].as_str().unwrap().to_owned()),
        }
    }
}

/// Everybody asks at once, every other one the other node. Answers how many got it; the others were refused like this.
async fn all_at_once(
    nodes: &[TestApp; 2],
    times: usize,
    request: impl Fn(usize) -> (String, Value),
    refusal: &str,
) -> usize {
    let asked = (0..times).map(|n| {
        let (path, body) = request(n);
        async move { ask(&nodes[n % 2], &path, body).await }
    });
    let answers = join_all(asked).await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(refused.iter().all(|code| *code == refusal), "{refused:?}");
    times - refused.len()
}

async fn upload(node: &TestApp, book: &str, codes: &str) {
    let books = node.get(&format!("{CHAIN}/coupon_books")).await.expect(200);
    let mut books = books["items"].as_array().unwrap().iter();
    let key = &books.find(|found| found["id"] == book).unwrap()["coupon_book_key"];
    let path = format!("{CHAIN}/coupon_books/{}/codes", key.as_str().unwrap());
    let plain = [("content-type", "text/plain")];
    node.request(Method::POST, &path, &plain, codes.as_bytes().to_vec()).await.expect(200);
}

async fn stop([one, other]: [TestApp; 2]) {
    one.verify();
    join(one.stop(), other.stop()).await;
}

#[actix_web::test]
async fn a_single_use_code_is_used_once_on_two_nodes_at_once() {
    let nodes = two_nodes().await;
    let codes: Vec<_> = (0..10).map(|n| format!("ONCE-{n}")).collect();
    upload(&nodes[0], "once", &codes.join("\n")).await;
    for code in &codes {
        let using = |n| (format!("coupons/{code}/use"), json!({ "member": guest(n) }));
        assert_eq!(all_at_once(&nodes, GUESTS / 4, using, "coupon_exhausted").await, 1, "{code}");
        let shown = nodes[1].get(&format!("{CHAIN}/coupons/{code}")).await.expect(200);
        assert_eq!(shown["total_usages"], 1);
    }
    stop(nodes).await;
}

#[actix_web::test]
async fn a_stock_of_ten_is_redeemed_ten_times_on_two_nodes_at_once() {
    let nodes = two_nodes().await;
    let redeem = |n| (format!("members/{}/redemptions", guest(n)), json!({ "reward": "mug" }));
    assert_eq!(all_at_once(&nodes, GUESTS, redeem, "out_of_stock").await, 10);
    stop(nodes).await;
}

#[actix_web::test]
async fn a_budget_is_given_to_the_last_point_on_two_nodes_at_once() {
    let nodes = two_nodes().await;
    let visit = |n| {
        let event =
            json!({ "key": format!("v-{n}"), "type": "visit", "member": { "id": guest(n) }, "data": {} });
        ("events".to_owned(), event)
    };
    assert_eq!(all_at_once(&nodes, GUESTS, visit, "none is refused").await, GUESTS);
    for node in &nodes {
        let campaigns = node.get(&format!("{CHAIN}/program/campaigns")).await.expect(200);
        assert_eq!(campaigns["items"][0]["given"], 100);
        let told = node.get(&format!("{CHAIN}/events?type=campaign.exhausted")).await.expect(200);
        assert_eq!(told["items"].as_array().unwrap().len(), 1);
    }
    stop(nodes).await;
}

#[actix_web::test]
async fn a_key_that_is_revoked_on_one_node_ends_on_the_other_within_seconds() {
    let nodes = two_nodes().await;
    let made = nodes[0].post("/v1/keys", &json!({ "role": "viewer" })).await.expect(201);
    let auth = format!("Bearer {}", made["key"].as_str().unwrap());
    let look = async |node: &TestApp| {
        let path = format!("{CHAIN}/members/nobody");
        node.request(Method::GET, &path, &[("authorization", &*auth)], Vec::new()).await.status
    };
    assert_eq!((look(&nodes[0]).await, look(&nodes[1]).await), (404, 404), "the key is good on both");
    let key = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    nodes[0].request(Method::DELETE, &key, &[], Vec::new()).await.expect(204);
    let revoked = Instant::now();
    assert_eq!(look(&nodes[0]).await, 401, "at once");
    nodes[1].until("it is noticed", async || (look(&nodes[1]).await == 401).then_some(())).await;
    // Two are promised; a busy machine is given more.
    assert!(revoked.elapsed() < Duration::from_secs(10), "{:?}", revoked.elapsed());
    stop(nodes).await;
}

#[actix_web::test]
async fn a_members_limits_hold_on_two_nodes_at_once() {
    let nodes = two_nodes().await;
    upload(&nodes[1], "summer", "SUMMER-A\nSUMMER-B").await;
    for n in 0..4 {
        let redeem = |_| (format!("members/{}/redemptions", guest(n)), json!({ "reward": "tour" }));
        assert_eq!(all_at_once(&nodes, 6, redeem, "reward_limit_reached").await, 2);
        let using = |time: usize| {
            let code = ["SUMMER-A", "SUMMER-B"][time / 2 % 2];
            (format!("coupons/{code}/use"), json!({ "member": guest(n) }))
        };
        assert_eq!(all_at_once(&nodes, 4, using, "coupon_member_limit_reached").await, 1);
    }
    stop(nodes).await;
}
