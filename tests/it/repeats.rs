//! Commands asked for again under their key, after what they name has come to mean somebody else, or nobody.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::app::Reply;
use crate::support::{TestApp, on_both_backends, order};

on_both_backends! {
    a_command_is_the_same_after_its_member_was_merged,
    an_erasure_is_the_same_when_nobody_has_the_name_any_more,
    a_coupon_is_used_once_by_somebody_who_was_merged_meanwhile,
}

const CHAIN: &str = "/v1/chains/harvest";

async fn ask(app: &TestApp, method: Method, path: &str, key: &str, body: &Value) -> Reply {
    let headers = [("idempotency-key", key), ("content-type", "application/json")];
    app.request(method, &format!("{CHAIN}/{path}"), &headers, body.to_string().into_bytes()).await
}

async fn two_members(app: &TestApp) {
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.send(&order("o2", "anna", "30.00")).await.expect(200);
}

/// Asks twice, with something happening in between, and expects the first answer again.
async fn ask_again(
    app: &TestApp,
    (method, path, key): (Method, &str, &str),
    body: &Value,
    then: impl AsyncFn(),
) {
    let first = ask(app, method.clone(), path, key, body).await.expect(200);
    then().await;
    let again = ask(app, method, path, key, body).await.expect(200);
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)), "{again}");
}

async fn a_command_is_the_same_after_its_member_was_merged(app: TestApp) {
    two_members(&app).await;
    let gift = json!({ "amount": 5, "reason": "Gift" });
    let merge = async || {
        app.post(&format!("{CHAIN}/members/ana/merge"), &json!({ "from": "anna" })).await.expect(200);
    };
    ask_again(&app, (Method::POST, "members/anna/points", "gift"), &gift, merge).await;
    let ana = app.get(&format!("{CHAIN}/members/ana")).await.expect(200);
    assert_eq!(ana["points"], 55, "once");
    let other = json!({ "amount": 6, "reason": "Gift" });
    let reused = ask(&app, Method::POST, "members/anna/points", "gift", &other).await.expect(409);
    assert_eq!(reused["code"], "key_reused");
    app.verify();
    app.stop().await;
}

async fn an_erasure_is_the_same_when_nobody_has_the_name_any_more(app: TestApp) {
    two_members(&app).await;
    ask_again(&app, (Method::DELETE, "members/ana", "forget"), &json!({}), async || ()).await;
    assert_eq!(ask(&app, Method::DELETE, "members/ana", "other", &json!({})).await.status, 404);
    let reused = ask(&app, Method::POST, "members/ana/points", "forget", &json!({})).await.expect(409);
    assert_eq!(reused["code"], "key_reused");
    assert_eq!(app.get(&format!("{CHAIN}/members/anna")).await.expect(200)["points"], 30);
    app.verify();
    app.stop().await;
}

async fn a_coupon_is_used_once_by_somebody_who_was_merged_meanwhile(app: TestApp) {
    two_members(&app).await;
    let book = json!({ "name": "Soup", "type": "uploaded", "discount_type": "other" });
    let made = app.post(&format!("{CHAIN}/coupon_books"), &book).await.expect(201);
    let codes = format!("{CHAIN}/coupon_books/{}/codes", made["coupon_book_key"].as_str().unwrap());
    let plain = [("content-type", "text/plain")];
    app.request(Method::POST, &codes, &plain, b"SOUP-1\n".to_vec()).await.expect(200);
    let merge = async || {
        app.post(&format!("{CHAIN}/members/ana/merge"), &json!({ "from": "anna" })).await.expect(200);
    };
    let body = json!({ "member": "anna" });
    ask_again(&app, (Method::POST, "coupons/SOUP-1/use", "tap"), &body, merge).await;
    let used = app.get(&format!("{CHAIN}/coupons/SOUP-1")).await.expect(200);
    assert_eq!(used["total_usages"], 1);
    app.stop().await;
}
