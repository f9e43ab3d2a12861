//! Two members who are one person: merged, told apart again. Members forgotten, orders claimed, everything exported.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::builders::START;
use crate::support::{Receiver, TestApp, on_both_backends, order, refund};

on_both_backends! {
    a_merge_moves_everything_and_an_unmerge_gives_it_back,
    orders_and_refunds_of_the_absorbed_member_find_the_survivor,
    what_became_of_their_orders_meanwhile_is_theirs_again,
    a_command_that_is_repeated_after_a_merge_is_answered_as_it_was,
    what_cannot_be_merged_is_refused_by_name,
    two_merges_of_one_pair_at_once_leave_one_member,
    a_merge_goes_through_while_orders_arrive,
    coupons_go_with_their_member_and_come_back,
    an_erased_member_is_forgotten_and_the_books_balance,
    what_an_undelivered_event_says_of_the_erased_is_taken_out,
    who_was_merged_away_or_erased_is_in_no_list,
    what_was_parked_of_the_erased_before_they_were_a_member_is_forgotten,
    neither_side_of_a_referral_outlives_its_erasure_with_the_other,
    an_order_without_a_guest_is_claimed_once_with_its_receipt,
    a_receipt_is_claimed_by_one_of_many_and_not_for_ever,
    an_export_has_everything_of_one_member_and_nothing_of_others,
    an_export_has_what_is_open_and_whom_the_member_brought,
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

async fn what_became_of_their_orders_meanwhile_is_theirs_again(mut app: TestApp) {
    for (id, guest, total) in [("o1", "ana", "20.00"), ("o2", "ben", "40.00"), ("o3", "cleo", "50.00")] {
        app.send(&order(id, guest, total)).await.expect(200);
    }
    let mut late = order("late", "ben", "30.00");
    (late["type"], late["key"]) = (json!("order.created"), json!("late-created"));
    app.send(&late).await.expect(200);
    let (ben, cleo) = (our_id(&member(&app, "ben").await), our_id(&member(&app, "cleo").await));
    merge(&app, "ben", "cleo").await;
    merge(&app, "ana", "ben").await;
    app.send(&order("late", "ana", "30.00")).await.expect(200);
    app.restart_with(|_| ()).await;
    app.send(&refund("r2", "o2", "10.00")).await.expect(200);
    app.send(&refund("r3", "o3", "50.00")).await.expect(200);
    assert_eq!(member(&app, "ana").await["points"], 80);
    app.verify();

    app.post(&path("ana", "/unmerge"), &json!({ "member": ben })).await.expect(200);
    app.post(&path("ben", "/unmerge"), &json!({ "member": cleo })).await.expect(200);
    for (guest, points, spend, visits) in [("ana", 20, 20.0, 1), ("ben", 60, 60.0, 2), ("cleo", 0, 0.0, 1)] {
        let shown = member(&app, guest).await;
        assert_eq!(
            (&shown["points"], &shown["lifetime_visits"]),
            (&json!(points), &json!(visits)),
            "{guest}"
        );
        assert_eq!(shown["lifetime_spend"].to_string().parse(), Ok(spend), "{guest}");
    }
    app.send(&refund("r4", "late", "30.00")).await.expect(200);
    assert_eq!(
        (&member(&app, "ana").await["points"], &member(&app, "ben").await["points"]),
        (&json!(20), &json!(30))
    );
    app.verify();
    app.stop().await;
}

async fn a_command_that_is_repeated_after_a_merge_is_answered_as_it_was(app: TestApp) {
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.send(&order("o2", "ben", "20.00")).await.expect(200);
    let keyed = [("idempotency-key", "gift-1"), ("content-type", "application/json")];
    let give = async |name: &str| {
        let body = json!({ "amount": 5, "reason": "Sorry" }).to_string().into_bytes();
        app.request(Method::POST, &path(name, "/points"), &keyed, body).await
    };
    let first = give("ben").await.expect(200);
    merge(&app, "ana", "ben").await;
    let again = give("ben").await.expect(200);
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
    assert_eq!(give("ana").await.expect(409)["code"], "key_reused");
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
    assert_eq!((&one["id"], &one["lifetime_visits"]), (&json!("ana"), &json!(62)));
    assert_eq!(one["lifetime_spend"].to_string().parse(), Ok(640.0));
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

async fn an_erased_member_is_forgotten_and_the_books_balance(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["member.erased"]).await;
    let down = app.endpoint("http://127.0.0.1:40009/", &["*"]).await.0;
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.send(&order("o2", "ben", "30.00")).await.expect(200);
    let profile = json!({ "email": "secret@example.com", "first_name": "Anastasia" });
    app.request(Method::PATCH, &path("ana", ""), &[], profile.to_string().into_bytes()).await.expect(200);
    let ben = our_id(&member(&app, "ben").await);
    merge(&app, "ana", "ben").await;
    let id = our_id(&member(&app, "ana").await);

    let erase = async || app.request(Method::DELETE, &path(&id, ""), &[], Vec::new()).await;
    let receipt = erase().await.expect(200);
    assert_eq!(receipt["events"][0]["type"], "member.erased");
    assert_eq!(erase().await.expect(200)["notes"], json!(["the member was erased before"]));
    assert_eq!(app.get(&path("ana", "")).await.status, 404);
    let left = member(&app, &id).await;
    assert_eq!((&left["points"], &left["identities"], &left["profile"]), (&json!(0), &json!([]), &json!({})));
    assert!(left["erased_at"].is_string());
    app.verify();
    let is_forgotten = async || {
        let mut log = app.get("/v1/chains/harvest/events?limit=100").await.text;
        for source in
            app.get("/v1/chains/harvest/source_events").await.expect(200)["items"].as_array().unwrap()
        {
            let path = format!("/v1/chains/harvest/source_events/{}", source["id"].as_str().unwrap());
            log += &app.get(&path).await.text;
        }
        log += &app.get(&path(&id, "/export")).await.expect(200).to_string();
        log += &app.get(&path(&ben, "/export")).await.expect(200).to_string();
        ["secret@example.com", "Anastasia", "\"ben\""].iter().all(|name| !log.contains(name)).then_some(())
    };
    app.until("the log has forgotten them", is_forgotten).await;
    app.advance(0).await;
    assert_eq!(crm.kinds(), ["member.erased"]);
    assert_eq!(crm.arrivals()[0].json()["data"]["known_as"], "ana", "receivers learn whom to forget");
    assert!(app.deliveries(&down).await.len() > 4, "what is owed is still owed");

    let late = app.send(&refund("r1", "o2", "30.00")).await.expect(200);
    assert_eq!((&late["status"], &late["member"]["id"]), (&json!("processed"), &json!(ben)));
    let gift = app.post(&path(&id, "/points"), &json!({ "amount": 5, "reason": "x" })).await.expect(409);
    assert_eq!(gift["code"], "member_erased");
    let again = app.send(&order("o3", "ana", "10.00")).await.expect(200);
    assert_eq!(again["events"][0]["type"], "member.enrolled", "whoever comes again is somebody new");
    assert_ne!(member(&app, "ana").await["member_id"], json!(id));
    app.verify();
    app.stop().await;
}

async fn what_an_undelivered_event_says_of_the_erased_is_taken_out(app: TestApp) {
    let crm = Receiver::start().await;
    crm.answer([503]);
    app.endpoint(&crm.url, &["order.completed"]).await;
    let profile = json!({ "id": "ana", "email": "secret@example.com" });
    app.post("/v1/chains/harvest/members", &profile).await.expect(201);
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.advance(0).await;
    assert_eq!(crm.arrivals()[0].json()["member"]["email"], "secret@example.com");
    let id = our_id(&member(&app, "ana").await);
    app.request(Method::DELETE, &path(&id, ""), &[], Vec::new()).await.expect(200);
    app.until("the event has forgotten them", async || {
        let log = app.get(&path(&id, "/events")).await.text;
        (!log.contains("secret@example.com")).then_some(())
    })
    .await;
    app.advance(60).await;
    let last = crm.arrivals().pop().unwrap().json();
    assert_eq!((&last["type"], &last["member"]["id"]), (&json!("order.completed"), &json!(id)));
    assert_eq!((&last["member"]["email"], &last["data"]["order_id"]), (&Value::Null, &json!("o1")));
    app.stop().await;
}

async fn who_was_merged_away_or_erased_is_in_no_list(app: TestApp) {
    for guest in ["ana", "ben", "cem", "dora"] {
        app.send(&order(&format!("o-{guest}"), guest, "20.00")).await.expect(200);
    }
    let listed = async || {
        let page = app.get("/v1/chains/harvest/members?limit=3").await.expect(200);
        let mut ids: Vec<_> =
            page["items"].as_array().unwrap().iter().map(|member| member["id"].to_string()).collect();
        ids.sort();
        (ids.join(" "), page["next_cursor"].is_string())
    };
    assert!(listed().await.1);
    let (ben, cem) = (our_id(&member(&app, "ben").await), our_id(&member(&app, "cem").await));
    merge(&app, "ana", "ben").await;
    app.request(Method::DELETE, &path("cem", ""), &[], Vec::new()).await.expect(200);
    assert_eq!(listed().await, ("\"ana\" \"dora\"".to_owned(), false));
    assert!(member(&app, &cem).await["erased_at"].is_string(), "our id still finds what is left");
    app.post(&path("ana", "/unmerge"), &json!({ "member": ben })).await.expect(200);
    assert_eq!(listed().await, ("\"ana\" \"ben\" \"dora\"".to_owned(), false));
    app.stop().await;
}

async fn what_was_parked_of_the_erased_before_they_were_a_member_is_forgotten(mut app: TestApp) {
    let file = app.rules().join("harvest/program.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let closed = text.replace("enrol_on_first_sight = true", "enrol_on_first_sight = false");
    std::fs::write(&file, closed).unwrap();
    app.restart_with(|_| ()).await;
    let visit = |key: &str, email: &str| {
        json!({ "key": key, "type": "visit", "occurred_at": START, "data": {},
            "member": { "card": format!("card-{key}"), "email": email } })
    };
    for (key, email) in [("v1", "secret@example.com"), ("v2", "else@example.com")] {
        assert_eq!(app.send(&visit(key, email)).await.expect(200)["status"], "parked");
    }
    let person = json!({ "id": "ana", "email": "secret@example.com" });
    app.post("/v1/chains/harvest/members", &person).await.expect(201);
    let export = app.get(&path("ana", "/export")).await.expect(200);
    let parked = export["parked_events"].as_array().unwrap();
    assert_eq!((parked.len(), &parked[0]["key"]), (1, &json!("v1")));
    let id = our_id(&member(&app, "ana").await);
    app.request(Method::DELETE, &path(&id, ""), &[], Vec::new()).await.expect(200);
    let bodies = async || {
        let listed = app.get("/v1/chains/harvest/source_events").await.expect(200);
        let mut all = String::new();
        for source in listed["items"].as_array().unwrap() {
            let path = format!("/v1/chains/harvest/source_events/{}", source["id"].as_str().unwrap());
            all += &app.get(&path).await.text;
        }
        all
    };
    let is_forgotten = async || {
        let all = bodies().await;
        (!all.contains("secret@example.com") && !all.contains("card-v1")).then_some(())
    };
    app.until("the parked event has forgotten them", is_forgotten).await;
    assert!(bodies().await.contains("else@example.com"), "and nobody else");
    app.stop().await;
}

async fn neither_side_of_a_referral_outlives_its_erasure_with_the_other(mut app: TestApp) {
    let file = app.rules().join("harvest/program.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n[referrals]\n[referrals.sender]\naward = 10\n")).unwrap();
    app.restart_with(|_| ()).await;
    let sender = json!({ "id": "guest-s", "email": "s@example.com", "first_name": "Sebastiana" });
    app.post("/v1/chains/harvest/members", &sender).await.expect(201);
    app.send(&order("o-s", "guest-s", "20.00")).await.expect(200);
    let code = app.get(&path("guest-s", "/referral")).await.expect(200)["code"].clone();
    for receiver in ["guest-r", "guest-q"] {
        app.post("/v1/chains/harvest/members", &json!({ "id": receiver })).await.expect(201);
        app.post(&path(receiver, "/referral"), &json!({ "code": code })).await.expect(200);
        app.send(&order(&format!("o-{receiver}"), receiver, "20.00")).await.expect(200);
    }
    app.until("the sender is told of both", async || {
        let told = app.get("/v1/chains/harvest/events?type=referral.approved").await.expect(200);
        (told["items"].as_array().unwrap().len() == 4).then_some(())
    })
    .await;
    assert_eq!(app.get(&path("guest-r", "/referral")).await.expect(200)["received"]["sender_id"], "guest-s");
    let known = async |of: &str, what: &[&str]| {
        let mut all = app.get(&path(of, "/events")).await.text;
        all += &app.get(&path(of, "/export")).await.text;
        all += &app.get(&path(of, "/referral")).await.text;
        what.iter().any(|name| all.contains(name))
    };
    let person = ["guest-s", "s@example.com", "Sebastiana"];
    assert!(known("guest-q", &person).await && known("guest-s", &["guest-r"]).await);
    app.request(Method::DELETE, &path("guest-r", ""), &[], Vec::new()).await.expect(200);
    app.until("the sender's log has forgotten who was brought", async || {
        (!known("guest-s", &["guest-r"]).await).then_some(())
    })
    .await;
    assert!(known("guest-s", &["guest-q"]).await, "the other one is still there");
    app.request(Method::DELETE, &path("guest-s", ""), &[], Vec::new()).await.expect(200);
    app.until("the receiver's log has forgotten who brought them", async || {
        (!known("guest-q", &person).await).then_some(())
    })
    .await;
    app.stop().await;
}

fn anonymous(key: &str, kind: &str, data: Value) -> Value {
    json!({ "key": key, "type": kind, "occurred_at": START, "data": data })
}

async fn an_order_without_a_guest_is_claimed_once_with_its_receipt(app: TestApp) {
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.send(&order("o2", "ben", "20.00")).await.expect(200);
    let data = json!({ "order_id": "x1", "receipt_code": "R-77", "total": "30.00",
        "items": [{ "name": "Soup", "category": "food", "price": "30.00" }] });
    let parked = app.send(&anonymous("x1", "order.completed", data)).await.expect(200);
    assert_eq!(parked["status"], "parked");
    let back = json!({ "order_id": "x1", "amount": "10.00" });
    assert_eq!(
        app.send(&anonymous("x1r", "order.refunded", back.clone())).await.expect(200)["status"],
        "parked"
    );
    let claim =
        async |guest: &str, code: &str| app.post(&path(guest, "/claims"), &json!({ "code": code })).await;
    assert_eq!(claim("ana", "R-78").await.expect(409)["code"], "unknown_receipt");
    let claimed = claim("ana", "R-77").await.expect(200);
    let events = claimed["events"].as_array().unwrap();
    assert_eq!(
        (events.len(), &events[1]["member"]["points"]),
        (2, &json!(40)),
        "20 of before, and 20 of 30 less 10"
    );
    assert_eq!(claim("ana", "R-77").await.expect(409)["code"], "already_claimed");
    assert_eq!(claim("ben", "R-77").await.expect(409)["code"], "claimed_by_another");
    assert_eq!(claim("ben", "x1").await.expect(409)["code"], "claimed_by_another");
    assert_eq!(claim("ben", "o1").await.expect(409)["code"], "claimed_by_another");
    let later = app.send(&anonymous("x1s", "order.refunded", back)).await.expect(200);
    assert_eq!((&later["member"]["id"], &later["member"]["points"]), (&json!("ana"), &json!(30)));
    let all = app.get(&path("ana", "/export")).await.expect(200);
    let keys: Vec<_> = all["source_events"].as_array().unwrap().iter().map(|source| &source["key"]).collect();
    assert_eq!((keys.len(), keys[0], keys[4]), (5, &json!("x1s"), &json!("o1")), "with the claim: {keys:?}");
    assert_eq!(all["orders"].as_array().unwrap().len(), 2);
    app.verify();
    app.stop().await;
}

async fn a_receipt_is_claimed_by_one_of_many_and_not_for_ever(app: TestApp) {
    let guests: Vec<_> = (0..10).map(|n| format!("g{n}")).collect();
    for guest in &guests {
        app.send(&order(&format!("o-{guest}"), guest, "1.00")).await.expect(200);
    }
    let data = json!({ "order_id": "x1", "total": "30.00", "items": [] });
    app.send(&anonymous("x1", "order.completed", data.clone())).await.expect(200);
    let body = json!({ "code": "x1" });
    let claims = guests.iter().map(|guest| {
        let (app, body, path) = (&app, &body, path(guest, "/claims"));
        async move { app.post(&path, body).await.status }
    });
    let statuses = futures_util::future::join_all(claims).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    app.send(&anonymous("x2", "order.completed", json!({ "order_id": "x2", "total": "3.00" })))
        .await
        .expect(200);
    app.advance(7 * 86_400).await;
    let late = app.post(&path("g0", "/claims"), &json!({ "code": "x2" })).await.expect(409);
    assert_eq!(late["code"], "claim_too_late");
    app.verify();
    app.stop().await;
}

async fn an_export_has_what_is_open_and_whom_the_member_brought(mut app: TestApp) {
    let manifest = app.rules().join("harvest/program.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let more = "\n[carts]\nabandoned_after = \"2h\"\n[referrals]\n[[coupon_books]]\nid = \"soup\"\ndiscount_type = \"free_item\"\n";
    std::fs::write(&manifest, text + more).unwrap();
    app.restart_with(|_| ()).await;
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    let about = |kind: &str, data: Value| json!({ "key": kind, "type": kind, "member": { "id": "ana" }, "occurred_at": START, "data": data });
    app.send(&about("session.started", json!({ "session_id": "s-77" }))).await.expect(200);
    let cart = json!({ "cart_id": "c-78", "items": [{ "sku": "soup", "price": 4 }] });
    let mut cart = about("cart.updated", cart);
    cart["occurred_at"] = json!("2026-03-03T18:31:00Z");
    app.send(&cart).await.expect(200);
    let given = app.post(&path("ana", "/coupons"), &json!({ "book": "soup" })).await.expect(200);
    let coupon = given["events"][0]["data"]["code"].as_str().unwrap().to_owned();
    let reserve = format!("/v1/chains/harvest/coupons/{coupon}/reserve");
    app.post(&reserve, &json!({ "member": "ana" })).await.expect(200);
    let code = app.get(&path("ana", "/referral")).await.expect(200)["code"].as_str().unwrap().to_owned();
    app.post("/v1/chains/harvest/members", &json!({ "id": "ben" })).await.expect(201);
    app.post(&path("ben", "/referral"), &json!({ "code": code })).await.expect(200);

    let all = app.get(&path("ana", "/export")).await.expect(200);
    assert_eq!(
        (&all["member"]["carts"][0]["cart_id"], &all["sessions"][0]["session_id"]),
        (&json!("c-78"), &json!("s-77"))
    );
    assert_eq!((&all["referral"]["code"], &all["referrals"][0]["status"]), (&json!(code), &json!("pending")));
    assert!(all["coupons"][0]["reserved_until"].is_string(), "{}", all["coupons"]);
    assert!(all["achievements"].as_array().is_some_and(|all| all.len() == 2), "{}", all["achievements"]);
    let other = app.get(&path("ben", "/export")).await.expect(200);
    assert_eq!(
        (&other["referral"]["received"]["sender_id"], &other["referrals"]),
        (&json!("ana"), &json!([]))
    );
    app.stop().await;
}

async fn an_export_has_everything_of_one_member_and_nothing_of_others(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["order.completed"]).await;
    for n in 0..60 {
        app.send(&order(&format!("a{n}"), "ana", "10.00")).await.expect(200);
    }
    app.send(&order("b1", "ben", "10.00")).await.expect(200);
    app.send(&order("c1", "cleo", "10.00")).await.expect(200);
    merge(&app, "ana", "ben").await;
    app.advance(0).await;
    let all = app.get(&path("ana", "/export")).await.expect(200);
    assert_eq!(all["member"]["id"], "ana");
    let count = |what: &str| all[what].as_array().unwrap().len();
    assert_eq!((count("orders"), count("source_events")), (61, 62));
    assert!(count("ledger") >= 63, "each order's points, and those that were merged");
    let told = all["events"].as_array().unwrap();
    let delivered = told.iter().filter(|event| event["deliveries"][0]["status"] == "delivered").count();
    assert_eq!(delivered, 61);
    assert!(!all.to_string().contains("cleo"));
    assert_eq!(app.get(&path("nobody", "/export")).await.status, 404);
    app.stop().await;
}
