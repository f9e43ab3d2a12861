//! Receivers that are slow, huge, endless, rude or lying: each costs bounded time and memory.

mod elsewhere;
mod proxy;
mod rude;
mod tokens;
mod trust;

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::RootCertStore;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::receiver::{OK, answering, receiver, take_head, take_request};
use super::*;

/// Short, so that the tests are quick; long enough for a busy machine to answer over loopback.
const TIMEOUT: Duration = Duration::from_millis(500);

fn outbound(allow: &str) -> Outbound {
    let policy = AddressPolicy { allow: vec![allow.parse().unwrap()], allow_http: true };
    Outbound::new(reach(policy))
}

fn reach(policy: AddressPolicy) -> Reach {
    Reach { policy: Arc::new(policy), trust: Trust::bundled(), proxy: None, timeout: TIMEOUT }
}

fn request() -> SignedRequest {
    SignedRequest {
        headers: vec![("content-type", "application/json".into())],
        capitals: false,
        body: "{}".into(),
    }
}

async fn send(outbound: &Outbound, url: &str) -> Exchange {
    outbound.attempt(&outbound.target(&Endpoint::sample(url)).unwrap(), &request()).await
}

/// A receiver that takes one request, writes `head`, then `bytes` again and again, pausing in between.
async fn repeating(head: &'static [u8], bytes: &'static [u8], pause: Duration) -> String {
    let (url, _) = receiver(move |mut tcp| async move {
        take_request(&mut tcp).await;
        if tcp.write_all(head).await.is_err() {
            return;
        }
        while tcp.write_all(bytes).await.is_ok() {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    })
    .await;
    url
}

/// A receiver that takes one request, writes these bytes and closes.
async fn closing(bytes: &'static [u8]) -> (String, Rc<Cell<usize>>) {
    receiver(move |mut tcp| async move {
        take_request(&mut tcp).await;
        let _ = tcp.write_all(bytes).await;
    })
    .await
}

fn assert_bounded(exchange: &Exchange, what: &str) {
    assert!(exchange.duration < TIMEOUT + Duration::from_secs(1), "{what} took {:?}", exchange.duration);
    if let Ok(answer) = &exchange.outcome {
        assert!(answer.body.len() <= BODY_CAP, "{what} kept {} bytes", answer.body.len());
    }
}

const DRIP: Duration = Duration::from_millis(20);
const CHUNK: &[u8] = &[b'a'; 16 * 1024];

#[actix::test]
async fn who_never_finishes_is_cut_off_at_the_deadline() {
    let outbound = outbound("127.0.0.0/8");
    for (what, head, status) in [
        ("silence", "", None),
        ("a dripping head", "HTTP/1.1 200 OK\r\nx: ", None),
        ("a dripping body", "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", Some(200)),
        (
            "a dripping chunked body",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n",
            Some(200),
        ),
    ] {
        let bytes: &[u8] = if head.is_empty() { b"" } else { b"1" };
        let url = repeating(head.as_bytes(), bytes, DRIP).await;
        let exchange = send(&outbound, &url).await;
        assert_eq!(exchange.outcome, Err(AttemptError::TimedOut(TIMEOUT)), "{what}");
        assert_eq!(exchange.status, status, "{what}");
        assert_bounded(&exchange, what);
    }
}

#[actix::test]
async fn endless_answers_are_cut_at_the_cap() {
    let outbound = outbound("127.0.0.0/8");
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1073741824\r\n\r\n",
    ] {
        let url = repeating(head.as_bytes(), CHUNK, Duration::ZERO).await;
        let exchange = send(&outbound, &url).await;
        assert_eq!(exchange.outcome.as_ref().map(|answer| answer.body.len()), Ok(BODY_CAP), "{head}");
        assert_bounded(&exchange, head);
    }
}

#[actix::test]
async fn a_head_may_be_large_and_is_cut_off_as_soon_as_it_is_too_large() {
    let outbound = outbound("127.0.0.0/8");
    let head = |bytes: usize, end: &str| -> &'static [u8] {
        let line = format!("x: {}\r\n", "a".repeat(995));
        format!("HTTP/1.1 200 OK\r\n{}{end}", line.repeat(bytes / 1_000)).into_bytes().leak()
    };
    let (url, _) = closing(head(line::HEAD - 2_000, "content-length: 0\r\n\r\n")).await;
    assert_eq!(send(&outbound, &url).await.status, Some(200));
    // Without end, and in no hurry: the deadline would let it stay.
    let url = repeating(head(line::HEAD + 2_000, ""), b"a", DRIP).await;
    let exchange = send(&outbound, &url).await;
    assert_eq!(exchange.outcome, Err(AttemptError::NotHttp));
    // A large body that comes with its head is something else.
    let whole = format!("HTTP/1.1 200 OK\r\ncontent-length: 40000\r\n\r\n{}", "a".repeat(40_000));
    let (url, _) = closing(whole.into_bytes().leak()).await;
    let exchange = send(&outbound, &url).await;
    assert_eq!(exchange.outcome.map(|answer| answer.body.len()), Ok(40_000));
}

#[actix::test]
async fn what_is_not_an_http_answer_is_a_failure() {
    let outbound = outbound("127.0.0.0/8");
    for (head, bytes) in [
        ("HTTP/1.1 200 OK\r\nx: ", CHUNK),
        ("HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        ("\u{16}\u{3}\u{1}garbage\r\n\r\n", CHUNK),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", CHUNK),
        ("HTTP/1.1 2000 OK\r\n\r\n", CHUNK),
    ] {
        let url = repeating(head.as_bytes(), bytes, Duration::ZERO).await;
        let exchange = send(&outbound, &url).await;
        assert_eq!(exchange.outcome, Err(AttemptError::NotHttp), "{head}");
        assert_bounded(&exchange, head);
    }
}

#[actix::test]
async fn names_of_headers_have_capitals_where_the_request_says_so() {
    let outbound = outbound("127.0.0.0/8");
    for (capitals, expected) in [(true, "\r\nX-Loyali-Signature: t"), (false, "\r\nx-loyali-signature: t")] {
        let head = Rc::new(RefCell::new(String::new()));
        let seen = Rc::clone(&head);
        let (url, _) = receiver(move |mut tcp| {
            let seen = Rc::clone(&seen);
            async move {
                *seen.borrow_mut() = take_head(&mut tcp).await.unwrap_or_default();
                let _ = tcp.write_all(OK).await;
            }
        })
        .await;
        let headers = vec![("x-loyali-signature", "t".to_owned())];
        let request = SignedRequest { headers, capitals, ..request() };
        outbound.attempt(&outbound.target(&Endpoint::sample(&url)).unwrap(), &request).await;
        assert!(head.borrow().contains(expected), "{}", head.borrow());
    }
}

#[actix::test]
async fn a_closed_door_is_named() {
    let outbound = outbound("127.0.0.0/8");
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let exchange = send(&outbound, &format!("http://{nobody}/")).await;
    assert_eq!(exchange.outcome, Err(AttemptError::ConnectionRefused));

    for bytes in [&b""[..], b"HTTP/1.1 20"] {
        let (url, connections) = closing(bytes).await;
        let exchange = send(&outbound, &url).await;
        assert_eq!(exchange.outcome, Err(AttemptError::Disconnected));
        assert_eq!(connections.get(), 1, "a fresh connection that breaks is not tried twice");
    }
}

#[actix::test]
async fn a_body_that_breaks_off_does_not_undo_the_head() {
    let outbound = outbound("127.0.0.0/8");
    for bytes in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
    ] {
        let (url, _) = closing(bytes).await;
        let exchange = send(&outbound, &url).await;
        assert_eq!(exchange.outcome.as_ref().map(|answer| answer.status), Ok(200));
        assert_bounded(&exchange, "a broken body");
    }
}

#[actix::test]
async fn an_interim_answer_is_a_failure_and_its_connection_is_never_used_again() {
    let outbound = outbound("127.0.0.0/8");
    let url = repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n", Duration::ZERO).await;
    assert_eq!(send(&outbound, &url).await.outcome, Err(AttemptError::Interim(100)));

    // The real answer to the first request comes late; it must not be taken for the answer to the second.
    let turn = Rc::new(Cell::new(0));
    let (url, connections) = receiver(move |mut tcp| {
        let turn = Rc::clone(&turn);
        async move {
            while take_request(&mut tcp).await {
                turn.set(turn.get() + 1);
                let answer: &[u8] = match turn.get() {
                    1 => b"HTTP/1.1 100 Continue\r\n\r\n",
                    2 => b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
                    _ => OK,
                };
                let _ = tcp.write_all(answer).await;
            }
        }
    })
    .await;
    assert_eq!(send(&outbound, &url).await.outcome, Err(AttemptError::Interim(100)));
    assert_eq!(send(&outbound, &url).await.status, Some(500));
    assert_eq!(connections.get(), 2);
}

#[actix::test]
async fn leftovers_of_one_answer_are_not_the_next_answer() {
    let outbound = outbound("127.0.0.0/8");
    for bytes in [
        &b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
        b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nand more than was announced",
    ] {
        let (url, _) = answering(bytes).await;
        for _ in 0..3 {
            let exchange = send(&outbound, &url).await;
            assert_ne!(exchange.outcome.as_ref().map(|answer| answer.status), Ok(200));
            assert_bounded(&exchange, "two answers");
        }
    }
}

#[actix::test]
async fn every_dial_obeys_the_policy_whatever_the_host_looks_like() {
    let (url, visits) = answering(OK).await;
    let port = Endpoint::sample(&url).url.port().unwrap();
    let strict = outbound("198.51.100.0/24");
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]"] {
        let exchange = send(&strict, &format!("http://{host}:{port}/")).await;
        let Err(error @ AttemptError::Address(_)) = exchange.outcome else { panic!("{host}: {exchange:?}") };
        assert!(error.to_string().contains("--allow-private"), "{error}");
    }
    assert_eq!(visits.get(), 0);
    let exchange = send(&strict, "http://does-not-exist.invalid/").await;
    assert!(
        matches!(exchange.outcome, Err(AttemptError::UnknownHost | AttemptError::TimedOut(_))),
        "{exchange:?}"
    );
}

#[actix::test]
async fn plain_http_is_refused_once_the_flag_is_gone() {
    let outbound = Outbound::new(reach(AddressPolicy::default()));
    let error = outbound.target(&Endpoint::sample("http://example.com/")).unwrap_err();
    assert!(error.to_string().contains("--allow-http"), "{error}");
}

#[actix::test]
async fn a_kept_connection_is_used_again_and_replaced_when_it_breaks() {
    let outbound = outbound("127.0.0.0/8");
    let (url, connections) = answering(OK).await;
    for _ in 0..20 {
        assert_eq!(send(&outbound, &url).await.status, Some(200));
    }
    assert_eq!(connections.get(), 1);

    // Answers once on each connection, then closes it under the next request.
    let (url, connections) = receiver(|mut tcp| async move {
        take_request(&mut tcp).await;
        let _ = tcp.write_all(OK).await;
        take_request(&mut tcp).await;
    })
    .await;
    for _ in 0..3 {
        assert_eq!(send(&outbound, &url).await.status, Some(200));
    }
    assert_eq!(connections.get(), 3);
}

#[actix::test]
async fn idle_connections_are_hung_up() {
    let dialer = Dialer::new(Arc::new(AddressPolicy {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        allow_http: true,
    }));
    let (url, _) = answering(OK).await;
    let uri: Uri = url.parse().unwrap();
    let dial = actix_service::Service::call(&dialer, actix_tls::connect::ConnectInfo::new(uri));
    let (mut line, _) = dial.await.unwrap().into_parts();
    dialer.lines().hang_up_idle(Instant::now());
    assert_eq!(line.read(&mut [0]).await.unwrap(), 0);
    assert!(line.write(b"x").await.is_err());
}

#[actix::test]
async fn headers_and_body_arrive_as_signed() {
    let (url, seen) = echo().await;
    let outbound = outbound("127.0.0.0/8");
    let mut endpoint = Endpoint::sample(&url);
    endpoint.headers = [("X-Tenant".into(), "harvest".into()), ("Content-Type".into(), "evil".into())].into();
    let target = outbound.target(&endpoint).unwrap();
    assert_eq!(outbound.attempt(&target, &request()).await.status, Some(200));
    let seen = seen.take().to_ascii_lowercase();
    assert!(seen.starts_with("post /hook http/1.1\r\n"), "{seen}");
    for line in ["x-tenant: harvest", "content-type: application/json", "content-length: 2"] {
        assert_eq!(seen.matches(line).count(), 1, "{line} in {seen}");
    }
    assert!(!seen.contains("evil") && !seen.contains("accept-encoding"), "{seen}");
}

/// A receiver that remembers the last request.
async fn echo() -> (String, Rc<RefCell<String>>) {
    let seen = Rc::new(RefCell::new(String::new()));
    let memory = Rc::clone(&seen);
    let (url, _) = receiver(move |mut tcp| {
        let memory = Rc::clone(&memory);
        async move {
            let mut buffer = vec![0; 4096];
            let n = tcp.read(&mut buffer).await.unwrap();
            memory.replace(String::from_utf8_lossy(&buffer[..n]).into_owned());
            let _ = tcp.write_all(OK).await;
        }
    })
    .await;
    (url, seen)
}

#[actix::test]
async fn a_receiver_without_tls_or_without_a_trusted_certificate_is_refused() {
    let outbound = outbound("127.0.0.0/8");
    let (url, _) = closing(b"").await;
    let exchange = send(&outbound, &url.replace("http:", "https:")).await;
    assert!(exchange.outcome.is_err() && exchange.status.is_none(), "{exchange:?}");
    let url = repeating(b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", DRIP).await;
    let exchange = send(&outbound, &url.replace("http:", "https:")).await;
    assert!(exchange.outcome.is_err() && exchange.status.is_none(), "{exchange:?}");
    assert_bounded(&exchange, "plain text on a TLS port");

    let exchange = send(&outbound, &self_signed()).await;
    assert!(matches!(exchange.outcome, Err(AttemptError::Certificate(_))), "{exchange:?}");
}

/// A TLS receiver that nobody vouches for.
fn self_signed() -> String {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let pem = include_bytes!("testdata/self_signed.pem");
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(pem).unwrap()],
                PrivateKeyDer::from_pem_slice(pem).unwrap(),
            )
            .unwrap();
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        let mut tls = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        while tls.is_handshaking() && tls.complete_io(&mut tcp).is_ok() {}
    });
    url
}

#[test]
fn the_log_keeps_the_first_500_characters() {
    let of = |body: Vec<u8>| {
        let outcome = Ok(Answer { status: 200, body, ..Answer::default() });
        Exchange { outcome, status: Some(200), duration: Duration::ZERO }.body_start()
    };
    assert_eq!(of(Vec::new()), None);
    assert_eq!(of("ä".repeat(600).into_bytes()), Some("ä".repeat(500)));
    assert_eq!(of(b"a\0\xff".to_vec()).unwrap(), "a\u{FFFD}\u{FFFD}");
}

/// A TLS receiver that takes those who show the certificate of the client; counts its connections.
fn exclusive(server: &'static [u8], client: &[u8]) -> (String, Arc<AtomicUsize>) {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(client).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(server).unwrap()],
            PrivateKeyDer::from_pem_slice(server).unwrap(),
        )
        .unwrap();
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let (config, count) = (Arc::new(config), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for tcp in listener.incoming().map_while(Result::ok) {
            let (config, counter) = (Arc::clone(&config), Arc::clone(&counter));
            std::thread::spawn(move || {
                let tls = rustls::ServerConnection::new(config).unwrap();
                let mut stream = rustls::StreamOwned::new(tls, tcp);
                let (mut seen, mut byte) = (Vec::new(), [0]);
                while std::io::Read::read(&mut stream, &mut byte).is_ok_and(|n| n == 1) {
                    seen.push(byte[0]);
                    if seen.ends_with(b"\r\n\r\n{}") {
                        counter.fetch_add(1, Ordering::SeqCst);
                        seen.clear();
                        let _ = std::io::Write::write_all(&mut stream, OK);
                    }
                }
            });
        }
    });
    (url, count)
}

#[actix::test]
async fn a_connection_with_a_certificate_is_shared_with_nobody() {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let (server, pem) = (include_bytes!("testdata/server.pem"), include_bytes!("testdata/client.pem"));
    let (url, taken) = exclusive(server, pem);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server).unwrap()).unwrap();
    let policy = AddressPolicy { allow: vec!["127.0.0.0/8".parse().unwrap()], allow_http: true };
    let (trust, timeout) = (Trust::only(roots), Duration::from_secs(5));
    let outbound = Outbound::new(Reach { trust, timeout, ..reach(policy) });
    let text = std::str::from_utf8(pem).unwrap().to_owned();
    let identity = serde_json::json!({ "type": "mtls", "certificate": text, "key": text });
    let mut known = Endpoint::sample(&url);
    known.auth = serde_json::from_value(identity).unwrap();
    let known = outbound.target(&known).unwrap();
    let stranger = outbound.target(&Endpoint::sample(&url)).unwrap();
    for n in 1..=3 {
        assert_eq!(outbound.attempt(&known, &request()).await.status, Some(200));
        assert_eq!(taken.load(Ordering::SeqCst), n);
        let refused = outbound.attempt(&stranger, &request()).await;
        assert!(refused.outcome.is_err() && refused.status.is_none(), "{refused:?}");
    }
    assert_eq!(taken.load(Ordering::SeqCst), 3);
}

#[test]
fn a_certificate_is_checked_before_it_is_stored() {
    let [server, client] =
        [&include_bytes!("testdata/server.pem")[..], include_bytes!("testdata/client.pem")];
    let [server, client] = [server, client].map(|pem| std::str::from_utf8(pem).unwrap());
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (certificate, key, field) in [
        (client, client, None),
        (client, server, Some("key")),
        (client, nonsense, Some("key")),
        (nonsense, client, Some("certificate")),
        ("", client, Some("certificate")),
        ("-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n", client, Some("certificate")),
    ] {
        let identity = serde_json::json!({ "certificate": certificate, "key": key });
        let refused = check_identity(&serde_json::from_value(identity).unwrap());
        assert_eq!(refused.err().map(|bad| bad.field), field, "{certificate} {key}");
    }
}

#[actix::test]
async fn headers_of_ours_are_hidden_from_whoever_logs() {
    let mut endpoint = Endpoint::sample("http://127.0.0.1:9/");
    endpoint.headers = [("x-api-key".into(), "hunter2".into())].into();
    endpoint.auth = serde_json::from_str(r#"{"type":"bearer","token":"hunter2"}"#).unwrap();
    let target = outbound("127.0.0.0/8").target(&endpoint).unwrap();
    assert_eq!(target.headers.len(), 2);
    let shown = format!("{:?} {target:?} {endpoint:?}", target.headers);
    assert!(!shown.contains("hunter2"), "{shown}");
}
