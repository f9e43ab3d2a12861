//! Clients that keep us waiting, and those who come in crowds, over real sockets. Time is short here, and real.

use std::time::Duration;

use actix_server::ServerHandle;
use actix_web::rt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::*;

/// Nothing that must happen takes longer, even on a busy machine.
const LONG: Duration = Duration::from_secs(20);
const ALIVE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server behind whose door there is no engine: it answers that it is alive, and refuses the rest.
struct Serving {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Serving {
    fn start(exposure: Exposure, connections: usize) -> Self {
        let patience = Patience {
            head: Duration::from_millis(200),
            rest: Duration::from_millis(600),
            answer: Duration::from_millis(300),
            look: Duration::from_millis(20),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let limits = ServerLimits { workers: 1, connections };
        let server = serve_with(web::Data::default(), listener, limits, exposure, patience).unwrap();
        let handle = server.handle();
        rt::spawn(server);
        Self { address, handle }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Whoever comes afterwards is served.
    async fn stop(self) {
        assert!(ask(&mut self.connect().await, ALIVE).await.starts_with("HTTP/1.1 200 "));
        self.handle.stop(false).await;
    }
}

/// Sends this and reads one answer, which has a body.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    while !answer.ends_with('}') {
        let count = timeout(LONG, stream.read(&mut buffer)).await.expect("an answer").unwrap();
        assert_ne!(count, 0, "{answer}");
        answer.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    answer
}

/// Waits until the other side hangs up, in whatever way.
async fn is_cut(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut rest)).await.expect("the connection is cut");
}

#[test]
fn a_crowd_that_comes_at_once_waits_in_line() {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let come = |n: u32| {
        let came = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(2));
        came.unwrap_or_else(|error| panic!("the {n}th finds the door shut: {error}"))
    };
    let crowd: Vec<_> = (1..=400).map(come).collect();
    assert_eq!(crowd.len(), 400, "and nobody was taken up yet");
}

#[actix_web::test]
async fn a_later_head_that_never_ends_is_not_awaited() {
    let server = Serving::start(Exposure::default(), 100);
    let mut slow = server.connect().await;
    assert!(ask(&mut slow, ALIVE).await.starts_with("HTTP/1.1 200 "));
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHo").await.unwrap();
    is_cut(&mut slow).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_head_that_drips_gains_nothing_by_it() {
    let server = Serving::start(Exposure::default(), 100);
    let mut slow = server.connect().await;
    assert!(ask(&mut slow, ALIVE).await.starts_with("HTTP/1.1 200 "));
    let began = Instant::now();
    let dripping = async {
        for byte in ALIVE.iter().cycle() {
            let byte = if byte.is_ascii_control() { b'x' } else { *byte };
            if slow.write_all(&[byte]).await.is_err() {
                return;
            }
            rt::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, dripping).await.expect("the connection is cut");
    assert!(began.elapsed() >= Duration::from_millis(200), "not before its time");
    server.stop().await;
}

#[actix_web::test]
async fn a_body_that_nobody_reads_any_more_is_not_awaited() {
    let server = Serving::start(Exposure::default(), 100);
    let mut slow = server.connect().await;
    let endless = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    assert!(ask(&mut slow, endless).await.starts_with("HTTP/1.1 404 "));
    is_cut(&mut slow).await;
    server.stop().await;
}

#[actix_web::test]
async fn who_does_not_read_the_answers_is_cut() {
    let server = Serving::start(Exposure::default(), 100);
    let mut deaf = server.connect().await;
    let many = ALIVE.repeat(1_000);
    let sending = async { while deaf.write_all(&many).await.is_ok() {} };
    timeout(LONG, sending).await.expect("the connection is cut");
    server.stop().await;
}

#[actix_web::test]
async fn who_asks_now_and_then_keeps_the_connection() {
    let server = Serving::start(Exposure::default(), 100);
    let mut client = server.connect().await;
    let until = Instant::now() + Duration::from_millis(1_500);
    while Instant::now() < until {
        assert!(ask(&mut client, ALIVE).await.starts_with("HTTP/1.1 200 "));
        rt::time::sleep(Duration::from_millis(100)).await;
    }
    is_cut(&mut client).await; // and who asks no more loses it
    server.stop().await;
}

#[actix_web::test]
async fn a_request_under_way_is_waited_for_however_long_it_takes() {
    let patience = Patience {
        head: Duration::from_millis(20),
        rest: Duration::from_millis(60),
        answer: Duration::from_millis(20),
        look: Duration::from_millis(5),
    };
    let (ours, mut theirs) = tokio::io::duplex(64);
    let mut line = Line::new(ours, patience, None);
    let mut byte = [0];
    theirs.write_all(b"x").await.unwrap();
    line.read_exact(&mut byte).await.unwrap();
    let request = line.pulse().begin();
    let waiting = timeout(Duration::from_millis(200), line.read(&mut byte)).await;
    assert!(waiting.is_err(), "nobody waits for the client: it waits for us");
    drop(request);
    let error = timeout(LONG, line.read(&mut byte)).await.expect("an end").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[actix_web::test]
async fn an_answer_that_is_taken_in_sips_is_cut_and_one_in_mouthfuls_is_not() {
    let patience = Patience {
        head: LONG,
        rest: LONG,
        answer: Duration::from_millis(150),
        look: Duration::from_millis(5),
    };
    for (sip, arrives) in [(256, false), (64 * 1024, true)] {
        let (ours, mut theirs) = tokio::io::duplex(16 * 1024);
        let mut line = Line::new(ours, patience, None);
        let reading = rt::spawn(async move {
            let (mut mouth, mut sum) = (vec![0; sip], 0);
            while let Ok(count @ 1..) = theirs.read(&mut mouth).await {
                sum += count;
                rt::time::sleep(Duration::from_millis(5)).await;
            }
            sum
        });
        let sent = timeout(LONG, line.write_all(&[b'a'; 1 << 20])).await.expect("an end");
        drop(line);
        assert_eq!(sent.is_ok(), arrives, "{sent:?}");
        assert_eq!(reading.await.unwrap() == 1 << 20, arrives);
    }
}

#[actix_web::test]
async fn one_address_never_has_all_connections() {
    let server = Serving::start(Exposure::default(), 8);
    let mut inside = [server.connect().await, server.connect().await];
    for stream in &mut inside {
        assert!(ask(stream, ALIVE).await.starts_with("HTTP/1.1 200 "));
    }
    let mut third = server.connect().await;
    let _ = third.write_all(ALIVE).await;
    let mut answer = Vec::new();
    let _ = timeout(LONG, third.read_to_end(&mut answer)).await.expect("it is refused");
    assert!(answer.is_empty());
    drop(inside);
    // Its places are free again as soon as the server has heard of it.
    let admitted = async {
        loop {
            let mut stream = server.connect().await;
            let mut byte = [0];
            if stream.write_all(ALIVE).await.is_ok() && matches!(stream.read(&mut byte).await, Ok(1)) {
                return;
            }
        }
    };
    timeout(LONG, admitted).await.expect("there is room again");
    server.handle.stop(false).await;
}

#[actix_web::test]
async fn a_trusted_proxy_speaks_for_many() {
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let server = Serving::start(Exposure { trusted_proxies, ..Exposure::default() }, 8);
    let mut inside = Vec::new();
    for _ in 0..6 {
        let mut stream = server.connect().await;
        assert!(ask(&mut stream, ALIVE).await.starts_with("HTTP/1.1 200 "));
        inside.push(stream);
    }
    server.stop().await;
}
