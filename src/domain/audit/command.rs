//! Lines about members.
//!
//! A member may be erased, and a line is never changed. So a line about a member holds from the begin only what may stay of
//! them: our ids, numbers, the names of fields. What people said in their own words is in the source event that it names, and is
//! forgotten there.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use ulid::Ulid;

use super::{Action, Change, Entry, Fields};
use crate::domain::Timestamp;
use crate::domain::commit::{Commit, SourceChange, SourceOrigin};
use crate::domain::erasure::what_may_stay;
use crate::domain::ids::AuditId;
use crate::domain::loyalty_event::{EventData, PointsMoved};

impl Entry {
    /// The line about what somebody asked for by an admin route: a command, or a source event decided again. `None` for
    /// whatever tills send and the engine does by itself: source events are the log of that.
    pub fn of(commit: &Commit) -> Option<Self> {
        let source = commit.source.as_ref()?;
        let by = source.event.by.as_deref()?.clone();
        let (action, target, change) = match source.from {
            SourceOrigin::Outside => {
                let member = source.member?;
                (Action::of(source.event.kind())?, member.to_string(), commanded(commit, source))
            }
            SourceOrigin::Stored { status, .. } => {
                let change = Change::of("status", status.as_str(), source.status().as_str());
                (Action::SourceEventReplayed, source.id.to_string(), change)
            }
        };
        let id = id(source, commit.decided_at);
        Some(Self { id, chain: Some(commit.chain.clone()), by, action, target, change })
    }
}

/// The same whenever it is decided again from the same, and another one for each run.
fn id(source: &SourceChange, decided_at: Timestamp) -> AuditId {
    let runs = match source.from {
        SourceOrigin::Outside => 0,
        SourceOrigin::Stored { runs, .. } => u128::from(runs) + 1,
    };
    let millis = decided_at.timestamp_millis().max(0).unsigned_abs();
    let received = source.id.ulid();
    let number = received.random().wrapping_add(received.timestamp_ms().into()).wrapping_add(runs);
    AuditId::new(Ulid::from_parts(millis, number))
}

/// What was asked for, and what moved.
fn commanded(commit: &Commit, source: &SourceChange) -> Change {
    let (mut before, mut after) = (Fields::new(), what_may_stay(source.event.kind(), &source.event.body));
    after.insert("source_event".to_owned(), json!(source.id));
    let others: Vec<_> = commit.people.others.iter().map(|other| other.id).collect();
    if !others.is_empty() {
        after.insert("members".to_owned(), json!(others));
    }
    let mut balances = BTreeMap::<&str, (i64, i64)>::new();
    let told = commit.events.iter().filter(|event| event.member() == source.member);
    for data in told.map(|event| &event.data) {
        match data {
            EventData::TierUpgraded(moved) | EventData::TierDowngraded(moved) => {
                let tier = |tier: &crate::domain::terms::tier::Tier| json!(tier.id);
                before
                    .entry("tier")
                    .or_insert_with(|| moved.previous_tier.as_ref().map_or(Value::Null, tier));
                after.insert("tier".to_owned(), tier(&moved.new_tier));
            }
            EventData::MemberUpdated(told) => drop(after.insert("changed".to_owned(), json!(told.changed))),
            data => {
                let Some((points, moved)) = moved(data) else { continue };
                let (_, now) = balances.entry(&points.wallet).or_insert((points.new_balance.0 - moved, 0));
                *now = points.new_balance.0;
            }
        }
    }
    if !balances.is_empty() {
        let were: BTreeMap<_, _> = balances.iter().map(|(wallet, (was, _))| (*wallet, *was)).collect();
        let are: BTreeMap<_, _> = balances.iter().map(|(wallet, (_, is))| (*wallet, *is)).collect();
        before.insert("balances".to_owned(), json!(were));
        after.insert("balances".to_owned(), json!(are));
    }
    Change { before: Some(before).filter(|before| !before.is_empty()), after: Some(after) }
}

/// By how much a balance moved, if one did.
const fn moved(data: &EventData) -> Option<(&PointsMoved, i64)> {
    match data {
        EventData::PointsEarned(points) | EventData::PointsReturned(points) => {
            Some((points, points.amount.0))
        }
        EventData::PointsDeducted(points)
        | EventData::PointsExpired(points)
        | EventData::PointsRedeemed(points)
        | EventData::PointsClawedBack(points) => Some((points, -points.amount.0)),
        EventData::PointsAdjusted(points) if points.taken => Some((points, -points.amount.0)),
        EventData::PointsAdjusted(points) => Some((points, points.amount.0)),
        _ => None,
    }
}
