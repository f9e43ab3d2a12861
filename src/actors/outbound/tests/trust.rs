//! Whom a client believes, and what the log says about those whom it does not.

use std::io::{Read as _, Write as _};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;

use super::super::trust::of_system;
use super::*;

/// An authority, and its certificate as PEM.
pub(super) fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

/// A receiver that shows a certificate for `shop.example` and answers these bytes; its port.
pub(super) fn showing(
    signed_by: Option<&Issuer<'_, KeyPair>>,
    change: impl FnOnce(&mut CertificateParams),
    answer: &'static [u8],
) -> u16 {
    let mut params = CertificateParams::new(["shop.example".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = match signed_by {
        Some(authority) => params.signed_by(&key, authority).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let (config, listener) =
        (Arc::new(config), std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        let mut stream = rustls::StreamOwned::new(rustls::ServerConnection::new(config).unwrap(), tcp);
        let (mut seen, mut byte) = (Vec::new(), [0]);
        while stream.read(&mut byte).is_ok_and(|n| n == 1) {
            seen.push(byte[0]);
            if seen.ends_with(b"\r\n\r\n{}") && stream.write_all(answer).is_err() {
                return;
            }
        }
    });
    port
}

/// A client to which every name is this machine.
fn trusting(trust: &Trust) -> Outbound {
    let policy = Arc::new(AddressPolicy { allow: vec!["127.0.0.0/8".parse().unwrap()], allow_http: false });
    let resolver = |_: &str, port| Ok(vec![(Ipv4Addr::LOCALHOST, port).into()]);
    let dialer = Dialer::asking(Arc::new(resolver), Arc::clone(&policy));
    let timeout = Duration::from_secs(5);
    Outbound::dialling(dialer, Reach { policy, trust: trust.clone(), proxy: None, timeout })
}

pub(super) fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[actix::test]
async fn a_receiver_is_believed_when_its_certificate_is_good_in_every_respect() {
    let ((ours, pem), (other, another)) = (authority("Ours"), authority("Theirs"));
    let extra = file(&format!("# two of them\n{another}{pem}"));
    let trust = Trust::of(TlsRoots::Bundled, Some(extra.path())).unwrap();
    let day = rcgen::date_time_ymd;
    type Change = Box<dyn Fn(&mut CertificateParams)>;
    let cases: Vec<(&str, Change, Option<&str>)> = vec![
        ("good", Box::new(|_| ()), None),
        ("expired", Box::new(move |c| c.not_after = day(2020, 1, 1)), Some("has expired")),
        ("early", Box::new(move |c| c.not_before = day(4000, 1, 1)), Some("is not valid yet")),
        (
            "of another host",
            Box::new(|c| *c = CertificateParams::new(["evil.example".to_owned()]).unwrap()),
            Some("is for another host name"),
        ),
        ("nameless", Box::new(|c| c.subject_alt_names.clear()), Some("is for another host name")),
        (
            "of a client",
            Box::new(|c| c.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            Some("is not meant for a server"),
        ),
        (
            "of an authority",
            Box::new(|c| c.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            Some("is an authority's own; the receiver needs one that the authority signed"),
        ),
    ];
    for (what, change, problem) in cases {
        let port = showing(Some(&ours), change, OK);
        let exchange = send(&trusting(&trust), &format!("https://shop.example:{port}/")).await;
        match problem {
            None => assert_eq!(exchange.status, Some(200), "{what}: {exchange:?}"),
            Some(problem) => assert_eq!(
                exchange.outcome.unwrap_err().to_string(),
                format!("the receiver's certificate {problem}"),
                "{what}"
            ),
        }
    }
    for (what, signed_by, trust) in [
        ("without the file", Some(&ours), Trust::bundled()),
        ("with another file", Some(&other), Trust::of(TlsRoots::Bundled, Some(file(&pem).path())).unwrap()),
        ("signed by nobody", None, trust),
    ] {
        let port = showing(signed_by, |_| (), OK);
        let error =
            send(&trusting(&trust), &format!("https://shop.example:{port}/")).await.outcome.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the receiver's certificate is not signed by a known authority; --extra-ca adds one",
            "{what}"
        );
    }
}

#[actix::test]
async fn silence_after_the_handshake_is_cut_off() {
    let (ours, pem) = authority("Ours");
    let trust = Trust::of(TlsRoots::Bundled, Some(file(&pem).path())).unwrap();
    let port = showing(Some(&ours), |_| (), b"");
    let outbound = trusting(&trust);
    let mut endpoint = Endpoint::sample(&format!("https://shop.example:{port}/"));
    endpoint.settings = serde_json::from_str(r#"{ "timeout_s": 1 }"#).unwrap();
    let exchange = outbound.attempt(&outbound.target(&endpoint).unwrap(), &request()).await;
    assert_eq!(exchange.outcome, Err(AttemptError::TimedOut(Duration::from_secs(1))));
}

#[test]
fn a_file_without_authorities_says_what_is_wrong() {
    let (_, pem) = authority("Ours");
    let key = KeyPair::generate().unwrap().serialize_pem();
    for (text, problem) in [
        ("", "holds no certificate"),
        (key.as_str(), "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n", "cannot read "),
        (
            &format!("{pem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "certificate 2 of ",
        ),
    ] {
        let file = file(text);
        let error = Trust::of(TlsRoots::Bundled, Some(file.path())).unwrap_err().to_string();
        assert!(error.contains(problem) && error.contains(&file.path().display().to_string()), "{error}");
    }
    let error = Trust::of(TlsRoots::Bundled, Some("/nowhere/ca.pem".as_ref())).unwrap_err().to_string();
    assert!(error.starts_with("cannot read /nowhere/ca.pem: ") && error.contains("--extra-ca"), "{error}");
}

#[actix::test]
async fn the_authorities_of_the_system_may_be_the_only_ones() {
    let (ours, pem) = authority("Ours");
    let folder = tempfile::tempdir().unwrap();
    let found = || rustls_native_certs::load_certs_from_paths(None, Some(folder.path()));
    let error = of_system(found()).unwrap_err().to_string();
    assert!(error.contains("--tls-roots bundled"), "{error}");
    std::fs::write(folder.path().join("0a1b2c3d.0"), pem).unwrap();
    let trust = Trust::only(of_system(found()).unwrap());
    assert_eq!(trust.roots().len(), 1);
    let port = showing(Some(&ours), |_| (), OK);
    let exchange = send(&trusting(&trust), &format!("https://shop.example:{port}/")).await;
    assert_eq!(exchange.status, Some(200), "{exchange:?}");
}
