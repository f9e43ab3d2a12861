//! Every route that changes something, asked once by somebody with a key of their own: each leaves its line.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{CHAIN, actions, ids, lines, send};
use crate::support::{Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    every_route_that_changes_something_leaves_its_line,
}

/// Routes that are no reading and leave no line, each with the reason.
const WITHOUT_A_LINE: &[(&str, &str)] = &[
    ("POST /v1/clock", "moves the clock of tests; nothing is stored"),
    ("POST /v1/chains/{chain}/events", "tills send these: source events are the log of them"),
    ("POST /v1/chains/{chain}/events/batch", "likewise"),
    ("POST /v1/chains/{chain}/events/dry_run", "nothing is stored"),
    ("POST /v1/chains/{chain}/program/check", "nothing is stored"),
    ("POST /v1/chains/{chain}/program/backtest", "nothing is stored"),
    ("POST /v1/chains/{chain}/endpoints/{endpoint}/test", "nothing is stored"),
    ("POST /graphql", "leaves the lines of what it changes, as another test of the log says"),
    ("POST /v1/chains/{chain}/churn/refit", "takes hundreds of guests: `churn` looks for its line"),
];

/// All routes that are no reading, as `POST /v1/…`: by the document that is made of what is served.
async fn changing_routes(app: &TestApp) -> BTreeSet<String> {
    let document = app.get("/openapi.json").await.expect(200);
    let mut found = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let changing =
            methods.as_object().unwrap().keys().filter(|method| !matches!(&***method, "get" | "head"));
        found.extend(changing.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    assert!(found.len() > 50, "{found:?}");
    found
}

/// What somebody with a key of their own does, a step at a time.
struct Story {
    app: TestApp,
    key: String,
    auth: String,
    told: BTreeSet<String>,
    seen: BTreeSet<String>,
}

impl Story {
    async fn of(app: TestApp) -> Self {
        let made = app.post("/v1/keys", &json!({ "role": "admin", "name": "office" })).await.expect(201);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let (key, auth) = (text("id"), format!("Bearer {}", text("key")));
        let seen = ids(&lines(&app, "").await);
        Self { app, key, auth, told: BTreeSet::new(), seen }
    }

    /// Asks a route for something; that leaves lines of these actions about `target`, and no others. `route` has what fills it.
    async fn does(
        &mut self,
        (route, fill): (&str, &[&str]),
        body: Value,
        action: &str,
        target: Option<&str>,
    ) -> Value {
        let (method, path) = route.split_once(' ').unwrap();
        let path = fill.iter().fold(path.to_owned(), |path, value| {
            let (before, rest) = path.split_once('{').unwrap();
            format!("{before}{value}{}", rest.split_once('}').unwrap().1)
        });
        let reply = send(&self.app, &self.auth, method.parse().unwrap(), &path, &body).await;
        assert!((200..300).contains(&reply.status), "{route}: {} {}", reply.status, reply.text);
        let all = lines(&self.app, "").await;
        let new: Vec<_> = all
            .into_iter()
            .filter(|line| self.seen.insert(line["id"].as_str().unwrap().to_owned()))
            .collect();
        let mut wanted: Vec<_> = action.split(' ').collect();
        let mut found = actions(&new);
        wanted.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, wanted, "{route}: {new:?}");
        for line in &new {
            let author = json!({ "type": "key", "id": self.key, "name": "office", "role": "admin" });
            assert_eq!(line["author"], author, "{route}");
            let origin =
                json!({ "address": "127.0.0.1", "request_id": reply.header("x-request-id").unwrap() });
            assert_eq!(line["origin"], origin, "{route}");
            assert!(line["before"].is_object() || line["after"].is_object(), "{route}: {line}");
            if let Some(target) = target {
                assert_eq!(line["target"]["id"], target, "{route}: {line}");
            }
        }
        self.told.insert(route.to_owned());
        if reply.text.is_empty() { Value::Null } else { reply.json() }
    }

    /// Something that is not looked at closely; its lines count as seen.
    async fn meanwhile(&mut self, path: &str, body: Value) -> Value {
        let answer = self.app.post(path, &body).await;
        assert!((200..300).contains(&answer.status), "{path}: {}", answer.text);
        self.seen.extend(ids(&lines(&self.app, "").await));
        answer.json()
    }

    async fn member(&self, name: &str) -> String {
        let shown = self.app.get(&format!("{CHAIN}/members/{name}")).await.expect(200);
        shown["member_id"].as_str().unwrap().to_owned()
    }
}

const MANIFEST: &str = r#"
name = "Harvest"
timezone = "America/New_York"
currency = "USD"
tiers = ["bronze", "silver", "gold"]
enrol_on_first_sight = true

[[wallets]]
code = "points"

[[wallets]]
code = "slow"
pending = "until confirmed"

[referrals]
minimum = 15
expires_after_days = 30
[referrals.sender]
award = 10

[[rewards]]
id = "mug"
title = "A blue mug"
type = "physical"
cost = 20
auto_approve = false
"#;
const EARN: &str = "rule \"Earn\" on order.completed { award(order.total); award_to(5, \"slow\"); }\n";
const BAD: &str =
    "rule \"Bad\" on order.completed when order.total > 5 { award(100 / (order.total - order.total)); }\n";

fn files(rules: &str) -> Value {
    json!({ "program.toml": MANIFEST, "rules.rhai": rules })
}

async fn every_route_that_changes_something_leaves_its_line(app: TestApp) {
    let mut story = Story::of(app).await;
    of_the_configuration(&mut story).await;
    of_endpoints(&mut story).await;
    of_programs(&mut story).await;
    of_members(&mut story).await;
    of_coupons(&mut story).await;
    let without: BTreeSet<_> = WITHOUT_A_LINE.iter().map(|(route, _)| (*route).to_owned()).collect();
    let known: BTreeSet<_> = story.told.union(&without).cloned().collect();
    assert_eq!(
        known,
        changing_routes(&story.app).await,
        "each route leaves a line, or says why it leaves none"
    );
    assert!(story.told.is_disjoint(&without));
    story.app.stop().await;
}

async fn of_the_configuration(story: &mut Story) {
    let chain = json!({ "id": "other", "name": "Other", "timezone": "Europe/Berlin", "currency": "EUR" });
    story.does(("POST /v1/chains", &[]), chain, "chain.created", Some("other")).await;
    let patch = ("PATCH /v1/chains/{chain}", &["other"][..]);
    story.does(patch, json!({ "name": "Another" }), "chain.updated", Some("other")).await;
    let key = json!({ "role": "ingest", "chain": "other", "name": "till" });
    let made = story.does(("POST /v1/keys", &[]), key, "key.created", None).await;
    let id = made["id"].as_str().unwrap();
    let renamed = json!({ "name": "till 4" });
    story.does(("PATCH /v1/keys/{key}", &[id]), renamed, "key.updated", Some(id)).await;
    story.does(("POST /v1/keys/{key}/rotate", &[id]), json!({}), "key.rotated", Some(id)).await;
    story.does(("DELETE /v1/keys/{key}", &[id]), Value::Null, "key.revoked", Some(id)).await;
}

async fn of_endpoints(story: &mut Story) {
    let receiver = Receiver::start().await;
    let body = json!({ "url": receiver.url, "events": ["points.earned"] });
    let all = "POST /v1/chains/{chain}/endpoints";
    let made = story.does((all, &["harvest"]), body, "endpoint.created", None).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let of = &["harvest", &*id][..];
    let one = "/v1/chains/{chain}/endpoints/{endpoint}";
    for (method, what, body, action) in [
        ("PATCH", "", json!({ "description": "the CRM" }), "endpoint.updated"),
        ("POST", "/pause", json!({}), "endpoint.paused"),
        ("POST", "/enable", json!({}), "endpoint.enabled"),
        ("POST", "/disable", json!({}), "endpoint.disabled"),
        ("POST", "/rotate_secret", json!({}), "endpoint.secret_rotated"),
    ] {
        story.does((&format!("{method} {one}{what}"), of), body, action, Some(&id)).await;
    }
    let ended = (&*format!("DELETE {one}/secrets/{{signing_key}}"), &["harvest", &*id, "1"][..]);
    story.does(ended, Value::Null, "endpoint.secret_ended", Some(&id)).await;
    // It is disabled: what is owed waits, and so does a recovery.
    story.app.send(&order("owed", "ana", "20.00")).await.expect(200);
    let delivery = story.app.deliveries(&id).await[0]["id"].as_str().unwrap().to_owned();
    for (what, action) in [("discard", "delivery.discarded"), ("retry", "delivery.retried")] {
        let route = format!("POST /v1/chains/{{chain}}/deliveries/{{delivery}}/{what}");
        story.does((&route, &["harvest", &delivery]), json!({}), action, Some(&delivery)).await;
    }
    let since = json!({ "since": "2026-03-03T00:00:00Z", "status": "all" });
    story.app.advance(60).await;
    let begun = story.does((&format!("POST {one}/recover"), of), since, "recovery.begun", None).await;
    let recovery = begun["recovery"].as_str().unwrap();
    let stop = format!("POST {one}/recoveries/{{recovery}}/stop");
    let fill = &["harvest", &*id, recovery][..];
    story.does((&stop, fill), json!({}), "recovery.stopped", Some(recovery)).await;
    story.does((&format!("DELETE {one}"), of), Value::Null, "endpoint.deleted", Some(&id)).await;
}

async fn of_programs(story: &mut Story) {
    let program = "/v1/chains/{chain}/program";
    let of = &["harvest"][..];
    let publish = format!("POST {program}/publish");
    let both = json!({ "files": files(&format!("{EARN}{BAD}")), "note": "in force" });
    let made = story.does((&publish, of), both, "program.published", Some("2")).await;
    assert_eq!(made["version"], 2);
    for n in 0..10 {
        let failing = order(&format!("o{n}"), &format!("g{n}"), "10.00");
        assert_eq!(story.app.send(&failing).await.expect(200)["status"], "failed");
    }
    story.seen.extend(ids(&lines(&story.app, "action=rule.suspended").await));
    let resume = format!("POST {program}/rules/resume");
    story.does((&resume, of), json!({ "rule": "Bad" }), "rule.resumed", Some("Bad")).await;
    let failed = story.app.get(&format!("{CHAIN}/source_events?status=failed&limit=1")).await.expect(200);
    let source = failed["items"][0]["id"].as_str().unwrap();
    let replay = ("POST /v1/chains/{chain}/source_events/{source_event}/replay", &["harvest", source][..]);
    story.does(replay, json!({}), "source_event.replayed", Some(source)).await;

    let candidate = format!("{program}/candidate");
    let begin = format!("POST {candidate}");
    let tried = |share: u32| json!({ "files": files(&format!("{EARN}// tried\n")), "share": share });
    story.does((&begin, of), tried(10), "candidate.begun", Some("3")).await;
    let change = format!("PATCH {candidate}");
    story.does((&change, of), json!({ "share": 20 }), "candidate.changed", Some("3")).await;
    story.does((&format!("POST {candidate}/drop"), of), json!({}), "candidate.dropped", Some("3")).await;
    story.does((&begin, of), tried(100), "candidate.begun", Some("4")).await;
    let promote = format!("POST {candidate}/promote");
    story.does((&promote, of), json!({}), "candidate.promoted program.published", None).await;
    let back = format!("POST {program}/rollback");
    story.does((&back, of), json!({ "version": 2 }), "program.published", Some("6")).await;
    story.meanwhile(&format!("{CHAIN}/program/publish"), json!({ "files": files(EARN) })).await;
}

async fn of_members(story: &mut Story) {
    let of = "/v1/chains/{chain}/members";
    let create = (&*format!("POST {of}"), &["harvest"][..]);
    let made = story.does(create, json!({ "id": "eva" }), "member.created", None).await;
    assert_eq!(made["status"], "processed");
    let eva = story.member("eva").await;
    story.app.send(&order("first", "ben", "50.00")).await.expect(200);
    let ben = story.member("ben").await;
    let code = story.app.get(&format!("{CHAIN}/members/ben/referral")).await.expect(200);
    let referral = json!({ "code": code["code"], "channel": "friend" });
    let parked =
        json!({ "key": "x1", "type": "order.completed", "data": { "order_id": "x1", "total": "5.00" } });
    assert_eq!(story.app.send(&parked).await.expect(200)["status"], "parked");
    for (method, what, body, action) in [
        ("PATCH", "", json!({ "first_name": "Eva" }), "member.updated"),
        ("POST", "/referral", referral, "member.referral_accepted"),
        ("POST", "/referral/approve", json!({}), "member.referral_approved"),
        ("POST", "/claims", json!({ "code": "x1" }), "member.order_claimed"),
        ("POST", "/points", json!({ "amount": 500, "reason": "Cold soup" }), "member.points_adjusted"),
        ("POST", "/points/confirm", json!({ "origin": "x1" }), "member.points_confirmed"),
        ("POST", "/tier", json!({ "tier": "gold", "reason": "A friend" }), "member.tier_set"),
        ("DELETE", "/tier", Value::Null, "member.tier_cleared"),
    ] {
        let route = format!("{method} {of}/{{member}}{what}");
        story.does((&route, &["harvest", "eva"]), body, action, Some(&eva)).await;
    }
    let redeem = format!("POST {of}/{{member}}/redemptions");
    let mut wishes = Vec::new();
    for _ in 0..3 {
        let route = (&*redeem, &["harvest", "eva"][..]);
        let receipt =
            story.does(route, json!({ "reward": "mug" }), "member.reward_redeemed", Some(&eva)).await;
        let told = receipt["events"].as_array().unwrap().iter();
        let id = told.filter_map(|event| event["data"]["redemption_id"].as_str()).next().unwrap();
        wishes.push(id.to_owned());
    }
    for (wish, step, action) in [
        (0, "approve", "member.redemption_approved"),
        (0, "fulfill", "member.redemption_fulfilled"),
        (1, "reject", "member.redemption_rejected"),
        (2, "cancel", "member.redemption_cancelled"),
    ] {
        let route = format!("POST /v1/chains/{{chain}}/redemptions/{{redemption}}/{step}");
        story.does((&route, &["harvest", &wishes[wish]]), json!({}), action, Some(&eva)).await;
    }
    story.meanwhile(&format!("{CHAIN}/members"), json!({ "id": "kim" })).await;
    let kim = story.member("kim").await;
    let code = json!({ "code": code["code"] });
    story.meanwhile(&format!("{CHAIN}/members/kim/referral"), code).await;
    let reject = format!("POST {of}/{{member}}/referral/reject");
    let reason = json!({ "reason": "Same household" });
    story.does((&reject, &["harvest", "kim"]), reason, "member.referral_rejected", Some(&kim)).await;
    let merge = (&*format!("POST {of}/{{member}}/merge"), &["harvest", "ben"][..]);
    story.does(merge, json!({ "from": "kim" }), "member.merged", Some(&ben)).await;
    let part = (&*format!("POST {of}/{{member}}/unmerge"), &["harvest", "ben"][..]);
    story.does(part, json!({ "member": kim }), "member.unmerged", Some(&ben)).await;
    let erase = (&*format!("DELETE {of}/{{member}}"), &["harvest", "kim"][..]);
    story.does(erase, Value::Null, "member.erased", Some(&kim)).await;
}

async fn of_coupons(story: &mut Story) {
    let book = json!({ "name": "Soup", "type": "generated", "discount_type": "free_item" });
    let books = "POST /v1/chains/{chain}/coupon_books";
    let made = story.does((books, &["harvest"]), book, "coupon_book.created", None).await;
    let key = made["coupon_book_key"].as_str().unwrap();
    let fill = (&*format!("{books}/{{book}}/codes"), &["harvest", key][..]);
    story.does(fill, json!({ "generate": 3 }), "coupon_book.filled", Some(key)).await;
    let eva = story.member("eva").await;
    let assign = ("POST /v1/chains/{chain}/members/{member}/coupons", &["harvest", "eva"][..]);
    let given = story.does(assign, json!({ "book": key }), "member.coupon_assigned", Some(&eva)).await;
    let told = |receipt: &Value, field: &str| {
        let events = receipt["events"].as_array().unwrap().iter();
        events.filter_map(|event| event["data"][field].as_str()).next_back().unwrap().to_owned()
    };
    let code = told(&given, "code");
    let mut usage = Value::Null;
    for (what, action) in [
        ("reserve", "member.coupon_reserved"),
        ("release", "member.coupon_released"),
        ("use", "member.coupon_used"),
        ("revert", "member.coupon_reverted"),
    ] {
        let mut body = json!({ "member": "eva" });
        if what == "revert" {
            body["usage"] = usage.clone();
        }
        let route = format!("POST /v1/chains/{{chain}}/coupons/{{coupon}}/{what}");
        let receipt = story.does((&route, &["harvest", &code]), body, action, Some(&eva)).await;
        usage = told(&receipt, "coupon_usage_key").into();
    }
}
