//! One request per order.

use std::io;
use std::time::{Duration, Instant};

use crate::cli::net::api::Client;

use super::sender::{Sender, until};

/// After a broken connection or a refusal for overload: long enough not to spin, short enough not to idle.
const PAUSE: Duration = Duration::from_millis(50);
/// A server that says nothing for so long has forgotten us.
const SILENCE: Duration = Duration::from_secs(60);
/// Sending again with the same key is safe; a server that stays away ends the run's hope for this order.
const TRIES: u32 = 3;

/// Sends orders on one connection, one after the other, until there are no more.
pub(super) async fn drive(sender: &Sender) {
    let mut client = Client::new(sender.plan.access.clone());
    let path = format!("/v1/chains/{}/events", sender.plan.chain);
    let head = sender.plan.access.head("POST", &path, "application/json");
    let mut body = Vec::new();
    while let Some((order, due)) = sender.take() {
        if let Some(due) = due {
            until(due).await;
        }
        body.clear();
        sender.write(order, due, &mut body);
        if let Err(error) = send(sender, &mut client, order, &head, &body).await {
            sender.failed(&format!("connection: {}", error.kind()), 1);
        }
    }
}

async fn send(sender: &Sender, client: &mut Client, order: u64, head: &str, body: &[u8]) -> io::Result<()> {
    let mut tries = 1;
    loop {
        let answered = tokio::time::timeout(SILENCE, client.send(head, body));
        match answered.await.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok((answer, receipt)) => {
                sender.answered(order, answer.status, receipt, Instant::now());
                if matches!(answer.status, 429 | 503) {
                    tokio::time::sleep(PAUSE).await;
                }
                return Ok(());
            }
            Err(error) if tries >= TRIES => return Err(error),
            Err(_) => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
