//! Traces: what ties a request to the deliveries that it brings about; and what the log says of requests.

use awc::http::Method;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::receiver::Arrival;
use crate::support::serving::ADMIN_KEY;
use crate::support::{Backend, Receiver, Serving, TestApp, on_both_backends, order};

on_both_backends! {
    deliveries_are_part_of_the_trace_of_what_brought_them_about,
    a_trace_survives_what_is_kept_for_later,
}

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const JSON: (&str, &str) = ("content-type", "application/json");
const EVENTS: &str = "/v1/chains/harvest/events";

/// The trace and the step that an arrival is part of.
fn trace(arrival: &Arrival) -> Option<(String, String)> {
    let parent = arrival.headers.get("traceparent")?;
    let parts: Vec<_> = parent.split('-').collect();
    assert!(parts.len() == 4 && parts[0] == "00" && parts[3] == "01", "{parent}");
    Some((parts[1].to_owned(), parts[2].to_owned()))
}

async fn deliveries_are_part_of_the_trace_of_what_brought_them_about(mut app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["points.earned"]).await;
    let send = async |app: &TestApp, key: &str, headers: &[(&str, &str)]| {
        let headers: Vec<_> = headers.iter().copied().chain([JSON]).collect();
        let body = order(key, "ana", "10.00").to_string().into_bytes();
        app.request(Method::POST, EVENTS, &headers, body).await.expect(200)
    };
    crm.answer([500]);
    let receipt = send(&app, "o1", &[("traceparent", PARENT), ("tracestate", "congo=t61,rojo=00f")]).await;
    app.advance(0).await;
    // The attempt failed. The next one is made by another process, and is another step of the same trace.
    app.restart_with(|_| ()).await;
    app.advance(3600).await;
    let steps: Vec<_> = crm.arrivals().iter().map(|arrival| trace(arrival).expect("a trace")).collect();
    assert_eq!(steps.len(), 2);
    assert!(steps.iter().all(|(id, step)| id == ID && step != "00f067aa0ba902b7"), "{steps:?}");
    assert_ne!(steps[0].1, steps[1].1);
    assert!(crm.arrivals().iter().all(|arrival| arrival.headers["tracestate"] == "congo=t61,rojo=00f"));
    let path = format!("/v1/chains/harvest/source_events/{}", receipt["id"].as_str().unwrap_or_default());
    assert_eq!(app.get(&path).await.expect(200)["trace_id"], ID);

    for (key, headers) in [
        ("o2", vec![]),
        ("o3", vec![("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01")]),
        ("o4", vec![("tracestate", "congo=t61")]),
    ] {
        send(&app, key, &headers).await;
        app.advance(0).await;
        let last = crm.arrivals().pop().unwrap();
        assert!(trace(&last).is_none() && !last.headers.contains_key("tracestate"), "{key}");
    }
    app.stop().await;
}

async fn a_trace_survives_what_is_kept_for_later(mut app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["points.earned", "points.adjusted"]).await;
    let traced = [("traceparent", PARENT), JSON];
    // An order of nobody is parked, until somebody claims it.
    let parked = json!({
        "key": "parked", "type": "order.completed",
        "data": { "order_id": "parked", "total": 20 }
    });
    let receipt =
        app.request(Method::POST, EVENTS, &traced, parked.to_string().into_bytes()).await.expect(200);
    assert_eq!(receipt["status"], "parked", "{receipt}");
    app.restart_with(|_| ()).await;
    app.send(&order("o1", "ana", "1.00")).await.expect(200);
    app.advance(0).await;
    let before = crm.arrivals().len();
    app.post("/v1/chains/harvest/members/ana/claims", &json!({ "code": "parked" })).await.expect(200);
    app.advance(60).await;
    let arrivals = crm.arrivals();
    assert!(arrivals.len() > before, "the claimed order brings points");
    assert!(arrivals[before..].iter().all(|arrival| trace(arrival).is_some_and(|(id, _)| id == ID)));

    // Lines of a batch and commands of an admin are part of the trace of their request, too.
    let before = crm.arrivals().len();
    let line = order("o2", "ana", "10.00").to_string().into_bytes();
    let ndjson = [("traceparent", PARENT), ("content-type", "application/x-ndjson")];
    app.request(Method::POST, "/v1/chains/harvest/events/batch", &ndjson, line).await.expect(200);
    let adjust = json!({ "amount": 5, "reason": "sorry" }).to_string().into_bytes();
    let points = "/v1/chains/harvest/members/ana/points";
    app.request(Method::POST, points, &traced, adjust).await.expect(200);
    app.advance(0).await;
    let arrivals = crm.arrivals();
    assert!(arrivals.len() >= before + 2, "{:?}", crm.kinds());
    assert!(arrivals[before..].iter().all(|arrival| trace(arrival).is_some_and(|(id, _)| id == ID)));
    app.stop().await;
}

#[actix_web::test]
async fn an_endpoint_has_no_trace_of_its_own() {
    let app = TestApp::start(Backend::Sqlite).await;
    for name in ["traceparent", "TraceState"] {
        let endpoint = json!({ "url": "https://example.com/", "events": ["*"], "headers": { name: "x" } });
        let refused = app.post("/v1/chains/harvest/endpoints", &endpoint).await.expect(422);
        assert!(refused["field"].as_str().unwrap_or_default().starts_with("headers"), "{refused}");
    }
    app.stop().await;
}

#[actix_web::test]
async fn a_request_has_a_line_that_names_it_and_nobody_else() {
    let filter = "info,actix_server=warn,actix_http=off,punchcard::requests=debug";
    let server = Serving::start(&["--log", "json", "--log-level", filter, "--trusted-proxies", "127.0.0.1"]);
    let request = format!(
        "GET /v1/chains/harvest/members/ana@example.com HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Authorization: Bearer {ADMIN_KEY}\r\nX-Forwarded-For: 198.51.100.7\r\nX-Request-Id: mine\r\n\
         traceparent: {PARENT}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let line: Value = loop {
        let log = server.log();
        let found = log.lines().find(|line| line.contains("answered") && line.contains("mine"));
        if let Some(line) = found {
            break serde_json::from_str(line).unwrap();
        }
        assert!(std::time::Instant::now() < deadline, "{log}");
        actix_web::rt::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!(
        (line["level"].as_str(), line["target"].as_str()),
        (Some("DEBUG"), Some("punchcard::requests"))
    );
    assert_eq!((line["status"].as_u64(), line["ms"].is_u64()), (Some(404), true), "{line}");
    assert_eq!(line["route"], "/v1/chains/{chain}/members/{member}");
    assert_eq!(line.get("spans"), None, "it is said once: {line}");
    let span = &line["span"];
    for (name, value) in [
        ("id", "mine"),
        ("method", "GET"),
        ("client", "198.51.100.7"),
        ("key", "configuration"),
        ("trace", ID),
    ] {
        assert_eq!(span[name], value, "{line}");
    }
    let log = server.log();
    assert!(!log.contains(ADMIN_KEY) && !log.contains("ana@example.com"), "{log}");
}

#[actix_web::test]
async fn a_collector_gets_a_span_of_each_request_and_may_be_away() {
    let collector = Receiver::start().await;
    collector.answer([503]);
    let app = TestApp::start_with(Backend::Sqlite, |config| {
        config.otlp_endpoint = Some(collector.url.parse::<url::Url>().unwrap().join("/").unwrap());
    })
    .await;
    let body = order("o1", "ana", "10.00").to_string().into_bytes();
    app.request(Method::POST, EVENTS, &[("traceparent", PARENT), JSON], body).await.expect(200);
    app.until("a batch", async || (!collector.arrivals().is_empty()).then_some(())).await;
    // That one was refused. What comes afterwards is sent all the same, the rest at the end.
    app.get("/v1/chains/nowhere").await.expect(404);
    app.get("/healthz").await.expect(200);
    app.stop().await;
    let batches: Vec<_> = collector
        .arrivals()
        .iter()
        .map(|arrival| {
            assert_eq!(
                (&*arrival.path, &*arrival.headers["content-type"]),
                ("/v1/traces", "application/x-protobuf")
            );
            ExportTraceServiceRequest::decode(&*arrival.body).expect("OTLP")
        })
        .collect();
    let resources: Vec<_> = batches.iter().flat_map(|batch| &batch.resource_spans).collect();
    for resource in &resources {
        let said = format!("{:?}", resource.resource);
        assert!(said.contains("service.name") && said.contains("punchcard"), "{said}");
    }
    let spans: Vec<_> =
        resources.iter().flat_map(|r| &r.scope_spans).flat_map(|scope| &scope.spans).collect();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).count();
    let sent = spans.iter().find(|span| span.name == "POST /v1/chains/{chain}/events").expect("the order");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!((hex(&sent.trace_id), hex(&sent.parent_span_id)), (ID.to_owned(), PARENT[36..52].to_owned()));
    assert!(sent.end_time_unix_nano >= sent.start_time_unix_nano);
    assert_eq!((named("GET /v1/chains/{chain}"), named("GET /healthz")), (1, 0));
    assert!(!format!("{spans:?}").contains("nowhere"), "a path names people");
}
