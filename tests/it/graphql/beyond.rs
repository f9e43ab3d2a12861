//! Beyond the document: what REST shows, in one query.

use serde_json::{Value, json};

use super::{ask, code, data};
use crate::support::{Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    members_and_what_is_theirs_come_in_one_query,
    lists_page_by_cursor_without_gaps_or_repeats,
    events_and_deliveries_are_found_as_over_rest,
    the_program_and_the_chain_are_shown,
}

async fn two_guests(app: &TestApp) {
    for (key, member) in [("o1", "ana"), ("o2", "bo"), ("o3", "ana")] {
        app.send(&order(key, member, "24.50")).await.expect(200);
    }
}

async fn members_and_what_is_theirs_come_in_one_query(app: TestApp) {
    two_guests(&app).await;
    let query = "{ members(chainId: \"harvest\") { nodes { id memberId points tier status lifetimeVisits lifetimeSpend
        lastVisit enrolledAt identities { kind value } wallets { wallet balance } segments { name } profile
        ledger { nodes { amount wallet credit } pageInfo { hasNextPage } }
        coupons { nodes { code } } events(first: 2) { nodes { type member data } pageInfo { hasNextPage endCursor } } } } }";
    let answer = ask(&app, query, json!({})).await;
    let nodes = data(&answer)["members"]["nodes"].as_array().unwrap();
    let shown = app.get("/v1/chains/harvest/members").await.expect(200);
    assert_eq!(nodes.len(), 2);
    for (node, view) in nodes.iter().zip(shown["items"].as_array().unwrap()) {
        for (ours, theirs) in [
            ("id", "id"),
            ("memberId", "member_id"),
            ("points", "points"),
            ("tier", "tier"),
            ("lifetimeVisits", "lifetime_visits"),
            ("lastVisit", "last_visit"),
            ("enrolledAt", "enrolled_at"),
            ("profile", "profile"),
        ] {
            assert_eq!(node[ours], view[theirs], "{ours}: {node}");
        }
        assert_eq!(node["status"], "ACTIVE");
        assert_eq!(node["wallets"][0]["balance"], view["wallets"][0]["balance"]);
        let id = view["id"].as_str().unwrap();
        let ledger = app.get(&format!("/v1/chains/harvest/members/{id}/ledger")).await.expect(200);
        let amounts = |lines: &Value| -> Vec<_> {
            lines.as_array().unwrap().iter().map(|line| line["amount"].clone()).collect()
        };
        assert!(!amounts(&node["ledger"]["nodes"]).is_empty());
        assert_eq!(amounts(&node["ledger"]["nodes"]), amounts(&ledger["items"]));
        let events = app.get(&format!("/v1/chains/harvest/members/{id}/events?limit=2")).await.expect(200);
        assert_eq!(node["events"]["pageInfo"]["endCursor"], events["items"][1]["id"]);
        assert_eq!(node["events"]["nodes"][0]["data"], events["items"][0]["data"]);
        assert_eq!(node["events"]["nodes"][0]["member"], events["items"][0]["member"]);
    }
    let ana = nodes.iter().position(|node| node["id"] == "ana").unwrap();
    let one = "query($id: String!) { member(chainId: \"harvest\", id: $id) { memberId lifetimeSpend } }";
    for (name, found) in [("ana", true), (nodes[ana]["memberId"].as_str().unwrap(), true), ("nobody", false)]
    {
        let answer = ask(&app, one, json!({ "id": name })).await;
        let member = &data(&answer)["member"];
        assert_eq!(member.is_object(), found, "{name}: {answer}");
        if found {
            assert_eq!(
                (&member["memberId"], &member["lifetimeSpend"]),
                (&nodes[ana]["memberId"], &json!("49.00"))
            );
            assert_eq!(shown["items"][ana]["lifetime_spend"].as_f64(), Some(49.0));
        }
    }
    app.stop().await;
}

async fn lists_page_by_cursor_without_gaps_or_repeats(app: TestApp) {
    two_guests(&app).await;
    let all = app.get("/v1/chains/harvest/events?limit=100").await.expect(200);
    let all: Vec<_> = all["items"].as_array().unwrap().iter().map(|event| event["id"].clone()).collect();
    let query = "query($after: String) { events(chainId: \"harvest\", first: 3, after: $after) {
        edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let answer = ask(&app, query, json!({ "after": after })).await;
        let page = &data(&answer)["events"];
        let edges = page["edges"].as_array().unwrap();
        assert!(edges.len() <= 3 && edges.iter().all(|edge| edge["cursor"] == edge["node"]["id"]), "{page}");
        assert_eq!(page["pageInfo"]["hasPreviousPage"], !after.is_null());
        assert_eq!(page["pageInfo"]["startCursor"], edges[0]["cursor"]);
        seen.extend(edges.iter().map(|edge| edge["node"]["id"].clone()));
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(seen, all);
    for (arguments, field) in [("first: 0", "first"), ("first: 101", "first"), ("after: \"x\"", "after")] {
        let answer = ask(
            &app,
            &format!("{{ events(chainId: \"harvest\", {arguments}) {{ nodes {{ id }} }} }}"),
            json!({}),
        )
        .await;
        let said = &answer["errors"][0]["extensions"];
        assert_eq!((&said["code"], &said["field"]), (&json!("invalid_field"), &json!(field)), "{answer}");
    }
    app.stop().await;
}

async fn events_and_deliveries_are_found_as_over_rest(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["points.earned"]).await;
    crm.answer([500_u16]);
    two_guests(&app).await;
    app.advance(0).await;
    app.advance(60).await;
    let events = "query($type: String, $member: String, $since: DateTime, $until: DateTime) {
        events(chainId: \"harvest\", type: $type, member: $member, since: $since, until: $until, first: 100) { nodes { id type } } }";
    for (filter, query) in [
        (json!({ "type": "points.earned" }), "type=points.earned"),
        (json!({ "member": "ana" }), "member=ana"),
        (json!({ "member": "nobody" }), "member=nobody"),
        (json!({ "type": "points.earned", "member": "bo" }), "type=points.earned&member=bo"),
        (json!({ "since": "2026-03-03T18:30:01Z" }), "since=2026-03-03T18:30:01Z"),
        (json!({ "until": "2026-03-03T18:30:01Z" }), "until=2026-03-03T18:30:01Z"),
    ] {
        let answer = ask(&app, events, filter.clone()).await;
        let ids =
            |list: &Value| -> Vec<_> { list.as_array().unwrap().iter().map(|e| e["id"].clone()).collect() };
        let shown = app.get(&format!("/v1/chains/harvest/events?limit=100&{query}")).await.expect(200);
        assert_eq!(ids(&data(&answer)["events"]["nodes"]), ids(&shown["items"]), "{filter}");
    }
    for wrong in [json!({ "type": "points.earnt" }), json!({ "since": "yesterday" })] {
        let answer = ask(&app, events, wrong.clone()).await;
        assert!(["invalid_field", "invalid_query"].contains(&code(&answer)), "{wrong}: {answer}");
    }
    let deliveries = "query($endpoint: ID!, $status: DeliveryStatus) {
        deliveries(chainId: \"harvest\", endpointId: $endpoint, status: $status) { nodes {
          id sequence eventId eventType status tries createdAt settledAt
          attempts { number at statusCode error responseBody durationMs } } } }";
    let answer = ask(&app, deliveries, json!({ "endpoint": endpoint, "status": "DELIVERED" })).await;
    let nodes = data(&answer)["deliveries"]["nodes"].as_array().unwrap();
    let log = app.deliveries(&endpoint).await;
    assert_eq!(nodes.len(), log.len());
    for (node, view) in nodes.iter().zip(&log) {
        let view = app.delivery(view["id"].as_str().unwrap()).await;
        assert_eq!(
            (&node["id"], &node["eventId"], &node["sequence"]),
            (&view["id"], &view["event"], &view["sequence"])
        );
        let code = |tries: &Value, name: &str| -> Vec<_> {
            tries.as_array().unwrap().iter().map(|t| (t["number"].clone(), t[name].clone())).collect()
        };
        assert_eq!(code(&node["attempts"], "statusCode"), code(&view["attempts"], "status_code"));
    }
    let is_retried = |node: &&Value| node["attempts"].as_array().map(Vec::len) == Some(2);
    let first = nodes.iter().find(is_retried).unwrap_or_else(|| panic!("{nodes:?}"));
    let one = "query($d: ID!, $e: ID!) { delivery(chainId: \"harvest\", deliveryId: $d) { status attempts { statusCode } }
        event(chainId: \"harvest\", eventId: $e) { type data } }";
    let answer = ask(&app, one, json!({ "d": first["id"], "e": first["eventId"] })).await;
    assert_eq!(data(&answer)["delivery"]["attempts"], json!([{ "statusCode": 500 }, { "statusCode": 200 }]));
    assert_eq!(data(&answer)["event"]["type"], "points.earned");
    let none = ask(&app, one, json!({ "d": "x", "e": "x" })).await;
    assert_eq!(data(&none), &json!({ "delivery": null, "event": null }));
    let unknown = ask(&app, deliveries, json!({ "endpoint": "ep_00000000000000000000000007" })).await;
    assert_eq!(code(&unknown), "not_found");
    app.stop().await;
}

async fn the_program_and_the_chain_are_shown(app: TestApp) {
    let query = "{ chains { nodes { id } } chain(chainId: \"harvest\") { id name timezone currency createdAt }
        program(chainId: \"harvest\") { version hash publishedAt origin tiers rules suspended { rule } candidate problems } }";
    let answer = ask(&app, query, json!({})).await;
    let (chain, program) = (&data(&answer)["chain"], &data(&answer)["program"]);
    let shown = app.get("/v1/chains/harvest").await.expect(200);
    assert_eq!(
        (&chain["name"], &chain["timezone"], &chain["createdAt"]),
        (&shown["name"], &shown["timezone"], &shown["created_at"])
    );
    assert!(data(&answer)["chains"]["nodes"].as_array().unwrap().contains(&json!({ "id": "harvest" })));
    let shown = app.get("/v1/chains/harvest/program").await.expect(200);
    for (ours, theirs) in [
        ("version", "version"),
        ("hash", "hash"),
        ("publishedAt", "published_at"),
        ("tiers", "tiers"),
        ("rules", "rules"),
    ] {
        assert_eq!(program[ours], shown[theirs], "{ours}");
    }
    assert_eq!((&program["origin"], &program["problems"]), (&json!("folder"), &json!([])));
    app.stop().await;
}
