//! Counters, marks and loyalty events of a program's own, as outsiders see them.

use serde_json::{Value, json};

use crate::support::{Backend, Receiver, TestApp, on_both_backends, order, refund};

on_both_backends! {
    from super::with_words;
    the_tenth_stamp_is_told_marked_and_counted_back_and_a_repeat_counts_nothing,
    a_changed_order_moves_what_it_counted_and_a_refund_does_not,
    counters_add_up_in_a_merge_part_again_and_are_forgotten_with_the_guest,
}

const MEMBERS: &str = "/v1/chains/harvest/members";

const TERMS: &str = r#"
counters = ["stamps"]
marks    = ["full card"]
events   = ["card.full", "card.empty"]
"#;

const RULES: &str = r#"
rule "Stamps" on order.completed { count("stamps", order.items.len()); }
rule "Full" on points.earned when member.counter("stamps") >= 10 {
    count("stamps", -10);
    mark("full card");
    emit("card.full", #{ left: member.counter("stamps") - 10 });
}
rule "A word for it" on card.full { award(5, "a full card"); }
"#;

async fn with_words(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| {
        let folder = config.rules.join("harvest");
        let manifest = folder.join("program.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(manifest, format!("{TERMS}{text}")).unwrap();
        std::fs::write(folder.join("words.rhai"), RULES).unwrap();
    })
    .await
}

/// An order of so many things at a dollar each.
fn of_things(id: &str, guest: &str, things: usize) -> Value {
    let mut event = order(id, guest, &format!("{things}.00"));
    event["data"]["items"] = vec![json!({ "name": "Coffee", "price": "1.00" }); things].into();
    event
}

async fn member(app: &TestApp, guest: &str) -> Value {
    app.get(&format!("{MEMBERS}/{guest}")).await.expect(200)
}

async fn stamps(app: &TestApp, guest: &str) -> Value {
    member(app, guest).await["counters"]["stamps"].clone()
}

async fn the_tenth_stamp_is_told_marked_and_counted_back_and_a_repeat_counts_nothing(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["custom.emitted"]).await;
    app.send(&of_things("o1", "ana", 7)).await.expect(200);
    assert_eq!((stamps(&app, "ana").await, crm.arrivals().len()), (json!(7), 0));
    let receipt = app.send(&of_things("o2", "ana", 5)).await.expect(200);
    assert_eq!(receipt["status"], "processed", "{receipt:#}");
    let now = member(&app, "ana").await;
    assert_eq!((&now["counters"], &now["marks"]), (&json!({ "stamps": 2 }), &json!(["full card"])));
    assert_eq!(now["points"], 7 + 5 + 5);
    assert_eq!(app.send(&of_things("o2", "ana", 5)).await.expect(200)["duplicate"], true);
    assert_eq!(member(&app, "ana").await, now);
    app.advance(0).await;
    let [told] = &crm.arrivals()[..] else { panic!("one message") };
    let told = told.json();
    assert_eq!(told["type"], "custom.emitted");
    assert_eq!((&told["data"]["name"], &told["data"]["data"]), (&json!("card.full"), &json!({ "left": 2 })));
    app.stop().await;
}

async fn a_changed_order_moves_what_it_counted_and_a_refund_does_not(app: TestApp) {
    app.send(&of_things("o1", "ana", 7)).await.expect(200);
    let mut changed = of_things("o1-again", "ana", 4);
    changed["type"] = json!("order.updated");
    changed["data"]["order_id"] = json!("o1");
    changed["occurred_at"] = json!("2026-03-03T18:31:00Z");
    app.send(&changed).await.expect(200);
    assert_eq!(stamps(&app, "ana").await, 4);
    app.send(&refund("back", "o1", "4.00")).await.expect(200);
    assert_eq!(stamps(&app, "ana").await, 4);
    app.stop().await;
}

async fn counters_add_up_in_a_merge_part_again_and_are_forgotten_with_the_guest(app: TestApp) {
    app.send(&of_things("o1", "ana", 3)).await.expect(200);
    app.send(&of_things("o2", "bo", 4)).await.expect(200);
    let bo = member(&app, "bo").await["member_id"].clone();
    app.post(&format!("{MEMBERS}/ana/merge"), &json!({ "from": "bo" })).await.expect(200);
    assert_eq!(stamps(&app, "ana").await, 7);
    app.post(&format!("{MEMBERS}/ana/unmerge"), &json!({ "member": bo })).await.expect(200);
    assert_eq!((stamps(&app, "ana").await, stamps(&app, "bo").await), (json!(3), json!(4)));
    let export = app.get(&format!("{MEMBERS}/bo/export")).await.expect(200);
    assert_eq!(export["member"]["counters"], json!({ "stamps": 4 }));
    let path = format!("{MEMBERS}/bo");
    app.request(awc::http::Method::DELETE, &path, &[], Vec::new()).await.expect(200);
    app.get(&path).await.expect(404);
    app.send(&of_things("o3", "bo", 1)).await.expect(200);
    assert_eq!(stamps(&app, "bo").await, 1, "somebody new");
    app.stop().await;
}
