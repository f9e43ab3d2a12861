//! Who hears of what was decided: subscribers, and whoever triggers forward it to, unless a filter says otherwise.
//!
//! Triggers see the member as it will be stored. A trigger that fails forwards nothing; it is logged and noted in the
//! receipt, but it does not make the event `failed`: running the event again could not bring the forward back, because its
//! loyalty events are already told. Filters of endpoints see the same; one that fails lets the event pass
//! ([`super::filter`]).

use std::sync::Arc;

use rhai::Dynamic;

use crate::domain::churn::Foresight;
use crate::domain::commit::Commit;
use crate::domain::coupon::Purse;
use crate::domain::delivery::NewDelivery;
use crate::domain::effect::RuleFailure;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::DeliveryId;
use crate::domain::loyalty_event::LoyaltyEvent;
use crate::domain::text::Name;

use super::code::Unit;
use super::evaluate::Run;
use super::program::Program;
use super::verdict::{Judged, Minutes};
use super::views::{EventView, MemberView, Moment};

/// Who heard of it, and what could not be asked.
#[must_use]
pub(super) struct Addressed {
    forwards: Vec<Vec<Name>>,
    failed_triggers: Vec<RuleFailure>,
    failed_filters: Vec<RuleFailure>,
}

impl Addressed {
    /// Logs what failed and notes it in the receipt. Answers the tags that each loyalty event was forwarded to.
    pub(super) fn note_failures(self, commit: &mut Commit) -> Vec<Vec<Name>> {
        note(commit, ("trigger", "nothing was forwarded"), self.failed_triggers);
        note(commit, ("the filter of", "it was delivered"), self.failed_filters);
        self.forwards
    }
}

/// Gives a commit its deliveries.
pub(super) fn address(
    program: &Program,
    endpoints: &[Arc<Endpoint>],
    commit: &mut Commit,
    (foresight, purse): (&Foresight, &mut Purse),
    minutes: &mut Minutes,
) -> Addressed {
    let (forwards, failed_triggers) = ask_triggers(program, commit, foresight, purse, minutes);
    let failed_filters = deliver(program, endpoints, (commit, &forwards), (foresight, purse), minutes);
    Addressed { forwards, failed_triggers, failed_filters }
}

/// Adds one delivery for every loyalty event and endpoint that subscribes to it or that a trigger forwards it to, unless
/// its filter says otherwise. Endpoints that are disabled get theirs too: they leave when the endpoint is enabled again.
/// Answers which filters failed.
fn deliver(
    program: &Program,
    endpoints: &[Arc<Endpoint>],
    (commit, forwards): (&mut Commit, &[Vec<Name>]),
    (foresight, purse): (&Foresight, &mut Purse),
    minutes: &mut Minutes,
) -> Vec<RuleFailure> {
    let Some(first) = commit.events.first() else { return Vec::new() };
    let cause = first.id.ulid();
    let (mut deliveries, mut failures) = (Vec::new(), Vec::new());
    for (event, tags) in commit.events.iter().zip(forwards) {
        let mut run = None;
        for endpoint in endpoints.iter().filter(|endpoint| wants(endpoint, event, tags)) {
            if let Some(filter) = program.filter(endpoint, event.kind()) {
                let look = || seen(program, commit, event, foresight);
                let run = run.get_or_insert_with(|| Run::new(program, look(), std::mem::take(purse)));
                if !passes(run, (endpoint, filter), event, minutes, &mut failures) {
                    continue;
                }
            }
            deliveries.push(NewDelivery {
                id: DeliveryId::derived(cause, deliveries.len() as u32),
                endpoint: endpoint.id,
                event: event.id,
                member: event.member(),
                due_at: commit.decided_at,
            });
        }
        if let Some(run) = run {
            *purse = run.end();
        }
    }
    commit.deliveries = deliveries;
    failures
}

/// Whether an endpoint's filter lets an event pass. One that fails does, and is noted once.
fn passes(
    run: &mut Run<'_>,
    (endpoint, filter): (&Endpoint, &Unit),
    event: &LoyaltyEvent,
    minutes: &mut Minutes,
    failures: &mut Vec<RuleFailure>,
) -> bool {
    let outcome = run.condition(filter);
    minutes.filter(event, (endpoint.id, filter), &outcome);
    match outcome {
        Ok(judged) => judged.holds(),
        Err(failure) => {
            if failures.iter().all(|known| known.rule != failure.rule) {
                failures.push(failure);
            }
            true
        }
    }
}

/// What triggers and filters see of a loyalty event.
fn seen(
    program: &Program,
    commit: &Commit,
    event: &LoyaltyEvent,
    foresight: &Foresight,
) -> impl Iterator<Item = (&'static str, Dynamic)> + use<> {
    let zone = program.schedule.timezone;
    let today = event.at.with_timezone(&zone).date_naive();
    let look = |member| MemberView::new(member, today, program, foresight, commit.decided_at);
    let member = commit.member.clone().map(|member| ("member", Dynamic::from(look(member))));
    let view = EventView::new(event.clone(), Moment::new(event.at, zone));
    member.into_iter().chain([("event", Dynamic::from(view))])
}

fn wants(endpoint: &Endpoint, event: &LoyaltyEvent, forwarded_to: &[Name]) -> bool {
    endpoint.asks_for(&event.data).next().is_some()
        || endpoint.dialect.carries(event.kind())
            && endpoint.tags.iter().any(|tag| forwarded_to.contains(tag))
}

/// The tags that each loyalty event is forwarded to.
fn ask_triggers(
    program: &Program,
    commit: &Commit,
    foresight: &Foresight,
    purse: &mut Purse,
    minutes: &mut Minutes,
) -> (Vec<Vec<Name>>, Vec<RuleFailure>) {
    let mut forwards = vec![Vec::new(); commit.events.len()];
    let mut failures = Vec::new();
    let triggers = &program.code.triggers;
    if triggers.is_empty() || !commit.events.iter().any(|event| triggers.contains_key(&event.kind())) {
        return (forwards, failures);
    }
    for (event, tags) in commit.events.iter().zip(&mut forwards) {
        let Some(units) = triggers.get(&event.kind()) else { continue };
        let variables = seen(program, commit, event, foresight);
        let mut run = Run::new(program, variables, std::mem::take(purse));
        for unit in units.iter().filter(|unit| unit.starts_on(&event.data)) {
            let outcome = run.trigger(unit);
            minutes.trigger(event, unit, &outcome);
            match outcome {
                Ok(Judged::Held(more, _)) => tags.extend(more),
                Ok(Judged::Not(_)) => {}
                Err(failure) => failures.push(failure),
            }
        }
        *purse = run.end();
    }
    (forwards, failures)
}

/// Logs what failed and notes it in the receipt, and what was done then.
fn note(commit: &mut Commit, (what, so): (&str, &str), failures: Vec<RuleFailure>) {
    let chain = &commit.chain;
    for RuleFailure { rule: name, at, error, .. } in failures {
        let Some(change) = &mut commit.source else {
            tracing::warn!(%chain, at, error, "{what} {name} failed; {so}");
            continue;
        };
        let (source, key) = (change.id, &change.event.key);
        tracing::warn!(%chain, %source, %key, at, error, "{what} {name} failed; {so}");
        change.receipt.notes.push(format!("{what} \"{name}\" failed at {at}: {error}; {so}").into());
    }
}
