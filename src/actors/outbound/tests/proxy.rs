//! A proxy between us and everybody else. 127.0.0.2 stands for the public internet, 127.0.0.1 for what nobody may reach: the
//! proxy is there all the same.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use super::super::receiver::{OPEN, pass_on, receiver_at, take_head};
use super::elsewhere::{PUBLIC, addr, port};
use super::trust::{authority, file, showing};
use super::*;

/// What a proxy says, and whom it connects with when that is yes.
type Says = (&'static [u8], Option<SocketAddr>);

/// A proxy that says this when it is asked for a target; what it was asked.
async fn proxy(says: impl Fn(&str) -> Says + 'static) -> (Proxy, Rc<RefCell<Vec<String>>>) {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let (says, log) = (Rc::new(says), Rc::clone(&asked));
    let (url, _) = receiver(move |mut tcp| {
        let (says, log) = (Rc::clone(&says), Rc::clone(&log));
        async move {
            let Some(head) = take_head(&mut tcp).await else { return };
            let (answer, to) = says(head.split(' ').nth(1).unwrap());
            log.borrow_mut().push(head);
            if tcp.write_all(answer).await.is_ok()
                && let Some(to) = to
            {
                pass_on(tcp, to).await;
            }
        }
    })
    .await;
    (url.strip_suffix("/hook").unwrap().parse().unwrap(), asked)
}

/// It does as it is asked.
fn obeys(target: &str) -> Says {
    (OPEN, Some(target.parse().unwrap()))
}

/// A client behind a proxy, for which a name leads to what `resolver` says.
fn behind(
    proxy: Proxy,
    trust: Trust,
    resolver: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
) -> Outbound {
    let policy = Arc::new(AddressPolicy { allow: vec!["127.0.0.2/31".parse().unwrap()], allow_http: true });
    let proxy = Some(Arc::new(proxy));
    let resolver = move |name: &str, port| {
        Ok(resolver(name)?.into_iter().map(|addr| SocketAddr::new(addr, port)).collect())
    };
    let dialer = Dialer::asking(Arc::new(resolver), Arc::clone(&policy)).through(proxy.clone());
    Outbound::dialling(dialer, Reach { policy, trust, proxy, timeout: TIMEOUT })
}

fn knows(addrs: &'static [&'static str]) -> impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync {
    move |_| Ok(addrs.iter().copied().map(addr).collect())
}

/// Somebody on the public internet who takes what is sent.
async fn taker() -> (u16, Rc<Cell<usize>>) {
    let (url, connections) = receiver_at((addr(PUBLIC), 0), |mut tcp| async move {
        while take_request(&mut tcp).await {
            let _ = tcp.write_all(OK).await;
        }
    })
    .await;
    (port(&url), connections)
}

#[actix::test]
async fn everything_goes_through_the_proxy_to_addresses_that_were_judged() {
    let (port, connections) = taker().await;
    let (proxy, asked) = proxy(obeys).await;
    let proxy = format!("{proxy}").replace("http://", "http://us:pa%20ss@").parse().unwrap();
    let outbound = behind(proxy, Trust::bundled(), knows(&[PUBLIC]));
    for url in ["http://shop.example", "http://127.0.0.2"] {
        for _ in 0..3 {
            assert_eq!(send(&outbound, &format!("{url}:{port}/hook")).await.status, Some(200), "{url}");
        }
    }
    let expected = format!(
        "CONNECT 127.0.0.2:{port} HTTP/1.1\r\nhost: 127.0.0.2:{port}\r\n\
         proxy-authorization: Basic dXM6cGEgc3M=\r\n\r\n"
    );
    assert_eq!(*asked.borrow(), [expected.clone(), expected], "one tunnel for each host, used again");
    assert_eq!(connections.get(), 2);
}

#[actix::test]
async fn what_is_sent_says_the_name_and_nothing_of_the_proxy() {
    let seen = Rc::new(RefCell::new(String::new()));
    let memory = Rc::clone(&seen);
    let (url, _) = receiver_at((addr(PUBLIC), 0), move |mut tcp| {
        let memory = Rc::clone(&memory);
        async move {
            memory.replace(take_head(&mut tcp).await.unwrap());
            let _ = tcp.write_all(OK).await;
            take_head(&mut tcp).await; // who closes before all is read resets
        }
    })
    .await;
    let (proxy, _) = proxy(obeys).await;
    let proxy = format!("{proxy}").replace("http://", "http://us:pass@").parse().unwrap();
    let outbound = behind(proxy, Trust::bundled(), knows(&[PUBLIC]));
    let port = port(&url);
    assert_eq!(send(&outbound, &format!("http://shop.example:{port}/hook")).await.status, Some(200));
    let seen = seen.take().to_ascii_lowercase();
    assert!(seen.starts_with("post /hook http/1.1\r\n"), "{seen}");
    assert!(
        seen.contains(&format!("\r\nhost: shop.example:{port}\r\n")) && !seen.contains("proxy"),
        "{seen}"
    );
}

#[actix::test]
async fn the_certificate_is_that_of_the_name_whatever_the_proxy_connects_with() {
    let (ours, pem) = authority("Ours");
    let trust = Trust::of(TlsRoots::Bundled, Some(file(&pem).path())).unwrap();
    for (name, status) in [("shop.example", Some(200)), ("evil.example", None)] {
        let receiver = SocketAddr::from((Ipv4Addr::LOCALHOST, showing(Some(&ours), |_| (), OK)));
        let (proxy, asked) = proxy(move |_| (OPEN, Some(receiver))).await;
        let outbound = behind(proxy, trust.clone(), knows(&[PUBLIC]));
        let exchange = send(&outbound, &format!("https://{name}/hook")).await;
        assert_eq!(exchange.status, status, "{name}: {exchange:?}");
        assert!(asked.borrow()[0].starts_with("CONNECT 127.0.0.2:443 "), "{asked:?}");
        if status.is_none() {
            assert_eq!(exchange.outcome, Err(AttemptError::Certificate("is for another host name")));
        }
    }
}

#[actix::test]
async fn a_proxy_is_no_way_round_the_policy() {
    let (proxy, asked) = proxy(obeys).await;
    for resolves in [false, true] {
        let proxy = proxy.clone().resolving(resolves);
        let outbound = behind(proxy, Trust::bundled(), knows(&[PUBLIC, "127.0.0.1"]));
        let urls = ["http://127.0.0.1:80/", "http://[::1]:80/", "http://10.0.0.1/", "http://shop.example/"];
        for url in urls.into_iter().take(if resolves { 3 } else { 4 }) {
            let exchange = send(&outbound, url).await;
            assert!(matches!(exchange.outcome, Err(AttemptError::Address(_))), "{url}: {exchange:?}");
        }
    }
    assert_eq!(asked.borrow().len(), 0);
}

#[actix::test]
async fn a_proxy_that_looks_names_up_is_asked_for_names_and_nobody_else_is() {
    let (port, _) = taker().await;
    let receiver = SocketAddr::new(addr(PUBLIC), port);
    let (proxy, asked) = proxy(move |_| (OPEN, Some(receiver))).await;
    let nobody = |name: &str| -> io::Result<Vec<IpAddr>> { panic!("{name} is looked up") };
    let outbound = behind(proxy.resolving(true), Trust::bundled(), nobody);
    assert_eq!(send(&outbound, &format!("http://shop.example:{port}/")).await.status, Some(200));
    assert!(asked.borrow()[0].starts_with(&format!("CONNECT shop.example:{port} ")), "{asked:?}");
}

#[actix::test]
async fn when_the_proxy_cannot_connect_with_one_address_it_is_asked_for_the_next() {
    let (port, _) = taker().await;
    let (proxy, asked) = proxy(move |target| match target.starts_with("127.0.0.3:") {
        true => (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", None),
        false => obeys(target),
    })
    .await;
    let outbound = behind(proxy, Trust::bundled(), knows(&["127.0.0.3", PUBLIC]));
    assert_eq!(send(&outbound, &format!("http://shop.example:{port}/")).await.status, Some(200));
    assert_eq!(asked.borrow().len(), 2);
}

#[actix::test]
async fn what_a_proxy_does_instead_is_said_and_it_is_said_whose_fault_that_is() {
    let endless: &'static [u8] = vec![b'x'; 64 * 1024].leak();
    let head: &'static [u8] = [b"HTTP/1.1 200 OK\r\nx: ", endless].concat().leak();
    let asks = b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"x\"\r\n\r\n";
    let not_http = Err(AttemptError::NoWayOut(NoWayOut::NotHttp));
    for (what, answer, expected, is_ours) in [
        ("nothing", &b""[..], Err(AttemptError::NoWayOut(NoWayOut::Closed)), true),
        ("half a head", b"HTTP/1.1 200 OK\r\n", Err(AttemptError::NoWayOut(NoWayOut::Closed)), true),
        ("garbage", b"\x16\x03\x01 no\r\n\r\n", not_http.clone(), true),
        ("an endless head", head, not_http.clone(), true),
        ("an endless line", endless, not_http.clone(), true),
        ("an answer for us", b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", not_http, true),
        ("a challenge", asks, Err(AttemptError::NoWayOut(NoWayOut::Unauthorized)), true),
        ("a refusal", b"HTTP/1.1 407 Request rejected\r\n\r\n", Err(AttemptError::NotConnected(407)), false),
        ("another", b"HTTP/1.1 403 Forbidden\r\n\r\nno", Err(AttemptError::NotConnected(403)), false),
        ("a failure", b"HTTP/1.1 504 Late\r\n\r\n", Err(AttemptError::NotConnected(504)), false),
    ] {
        let (proxy, _) = proxy(move |_| (answer, None)).await;
        let outbound = behind(proxy, Trust::bundled(), knows(&[PUBLIC]));
        let exchange = send(&outbound, "https://shop.example/").await;
        assert_eq!(exchange.status, None, "{what}: the receiver said nothing");
        assert_eq!(exchange.outcome.as_ref().err().map(AttemptError::is_ours), Some(is_ours), "{what}");
        assert_bounded(&exchange, what);
        assert_eq!(exchange.outcome, expected, "{what}");
    }
}

#[actix::test]
async fn a_proxy_that_connects_for_ever_may_have_a_silent_receiver_behind_it() {
    let (url, _) =
        receiver(|mut tcp: TcpStream| async move { while take_head(&mut tcp).await.is_some() {} }).await;
    let proxy = url.strip_suffix("/hook").unwrap().parse().unwrap();
    let exchange = send(&behind(proxy, Trust::bundled(), knows(&[PUBLIC])), "https://shop.example/").await;
    assert_eq!(exchange.outcome, Err(AttemptError::TimedOut(TIMEOUT)));
    assert_bounded(&exchange, "silence");
}

#[actix::test]
async fn a_proxy_that_is_not_there_is_nobody_elses_fault() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let resolver = move |name: &str| match name {
        "proxy.hangs" => {
            let _ = held.lock().unwrap().recv();
            Ok(Vec::new())
        }
        "proxy.nowhere" => Err(io::ErrorKind::NotFound.into()),
        _ => Ok(vec![addr(PUBLIC)]),
    };
    let resolver = Arc::new(resolver);
    for (proxy, expected) in [
        (format!("http://{closed}"), NoWayOut::Unreachable(io::ErrorKind::ConnectionRefused)),
        ("http://proxy.nowhere:3128".to_owned(), NoWayOut::UnknownHost),
        ("http://proxy.hangs:3128".to_owned(), NoWayOut::Late),
    ] {
        let resolver = Arc::clone(&resolver);
        let outbound = behind(proxy.parse().unwrap(), Trust::bundled(), move |name| resolver(name));
        let exchange = send(&outbound, "https://shop.example/").await;
        assert_eq!(exchange.outcome, Err(AttemptError::NoWayOut(expected)), "{proxy}");
        assert_bounded(&exchange, &proxy);
    }
    drop(hold);
}

#[actix::test]
async fn tokens_are_fetched_through_the_proxy_too_and_it_is_to_blame_for_none() {
    let asked = Rc::new(Cell::new(0));
    let counter = Rc::clone(&asked);
    let (issuer, _) = receiver_at((addr(PUBLIC), 0), move |mut tcp| {
        counter.set(counter.get() + 1);
        async move {
            take_head(&mut tcp).await;
            let said = b"HTTP/1.1 200 OK\r\ncontent-length: 22\r\n\r\n{\"access_token\":\"one\"}";
            let _ = tcp.write_all(said).await;
            take_head(&mut tcp).await; // who closes before all is read resets
        }
    })
    .await;
    let (port, _) = taker().await;
    let mut endpoint = Endpoint::sample(&format!("http://shop.example:{port}/"));
    let auth =
        serde_json::json!({ "type": "oauth2", "token_url": issuer, "client_id": "us", "client_secret": "s" });
    endpoint.auth = serde_json::from_value(auth).unwrap();
    let (works, log) = proxy(obeys).await;
    let outbound = behind(works, Trust::bundled(), knows(&[PUBLIC]));
    let exchange = outbound.attempt(&outbound.target(&endpoint).unwrap(), &request()).await;
    assert_eq!((exchange.status, asked.get(), log.borrow().len()), (Some(200), 1, 2), "{exchange:?}");

    let (broken, _) = proxy(|_| (b"", None)).await;
    let outbound = behind(broken, Trust::bundled(), knows(&[PUBLIC]));
    let exchange = outbound.attempt(&outbound.target(&endpoint).unwrap(), &request()).await;
    let error = exchange.outcome.unwrap_err();
    assert!(matches!(error, AttemptError::NoToken(_)) && error.is_ours(), "{error}");
}

#[actix::test]
async fn a_client_is_shared_by_those_who_go_the_same_way() {
    let directly = reach(AddressPolicy::default());
    let through = |proxy: &str| Reach { proxy: Some(Arc::new(proxy.parse().unwrap())), ..directly.clone() };
    let [one, again, other] = ["http://a:1", "http://a:1", "http://a:b@a:1"].map(through);
    let [one, again, other, directly] = [&one, &again, &other, &directly].map(Outbound::shared);
    assert!(Rc::ptr_eq(&one, &again));
    assert!(!Rc::ptr_eq(&one, &other) && !Rc::ptr_eq(&one, &directly));
}
