//! A connection whose client keeps us waiting is cut.
//!
//! actix-http times the first head of a connection and its rest between requests. It waits for ever for a later head, for
//! the end of a body that nobody reads any more, and for a client that does not take its answer. Here all of that has an end.
//! Bodies that somebody reads have their own (`http/body`).

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::crowd::Place;

/// How long a client may keep us waiting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// A head must be there so long after its first byte.
    pub(super) head: Duration,
    /// Without a byte and without a request, a connection is kept so long.
    pub(super) rest: Duration,
    /// So long a client may take for the next [`MOUTHFUL`] of an answer.
    pub(super) answer: Duration,
    /// How often to look.
    pub(super) look: Duration,
}

/// Taking less of an answer than this, in bytes, is no progress.
const MOUTHFUL: usize = 32 * 1024;

/// What a connection and its requests tell each other.
pub(in crate::http) struct Pulse {
    /// Requests under way, the sending of their answers included.
    under_way: Cell<u32>,
    /// Since when there is none.
    at_rest_since: Cell<Instant>,
    /// How often bytes went one way or the other.
    moved: Cell<u64>,
    /// Whom to wake when the last one ends: from then on the client has to say something.
    waker: RefCell<Option<Waker>>,
}

impl Pulse {
    pub(super) fn new() -> Rc<Self> {
        let (under_way, moved, at_rest_since) = (Cell::new(0), Cell::new(0), Cell::new(Instant::now()));
        Rc::new(Self { under_way, at_rest_since, moved, waker: RefCell::new(None) })
    }

    /// How often bytes went one way or the other.
    pub(super) fn moved(&self) -> u64 {
        self.moved.get()
    }

    /// Some went.
    pub(super) fn byte_moved(&self) {
        self.moved.set(self.moved.get().wrapping_add(1));
    }

    /// A request begins. It is under way until its answer is gone.
    pub(in crate::http) fn begin(self: &Rc<Self>) -> UnderWay {
        self.under_way.set(self.under_way.get() + 1);
        UnderWay(Rc::clone(self))
    }

    fn is_at_rest(&self) -> bool {
        self.under_way.get() == 0
    }
}

/// A request under way.
pub(in crate::http) struct UnderWay(Rc<Pulse>);

impl UnderWay {
    /// Ends with this body.
    pub(in crate::http) fn until_sent(self, body: BoxBody) -> BoxBody {
        BoxBody::new(Sent { body, _under_way: self })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let pulse = &self.0;
        pulse.under_way.set(pulse.under_way.get() - 1);
        if pulse.is_at_rest() {
            pulse.at_rest_since.set(Instant::now());
            if let Some(waker) = pulse.waker.take() {
                waker.wake();
            }
        }
    }
}

/// The body of an answer; once it is sent, its request is over.
struct Sent {
    body: BoxBody,
    _under_way: UnderWay,
}

impl MessageBody for Sent {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// A connection.
pub(super) struct Line<IO> {
    io: IO,
    pulse: Rc<Pulse>,
    patience: Patience,
    /// Fires every now and then while we wait for the client, to look whether that has been for too long.
    look: Pin<Box<Sleep>>,
    /// When the first byte came of what is no request yet.
    head_since: Option<Instant>,
    /// Since when the client has not taken a mouthful of what we have to say.
    untaken_since: Option<Instant>,
    /// Bytes taken since then.
    taken: usize,
    _place: Option<Place>,
}

impl<IO> Line<IO> {
    pub(super) fn new(io: IO, patience: Patience, place: Option<Place>) -> Self {
        let look = Box::pin(sleep(patience.look));
        let (head_since, untaken_since) = (None, None);
        Self { io, pulse: Pulse::new(), patience, look, head_since, untaken_since, taken: 0, _place: place }
    }

    pub(super) const fn pulse(&self) -> &Rc<Pulse> {
        &self.pulse
    }

    /// Whether the client has been silent, or slow with a head, for too long.
    fn is_silent(&mut self, now: Instant) -> bool {
        if !self.pulse.is_at_rest() {
            self.head_since = None;
            return false;
        }
        let at_rest = self.pulse.at_rest_since.get();
        // What came before the last request ended was for that one.
        match self.head_since.filter(|since| *since >= at_rest) {
            Some(since) => now - since > self.patience.head,
            None => now - at_rest > self.patience.rest,
        }
    }

    fn is_deaf(&self, now: Instant) -> bool {
        self.untaken_since.is_some_and(|since| now - since > self.patience.answer)
    }

    /// Waits on, or gives the client up. Whoever waits for it is woken now and then to ask again.
    fn wait<T>(
        &mut self,
        cx: &mut Context<'_>,
        is_over: impl FnOnce(&mut Self, Instant) -> bool,
    ) -> Poll<io::Result<T>> {
        while self.look.as_mut().poll(cx).is_ready() {
            let next = Instant::now() + self.patience.look;
            self.look.as_mut().reset(next);
        }
        if is_over(self, Instant::now()) {
            tracing::debug!("a client kept us waiting for too long; its connection is cut");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Line<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buffer) {
            Poll::Pending => {
                if !self.pulse.waker.borrow().as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    *self.pulse.waker.borrow_mut() = Some(cx.waker().clone());
                }
                self.wait(cx, Self::is_silent)
            }
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                self.pulse.byte_moved();
                let now = Instant::now();
                if self.is_silent(now) {
                    return self.wait(cx, |_, _| true);
                }
                let at_rest = self.pulse.at_rest_since.get();
                if self.head_since.is_none_or(|since| since < at_rest) {
                    self.head_since = Some(now);
                }
                Poll::Ready(Ok(()))
            }
            ended => ended,
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Line<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.io).poll_write(cx, bytes) {
            Poll::Pending => {
                self.untaken_since.get_or_insert_with(Instant::now);
                self.wait(cx, |line, now| line.is_deaf(now))
            }
            Poll::Ready(Ok(count)) => {
                self.pulse.byte_moved();
                self.taken += count;
                if count == bytes.len() || self.taken >= MOUTHFUL {
                    (self.untaken_since, self.taken) = (None, 0);
                }
                Poll::Ready(Ok(count))
            }
            failed => failed,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish(cx, |io, cx| io.poll_shutdown(cx))
    }
}

impl<IO: AsyncWrite + Unpin> Line<IO> {
    /// The last of what we have to say: TLS keeps some of it.
    fn finish(
        &mut self,
        cx: &mut Context<'_>,
        step: impl FnOnce(Pin<&mut IO>, &mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        match step(Pin::new(&mut self.io), cx) {
            Poll::Pending => {
                self.untaken_since.get_or_insert_with(Instant::now);
                self.wait(cx, |line, now| line.is_deaf(now))
            }
            done => done,
        }
    }
}
