//! What happened so far: entered by the till and by the receiver, read by the screen.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Deserialize;

use crate::cli::net::receiver::{Arrival, Handler, SigningKey};

use super::story::About;

/// The shared tally.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    guests: HashSet<String>,
    /// Ids of loyalty events that receipts told of.
    announced: HashSet<String>,
    /// Ids of loyalty events that arrived as webhooks.
    heard: HashSet<String>,
}

/// A look at the tally.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) orders: u64,
    pub(super) guests: u64,
    pub(super) newcomers: u64,
    pub(super) repeats: u64,
    /// Repeats that were not recognised.
    pub(super) missed_repeats: u64,
    pub(super) full_refunds: u64,
    pub(super) partial_refunds: u64,
    pub(super) kept: u64,
    pub(super) points_given: u64,
    pub(super) points_taken_back: u64,
    pub(super) tiers_up: u64,
    pub(super) tiers_down: u64,
    pub(super) refused: u64,
    /// Webhooks whose signature is right, repeats included.
    pub(super) verified: u64,
    pub(super) wrongly_signed: u64,
    pub(super) announced: u64,
    /// Announced and not arrived: on their way while the demo runs, lost when it is over.
    pub(super) missing: u64,
    pub(super) last_arrival: Option<Instant>,
    /// The last thing worth telling.
    pub(super) latest: String,
}

/// The part of a receipt that the summary tells.
#[derive(Debug, Deserialize)]
pub(super) struct Receipt {
    duplicate: bool,
    status: String,
    #[serde(default)]
    member: Option<Member>,
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
struct Member {
    points: i64,
    #[serde(default)]
    tier: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Option<Points>,
}

#[derive(Debug, Deserialize)]
struct Points {
    amount: u64,
}

impl Tally {
    fn state(&self) -> MutexGuard<'_, State> {
        // Counters are never half-written, so that a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts now.
    pub(super) fn look(&self) -> Counts {
        let state = self.state();
        Counts {
            guests: state.guests.len() as u64,
            announced: state.announced.len() as u64,
            missing: state.announced.difference(&state.heard).count() as u64,
            ..state.counts.clone()
        }
    }

    /// Enters the answer to a step.
    pub(super) fn answered(&self, about: &About, receipt: &Receipt) {
        let mut state = self.state();
        state.enter_step(about, receipt);
        if !receipt.duplicate {
            receipt.events.iter().for_each(|event| state.enter_event(event));
        }
        state.counts.latest = sentence(about, receipt);
    }

    /// Enters a step that got no receipt.
    pub(super) fn refused(&self, why: &str) {
        let mut state = self.state();
        state.counts.refused += 1;
        state.counts.latest = format!("not accepted: {why}");
    }
}

impl State {
    fn enter_step(&mut self, about: &About, receipt: &Receipt) {
        match about {
            About::Order { guest, newcomer, .. } => {
                self.counts.orders += 1;
                self.counts.newcomers += u64::from(*newcomer);
                self.guests.insert(guest.clone());
            }
            About::Anonymous { .. } => {
                self.counts.orders += 1;
                self.counts.kept += u64::from(receipt.status == "parked");
            }
            About::Repeat { .. } if receipt.duplicate => self.counts.repeats += 1,
            About::Repeat { .. } => self.counts.missed_repeats += 1,
            About::Refund { full: true, .. } => self.counts.full_refunds += 1,
            About::Refund { full: false, .. } => self.counts.partial_refunds += 1,
        }
    }

    fn enter_event(&mut self, event: &Event) {
        let amount = event.data.as_ref().map_or(0, |points| points.amount);
        match event.kind.as_str() {
            "points.earned" => self.counts.points_given += amount,
            "points.clawed_back" | "points.deducted" => self.counts.points_taken_back += amount,
            "tier.upgraded" => self.counts.tiers_up += 1,
            "tier.downgraded" => self.counts.tiers_down += 1,
            _ => {}
        }
        self.announced.insert(event.id.clone());
    }
}

/// What a person behind the counter would say.
fn sentence(about: &About, receipt: &Receipt) -> String {
    let moved: u64 = receipt.events.iter().filter_map(|event| event.data.as_ref()).map(|p| p.amount).sum();
    let now = receipt.member.as_ref().map_or_else(String::new, |member| {
        let tier = member.tier.as_deref().unwrap_or("no tier");
        format!(", {} points now, {tier}", member.points)
    });
    let up = receipt.events.iter().any(|event| event.kind == "tier.upgraded");
    let hooray = if up { " — a tier up!" } else { "" };
    match about {
        About::Order { guest, dish, total, newcomer } => {
            let welcome = if *newcomer { ", welcome" } else { "" };
            format!("{guest}: {dish} and all for {total}, +{moved}{now}{welcome}{hooray}")
        }
        About::Anonymous { total } => format!("somebody: {total}, no name given, kept until it is claimed"),
        About::Repeat { guest } => format!("the till sent an order of {guest} twice: awarded once"),
        About::Refund { guest, amount, full } => {
            let part = if *full { "all of it" } else { "a part" };
            format!("{guest} got {amount} back ({part}), -{moved}{now}")
        }
    }
}

/// Enters webhooks into the tally; every signature is checked.
pub(super) struct Listener {
    key: SigningKey,
    tally: Arc<Tally>,
}

impl Listener {
    /// Listens for webhooks signed with `key`.
    pub(super) fn new(key: SigningKey, tally: Arc<Tally>) -> Self {
        Self { key, tally }
    }
}

impl Handler for Listener {
    fn arrived(&mut self, arrival: &Arrival<'_>) {
        let is_signed = arrival.is_signed_by(&self.key);
        let mut state = self.tally.state();
        state.counts.last_arrival = Some(arrival.at);
        if is_signed {
            state.counts.verified += 1;
            state.heard.insert(arrival.id().to_owned());
        } else {
            state.counts.wrongly_signed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(json: &str) -> Receipt {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_receipts_announce_is_missing_until_it_arrives_and_repeats_announce_nothing() {
        let tally = Tally::default();
        let about =
            About::Order { guest: "Ana".into(), dish: "Espresso", total: "3.00".into(), newcomer: false };
        let first = r#"{"duplicate":false,"status":"processed","member":{"points":3,"tier":"bronze"},
            "events":[{"id":"evt_1","type":"order.completed"},{"id":"evt_2","type":"points.earned","data":{"amount":3}}]}"#;
        tally.answered(&about, &receipt(first));
        let again = first.replacen("false", "true", 1);
        tally.answered(&About::Repeat { guest: "Ana".into() }, &receipt(&again));
        let counts = tally.look();
        assert_eq!((counts.orders, counts.repeats, counts.points_given, counts.missing), (1, 1, 3, 2));
        tally.state().heard.extend(["evt_1".to_owned(), "evt_2".to_owned(), "evt_9".to_owned()]);
        assert_eq!(tally.look().missing, 0);
    }
}
