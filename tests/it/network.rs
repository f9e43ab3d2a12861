//! Receivers whose certificates were signed by an authority of the operator's own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::{TestApp, on_both_backends, order};

on_both_backends! {
    an_authority_of_ones_own_is_believed_when_its_file_is_given,
}

/// A TLS receiver that takes everything; its URL, and its authority as PEM.
fn receiver() -> (String, String) {
    let (mut authority, its_key) = (CertificateParams::default(), KeyPair::generate().unwrap());
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&its_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &Issuer::new(authority, its_key)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        );
    let (config, listener) = (Arc::new(config.unwrap()), TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("https://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for tcp in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            // Who does not believe us hangs up.
            let _ = take(BufReader::new(StreamOwned::new(connection, tcp)));
        }
    });
    (url, pem)
}

/// Reads one request, says yes and closes.
fn take(mut stream: BufReader<impl std::io::Read + std::io::Write>) -> std::io::Result<()> {
    let (mut line, mut length) = (String::new(), 0);
    while stream.read_line(&mut line)? > 2 {
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
        line.clear();
    }
    stream.read_exact(&mut vec![0; length])?;
    stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
}

async fn an_authority_of_ones_own_is_believed_when_its_file_is_given(mut app: TestApp) {
    let (url, pem) = receiver();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    let (endpoint, _) = app.endpoint(&url, &["points.earned"]).await;
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    app.advance(0).await;
    let id = app.deliveries(&endpoint).await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        app.delivery(&id).await["attempts"][0]["error"],
        "the receiver's certificate is not signed by a known authority; --extra-ca adds one"
    );
    app.restart_with(|config| config.extra_ca = Some(file.path().to_owned())).await;
    app.advance(120).await;
    let delivered = app.delivery(&id).await;
    assert_eq!(delivered["status"], "delivered", "{delivered}");
    app.stop().await;
}
