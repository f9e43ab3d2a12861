//! Two members who are one person: merged, told apart again.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::builders::START;
use crate::support::{Receiver, TestApp, on_both_backends, order, refund};

on_both_backends! {
    a_merge_moves_everything_and_an_unmerge_gives_it_back,
    orders_and_refunds_of_the_absorbed_member_find_the_survivor,
    what_cannot_be_merged_is_refused_by_name,
    two_merges_of_one_pair_at_once_leave_one_member,
    a_merge_goes_through_while_orders_arrive,
    coupons_go_with_their_member_and_come_back,
}

fn path(member: &str, rest: &str) -> String {
    format!("/v1/chains/harvest/members/{member}{rest}")
}

async fn member(app: &TestApp, name: &str) -> Value {
    app.get(&path(name, "")).await.expect(200)
}

async fn merge(app: &TestApp, survivor: &str, from: &str) -> Value {
    app.post(&path(survivor, "/merge"), &json!({ "from": from })).await.expect(200)
}

fn our_id(member: &Value) -> String {
    member["member_id"].as_str().unwrap().to_owned()
}

async fn a_merge_moves_everything_and_an_unmerge_gives_it_back(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["member.merged", "member.unmerged"]).await;
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.send(&order("o2", "anna", "30.00")).await.expect(200);
    app.post(&path("anna", "/points"), &json!({ "amount": 500, "reason": "Gift" })).await.expect(200);
    let profile = json!({ "email": "anna@example.com", "first_name": "Anna", "consents": { "sms": false } });
    app.request(Method::PATCH, &path("anna", ""), &[], profile.to_string().into_bytes()).await.expect(200);
    let (ana, anna) = (member(&app, "ana").await, member(&app, "anna").await);
    let gone = our_id(&anna);
    let together = ana["points"].as_i64().unwrap() + anna["points"].as_i64().unwrap();

    let receipt = merge(&app, "ana", "anna@example.com").await;
    assert_eq!(receipt["member"]["points"], together);
    let merged = member(&app, "anna").await;
    assert_eq!((&merged["member_id"], &merged["absorbed"]), (&ana["member_id"], &json!([gone])));
    assert_eq!((&merged["points"], &merged["lifetime_visits"]), (&json!(together), &json!(2)));
    assert_eq!((&merged["id"], &merged["email"]), (&json!("ana"), &json!("anna@example.com")));
    assert_eq!(merged["profile"], json!({ "first_name": "Anna", "consents": { "sms": false } }));
    assert_eq!(member(&app, &gone).await["member_id"], ana["member_id"], "our id finds the survivor, too");
    app.verify();
    let lines = app.get(&path(&gone, "/ledger")).await.expect(200);
    assert_eq!(lines["items"][0]["credit"], "chain:merged");
    assert_eq!(lines["items"][1]["reason"], "Gift", "what was written down before stays theirs");

    app.post(&path("ana", "/points"), &json!({ "amount": 7, "reason": "Since" })).await.expect(200);
    app.post(&path("ana", "/unmerge"), &json!({ "member": gone })).await.expect(200);
    let (again, other) = (member(&app, "ana").await, member(&app, "anna").await);
    assert_eq!(other["member_id"], json!(gone));
    for what in
        ["points", "identities", "profile", "lifetime_visits", "lifetime_spend", "enrolled_at", "tier"]
    {
        assert_eq!(other[what], anna[what], "{what} of the other");
        let expected =
            if what == "points" { json!(ana[what].as_i64().unwrap() + 7) } else { ana[what].clone() };
        assert_eq!(again[what], expected, "{what} of the survivor");
    }
    app.verify();
    app.send(&order("o3", "anna", "10.00")).await.expect(200);
    assert_eq!(member(&app, "anna").await["lifetime_visits"], 2);
    assert_eq!(member(&app, "ana").await["lifetime_visits"], 1);
    app.advance(0).await;
    assert_eq!(crm.kinds(), ["member.merged", "member.unmerged"]);
    app.verify();
    app.stop().await;
}

async fn orders_and_refunds_of_the_absorbed_member_find_the_survivor(app: TestApp) {
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.send(&order("o2", "ben", "40.00")).await.expect(200);
    let (ana, ben) = (member(&app, "ana").await, member(&app, "ben").await);
    merge(&app, "ana", "ben").await;
    let visit = json!({ "key": "v1", "type": "visit", "occurred_at": START, "member": { "id": our_id(&ben) }, "data": {} });
    assert_eq!(app.send(&visit).await.expect(200)["member"]["id"], "ana");
    let back = app.send(&refund("r1", "o2", "40.00")).await.expect(200);
    assert_eq!(back["member"]["id"], "ana");
    assert_eq!(back["member"]["points"], ana["points"], "exactly what the absorbed member's order earned");
    app.verify();
    // The refund was the absorbed member's, so it is they who do without.
    app.post(&path("ana", "/unmerge"), &json!({ "member": our_id(&ben) })).await.expect(200);
    assert_eq!(member(&app, "ben").await["points"], 0);
    assert_eq!(member(&app, "ana").await["points"], ana["points"]);
    app.verify();
    app.stop().await;
}

async fn what_cannot_be_merged_is_refused_by_name(app: TestApp) {
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.send(&order("o2", "ben", "20.00")).await.expect(200);
    let ben = our_id(&member(&app, "ben").await);
    for (route, body, status, code) in [
        ("/merge", json!({ "from": "nobody" }), 409, "unknown_member"),
        ("/merge", json!({ "from": "ana" }), 409, "same_member"),
        ("/merge", json!({}), 422, "invalid_field"),
        ("/unmerge", json!({ "member": ben }), 409, "not_merged"),
        ("/unmerge", json!({ "member": "ben" }), 422, "invalid_field"),
    ] {
        let problem = app.post(&path("ana", route), &body).await.expect(status);
        assert_eq!(problem["code"], code, "{route} {body}: {problem}");
    }
    let keyed = [("idempotency-key", "m1"), ("content-type", "application/json")];
    let body = json!({ "from": "ben" }).to_string().into_bytes();
    let first = app.request(Method::POST, &path("ana", "/merge"), &keyed, body.clone()).await.expect(200);
    let again = app.request(Method::POST, &path("ana", "/merge"), &keyed, body).await.expect(200);
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
    let problem = app.post(&path("ana", "/merge"), &json!({ "from": "ben" })).await.expect(409);
    assert_eq!(problem["code"], "same_member");
    app.verify();
    app.stop().await;
}

async fn two_merges_of_one_pair_at_once_leave_one_member(app: TestApp) {
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.send(&order("o2", "ben", "30.00")).await.expect(200);
    let (there, back) = (path("ana", "/merge"), path("ben", "/merge"));
    let (from_ben, from_ana) = (json!({ "from": "ben" }), json!({ "from": "ana" }));
    let (one, two, three) = futures_util::future::join3(
        app.post(&there, &from_ben),
        app.post(&back, &from_ana),
        app.post(&there, &from_ben),
    )
    .await;
    let mut statuses = [one.status, two.status, three.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409], "{} {} {}", one.text, two.text, three.text);
    let (ana, ben) = (member(&app, "ana").await, member(&app, "ben").await);
    assert_eq!((&ana["member_id"], &ana["points"]), (&ben["member_id"], &json!(50)));
    app.verify();
    app.stop().await;
}

async fn a_merge_goes_through_while_orders_arrive(app: TestApp) {
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.send(&order("o2", "ben", "20.00")).await.expect(200);
    let orders: Vec<_> =
        (0..60).map(|n| order(&format!("n{n}"), if n % 2 == 0 { "ana" } else { "ben" }, "10.00")).collect();
    let arriving = futures_util::future::join_all(orders.iter().map(|order| app.send(order)));
    let body = json!({ "from": "ben" });
    let merging = path("ana", "/merge");
    let (answers, merged) = futures_util::future::join(arriving, app.post(&merging, &body)).await;
    merged.expect(200);
    for answer in answers {
        assert_eq!(answer.expect(200)["status"], "processed");
    }
    let one = member(&app, "ben").await;
    assert_eq!(
        (&one["id"], &one["points"], &one["lifetime_visits"]),
        (&json!("ana"), &json!(640), &json!(62))
    );
    app.verify();
    app.stop().await;
}

async fn coupons_go_with_their_member_and_come_back(app: TestApp) {
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.send(&order("o2", "ben", "20.00")).await.expect(200);
    let book =
        json!({ "name": "Soup", "type": "generated", "discount_type": "percentage", "discount_amount": 20 });
    let book = app.post("/v1/chains/harvest/coupon_books", &book).await.expect(201);
    let mut codes = Vec::new();
    for guest in ["ben", "ben", "ana"] {
        let given =
            app.post(&path(guest, "/coupons"), &json!({ "book": book["coupon_book_key"] })).await.expect(200);
        codes.push(given["events"][0]["data"]["code"].as_str().unwrap().to_owned());
    }
    let ben = our_id(&member(&app, "ben").await);
    let count = async |guest: &str| {
        let page = app.get(&path(guest, "/coupons")).await.expect(200);
        page["items"].as_array().unwrap().len()
    };
    merge(&app, "ana", "ben").await;
    assert_eq!(count("ana").await, 3);
    let using = |code: &str| format!("/v1/chains/harvest/coupons/{code}/use");
    app.post(&using(&codes[0]), &json!({ "member": "ana" })).await.expect(200);
    app.post(&path("ana", "/unmerge"), &json!({ "member": ben })).await.expect(200);
    assert_eq!((count("ana").await, count("ben").await), (2, 1), "what the survivor used stays with them");
    let refused = app.post(&using(&codes[1]), &json!({ "member": "ana" })).await.expect(409);
    assert_eq!(refused["code"], "coupon_recipient_does_not_match");
    app.post(&using(&codes[1]), &json!({ "member": "ben" })).await.expect(200);
    app.verify();
    app.stop().await;
}
