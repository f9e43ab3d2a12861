//! Receivers for tests, as rude as raw TCP allows.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A friendly answer.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Reads one request with the body `{}`; false when the client hung up instead.
pub(crate) async fn take_request(tcp: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"\r\n\r\n{}") {
        match tcp.read(&mut byte).await {
            Ok(1) => seen.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// How a proxy says yes.
pub(crate) const OPEN: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Reads the head of a request; nothing when the client hung up instead.
pub(crate) async fn take_head(tcp: &mut TcpStream) -> Option<String> {
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(b"\r\n\r\n") {
        match tcp.read(&mut byte).await {
            Ok(1) => seen.push(byte[0]),
            _ => return None,
        }
    }
    String::from_utf8(seen).ok()
}

/// Has both ends of a tunnel say to each other what they like.
pub(crate) async fn pass_on(mut tcp: TcpStream, to: SocketAddr) {
    if let Ok(mut far) = TcpStream::connect(to).await {
        let _ = tokio::io::copy_bidirectional(&mut tcp, &mut far).await;
    }
}

/// A receiver that treats each connection as `rude` says; answers its URL and the count of its connections.
pub(crate) async fn receiver<F: Future<Output = ()> + 'static>(
    rude: impl Fn(TcpStream) -> F + 'static,
) -> (String, Rc<Cell<usize>>) {
    receiver_at((Ipv4Addr::LOCALHOST.into(), 0), rude).await
}

/// The same at an address.
pub(crate) async fn receiver_at<F: Future<Output = ()> + 'static>(
    at: (IpAddr, u16),
    rude: impl Fn(TcpStream) -> F + 'static,
) -> (String, Rc<Cell<usize>>) {
    let listener = TcpListener::bind(at).await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let count = Rc::new(Cell::new(0));
    let counter = Rc::clone(&count);
    actix_rt::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            counter.set(counter.get() + 1);
            actix_rt::spawn(rude(tcp));
        }
    });
    (url, count)
}

/// A receiver that answers every request with these bytes and keeps the connection.
pub(crate) async fn answering(bytes: &'static [u8]) -> (String, Rc<Cell<usize>>) {
    receiver(move |mut tcp| async move {
        while take_request(&mut tcp).await {
            if tcp.write_all(bytes).await.is_err() {
                return;
            }
        }
    })
    .await
}
