//! Members made and changed by hand: who they are, and by what they are known.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{Receiver, TestApp, on_both_backends, order, visit};

on_both_backends! {
    a_member_is_created_once_with_a_profile,
    a_profile_changes_in_part_and_tells_what_changed,
    identities_of_somebody_else_are_refused,
    birthdays_and_anniversaries_come_once_a_year_at_the_daily_tick,
}

const MEMBERS: &str = "/v1/chains/harvest/members";

async fn post_keyed(app: &TestApp, body: &Value) -> (u16, Value) {
    let headers = [("idempotency-key", "signup-7"), ("content-type", "application/json")];
    let reply = app.request(Method::POST, MEMBERS, &headers, body.to_string().into_bytes()).await;
    (reply.status, reply.json())
}

async fn patch(app: &TestApp, member: &str, body: &Value) -> (u16, Value) {
    let json = [("content-type", "application/json")];
    let path = format!("{MEMBERS}/{member}");
    let reply = app.request(Method::PATCH, &path, &json, body.to_string().into_bytes()).await;
    (reply.status, reply.json())
}

async fn a_member_is_created_once_with_a_profile(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["member.*"]).await;
    let ana =
        json!({ "id": "ana", "email": "Ana@Example.com", "first_name": "Ana", "birthdate": "1990-02-28" });
    let (status, first) = post_keyed(&app, &ana).await;
    assert_eq!((status, &first["status"]), (201, &json!("processed")), "{first}");
    assert_eq!(first["member"]["email"], "ana@example.com");
    let (status, again) = post_keyed(&app, &ana).await;
    assert_eq!((status, &again["duplicate"], &again["id"]), (200, &json!(true), &first["id"]), "{again}");
    let (status, other) = post_keyed(&app, &json!({ "id": "ben" })).await;
    assert_eq!((status, &other["code"]), (409, &json!("key_reused")));
    let taken = app.post(MEMBERS, &json!({ "id": "ben", "email": "ana@example.com" })).await.expect(409);
    assert_eq!(taken["code"], "member_exists");
    assert_eq!(app.get(&format!("{MEMBERS}/ben")).await.status, 404);
    for (body, field) in [
        (json!({ "first_name": "Ana" }), "id"),
        (json!({ "id": "cleo", "emails": ["x"] }), "emails[0]"),
        (json!({ "id": "cleo", "nickname": "x" }), "nickname"),
    ] {
        assert_eq!(app.post(MEMBERS, &body).await.expect(422)["field"], field);
    }
    app.send(&visit("v1", "ana", "2026-03-03T18:00:00Z")).await.expect(200);
    let member = app.get(&format!("{MEMBERS}/ana")).await.expect(200);
    assert_eq!(member["profile"], json!({ "first_name": "Ana", "birthdate": "1990-02-28" }));
    assert_eq!(member["lifetime_visits"], 1);
    app.advance(0).await;
    let mut kinds = crm.kinds();
    kinds.sort();
    assert_eq!(kinds, ["member.enrolled", "member.updated"]);
    app.stop().await;
}

async fn a_profile_changes_in_part_and_tells_what_changed(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["member.updated"]).await;
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    let gov_id = json!({ "id": "30123456", "type": "DNI", "issuing_country": "AR" });
    let till = json!({ "key": "p1", "type": "member.updated", "member": { "id": "ana" },
        "data": { "phone": "+1 555 123 4567", "last_name": "Suárez", "gov_id": gov_id, "consents": { "sms": true } } });
    let receipt = app.send(&till).await.expect(200);
    assert_eq!(receipt["member"]["phone"], "+15551234567");
    let (status, receipt) =
        patch(&app, "ana", &json!({ "last_name": null, "email": "ana@example.com" })).await;
    assert_eq!((status, &receipt["member"]["email"]), (200, &json!("ana@example.com")), "{receipt}");
    let same = json!({ "consents": { "sms": true }, "phone": "+15551234567" });
    let (_, same) = patch(&app, "ana@example.com", &same).await;
    assert_eq!(same["events"], json!([]), "nothing is another one now");
    let (_, known_by_more) = patch(&app, "ana", &json!({ "card": "77" })).await;
    assert_eq!(known_by_more["events"][0]["type"], "member.updated");
    app.advance(0).await;
    let told: Vec<_> = crm.arrivals().iter().map(|arrival| arrival.json()["data"].clone()).collect();
    assert_eq!(told.len(), 3);
    let of = |changed: Value| told.iter().find(|data| data["changed"] == changed).unwrap();
    let first = of(json!(["last_name", "gov_id", "consents", "identities"]));
    assert_eq!((&first["profile"]["gov_id"], &first["source_event"]), (&gov_id, &json!("p1")));
    assert!(of(json!(["last_name", "identities"]))["profile"].get("last_name").is_none());
    let card = of(json!(["identities"]));
    assert_eq!(card["identities"].as_array().unwrap().len(), 4, "{card}");
    assert!(card["identities"].to_string().contains("77"), "{card}");
    let (status, refused) = patch(&app, "ana", &json!({ "birthdate": "2026-03-04" })).await;
    assert_eq!((status, &refused["code"]), (409, &json!("not_born_yet")));
    assert_eq!(patch(&app, "nobody", &json!({})).await.0, 404);
    app.stop().await;
}

async fn identities_of_somebody_else_are_refused(app: TestApp) {
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.send(&order("o2", "ben", "20.00")).await.expect(200);
    let (status, refused) = patch(&app, "ben", &json!({ "id": "ana", "first_name": "Ben" })).await;
    assert_eq!((status, &refused["code"]), (409, &json!("identity_taken")), "{refused}");
    let ben = app.get(&format!("{MEMBERS}/ben")).await.expect(200);
    assert_eq!(ben["profile"], json!({}));
    let (status, _) = patch(&app, "ben", &json!({ "id": "ben", "card": "77", "first_name": "Ben" })).await;
    assert_eq!(status, 200);
    assert_eq!(app.get(&format!("{MEMBERS}?card=77")).await.expect(200)["items"][0]["id"], "ben");
    app.stop().await;
}

async fn birthdays_and_anniversaries_come_once_a_year_at_the_daily_tick(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["member.birthday", "member.anniversary"]).await;
    app.post(MEMBERS, &json!({ "id": "ana", "birthdate": "1990-03-05" })).await.expect(201);
    app.advance(37 * 3600 + 29 * 60).await; // 02:59 in New York
    assert_eq!(crm.arrivals().len(), 0);
    app.advance(2 * 60).await;
    let birthday = crm.arrivals().pop().unwrap().json();
    assert_eq!(
        (&birthday["type"], &birthday["data"]),
        (&json!("member.birthday"), &json!({ "day": "2026-03-05" }))
    );
    assert!(birthday["timestamp"].as_str().unwrap().starts_with("2026-03-05T08:00:00"), "{birthday}");
    assert_eq!(birthday["member"]["points"], 50, "a rule gave a gift");
    patch(&app, "ana", &json!({ "birthdate": "1990-03-07" })).await;
    app.advance(363 * 24 * 3600).await;
    let kinds = crm.kinds();
    assert_eq!(kinds, ["member.birthday", "member.anniversary"], "another birthdate, but no second birthday");
    let anniversary = crm.arrivals().pop().unwrap().json();
    assert_eq!(anniversary["data"], json!({ "years": 1, "enrolled_on": "2026-03-03" }));
    app.advance(5 * 24 * 3600).await;
    assert_eq!(crm.arrivals().pop().unwrap().json()["data"], json!({ "day": "2027-03-07" }));
    app.stop().await;
}
