//! Referrals: accepted, approved, rejected, expired, rewarded.

use smol_str::SmolStr;
use std::sync::Arc;

use ulid::Ulid;

use super::{Draft, Frame, Occasion, Refusal};
use crate::domain::Timestamp;
use crate::domain::achievement::Brought;
use crate::domain::commit::{SourceChange, SourceOrigin};
use crate::domain::ids::{MemberId, ReferralId, SourceId};
use crate::domain::loyalty_event::EventData;
use crate::domain::order::OrderRecord;
use crate::domain::receipt::{Receipt, SourceStatus};
use crate::domain::referral::{
    Acceptance, Filed, FollowUp, Recruit, Referral, ReferralCode, ReferralCommand, ReferralStatus,
    ReferralTold, Rejection, Reward, Sender, Side, Turn,
};
use crate::domain::refusal::Refused;
use crate::domain::terms::achievement::{OnRefund, Prize};
use crate::domain::terms::referral::{Approval, Referrals};
use crate::domain::text::Key;

impl Draft {
    pub(super) fn handle_referral(
        &mut self,
        frame: Frame<'_>,
        command: &ReferralCommand,
    ) -> Result<(), Refused> {
        match command {
            ReferralCommand::Accept(acceptance) => self.accept_referral(frame, acceptance),
            ReferralCommand::Approve => {
                self.pending_referral()?;
                Ok(self.approve_referral(frame, None)?)
            }
            ReferralCommand::Reject(Rejection { reason }) => {
                let referral = Referral { reason: Some(reason.clone()), ..self.pending_referral()?.clone() };
                Ok(self.end_referral(frame, referral, ReferralStatus::Rejected)?)
            }
            ReferralCommand::Reward(recruit) => Ok(self.reward_sender(frame, recruit)?),
            ReferralCommand::Revoke(recruit) => Ok(self.take_from_sender(frame, recruit)?),
        }
    }

    /// Makes sure that the member has a code to give to others, in a program with referrals.
    pub(super) fn make_referral_code(&mut self, frame: Frame<'_>) {
        if frame.terms.referrals.is_some() && self.member.referring.code.is_none() {
            let code = ReferralCode::of(self.member.id);
            self.new_referral_code = Some(code.clone());
            self.member.referring.code = Some(code);
        }
    }

    fn accept_referral(&mut self, frame: Frame<'_>, acceptance: &Acceptance) -> Result<(), Refused> {
        let Acceptance { code, channel } = acceptance;
        let Some(terms) = &frame.terms.referrals else {
            return Err(Refused::new("no_referrals", "program.toml has no [referrals]"));
        };
        let Some(known) = self.desk.senders.get(code).cloned() else {
            self.wanted.senders.insert(code.clone());
            return Err(Refusal::Lacks.into());
        };
        let sender = known.ok_or_else(|| {
            Refused::new("unknown_referral_code", format!("`{code}` is the code of no member"))
        })?;
        self.may_be_referred(frame, terms, &sender)?;
        let referral = Referral {
            id: ReferralId::derived(self.cause_id(), 0),
            sender: sender.member,
            status: ReferralStatus::Pending,
            channel: channel.clone(),
            created_at: self.now,
            settled_at: None,
            reason: None,
            order: None,
            brought: Vec::new(),
        };
        let told = ReferralTold {
            sender_first_name: sender.first_name,
            sender_email: sender.email,
            code: Some(code.clone()),
            link: terms.link.as_ref().map(|link| link.replace("{code}", code).into()),
            new_user: true,
            ..self.told_receiver(frame, &referral, sender.id)
        };
        self.told.push(EventData::ReferralCreated(Box::new(told)));
        self.keep_referral(referral);
        Ok(())
    }

    fn may_be_referred(&self, frame: Frame<'_>, terms: &Referrals, sender: &Sender) -> Result<(), Refused> {
        if self.member.answers_for(sender.member) {
            return Err(Refused::new("self_referral", "nobody can bring themselves"));
        }
        let known = self.member.referring.received.as_ref();
        if known.is_some_and(|known| known.status != ReferralStatus::Expired) {
            return Err(Refused::new("already_referred", "the member was brought by somebody already"));
        }
        let is_late = self.now - self.member.enrolled_at > terms.new_for;
        if self.member.history.lifetime_visits > 0 || is_late {
            let problem = "only a member who enrolled lately and has not been here yet can be referred";
            return Err(Refused::new("not_a_new_member", problem));
        }
        let today = self.judged_on(frame);
        if !sender.sent.has_room(&terms.limits, today) {
            let problem = "the owner of the code has brought as many members as the program rewards";
            return Err(Refused::new("referral_limit_reached", problem));
        }
        Ok(())
    }

    fn pending_referral(&self) -> Result<&Referral, Refused> {
        match self.member.referring.received.as_deref() {
            None => Err(Refused::new("no_referral", "the member was brought by nobody")),
            Some(referral) if referral.status == ReferralStatus::Pending => Ok(referral),
            Some(referral) => {
                let problem = format!("the member's referral is {} already", referral.status.as_str());
                Err(Refused::new("referral_not_pending", problem))
            }
        }
    }

    /// After the rules: an order that is good enough approves the referral of its member, and one that is undone takes
    /// its approval with it.
    pub fn settle_referral(&mut self, frame: Frame<'_>) {
        let (Some(terms), Some(referral)) = (&frame.terms.referrals, &self.member.referring.received) else {
            return;
        };
        let is_mine = |order: &&OrderRecord| order.member.is_some_and(|owner| self.member.answers_for(owner));
        let Some(order) = self.order.as_ref().filter(is_mine) else { return };
        match (referral.status, terms.approval) {
            (ReferralStatus::Pending, Approval::FirstOrder { minimum }) => {
                // Two who brought each other may turn out to be one.
                let by_another = !self.member.answers_for(referral.sender);
                if by_another && order.spend().is_some_and(|spent| spent >= minimum) {
                    let order = order.order_id.clone();
                    // What it lacks it is asked for; then everything is decided again.
                    let _ = self.approve_referral(frame, Some(order));
                }
            }
            (ReferralStatus::Approved, _)
                if terms.on_refund == OnRefund::Revoke
                    && order.is_undone()
                    && referral.order.as_ref() == Some(&order.order_id) =>
            {
                let _ = self.revoke_referral(frame);
            }
            _ => {}
        }
    }

    /// It counts: by this order, or because people say so.
    fn approve_referral(&mut self, frame: Frame<'_>, order: Option<Key>) -> Result<(), Refusal> {
        let Some(referral) = self.member.referring.received.as_deref().cloned() else { return Ok(()) };
        let receiver = self.desk.tombstones.referred_by(referral.id);
        self.tell_sender(&referral, Turn::Approved);
        self.end_referral(frame, Referral { order, ..referral }, ReferralStatus::Approved)?;
        if let Some(terms) = &frame.terms.referrals {
            let brought = self.give_referral_prize(frame, &terms.receiver, receiver);
            self.member.referring.received.iter_mut().for_each(|referral| referral.brought = brought.clone());
        }
        Ok(())
    }

    /// The order that approved it counts no longer: the receiver loses what it brought, and the sender will.
    fn revoke_referral(&mut self, frame: Frame<'_>) -> Result<(), Refusal> {
        let Some(mut referral) = self.member.referring.received.as_deref().cloned() else { return Ok(()) };
        let sender_id = self.sender_of(&referral)?;
        self.tell_sender(&referral, Turn::Revoked);
        let told = self.told.len();
        let brought = std::mem::take(&mut referral.brought);
        let receiver = self.desk.tombstones.referred_by(referral.id);
        let cause = frame.engine("referral revoked");
        let coupons_kept = self.take_prize_back(frame, &cause, brought, receiver);
        let referral = Referral { status: ReferralStatus::Revoked, settled_at: Some(self.now), ..referral };
        let revoked = ReferralTold { coupons_kept, ..self.told_receiver(frame, &referral, sender_id) };
        self.told.insert(told, EventData::ReferralRevoked(Box::new(revoked))); // before what goes with it
        self.keep_referral(referral);
        Ok(())
    }

    /// What it means for the sender is theirs to decide, after this.
    fn tell_sender(&mut self, referral: &Referral, turn: Turn) {
        let recruit = Recruit { referral: referral.id, channel: referral.channel.clone() };
        self.follow_up = Some(FollowUp { member: referral.sender, turn, recruit });
    }

    /// The sender's side of an approval. It is never refused: what it follows of has happened.
    fn reward_sender(&mut self, frame: Frame<'_>, recruit: &Recruit) -> Result<(), Refusal> {
        let filed = self.filed(recruit.referral)?;
        if filed.as_ref().is_some_and(|filed| filed.status == ReferralStatus::Revoked) {
            self.note("the order that approved the referral is undone meanwhile; it brings nothing");
            return Ok(());
        }
        let terms = frame.terms.referrals.as_ref();
        let today = self.judged_on(frame);
        let rewarded = terms.filter(|terms| self.member.referring.sent.has_room(&terms.limits, today));
        self.told.push(EventData::ReferralApproved(Box::new(ReferralTold {
            has_coupon: rewarded.is_some_and(|terms| terms.sender.coupon.is_some()),
            rewarded: rewarded.is_some(),
            ..self.told_sender(recruit, filed, ReferralStatus::Approved)
        })));
        match rewarded {
            Some(terms) => {
                let sender = self.named();
                self.member.referring.sent.add(&terms.limits, today);
                let theirs = self.desk.tombstones.line(sender);
                theirs.for_each(|theirs| theirs.sent().add(&terms.limits, today));
                let brought = self.give_referral_prize(frame, &terms.sender, sender);
                self.referral_reward = Some((recruit.referral, Reward { on: today, brought }));
            }
            None => self.note("the member has brought as many others as the program rewards"),
        }
        Ok(())
    }

    /// The sender's side of a revocation: what they got is taken back, and there is room for another one.
    fn take_from_sender(&mut self, frame: Frame<'_>, recruit: &Recruit) -> Result<(), Refusal> {
        let filed = self.filed(recruit.referral)?;
        let reward = filed.as_ref().and_then(|filed| filed.reward.clone());
        let told = self.told.len();
        let coupons_kept = match reward {
            Some(Reward { on, brought }) => {
                let limits = frame.terms.referrals.as_ref().map(|terms| terms.limits).unwrap_or_default();
                let sender = self.named();
                self.member.referring.sent.take_back(&limits, on);
                self.desk.tombstones.line(sender).for_each(|theirs| theirs.sent().take_back(&limits, on));
                self.take_prize_back(frame, &frame.engine("referral revoked"), brought, sender)
            }
            None => Vec::new(),
        };
        let revoked =
            ReferralTold { coupons_kept, ..self.told_sender(recruit, filed, ReferralStatus::Revoked) };
        self.told.insert(told, EventData::ReferralRevoked(Box::new(revoked)));
        Ok(())
    }

    /// The referral as it is filed.
    fn filed(&mut self, id: ReferralId) -> Result<Option<Filed>, Refusal> {
        let known = self.desk.referrals.get(&id).cloned();
        known.ok_or_else(|| {
            self.wanted.referrals.insert(id);
            Refusal::Lacks
        })
    }

    /// What the chain calls who brought the member.
    fn sender_of(&mut self, referral: &Referral) -> Result<SmolStr, Refusal> {
        let filed = self.filed(referral.id)?;
        Ok(filed.map_or_else(|| referral.sender.to_string().into(), |filed| filed.sender_id))
    }

    fn told_sender(&self, recruit: &Recruit, filed: Option<Filed>, status: ReferralStatus) -> ReferralTold {
        ReferralTold {
            referral_id: recruit.referral,
            role: Side::Sender,
            status,
            sender_id: self.member.known_as(),
            receiver_id: filed.map(|filed| filed.receiver_id).unwrap_or_default(),
            sender_first_name: None,
            sender_email: None,
            channel: recruit.channel.clone(),
            code: None,
            link: None,
            has_coupon: false,
            new_user: false,
            referred_user: false,
            rewarded: false,
            reason: None,
            coupons_kept: Vec::new(),
        }
    }

    /// Gives what a referral brings. If `owner`, who brought or was brought, was absorbed by the member, it is theirs.
    fn give_referral_prize(
        &mut self,
        frame: Frame<'_>,
        prize: &Prize,
        owner: Option<MemberId>,
    ) -> Vec<Brought> {
        let brought = self.give_prize(frame, &frame.engine("referral"), prize);
        for one in &brought {
            let Brought::Points { wallet, points } = one else { continue };
            let Some(wallet) = frame.terms.wallet(Some(wallet)) else { continue };
            let expires_at = wallet.expiry.of(self.at, frame.timezone);
            for theirs in self.desk.tombstones.line(owner) {
                // What the survivor has room for, so has whoever is a part of them.
                _ = theirs.wallet(&wallet.code).credit(*points, expires_at);
                theirs.count_earned(wallet, self.today, *points);
            }
        }
        brought
    }

    /// Whom a follow-up is about: the member, or somebody whom they have absorbed.
    fn named(&self) -> Option<MemberId> {
        match &self.occasion {
            Occasion::Source(input) => input.event.member,
            Occasion::Tick { .. } | Occasion::Due { .. } => None,
        }
    }

    /// A referral that nobody approved in time.
    pub(super) fn expire_referral(&mut self, frame: Frame<'_>) {
        if self.referral_deadline(frame).is_some_and(|at| at <= self.now)
            && let Ok(referral) = self.pending_referral().cloned()
        {
            let _ = self.end_referral(frame, referral, ReferralStatus::Expired);
        }
    }

    /// When the member's referral has waited for too long.
    pub(super) fn referral_deadline(&self, frame: Frame<'_>) -> Option<Timestamp> {
        let expires_after = frame.terms.referrals.as_ref()?.expires_after?;
        Some(self.pending_referral().ok()?.created_at + expires_after)
    }

    fn end_referral(
        &mut self,
        frame: Frame<'_>,
        referral: Referral,
        status: ReferralStatus,
    ) -> Result<(), Refusal> {
        let sender_id = self.sender_of(&referral)?;
        let referral = Referral { status, settled_at: Some(self.now), ..referral };
        let told = Box::new(self.told_receiver(frame, &referral, sender_id));
        self.told.extend(match status {
            ReferralStatus::Approved => Some(EventData::ReferralApproved(told)),
            ReferralStatus::Rejected => Some(EventData::ReferralRejected(told)),
            ReferralStatus::Expired => Some(EventData::ReferralExpired(told)),
            ReferralStatus::Pending | ReferralStatus::Revoked => None,
        });
        self.keep_referral(referral);
        Ok(())
    }

    fn told_receiver(&self, frame: Frame<'_>, referral: &Referral, sender_id: SmolStr) -> ReferralTold {
        let prize = frame.terms.referrals.as_ref().map(|terms| &terms.receiver);
        let counts = referral.status != ReferralStatus::Revoked;
        ReferralTold {
            referral_id: referral.id,
            role: Side::Receiver,
            status: referral.status,
            sender_id,
            receiver_id: self.member.known_as(),
            sender_first_name: None,
            sender_email: None,
            channel: referral.channel.clone(),
            code: None,
            link: None,
            has_coupon: counts && prize.is_some_and(|prize| prize.coupon.is_some()),
            new_user: false,
            referred_user: true,
            rewarded: referral.status == ReferralStatus::Approved,
            reason: referral.reason.clone(),
            coupons_kept: Vec::new(),
        }
    }

    fn keep_referral(&mut self, referral: Referral) {
        self.referral_changed = true;
        self.member.referring.received = Some(Box::new(referral));
    }

    /// A source event for somebody else, kept with this decision.
    pub(super) fn follow(&self, frame: Frame<'_>, what: FollowUp) -> SourceChange {
        /// Far from all that is derived of what it follows of.
        const FAR: u128 = 1 << 40;
        let id = SourceId::new(Ulid(self.cause_id().0.wrapping_add(FAR)));
        let (member, event) = (what.member, Arc::new(what.event(self.now)));
        let receipt = Receipt::kept(id, event.key.clone(), SourceStatus::Accepted, frame.program_version);
        let (received_at, from) = (self.now, SourceOrigin::Outside);
        SourceChange { id, event, received_at, from, member: Some(member), previous: None, receipt }
    }
}
