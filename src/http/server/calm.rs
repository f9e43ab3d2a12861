//! A connection that gets nowhere does not keep a processor busy.
//!
//! While requests wait behind one whose answer nobody takes, actix-http asks to be polled again at once, and again. Whoever
//! sends much and reads nothing would have a thread for themselves. So who asks again and again while not a byte moves is made
//! to wait a little. What happens outside is heard at once all the same.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep};

use super::line::Pulse;

/// So often in a row a connection may ask for another turn.
const TURNS: u32 = 32;
/// How long it waits for one after that.
const PAUSE: Duration = Duration::from_millis(10);

/// What a connection rings when it wants a turn.
#[derive(Default)]
struct Bell {
    task: AtomicWaker,
    /// Whether the connection has its turn now.
    in_turn: AtomicBool,
    rung: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        if !self.in_turn.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

/// The future of a connection.
pub(super) struct Calm<F> {
    connection: Pin<Box<F>>,
    pulse: Rc<Pulse>,
    bell: Arc<Bell>,
    waker: Waker,
    /// Turns in a row in which no byte moved and another one was asked for.
    idle_turns: u32,
    moved: u64,
    pause: Pin<Box<Sleep>>,
}

impl<F: Future> Calm<F> {
    pub(super) fn new(connection: F, pulse: Rc<Pulse>) -> Self {
        let bell = Arc::<Bell>::default();
        let waker = Waker::from(Arc::clone(&bell));
        let (connection, pause) = (Box::pin(connection), Box::pin(sleep(PAUSE)));
        Self { connection, pulse, bell, waker, idle_turns: 0, moved: 0, pause }
    }
}

impl<F: Future> Future for Calm<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.bell.task.register(cx.waker());
        this.bell.rung.store(false, Ordering::SeqCst);
        this.bell.in_turn.store(true, Ordering::SeqCst);
        let polled = this.connection.as_mut().poll(&mut Context::from_waker(&this.waker));
        this.bell.in_turn.store(false, Ordering::SeqCst);
        if polled.is_ready() || !this.bell.rung.swap(false, Ordering::SeqCst) {
            this.idle_turns = 0;
            return polled;
        }
        let moved = this.pulse.moved();
        this.idle_turns = if moved == this.moved { this.idle_turns + 1 } else { 0 };
        this.moved = moved;
        if this.idle_turns < TURNS {
            cx.waker().wake_by_ref();
        } else {
            this.pause.as_mut().reset(Instant::now() + PAUSE);
            if this.pause.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::rt;
    use std::cell::Cell;
    use std::future::poll_fn;
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    #[actix_web::test]
    async fn who_asks_for_turns_and_gets_nowhere_has_few_and_still_hears_what_happens() {
        let turns = Rc::new(Cell::new(0_u32));
        let (tell, mut told) = oneshot::channel::<()>();
        let counter = Rc::clone(&turns);
        let restless = poll_fn(move |cx| {
            counter.set(counter.get() + 1);
            if Pin::new(&mut told).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        let task = rt::spawn(Calm::new(restless, Pulse::new()));
        rt::time::sleep(Duration::from_millis(300)).await;
        assert!((TURNS..TURNS + 60).contains(&turns.get()), "{} turns", turns.get());
        tell.send(()).unwrap();
        timeout(Duration::from_secs(20), task).await.expect("it hears").unwrap();
    }

    #[actix_web::test]
    async fn who_gets_on_has_every_turn() {
        let pulse = Pulse::new();
        let (mut left, moving) = (10_000_u32, Rc::clone(&pulse));
        let busy = poll_fn(move |cx| {
            left -= 1;
            moving.byte_moved();
            cx.waker().wake_by_ref();
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        });
        // At the pace of the restless it would take minutes.
        timeout(Duration::from_secs(20), Calm::new(busy, pulse)).await.expect("it gets on");
    }
}
