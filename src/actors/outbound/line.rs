//! One TCP connection to a receiver, which can be hung up although awc's pool owns it.
//!
//! awc puts a connection back into its pool as soon as it has read a head without a body, and never looks at idle ones
//! again. Two things follow that we must not let happen: after an interim answer (`100 Continue`) the real one would be
//! read as the answer to the *next* delivery, and idle connections would hold file descriptors for ever. So a line
//! can be hung up from outside; to the pool it then looks closed by the peer.
//!
//! And awc takes an answer of HTTP/1.1 without a length for one without a body, where `Connection: close` says that the
//! body ends with the connection. What of it came with the head is kept here, and the rest can be read from here.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_rt::net::{ActixStream, Ready, TcpStream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::AttemptError;
use super::proxy::NoWayOut;

/// The most bytes of an answer before its head is complete: a receiver that never completes one holds no more memory
/// than that, of each line, for as long as an attempt may take.
pub(super) const HEAD: usize = 32 * 1024;

tokio::task_local! {
    /// The exchange that the current task is carrying out.
    static EXCHANGE: Rc<Trace>;
}

/// What is known of an exchange while it runs.
#[derive(Debug, Default)]
pub(super) struct Trace {
    line: RefCell<Option<Rc<Wire>>>,
    dialled: Cell<bool>,
    /// Whether it is still inside our own network.
    at_home: Cell<bool>,
    /// The status code, once it came.
    pub(super) status: Cell<Option<u16>>,
    /// Bytes that came since anything was sent.
    came: Cell<usize>,
    /// The last of them before the status code was known, with a few of those before. Nothing of what is encrypted.
    heard: RefCell<Vec<u8>>,
}

impl Trace {
    /// Runs `exchange`; every line it dials or reads from is noted here.
    pub(super) async fn follow<F: Future>(self: &Rc<Self>, exchange: F) -> F::Output {
        EXCHANGE.scope(Rc::clone(self), exchange).await
    }

    /// Begins anew, with another request of the same exchange.
    pub(super) fn renew(&self) {
        self.line.take();
        self.dialled.set(false);
        self.status.set(None);
    }

    /// Keeps these bytes, and of those before as many as the end of a head may be torn into.
    fn hear(&self, bytes: &[u8]) {
        if self.status.get().is_none() && !bytes.is_empty() {
            let mut heard = self.heard.borrow_mut();
            let torn = heard.len().min(3);
            let old = heard.len() - torn;
            heard.drain(..old);
            heard.extend_from_slice(bytes);
        }
    }

    /// The body of an answer that ends with its connection, or so much of it. Nothing over TLS, where it cannot be read
    /// from here.
    pub(super) async fn rest(&self, most: usize) -> Vec<u8> {
        let heard = self.heard.take();
        let Some(mut body) = after_head(&heard).map(<[u8]>::to_vec) else { return Vec::new() };
        let tcp = self.line.take().and_then(|wire| wire.tcp.take());
        if let Some(tcp) = tcp {
            let room = most.saturating_sub(body.len());
            // What breaks off is taken as it is.
            let _ = tcp.take(room as u64).read_to_end(&mut body).await;
        }
        body.truncate(most);
        body
    }

    /// Takes note of so many bytes. Answers whether the head should be complete by now, and is not.
    fn note_came(&self, bytes: usize) -> bool {
        self.came.set(self.came.get() + bytes);
        self.status.get().is_none() && self.came.get() > HEAD
    }

    /// Why there is no answer when it takes longer than that.
    pub(super) fn late(&self, after: Duration) -> AttemptError {
        if self.at_home.get() { NoWayOut::Late.into() } else { AttemptError::TimedOut(after) }
    }

    /// Whether the exchange opened a connection of its own.
    pub(super) fn dialled(&self) -> bool {
        self.dialled.get()
    }

    /// Hangs up the line that was read from last: what else comes over it belongs to this exchange, not to the next.
    pub(super) fn hang_up(&self) {
        if let Some(wire) = self.line.take() {
            wire.hang_up();
        }
    }
}

fn after_head(heard: &[u8]) -> Option<&[u8]> {
    let end = |of: &[u8]| heard.windows(of.len()).position(|some| some == of).map(|at| at + of.len());
    let at = [end(b"\r\n\r\n"), end(b"\n\n")].into_iter().flatten().min()?;
    heard.get(at..)
}

/// Does what is our own network's affair: when the exchange ends in the middle of it, that is nobody else's fault.
pub(super) async fn at_home<F: Future>(work: F) -> F::Output {
    let note = |is| _ = EXCHANGE.try_with(|trace| trace.at_home.set(is));
    note(true);
    let output = work.await;
    note(false);
    output
}

/// The state of a line, shared with those who may hang it up.
#[derive(Debug)]
pub(super) struct Wire {
    tcp: RefCell<Option<TcpStream>>,
    used: Cell<Instant>,
}

impl Wire {
    /// When bytes last moved.
    pub(super) fn used(&self) -> Instant {
        self.used.get()
    }

    /// Closes the connection.
    pub(super) fn hang_up(&self) {
        self.tcp.take();
    }
}

/// A TCP connection to a vetted address.
#[derive(Debug)]
pub(super) struct Line {
    wire: Rc<Wire>,
    /// Whether what goes over it is not encrypted.
    is_plain: bool,
}

impl Line {
    /// Wraps a fresh connection and notes that the current exchange dialled it.
    pub(super) fn new(tcp: TcpStream, is_plain: bool) -> Self {
        let _ = EXCHANGE.try_with(|trace| trace.dialled.set(true));
        let wire = Rc::new(Wire { tcp: RefCell::new(Some(tcp)), used: Cell::new(Instant::now()) });
        Self { wire, is_plain }
    }

    /// What may hang it up.
    pub(super) fn wire(&self) -> &Rc<Wire> {
        &self.wire
    }

    /// Asks the open connection, or answers `closed`.
    fn with<T>(&self, closed: T, ask: impl FnOnce(Pin<&mut TcpStream>) -> T) -> T {
        match self.wire.tcp.borrow_mut().as_mut() {
            Some(tcp) => {
                self.wire.used.set(Instant::now());
                ask(Pin::new(tcp))
            }
            None => closed,
        }
    }
}

fn broken<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let _ = EXCHANGE.try_with(|trace| *trace.line.borrow_mut() = Some(Rc::clone(&self.wire)));
        let before = buffer.filled().len();
        let read = self.with(Poll::Ready(Ok(())), |tcp| tcp.poll_read(cx, buffer));
        let came = &buffer.filled()[before..];
        let note = |trace: &Rc<Trace>| {
            if self.is_plain {
                trace.hear(came);
            }
            trace.note_came(came.len())
        };
        match EXCHANGE.try_with(note) {
            Ok(true) => {
                self.wire.hang_up();
                Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()))
            }
            _ => read,
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // What came before belongs to a handshake, or to nobody.
        let _ = EXCHANGE.try_with(|trace| {
            trace.came.set(0);
            trace.heard.take();
        });
        self.with(broken(), |tcp| tcp.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(broken(), |tcp| tcp.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(Poll::Ready(Ok(())), |tcp| tcp.poll_shutdown(cx))
    }
}

impl ActixStream for Line {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.with(broken(), |tcp| ActixStream::poll_read_ready(&*tcp, cx))
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.with(broken(), |tcp| ActixStream::poll_write_ready(&*tcp, cx))
    }
}
