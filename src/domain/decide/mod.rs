//! The pure heart: fold what happened into the member, apply what the rules asked for, and say what changed.
//!
//! ```text
//! Draft::begin(member, order, occasion) ── facts: visit counted, order recorded, refund booked
//!        │  the rules look at the draft and ask for effects
//! Draft::apply(effects of one rule)     ── all of a rule's effects or none
//! Draft::finish()                       ── Commit: ledger lines, loyalty events, receipt
//! ```

mod announce;
mod cart;
mod celebration;
mod claim;
mod command;
mod coupon;
mod due;
mod facts;
mod lifecycle;
mod merge;
mod order;
mod points;
mod profile;
mod redemption;
mod segment;
mod session;
mod tier;

pub use announce::announce;

use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;
use ulid::Ulid;

use super::Timestamp;
use super::chain::ChainId;
use super::churn::Foresight;
use super::commit::{Commit, PeopleChanges, SourceChange, SourceOrigin, Wake};
use super::coupon::{CouponChanges, Rejection};
use super::desk::{Desk, Wanted};
use super::effect::{Action, Cause, RuleEffects, RuleFailure};
use super::identity::Identity;
use super::ids::{EventId, SourceId};
use super::ledger::Transfer;
use super::loyalty_event::{EventData, LoyaltyEvent, Subject};
use super::member::{MAX_IDENTITIES, Member, MemberFace, Standing};
use super::money::Points;
use super::order::OrderRecord;
use super::receipt::{
    CouponLine, EffectLine, EventLine, LineData, PointsLine, Receipt, RedemptionLine, SourceStatus,
};
use super::redemption::RedemptionChanges;
use super::refusal::Refused;
use super::schedule::TickType;
use super::source_event::{SourceEvent, SourceType};
use super::terms::Terms;
use super::terms::wallet::WalletTerms;
use super::text::Name;
use super::wallet::WalletError;
use lifecycle::may_recommend;
use order::OrderNews;

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

    /// What the engine does by itself, for the ledger.
    fn engine(self, reason: &str) -> Cause {
        Cause { rule: reason.into(), at: "engine".into(), program_version: self.program_version }
    }
}

/// Why an effect cannot be applied. The rule that asked for it fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The balance would leave the range of points.
    #[error("the balance would pass {limit} points", limit = Points::LIMIT)]
    TooManyPoints,
    /// Too many amounts wait.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// Not a wallet of the program.
    #[error("there is no wallet called `{}` in program.toml", .0.as_deref().map_or("", |code| code))]
    NoSuchWallet(Option<Name>),
    /// Not a tier of the program.
    #[error("there is no tier called `{0}` in program.toml")]
    NoSuchTier(Name),
    /// `set_tier` where the engine reckons tiers.
    #[error("tiers follow [tier_policy] in program.toml, so rules cannot set them")]
    TiersFollowPolicy,
    /// `take_back` outside a refund.
    #[error("take_back works on order.refunded only: here there is no refund")]
    NoRefund,
    /// `recommend` without `mark`.
    #[error("recommend goes with the event that `mark` tells: use both in one rule")]
    NothingToRecommendFor,
    /// More recommendations than a person would read.
    #[error("a rule may recommend at most {MAX_RECOMMENDATIONS} actions")]
    TooManyRecommendations,
    /// Too many loyalty events.
    #[error("one source event may cause at most {MAX_EVENTS} loyalty events")]
    TooManyEvents,
    /// A coupon that is not good for that.
    #[error(transparent)]
    Coupon(#[from] Rejection),
    /// Something must be looked up first; the decision says what and is made again.
    #[error("something must be looked up first")]
    Lacks,
}

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// It cannot be done. Nothing of it is kept.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It needs this on the desk; then it is made again.
    #[error("something must be looked up first")]
    Lacks(Box<Wanted>),
}

impl Refusal {
    /// The stable word for programs.
    const fn code(&self) -> &'static str {
        match self {
            Self::TooManyPoints | Self::Wallet(WalletError::TooMany) => "too_many_points",
            Self::Wallet(WalletError::TooManyPending) => "too_many_pending",
            Self::NoSuchWallet(_) => "unknown_wallet",
            Self::NoSuchTier(_) => "unknown_tier",
            Self::TiersFollowPolicy => "tiers_follow_policy",
            Self::NoRefund => "no_refund",
            Self::NothingToRecommendFor => "nothing_to_recommend_for",
            Self::TooManyRecommendations => "too_many_recommendations",
            Self::TooManyEvents => "too_many_events",
            Self::Coupon(rejection) => rejection.code(),
            Self::Lacks => "lacks",
        }
    }
}

/// What fails a rule refuses a command.
impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}

impl From<Refusal> for Undecided {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into())
    }
}

/// A decision in the making.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The member, with the facts folded in.
    pub member: Member,
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
    /// What is known of the member's coming back.
    pub foresight: Foresight,
    /// What is known of coupons and redemptions, as they stand by now.
    desk: Desk,
    /// What should lie on the desk and does not.
    wanted: Wanted,
    wake_before: Option<Timestamp>,
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
        member: Member,
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
            foresight,
            desk,
            wanted: Wanted::default(),
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
        let caught_up = draft.catch_up(frame);
        draft.lacks_nothing()?;
        caught_up?;
        if let Occasion::Tick { kind, .. } = draft.occasion {
            draft.celebrate(frame, kind);
        }
        if let Occasion::Source(input) = &draft.occasion {
            let event = input.event.clone();
            let replay = matches!(input.from, SourceOrigin::Stored { status: SourceStatus::Failed, .. });
            if replay {
                draft.recall_order(&event);
            } else {
                let folded = draft.fold(frame, &event);
                draft.lacks_nothing()?;
                folded?;
            }
        }
        Ok(draft)
    }

    /// Lends the member to somebody who only looks.
    pub fn lend_member<T>(&mut self, look: impl FnOnce(Arc<Member>) -> T) -> T {
        let nobody = Member::new(self.member.id, Vec::new(), None, self.now);
        let member = Arc::new(std::mem::replace(&mut self.member, nobody));
        let seen = look(member.clone());
        self.member = Arc::unwrap_or_clone(member);
        seen
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
        self.new_identities.extend(identities);
    }

    /// Adds a sentence to the receipt.
    pub fn note(&mut self, sentence: impl Into<Box<str>>) {
        self.notes.push(sentence.into());
    }

    /// Applies everything one rule asked for, or nothing of it.
    ///
    /// # Errors
    /// The refusal of the first effect that cannot be applied; the draft is then as before.
    pub fn apply(&mut self, frame: Frame<'_>, effects: &RuleEffects) -> Result<(), Refusal> {
        self.all_or_nothing(|draft| {
            effects.actions.iter().try_for_each(|action| draft.act(frame, effects, action))
        })
    }

    /// Undoes what was done when it could not be done to the end.
    fn all_or_nothing(&mut self, act: impl FnOnce(&mut Self) -> Result<(), Refusal>) -> Result<(), Refusal> {
        let standing = self.member.standing.clone();
        let (order, desk) = (self.order.clone(), self.desk.clone());
        let marks = (self.transfers.len(), self.told.len(), self.lines.len());
        let outcome = act(self);
        if outcome.is_err() {
            self.desk = desk;
            self.restore(standing, order, marks);
        }
        outcome
    }

    fn restore(&mut self, standing: Standing, order: Option<OrderRecord>, marks: (usize, usize, usize)) {
        self.member.standing = standing;
        self.order = order;
        self.transfers.truncate(marks.0);
        self.told.truncate(marks.1);
        self.lines.truncate(marks.2);
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
            Action::SetTier(tier) => self.set_tier(frame, cause, action, tier),
            Action::Mark(mark) => {
                self.mark(*mark, &effects.recommended());
                self.line(cause, action.as_str(), None, Name::parse(mark.status().as_str()).ok());
                Ok(())
            }
            Action::Recommend(what) => {
                may_recommend(effects)?;
                self.line(cause, action.as_str(), None, Some(what.clone()));
                Ok(())
            }
            Action::AssignCoupon(book) => self.assign_coupon(frame, cause, action, book),
            Action::Achieve(name) => {
                self.achieve(name);
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
            rule: (*cause.rule).into(),
            at: (*cause.at).into(),
            effect,
            amount: moved.map(|(_, amount)| amount.0),
            wallet: moved.map(|(wallet, _)| wallet.code.clone()),
            value,
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

    /// The commit, without deliveries: which endpoints get the events is for the triggers to say.
    pub fn finish(mut self, frame: Frame<'_>) -> Commit {
        let cause_id = self.cause_id();
        let face = self.member.face();
        let segments = self.member.standing.segment_names();
        let latest = &mut self.member.latest;
        for transfer in &mut self.transfers {
            let other = self.people.others.iter_mut().find(|other| other.id == transfer.member);
            let latest = other.map_or(&mut *latest, |other| &mut other.latest);
            transfer.previous = latest.transfer.replace(transfer.id);
        }
        let source_key = match &self.occasion {
            Occasion::Source(input) => Some(&input.event.key),
            Occasion::Tick { .. } | Occasion::Due { .. } => None,
        };
        let events: Vec<_> = self
            .told
            .into_iter()
            .zip(0..)
            .map(|(data, n)| {
                let id = EventId::derived(cause_id, n);
                LoyaltyEvent {
                    id,
                    chain: frame.chain.clone(),
                    subject: Some(Subject {
                        id: self.member.id,
                        previous: latest.event.replace(id),
                        face: MemberFace {
                            segments: segments.clone().filter(|_| data.kind().shows_segments()),
                            ..face.clone()
                        },
                    }),
                    at: self.at,
                    data,
                    source_key: source_key.cloned(),
                }
            })
            .collect();
        let source = match self.occasion {
            Occasion::Tick { .. } | Occasion::Due { .. } => None,
            Occasion::Source(input) => {
                let failed = !self.failures.is_empty();
                let status = if failed { SourceStatus::Failed } else { SourceStatus::Processed };
                let receipt = Receipt {
                    id: input.id,
                    key: input.event.key.clone(),
                    status,
                    duplicate: false,
                    program_version: frame.program_version,
                    member: Some(face),
                    effects: self.lines,
                    events: events.iter().map(event_line).collect(),
                    errors: self.failures,
                    notes: self.notes,
                };
                Some(SourceChange {
                    id: input.id,
                    event: input.event,
                    received_at: input.received_at,
                    from: input.from,
                    member: Some(self.member.id),
                    receipt,
                })
            }
        };
        let wake = match self.member.next_wake_at == self.wake_before {
            true => Wake::Kept,
            false => Wake::Moved,
        };
        Commit {
            chain: frame.chain.clone(),
            source,
            wake,
            member: Some(self.member),
            new_identities: self.new_identities,
            people: self.people,
            order: self.order,
            coupons: self.desk.coupons.into_changes(),
            redemptions: self.desk.redemptions.into_changes(),
            transfers: self.transfers,
            events,
            deliveries: Vec::new(),
            decided_at: self.now,
        }
    }
}

fn event_line(event: &LoyaltyEvent) -> EventLine {
    let data = match &event.data {
        EventData::PointsEarned(moved)
        | EventData::PointsDeducted(moved)
        | EventData::PointsAdjusted(moved)
        | EventData::PointsExpired(moved)
        | EventData::PointsRedeemed(moved)
        | EventData::PointsReturned(moved)
        | EventData::PointsClawedBack(moved) => {
            Some(LineData::Points(PointsLine { amount: moved.amount.0, new_balance: moved.new_balance.0 }))
        }
        EventData::Coupon(_, moved) => Some(LineData::Coupon(CouponLine::of(moved).into())),
        EventData::RedemptionCreated(told)
        | EventData::RedemptionPending(told)
        | EventData::RedemptionApproved(told)
        | EventData::RedemptionFulfilled(told)
        | EventData::RedemptionRejected(told)
        | EventData::RedemptionCancelled(told)
        | EventData::RedemptionExpired(told) => Some(LineData::Redemption(RedemptionLine::of(told).into())),
        _ => None,
    };
    EventLine { id: event.id, kind: event.kind().as_str(), data }
}

/// The commit that only keeps a source event: undecided, or parked because nobody knows whose it is.
pub fn keep(frame: Frame<'_>, input: SourceInput, status: SourceStatus, now: Timestamp) -> Commit {
    let receipt = Receipt::kept(input.id, input.event.key.clone(), status, frame.program_version);
    Commit {
        chain: frame.chain.clone(),
        source: Some(SourceChange {
            id: input.id,
            event: input.event,
            received_at: input.received_at,
            from: input.from,
            member: None,
            receipt,
        }),
        member: None,
        wake: Wake::Kept,
        new_identities: Vec::new(),
        people: PeopleChanges::default(),
        order: None,
        coupons: CouponChanges::default(),
        redemptions: RedemptionChanges::default(),
        transfers: Vec::new(),
        events: Vec::new(),
        deliveries: Vec::new(),
        decided_at: now,
    }
}
