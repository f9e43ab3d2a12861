//! What somebody did to the database by hand, and what `punchcard verify` says of it. The only tests that look into it.

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use serde_json::json;

use crate::support::receiver::Scripted;
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    from super::with_program;
    every_damage_is_named_and_nothing_is_found_without_any,
    every_damage_to_what_is_owed_is_named,
}

const CHAIN: &str = "/v1/chains/harvest";

const PROGRAM: &str = r#"
[[wallets]]
code = "points"
[[wallets]]
code = "stars"
pending = "until confirmed"

[[campaigns]]
id = "starry"
name = "Starry"
wallet = "stars"

[[rewards]]
id = "mug"
title = "A blue mug"
type = "physical"
cost = 5
stock = 10

[[coupon_books]]
id = "gift"
name = "A gift"
discount_type = "other"
"#;

const RULE: &str = r#"
rule "A star for each order" on order.completed campaign "starry" { award_to(1, "stars"); }
"#;

async fn with_program(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| {
        let append = |file: &str, more: &str| {
            let file = config.rules.join("harvest").join(file);
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(file, text + more).unwrap();
        };
        append("program.toml", PROGRAM);
        append("earning.rhai", RULE);
    })
    .await
}

/// Something of everything that is counted.
async fn lives(app: &TestApp) {
    for (key, member) in [("o1", "ana"), ("o2", "ana"), ("o3", "ben"), ("o4", "cem")] {
        app.send(&order(key, member, "40.00")).await.expect(200);
    }
    for (path, body) in [
        ("members/ana/merge", json!({ "from": "ben" })),
        ("members/ana/redemptions", json!({ "reward": "mug" })),
        ("members/cem/redemptions", json!({ "reward": "mug" })),
        ("members/cem/points", json!({ "amount": -2, "reason": "A mistake" })),
    ] {
        app.post(&format!("{CHAIN}/{path}"), &body).await.expect(200);
    }
    let given =
        app.post(&format!("{CHAIN}/members/cem/coupons"), &json!({ "book": "gift" })).await.expect(200);
    let code = given["events"][0]["data"]["code"].as_str().unwrap();
    app.post(&format!("{CHAIN}/coupons/{code}/use"), &json!({ "member": "cem" })).await.expect(200);
}

/// What is done, how it is undone, and what is said of it.
const DAMAGES: &[(&str, &str, &str)] = &[
    (
        "UPDATE transfers SET amount = amount + 1 WHERE debit LIKE 'member:%' AND credit = 'chain:adjusted'",
        "UPDATE transfers SET amount = amount - 1 WHERE debit LIKE 'member:%' AND credit = 'chain:adjusted'",
        "adds up to 32 points, the balance says 33",
    ),
    (
        "UPDATE members SET state = replace(state, '\"balance\":33', '\"balance\":43')",
        "UPDATE members SET state = replace(state, '\"balance\":43', '\"balance\":33')",
        "adds up to 33 points, the balance says 43",
    ),
    (
        "UPDATE transfers SET amount = 3 WHERE credit LIKE 'pending:%' AND debit = 'chain:issued'",
        "UPDATE transfers SET amount = 1 WHERE credit LIKE 'pending:%' AND debit = 'chain:issued'",
        "the ledger of pending:",
    ),
    (
        "UPDATE transfers SET wallet = 'moons' WHERE credit LIKE 'pending:%' AND debit = 'chain:issued'",
        "UPDATE transfers SET wallet = 'stars' WHERE credit LIKE 'pending:%' AND debit = 'chain:issued'",
        "stars",
    ),
    (
        "UPDATE members SET state = replace(state, '\"balance\":33', '\"balance\":34'); \
         UPDATE transfers SET amount = amount - 1 WHERE credit = 'chain:adjusted'",
        "UPDATE members SET state = replace(state, '\"balance\":34', '\"balance\":33'); \
         UPDATE transfers SET amount = amount + 1 WHERE credit = 'chain:adjusted'",
        "add up to 33 points, the balance says 34",
    ),
    (
        "UPDATE members SET chain = 'elsewhere' WHERE state LIKE '%\"balance\":33%'",
        "UPDATE members SET chain = 'harvest' WHERE chain = 'elsewhere'",
        "who does not exist",
    ),
    (
        "UPDATE transfers SET credit = 'chain:expired' WHERE credit = 'chain:merged' AND wallet = 'points'",
        "UPDATE transfers SET credit = 'chain:merged' WHERE credit = 'chain:expired'",
        "40 points came out of a merge that nobody brought",
    ),
    (
        "UPDATE transfers SET debit = 'chain:issued' WHERE debit = 'chain:merged' AND wallet = 'points'",
        "UPDATE transfers SET debit = 'chain:merged' WHERE debit = 'chain:issued' AND reason = 'members merged'",
        "40 points went into a merge and did not come out",
    ),
    (
        "UPDATE transfers SET previous = NULL WHERE credit = 'chain:adjusted'",
        "UPDATE transfers SET previous = (SELECT id FROM transfers AS redeemed WHERE redeemed.credit = 'chain:redeemed' \
         AND redeemed.debit = transfers.debit) WHERE credit = 'chain:adjusted'",
        "are not one row",
    ),
    (
        "UPDATE transfers SET id = 'x' || id WHERE credit = 'chain:adjusted'",
        "UPDATE transfers SET id = substr(id, 2) WHERE credit = 'chain:adjusted'",
        "which is missing from transfers",
    ),
    (
        "UPDATE transfers SET id = 'x' || id WHERE credit = 'chain:redeemed'",
        "UPDATE transfers SET id = substr(id, 2) WHERE credit = 'chain:redeemed'",
        "which is missing from transfers",
    ),
    (
        "UPDATE transfers SET member = 'mem_7ZZZZZZZZZZZZZZZZZZZZZZZZZ' WHERE credit = 'chain:adjusted'",
        "UPDATE transfers SET member = substr(debit, 8) WHERE credit = 'chain:adjusted'",
        "whose points it does not move",
    ),
    (
        "UPDATE loyalty_events SET id = 'x' || id WHERE kind = 'coupon.used'",
        "UPDATE loyalty_events SET id = substr(id, 2) WHERE kind = 'coupon.used'",
        "which is missing from loyalty_events",
    ),
    (
        "UPDATE redemptions SET id = 'x' || id WHERE reward = 'mug'",
        "UPDATE redemptions SET id = substr(id, 2) WHERE reward = 'mug'",
        "which is missing from redemptions",
    ),
    (
        "UPDATE reward_stock SET taken = 3",
        "UPDATE reward_stock SET taken = 2",
        "2 of `mug` that are taken, the count says 3",
    ),
    (
        "DELETE FROM reward_stock",
        "INSERT INTO reward_stock (chain, reward, taken) VALUES ('harvest', 'mug', 2)",
        "2 of `mug` that are taken, the count says 0",
    ),
    (
        "UPDATE campaign_budgets SET taken = 5",
        "UPDATE campaign_budgets SET taken = 4",
        "there are 4 points that campaign `starry` gave, the count says 5",
    ),
    (
        "DELETE FROM campaign_budgets",
        "INSERT INTO campaign_budgets (chain, campaign, period, taken, told) VALUES ('harvest', 'starry', 'total', 4, 0)",
        "there are 4 points that campaign `starry` gave, the count says 0",
    ),
    (
        "UPDATE coupons SET total_usages = 0",
        "UPDATE coupons SET total_usages = 1",
        "there are 1 uses of coupon",
    ),
    (
        "UPDATE coupons SET total_assigned = 2",
        "UPDATE coupons SET total_assigned = 1",
        "there are 1 assignments of coupon",
    ),
    (
        "UPDATE coupon_usages SET kind = 'reserved' WHERE kind = 'used'",
        "UPDATE coupon_usages SET kind = 'used' WHERE kind = 'reserved'",
        "there are 0 uses of coupon",
    ),
    (
        "UPDATE coupons SET code = 'X' || code",
        "UPDATE coupons SET code = substr(code, 2)",
        "which is missing from coupons",
    ),
    (
        "UPDATE coupon_holdings SET used = 0",
        "UPDATE coupon_holdings SET used = 1",
        "by members, the count says 0",
    ),
    (
        "UPDATE coupon_holdings SET assigned = 2",
        "UPDATE coupon_holdings SET assigned = 1",
        "there are 1 assignments of coupon ",
    ),
    (
        "UPDATE coupon_holdings SET member = 'mem_7ZZZZZZZZZZZZZZZZZZZZZZZZZ'",
        "UPDATE coupon_holdings SET member = (SELECT member FROM coupon_tallies)",
        "by members, the count says 0",
    ),
    (
        "UPDATE coupon_holdings SET book = 'x' || book",
        "UPDATE coupon_holdings SET book = substr(book, 2)",
        "has of a book of chain harvest names",
    ),
    (
        "UPDATE coupon_tallies SET used = 2",
        "UPDATE coupon_tallies SET used = 1",
        "there are 1 uses of coupon book ",
    ),
    (
        "UPDATE coupon_tallies SET assigned = 0",
        "UPDATE coupon_tallies SET assigned = 1",
        "there are 1 assignments of coupon book ",
    ),
];

/// The same of deliveries: 1 is owed and 2 waits behind it, 3 arrived, 4 failed.
const DAMAGES_TO_DELIVERIES: &[(&str, &str, &str)] = &[
    (
        "UPDATE endpoint_sequences SET last_seq = 5",
        "UPDATE endpoint_sequences SET last_seq = 4",
        "there are 4 deliveries to endpoint ep_",
    ),
    (
        "UPDATE endpoint_sequences SET chain = 'elsewhere'",
        "UPDATE endpoint_sequences SET chain = 'harvest'",
        "the count says 0",
    ),
    (
        "UPDATE deliveries SET chain = 'elsewhere' WHERE seq = 4",
        "UPDATE deliveries SET chain = 'harvest' WHERE seq = 4",
        "there are 3 deliveries to endpoint ep_",
    ),
    (
        "UPDATE deliveries SET seq = 9 WHERE seq = 4",
        "UPDATE deliveries SET seq = 4 WHERE seq = 9",
        "have gaps",
    ),
    (
        "UPDATE deliveries SET seq = 0 WHERE seq = 3",
        "UPDATE deliveries SET seq = 3 WHERE seq = 0",
        "have gaps",
    ),
    (
        "UPDATE deliveries SET settled_at = due_at WHERE seq = 1",
        "UPDATE deliveries SET settled_at = NULL WHERE seq = 1",
        "is said to be pending, but",
    ),
    (
        "UPDATE deliveries SET status = 'delivered' WHERE seq = 2",
        "UPDATE deliveries SET status = 'waiting' WHERE seq = 2",
        "is said to be delivered, but",
    ),
    (
        "UPDATE deliveries SET settled_at = NULL WHERE seq = 3",
        "UPDATE deliveries SET settled_at = created_at WHERE seq = 3",
        "is said to be delivered, but",
    ),
    (
        "UPDATE deliveries SET due_at = settled_at WHERE seq = 4",
        "UPDATE deliveries SET due_at = NULL WHERE seq = 4",
        "is said to be failed, but",
    ),
    (
        "UPDATE deliveries SET status = 'lost' WHERE seq = 4",
        "UPDATE deliveries SET status = 'failed' WHERE seq = 4",
        "is said to be lost, but",
    ),
    (
        "UPDATE deliveries SET status = 'waiting', due_at = NULL WHERE seq = 1",
        "UPDATE deliveries SET status = 'pending', due_at = created_at WHERE seq = 1",
        "wait for nothing",
    ),
    (
        "UPDATE deliveries SET status = 'pending', due_at = created_at WHERE seq = 2",
        "UPDATE deliveries SET status = 'waiting', due_at = NULL WHERE seq = 2",
        "2 are due, and not the first alone",
    ),
    (
        "UPDATE deliveries SET status = CASE seq WHEN 1 THEN 'waiting' ELSE 'pending' END, \
         due_at = CASE seq WHEN 1 THEN NULL ELSE created_at END WHERE seq <= 2",
        "UPDATE deliveries SET status = CASE seq WHEN 1 THEN 'pending' ELSE 'waiting' END, \
         due_at = CASE seq WHEN 1 THEN created_at ELSE NULL END WHERE seq <= 2",
        "1 are due, and not the first alone",
    ),
    (
        "UPDATE loyalty_events SET id = 'x' || id WHERE id = (SELECT event FROM deliveries WHERE seq = 1)",
        "UPDATE loyalty_events SET id = substr(id, 2) WHERE id LIKE 'x%'",
        "delivery dlv_",
    ),
];

async fn every_damage_to_what_is_owed_is_named(app: TestApp) {
    let crm = Receiver::start().await;
    let endpoint = json!({ "url": crm.url, "events": ["order.completed"], "lane": "member" });
    app.post(&format!("{CHAIN}/endpoints"), &endpoint).await.expect(201);
    let never = Scripted { status: 422, headers: vec![("webhook-delivery", "abort-message".to_owned())] };
    crm.answer([500.into(), 200.into(), never]);
    for (key, member) in [("o1", "ana"), ("o2", "ana"), ("o3", "ben"), ("o4", "cem")] {
        app.send(&order(key, member, "40.00")).await.expect(200);
        app.advance(0).await;
    }
    name_each(&app, DAMAGES_TO_DELIVERIES);
    app.stop().await;
}

async fn every_damage_is_named_and_nothing_is_found_without_any(app: TestApp) {
    lives(&app).await;
    name_each(&app, DAMAGES);
    app.stop().await;
}

/// Damages the database and mends it again.
fn name_each(app: &TestApp, damages: &[(&str, &str, &str)]) {
    let database = app.database();
    app.verify();
    for (damage, mend, words) in damages {
        execute(&database, damage);
        let (code, said) = app.verdict();
        assert_eq!(code, Some(1), "{damage}: {said}");
        assert!(said.contains(words), "{damage}: {said}");
        execute(&database, mend);
        assert_eq!(app.verdict().0, Some(0), "{mend}: {}", app.verdict().1);
    }
}

fn execute(database: &str, sql: &str) {
    let done = match database.strip_prefix("sqlite://") {
        Some(file) => SqliteConnection::establish(file).unwrap().batch_execute(sql),
        None => PgConnection::establish(database).unwrap().batch_execute(sql),
    };
    done.unwrap_or_else(|e| panic!("{sql}: {e}"));
}
