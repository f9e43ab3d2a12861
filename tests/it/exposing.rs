//! The edge to the network: TLS on the listener, pages of other origins, headers that browsers obey.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use awc::http::Method;
use punchcard::app::{App, StartError};
use punchcard::config::{Config, Hidden};
use punchcard::http::TlsFiles;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Backend, TestApp};

const ORIGIN: &str = "https://dashboard.example.com";
const ALIVE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Writes a new certificate and its key into the folder; answers what clients are to trust.
fn certify(folder: &Path) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    certificate.der().clone()
}

fn config(folder: &Path) -> Config {
    let mut config = Config::defaults();
    config.bind = "127.0.0.1:0".parse().unwrap();
    config.database = format!("sqlite://{}/punchcard.db", folder.display()).parse().unwrap();
    config.rules = folder.join("rules");
    config.master_key = Some(Hidden::new([7; 32]));
    config.workers = 1.try_into().unwrap();
    config.tls = Some(TlsFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") });
    config
}

async fn handshake(
    app: &App,
    trusted: &[&CertificateDer<'static>],
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add((*certificate).clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();
    let tcp = TcpStream::connect(app.address()).await?;
    TlsConnector::from(Arc::new(client)).connect(ServerName::try_from("localhost").unwrap(), tcp).await
}

async fn answer(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    request: &[u8],
) -> String {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
    let _ = reading.await.expect("an end within 20 seconds");
    String::from_utf8_lossy(&answer).into_owned()
}

#[actix_web::test]
async fn tls_is_spoken_with_the_certificate_of_the_files_also_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let old = certify(folder.path());
    let app = App::start(&config(folder.path())).await.expect("it starts");
    assert!(app.url().starts_with("https://127.0.0.1:"));
    for version in [&TLS13, &TLS12] {
        let said = answer(handshake(&app, &[&old], version).await.expect("a handshake"), ALIVE).await;
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
        assert!(said.contains("strict-transport-security: max-age=31536000"), "{said}");
    }
    // Who speaks plain HTTP gets an alert, and nothing of ours.
    let said = answer(TcpStream::connect(app.address()).await.unwrap(), ALIVE).await;
    assert!(!said.contains("HTTP/1.1"), "{said}");

    let new = certify(folder.path());
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let stream = handshake(&app, &[&old, &new], &TLS13).await.expect("a handshake");
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        if shown == new {
            break;
        }
        assert!(shown == old && Instant::now() < deadline, "the new certificate is not shown");
        actix_web::rt::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(handshake(&app, &[&old], &TLS13).await.is_err(), "the old one is gone");
    app.stop().await;
}

#[actix_web::test]
async fn a_handshake_that_is_not_finished_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = certify(folder.path());
    let app = App::start(&config(folder.path())).await.expect("it starts");
    let began = Instant::now();
    // More than any pool of handshakes has room for: the next one comes through all the same.
    let mut silent = Vec::new();
    for n in 0..300 {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        // Some say nothing, some begin.
        stream.write_all(&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..n % 12]).await.unwrap();
        silent.push(stream);
    }
    let said = answer(handshake(&app, &[&trusted], &TLS13).await.expect("a handshake"), ALIVE).await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    let ends = futures_util::future::join_all(silent.into_iter().map(|stream| answer(stream, b""))).await;
    assert!(ends.iter().all(|said| !said.contains("HTTP/1.1")));
    assert!(began.elapsed() < Duration::from_secs(18), "{:?}", began.elapsed());
    app.stop().await;
}

#[actix_web::test]
async fn a_certificate_that_cannot_be_used_ends_the_start_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let other = tempfile::tempdir().unwrap();
    certify(other.path());
    let mut config = config(folder.path());
    config.tls = config.tls.map(|tls| TlsFiles { key: other.path().join("key.pem"), ..tls });
    let Err(error @ StartError::Certificate(_)) = App::start(&config).await else { panic!("it started") };
    assert!(error.to_string().contains("is not that of the first certificate"), "{error}");
}

#[actix_web::test]
async fn health_asks_this_machine_whatever_the_certificate_and_a_name_only_with_the_one_for_it() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let app = App::start(&config(folder.path())).await.expect("it starts");
    let (folder, bind) = (folder.path().to_owned(), app.address().to_string());
    let health = async move |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_punchcard"));
        command.args(["health", "--bind", &bind]).args(more).current_dir(&folder);
        command.args(["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
        let done = actix_web::rt::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let said = [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        (done.status.code(), said.concat())
    };
    let url = format!("https://localhost:{}", app.address().port());
    let (code, said) = health(&[]).await;
    assert_eq!((code, said), (Some(0), format!("{}/readyz answers 200\n", app.url())));
    let (code, said) = health(&["--url", &url]).await;
    assert!(code == Some(1) && said.contains("UnknownIssuer"), "{said}");
    let trusting = ["--extra-ca", "cert.pem", "--url"];
    assert_eq!(health(&[&trusting[..], &[&url]].concat()).await.0, Some(0));
    let (code, said) = health(&[&trusting[..], &[&app.url()]].concat()).await;
    assert!(code == Some(1) && said.contains("not valid for name"), "{said}");
    app.stop().await;
    let (code, said) = health(&[]).await;
    assert!(code == Some(1) && said.contains("does not answer"), "{said}");
}

#[actix_web::test]
async fn every_answer_has_the_headers_that_browsers_obey() {
    let app = TestApp::start(Backend::Sqlite).await;
    for (path, status) in [
        ("/healthz", 200),
        ("/metrics", 200),
        ("/v1/chains", 200),
        ("/nowhere", 404),
        ("/v1/chains/x", 404),
        ("/v1/chains/harvest/members?limit=x", 422),
    ] {
        let reply = app.get(path).await;
        assert_eq!(reply.status, status, "{path}");
        for (name, value) in [
            ("x-content-type-options", Some("nosniff")),
            ("content-security-policy", Some("default-src 'none'; frame-ancestors 'none'")),
            ("referrer-policy", Some("no-referrer")),
            ("cross-origin-resource-policy", Some("same-origin")),
            ("cache-control", Some("no-store")),
            // Only who came by TLS is told to stay with it.
            ("strict-transport-security", None),
        ] {
            assert_eq!(reply.header(name), value, "{path} {name}");
        }
    }
    app.stop().await;
}

#[actix_web::test]
async fn pages_of_other_origins_are_told_nothing_unless_they_are_named() {
    let mut app = TestApp::start(Backend::Sqlite).await;
    let said = async |app: &TestApp, method: Method, origin: &str| {
        let asks = [
            ("origin", origin),
            ("access-control-request-method", "PATCH"),
            ("access-control-request-headers", "authorization, if-match"),
        ];
        let headers = if method == Method::OPTIONS { &asks[..] } else { &asks[..1] };
        app.request(method, "/v1/chains", headers, Vec::new()).await
    };
    for method in [Method::GET, Method::OPTIONS] {
        let reply = said(&app, method, ORIGIN).await;
        assert!(!reply.headers.iter().any(|(name, _)| name.starts_with("access-control")), "{reply:?}");
    }
    app.restart_with(|config| config.cors_origins = vec![ORIGIN.parse().unwrap()]).await;
    let read = said(&app, Method::GET, ORIGIN).await;
    assert_eq!(read.status, 200);
    assert_eq!(read.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(read.header("access-control-expose-headers"), Some("*"));
    assert!(read.header("vary").is_some_and(|vary| vary.contains("Origin")), "{read:?}");
    let asked = said(&app, Method::OPTIONS, ORIGIN).await;
    assert_eq!(asked.header("access-control-allow-origin"), Some(ORIGIN));
    assert!(asked.header("access-control-allow-methods").is_some_and(|all| all.contains("PATCH")));
    assert!(asked.header("access-control-allow-headers").is_some_and(|all| all.contains("if-match")));
    assert!(asked.header("x-request-id").is_some() && asked.header("x-content-type-options").is_some());
    for reply in [&read, &asked] {
        assert_eq!(reply.header("access-control-allow-credentials"), None, "a key is no cookie");
    }
    for other in [
        "https://evil.example.com",
        "null",
        "https://dashboard.example.com.evil.example",
        "http://dashboard.example.com",
    ] {
        for method in [Method::GET, Method::OPTIONS] {
            let reply = said(&app, method, other).await;
            assert_eq!(reply.header("access-control-allow-origin"), None, "{other}");
        }
    }
    // Who is no browser needs no origin.
    assert_eq!(app.get("/v1/chains").await.status, 200);
    app.stop().await;
}
