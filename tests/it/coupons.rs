//! Coupons: given, kept, used once whatever the crowd, taken back once, uploaded by the thousand.

use awc::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::app::Reply;
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order, refund};

on_both_backends! {
    a_coupon_is_given_used_and_taken_back_once_and_every_step_is_told,
    a_book_and_its_codes_are_made_once_under_one_key,
    a_single_use_code_used_by_two_hundred_connections_at_once_is_used_once,
    a_code_for_everybody_is_used_by_two_hundred_guests_at_once,
    a_members_limit_holds_on_two_connections_at_once,
    a_repeat_of_a_use_is_answered_with_the_first_receipt,
    a_reservation_keeps_a_coupon_until_its_time_is_over,
    a_large_upload_streams_and_says_what_became_of_each_line,
    two_hundred_guests_get_two_hundred_different_codes_of_an_uploaded_book,
    a_code_of_another_chain_is_unknown,
    an_order_uses_the_coupons_it_names_and_is_never_refused_for_them,
    an_order_uses_a_coupon_once_however_often_and_however_it_names_it,
    a_code_whose_reservation_ran_out_is_given_to_the_next,
    a_rule_gives_many_uploaded_coupons_at_once,
    the_coupons_of_an_order_that_is_undone_go_back_once_as_their_book_says,
    what_cannot_be_done_with_a_coupon_has_a_name,
}

const CHAIN: &str = "/v1/chains/harvest";

async fn book(app: &TestApp, change: Value) -> String {
    let mut body = json!({ "name": "Test discount", "type": "generated", "discount_type": "percentage",
        "discount_amount": 20, "external_id": "Y6QF-TEST", "description": "<p>Test discount description</p>",
        "picture_url": "https://example.com/coupon-image.png" });
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let made = app.post(&format!("{CHAIN}/coupon_books"), &body).await.expect(201);
    made["coupon_book_key"].as_str().unwrap().to_owned()
}

/// An uploaded book with these codes.
async fn uploaded(app: &TestApp, change: Value, codes: &str) -> String {
    let mut uploaded = json!({ "type": "uploaded" });
    uploaded.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let key = book(app, uploaded).await;
    upload(app, &key, "text/plain", codes.as_bytes().to_vec()).await.expect(200);
    key
}

async fn upload(app: &TestApp, book: &str, kind: &str, body: Vec<u8>) -> Reply {
    let path = format!("{CHAIN}/coupon_books/{book}/codes");
    app.request(Method::POST, &path, &[("content-type", kind)], body).await
}

async fn a_book_and_its_codes_are_made_once_under_one_key(app: TestApp) {
    let keyed = async |key: &str, path: &str, body: Value| {
        let headers = [("idempotency-key", key), ("content-type", "application/json")];
        app.request(Method::POST, &format!("{CHAIN}/{path}"), &headers, body.to_string().into_bytes()).await
    };
    let book = json!({ "name": "Soup", "type": "generated", "discount_type": "percentage", "discount_amount": 12.50 });
    let made = keyed("b1", "coupon_books", book.clone()).await.expect(201);
    assert_eq!(keyed("b1", "coupon_books", book.clone()).await.expect(200), made);
    let other = json!({ "name": "Salad", "type": "generated", "discount_type": "free_item" });
    assert_eq!(keyed("b1", "coupon_books", other).await.expect(409)["code"], "key_reused");
    let second = keyed("b2", "coupon_books", book).await.expect(201);
    assert_ne!(second["coupon_book_key"], made["coupon_book_key"]);
    let codes = format!("coupon_books/{}/codes", made["coupon_book_key"].as_str().unwrap());
    for (key, count, added, duplicate) in
        [("c1", 700, 700, 0), ("c1", 700, 0, 700), ("c2", 5, 5, 0), ("c1", 701, 1, 700)]
    {
        let report = keyed(key, &codes, json!({ "generate": count })).await.expect(200);
        assert_eq!((&report["added"], &report["duplicate"]), (&json!(added), &json!(duplicate)), "{key}");
    }
    assert_eq!(keyed("", &codes, json!({ "generate": 1 })).await.expect(422)["field"], "Idempotency-Key");
    app.stop().await;
}

async fn enrol(app: &TestApp, members: impl IntoIterator<Item = String>) {
    let orders = members.into_iter().map(|member| {
        let order = order(&format!("o-{member}"), &member, "5.00");
        async move { app.send(&order).await.expect(200) }
    });
    join_all(orders).await;
}

async fn coupon(app: &TestApp, code: &str, what: &str, body: Value) -> Reply {
    app.post(&format!("{CHAIN}/coupons/{code}/{what}"), &body).await
}

async fn totals(app: &TestApp, code: &str) -> (u64, u64) {
    let shown = app.get(&format!("{CHAIN}/coupons/{code}")).await.expect(200);
    (shown["total_usages"].as_u64().unwrap(), shown["total_assigned"].as_u64().unwrap())
}

async fn a_coupon_is_given_used_and_taken_back_once_and_every_step_is_told(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["coupon.*"]).await;
    enrol(&app, ["ana".to_owned()]).await;
    let key = book(&app, json!({ "expires_after": "30d" })).await;
    let coupons = format!("{CHAIN}/members/ana/coupons");
    let given = app.post(&coupons, &json!({ "book": key })).await.expect(200);
    let line = &given["events"][0]["data"];
    let code = line["code"].as_str().unwrap().to_owned();
    assert!(code.len() >= 12, "{code}");
    assert_eq!(
        (&line["discount_type"], &line["expired_at"]),
        (&json!("percentage"), &json!("2026-04-02T18:30:00Z"))
    );
    let held = app.get(&coupons).await.expect(200);
    assert_eq!((&held["items"][0]["code"], &held["items"][0]["assigned"]), (&json!(code), &json!(1)));
    let used = coupon(&app, &code.to_lowercase(), "use", json!({ "member": "ana" })).await.expect(200);
    let usage = &used["events"][0]["data"]["coupon_usage_key"];
    assert_eq!(totals(&app, &code).await, (1, 1));
    let back = json!({ "member": "ana", "usage": usage });
    coupon(&app, &code, "revert", back.clone()).await.expect(200);
    assert_eq!(coupon(&app, &code, "revert", back).await.expect(409)["code"], "coupon_already_reverted");
    assert_eq!(totals(&app, &code).await, (0, 1));
    coupon(&app, &code, "use", json!({ "member": "ana" })).await.expect(200);

    app.advance(0).await;
    assert_eq!(crm.kinds(), ["coupon.assigned", "coupon.used", "coupon.reverted", "coupon.used"]);
    let told: Vec<Value> = crm.arrivals().iter().map(|a| serde_json::from_slice(&a.body).unwrap()).collect();
    let numbers = |event: &Value| {
        let (coupon, usage) = (&event["data"]["coupon"], &event["data"]["usage"]);
        [
            &coupon["total_usages"],
            &coupon["total_assigned"],
            &usage["amount_used"],
            &usage["amount_assigned"],
            &usage["updated_total_usages"],
            &usage["updated_total_assigned"],
        ]
        .map(|n| n.as_u64().unwrap())
    };
    assert_eq!(numbers(&told[0]), [0, 0, 0, 1, 0, 1], "as the Events Webhook shows an assignment");
    assert_eq!(numbers(&told[1]), [0, 1, 1, 1, 1, 1], "as the Events Webhook shows a use");
    assert_eq!(numbers(&told[2]), [1, 1, 1, 0, 0, 1]);
    assert_eq!(&told[2]["data"]["usage"]["reverted_usage_id"], usage);
    let shown = &told[0]["data"]["coupon_book"];
    assert_eq!((&shown["external_id"], &shown["coupon_book_key"]), (&json!("Y6QF-TEST"), &json!(key)));
    app.stop().await;
}

async fn a_single_use_code_used_by_two_hundred_connections_at_once_is_used_once(app: TestApp) {
    let members: Vec<_> = (0..200).map(|n| format!("m{n}")).collect();
    enrol(&app, members.clone()).await;
    uploaded(&app, json!({}), "ONLY-ONE\n").await;
    let uses = members.iter().map(|member| coupon(&app, "ONLY-ONE", "use", json!({ "member": member })));
    let mut answers: Vec<_> = join_all(uses).await.into_iter().map(|reply| reply.status).collect();
    answers.sort_unstable();
    assert_eq!(answers[0], 200);
    assert!(answers[1..].iter().all(|status| *status == 409), "{answers:?}");
    assert_eq!(totals(&app, "ONLY-ONE").await, (1, 0));
    app.stop().await;
}

/// Each of them changes the same coupon, so that each would lose against most others if they did not stand in line.
async fn a_code_for_everybody_is_used_by_two_hundred_guests_at_once(app: TestApp) {
    let members: Vec<_> = (0..200).map(|n| format!("m{n}")).collect();
    enrol(&app, members.clone()).await;
    uploaded(&app, json!({ "usage_limit": "unlimited", "assign_limit": "unlimited" }), "SUMMER\n").await;
    let uses = members.iter().map(|member| coupon(&app, "SUMMER", "use", json!({ "member": member })));
    let answers: Vec<_> = join_all(uses).await.into_iter().map(|reply| reply.status).collect();
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!(totals(&app, "SUMMER").await, (200, 0));
    app.stop().await;
}

async fn a_members_limit_holds_on_two_connections_at_once(app: TestApp) {
    enrol(&app, ["ana".to_owned(), "ben".to_owned()]).await;
    let open = json!({ "usage_limit": "unlimited", "assign_limit": "unlimited", "limit_per_member": 1 });
    uploaded(&app, open, "SUMMER\nWINTER\n").await;
    for _ in 0..2 {
        let uses = ["SUMMER", "WINTER"].map(|code| coupon(&app, code, "use", json!({ "member": "ana" })));
        join_all(uses).await;
    }
    let used = totals(&app, "SUMMER").await.0 + totals(&app, "WINTER").await.0;
    assert_eq!(used, 1);
    let refused = coupon(&app, "SUMMER", "use", json!({ "member": "ana" })).await.expect(409);
    assert_eq!(refused["code"], "coupon_member_limit_reached");
    coupon(&app, "SUMMER", "use", json!({ "member": "ben" })).await.expect(200);
    app.stop().await;
}

async fn a_repeat_of_a_use_is_answered_with_the_first_receipt(app: TestApp) {
    enrol(&app, ["ana".to_owned()]).await;
    uploaded(&app, json!({}), "ONLY-ONE\n").await;
    let body = json!({ "member": "ana" }).to_string().into_bytes();
    let keyed = [("idempotency-key", "till-1-77"), ("content-type", "application/json")];
    let path = format!("{CHAIN}/coupons/ONLY-ONE/use");
    let first = app.request(Method::POST, &path, &keyed, body.clone()).await.expect(200);
    let again = app.request(Method::POST, &path, &keyed, body).await.expect(200);
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
    let other = json!({ "member": "ana", "custom_attributes": { "till": "2" } }).to_string().into_bytes();
    let reused = app.request(Method::POST, &path, &keyed, other).await.expect(409);
    assert_eq!(reused["code"], "key_reused");
    assert_eq!(totals(&app, "ONLY-ONE").await, (1, 0));
    app.stop().await;
}

async fn a_reservation_keeps_a_coupon_until_its_time_is_over(app: TestApp) {
    enrol(&app, ["ana".to_owned(), "ben".to_owned()]).await;
    uploaded(&app, json!({}), "ONE\nTWO\n").await;
    let (ana, ben) = (json!({ "member": "ana" }), json!({ "member": "ben" }));
    let kept = coupon(&app, "ONE", "reserve", ana.clone()).await.expect(200);
    assert_eq!(kept["events"][0]["data"]["reserved_until"], "2026-03-03T18:45:00Z");
    assert_eq!(coupon(&app, "ONE", "use", ben.clone()).await.expect(409)["code"], "coupon_reserved");
    let missing = coupon(&app, "ONE", "release", ben.clone()).await.expect(409);
    assert_eq!(missing["code"], "coupon_reservation_missing");
    app.advance(15 * 60).await;
    coupon(&app, "ONE", "use", ben.clone()).await.expect(200);
    let until = json!({ "member": "ana", "until": "2026-03-03T20:00:00Z" });
    coupon(&app, "TWO", "reserve", until).await.expect(200);
    coupon(&app, "TWO", "release", ana).await.expect(200);
    coupon(&app, "TWO", "use", ben).await.expect(200);
    app.stop().await;
}

async fn a_large_upload_streams_and_says_what_became_of_each_line(app: TestApp) {
    const MANY: usize = 50_000;
    let key = book(&app, json!({ "type": "uploaded" })).await;
    let lines: String = (0..MANY).map(|n| format!("CODE-{n:06}\n")).collect();
    let report = upload(&app, &key, "text/plain", lines.clone().into_bytes()).await.expect(200);
    assert_eq!(report, json!({ "added": MANY, "duplicate": 0, "invalid": 0 }));
    let again = upload(&app, &key, "text/plain", lines.into_bytes()).await.expect(200);
    assert_eq!(again, json!({ "added": 0, "duplicate": MANY, "invalid": 0 }));
    let csv = "code;expires\n\"CSV-1\";2026-03-04T00:00:00Z\ncsv-1\nCSV-2,\nnot a code\nCSV-3,soon\n\n";
    let report = upload(&app, &key, "text/csv", csv.into()).await.expect(200);
    assert_eq!(
        (&report["added"], &report["duplicate"], &report["invalid"]),
        (&json!(2), &json!(1), &json!(2))
    );
    let lines: Vec<_> = report["problems"].as_array().unwrap().iter().map(|p| p["line"].clone()).collect();
    assert_eq!(lines, [5, 6]);
    let ndjson = "{\"code\":\"JSON-1\",\"custom_attributes\":{\"partner\":\"acme\"}}\n{\"cod\":\"JSON-2\"}";
    let report = upload(&app, &key, "application/x-ndjson", ndjson.into()).await.expect(200);
    assert_eq!((&report["added"], &report["problems"][0]["line"]), (&json!(1), &json!(2)), "{report}");
    let shown = app.get(&format!("{CHAIN}/coupons/json-1")).await.expect(200);
    assert_eq!(shown["custom_attributes"], json!({ "partner": "acme" }));
    assert_eq!(shown["coupon_book"]["coupon_book_key"], json!(key));

    let (mut seen, mut cursor) = (0, String::new());
    while seen < 250 {
        let page = app.get(&format!("{CHAIN}/coupon_books/{key}/codes?limit=100{cursor}")).await.expect(200);
        seen += page["items"].as_array().unwrap().len();
        cursor = format!("&cursor={}", page["next_cursor"].as_str().unwrap());
    }
    assert_eq!(cursor, "&cursor=CODE-000299");
    let made = app.post(&format!("{CHAIN}/coupon_books/{key}/codes"), &json!({ "generate": 5 })).await;
    assert_eq!(made.expect(422)["field"], "Content-Type");
    let key = book(&app, json!({})).await;
    let made = app.post(&format!("{CHAIN}/coupon_books/{key}/codes"), &json!({ "generate": 2500 })).await;
    assert_eq!(made.expect(200)["added"], 2500);
    app.stop().await;
}

async fn two_hundred_guests_get_two_hundred_different_codes_of_an_uploaded_book(app: TestApp) {
    let members: Vec<_> = (0..200).map(|n| format!("m{n}")).collect();
    enrol(&app, members.clone()).await;
    let codes: String = (0..200).map(|n| format!("FREE-{n:03}\n")).collect();
    let key = uploaded(&app, json!({}), &codes).await;
    let assign = async |member: String| {
        app.post(&format!("{CHAIN}/members/{member}/coupons"), &json!({ "book": key })).await
    };
    let given = join_all(members.into_iter().map(assign)).await.into_iter().map(|reply| reply.expect(200));
    let mut codes: Vec<_> = given.map(|receipt| receipt["events"][0]["data"]["code"].to_string()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), 200);
    enrol(&app, ["late".to_owned()]).await;
    assert_eq!(assign("late".to_owned()).await.expect(409)["code"], "coupon_book_exhausted");
    app.stop().await;
}

async fn a_code_of_another_chain_is_unknown(app: TestApp) {
    let acme = json!({ "id": "acme", "name": "Acme", "timezone": "UTC", "currency": "USD" });
    app.post("/v1/chains", &acme).await.expect(201);
    let visit = json!({ "key": "v1", "type": "visit", "member": { "id": "ana" }, "data": {} });
    app.post("/v1/chains/acme/events", &visit).await.expect(200);
    let key = uploaded(&app, json!({}), "OURS\n").await;
    app.get("/v1/chains/acme/coupons/OURS").await.expect(404);
    app.get(&format!("/v1/chains/acme/coupon_books/{key}")).await.expect(404);
    let used = app.post("/v1/chains/acme/coupons/OURS/use", &json!({ "member": "ana" })).await.expect(409);
    assert_eq!(used["code"], "coupon_not_found");
    let given = app.post("/v1/chains/acme/members/ana/coupons", &json!({ "book": key })).await.expect(409);
    assert_eq!(given["code"], "coupon_book_not_found");
    assert_eq!(totals(&app, "OURS").await, (0, 0));
    app.stop().await;
}

async fn an_order_uses_the_coupons_it_names_and_is_never_refused_for_them(app: TestApp) {
    uploaded(&app, json!({}), "ONE\n").await;
    let mut first = order("o1", "ana", "20.00");
    first["data"]["coupons"] = json!(["one", "TWO", "no code at all"]);
    let receipt = app.send(&first).await.expect(200);
    assert_eq!((&receipt["status"], &receipt["member"]["points"]), (&json!("processed"), &json!(20)));
    assert_eq!(receipt["notes"].as_array().unwrap().len(), 2, "{receipt}");
    assert_eq!(app.send(&first).await.expect(200)["duplicate"], true);
    let mut second = order("o2", "ana", "20.00");
    second["data"]["coupons"] = json!(["ONE"]);
    let receipt = app.send(&second).await.expect(200);
    assert!(receipt["notes"][0].as_str().unwrap().contains("coupon_exhausted"), "{receipt}");
    assert_eq!(totals(&app, "ONE").await, (1, 0));
    app.stop().await;
}

async fn an_order_uses_a_coupon_once_however_often_and_however_it_names_it(app: TestApp) {
    let book = json!({ "usage_limit": 5, "limit_per_member": 5, "revert_on": "never" });
    uploaded(&app, book, "abc-1\nOTHER-1\n").await;
    let mut snapshot = order("o1", "ana", "20.00");
    for (version, kind, coupons, uses) in [
        (1, "order.completed", json!(["abc-1", "ABC-1"]), 1),
        (2, "order.updated", json!(["ABC-1"]), 1),
        (3, "order.updated", json!([]), 1),
        (4, "order.updated", json!(["abc-1"]), 1),
        (5, "order.cancelled", json!([]), 1),
        (6, "order.completed", json!(["abc-1"]), 1),
    ] {
        (snapshot["key"], snapshot["type"]) = (json!(format!("o1-{version}")), json!(kind));
        (snapshot["data"]["version"], snapshot["data"]["coupons"]) = (json!(version), coupons);
        let receipt = app.send(&snapshot).await.expect(200);
        assert_eq!(totals(&app, "abc-1").await.0, uses, "{receipt}");
        assert_eq!(receipt["notes"], Value::Null, "{receipt}");
    }
    (snapshot["key"], snapshot["data"]["version"]) = (json!("o1-7"), json!(7));
    snapshot["data"]["coupons"] = json!(["abc-1", "other-1"]);
    app.send(&snapshot).await.expect(200);
    assert_eq!((totals(&app, "abc-1").await.0, totals(&app, "other-1").await.0), (1, 1));
    app.stop().await;
}

async fn a_code_whose_reservation_ran_out_is_given_to_the_next(app: TestApp) {
    enrol(&app, ["ana".to_owned(), "ben".to_owned()]).await;
    let key = uploaded(&app, json!({}), "ONLY-1\n").await;
    coupon(&app, "ONLY-1", "reserve", json!({ "member": "ana" })).await.expect(200);
    let give = async || app.post(&format!("{CHAIN}/members/ben/coupons"), &json!({ "book": key })).await;
    assert_eq!(give().await.expect(409)["code"], "coupon_book_exhausted");
    app.advance(3600).await;
    assert_eq!(give().await.expect(200)["events"][0]["data"]["code"], "ONLY-1");
    app.stop().await;
}

async fn a_rule_gives_many_uploaded_coupons_at_once(mut app: TestApp) {
    let folder = app.rules().join("harvest");
    let mut manifest = std::fs::read_to_string(folder.join("program.toml")).unwrap();
    manifest += "\n[[coupon_books]]\nid = \"cinema\"\ntype = \"uploaded\"\ndiscount_type = \"free_item\"\n";
    for n in 0..9 {
        manifest += &format!("[[coupon_books]]\nid = \"book{n}\"\ndiscount_type = \"free_item\"\n");
    }
    std::fs::write(folder.join("program.toml"), manifest).unwrap();
    let books: String = (0..9).map(|n| format!("assign_coupon(\"book{n}\"); ")).collect();
    let rules = format!(
        "rule \"Cinema\" on order.completed {{ for item in order.items {{ assign_coupon(\"cinema\"); }} }}\n\
         rule \"Books\" on visit {{ {books} }}\n"
    );
    std::fs::write(folder.join("cinema.rhai"), rules).unwrap();
    app.restart_with(|_| ()).await;
    let all = app.get(&format!("{CHAIN}/coupon_books")).await.expect(200);
    let items = all["items"].as_array().unwrap();
    let cinema = items.iter().find(|book| book["type"] == "uploaded").unwrap();
    let codes: String = (0..50).map(|n| format!("SEAT-{n:02}\n")).collect();
    upload(&app, cinema["coupon_book_key"].as_str().unwrap(), "text/plain", codes.into()).await.expect(200);
    let mut large = order("o1", "ana", "40.00");
    large["data"]["items"] = (0..40).map(|_| json!({ "price": 1 })).collect();
    let receipt = app.send(&large).await.expect(200);
    assert_eq!((&receipt["status"], &receipt["errors"]), (&json!("processed"), &json!([])), "{receipt}");
    let held = app.get(&format!("{CHAIN}/members/ana/coupons?limit=100")).await.expect(200);
    assert_eq!(held["items"].as_array().unwrap().len(), 40);
    let visit = crate::support::visit("v1", "ben", "2026-03-03T18:30:00Z");
    let receipt = app.send(&visit).await.expect(200);
    assert_eq!((&receipt["status"], &receipt["errors"]), (&json!("processed"), &json!([])), "{receipt}");
    app.stop().await;
}

async fn the_coupons_of_an_order_that_is_undone_go_back_once_as_their_book_says(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["coupon.*"]).await;
    uploaded(&app, json!({ "revert_on": "never" }), "NEVER\n").await;
    uploaded(&app, json!({}), "USUAL\n").await;
    uploaded(&app, json!({ "revert_on": "refund" }), "REFUND\n").await;
    let used = async || {
        let mut used = Vec::new();
        for code in ["NEVER", "USUAL", "REFUND"] {
            used.push(totals(&app, code).await.0);
        }
        used
    };
    let mut order = order("o1", "ana", "20.00");
    order["data"]["coupons"] = json!(["NEVER", "USUAL", "REFUND"]);
    app.send(&order).await.expect(200);
    app.send(&refund("r1", "o1", "12.00")).await.expect(200);
    assert_eq!(used().await, [1, 1, 1], "something of the order is left");
    app.send(&refund("r2", "o1", "8.00")).await.expect(200);
    assert_eq!(used().await, [1, 1, 0]);
    let cancel = |key: &str, at: &str| {
        json!({ "key": key, "type": "order.cancelled", "occurred_at": at, "member": { "id": "ana" },
            "data": { "order_id": "o1" } })
    };
    app.send(&cancel("c1", "2026-03-03T18:31:00Z")).await.expect(200);
    app.send(&cancel("c2", "2026-03-03T18:32:00Z")).await.expect(200);
    assert_eq!(used().await, [1, 0, 0]);
    app.advance(0).await;
    let mut reverted: Vec<_> = crm
        .arrivals()
        .iter()
        .filter(|told| told.kind() == "coupon.reverted")
        .map(|told| {
            let data = &told.json()["data"];
            assert!(data["usage"]["reverted_usage_id"].is_string(), "{data}");
            data["coupon"]["code"].clone()
        })
        .collect();
    reverted.sort_by_key(Value::to_string);
    assert_eq!(reverted, ["REFUND", "USUAL"]);
    let mut next = order.clone();
    (next["key"], next["data"]["order_id"]) = (json!("o2"), json!("o2"));
    let receipt = app.send(&next).await.expect(200);
    assert_eq!(receipt["notes"].as_array().map(Vec::len), Some(1), "two of them are good again: {receipt}");
    let by_hand =
        receipt["events"].as_array().unwrap().iter().find(|event| event["type"] == "coupon.used").unwrap();
    let (code, usage) = (&by_hand["data"]["code"], &by_hand["data"]["coupon_usage_key"]);
    coupon(&app, code.as_str().unwrap(), "revert", json!({ "member": "ana", "usage": usage }))
        .await
        .expect(200);
    let mut off = cancel("c3", "2026-03-03T18:33:00Z");
    off["data"]["order_id"] = json!("o2");
    let receipt = app.send(&off).await.expect(200);
    assert_eq!((used().await, &receipt["notes"]), (vec![1, 0, 0], &Value::Null), "{receipt}");
    app.stop().await;
}

async fn what_cannot_be_done_with_a_coupon_has_a_name(app: TestApp) {
    enrol(&app, ["ana".to_owned(), "ben".to_owned()]).await;
    let (ana, ben) = (json!({ "member": "ana" }), json!({ "member": "ben" }));
    uploaded(&app, json!({ "valid_from_date": "2026-04-01T00:00:00Z" }), "LATER\n").await;
    uploaded(&app, json!({ "valid_to_date": "2026-03-01T00:00:00Z" }), "OVER\n").await;
    let key = uploaded(&app, json!({}), "MINE\n").await;
    app.post(&format!("{CHAIN}/members/ana/coupons"), &json!({ "code": "MINE" })).await.expect(200);
    for (code, what, body, status, name) in [
        ("NOPE", "use", ana.clone(), 409, "coupon_not_found"),
        ("LATER", "use", ana.clone(), 409, "coupon_not_yet_valid"),
        ("OVER", "use", ana.clone(), 409, "coupon_expired"),
        ("MINE", "use", ben, 409, "coupon_recipient_does_not_match"),
        ("MINE", "use", json!({ "member": "nobody" }), 404, "not_found"),
        ("MINE", "use", json!({}), 422, "invalid_field"),
        ("MINE", "use", json!({ "member": "ana", "until": "2026-03-03T20:00:00Z" }), 422, "invalid_field"),
        (
            "MINE",
            "reserve",
            json!({ "member": "ana", "until": "2026-03-03T18:00:00Z" }),
            409,
            "coupon_reservation_length",
        ),
        (
            "MINE",
            "revert",
            json!({ "member": "ana", "usage": "cbu_00000000000000000000000007" }),
            409,
            "coupon_usage_not_found",
        ),
        ("MINE", "revert", json!({ "member": "ana", "usage": "seven" }), 422, "invalid_field"),
    ] {
        let problem = coupon(&app, code, what, body.clone()).await.expect(status);
        assert_eq!(problem["code"], name, "{what} {code} {body}: {problem}");
    }
    let again =
        app.post(&format!("{CHAIN}/members/ben/coupons"), &json!({ "code": "MINE" })).await.expect(409);
    assert_eq!(again["code"], "coupon_assign_limit_reached");
    for (body, field) in [
        (
            json!({ "name": "x", "type": "generated", "discount_type": "percentage", "discount_amount": 200 }),
            "discount_amount",
        ),
        (
            json!({ "name": "x", "type": "generated", "discount_type": "free_item", "usage_limit": 0 }),
            "usage_limit",
        ),
        (json!({ "name": "x", "type": "made", "discount_type": "free_item" }), "type"),
    ] {
        assert_eq!(
            app.post(&format!("{CHAIN}/coupon_books"), &body).await.expect(422)["field"],
            field,
            "{body}"
        );
    }
    let (mut keys, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{CHAIN}/coupon_books?limit=1{cursor}")).await.expect(200);
        keys.extend(page["items"].as_array().unwrap().iter().map(|book| book["coupon_book_key"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(keys.len() == 3 && keys.contains(&json!(key)), "{keys:?}");
    assert_eq!(totals(&app, "MINE").await, (0, 1));
    app.stop().await;
}

#[actix_web::test]
async fn a_rule_gives_coupons_of_a_book_of_the_program_whose_codes_are_uploaded() {
    let app = TestApp::start_with(Backend::Sqlite, |config| {
        let folder = config.rules.join("harvest");
        let manifest = std::fs::read_to_string(folder.join("program.toml")).unwrap();
        let book = "\n[[coupon_books]]\nid = \"partner\"\ntype = \"uploaded\"\ndiscount_type = \"free_item\"\n";
        std::fs::write(folder.join("program.toml"), manifest + book).unwrap();
        let rule = "rule \"Partner\" on order.completed when order.channel == \"kiosk\" { assign_coupon(\"partner\"); }";
        std::fs::write(folder.join("extra.rhai"), rule).unwrap();
    })
    .await;
    upload(&app, "partner", "text/plain", "FREE-1\n".into()).await.expect(200);
    let kiosk = |key: &str| {
        let mut order = order(key, "ana", "5.00");
        order["data"]["channel"] = json!("kiosk");
        order
    };
    let receipt = app.send(&kiosk("o1")).await.expect(200);
    assert!(receipt["effects"].to_string().contains("FREE-1"), "{receipt}");
    assert_eq!(totals(&app, "FREE-1").await, (0, 1));
    let receipt = app.send(&kiosk("o2")).await.expect(200);
    assert_eq!(receipt["status"], "failed");
    assert!(receipt["errors"][0]["error"].as_str().unwrap().contains("upload more"), "{receipt}");
    upload(&app, "partner", "text/plain", "FREE-2\n".into()).await.expect(200);
    let replay = format!("{CHAIN}/source_events/{}/replay", receipt["id"].as_str().unwrap());
    assert_eq!(app.post(&replay, &json!({})).await.expect(200)["status"], "processed");
    assert_eq!(totals(&app, "FREE-2").await, (0, 1));
    app.stop().await;
}
