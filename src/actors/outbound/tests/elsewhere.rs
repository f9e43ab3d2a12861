//! Names, redirects and other ways to be led elsewhere. 127.0.0.2 stands for the public internet, 127.0.0.1 for what
//! nobody may reach.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, mpsc};

use futures_util::future::{join, join_all};

use super::super::receiver::receiver_at;
use super::*;

pub(super) const PUBLIC: &str = "127.0.0.2";

/// A client for which a name leads to what `resolver` says.
fn told(
    allow: &[&str],
    resolver: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
) -> Outbound {
    let allow = allow.iter().map(|network| network.parse().unwrap()).collect();
    let policy = Arc::new(AddressPolicy { allow, allow_http: true });
    let resolver = move |name: &str, port| {
        Ok(resolver(name)?.into_iter().map(|addr| SocketAddr::new(addr, port)).collect())
    };
    let dialer = Dialer::asking(Arc::new(resolver), Arc::clone(&policy));
    Outbound::dialling(dialer, Reach { policy, trust: Trust::bundled(), proxy: None, timeout: TIMEOUT })
}

pub(super) fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn port(url: &str) -> u16 {
    Endpoint::sample(url).url.port().unwrap()
}

#[actix::test]
async fn one_address_that_may_not_be_reached_refuses_a_name() {
    let (canary, visits) = answering(OK).await;
    let many = vec![PUBLIC; 511];
    for (what, answers) in [
        ("a name that spells an address", vec!["127.0.0.1"]),
        ("public and private", vec![PUBLIC, "127.0.0.1"]),
        ("private and public", vec!["127.0.0.1", PUBLIC]),
        ("the last of many", [many, vec!["127.0.0.1"]].concat()),
        ("the cloud's secrets", vec!["169.254.169.254"]),
        ("any of our own", vec!["0.0.0.0"]),
        ("IPv6 only", vec!["::1"]),
        ("private IPv6", vec!["fd00::1"]),
        ("IPv4 written as IPv6", vec!["::ffff:127.0.0.1"]),
        ("NAT64", vec!["64:ff9b::7f00:1"]),
        ("local NAT64", vec!["64:ff9b:1::7f00:1"]),
        ("6to4", vec!["2002:7f00:1::"]),
        ("Teredo", vec!["2001:0:4136:e378:8000:63bf:80ff:fffe"]),
    ] {
        let answers: Vec<IpAddr> = answers.into_iter().map(addr).collect();
        let outbound = told(&["127.0.0.2/32"], move |_| Ok(answers.clone()));
        let exchange = send(&outbound, &format!("http://127.0.0.1.nip.example:{}/", port(&canary))).await;
        let Err(error @ AttemptError::Address(_)) = &exchange.outcome else { panic!("{what}: {exchange:?}") };
        assert!(error.to_string().contains("--allow-private"), "{what}: {error}");
    }
    assert_eq!(visits.get(), 0);
}

#[actix::test]
async fn a_name_that_changes_its_mind_is_judged_on_every_dial() {
    let (canary, visits) = answering(OK).await;
    let port = port(&canary);
    let (_, served) = receiver_at((addr(PUBLIC), port), |mut tcp| async move {
        take_request(&mut tcp).await;
        let _ = tcp.write_all(OK).await; // and closes, so that the next delivery dials again
    })
    .await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let outbound = told(&["127.0.0.2/32"], move |_| match counter.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(vec![addr(PUBLIC)]),
        _ => Ok(vec![addr("127.0.0.1")]),
    });
    let url = format!("http://rebind.example:{port}/");
    assert_eq!(send(&outbound, &url).await.status, Some(200));
    assert_eq!(asked.load(Ordering::SeqCst), 1, "between the check and the dial nobody asks again");
    let exchange = send(&outbound, &url).await;
    assert!(matches!(exchange.outcome, Err(AttemptError::Address(_))), "{exchange:?}");
    assert_eq!((served.get(), visits.get()), (1, 0));
}

#[actix::test]
async fn of_many_addresses_a_few_are_tried() {
    let (canary, visits) = answering(OK).await;
    let outbound = told(&["127.0.0.0/8"], |_| {
        let dead = (3..6).map(|n| IpAddr::from([127, 0, 0, n]));
        Ok(dead.chain(vec![addr("127.0.0.1"); 509]).collect())
    });
    let exchange = send(&outbound, &format!("http://many.example:{}/", port(&canary))).await;
    assert_eq!(exchange.outcome, Err(AttemptError::ConnectionRefused));
    assert_eq!(visits.get(), 0);
}

#[actix::test]
async fn a_name_that_nobody_knows_is_named() {
    let outbound = told(&["127.0.0.0/8"], |name| match name {
        "empty.example" => Ok(Vec::new()),
        _ => Err(io::ErrorKind::NotFound.into()),
    });
    for url in ["http://empty.example/", "http://unknown.example/"] {
        assert_eq!(send(&outbound, url).await.outcome, Err(AttemptError::UnknownHost), "{url}");
    }
}

#[actix::test]
async fn a_resolver_does_not_complete_a_public_name() {
    // As one that searches the domains of its network for whatever does not end with a dot.
    let outbound = told(&[], |name| match name.ends_with('.') {
        true => Err(io::ErrorKind::NotFound.into()),
        false => Ok(vec![addr("127.0.0.1")]),
    });
    for url in ["http://shop.example/", "http://shop.example./", "http://hooks.prod/"] {
        assert_eq!(send(&outbound, url).await.outcome, Err(AttemptError::UnknownHost), "{url}");
    }
}

#[actix::test]
async fn a_name_that_nobody_answers_for_ends_with_the_attempt_and_delays_no_other() {
    const AT_ONCE: usize = 100;
    let (healthy, _) = answering(OK).await;
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let outbound = told(&["127.0.0.0/8"], move |name| match name {
        "hangs.example" => {
            let _ = held.lock().unwrap().recv();
            Ok(Vec::new())
        }
        _ => Ok(vec![addr("127.0.0.1")]),
    });
    let hanging = join_all((0..AT_ONCE).map(|_| send(&outbound, "http://hangs.example/")));
    let healthy = format!("http://healthy.example:{}/", port(&healthy));
    let (hanging, healthy) = join(hanging, send(&outbound, &healthy)).await;
    drop(release);
    assert_eq!(healthy.status, Some(200), "{healthy:?}");
    for exchange in hanging {
        assert_eq!(exchange.outcome, Err(AttemptError::TimedOut(TIMEOUT)));
        assert_bounded(&exchange, "a resolver that hangs");
    }
}

/// A receiver that answers with these bytes; the count of requests.
async fn counting(bytes: String) -> (String, Rc<Cell<usize>>) {
    let (bytes, requests) = (Rc::new(bytes), Rc::new(Cell::new(0)));
    let counter = Rc::clone(&requests);
    let (url, _) = receiver(move |mut tcp| {
        let (bytes, counter) = (Rc::clone(&bytes), Rc::clone(&counter));
        async move {
            while take_request(&mut tcp).await {
                counter.set(counter.get() + 1);
                let _ = tcp.write_all(bytes.as_bytes()).await;
            }
        }
    })
    .await;
    (url, requests)
}

#[actix::test]
async fn no_redirect_is_followed_wherever_it_leads() {
    let outbound = outbound("127.0.0.0/8");
    let (canary, visits) = answering(OK).await;
    let beside = canary.trim_start_matches("http:").to_owned();
    for status in [301, 302, 303, 307, 308] {
        for to in [
            canary.as_str(),
            &beside,
            "/elsewhere",
            "http://10.0.0.1/",
            "http://[::1]/",
            "http://169.254.169.254/latest/meta-data/",
            "https://shop.example/",
            "file:///etc/passwd",
            "gopher://127.0.0.1:6379/_FLUSHALL",
        ] {
            let head = format!("HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
            let (url, requests) = counting(head).await;
            let exchange = send(&outbound, &url).await;
            let error = exchange.outcome.unwrap_err();
            assert_eq!(error, AttemptError::Redirect { status, to: to.to_owned() });
            assert!(error.to_string().contains(&format!("the redirect to {to} was not followed")), "{error}");
            assert_eq!((exchange.status, requests.get()), (Some(status), 1), "{to}");
        }
    }
    assert_eq!(visits.get(), 0);
}

#[actix::test]
async fn no_other_header_leads_elsewhere_and_who_wants_a_password_gets_none() {
    let outbound = outbound("127.0.0.0/8");
    let (canary, visits) = answering(OK).await;
    for (status, header) in [
        (200, format!("refresh: 0; url={canary}")),
        (200, format!("location: {canary}")),
        (200, format!("alt-svc: http/1.1=\":{}\"", port(&canary))),
        (401, "www-authenticate: Basic realm=\"x\"".to_owned()),
        (407, "proxy-authenticate: Basic realm=\"x\"".to_owned()),
        (300, "content-type: text/plain".to_owned()),
    ] {
        let (url, requests) =
            counting(format!("HTTP/1.1 {status} X\r\n{header}\r\ncontent-length: 0\r\n\r\n")).await;
        for n in 1..=2 {
            let exchange = send(&outbound, &url).await;
            assert_eq!(exchange.outcome.map(|answer| answer.status), Ok(status), "{header}");
            assert_eq!(requests.get(), n, "{header}");
        }
    }
    assert_eq!(visits.get(), 0);
}
