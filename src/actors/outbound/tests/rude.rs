//! Answers that contradict themselves, that never come to the point, or that are made to fill memory.

use super::*;

#[actix::test]
async fn a_length_that_is_none_is_no_answer() {
    let outbound = outbound("127.0.0.0/8");
    for lengths in [
        "content-length: 2\r\ncontent-length: 3",
        "content-length: 2\r\ncontent-length: 2",
        "content-length: 2, 2",
        "content-length: +2",
        "content-length: 0x2",
        "content-length: 99999999999999999999",
        "content-length:",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nok");
        let (url, _) = closing(answer.leak().as_bytes()).await;
        let exchange = send(&outbound, &url).await;
        assert_eq!(exchange.outcome, Err(AttemptError::NotHttp), "{lengths}");
        assert_bounded(&exchange, lengths);
    }
}

#[actix::test]
async fn a_flood_of_interim_answers_ends_with_the_first() {
    let outbound = outbound("127.0.0.0/8");
    for status in [100, 101, 102, 103, 199] {
        for pause in [Duration::ZERO, DRIP] {
            let answer = format!("HTTP/1.1 {status} Soon\r\nlink: </a.css>\r\n\r\n");
            let url = repeating(b"", answer.leak().as_bytes(), pause).await;
            let exchange = send(&outbound, &url).await;
            assert_eq!(exchange.outcome, Err(AttemptError::Interim(status)));
            assert_bounded(&exchange, "a flood");
        }
    }
}

#[actix::test]
async fn what_is_packed_stays_packed() {
    /// A thousand zeros.
    const PACKED: &[u8] =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03c`\x18\x05\xa3`\x14\x0cw\x00\x00\x80\x17\x0b\x06\xe8\x03\x00\x00";
    let outbound = outbound("127.0.0.0/8");
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip"] {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
            PACKED.len()
        );
        let (url, _) = answering([head.as_bytes(), PACKED].concat().leak()).await;
        let exchange = send(&outbound, &url).await;
        assert_eq!(exchange.outcome.map(|answer| answer.body), Ok(PACKED.to_vec()), "{encoding}");
    }
}

#[actix::test]
async fn a_body_that_ends_with_its_connection_is_read() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nconnection: Close\r\n\r\n";
    let outbound = outbound("127.0.0.0/8");
    let large = "a".repeat(2 * BODY_CAP);
    for (pieces, expected) in [
        (vec![HEAD, "{\"outcome\":", "\"sent\"}"], "{\"outcome\":\"sent\"}"),
        (vec![HEAD, "\r\n\r\n", "ok"], "\r\n\r\nok"),
        (vec![&HEAD[..HEAD.len() - 1], "\nok"], "ok"),
        (vec!["HTTP/1.1 200 OK\nconnection: close\n\n", "ok"], "ok"),
        (vec![HEAD], ""),
        (vec![HEAD, &large], &large[..BODY_CAP]),
        // Who says that nothing comes, and who does not say that the connection ends, is not waited for.
        (vec!["HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n", "ok"], ""),
        (vec!["HTTP/1.1 200 OK\r\n\r\n", "ok"], ""),
    ] {
        // All at once, and one after the other.
        for pieces in [vec![pieces.concat()], pieces.iter().map(|piece| (*piece).to_owned()).collect()] {
            let said = pieces.clone();
            let (url, _) = receiver(move |mut tcp| {
                let pieces = said.clone();
                async move {
                    take_request(&mut tcp).await;
                    for piece in pieces {
                        let _ = tcp.write_all(piece.as_bytes()).await;
                        tokio::time::sleep(DRIP).await;
                    }
                }
            })
            .await;
            let exchange = send(&outbound, &url).await;
            let body = exchange.outcome.map(|answer| answer.body);
            assert_eq!(body, Ok(expected.as_bytes().to_vec()), "{:.80}", pieces.concat());
        }
    }
    let url = repeating(HEAD.as_bytes(), b"1", DRIP).await;
    assert_eq!(send(&outbound, &url).await.outcome, Err(AttemptError::TimedOut(TIMEOUT)));
    let url = repeating(HEAD.as_bytes(), CHUNK, Duration::ZERO).await;
    assert_bounded(&send(&outbound, &url).await, "a body without end");
}

#[actix::test]
async fn other_versions_of_http() {
    let outbound = outbound("127.0.0.0/8");
    for (answer, expected) in [
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok", Ok(200)),
        ("HTTP/1.0 500 Oops\r\n\r\n", Ok(500)),
        ("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", Ok(200)),
        ("HTTP/2 200\r\ncontent-length: 0\r\n\r\n", Err(AttemptError::NotHttp)),
        ("HTTP/0.9 200 OK\r\n\r\n", Err(AttemptError::NotHttp)),
        ("<html>hello</html>\r\n\r\n", Err(AttemptError::NotHttp)),
        ("POST / HTTP/1.1\r\nhost: a\r\n\r\n", Err(AttemptError::NotHttp)),
    ] {
        let (url, _) = closing(answer.as_bytes()).await;
        let exchange = send(&outbound, &url).await;
        assert_eq!(
            exchange.outcome.as_ref().map(|answer| answer.status),
            expected.as_ref().copied(),
            "{answer}"
        );
        assert_bounded(&exchange, answer);
    }
}

#[actix::test]
async fn a_handshake_without_end_is_cut_off_and_a_broken_one_is_named() {
    let outbound = outbound("127.0.0.0/8");
    let late = AttemptError::TimedOut(TIMEOUT);
    for (what, bytes, again, expected) in [
        ("silence", &b""[..], &b""[..], late.clone()),
        ("half a record, dripping", b"\x16\x03\x03\x40\x00", b"\x02", late.clone()),
        ("a message without end", b"", b"\x16\x03\x03\x00\x04\x02\x00\xff\xff", late),
        ("plain text", b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", AttemptError::Tls),
        ("an alert", b"\x15\x03\x03\x00\x02\x02\x28", b"", AttemptError::Tls),
        ("no version in common", b"\x15\x03\x01\x00\x02\x02\x46", b"", AttemptError::Tls),
    ] {
        let (url, _) = receiver(move |mut tcp| async move {
            if tcp.write_all(bytes).await.is_err() {
                return;
            }
            while tcp.write_all(again).await.is_ok() {
                tokio::time::sleep(DRIP).await;
            }
        })
        .await;
        let exchange = send(&outbound, &url.replace("http:", "https:")).await;
        assert_eq!(exchange.outcome, Err(expected), "{what}");
        assert_bounded(&exchange, what);
    }
}
