//! The end of a decision: what was folded, applied and told becomes one commit.

use std::sync::Arc;

use ulid::Ulid;

use super::{Draft, Frame, Occasion, SourceInput};
use crate::domain::Timestamp;
use crate::domain::commit::{Commit, SourceChange, SourceOrigin, Wake};
use crate::domain::ids::{EventId, MemberId, SourceId};
use crate::domain::loyalty_event::{EventData, LoyaltyEvent, Subject};
use crate::domain::member::MemberFace;
use crate::domain::receipt::{
    CouponLine, EventLine, LineData, PointsLine, Receipt, RedemptionLine, SourceStatus,
};
use crate::domain::refusal::Refused;
use crate::domain::schedule::TickType;
use crate::domain::tick::KeptTick;

impl Draft {
    /// The commit, without deliveries: which endpoints get the events is for the triggers to say.
    pub fn finish(mut self, frame: Frame<'_>) -> Commit {
        self.tell_exhausted(frame);
        let cause_id = self.cause_id();
        let follow_up = self.follow_up.take().map(|what| self.follow(frame, what));
        self.people.others.extend(std::mem::take(&mut self.desk.tombstones).into_changed());
        let first = frame.terms.wallets.first().zip(self.member.standing.wallets.first());
        let next_expiration = first.and_then(|(wallet, held)| wallet.next_expiration(held, frame.timezone));
        let tier_name = self.member.standing.tier.as_ref().map(|id| frame.terms.tiers.tier(id).name);
        let face = Arc::new(MemberFace { tier_name, ..self.member.face(next_expiration) });
        let is_shown = self.told.iter().any(|data| data.kind().shows_segments());
        let segments = is_shown.then(|| self.member.standing.segment_names()).flatten();
        let with_segments = match segments {
            Some(segments) => Arc::new(MemberFace { segments: Some(segments), ..(*face).clone() }),
            None => face.clone(),
        };
        let member = &mut *self.member;
        let (who, latest) = (member.id, &mut member.latest);
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
                    subject: data.kind().is_about_member().then(|| Subject {
                        id: who,
                        previous: latest.event.replace(id),
                        face: match data.kind().shows_segments() {
                            true => with_segments.clone(),
                            false => face.clone(),
                        },
                    }),
                    at: self.at,
                    data,
                    source_key: source_key.cloned(),
                    program_version: frame.program_version,
                }
            })
            .collect();
        let failed = !self.failures.is_empty();
        // A tick that came to its end leaves nothing behind; the rules that failed on one must find it again.
        let input = match self.occasion {
            Occasion::Source(input) => Some(input),
            Occasion::Tick { kind, id, .. } => failed.then(|| kept(Some(kind), id, who, self.at)),
            Occasion::Due { id } => failed.then(|| kept(None, id, who, self.at)),
        };
        let source = input.map(|SourceInput { id, event, received_at, from }| {
            let receipt = Receipt {
                id,
                key: event.key.clone(),
                status: if failed { SourceStatus::Failed } else { SourceStatus::Processed },
                duplicate: false,
                program_version: frame.program_version,
                member: Some((*face).clone()),
                effects: self.lines,
                events: events.iter().map(event_line).collect(),
                errors: self.failures,
                refused: None,
                notes: self.notes,
            };
            // What is run again has its place already.
            let previous = match from.is_undecided() {
                true => latest.source.replace(id),
                false => None,
            };
            SourceChange { id, event, received_at, from, member: Some(who), previous, receipt }
        });
        let wake = match self.member.next_wake_at == self.wake_before {
            true => Wake::Kept,
            false => Wake::Moved,
        };
        let received = self.member.referring.received.as_deref();
        let referral = received.filter(|_| self.referral_changed).cloned();
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
            budgets: self.desk.campaigns.moves(frame.terms).collect(),
            new_referral_code: self.new_referral_code,
            referral,
            referral_reward: self.referral_reward,
            follow_up,
            transfers: self.transfers,
            events,
            deliveries: Vec::new(),
            decided_at: self.now,
        }
    }
}

/// The source event of a tick.
fn kept(tick: Option<TickType>, id: Ulid, member: MemberId, at: Timestamp) -> SourceInput {
    let event = Arc::new(KeptTick { tick }.event(id, member, at));
    SourceInput { id: SourceId::new(id), event, received_at: at, from: SourceOrigin::Outside }
}

pub(super) fn event_line(event: &LoyaltyEvent) -> EventLine {
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
        EventData::RedemptionCreated(told) | EventData::Redemption(told) => {
            Some(LineData::Redemption(RedemptionLine::of(told).into()))
        }
        _ => None,
    };
    EventLine { id: event.id, kind: event.kind().as_str(), data }
}

/// The commit that says of a source event, which was kept for later, that it cannot be done.
pub fn refuse(frame: Frame<'_>, input: SourceInput, refused: Refused, now: Timestamp) -> Commit {
    let mut commit = keep(frame, input, SourceStatus::Refused, now);
    commit.source.iter_mut().for_each(|change| change.receipt.refused = Some(refused.clone()));
    commit
}

/// The commit that only keeps a source event: undecided, or parked because nobody knows whose it is.
pub fn keep(frame: Frame<'_>, input: SourceInput, status: SourceStatus, now: Timestamp) -> Commit {
    let receipt = Receipt::kept(input.id, input.event.key.clone(), status, frame.program_version);
    let source = SourceChange {
        id: input.id,
        event: input.event,
        received_at: input.received_at,
        from: input.from,
        member: None,
        previous: None,
        receipt,
    };
    Commit { source: Some(source), ..Commit::of_nothing(frame.chain.clone(), now) }
}
