//! What strangers send that is not what we speak: each is answered or cut in bounded time and memory, is never a fault of
//! ours, and whoever comes next is served.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::serving::ADMIN_KEY;
use crate::support::{Serving, order};

/// Slower than any limit of ours on a busy machine is a hang.
const BOUND: Duration = Duration::from_secs(30);
/// What all of it may make the server hold.
const MEMORY: u64 = 160 << 20;
const EVENTS: &str = "/v1/chains/harvest/events";

/// What is sent, and the statuses that may come back first; 0 stands for a connection that is closed without a word.
struct Case {
    name: String,
    sent: Vec<u8>,
    answers: Vec<u16>,
    /// Whether the end of what is sent is said, too.
    hangs_up: bool,
}

fn case(name: &str, sent: impl Into<Vec<u8>>, answers: &[u16]) -> Case {
    Case { name: name.to_owned(), sent: sent.into(), answers: answers.to_vec(), hangs_up: true }
}

/// A request with a key: these lines and this after the empty one.
fn post(lines: &str, rest: impl AsRef<[u8]>) -> Vec<u8> {
    let head =
        format!("POST {EVENTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n{lines}\r\n");
    [head.as_bytes(), rest.as_ref()].concat()
}

/// The same in chunks.
fn chunked(chunks: impl AsRef<[u8]>) -> Vec<u8> {
    post("Transfer-Encoding: chunked\r\n", chunks)
}

/// A request of this line.
fn line(line: impl AsRef<[u8]>) -> Vec<u8> {
    let rest = format!("\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\r\n");
    [line.as_ref(), rest.as_bytes()].concat()
}

/// A request with these further lines.
fn get(lines: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET /v1/chains HTTP/1.1\r\nHost: x\r\n", lines.as_ref(), b"\r\n"].concat()
}

/// How long a body says to be: whoever between us and the client reads it differently sees other requests than we do.
fn lengths() -> Vec<Case> {
    let of = |name: &str, lines: &str, answers: &[u16]| case(name, post(lines, "{}"), answers);
    vec![
        of("two equal lengths", "Content-Length: 2\r\nContent-Length: 2\r\n", &[400]),
        of("two lengths", "Content-Length: 2\r\nContent-Length: 4\r\n", &[400]),
        of("a list of lengths", "Content-Length: 2, 2\r\n", &[400]),
        of("a negative length", "Content-Length: -1\r\n", &[400]),
        of("a length with a plus", "Content-Length: +2\r\n", &[400]),
        of("a length in hexadecimal", "Content-Length: 0x2\r\n", &[400]),
        of("a length that is no number", "Content-Length: two\r\n", &[400]),
        of("a length with a tail", "Content-Length: 2a\r\n", &[400]),
        of("an empty length", "Content-Length:\r\n", &[400]),
        of("a length beyond 64 bits", "Content-Length: 99999999999999999999\r\n", &[400]),
        of("the longest length", "Content-Length: 18446744073709551615\r\n", &[400, 413]),
        of("a terabyte", "Content-Length: 1099511627776\r\n", &[413]),
        of("a length between spaces", "Content-Length:   2  \r\n", &[422]),
        of("more announced than sent", "Content-Length: 100\r\n", &[400]),
        of("less announced than sent", "Content-Length: 1\r\n", &[400]),
        of("no length at all", "", &[400]),
        of("a length and chunks", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", &[400]),
        of("chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", &[400]),
        of("a space before the colon", "Transfer-Encoding : chunked\r\n", &[400]),
        of("a space before the colon of the length", "Content-Length : 2\r\n", &[400]),
        of("chunks by another name", "Transfer-Encoding: xchunked\r\n", &[400]),
        of("chunks that are not last", "Transfer-Encoding: chunked, identity\r\n", &[400]),
        of("two encodings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", &[400]),
        of("chunks twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", &[400]),
        of("compressed chunks", "Transfer-Encoding: gzip, chunked\r\n", &[400, 415, 501]),
        of("chunks with a vertical tab", "Transfer-Encoding: \x0bchunked\r\n", &[400]),
        of("an empty encoding", "Transfer-Encoding:\r\n", &[400]),
        of("chunks in quotes", "Transfer-Encoding: \"chunked\"\r\n", &[400]),
        of("chunks on a folded line", "Transfer-Encoding:\r\n chunked\r\n", &[400]),
        case(
            "chunks in HTTP/1.0",
            format!("POST {EVENTS} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"),
            &[400],
        ),
    ]
}

fn chunks() -> Vec<Case> {
    let of = |name: &str, chunks: &str, answers: &[u16]| case(name, chunked(chunks), answers);
    let garbage = "x".repeat(200 << 10);
    vec![
        of("one chunk", "2\r\n{}\r\n0\r\n\r\n", &[422]),
        of("a size beyond 64 bits", "fffffffffffffffff\r\n{}", &[400]),
        of("the largest size", "ffffffffffffffff\r\n{}", &[400, 413]),
        of("the largest size but two", "fffffffffffffffd\r\n{}", &[400, 413]),
        of("a size that is no number", "zz\r\n{}\r\n0\r\n\r\n", &[400]),
        of("a negative size", "-2\r\n{}\r\n0\r\n\r\n", &[400]),
        of("a size with 0x", "0x2\r\n{}\r\n0\r\n\r\n", &[400]),
        of("no size", "\r\n{}\r\n0\r\n\r\n", &[400]),
        of("a chunk without its end", "2\r\n{}0\r\n\r\n", &[400]),
        of("a chunk that is longer than it says", "1\r\n{}\r\n0\r\n\r\n", &[400]),
        of("ends without a return", "2\n{}\n0\n\n", &[400]),
        of("an extension", "2;a=b\r\n{}\r\n0\r\n\r\n", &[422]),
        of("an extension without end", &format!("2;{garbage}"), &[400]),
        of("a return inside an extension", "2;a\rb\r\n{}\r\n0\r\n\r\n", &[400]),
        of("a line feed inside an extension", "2;a\nb\r\n{}\r\n0\r\n\r\n", &[400, 422]),
        of("trailers", "2\r\n{}\r\n0\r\nAuthorization: x\r\n\r\n", &[400, 422]),
        of("trailers without end", &format!("2\r\n{{}}\r\n0\r\na: {garbage}"), &[400, 422]),
        of("no last chunk", "2\r\n{}\r\n", &[400]),
        of("only the last chunk", "0\r\n\r\n", &[400]),
        of("2,000 chunks of a byte", &format!("{}0\r\n\r\n", "1\r\n \r\n".repeat(2_000)), &[400]),
        of("a body beyond its limit", &format!("80000\r\n{}\r\n0\r\n\r\n", " ".repeat(0x80000)), &[413]),
        of("zeros before the size", &format!("{}2\r\n{{}}\r\n0\r\n\r\n", "0".repeat(100)), &[400, 422]),
    ]
}

fn encodings() -> Vec<Case> {
    let coded = |coding: &str| post(&format!("Content-Encoding: {coding}\r\nContent-Length: 2\r\n"), "{}");
    let long = |length: usize| format!("Content-Length: {length}\r\n");
    let of = |name: &str, body: &[u8], answers: &[u16]| case(name, post(&long(body.len()), body), answers);
    let deep = "[".repeat(100_000);
    vec![
        case("gzip", coded("gzip"), &[415]),
        case("brotli", coded("br"), &[415]),
        case("twice compressed", coded("gzip, gzip"), &[415]),
        case("an unknown coding", coded("rot13"), &[415]),
        case("no coding, in words", coded("identity"), &[422]),
        of("no UTF-8", b"{\"key\":\"\xff\"}", &[400]),
        of("a byte order mark", b"\xef\xbb\xbf{}", &[400]),
        of("UTF-16", b"\xfe\xff\0{\0}", &[400]),
        of("zeros", &[0; 1000], &[400]),
        of("100,000 brackets", deep.as_bytes(), &[400, 422]),
        of("an empty body", b"", &[400]),
    ]
}

fn methods() -> Vec<Case> {
    let long = "A".repeat(10 << 10);
    vec![
        case("a method in lower case", line("get /v1/chains HTTP/1.1"), &[405]),
        case("an unknown method", line("BREW /v1/chains HTTP/1.1"), &[405]),
        case("CONNECT", line("CONNECT 10.0.0.1:22 HTTP/1.1"), &[400, 404, 405]),
        case("TRACE", line("TRACE /v1/chains HTTP/1.1"), &[405]),
        case("OPTIONS of everything", line("OPTIONS * HTTP/1.1"), &[404, 405]),
        case("a method of 10 KB", line(format!("{long} /v1/chains HTTP/1.1")), &[400, 405]),
        case("no method", line(" /v1/chains HTTP/1.1"), &[400]),
        case("a method with a zero", line("G\0T /v1/chains HTTP/1.1"), &[400]),
        case("a method that is not ASCII", line("GÉT /v1/chains HTTP/1.1"), &[400]),
        case("a method with a colon", line("GET: /v1/chains HTTP/1.1"), &[400]),
        case("a method that overrides", get("X-HTTP-Method-Override: DELETE\r\n"), &[401]),
        case("HTTP/0.9", "GET /v1/chains\r\n", &[400]),
        case("HTTP/1.2", line("GET /v1/chains HTTP/1.2"), &[400]),
        case("HTTP/3", line("GET /v1/chains HTTP/3"), &[400]),
        case("another protocol", line("GET /v1/chains GOPHER/1.1"), &[400]),
        case("http in lower case", line("GET /v1/chains http/1.1"), &[400]),
        case("a tab for a space", line("GET\t/v1/chains\tHTTP/1.1"), &[400]),
    ]
}

fn headers() -> Vec<Case> {
    let many = |count: usize| "a: b\r\n".repeat(count);
    let auth = |value: &str| format!("Authorization: {value}\r\n");
    vec![
        case("no host", "GET /v1/chains HTTP/1.1\r\n\r\n", &[400]),
        case("two hosts", get("Host: y\r\n"), &[400]),
        case("an empty host", "GET /v1/chains HTTP/1.1\r\nHost:\r\n\r\n", &[400, 401]),
        case("a host that is none", "GET /v1/chains HTTP/1.1\r\nHost: a b/c@d\r\n\r\n", &[400, 401]),
        case("97 headers", get(many(96)), &[431]),
        case("10,000 headers", get(many(10_000)), &[431]),
        case("a header of 200 KB", get(format!("a: {}\r\n", "b".repeat(200 << 10))), &[431]),
        case("a name of 200 KB", get(format!("{}: b\r\n", "a".repeat(200 << 10))), &[400, 431]),
        case("a zero in a value", get("a: b\0c\r\n"), &[400]),
        case("a zero in a name", get("a\0: b\r\n"), &[400]),
        case("a space in a name", get("a b: c\r\n"), &[400]),
        case("a header without a colon", get("a\r\n"), &[400]),
        case("a header without a name", get(": b\r\n"), &[400]),
        case("a folded header", get("a: b\r\n c\r\n"), &[400]),
        case("a return in a value", get("a: b\rc\r\n"), &[400]),
        case("a name that is not ASCII", get("ä: b\r\n"), &[400]),
        case("a value that is not ASCII", get("a: ä\r\n"), &[401]),
        case("a value with a delete", get("a: \x7f\r\n"), &[400]),
        case("a space before the first header", "GET /v1/chains HTTP/1.1\r\n Host: x\r\n\r\n", &[400]),
        case("line feeds alone", "GET /v1/chains HTTP/1.1\nHost: x\n\n", &[400, 401]),
        case("two keys", get([auth("Bearer a"), auth("Bearer b")].concat()), &[401]),
        case("a key of 100 KB", get(auth(&format!("Bearer {}", "k".repeat(100 << 10)))), &[401]),
        case("a key that is not ASCII", get(auth("Bearer \u{1f511}")), &[401]),
        case("h2c", get("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"), &[400]),
        case("a web socket", get("Upgrade: websocket\r\nConnection: upgrade\r\n"), &[400]),
        case("an upgrade to nothing", get("Connection: upgrade\r\n"), &[401]),
        case("no known expectation", get("Expect: the-unexpected\r\n"), &[401, 417]),
        case("a range", get("Range: bytes=0-,0-,0-,0-\r\n"), &[401]),
        case("an id that ends a line", get("X-Request-Id: a%0d%0ab\"<script>\r\n"), &[401]),
        case("hops without end", get(format!("X-Forwarded-For: {}\r\n", "1.1.1.1, ".repeat(10_000))), &[401]),
        case("another url", get("X-Original-URL: /v1/keys\r\nX-Rewrite-URL: /v1/keys\r\n"), &[401]),
    ]
}

fn paths() -> Vec<Case> {
    let of =
        |name: &str, path: &str, answers: &[u16]| case(name, line(format!("GET {path} HTTP/1.1")), answers);
    let long = |length: usize| format!("/{}", "a".repeat(length));
    vec![
        of("a way up", "/v1/../healthz", &[404]),
        of("a way up in escapes", "/v1/%2e%2e/healthz", &[404]),
        of("a way up after a semicolon", "/v1/..;/healthz", &[404]),
        of("two slashes", "//v1/chains", &[404]),
        of("a slash at the end", "/v1/chains/", &[404]),
        of("upper case", "/V1/CHAINS", &[404]),
        of("a zero", "/v1/chains/%00", &[400, 404]),
        of("a slash in escapes", "/v1/chains/%2f", &[404]),
        of("a return in escapes", "/v1/chains/%0d%0aX:y", &[404]),
        of("no UTF-8", "/v1/chains/%ff", &[404]),
        of("an escape that is none", "/v1/chains/%zz", &[400, 404]),
        of("half an escape", "/v1/chains/%", &[400, 404]),
        of("a path of 60 KB", &long(60 << 10), &[400, 404, 414]),
        of("a path of 100 KB", &long(100 << 10), &[400, 404, 414, 431]),
        of("a path of 200 KB", &long(200 << 10), &[400, 414, 431]),
        of("10,000 segments", &"/a".repeat(10_000), &[404]),
        of("a query of 60 KB", &format!("/v1/chains?{}", "a".repeat(60 << 10)), &[422]),
        of("10,000 parameters", &format!("/v1/chains?{}", "a=b&".repeat(10_000)), &[422]),
        of("an absolute url", "http://x/healthz", &[200, 400, 404]),
        of("the url of another", "http://10.0.0.1/healthz", &[200, 400, 404]),
        of("a url of another kind", "file:///etc/passwd", &[400, 404]),
        of("an authority", "10.0.0.1:80", &[400, 404]),
        of("an asterisk", "*", &[400, 404]),
        of("no slash", "v1/chains", &[400, 404]),
        of("a fragment", "/v1/chains#a", &[200, 400, 404]),
        of("a backslash", "/v1\\chains", &[400, 404]),
        of("a space", "/v1/cha ins", &[400]),
        of("a member that is a smile", "/v1/chains/harvest/members/%F0%9F%99%82", &[404]),
        of("a hidden file", "/.env", &[404]),
        case("bytes that are no text", line(b"GET /v1/chains/\xff\xfe HTTP/1.1"), &[400, 404]),
        case("an empty path", line("GET  HTTP/1.1"), &[400]),
    ]
}

fn strangers() -> Vec<Case> {
    let garbage: Vec<u8> = (0_u32..64 << 10).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let hello = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), vec![7; 500]].concat();
    vec![
        case("nothing", "", &[0]),
        case("a zero", [0], &[0, 400]),
        case("1,000 empty lines", "\r\n".repeat(1_000), &[0, 400]),
        case("noise", garbage, &[0, 400]),
        case("a hello of TLS", hello, &[0, 400]),
        case("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", &[400]),
        case("SSH", "SSH-2.0-OpenSSH_9.6\r\n", &[400]),
        case("SMTP", "EHLO example.com\r\n", &[400]),
        case("SOCKS", b"\x05\x01\x00".to_vec(), &[0, 400]),
        case("Redis", "*1\r\n$8\r\nFLUSHALL\r\n", &[400]),
        case("a proxy's line", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", &[400]),
        case("PostgreSQL", b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(), &[0, 400]),
        case("a line without end", "G".repeat(1 << 20), &[400, 431]),
    ]
}

/// The body of one is the head of the other.
fn smuggling() -> Vec<Case> {
    let hidden = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let with = |lines: &str, rest: &str| post(lines, format!("{rest}{hidden}"));
    let length = format!("Content-Length: {}\r\n", 5 + hidden.len());
    vec![
        case("length first", with(&format!("{length}Transfer-Encoding: chunked\r\n"), "0\r\n\r\n"), &[400]),
        case("chunks first", with(&format!("Transfer-Encoding: chunked\r\n{length}"), "0\r\n\r\n"), &[400]),
        case(
            "two encodings, one hidden",
            with("Transfer-Encoding: chunked\r\nTransfer-encoding: x\r\n", "0\r\n\r\n"),
            &[400],
        ),
        case(
            "a tab before chunks",
            with(&format!("{length}Transfer-Encoding:\tchunked\r\n"), "0\r\n\r\n"),
            &[400],
        ),
        case(
            "a line feed hides a header",
            with("a: b\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
            &[400],
        ),
        case("a zero hides an encoding", with("Transfer-Encoding: chunked\0\r\n", "0\r\n\r\n"), &[400]),
        case("an upgrade hides a body", with("Upgrade: x\r\nContent-Length: 2\r\n", "{}"), &[400]),
        case(
            "a refused coding hides a body",
            with("Content-Encoding: gzip\r\nContent-Length: 2\r\n", "{}"),
            &[415],
        ),
    ]
}

/// Those who do not say that they are done; time alone ends them.
fn unfinished() -> Vec<Case> {
    let of =
        |name: &str, sent: Vec<u8>, answers: &[u16]| Case { hangs_up: false, ..case(name, sent, answers) };
    vec![
        of("says nothing", Vec::new(), &[0, 408]),
        of("half a line", b"GET /v1".to_vec(), &[0, 408]),
        of("half a head", b"GET /v1/chains HTTP/1.1\r\nHost: x\r\n".to_vec(), &[0, 408]),
        of("half a body", post("Content-Length: 100\r\n", "{"), &[408]),
        of("half a chunk", chunked("5\r\n{"), &[408]),
        of("no chunk", chunked(""), &[408]),
        of("half a batch", post("Transfer-Encoding: chunked\r\n", "").replace_path("/events/batch"), &[408]),
        of(
            "waits to be asked and says nothing",
            post("Expect: 100-continue\r\nContent-Length: 9\r\n", ""),
            &[100],
        ),
        of("waits to be asked for nothing", get("Expect: 100-continue\r\n"), &[100, 401]),
        of(
            "a length that nobody reads",
            b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".to_vec(),
            &[404],
        ),
        of(
            "chunks that nobody reads",
            b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
            &[404],
        ),
        of("a second head", [get(""), b"GET /v1".to_vec()].concat(), &[401]),
        of("nothing more", get(""), &[401]),
    ]
}

trait ReplacePath {
    fn replace_path(self, path: &str) -> Vec<u8>;
}

impl ReplacePath for Vec<u8> {
    fn replace_path(self, path: &str) -> Vec<u8> {
        String::from_utf8(self).unwrap().replacen("/events", path, 1).into_bytes()
    }
}

/// Sends it, and reads until the end.
async fn suffer(address: SocketAddr, case: &Case) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let (mut reading, mut writing) = stream.split();
    let mut said = Vec::new();
    let send = async {
        // Who is refused early cannot send the rest.
        let _ = writing.write_all(&case.sent).await;
        if case.hangs_up {
            let _ = writing.shutdown().await;
        }
    };
    let both = futures_util::future::join(send, reading.read_to_end(&mut said));
    let ended = tokio::time::timeout(BOUND, both).await;
    assert!(ended.is_ok(), "{}: no end, only {}", case.name, String::from_utf8_lossy(&said));
    said
}

/// The status of each answer; heads are found by how they begin.
fn statuses(said: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(said);
    text.match_indices("HTTP/1.1 ")
        .filter_map(|(at, head)| text.get(at + head.len()..)?.get(..3)?.parse().ok())
        .collect()
}

/// Sends one good order.
async fn serves(address: SocketAddr, key: &str) {
    let body = order(key, "ana", "1.00").to_string();
    let request = post(&format!("Connection: close\r\nContent-Length: {}\r\n", body.len()), body);
    let said = suffer(address, &case("a good order", request, &[200])).await;
    assert_eq!(statuses(&said), [200], "{}", String::from_utf8_lossy(&said));
}

#[actix_web::test]
async fn whatever_strangers_send_is_answered_or_cut_and_the_next_is_served() {
    const AT_ONCE: usize = 16;
    let mut server = Serving::start(&["--log", "json"]);
    let quick = [lengths(), chunks(), encodings(), methods(), headers(), paths(), strangers(), smuggling()];
    let quick: Vec<Case> = quick.into_iter().flatten().collect();
    assert!(quick.len() >= 150, "{}", quick.len());
    let mut wrong = Vec::new();
    let mut judge = |case: &Case, said: &[u8]| {
        let all = statuses(said);
        let first = all.first().copied().unwrap_or(0);
        if !case.answers.contains(&first) || all.iter().any(|status| *status >= 500) {
            wrong.push(format!("{}: {all:?}, not one of {:?}", case.name, case.answers));
        }
    };
    for (n, cases) in quick.chunks(AT_ONCE).enumerate() {
        for (case, said) in
            cases.iter().zip(join_all(cases.iter().map(|case| suffer(server.address, case))).await)
        {
            judge(case, &said);
        }
        serves(server.address, &format!("quick-{n}")).await;
    }
    let slow = unfinished();
    for (case, said) in slow.iter().zip(join_all(slow.iter().map(|case| suffer(server.address, case))).await)
    {
        judge(case, &said);
    }
    serves(server.address, "slow").await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let smuggled = smuggling();
    for (case, said) in
        smuggled.iter().zip(join_all(smuggled.iter().map(|case| suffer(server.address, case))).await)
    {
        assert_eq!(statuses(&said).len(), 1, "{}: {}", case.name, String::from_utf8_lossy(&said));
    }
    assert!(server.is_alive());
    assert!(server.peak_memory() < MEMORY, "{} bytes", server.peak_memory());
    let log = server.log();
    assert!(!log.contains("panicked") && !log.contains("\"ERROR\""), "{log}");
    assert!(!log.contains(ADMIN_KEY));
}

#[actix_web::test]
async fn a_request_may_end_at_any_byte() {
    let server = Serving::start(&[]);
    let body = order("cut", "ana", "1.00").to_string();
    let whole = post(&format!("Content-Length: {}\r\n", body.len()), &body);
    let in_chunks = chunked(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    for request in [whole, in_chunks] {
        for (n, ends) in (0..request.len()).collect::<Vec<_>>().chunks(32).enumerate() {
            // Some hang up politely, some are gone.
            let (address, request) = (server.address, &request);
            let cut = ends.iter().map(async |end| {
                let part = Case { hangs_up: end % 2 == 0, ..case("cut", &request[..*end], &[]) };
                if part.hangs_up {
                    let said = suffer(address, &part).await;
                    assert!(statuses(&said).iter().all(|status| *status < 500), "{end}: {said:?}");
                } else {
                    let mut stream = TcpStream::connect(address).await.expect("a connection");
                    stream.write_all(&part.sent).await.expect("it is taken");
                }
            });
            join_all(cut).await;
            serves(server.address, &format!("after-{n}")).await;
        }
    }
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[actix_web::test]
async fn a_thousand_requests_in_a_row_have_a_thousand_answers_in_order() {
    let server = Serving::start(&[]);
    let lines: String = (0..1_000)
        .map(|n| {
            let close = if n == 999 { "Connection: close\r\n" } else { "" };
            format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-Id: n-{n}\r\n{close}\r\n")
        })
        .collect();
    let said = suffer(server.address, &Case { hangs_up: false, ..case("many", lines, &[200]) }).await;
    let text = String::from_utf8(said).unwrap();
    let ids: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("x-request-id: n-")).collect();
    assert!(
        ids.iter().enumerate().all(|(n, id)| *id == n.to_string()) && ids.len() == 1_000,
        "{}",
        ids.len()
    );
}

#[actix_web::test]
async fn who_is_asked_to_continue_continues() {
    let server = Serving::start(&[]);
    let body = order("asked", "ana", "1.00").to_string();
    let lines = format!("Connection: close\r\nExpect: 100-continue\r\nContent-Length: {}\r\n", body.len());
    let began = Instant::now();
    let said = suffer(server.address, &case("asked", post(&lines, body), &[100])).await;
    assert_eq!(statuses(&said), [100, 200]);
    assert!(began.elapsed() < BOUND);
}
