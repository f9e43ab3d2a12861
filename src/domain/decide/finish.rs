//! The end of a decision: what was folded, applied and told becomes one commit.

use super::{Draft, Frame, Occasion, SourceInput};
use crate::domain::Timestamp;
use crate::domain::commit::{Commit, PeopleChanges, SourceChange, Wake};
use crate::domain::coupon::CouponChanges;
use crate::domain::ids::EventId;
use crate::domain::loyalty_event::{EventData, LoyaltyEvent, Subject};
use crate::domain::member::MemberFace;
use crate::domain::receipt::{
    CouponLine, EventLine, LineData, PointsLine, Receipt, RedemptionLine, SourceStatus,
};
use crate::domain::redemption::RedemptionChanges;

impl Draft {
    /// The commit, without deliveries: which endpoints get the events is for the triggers to say.
    pub fn finish(mut self, frame: Frame<'_>) -> Commit {
        let cause_id = self.cause_id();
        let follow_up = self.follow_up.take().map(|what| self.follow(frame, what));
        let face = self.member.face();
        let segments = self.member.standing.segment_names();
        self.people.others.extend(std::mem::take(&mut self.desk.tombstones).into_changed());
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
            new_referral_code: self.new_referral_code,
            referral,
            follow_up,
            transfers: self.transfers,
            events,
            deliveries: Vec::new(),
            decided_at: self.now,
        }
    }
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
        new_referral_code: None,
        referral: None,
        follow_up: None,
        redemptions: RedemptionChanges::default(),
        transfers: Vec::new(),
        events: Vec::new(),
        deliveries: Vec::new(),
        decided_at: now,
    }
}
