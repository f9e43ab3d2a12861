//! Receivers that misbehave, as rude as raw TCP allows.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a receiver does to each connection, once it has read something of the request.
#[derive(Debug, Clone)]
pub(crate) enum Manners {
    /// Never says a word, until it is released.
    Hangs,
    /// Says this and hangs up.
    Says(String),
    /// Says the first, and then the second again and again for as long as anybody listens.
    GoesOn(&'static str, &'static [u8]),
    /// The same, a piece every 20 milliseconds.
    Drips(&'static str, &'static [u8]),
}

/// Pause of those who drip.
const DRIP: Duration = Duration::from_millis(20);

pub(crate) struct Rude {
    pub(crate) url: String,
    connections: Rc<Cell<usize>>,
    pushed: Rc<Cell<usize>>,
    released: watch::Sender<bool>,
}

impl Rude {
    pub(crate) async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let (connections, pushed) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (released, release) = watch::channel(false);
        let (counter, bytes) = (connections.clone(), pushed.clone());
        actix_web::rt::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                counter.set(counter.get() + 1);
                actix_web::rt::spawn(treat(tcp, manners.clone(), bytes.clone(), release.clone()));
            }
        });
        Self { url, connections, pushed, released }
    }

    /// A url where nobody listens.
    pub(crate) async fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        format!("http://{}/hook", listener.local_addr().expect("an address"))
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.get()
    }

    /// The bytes that it got rid of, those in the system's buffers included.
    pub(crate) fn pushed(&self) -> usize {
        self.pushed.get()
    }

    /// Those who hang, hang up.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }
}

async fn treat(
    mut tcp: TcpStream,
    manners: Manners,
    pushed: Rc<Cell<usize>>,
    mut release: watch::Receiver<bool>,
) {
    let mut request = [0; 64 * 1024];
    if !matches!(tcp.read(&mut request).await, Ok(1..)) {
        return;
    }
    let (head, piece, pause) = match &manners {
        Manners::Hangs => {
            let _ = release.wait_for(|released| *released).await;
            return;
        }
        Manners::Says(text) => (text.as_str(), &b""[..], Duration::ZERO),
        Manners::GoesOn(head, piece) => (*head, *piece, Duration::ZERO),
        Manners::Drips(head, piece) => (*head, *piece, DRIP),
    };
    if tcp.write_all(head.as_bytes()).await.is_err() || piece.is_empty() {
        return;
    }
    while tcp.write_all(piece).await.is_ok() {
        pushed.set(pushed.get() + piece.len());
        if !pause.is_zero() {
            actix_web::rt::time::sleep(pause).await;
        }
    }
}
