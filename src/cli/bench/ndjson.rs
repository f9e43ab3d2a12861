//! Many orders on one streamed request: lines go out when they are due while receipts come in.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;

use crate::cli::net::http1::{Incoming, connect};

use super::sender::{Sender, until};

/// A chunk is written when it holds this much, or when nothing more is due.
const CHUNK: usize = 16 * 1024;
/// `0000abcd\r\n`: room for a chunk's size in front of it, so that a chunk is one write.
const SIZE_LENGTH: usize = 10;
/// A server that says nothing for so long has forgotten us.
const SILENCE: Duration = Duration::from_secs(60);
/// As a till that lost its connection would wait.
const PAUSE: Duration = Duration::from_millis(100);

/// What one connection has sent and not seen answered, oldest first: answers come in order.
struct Flight {
    orders: RefCell<VecDeque<u64>>,
    landed: Notify,
}

/// Sends orders on one connection until there are no more; opens another connection when it breaks.
pub(super) async fn drive(sender: &Sender) {
    let mut first = sender.take();
    while let Some(next) = first {
        let flight = Flight { orders: RefCell::default(), landed: Notify::new() };
        let outcome = stream(sender, &flight, next).await;
        if let Err(error) = outcome {
            let unanswered = flight.orders.borrow().len() as u64;
            sender.failed(&format!("connection: {error}"), unanswered);
            tokio::time::sleep(PAUSE).await;
        }
        first = sender.take();
    }
}

/// One request on one connection, from its first order to the last receipt.
async fn stream(sender: &Sender, flight: &Flight, first: (u64, Option<Instant>)) -> io::Result<()> {
    // Without a connection this order is the one that gets no receipt; with one it enters the flight when written.
    flight.orders.borrow_mut().push_back(first.0);
    let mut connection = connect(&sender.plan.access.authority).await?;
    flight.orders.borrow_mut().clear();
    let (read, write) = connection.split();
    tokio::try_join!(write_orders(sender, flight, first, write), read_receipts(sender, flight, read))?;
    Ok(())
}

async fn write_orders(
    sender: &Sender,
    flight: &Flight,
    first: (u64, Option<Instant>),
    mut write: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let path = format!("/v1/chains/{}/events/batch", sender.plan.chain);
    let head = sender.plan.access.head("POST", &path, "application/x-ndjson");
    write.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await?;
    let window = sender.plan.window as usize;
    let mut chunk = Chunk::default();
    let mut next = Some(first);
    while let Some((order, due)) = next {
        if let Some(due) = due.filter(|due| *due > Instant::now()) {
            chunk.send(&mut write).await?;
            until(due).await;
        }
        sender.write(order, due, &mut chunk.bytes);
        chunk.bytes.push(b'\n');
        flight.orders.borrow_mut().push_back(order);
        if chunk.bytes.len() >= CHUNK || flight.orders.borrow().len() >= window {
            chunk.send(&mut write).await?;
        }
        // Half of the window must be free before more is written: else every receipt would cause a tiny chunk.
        if flight.orders.borrow().len() >= window {
            while flight.orders.borrow().len() > window / 2 {
                flight.landed.notified().await;
            }
        }
        next = sender.take();
    }
    chunk.send(&mut write).await?;
    write.write_all(b"0\r\n\r\n").await
}

async fn read_receipts(sender: &Sender, flight: &Flight, read: impl AsyncRead + Unpin) -> io::Result<()> {
    let mut incoming = Incoming::new(read);
    let head = incoming.response_head().await?;
    let (mut body, mut bytes) = (head.body, Vec::new());
    if head.status != 200 {
        incoming.whole(body, &mut bytes).await?;
        let problem = String::from_utf8_lossy(&bytes).into_owned();
        return Err(io::Error::other(format!("refused with {}: {problem}", head.status)));
    }
    while tokio::time::timeout(SILENCE, incoming.piece(&mut body, &mut bytes)).await?? {
        let at = Instant::now();
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        for line in bytes[..whole].split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let order = flight.orders.borrow_mut().pop_front();
            let order = order.ok_or_else(|| io::Error::other("more receipts than orders"))?;
            sender.answered(order, head.status, line, at);
        }
        bytes.drain(..whole);
        flight.landed.notify_one();
    }
    match flight.orders.borrow().is_empty() {
        true => Ok(()),
        false => Err(io::Error::other("the answer ended before all receipts")),
    }
}

/// A chunk under construction, with room for its size in front.
struct Chunk {
    bytes: Vec<u8>,
}

impl Default for Chunk {
    fn default() -> Self {
        Self { bytes: vec![0; SIZE_LENGTH] }
    }
}

impl Chunk {
    /// Writes the chunk, if there is anything in it, and begins the next.
    async fn send(&mut self, write: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let length = self.bytes.len() - SIZE_LENGTH;
        if length == 0 {
            return Ok(());
        }
        self.bytes[..SIZE_LENGTH].copy_from_slice(format!("{length:08x}\r\n").as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
        write.write_all(&self.bytes).await?;
        self.bytes.truncate(SIZE_LENGTH);
        Ok(())
    }
}
