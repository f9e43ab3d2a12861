//! A receiver of webhooks: a thread of its own that accepts everything and hands each arrival to a handler.

use std::cell::RefCell;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::domain::endpoint::{Dialect, Secret};

use super::http1::{Body, Incoming, parse_request, value};

const ACCEPTED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// One webhook, as it came in.
#[derive(Debug)]
pub(in crate::cli) struct Arrival<'a> {
    head: &'a Head,
    /// Its body.
    pub(in crate::cli) body: &'a [u8],
    /// When the last byte of it was here.
    pub(in crate::cli) at: Instant,
}

#[derive(Debug)]
struct Head {
    path: String,
    id: String,
    timestamp: String,
    signature: String,
    body: Body,
}

/// The key of the receiving side: checks signatures by Standard Webhooks.
#[derive(Clone)]
pub(in crate::cli) struct SigningKey(Hmac<Sha256>);

/// Is told of every arrival, on the receiver's thread.
pub(in crate::cli) trait Handler: Send + 'static {
    /// Called before the arrival is answered.
    fn arrived(&mut self, arrival: &Arrival<'_>);
}

/// A running receiver.
#[derive(Debug)]
pub(in crate::cli) struct Receiver<H> {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<H>,
}

impl Arrival<'_> {
    /// The `webhook-id`.
    pub(in crate::cli) fn id(&self) -> &str {
        &self.head.id
    }

    /// The path it was sent to.
    pub(in crate::cli) fn path(&self) -> &str {
        &self.head.path
    }

    /// Whether one of its signatures was made with this key.
    pub(in crate::cli) fn is_signed_by(&self, key: &SigningKey) -> bool {
        let signatures = self.head.signature.split(' ').filter_map(|one| one.strip_prefix("v1,"));
        signatures.filter_map(|one| BASE64_STANDARD.decode(one).ok()).any(|signature| {
            let mut mac = key.0.clone();
            for part in [self.head.id.as_bytes(), b".", self.head.timestamp.as_bytes(), b".", self.body] {
                mac.update(part);
            }
            mac.verify_slice(&signature).is_ok()
        })
    }
}

impl SigningKey {
    /// The key in an endpoint's secret (`whsec_…`).
    pub(in crate::cli) fn of(secret: &str) -> Option<Self> {
        let key = Secret::parse(secret, Dialect::Standard).ok()?.key();
        Hmac::new_from_slice(&key).ok().map(Self)
    }
}

impl<H: Handler> Receiver<H> {
    /// Starts to receive on a listener. Every answer waits for `delay`.
    ///
    /// # Errors
    /// The system's reason why there is no thread or no event loop.
    pub(in crate::cli) fn start(listener: TcpListener, delay: Duration, handler: H) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("receiver".to_owned()).spawn(move || {
            let handler = Rc::new(RefCell::new(handler));
            let connections = tokio::task::LocalSet::new();
            connections.block_on(&runtime, async {
                tokio::select! {
                    () = accept(listener, delay, Rc::clone(&handler)) => {}
                    _ = stopped => {}
                }
            });
            drop(connections);
            Rc::into_inner(handler)
                .map(RefCell::into_inner)
                .unwrap_or_else(|| unreachable!("the connections are gone"))
        })?;
        Ok(Self { stop, thread })
    }

    /// Stops receiving and gives the handler back; `None` when it panicked.
    pub(in crate::cli) fn finish(self) -> Option<H> {
        // A receiver that ended already needs no signal.
        let _ = self.stop.send(());
        self.thread.join().ok()
    }
}

async fn accept<H: Handler>(listener: TcpListener, delay: Duration, handler: Rc<RefCell<H>>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let handler = Rc::clone(&handler);
                // A connection that breaks is the sender's to notice and to repeat.
                tokio::task::spawn_local(async move { receive(stream, delay, &handler).await.ok() });
            }
            // Out of file descriptors, most likely: let some connections end first.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn receive<H: Handler>(stream: TcpStream, delay: Duration, handler: &RefCell<H>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut incoming = Incoming::new(read);
    let mut body = Vec::new();
    while let Some(head) = incoming.head(|bytes| parse_request(bytes, Head::of)).await? {
        body.clear();
        incoming.whole(head.body, &mut body).await?;
        handler.borrow_mut().arrived(&Arrival { head: &head, body: &body, at: Instant::now() });
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        write.write_all(ACCEPTED).await?;
    }
    Ok(())
}

impl Head {
    fn of(request: &httparse::Request<'_, '_>) -> Self {
        let text = |name| {
            value(request.headers, name).map(|v| String::from_utf8_lossy(v).into_owned()).unwrap_or_default()
        };
        Self {
            path: request.path.unwrap_or_default().to_owned(),
            id: text("webhook-id"),
            timestamp: text("webhook-timestamp"),
            signature: text("webhook-signature"),
            body: Body::of(request.headers, Body::Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::net::http1::{connect, exchange};

    struct Checked {
        key: SigningKey,
        seen: Vec<(String, String, bool)>,
    }

    impl Handler for Checked {
        fn arrived(&mut self, arrival: &Arrival<'_>) {
            let body = String::from_utf8_lossy(arrival.body).into_owned();
            self.seen.push((arrival.id().to_owned(), body, arrival.is_signed_by(&self.key)));
        }
    }

    #[tokio::test]
    async fn an_arrival_is_accepted_and_its_signature_judged_as_the_official_library_signs() {
        let secret = Secret::of(&[3; 32]);
        let official = standardwebhooks::Webhook::new(secret.reveal()).unwrap();
        let (body, at) = (br#"{"type":"points.earned"}"#, 1_772_562_600);
        let signature = official.sign("evt_1", at, body).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let handler = Checked { key: SigningKey::of(secret.reveal()).unwrap(), seen: Vec::new() };
        let receiver = Receiver::start(listener, Duration::ZERO, handler).unwrap();

        let mut connection = Incoming::new(connect(&authority).await.unwrap());
        for signature in [signature.as_str(), "v1,AAAA", &format!("v1,AAAA {signature}"), ""] {
            let request = format!(
                "POST / HTTP/1.1\r\nWebhook-Id: evt_1\r\nwebhook-timestamp: {at}\r\nwebhook-signature: {signature}\r\n\
                 content-length: {}\r\n\r\n{}",
                body.len(),
                std::str::from_utf8(body).unwrap()
            );
            let head = exchange(&mut connection, request.as_bytes(), &mut Vec::new()).await.unwrap();
            assert_eq!(head.status, 200);
        }
        let seen = receiver.finish().unwrap().seen;
        assert!(seen.iter().all(|(id, text, _)| id == "evt_1" && text.as_bytes() == body));
        assert_eq!(seen.iter().map(|(_, _, signed)| *signed).collect::<Vec<_>>(), [true, false, true, false]);
    }
}
