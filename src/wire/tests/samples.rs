//! Messages as the products document them: which keys there are, and of what JSON type each is. The values are ours.

use serde_json::{Value, json};

use super::said;
use crate::domain::Timestamp;
use crate::domain::endpoint::Dialect;
use crate::domain::loyalty_event::EventType;

/// Where `ours` is not made like `theirs`: other keys, or another type. Where they show null, anything may be; ours may be
/// null where `may_lack` says so.
fn differences(theirs: &Value, ours: &Value, path: &str, may_lack: &[&str]) -> Vec<String> {
    match (theirs, ours) {
        (Value::Null, _) => Vec::new(),
        (_, Value::Null) if may_lack.iter().any(|lacking| path.ends_with(lacking)) => Vec::new(),
        (Value::Object(theirs), Value::Object(ours)) => {
            let lacking = theirs.keys().filter(|key| !ours.contains_key(*key));
            let more = ours.keys().filter(|key| !theirs.contains_key(*key));
            let keys = lacking.map(|key| format!("{path}.{key} is missing"));
            let keys = keys.chain(more.map(|key| format!("{path}.{key} is not documented")));
            let within = theirs.iter().filter_map(|(key, value)| {
                Some(differences(value, ours.get(key)?, &format!("{path}.{key}"), may_lack))
            });
            keys.chain(within.flatten()).collect()
        }
        (Value::Array(theirs), Value::Array(ours)) => match (theirs.first(), ours.first()) {
            (Some(theirs), Some(ours)) => differences(theirs, ours, &format!("{path}[]"), may_lack),
            _ => Vec::new(),
        },
        (Value::Number(theirs), Value::Number(ours)) if theirs.is_i64() && !ours.is_i64() => {
            vec![format!("{path}: {ours} is no whole number")]
        }
        (Value::String(theirs), Value::String(ours)) if digits_of(theirs) != digits_of(ours) => {
            vec![format!("{path}: {ours} is not written like {theirs}")]
        }
        (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_)) => Vec::new(),
        _ => vec![format!("{path}: {ours} is not like {theirs}")],
    }
}

/// With how many digits of a second an instant is written: code that reads instants may know one way only. `None` of another
/// text.
fn digits_of(text: &str) -> Option<usize> {
    text.parse::<Timestamp>().ok()?;
    Some(text.chars().rev().skip(1).take_while(char::is_ascii_digit).count())
}

fn check(dialect: Dialect, kind: EventType, theirs: &Value, may_lack: &[&str]) {
    check_message(dialect, kind.example().to_json(), theirs, may_lack);
}

fn check_message(dialect: Dialect, message: String, theirs: &Value, may_lack: &[&str]) {
    // Clocks count in microseconds.
    let ours = said(dialect, message.replace(":00Z\"", ":00.123456Z\""));
    let found = differences(theirs, &ours, "", may_lack);
    assert!(found.is_empty(), "{dialect:?}: {found:#?}\n{ours:#}");
}

#[test]
fn a_sample_is_told_apart_from_what_is_not_made_like_it() {
    let theirs = json!({ "a": 1, "b": [{ "c": "x" }], "d": null });
    for (ours, found) in [
        (json!({ "a": 2, "b": [{ "c": "y" }, {}], "d": 3 }), vec![]),
        (json!({ "a": 2, "b": [], "d": {} }), vec![]),
        (
            json!({ "a": 2.5, "b": [{ "c": 1 }], "d": 3 }),
            vec![".a: 2.5 is no whole number", ".b[].c: 1 is not like \"x\""],
        ),
        (
            json!({ "a": null, "b": [{ "c": "y", "e": 1 }] }),
            vec![".d is missing", ".a: null is not like 1", ".b[].e is not documented"],
        ),
    ] {
        assert_eq!(differences(&theirs, &ours, "", &[]), found, "{ours}");
    }
    let (theirs, ours) = ("2026-03-03T18:30:00Z", "2026-03-03T18:30:00.123Z");
    let found = differences(&json!(theirs), &json!(ours), ".at", &[]);
    assert_eq!(found, [format!(".at: {ours} is not written like {theirs}")]);
}

#[test]
fn guestiq_is_as_documented() {
    let in_envelope = |name: &str, data: Value| json!({ "id": "evt_1", "type": name, "timestamp": "2026-03-03T18:30:00Z", "chainId": "harvest", "data": data });
    let absence = || {
        json!({ "guestId": "g", "riskLevel": "LOW", "daysSinceLastVisit": 1, "previousVisitFrequency": 0.5,
            "predictedChurnProbability": 0.5, "recommendedActions": ["a"], "guestSegments": ["s"] })
    };
    let segment = || {
        json!({ "guestId": "g", "segmentId": "s", "segmentName": "s", "segmentType": "PRIMARY", "trigger": "t",
            "previousSegments": ["s"], "currentSegments": ["s"] })
    };
    for (kind, name, data) in [
        (
            EventType::MemberIdentified,
            "GUEST_IDENTIFIED",
            json!({ "guestId": "g", "sessionId": "s", "identifiedVia": "LOYALTY_ID", "confidence": 0.5, "isReturning": true,
                "segments": { "primary": ["s"], "compound": ["s"] }, "cohorts": ["s"] }),
        ),
        (EventType::SegmentEntered, "SEGMENT_ENTERED", segment()),
        (EventType::SegmentExited, "SEGMENT_EXITED", segment()),
        (
            EventType::OrderCompleted,
            "ORDER_COMPLETED",
            json!({ "guestId": "g", "sessionId": "s", "orderId": "o", "restaurantId": "r", "orderTotal": 0.5, "itemCount": 1,
                "items": [{ "dishId": "d", "dishName": "d", "quantity": 1, "price": 0.5, "customized": true }],
                "segments": ["s"] }),
        ),
        (EventType::MemberAtRisk, "GUEST_AT_RISK", absence()),
        (EventType::MemberChurned, "GUEST_CHURNED", absence()),
        (EventType::MemberReactivated, "GUEST_REACTIVATED", absence()),
    ] {
        check(Dialect::Guestiq, kind, &in_envelope(name, data), &[]);
    }
}

#[test]
fn guestiq_shows_segments_by_type_where_it_has_types_and_in_one_list_elsewhere() {
    let order = said(Dialect::Guestiq, EventType::OrderCompleted.example().to_json());
    assert_eq!(order["data"]["segments"], json!(["Coffee", "Coffee regular"]));
    let identified = said(Dialect::Guestiq, EventType::MemberIdentified.example().to_json());
    assert_eq!(
        identified["data"]["segments"],
        json!({ "primary": ["Coffee"], "compound": ["Coffee regular"] })
    );
    let cart = said(Dialect::Guestiq, EventType::CartAbandoned.example().to_json());
    assert_eq!(cart["data"]["items"][0]["dishId"], "dish_001");
    assert_eq!(cart["data"]["cartId"], "cart_5521");
}

#[test]
fn loyali_is_as_documented() {
    let in_envelope = |name: &str, data: Value| json!({ "id": "whd_1", "event_type": name, "created_at": "2026-03-03T18:30:00Z", "data": data });
    let points = || json!({ "customer_id": "c", "amount": 1, "new_balance": 1, "reason": "r" });
    let tiers = || {
        json!({ "customer_id": "c", "customer_email": "e", "previous_tier": { "name": "n", "id": "i" },
            "new_tier": { "name": "n", "id": "i" } })
    };
    for (kind, data) in [
        (EventType::PointsEarned, points()),
        (EventType::PointsRedeemed, points()),
        (EventType::PointsExpired, points()),
        (EventType::PointsAdjusted, points()),
        (EventType::TierUpgraded, tiers()),
        (EventType::TierDowngraded, tiers()),
        (
            EventType::RedemptionCreated,
            json!({ "redemption_id": "r", "customer_id": "c", "reward": { "title": "t", "type": "digital" },
                "points_spent": 1, "status": "pending" }),
        ),
    ] {
        check(Dialect::Loyali, kind, &in_envelope(kind.as_str(), data), &[]);
    }
    let created = said(Dialect::Loyali, EventType::MemberEnrolled.example().to_json());
    assert_eq!(
        (
            &created["data"]["customer_id"],
            &created["data"]["customer_email"],
            &created["data"]["profile"]["first_name"]
        ),
        (&"m-42".into(), &"ana@example.com".into(), &"Ana".into())
    );
    let earned = said(Dialect::Loyali, EventType::AchievementEarned.example().to_json());
    assert_eq!(earned["data"]["achievement"], json!({ "id": "ten_visits", "name": "Ten visits" }));
    assert!(earned["id"].as_str().unwrap().starts_with("whd_"));
}

fn events_webhook(mut event: Value) -> Value {
    for (key, value) in [
        ("status", json!("success")),
        ("evaluationStatus", json!(0)),
        ("systemUniqueKey", json!("u")),
        ("loyaltyEventKey", json!("ev_1")),
        ("updatedAt", json!("2026-03-03T18:30:00.000Z")),
        ("createdAt", json!("2026-03-03T18:30:00.000Z")),
    ] {
        event[key] = value;
    }
    for key in ["externalEventDate", "externalId", "lastError", "description", "tags", "evaluationResults"] {
        event[key] = Value::Null;
    }
    json!({ "event": event })
}

#[test]
fn events_webhook_tells_of_a_member_as_documented() {
    let profile = json!({ "name": "n", "email": "e", "govId": { "id": "i", "type": "t", "issuingCountry": "c" },
        "lastName": "n", "birthdate": "1990-02-28T00:00:00.000Z", "phoneNumber": "5" });
    let mut with_emails = profile.clone();
    with_emails["emails"] = json!(["e"]);
    let at = "2026-03-03T18:30:00.000Z";
    let theirs = events_webhook(json!({
        "loyaltyEventId": "1", "eventType": "member-created",
        "executionResults": {
            "tiers": [{ "loyaltyTierId": 1, "loyaltyProgramId": 1, "loyaltyManualTierId": null, "loyaltySystemTierId": 1 }],
            "active": true, "onChain": { "wallets": [] }, "profile": with_emails, "createdAt": at, "updatedAt": at,
            "organizations": [{ "active": true, "createdAt": at, "updatedAt": at, "loyaltyMemberId": "m",
                "publicLoyaltyMemberId": "p" }],
            "ledgerWalletId": 1, "ledgerWalletKey": "wal_1",
        },
        "payload": { "active": true, "profile": profile, "loyaltyMemberId": "m", "publicLoyaltyMemberId": "p" },
    }));
    let told = EventType::MemberEnrolled.example().to_json();
    let told = told.replace(r#""email":"ana@example.com","#, r#""email":"ana@example.com","phone":"+5411","#);
    let told = told.replace(r#"{"kind":"id","value":"m-42"}"#, r#"{"kind":"card","value":"7001"}"#);
    check_message(Dialect::EventsWebhook, told.clone(), &theirs, &[]);
    let ours = said(Dialect::EventsWebhook, told);
    let (results, payload) = (&ours["event"]["executionResults"], &ours["event"]["payload"]);
    assert_eq!(results["profile"]["emails"], json!(["ana@example.com", "ana@work.example.com"]));
    assert_eq!(results["profile"]["birthdate"], "1990-02-28T00:00:00.000Z");
    assert_eq!(results["profile"]["phoneNumber"], "5411");
    assert_eq!(payload["publicLoyaltyMemberId"], "7001");
    assert!(ours["event"]["loyaltyEventId"].as_str().unwrap().bytes().all(|byte| byte.is_ascii_digit()));
}

#[test]
fn events_webhook_tells_of_coupons_as_documented() {
    let at = "2026-03-03T18:30:00.000Z";
    let coupon = json!({ "code": "c", "createdAt": at, "expiredAt": at, "updatedAt": at, "totalUsages": 0, "totalAssigned": 0,
        "couponBookKey": "cbk_1", "customAttributes": null });
    let usage = json!({ "coupon": coupon, "createdAt": at, "updatedAt": at, "amountUsed": 0, "amountAssigned": 1,
        "couponUsageKey": "cbu_1", "revertedUsageId": null, "systemUniqueKey": "u", "customAttributes": null,
        "updatedTotalUsages": 0, "updatedTotalAssigned": 1 });
    let mut with_member = usage.clone();
    with_member["loyaltyMemberId"] = json!("m");
    let book = json!({ "couponBookKey": "cbk_1", "name": "n", "type": "generated", "externalId": "x", "pictureUrl": "p",
        "description": "d", "validToDate": null, "validFromDate": null, "discountType": "percentage", "discountAmount": 20,
        "tags": null, "customAttributes": null });
    for (kind, name, used) in [
        (EventType::CouponAssigned, "coupon-code-assigned", 0),
        (EventType::CouponUsed, "coupon-code-used", 1),
    ] {
        let theirs = events_webhook(json!({
            "eventType": name, "loyaltyMemberId": "m", "executionResults": usage,
            "payload": { "usage": with_member, "couponBook": book },
        }));
        check(Dialect::EventsWebhook, kind, &theirs, &[]);
        let event = said(Dialect::EventsWebhook, kind.example().to_json());
        let event = &event["event"];
        assert_eq!(event["systemUniqueKey"], event["executionResults"]["systemUniqueKey"]);
        assert_eq!(event["executionResults"]["amountUsed"], used);
        let totals =
            ["totalUsages", "totalAssigned"].map(|total| &event["payload"]["usage"]["coupon"][total]);
        assert_eq!(totals, [&json!(0), &json!(used)], "before it");
    }
}

#[test]
fn gustaio_tells_of_orders_in_camel_case_with_bookings_only_where_there_are_any() {
    let theirs = json!({ "id": "dlv_1", "event": "order.update", "timestamp": null, "restaurantId": "harvest",
        "data": { "orderId": "o", "status": "completed", "total": 0.5, "subtotal": 0.5, "tax": 0.5, "tip": null, "discount": null,
            "deliveryFee": null, "serviceCharge": null, "channel": "pos", "location": "l",
            "items": [{ "sku": "s", "name": "n", "category": "c", "quantity": 1, "price": 0.5, "customized": true }],
            "customer": { "id": "m", "email": "e", "phone": null, "firstName": "f", "lastName": "l" } } });
    check(Dialect::Gustaio, EventType::OrderCompleted, &theirs, &[]);
    for (kind, name, status) in [
        (EventType::OrderUpdated, "order.update", "payment_captured"),
        (EventType::OrderCompleted, "order.update", "completed"),
        (EventType::OrderCancelled, "order.update", "cancelled"),
        (EventType::OrderRefunded, "order.update", "refunded"),
    ] {
        let body = said(Dialect::Gustaio, kind.example().to_json());
        assert_eq!((&body["event"], &body["data"]["status"]), (&name.into(), &status.into()), "{body}");
    }
    let first = EventType::OrderCompleted.example().to_json().replace(r#""told_before":true,"#, "");
    assert_eq!(
        said(Dialect::Gustaio, first)["event"],
        "order.create",
        "nothing was told of the order before"
    );
    let deleted = said(Dialect::Gustaio, EventType::ExperienceDeleted.example().to_json());
    assert_eq!((&deleted["event"], &deleted["data"]["id"]), (&"experience.delete".into(), &"exp_7".into()));
}

#[test]
fn bubblehouse_is_as_documented() {
    let theirs = json!({ "bhid": "b", "time": "2026-03-03T18:30:00.000Z", "name": "Points Updated",
        "customer": { "bhid": "b", "shopid": "s", "email": "e", "first_name": "f", "last_name": "l" },
        "customer_props": { "BH_Points_Balance": 1, "BH_Tier": "t", "BH_Points_NextExpiration_Amount": 1,
            "BH_Points_NextExpiration_Date": "2026-04-01T04:00:00.000Z" },
        "segment_props": { "BH_Source": "order" },
        "extra_props": { "BH_Points": 1, "order_id": "o" } });
    check(Dialect::Bubblehouse, EventType::PointsEarned, &theirs, &[]);
    let earned = said(Dialect::Bubblehouse, EventType::PointsEarned.example().to_json());
    assert_eq!(earned["customer_props"]["BH_Tier"], "Bronze");
    assert_eq!(earned["time"], "2026-03-03T18:30:00.000Z");
    assert_eq!(earned["bhid"].as_str().map(str::len), Some(32));
    for (kind, props, name, value) in [
        (EventType::TierUpgraded, "segment_props", "BH_Tier", json!("Silver")),
        (EventType::AchievementEarned, "segment_props", "BH_Achievement", json!("Ten visits")),
        (EventType::ReferralCreated, "segment_props", "BH_HasCoupon", json!(true)),
        (EventType::ReferralCreated, "extra_props", "BH_Link", json!("https://example.com/r/7MKQX3TB9WZC")),
        (EventType::MemberUpdated, "customer_props", "favourite_table", json!(7)),
    ] {
        let body = said(Dialect::Bubblehouse, kind.example().to_json());
        assert_eq!(body[props][name], value, "{body:#}");
    }
    let updated = said(Dialect::Bubblehouse, EventType::MemberUpdated.example().to_json());
    assert_eq!(updated["customer_only"], true);
}
