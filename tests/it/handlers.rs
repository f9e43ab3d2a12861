//! Receivers as their products' documents print them, unchanged, in Node: each takes what we send it.
//!
//! The documents are not ours to copy. `PUNCHCARD_TEST_SEEDS=<folder with them, as text> cargo test --test it handlers --
//! --ignored` cuts the code out of them. Which document is whose is seen by what it speaks of, not by its name.

use std::io::{BufRead as _, BufReader};
use std::process::Child;

use serde_json::{Value, json};

use crate::support::interpreters::node;
use crate::support::{Backend, TestApp, order};

const HELP: &str =
    "this test needs the documents of the products: set PUNCHCARD_TEST_SEEDS to a folder with them (*.txt)";
const ENDPOINTS: &str = "/v1/chains/harvest/endpoints";
/// The secret that the receiver was set up with.
const OWN: &str = "my-own-secret-of-old";

/// A server around the printed code, which `answer`s.
const SERVER: &str = "
process.stdin.resume().on('end', () => process.exit());
const server = require('http').createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => answer(request, Buffer.concat(chunks).toString(), response));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
";

/// Takes what `takes` takes, provided that it does not take it with a byte changed.
const JUDGE: &str = "
function answer(request, body, response) {
  const changed = body.replace(/[0-9]/, (digit) => (digit === '1' ? '2' : '1'));
  response.statusCode = takes(request.headers, body) && !takes(request.headers, changed) ? 200 : 401;
  response.end();
}
";

/// What the printed handler of Bubblehouse expects around it: the web framework, and the functions of its own.
const FRAMEWORK: &str = "
const handlers = {};
const app = { post: (path, handler) => { handlers[path] = handler; } };
const checkSubscriptionStatus = async (email) => email !== 'gone@example.com';
const updateCustomerPoints = async (customer, segment, extra) => {
  if (!customer.shopid || !segment.BH_Source || typeof extra.BH_Points !== 'number') throw new Error(JSON.stringify(extra));
};
const triggerTierCampaign = async (customer, segment) => {
  if (!customer.shopid || !segment.BH_Tier) throw new Error(JSON.stringify(segment));
};
function answer(request, body, response) {
  handlers[request.url]({ body: JSON.parse(body) }, { json: (said) => response.end(JSON.stringify(said)) });
}
";

const SENT: &str = r#"{"outcome":"sent"}"#;
const SKIPPED: &str = r#"{"outcome":"skipped"}"#;
const UNSUBSCRIBED: &str = r#"{"outcome":"unsubscribed"}"#;

/// The code in the document that speaks of `topic`: from the line that begins so to the first that is `end`.
fn printed(topic: &str, begin: &str, end: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "where the documents lie is a matter of the machine")]
    let folder = std::env::var_os("PUNCHCARD_TEST_SEEDS").unwrap_or_else(|| panic!("{HELP}"));
    let files = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{HELP} ({e})"));
    let texts = files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok());
    let speaks = |text: &String| text.contains(topic) && text.lines().any(|line| line.starts_with(begin));
    let text =
        texts.into_iter().find(speaks).unwrap_or_else(|| panic!("{HELP} (none of them prints {topic})"));
    let mut code: Vec<_> = text.lines().skip_while(|line| !line.starts_with(begin)).collect();
    let last = code.iter().position(|line| *line == end).unwrap_or_else(|| panic!("{topic}: no end"));
    code.truncate(last + 1);
    code.join("\n")
}

/// A receiver that runs printed code; ends when dropped.
struct Handler {
    process: Child,
    url: String,
}

impl Handler {
    fn start(code: &str) -> Self {
        let mut process = node(&format!("{code}\n{SERVER}"));
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { process, url: format!("http://127.0.0.1:{}", port.trim()) }
    }

    /// One that verifies: `verifyWebhook` as the document calls it, with these arguments.
    fn verifying(topic: &str, arguments: &str, secret: &str) -> Self {
        let code = printed(topic, "const crypto = require('crypto');", "}");
        let takes = format!(
            "const secret = '{secret}';\nconst takes = (headers, body) => verifyWebhook({arguments});"
        );
        Self::start(&format!("{code}\n{takes}\n{JUDGE}"))
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn endpoint(app: &TestApp, url: &str, dialect: &str, secret: Option<&str>) -> String {
    let body = json!({ "url": url, "dialect": dialect, "events": ["*"], "secret": secret });
    app.post(ENDPOINTS, &body).await.expect(201)["id"].as_str().unwrap().to_owned()
}

/// A delivery: of what, its status, and what each attempt was answered.
type Became = (String, String, Vec<Value>);

/// What became of all that an endpoint was told.
async fn became(app: &TestApp, id: &str, of_attempt: &str) -> Vec<Became> {
    let mut became = Vec::new();
    for entry in app.deliveries(id).await {
        let delivery = app.delivery(entry["id"].as_str().unwrap()).await;
        let text = |name: &str| delivery[name].as_str().unwrap().to_owned();
        let attempts = delivery["attempts"].as_array().unwrap().iter();
        became.push((text("event_type"), text("status"), attempts.map(|a| a[of_attempt].clone()).collect()));
    }
    became
}

/// A handler takes every event that its product documents, refuses another secret, and survives a rotation.
async fn takes_what_is_signed(dialect: &str, topic: &str, arguments: &str) {
    let app = TestApp::start(Backend::Sqlite).await;
    let (friend, stranger) = (
        Handler::verifying(topic, arguments, OWN),
        Handler::verifying(topic, arguments, "another-secret-of-old"),
    );
    let id = endpoint(&app, &friend.url, dialect, Some(OWN)).await;
    let refused = endpoint(&app, &stranger.url, dialect, Some(OWN)).await;
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let taken = became(&app, &id, "status_code").await;
    assert!(!taken.is_empty());
    for (_, status, codes) in &taken {
        assert!(status == "delivered" && *codes == [200], "{taken:?}");
    }
    let refusals = became(&app, &refused, "status_code").await;
    assert_eq!(refusals.len(), taken.len());
    for (_, status, codes) in &refusals {
        assert!(status == "pending" && *codes == [401], "{refusals:?}");
    }
    // The receiver has not heard of the new secret yet.
    app.post(&format!("{ENDPOINTS}/{id}/rotate_secret"), &json!({ "overlap_seconds": 3600 }))
        .await
        .expect(200);
    app.send(&order("o2", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let after = became(&app, &id, "status_code").await;
    assert!(after.len() > taken.len());
    assert!(after.iter().all(|(_, status, _)| status == "delivered"), "{after:?}");
    assert!(after.iter().any(|(.., codes)| *codes == [401, 200]), "{after:?}");
    app.stop().await;
}

fn run(test: impl Future<Output = ()>) {
    actix_web::rt::System::new().block_on(test);
}

#[test]
#[ignore = "needs PUNCHCARD_TEST_SEEDS"]
fn the_printed_receiver_of_guestiq_takes_what_we_send() {
    run(takes_what_is_signed(
        "guestiq",
        "X-GuestIQ-Signature",
        "body, headers['x-guestiq-signature'], secret",
    ));
}

#[test]
#[ignore = "needs PUNCHCARD_TEST_SEEDS"]
fn the_printed_receiver_of_gustaio_takes_what_we_send() {
    run(takes_what_is_signed(
        "gustaio",
        "X-Webhook-Signature",
        "secret, headers['x-webhook-timestamp'], body, headers['x-webhook-signature']",
    ));
}

#[test]
#[ignore = "needs PUNCHCARD_TEST_SEEDS"]
fn the_printed_handler_of_bubblehouse_answers_what_we_understand() {
    run(async {
        let app = TestApp::start(Backend::Sqlite).await;
        let code = printed("SendEvent1", "app.post(", "});");
        let handler = Handler::start(&format!("{FRAMEWORK}\n{code}"));
        let id = endpoint(&app, &format!("{}/webhook/:name", handler.url), "bubblehouse", None).await;
        let gone = json!({ "id": "bo", "email": "gone@example.com" });
        app.post("/v1/chains/harvest/members", &gone).await.expect(201);
        for (key, member) in [("o1", "ana"), ("o2", "bo")] {
            app.send(&order(key, member, "600.00")).await.expect(200);
        }
        app.advance(0).await;
        app.patch("/v1/chains/harvest/members/ana", &json!({ "first_name": "Ana" })).await.expect(200);
        app.advance(0).await;
        let became = became(&app, &id, "response_body").await;
        for (kind, status, said) in &became {
            let settles = match said[..] {
                [Value::String(ref said)] if said == SENT || said == SKIPPED => "delivered",
                [Value::String(ref said)] if said == UNSUBSCRIBED => "failed",
                _ => panic!("{kind}: {said:?}"),
            };
            assert_eq!(status, settles, "{kind}: {said:?}");
        }
        for (kind, answer) in [
            ("points.earned", SENT),
            ("tier.upgraded", SENT),
            ("member.updated", SKIPPED),
            ("points.earned", UNSUBSCRIBED),
        ] {
            assert!(became.iter().any(|(k, _, said)| k == kind && *said == [answer]), "{kind}: {became:?}");
        }
        app.stop().await;
    });
}
