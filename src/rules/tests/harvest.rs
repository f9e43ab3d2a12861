//! The sample chain.

use super::*;
use crate::domain::money::Points;
use crate::rules::testing;

fn harvest_chain() -> Chain {
    Chain { id: "harvest".parse().unwrap(), ..chain() }
}

#[test]
fn the_sample_chain_loads_and_its_tests_pass() {
    let sources = harvest();
    let program = Program::load(&sources, &harvest_chain(), 1).unwrap_or_else(|p| panic!("{p:#?}"));
    let outcomes = testing::run(&program, &sources, &harvest_chain());
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.failure.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(outcomes.len() >= 12);
}

#[test]
fn the_receipt_that_the_documentation_promises_is_literally_true() {
    let mut life = Life::new(Program::load(&harvest(), &harvest_chain(), 3).unwrap());
    life.member.standing.wallets.open(&life.program.terms.wallets[0].code).credit(Points(50), None).unwrap();
    life.member.version = 1;
    let commit = life.send(
        r#"{ "key": "ORD-1001", "type": "order.completed", "occurred_at": "2026-03-03T18:30:00Z",
        "member": { "id": "m-42" }, "location": "loc_philly_walnut",
        "data": { "order_id": "ORD-1001", "total": 24.50, "subtotal": 22.50, "tax": 2.00, "channel": "pos",
            "items": [ { "sku": "dish_001", "name": "Power Bowl", "category": "food", "quantity": 1, "price": 14.50 } ] } }"#,
    );
    let receipt = receipt(&commit);
    assert_eq!(receipt["status"], "processed");
    assert_eq!(receipt["program_version"], 3);
    assert_eq!((&receipt["member"]["points"], &receipt["member"]["tier"]), (&74.into(), &"bronze".into()));
    let effects = serde_json::json!([{ "rule": "Points per dollar", "at": "earning.rhai:12", "effect": "award", "amount": 24, "wallet": "points" }]);
    assert_eq!(receipt["effects"], effects);
    assert_eq!(receipt["events"][0]["type"], "order.completed");
    assert_eq!(receipt["events"][1]["data"], serde_json::json!({ "amount": 24, "new_balance": 74 }));
}
