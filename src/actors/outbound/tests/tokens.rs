//! Access tokens: whose they are, how long they are used, and how far requests for them go.

use super::super::receiver::take_head;
use super::*;

/// Gives out tokens with this about them; how often.
async fn issuer(about: &'static str) -> (String, Rc<Cell<usize>>) {
    let (given, counter) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let count = Rc::clone(&counter);
    let (url, _) = receiver(move |mut tcp| {
        let (given, count) = (Rc::clone(&given), Rc::clone(&count));
        async move {
            take_head(&mut tcp).await;
            given.set(given.get() + 1);
            count.set(given.get());
            let body = format!("{{\"access_token\":\"t{}\"{about}}}", given.get());
            let length = body.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            let _ = tcp.write_all(answer.as_bytes()).await;
            take_head(&mut tcp).await; // who closes before all is read resets
        }
    })
    .await;
    (url, counter)
}

/// An endpoint that takes the tokens of this client.
fn endpoint(url: &str, issuer: &str, client: &str) -> Endpoint {
    let auth = serde_json::json!({ "type": "oauth2", "token_url": issuer, "client_id": client, "client_secret": "s" });
    Endpoint { auth: serde_json::from_value(auth).unwrap(), ..Endpoint::sample(url) }
}

#[actix::test]
async fn a_token_is_used_by_who_has_the_same_credentials_and_for_as_long_as_it_is_good() {
    let outbound = outbound("127.0.0.0/8");
    let (url, _) = answering(OK).await;
    for (about, fetched) in [("", [1, 1, 2, 2]), (",\"expires_in\":1", [1, 2, 3, 4])] {
        let (issuer, count) = issuer(about).await;
        let mut targets = Vec::new();
        for (client, fetched) in ["us", "us", "them", "them"].into_iter().zip(fetched) {
            let target = outbound.target(&endpoint(&url, &issuer, client)).unwrap();
            assert_eq!(outbound.attempt(&target, &request()).await.status, Some(200));
            assert_eq!(count.get(), fetched, "{client}{about}");
            targets.push(target); // which keeps what it was given
        }
    }
}

#[actix::test]
async fn a_connection_that_breaks_under_the_second_try_is_replaced_as_well() {
    let outbound = outbound("127.0.0.0/8");
    let (issuer, _) = issuer("").await;
    let turn = Rc::new(Cell::new(0));
    let (url, connections) = receiver(move |mut tcp| {
        let turn = Rc::clone(&turn);
        async move {
            turn.set(turn.get() + 1);
            take_request(&mut tcp).await;
            let refused: &[u8] = b"HTTP/1.1 401 Who?\r\ncontent-length: 0\r\n\r\n";
            let _ = tcp.write_all(if turn.get() == 1 { refused } else { OK }).await;
            take_request(&mut tcp).await; // and is closed under it
        }
    })
    .await;
    let exchange =
        outbound.attempt(&outbound.target(&endpoint(&url, &issuer, "us")).unwrap(), &request()).await;
    assert_eq!((exchange.status, connections.get()), (Some(200), 2), "{exchange:?}");
}

#[actix::test]
async fn a_password_is_sent_over_plain_http_only_while_that_is_allowed() {
    let (issuer, count) = issuer("").await;
    let policy = AddressPolicy { allow: vec!["127.0.0.0/8".parse().unwrap()], allow_http: false };
    let outbound = Outbound::new(reach(policy));
    let target = outbound.target(&endpoint("https://127.0.0.1:9/", &issuer, "us")).unwrap();
    let error = outbound.attempt(&target, &request()).await.outcome.unwrap_err();
    assert!(
        matches!(error, AttemptError::NoToken(_)) && error.to_string().contains("--allow-http"),
        "{error}"
    );
    assert_eq!(count.get(), 0);
}
