//! The pure heart: fold what happened into the member, apply what the rules asked for, and say what changed.
//!
//! ```text
//! Draft::begin(member, order, occasion) ── facts: visit counted, order recorded, refund booked
//!        │  the rules look at the draft and ask for effects
//! Draft::apply(effects of one rule)     ── all of a rule's effects or none
//! Draft::finish()                       ── Commit: ledger lines, loyalty events, receipt
//! ```

mod achievement;
mod announce;
mod campaign;
mod cart;
mod celebration;
mod claim;
mod command;
mod coupon;
mod due;
mod facts;
mod finish;
mod lifecycle;
mod memo;
mod merge;
mod order;
mod points;
mod profile;
mod redemption;
mod referral;
mod refusal;
mod segment;
mod session;
mod tier;

pub use announce::{announce, tell};
pub use finish::{keep, refuse};
pub use refusal::{Refusal, Undecided};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;
use ulid::Ulid;

use super::Timestamp;
use super::achievement::Brought;
use super::chain::ChainId;
use super::churn::Foresight;
use super::commit::{PeopleChanges, SourceOrigin};
use super::desk::{Desk, Wanted};
use super::effect::{Action, Cause, ENGINE, RuleEffects, RuleFailure};
use super::identity::Identity;
use super::ids::{CouponBookKey, ReferralId, SourceId};
use super::ledger::Transfer;
use super::loyalty_event::EventData;
use super::member::{MAX_IDENTITIES, Member, Standing};
use super::money::Points;
use super::order::OrderRecord;
use super::receipt::EffectLine;
use super::referral::{FollowUp, ReferralCode, Reward};
use super::schedule::TickType;
use super::shared::Shared;
use super::source_event::{SourceEvent, SourceType};
use super::terms::Terms;
use super::terms::wallet::WalletTerms;
use super::text::Name;
use achievement::Counted;
use order::{Asks, OrderNews};

/// The most loyalty events that one source event may cause.
pub const MAX_EVENTS: usize = 100;
/// The most actions that one rule may recommend.
pub const MAX_RECOMMENDATIONS: usize = 10;

/// What a member decides on.
#[derive(Debug, Clone)]
pub enum Occasion {
    /// A POS told us something.
    Source(SourceInput),
    /// A scheduled tick fell due.
    Tick {
        /// Which.
        kind: TickType,
        /// Distinguishes this tick's derived ids; made at the edge.
        id: Ulid,
        /// Where the next tick stands that is due already: the member is woken for it again if nobody gets to it.
        then: Option<Timestamp>,
    },
    /// Something that the member carries fell due: an expiry, a review. No rule starts on it.
    Due {
        /// Distinguishes this moment's derived ids; made at the edge.
        id: Ulid,
    },
}

impl Occasion {
    /// Where it happened, if it happened somewhere.
    pub fn location(&self) -> Option<&Name> {
        match self {
            Self::Source(input) => input.event.location.as_ref(),
            Self::Tick { .. } | Self::Due { .. } => None,
        }
    }
}

/// A source event on its way to a decision.
#[derive(Debug, Clone)]
pub struct SourceInput {
    /// Its id; made at the edge.
    pub id: SourceId,
    /// The event.
    pub event: Arc<SourceEvent>,
    /// When it came.
    pub received_at: Timestamp,
    /// New, or kept before.
    pub from: SourceOrigin,
}

/// What stays the same for every decision of a chain's program version.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The chain.
    pub chain: &'a ChainId,
    /// Its calendar.
    pub timezone: Tz,
    /// What the program declares.
    pub terms: &'a Terms,
    /// The version that decides; 0 for a chain without a program.
    pub program_version: i64,
}

impl<'a> Frame<'a> {
    /// The wallet of this code, or the program's first.
    fn wallet(self, code: Option<&Name>) -> Result<&'a WalletTerms, Refusal> {
        self.terms.wallet(code).ok_or_else(|| Refusal::NoSuchWallet(code.cloned()))
    }

    /// What the engine does by itself, for this reason, as the ledger names it.
    pub fn engine(self, reason: &str) -> Cause {
        Cause {
            rule: reason.into(),
            at: ENGINE.into(),
            program_version: self.program_version,
            campaign: None,
        }
    }
}

/// A decision in the making.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The member, with the facts folded in.
    pub member: Shared<Member>,
    /// The order at hand, with the facts folded in.
    pub order: Option<OrderRecord>,
    /// What is decided on.
    pub occasion: Occasion,
    /// When it happened: the source event's clock, or the tick's.
    pub at: Timestamp,
    /// The chain's calendar day of `at`.
    pub today: NaiveDate,
    /// The engine's clock.
    pub now: Timestamp,
    /// Whether the rules that start on the event should run: not on what says nothing new.
    pub runs_rules: bool,
    order_news: OrderNews,
    /// What rules ask for a changed order, by wallet.
    asks: BTreeMap<Name, Asks>,
    /// Whether anything changed that achievements may count.
    counted: Counted,
    /// How many of the ledger lines were looked at for points earned.
    transfers_counted: usize,
    /// What rules react to now.
    reacts_to: Option<EventData>,
    /// What is known of the member's coming back.
    pub foresight: Foresight,
    /// What is known of coupons and redemptions, as they stand by now.
    desk: Desk,
    /// What should lie on the desk and does not.
    wanted: Wanted,
    /// The books whose coupons were asked about.
    asked_books: BTreeSet<CouponBookKey>,
    wake_before: Option<Timestamp>,
    new_referral_code: Option<ReferralCode>,
    referral_changed: bool,
    referral_reward: Option<(ReferralId, Reward)>,
    follow_up: Option<FollowUp>,
    new_identities: Vec<Identity>,
    people: PeopleChanges,
    transfers: Vec<Transfer>,
    told: Vec<EventData>,
    lines: Vec<EffectLine>,
    failures: Vec<RuleFailure>,
    notes: Vec<Box<str>>,
}

impl Draft {
    /// Folds what happened into `member` and `order`: visits, spending, refunds, enrolment, reactivation. A replay of
    /// a failed event folds nothing again: its facts were kept the first time.
    ///
    /// # Errors
    /// What cannot be done at all: nothing of it is kept. Or what lacks on the desk.
    pub fn begin(
        frame: Frame<'_>,
        member: Shared<Member>,
        order: Option<OrderRecord>,
        occasion: Occasion,
        desk: Desk,
        foresight: Foresight,
        now: Timestamp,
    ) -> Result<Self, Undecided> {
        let at = match &occasion {
            Occasion::Source(input) => input.event.occurred_at,
            Occasion::Tick { .. } | Occasion::Due { .. } => now,
        };
        let today = at.with_timezone(&frame.timezone).date_naive();
        let mut draft = Self {
            wake_before: member.next_wake_at,
            member,
            order,
            at,
            today,
            now,
            runs_rules: true,
            order_news: OrderNews::Nothing,
            asks: BTreeMap::new(),
            counted: Counted::Nothing,
            transfers_counted: 0,
            reacts_to: None,
            foresight,
            desk,
            wanted: Wanted::default(),
            asked_books: BTreeSet::new(),
            new_referral_code: None,
            referral_changed: false,
            referral_reward: None,
            follow_up: None,
            new_identities: Vec::new(),
            people: PeopleChanges::default(),
            transfers: Vec::new(),
            told: Vec::new(),
            lines: Vec::new(),
            failures: Vec::new(),
            notes: Vec::new(),
            occasion,
        };
        if draft.member.is_erased() {
            draft.hear_of_the_erased()?;
            return Ok(draft);
        }
        draft.member.standing.wallets.arrange(frame.terms.wallets.iter().map(|wallet| &wallet.code));
        draft.make_referral_code(frame);
        let caught_up = draft.catch_up(frame);
        draft.lacks_nothing()?;
        caught_up?;
        if let Occasion::Tick { kind, .. } = draft.occasion {
            draft.celebrate(frame, kind);
        }
        if let Occasion::Source(input) = &draft.occasion {
            let event = input.event.clone();
            if draft.is_replay() {
                draft.recall_order(&event);
            } else {
                let folded = draft.fold(frame, &event);
                draft.lacks_nothing()?;
                folded?;
            }
        }
        Ok(draft)
    }

    /// Says what lacks on the desk, if anything does.
    ///
    /// # Errors
    /// What does.
    pub fn lacks_nothing(&self) -> Result<(), Undecided> {
        if self.wanted.is_empty() { Ok(()) } else { Err(Undecided::Lacks(self.wanted.clone().into())) }
    }

    /// Attaches identities that the store confirmed to belong to nobody else, as many as a member may have. The
    /// others stay nobody's, and the receipt says so.
    pub fn attach(&mut self, mut identities: Vec<Identity>) {
        let room = MAX_IDENTITIES.saturating_sub(self.member.identities.len());
        for left in identities.split_off(room.min(identities.len())) {
            self.note(format!(
                "the member has {MAX_IDENTITIES} identities already; {left} was left unclaimed"
            ));
        }
        self.member.identities.extend(identities.iter().cloned());
        if !identities.is_empty() {
            self.tell_identities();
        }
        self.new_identities.extend(identities);
    }

    /// Adds a sentence to the receipt.
    pub fn note(&mut self, sentence: impl Into<Box<str>>) {
        self.notes.push(sentence.into());
    }

    /// Applies everything one rule asked for, or nothing of it. When something lacks on the desk, the rest says what else
    /// does, so that all of it is looked up at once.
    ///
    /// # Errors
    /// The refusal of the first effect that cannot be applied; the draft is then as before.
    pub fn apply(&mut self, frame: Frame<'_>, effects: &RuleEffects) -> Result<(), Refusal> {
        match &effects.actions[..] {
            [only] if self.is_refused_first(only) => self.act(frame, effects, only)?,
            several => self.all_or_nothing(|draft| {
                let mut lacks = Ok(());
                for action in several {
                    match draft.act(frame, effects, action) {
                        Err(Refusal::Lacks) => lacks = Err(Refusal::Lacks),
                        done => done?,
                    }
                }
                lacks
            })?,
        }
        self.recommend_on_return(effects);
        Ok(())
    }

    /// Whether an action changes nothing before everything that could refuse it: most rules ask for one such, and need no
    /// copy of what was before.
    fn is_refused_first(&self, action: &Action) -> bool {
        match action {
            Action::Award { .. } => self.desk.tombstones.is_empty(),
            Action::SetTier(_)
            | Action::Mark(_)
            | Action::Recommend(_)
            | Action::Count { .. }
            | Action::Reset(_)
            | Action::PutMark(_)
            | Action::TakeMark(_)
            | Action::Emit(_)
            | Action::Progress { .. }
            | Action::Achieve(_) => true,
            Action::Deduct { .. }
            | Action::TakeBack { .. }
            | Action::Confirm { .. }
            | Action::AssignCoupon(_)
            | Action::GiveReward(_) => false,
        }
    }

    /// Undoes what was done when it could not be done to the end.
    fn all_or_nothing<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let (standing, absorbed) = (self.member.standing.clone(), self.member.absorbed.clone());
        // For most decisions nothing lies there.
        let desk = (!self.desk.is_empty()).then(|| self.desk.clone());
        let order = self.order.clone();
        let marks = [self.transfers.len(), self.told.len(), self.lines.len(), self.notes.len()];
        let outcome = act(self);
        if outcome.is_err() {
            self.desk = desk.unwrap_or_default();
            self.member.absorbed = absorbed;
            self.restore(standing, order, marks);
        }
        outcome
    }

    fn restore(&mut self, standing: Standing, order: Option<OrderRecord>, marks: [usize; 4]) {
        let [transfers, told, lines, notes] = marks;
        self.member.standing = standing;
        self.order = order;
        self.transfers.truncate(transfers);
        self.told.truncate(told);
        self.lines.truncate(lines);
        self.notes.truncate(notes);
    }

    /// What was done so far, as the receipt will say it.
    pub fn effects(&self) -> &[EffectLine] {
        &self.lines
    }

    /// Records that a rule failed.
    pub fn fail(&mut self, failure: RuleFailure) {
        self.failures.push(failure);
    }

    fn act(&mut self, frame: Frame<'_>, effects: &RuleEffects, action: &Action) -> Result<(), Refusal> {
        let cause = &effects.cause;
        if self.told.len() >= MAX_EVENTS {
            return Err(Refusal::TooManyEvents);
        }
        match action {
            Action::Award { wallet, amount, reason } => {
                self.award(frame, cause, (wallet.as_ref(), *amount, reason))
            }
            Action::Deduct { wallet, amount, reason } => {
                self.deduct(frame, cause, (wallet.as_ref(), *amount, reason))
            }
            Action::TakeBack { reason } => self.take_back(frame, cause, reason),
            Action::Confirm { origin } => self.confirm(frame, cause, origin),
            Action::SetTier(tier) => self.set_tier(frame, cause, action, tier),
            Action::Mark(mark) => {
                self.mark(*mark, &effects.recommended());
                self.line(cause, action.as_str(), None, Name::parse(mark.status().as_str()).ok());
                Ok(())
            }
            Action::Recommend(what) => {
                self.may_recommend(effects)?;
                self.line(cause, action.as_str(), None, Some(what.clone()));
                Ok(())
            }
            Action::AssignCoupon(book) => {
                let coupon = self.assign_coupon(frame, cause, book)?;
                self.remember_in_reaction(&Brought::Coupon { coupon });
                Ok(())
            }
            Action::GiveReward(reward) => self.give_reward(frame, cause, reward),
            Action::Count { counter, amount } => self.count(frame, cause, (counter, *amount)),
            Action::Reset(counter) => self.reset(frame, cause, counter),
            Action::PutMark(mark) | Action::TakeMark(mark) => self.put_mark(frame, cause, (action, mark)),
            Action::Emit(what) => self.emit(frame, cause, what),
            Action::Progress { achievement, amount } => {
                self.report_progress(frame, achievement, *amount)?;
                self.line(cause, action.as_str(), None, Some(achievement.clone()));
                Ok(())
            }
            Action::Achieve(name) => {
                self.achieve(frame, name);
                self.line(cause, action.as_str(), None, Some(name.clone()));
                Ok(())
            }
        }
    }

    /// Adds a line to the receipt.
    fn line(
        &mut self,
        cause: &Cause,
        effect: &'static str,
        moved: Option<(&WalletTerms, Points)>,
        value: Option<Name>,
    ) {
        self.lines.push(EffectLine {
            rule: cause.rule.clone(),
            at: cause.at.clone(),
            effect,
            amount: moved.map(|(_, amount)| amount.0),
            wallet: moved.map(|(wallet, _)| wallet.code.clone()),
            value,
            campaign: cause.campaign.clone(),
        });
    }

    fn source_kind(&self) -> Option<SourceType> {
        match &self.occasion {
            Occasion::Source(input) => Some(input.event.kind()),
            Occasion::Tick { .. } | Occasion::Due { .. } => None,
        }
    }

    /// Where derived ids of this decision start: each run of the same source event gets a stretch of its own.
    fn cause_id(&self) -> Ulid {
        /// More than the ids that one decision can use.
        const STRETCH: u128 = 1 << 20;
        match &self.occasion {
            Occasion::Tick { id, .. } | Occasion::Due { id } => *id,
            Occasion::Source(input) => {
                let runs = match input.from {
                    SourceOrigin::Outside => 0,
                    SourceOrigin::Stored { runs, .. } => runs,
                };
                Ulid(input.id.ulid().0.wrapping_add(STRETCH * u128::from(runs)))
            }
        }
    }
}
