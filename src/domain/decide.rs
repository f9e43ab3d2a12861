//! The pure heart: fold what happened into the member, apply what the rules asked for, and say what changed.
//!
//! ```text
//! Draft::begin(member, order, occasion) ── facts: visit counted, order recorded, refund booked
//!        │  the rules look at the draft and ask for effects
//! Draft::apply(effects of one rule)     ── all of a rule's effects or none
//! Draft::finish()                       ── Commit: ledger lines, loyalty events, receipt
//! ```

use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;
use ulid::Ulid;

use super::Timestamp;
use super::chain::ChainId;
use super::commit::{Commit, SourceChange, SourceOrigin, Wake};
use super::effect::{Action, Cause, RuleEffects, RuleFailure};
use super::identity::Identity;
use super::ids::{EventId, SourceId, TransferId};
use super::ledger::{Account, ChainAccount, POINTS_WALLET, Transfer};
use super::loyalty_event::{Absence, AchievementEarned, EventData, LoyaltyEvent, PointsMoved, TierMoved};
use super::member::{MAX_IDENTITIES, Member, Standing, Status};
use super::money::{Money, Points};
use super::order::OrderRecord;
use super::receipt::{EffectLine, EventLine, PointsLine, Receipt, SourceStatus};
use super::schedule::TickType;
use super::source_event::{SourceData, SourceEvent};
use super::text::{Name, Note};

/// The most loyalty events that one source event may cause.
pub const MAX_EVENTS: usize = 100;

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
    /// Tiers of the program, lowest first.
    pub tiers: &'a [Name],
    /// The version that decides; 0 for a chain without a program.
    pub program_version: i64,
}

/// Why an effect cannot be applied. The rule that asked for it fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The balance would leave the range of points.
    #[error("the balance would pass {limit} points", limit = Points::LIMIT)]
    TooManyPoints,
    /// Not a tier of the program.
    #[error("there is no tier called `{0}` in program.toml")]
    NoSuchTier(Name),
    /// `take_back` outside a refund.
    #[error("take_back works on order.refunded only: here there is no refund")]
    NoRefund,
    /// Too many loyalty events.
    #[error("one source event may cause at most {MAX_EVENTS} loyalty events")]
    TooManyEvents,
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
    /// Whether the rules should run: not for an order that was completed before.
    pub runs_rules: bool,
    wake_before: Option<Timestamp>,
    new_identities: Vec<Identity>,
    transfers: Vec<Transfer>,
    told: Vec<EventData>,
    lines: Vec<EffectLine>,
    failures: Vec<RuleFailure>,
    notes: Vec<Box<str>>,
}

impl Draft {
    /// Folds what happened into `member` and `order`: visits, spending, refunds, enrolment, reactivation. A replay of
    /// a failed event folds nothing again: its facts were kept the first time.
    pub fn begin(
        frame: Frame<'_>,
        member: Member,
        order: Option<OrderRecord>,
        occasion: Occasion,
        now: Timestamp,
    ) -> Self {
        let at = match &occasion {
            Occasion::Source(input) => input.event.occurred_at,
            Occasion::Tick { .. } => now,
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
            new_identities: Vec::new(),
            transfers: Vec::new(),
            told: Vec::new(),
            lines: Vec::new(),
            failures: Vec::new(),
            notes: Vec::new(),
            occasion,
        };
        if let Occasion::Source(input) = &draft.occasion {
            let event = input.event.clone();
            let replay = matches!(input.from, SourceOrigin::Stored { status: SourceStatus::Failed, .. });
            if !replay {
                draft.fold(&event);
            }
        }
        draft
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

    fn fold(&mut self, event: &SourceEvent) {
        if self.member.version == 0 {
            self.new_identities = self.member.identities.clone();
            self.told.push(EventData::MemberEnrolled);
        }
        match &event.data {
            SourceData::OrderCompleted(order) => {
                let record = self.order.get_or_insert_with(|| OrderRecord::unseen(order.order_id.clone()));
                if record.total.is_some() {
                    let order_id = record.order_id.clone();
                    self.note(format!("order {order_id} was completed before; it counts once"));
                    self.runs_rules = false;
                    return;
                }
                record.total = Some(order.total);
                record.member = Some(self.member.id);
                record.day = Some(self.today);
                record.refunded = record.refunded.min(order.total);
                let refunded = record.refunded;
                self.told.push(EventData::OrderCompleted(order.clone()));
                self.visit(order.total);
                self.member.history.refund(self.today, refunded);
            }
            SourceData::OrderRefunded(refund) => {
                let record = self.order.get_or_insert_with(|| OrderRecord::unseen(refund.order_id.clone()));
                let refunded = record.refundable(refund.amount);
                record.refunded = record.refunded.plus(refunded);
                if let Some(day) = record.day {
                    self.member.history.refund(day, refunded);
                }
                if refunded < refund.amount {
                    let sentence = format!("only {refunded} of {} was left to refund", refund.amount);
                    self.note(sentence);
                }
                self.told.push(EventData::OrderRefunded(refund.clone()));
            }
            SourceData::Visit(visit) => {
                self.told.push(EventData::VisitRecorded(visit.clone()));
                self.visit(Money::ZERO);
            }
        }
    }

    fn visit(&mut self, spend: Money) {
        let absence = self.absence();
        self.member.history.visit(self.today, spend);
        if self.member.standing.status != Status::Active {
            self.member.standing.status = Status::Active;
            self.told.push(EventData::MemberReactivated(absence));
        }
    }

    fn absence(&self) -> Absence {
        let history = &self.member.history;
        Absence {
            days_since_last_visit: history.days_since_last_visit(self.today),
            typical_gap_days: history.typical_gap_days().map(Money::new),
        }
    }

    /// Applies everything one rule asked for, or nothing of it.
    ///
    /// # Errors
    /// The refusal of the first effect that cannot be applied; the draft is then as before.
    pub fn apply(&mut self, frame: Frame<'_>, effects: &RuleEffects) -> Result<(), Refusal> {
        let standing = self.member.standing.clone();
        let order = self.order.clone();
        let marks = (self.transfers.len(), self.told.len(), self.lines.len());
        let outcome = effects.actions.iter().try_for_each(|action| self.act(frame, &effects.cause, action));
        if outcome.is_err() {
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

    fn act(&mut self, frame: Frame<'_>, cause: &Cause, action: &Action) -> Result<(), Refusal> {
        if self.told.len() >= MAX_EVENTS {
            return Err(Refusal::TooManyEvents);
        }
        match action {
            Action::Award { amount, reason } => {
                if let (Some(order), Occasion::Source(input)) = (&mut self.order, &self.occasion)
                    && input.event.kind() == super::source_event::SourceType::OrderCompleted
                {
                    order.earned = order.earned.plus(*amount).ok_or(Refusal::TooManyPoints)?;
                }
                let moved = self.credit(cause, ChainAccount::Issued, *amount, reason)?;
                self.told.push(EventData::PointsEarned(moved));
            }
            Action::Deduct { amount, reason } => {
                let amount = Points(amount.0.min(self.member.standing.points.0.max(0)));
                if amount > Points::ZERO {
                    let moved = self.debit(cause, ChainAccount::Deducted, amount, reason)?;
                    self.told.push(EventData::PointsDeducted(moved));
                }
                self.line(cause, action, Some(amount), None);
                return Ok(());
            }
            Action::TakeBack { reason } => {
                let is_refund =
                    |input: &SourceInput| matches!(input.event.data, SourceData::OrderRefunded(_));
                if !matches!(&self.occasion, Occasion::Source(input) if is_refund(input)) {
                    return Err(Refusal::NoRefund);
                }
                let order = self.order.as_mut().ok_or(Refusal::NoRefund)?;
                let amount = order.due_back();
                order.taken_back = order.taken_back.plus(amount).ok_or(Refusal::TooManyPoints)?;
                if amount > Points::ZERO {
                    let moved = self.debit(cause, ChainAccount::ClawedBack, amount, reason)?;
                    self.told.push(EventData::PointsClawedBack(moved));
                }
                self.line(cause, action, Some(amount), None);
                return Ok(());
            }
            Action::SetTier(tier) => {
                self.set_tier(frame, tier)?;
                self.line(cause, action, None, Some(tier.clone()));
                return Ok(());
            }
            Action::Mark(status) => {
                self.mark(*status);
                let word = Name::parse(status.as_str()).ok();
                self.line(cause, action, None, word);
                return Ok(());
            }
            Action::Achieve(name) => {
                if !self.member.standing.achievements.contains_key(name) {
                    self.member.standing.achievements.insert(name.clone(), self.at);
                    self.told
                        .push(EventData::AchievementEarned(AchievementEarned { achievement: name.clone() }));
                }
                self.line(cause, action, None, Some(name.clone()));
                return Ok(());
            }
        }
        if let Action::Award { amount, .. } = action {
            self.line(cause, action, Some(*amount), None);
        }
        Ok(())
    }

    fn line(&mut self, cause: &Cause, action: &Action, amount: Option<Points>, value: Option<Name>) {
        self.lines.push(EffectLine {
            rule: (*cause.rule).into(),
            at: (*cause.at).into(),
            effect: action.as_str(),
            amount: amount.map(|p| p.0),
            wallet: amount.map(|_| POINTS_WALLET),
            value,
        });
    }

    fn credit(
        &mut self,
        cause: &Cause,
        from: ChainAccount,
        amount: Points,
        reason: &Note,
    ) -> Result<PointsMoved, Refusal> {
        let (debit, credit) = (Account::Chain(from), Account::Member(self.member.id));
        self.transfer(cause, debit, credit, amount, amount, reason)
    }

    fn debit(
        &mut self,
        cause: &Cause,
        to: ChainAccount,
        amount: Points,
        reason: &Note,
    ) -> Result<PointsMoved, Refusal> {
        let (debit, credit) = (Account::Member(self.member.id), Account::Chain(to));
        self.transfer(cause, debit, credit, amount, Points(-amount.0), reason)
    }

    fn transfer(
        &mut self,
        cause: &Cause,
        debit: Account,
        credit: Account,
        amount: Points,
        change: Points,
        reason: &Note,
    ) -> Result<PointsMoved, Refusal> {
        let new_balance = self.member.standing.points.plus(change).ok_or(Refusal::TooManyPoints)?;
        self.member.standing.points = new_balance;
        self.transfers.push(Transfer {
            id: TransferId::derived(self.cause_id(), self.transfers.len() as u32),
            previous: None, // known when the decision is finished
            member: self.member.id,
            wallet: POINTS_WALLET,
            debit,
            credit,
            amount,
            cause: cause.clone(),
            reason: reason.as_str().into(),
            source: match &self.occasion {
                Occasion::Source(input) => Some(input.id),
                Occasion::Tick { .. } => None,
            },
            at: self.now,
        });
        Ok(PointsMoved { amount, new_balance, reason: reason.as_str().into() })
    }

    fn set_tier(&mut self, frame: Frame<'_>, tier: &Name) -> Result<(), Refusal> {
        let rank = |name: &Name| frame.tiers.iter().position(|t| t == name);
        let new_rank = rank(tier).ok_or_else(|| Refusal::NoSuchTier(tier.clone()))?;
        let previous_tier = self.member.standing.tier.replace(tier.clone());
        // A tier that the program no longer has ranks below all others.
        let old_rank = previous_tier.as_ref().and_then(rank);
        let moved = TierMoved { previous_tier, new_tier: tier.clone() };
        match old_rank {
            Some(old) if old == new_rank => {}
            Some(old) if old > new_rank => self.told.push(EventData::TierDowngraded(moved)),
            _ => self.told.push(EventData::TierUpgraded(moved)),
        }
        Ok(())
    }

    fn mark(&mut self, status: Status) {
        if self.member.standing.status == status {
            return;
        }
        self.member.standing.status = status;
        let absence = self.absence();
        self.told.push(match status {
            Status::AtRisk => EventData::MemberAtRisk(absence),
            Status::Churned => EventData::MemberChurned(absence),
            Status::Active => EventData::MemberReactivated(absence),
        });
    }

    /// Where derived ids of this decision start: each run of the same source event gets a stretch of its own.
    fn cause_id(&self) -> Ulid {
        /// More than the ids that one decision can use.
        const STRETCH: u128 = 1 << 20;
        match &self.occasion {
            Occasion::Tick { id, .. } => *id,
            Occasion::Source(input) => {
                let runs = match input.from {
                    SourceOrigin::Outside => 0,
                    SourceOrigin::Stored { runs, .. } => runs,
                };
                Ulid(input.id.ulid().0.wrapping_add(STRETCH * u128::from(runs)))
            }
        }
    }

    /// Takes back what an order earned beyond the share that was refunded before we heard of the order itself. No rule
    /// could do that when the refund came: it did not know the order.
    pub fn settle_early_refund(&mut self, frame: Frame<'_>) -> Result<(), Refusal> {
        let Some(order) = self.order.as_mut().filter(|_| self.runs_rules) else { return Ok(()) };
        let Occasion::Source(input) = &self.occasion else { return Ok(()) };
        let amount = order.due_back();
        if !matches!(input.event.data, SourceData::OrderCompleted(_)) || amount <= Points::ZERO {
            return Ok(());
        }
        order.taken_back = order.taken_back.plus(amount).ok_or(Refusal::TooManyPoints)?;
        let reason =
            Note::parse("refunded before the order came").unwrap_or_else(|_| unreachable!("a fixed text"));
        let cause = Cause {
            rule: reason.as_str().into(),
            at: "engine".into(),
            program_version: frame.program_version,
        };
        let moved = self.debit(&cause, ChainAccount::ClawedBack, amount, &reason)?;
        self.told.push(EventData::PointsClawedBack(moved));
        self.line(&cause, &Action::TakeBack { reason }, Some(amount), None);
        Ok(())
    }

    /// The commit, without deliveries: which endpoints get the events is for the triggers to say.
    pub fn finish(mut self, frame: Frame<'_>) -> Commit {
        let cause_id = self.cause_id();
        let face = self.member.face();
        let latest = &mut self.member.latest;
        for transfer in &mut self.transfers {
            transfer.previous = latest.transfer.replace(transfer.id);
        }
        let source_key = match &self.occasion {
            Occasion::Source(input) => Some(&input.event.key),
            Occasion::Tick { .. } => None,
        };
        let events: Vec<_> = self
            .told
            .into_iter()
            .zip(0..)
            .map(|(data, n)| {
                let id = EventId::derived(cause_id, n);
                LoyaltyEvent {
                    id,
                    previous: latest.event.replace(id),
                    chain: frame.chain.clone(),
                    member: self.member.id,
                    face: face.clone(),
                    at: self.at,
                    data,
                    source_key: source_key.cloned(),
                }
            })
            .collect();
        let source = match self.occasion {
            Occasion::Tick { .. } => None,
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
            order: self.order,
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
        | EventData::PointsClawedBack(moved) => {
            Some(PointsLine { amount: moved.amount.0, new_balance: moved.new_balance.0 })
        }
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
        order: None,
        transfers: Vec::new(),
        events: Vec::new(),
        deliveries: Vec::new(),
        decided_at: now,
    }
}
