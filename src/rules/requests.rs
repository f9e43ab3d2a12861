//! What the running rule or trigger asked for. The interpreter carries it as its tag, so that `award` finds it.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{EvalAltResult, Map, NativeCallContext};
use rust_decimal::Decimal;
use smol_str::SmolStr;

use crate::domain::coupon::Purse;
use crate::domain::custom::Emitted;
use crate::domain::effect::{Action, Mark};
use crate::domain::ids::CouponBookKey;
use crate::domain::member::{RiskLevel, Status};
use crate::domain::money::Points;
use crate::domain::text::{Key, Name, Note};

use super::emit;

/// The most effects that one rule may ask for on one event.
pub(super) const MAX_EFFECTS: usize = 100;

/// Why the interpreter stops.
pub(super) type Failure = Box<EvalAltResult>;

/// What may be asked for now, and what was.
#[derive(Debug)]
pub(super) enum Wishes {
    /// Nothing runs that may ask for anything.
    Nobody,
    Rule {
        name: SmolStr,
        actions: Vec<Action>,
    },
    Trigger {
        tags: Vec<Name>,
    },
}

impl Wishes {
    /// Of the rule `name`: nothing so far.
    pub(super) const fn of_rule(name: SmolStr) -> Self {
        Self::Rule { name, actions: Vec::new() }
    }

    /// Of a trigger: nothing so far.
    pub(super) const fn of_trigger() -> Self {
        Self::Trigger { tags: Vec::new() }
    }

    /// The effects that the rule asked for.
    pub(super) fn into_actions(self) -> Vec<Action> {
        match self {
            Self::Rule { actions, .. } => actions,
            Self::Trigger { .. } | Self::Nobody => Vec::new(),
        }
    }

    /// The tags that the trigger forwards to.
    pub(super) fn into_tags(self) -> Vec<Name> {
        match self {
            Self::Trigger { tags } => tags,
            Self::Rule { .. } | Self::Nobody => Vec::new(),
        }
    }
}

/// What the code that runs asks for, and what it may ask about.
#[derive(Debug)]
struct Page {
    wishes: Wishes,
    purse: Purse,
}

/// The order pad of the code that runs. Shared with the interpreter, of which each thread has its own.
#[derive(Debug, Clone)]
pub(super) struct Requests(Arc<Mutex<Page>>);

impl Requests {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Page { wishes: Wishes::Nobody, purse: Purse::default() })))
    }

    // A poisoned pad belongs to a rule that panicked; the next rule begins with a fresh page anyway.
    fn lock(&self) -> MutexGuard<'_, Page> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fresh page, with the purse on it until it is closed.
    pub(super) fn open(&self, nothing: Wishes, purse: &mut Purse) {
        let mut page = self.lock();
        page.wishes = nothing;
        mem::swap(&mut page.purse, purse);
    }

    /// What was asked for. The purse goes back.
    pub(super) fn close(&self, purse: &mut Purse) -> Wishes {
        let mut page = self.lock();
        mem::swap(&mut page.purse, purse);
        mem::replace(&mut page.wishes, Wishes::Nobody)
    }
}

/// Adds an effect to the page of the running rule; `effect` gets the rule's name.
fn ask(
    context: &NativeCallContext<'_>,
    effect: impl FnOnce(&SmolStr) -> Result<Option<Action>, String>,
) -> Result<(), Failure> {
    let pad = context.tag().and_then(|tag| tag.read_lock::<Requests>());
    let mut page = match &pad {
        Some(pad) => pad.lock(),
        None => return Err("effects such as `award` can only be used in a rule".into()),
    };
    let Wishes::Rule { name, actions } = &mut page.wishes else {
        return Err("effects such as `award` can only be used in a rule".into());
    };
    if actions.len() >= MAX_EFFECTS {
        return Err(format!("a rule may ask for at most {MAX_EFFECTS} effects").into());
    }
    actions.extend(effect(name)?);
    Ok(())
}

/// An amount that a rule computed, if it makes sense at all; the wallet rounds it.
fn amount(verb: &str, amount: Decimal) -> Result<Decimal, String> {
    if amount < Decimal::ZERO {
        return Err(format!("`{verb}` needs zero or more, but got {amount}"));
    }
    if Points::floor(amount).is_none() {
        return Err(format!("`{verb}` of {amount} is too much: the limit is {} points", Points::LIMIT));
    }
    Ok(amount)
}

/// The reason that was said, else the rule's name.
fn note(reason: Option<&str>, rule: &SmolStr) -> Result<Note, String> {
    let note = reason.map_or_else(|| Note::parse_shared(rule.clone()), Note::parse);
    note.map_err(|problem| format!("the reason {problem}"))
}

fn name(what: &str, text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|problem| format!("the {what} {problem}"))
}

/// What an effect moves: how many, why, and in which wallet. Without a reason, the rule's name is the reason; without a
/// wallet, it is the program's first.
pub(super) struct Sum<'a> {
    pub(super) amount: Decimal,
    pub(super) reason: Option<&'a str>,
    pub(super) wallet: Option<&'a str>,
}

/// `award(amount, reason)`, `award_to(amount, reason, wallet)`
pub(super) fn award(context: &NativeCallContext<'_>, sum: &Sum<'_>) -> Result<(), Failure> {
    ask(context, |rule| {
        let reason = note(sum.reason, rule)?;
        let wallet = sum.wallet.map(|code| name("wallet", code)).transpose()?;
        Ok(Some(Action::Award { wallet, amount: amount("award", sum.amount)?, reason }))
    })
}

/// `deduct(amount, reason)`, `deduct_from(amount, reason, wallet)`
pub(super) fn deduct(context: &NativeCallContext<'_>, sum: &Sum<'_>) -> Result<(), Failure> {
    ask(context, |rule| {
        let reason = note(sum.reason, rule)?;
        let wallet = sum.wallet.map(|code| name("wallet", code)).transpose()?;
        Ok(Some(Action::Deduct { wallet, amount: amount("deduct", sum.amount)?, reason }))
    })
}

/// `take_back(reason)`
pub(super) fn take_back(context: &NativeCallContext<'_>, reason: Option<&str>) -> Result<(), Failure> {
    ask(context, |rule| Ok(Some(Action::TakeBack { reason: note(reason, rule)? })))
}

/// `confirm(origin)`
pub(super) fn confirm(context: &NativeCallContext<'_>, origin: &str) -> Result<(), Failure> {
    let origin = Key::parse(origin).map_err(|problem| format!("what earned the points {problem}"));
    ask(context, |_| Ok(Some(Action::Confirm { origin: origin? })))
}

/// `set_tier(tier)`
pub(super) fn set_tier(context: &NativeCallContext<'_>, tier: &str) -> Result<(), Failure> {
    ask(context, |_| Ok(Some(Action::SetTier(name("tier", tier)?))))
}

/// `count(counter)`, `count(counter, amount)`
pub(super) fn count(context: &NativeCallContext<'_>, counter: &str, amount: i64) -> Result<(), Failure> {
    ask(context, |_| Ok(Some(Action::Count { counter: name("counter", counter)?, amount })))
}

/// `reset(counter)`
pub(super) fn reset(context: &NativeCallContext<'_>, counter: &str) -> Result<(), Failure> {
    ask(context, |_| Ok(Some(Action::Reset(name("counter", counter)?))))
}

/// `unmark(mark)`
pub(super) fn unmark(context: &NativeCallContext<'_>, mark: &str) -> Result<(), Failure> {
    ask(context, |_| Ok(Some(Action::TakeMark(name("mark", mark)?))))
}

/// `emit(event)`, `emit(event, data)`
pub(super) fn emit(context: &NativeCallContext<'_>, event: &str, data: &Map) -> Result<(), Failure> {
    ask(context, |_| {
        Ok(Some(Action::Emit(Emitted { name: name("event", event)?, data: emit::payload(data)? })))
    })
}

/// `mark(status)`, `mark("at_risk", level)`; any other text is a mark of the program's own.
pub(super) fn mark(
    context: &NativeCallContext<'_>,
    status: &str,
    level: Option<&str>,
) -> Result<(), Failure> {
    ask(context, |_| {
        let known = Status::ALL.into_iter().find(|known| known.as_str() == status);
        let (status, level) = match (known, level) {
            (None, None) => return Ok(Some(Action::PutMark(name("mark", status)?))),
            (None, Some(_)) => return Err(format!("there is no status called `{status}`")),
            (Some(status), None) => return Ok(Some(Action::Mark(status.into()))),
            (Some(status), Some(level)) => (status, level),
        };
        let known = RiskLevel::ALL.into_iter().find(|known| known.as_str() == level);
        let level = known.ok_or_else(|| format!("there is no risk level called `{level}`"))?;
        match status {
            Status::AtRisk => Ok(Some(Action::Mark(Mark::AtRisk(Some(level))))),
            Status::Active | Status::Churned => Err("only `at_risk` has levels".to_owned()),
        }
    })
}

/// `recommend(action)`
pub(super) fn recommend(context: &NativeCallContext<'_>, what: &str) -> Result<(), Failure> {
    ask(context, |_| Ok(Some(Action::Recommend(name("recommended action", what)?))))
}

/// `progress(achievement)`, `progress(achievement, amount)`
pub(super) fn progress(
    context: &NativeCallContext<'_>,
    achievement: &str,
    amount: Decimal,
) -> Result<(), Failure> {
    ask(context, |_| {
        let achievement = name("achievement", achievement)?;
        if Points::floor(amount.abs()).is_none() {
            return Err(format!("`progress` of {amount} is too much: the limit is {}", Points::LIMIT));
        }
        Ok(Some(Action::Progress { achievement, amount }))
    })
}

/// `achieve(name)`
pub(super) fn achieve(context: &NativeCallContext<'_>, achievement: &str) -> Result<(), Failure> {
    ask(context, |_| Ok(Some(Action::Achieve(name("achievement", achievement)?))))
}

/// `assign_coupon(book)`
pub(super) fn assign_coupon(context: &NativeCallContext<'_>, book: &str) -> Result<(), Failure> {
    ask(context, |_| Ok(Some(Action::AssignCoupon(name("coupon book", book)?))))
}

/// `give_reward(reward)`
pub(super) fn give_reward(context: &NativeCallContext<'_>, reward: &str) -> Result<(), Failure> {
    ask(context, |_| Ok(Some(Action::GiveReward(name("reward", reward)?))))
}

/// `member.has_coupon(book)`, `member.coupons(book)`: how many the member could use.
pub(super) fn coupons(context: &NativeCallContext<'_>, book: CouponBookKey) -> Result<i64, Failure> {
    let pad = context.tag().and_then(|tag| tag.read_lock::<Requests>());
    let pad = pad.ok_or("coupons can only be asked about where there is a member")?;
    let count = pad.lock().purse.count(book).map_err(|why| why.to_string())?;
    Ok(count as i64)
}

/// `forward(tag)`
pub(super) fn forward(context: &NativeCallContext<'_>, tag: &str) -> Result<(), Failure> {
    let pad = context.tag().and_then(|tag| tag.read_lock::<Requests>());
    let mut page = match &pad {
        Some(pad) => pad.lock(),
        None => return Err("`forward` can only be used in a trigger".into()),
    };
    let Wishes::Trigger { tags } = &mut page.wishes else {
        return Err("`forward` can only be used in a trigger".into());
    };
    if tags.len() >= MAX_EFFECTS {
        return Err(format!("a trigger may forward at most {MAX_EFFECTS} times").into());
    }
    tags.push(name("endpoint tag", tag)?);
    Ok(())
}
