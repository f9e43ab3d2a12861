//! One decision: facts, rules, effects, triggers. Pure: the same input gives the same commit, byte for byte.
//!
//! All rules of an event see the member as of the event, the event itself counted, and never each other's effects.
//! Effects are then applied rule by rule; a rule that fails, in its condition, its body or an effect that cannot be
//! applied, leaves nothing behind and is named in the receipt, and the other rules stand.
//!
//! Then rules react to what all that came to ([`super::cascade`]), until nothing new is told.
//!
//! Then the member moves to the tier that is theirs, and is sorted into segments, as they will be stored. A tier or segment
//! whose condition fails leaves everything as it was; it is logged and noted like a trigger that fails.
//!
//! Last, when the commit is complete, comes who hears of it ([`super::address`]).

use std::sync::Arc;

use rhai::Dynamic;
use ulid::Ulid;

use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::churn::Foresight;
use crate::domain::command::Command;
use crate::domain::commit::Commit;
use crate::domain::coupon::Purse;
use crate::domain::decide::{self, Draft, Frame, Occasion, Refusal, SourceInput, Undecided};
use crate::domain::desk::{Desk, Wanted};
use crate::domain::effect::{Action, RuleEffects, RuleFailure};
use crate::domain::endpoint::Endpoint;
use crate::domain::identity::Identity;
use crate::domain::loyalty_event::{EventData, EventType};
use crate::domain::member::Member;
use crate::domain::order::{Order, OrderRecord, Settled};
use crate::domain::schedule::TickType;
use crate::domain::shared::Shared;
use crate::domain::source_event::{SourceData, SourceType};
use crate::domain::text::{Key, Name};
use crate::domain::tick::KeptTick;

use super::address::address;
use super::again::Again;
use super::cascade::Cascade;
use super::code::{RuleEvent, Unit};
use super::evaluate::Run;
use super::groups::{self, Asked};
use super::program::Program;
use super::segments;
use super::tiers;
use super::verdict::{Effects, Judged, Minutes, Why};
use super::views::{
    CartView, EventView, MemberView, Moment, OrderView, RefundView, SessionView, Tick, VisitView,
};

/// Everything that a decision depends on.
#[derive(Debug, Clone)]
pub struct Case {
    /// The member before it (version 0 = first seen now).
    pub member: Shared<Member>,
    /// The order the event names, as stored; `None` when it names none or none is stored.
    pub order: Option<OrderRecord>,
    /// Identities of the event that belong to nobody yet (for a known member).
    pub attach: Vec<Identity>,
    /// Sentences for the receipt.
    pub notes: Vec<Box<str>>,
    /// What happened.
    pub occasion: Occasion,
    /// What is known of the member's coming back.
    pub foresight: Foresight,
    /// For replays of a failed event: what failed, which alone runs again. `None` = all rules run.
    pub again: Option<Vec<RuleFailure>>,
    /// What is known besides; a decision that needs more says so.
    pub desk: Desk,
    /// The engine's clock.
    pub now: Timestamp,
}

/// A decision, and how it came about.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) commit: Commit,
    /// How rules and triggers were judged, when the program tells why.
    pub(super) minutes: Minutes,
    /// The rules that failed.
    pub(super) failures: Vec<RuleFailure>,
    /// The tags that each loyalty event was forwarded to.
    pub(super) forwards: Vec<Vec<Name>>,
}

/// Decides one case. A failing rule is part of the answer.
///
/// # Errors
/// What the case asks for cannot be done at all, and nothing of it is kept. Or something must be looked up first.
pub fn decide(
    program: &Program,
    chain: &ChainId,
    endpoints: &[Arc<Endpoint>],
    case: Case,
) -> Result<Commit, Undecided> {
    Ok(decide_and_tell(program, chain, endpoints, case)?.commit)
}

/// [`decide`], for those who look after rules that keep failing: also answers which rules did what they say, as long as
/// there is one that lately did not.
///
/// # Errors
/// As [`decide`].
pub fn decide_and_watch(
    program: &Program,
    chain: &ChainId,
    endpoints: &[Arc<Endpoint>],
    case: Case,
) -> Result<(Commit, Vec<Arc<str>>), Undecided> {
    let decided = decide_and_tell(program, chain, endpoints, case)?;
    Ok((decided.commit, decided.minutes.succeeded))
}

/// [`decide`], for those who want to know why.
pub(super) fn decide_and_tell(
    program: &Program,
    chain: &ChainId,
    endpoints: &[Arc<Endpoint>],
    case: Case,
) -> Result<Decided, Undecided> {
    let frame = program.frame(chain);
    let mut draft =
        Draft::begin(frame, case.member, case.order, case.occasion, case.desk, case.foresight, case.now)?;
    let mut minutes = Minutes::of(program);
    if draft.member.ended.is_some() {
        let (commit, forwards) = finish(program, frame, endpoints, draft, &mut minutes)?;
        return Ok(Decided { commit, minutes, failures: Vec::new(), forwards });
    }
    draft.attach(case.attach);
    for note in case.notes {
        draft.note(note);
    }
    draft.miss(frame);
    let mut failures = Vec::new();
    let again = Again(case.again.as_deref());
    let runs = |unit: &Unit| again.runs(unit);
    let asked = ask_rules(program, frame, &mut draft, &runs);
    let changes = ask_about_change(program, &mut draft, &runs);
    let all_changed = changes.iter().all(|(_, work, _)| matches!(work, Work::Changed(..)));
    let first = completes(&draft).then_some(Settled::Never);
    let done = asked.into_iter().map(|(unit, outcome)| (unit, Work::Done(outcome), first.clone()));
    for (unit, work, from) in done.chain(changes) {
        let outcome = settle(frame, &mut draft, unit, work);
        match (&outcome, from) {
            (_, None) => {}
            (Ok(judged), Some(_)) => {
                draft.settled_now(&unit.name);
                if had_nothing_left(judged) {
                    draft.left_unsettled(&unit.name, Settled::Never);
                }
            }
            (Err(_), Some(from)) => draft.left_unsettled(&unit.name, from),
        }
        minutes.rule(program, unit, &outcome, draft.effects());
        failures.extend(outcome.err());
    }
    if all_changed && failures.is_empty() {
        draft.settle_what_others_gave();
    }
    failures.extend(draft.settle_order(frame).err());
    draft.lacks_nothing()?;
    draft.settle_achievements(frame);
    draft.settle_referral(frame);
    let mut cascade = Cascade::new(program, again, minutes);
    let mut reviews = matches!(draft.occasion, Occasion::Tick { kind: TickType::TierReview, .. });
    let (unjudged, unsorted) = loop {
        cascade.run(frame, &mut draft)?;
        draft.settle_tier(frame);
        let reviewed = std::mem::take(&mut reviews);
        let unjudged = tiers::judge(program, chain, &mut draft, (reviewed, &mut cascade.minutes))?;
        let unsorted = segments::sort(program, chain, &mut draft)?;
        if !cascade.goes_on(&draft) {
            break (unjudged, unsorted);
        }
    };
    segments::report(chain, &mut draft, "tier", unjudged);
    segments::report(chain, &mut draft, "segment", unsorted);
    failures.append(&mut cascade.failures);
    let mut minutes = cascade.minutes;
    failures.extend(again.gone(program));
    failures.iter().cloned().for_each(|failure| draft.fail(failure));
    draft.arm(frame, program.next_tick(draft.now));
    let (commit, forwards) = finish(program, frame, endpoints, draft, &mut minutes)?;
    Ok(Decided { commit, minutes, failures, forwards })
}

/// The commit, with its deliveries, and the tags that each loyalty event was forwarded to.
fn finish(
    program: &Program,
    frame: Frame<'_>,
    endpoints: &[Arc<Endpoint>],
    mut draft: Draft,
    minutes: &mut Minutes,
) -> Result<(Commit, Vec<Vec<Name>>), Undecided> {
    let foresight = std::mem::take(&mut draft.foresight);
    let mut purse = draft.purse(&program.terms, draft.coupon_time());
    let mut commit = draft.finish(frame);
    let addressed = address(program, endpoints, &mut commit, (&foresight, &mut purse), minutes);
    let coupons = purse.lacks();
    if !coupons.is_empty() {
        return Err(Undecided::Lacks(Wanted { coupons, ..Wanted::default() }.into()));
    }
    let forwards = addressed.note_failures(&mut commit);
    Ok((commit, forwards))
}

/// Decides a source event that is about no guest; `None` for one that is. No rule starts on it, so it cannot fail.
pub fn announce(
    program: &Program,
    chain: &ChainId,
    endpoints: &[Arc<Endpoint>],
    input: &SourceInput,
    now: Timestamp,
) -> Option<Commit> {
    announce_and_tell(program, chain, endpoints, input, now).map(|decided| decided.commit)
}

/// [`announce`], for those who want to know to whom.
pub(super) fn announce_and_tell(
    program: &Program,
    chain: &ChainId,
    endpoints: &[Arc<Endpoint>],
    input: &SourceInput,
    now: Timestamp,
) -> Option<Decided> {
    let mut commit = decide::announce(program.frame(chain), input, now)?;
    let mut minutes = Minutes::of(program);
    let forwards = send_out(program, endpoints, &mut commit, &mut minutes);
    Some(Decided { commit, minutes, failures: Vec::new(), forwards })
}

/// Tells subscribers, and whoever triggers name, of the program itself; nothing else changes.
pub fn tell(
    program: &Program,
    chain: &ChainId,
    endpoints: &[Arc<Endpoint>],
    told: impl IntoIterator<Item = EventData>,
    id: Ulid,
    now: Timestamp,
) -> Commit {
    let mut commit = decide::tell((chain, program.version), told, id, now);
    send_out(program, endpoints, &mut commit, &mut Minutes::of(program));
    commit
}

/// To whom goes what is told about no guest.
fn send_out(
    program: &Program,
    endpoints: &[Arc<Endpoint>],
    commit: &mut Commit,
    minutes: &mut Minutes,
) -> Vec<Vec<Name>> {
    // Without a member there is nothing that would have to be looked up.
    let known = (&Foresight::Nothing, &mut Purse::default());
    address(program, endpoints, commit, known, minutes).note_failures(commit)
}

/// What a rule asks for.
pub(super) type Outcome = Result<Judged<Vec<Action>>, RuleFailure>;

/// What a rule asks for on what happened; or for a changed order, as it was and as it is.
pub(super) enum Work {
    Done(Outcome),
    /// Without the order as it was, the rule has never been settled with it.
    Changed(Option<Outcome>, Outcome),
}

/// What each rule of the event asks for, in order.
fn ask_rules<'p>(
    program: &'p Program,
    frame: Frame<'_>,
    draft: &mut Draft,
    runs: &dyn Fn(&Unit) -> bool,
) -> Vec<(&'p Unit, Outcome)> {
    let event = match &draft.occasion {
        _ if !draft.runs_rules => return Vec::new(),
        Occasion::Source(input) => match &input.event.data {
            SourceData::Command(Command::Tick(KeptTick { tick: Some(tick) })) => RuleEvent::Tick(*tick),
            _ => RuleEvent::Source(input.event.kind()),
        },
        Occasion::Tick { kind, .. } => RuleEvent::Tick(*kind),
        Occasion::Due { .. } => return Vec::new(),
    };
    let variable = event_variable(program, frame, draft);
    let when = if completes(draft) { Asked::First } else { Asked::Once };
    ask(program, draft, event, variable, runs, when)
}

/// What each rule on `order.completed` asks for a changed order: for the order as it was, and as it is. Both see the
/// member of now, so that what depends on the member alone makes no difference. A rule that failed is asked about the
/// order with which it was settled last, and runs as if for the first time when it never was: or when its campaign had
/// nothing left then.
fn ask_about_change<'p>(
    program: &'p Program,
    draft: &mut Draft,
    runs: &dyn Fn(&Unit) -> bool,
) -> Vec<(&'p Unit, Work, Option<Settled>)> {
    let Some(now) = draft.changed_order() else { return Vec::new() };
    let completed = RuleEvent::Source(SourceType::OrderCompleted);
    let ask_one = |draft: &mut Draft, unit: &Unit, order: &Arc<Order>, when: Asked| {
        let view = order_view(program, draft, &order.order_id, Some(order.clone()));
        // The others of its group have a say, too.
        let has_a_say = |asked: &Unit| when == Asked::Before || runs(asked);
        let is_beside = |asked: &Unit| asked.group.is_some() && asked.group == unit.group && has_a_say(asked);
        let is_asked = |asked: &Unit| asked.name == unit.name || is_beside(asked);
        let variable = Some(("order", Dynamic::from(view)));
        let asked = ask(program, draft, completed, variable, &is_asked, when);
        asked.into_iter().find(|(asked, _)| asked.name == unit.name).map(|(_, outcome)| outcome)
    };
    let mut before = Vec::new();
    for unit in program.code.rules.get(&completed).into_iter().flatten().filter(|unit| runs(unit)) {
        let Some(settled) = draft.settled(&unit.name) else { continue };
        let was = match &settled {
            Settled::Never => None,
            Settled::UpTo(before) => ask_one(draft, unit, before, Asked::Before),
        };
        before.push((unit, settled, was));
    }
    // Only when all was said of the order as it was, other rules of groups may come to count.
    let mut work = Vec::new();
    for (unit, settled, was) in before {
        let Some(is) = ask_one(draft, unit, &now, Asked::After) else { continue };
        let of_unit = match &settled {
            Settled::Never if completes(draft) => Work::Done(is),
            Settled::Never | Settled::UpTo(_) => Work::Changed(was, is),
        };
        work.push((unit, of_unit, Some(settled)));
    }
    work
}

/// Whether a rule had nothing to give, because nothing is left of its campaign.
fn had_nothing_left<T>(judged: &Judged<T>) -> bool {
    matches!(judged, Judged::Not(Why::Closed(closed)) if closed.is_used_up())
}

/// Whether what is decided on says that an order was completed.
fn completes(draft: &Draft) -> bool {
    matches!(&draft.occasion, Occasion::Source(input) if input.event.kind() == SourceType::OrderCompleted)
}

pub(super) fn ask<'p>(
    program: &'p Program,
    draft: &mut Draft,
    event: RuleEvent,
    variable: Option<(&'static str, Dynamic)>,
    runs: &dyn Fn(&Unit) -> bool,
    when: Asked,
) -> Vec<(&'p Unit, Outcome)> {
    let Some(rules) = program.code.rules.get(&event) else { return Vec::new() };
    let member = MemberView::new(draft.member.clone(), draft.today, program, &draft.foresight, draft.now);
    let variables = [("member", Dynamic::from(member))].into_iter().chain(variable);
    let purse = draft.purse(&program.terms, draft.coupon_time());
    let mut run = Run::new(program, variables, purse);
    let mut ask_one = |rule: &Unit| match draft.rests(&program.terms, &rule.cause) {
        Some(closed) => Ok(Judged::Not(Why::Closed(closed.into()))),
        None => run.rule(rule),
    };
    let asked = rules.iter().filter(|rule| runs(rule));
    let mut asked: Vec<_> = asked.map(|rule| (rule, ask_one(rule))).collect();
    draft.put_away(run.end());
    groups::choose(&program.terms, draft, &mut asked, when);
    asked
}

/// `order`, `refund`, `visit`, `cart`, `session`, `event` or `tick`. Of some the member is all there is to see.
fn event_variable(program: &Program, frame: Frame<'_>, draft: &Draft) -> Option<(&'static str, Dynamic)> {
    let at = Moment::new(draft.at, program.schedule.timezone);
    let input = match &draft.occasion {
        Occasion::Tick { .. } => return Some(("tick", Dynamic::from(Tick { at }))),
        Occasion::Due { .. } => return None,
        Occasion::Source(input) => input,
    };
    let location = input.event.location.as_ref();
    let order = |id| {
        let order = draft.order.as_ref().and_then(|record| record.order().cloned());
        ("order", Dynamic::from(order_view(program, draft, id, order)))
    };
    let told = |data| ("event", Dynamic::from(EventView::new(draft.event(frame, data), at)));
    Some(match &input.event.data {
        SourceData::OrderCreated(new) | SourceData::OrderUpdated(new) | SourceData::OrderCompleted(new) => {
            order(&new.order.order_id)
        }
        SourceData::OrderCancelled(cancelled) => order(&cancelled.order_id),
        SourceData::OrderRefunded(refund) => {
            let wallet = program.terms.wallets.first().map_or("", |wallet| &wallet.code);
            let view = RefundView::new(refund, location, draft.order.clone(), wallet, at);
            ("refund", Dynamic::from(view))
        }
        SourceData::Command(Command::Tick(_)) => ("tick", Dynamic::from(Tick { at })),
        SourceData::Visit(visit) => ("visit", Dynamic::from(VisitView::new(visit, location, at))),
        SourceData::CartUpdated(cart) => ("cart", Dynamic::from(CartView::new(cart, at))),
        SourceData::SessionStarted(start) => {
            let view = SessionView::new(&start.session_id, start.channel.as_ref(), location, at);
            ("session", Dynamic::from(view))
        }
        SourceData::SessionEnded(end) => {
            ("session", Dynamic::from(SessionView::new(&end.session_id, None, location, at)))
        }
        SourceData::Signal(signal) => told(EventData::SignalReceived(signal.clone())),
        SourceData::MemberUpdated(_) => {
            let updated = draft.told().iter().find(|told| told.kind() == EventType::MemberUpdated).cloned();
            told(updated.unwrap_or_else(|| EventData::MemberUpdated(Box::default())))
        }
        SourceData::Command(_) | SourceData::Offering(_) => return None,
    })
}

fn order_view(program: &Program, draft: &Draft, id: &Key, order: Option<Arc<Order>>) -> OrderView {
    let at = Moment::new(draft.order_at(), program.schedule.timezone);
    OrderView::new(id, order, &program.terms.earning, at)
}

/// Applies what one rule asked for, all of it or nothing.
pub(super) fn settle(
    frame: Frame<'_>,
    draft: &mut Draft,
    unit: &Unit,
    work: Work,
) -> Result<Judged<Effects>, RuleFailure> {
    let effects = |actions| RuleEffects { cause: unit.cause.clone(), actions };
    let before = draft.effects().len();
    let (judged, applied) = match work {
        Work::Done(outcome) => match outcome? {
            Judged::Not(why) => return Ok(Judged::Not(why)),
            Judged::Held(actions, reads) if actions.is_empty() => (Ok(reads), Ok(())),
            Judged::Held(actions, reads) => match gives_nothing(frame, draft, unit, &actions) {
                Ok(None) => (Ok(reads), draft.apply(frame, &effects(actions))),
                Ok(Some(why)) => return Ok(Judged::Not(why)),
                Err(refusal) => (Ok(reads), Err(refusal)),
            },
        },
        Work::Changed(was, is) => {
            let was = was.transpose()?.map(Judged::into_actions);
            let (actions, judged) = match is? {
                Judged::Held(actions, reads) => (actions, Ok(reads)),
                Judged::Not(why) => (Vec::new(), Err(why)),
            };
            match was.is_none().then(|| gives_nothing(frame, draft, unit, &actions)).transpose() {
                Ok(None | Some(None)) => (judged, draft.re_earn(frame, was.as_deref(), effects(actions))),
                Ok(Some(Some(why))) => return Ok(Judged::Not(why)),
                Err(refusal) => (judged, Err(refusal)),
            }
        }
    };
    applied.map_err(|refusal| unit.failure(refusal))?;
    Ok(match judged {
        Ok(reads) => Judged::Held(before..draft.effects().len(), reads),
        Err(why) => Judged::Not(why),
    })
}

/// Why a rule gives nothing of what it asks for the first time: nothing is left of its campaign.
fn gives_nothing(
    frame: Frame<'_>,
    draft: &mut Draft,
    unit: &Unit,
    actions: &[Action],
) -> Result<Option<Why>, Refusal> {
    if actions.is_empty() {
        return Ok(None);
    }
    let closed = draft.exhausted(frame.terms, &unit.cause)?;
    Ok(closed.map(|closed| {
        draft.note(format!("\"{}\" gave nothing: {}", unit.name, closed.in_words()));
        Why::Closed(closed.into())
    }))
}
