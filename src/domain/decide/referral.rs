//! Referrals: accepted, approved, rejected, expired, rewarded.

use std::sync::Arc;

use ulid::Ulid;

use super::{Draft, Frame, Refusal};
use crate::domain::Timestamp;
use crate::domain::commit::{SourceChange, SourceOrigin};
use crate::domain::ids::{MemberId, ReferralId, SourceId};
use crate::domain::loyalty_event::EventData;
use crate::domain::order::OrderRecord;
use crate::domain::receipt::{Receipt, SourceStatus};
use crate::domain::referral::{
    Acceptance, FollowUp, Referral, ReferralCode, ReferralCommand, ReferralStatus, ReferralTold, Rejection,
    Reward, Sender, Side,
};
use crate::domain::refusal::Refused;
use crate::domain::terms::achievement::Prize;
use crate::domain::terms::referral::{Approval, Referrals};

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
                self.approve_referral(frame);
                Ok(())
            }
            ReferralCommand::Reject(Rejection { reason }) => {
                let referral = Referral { reason: Some(reason.clone()), ..self.pending_referral()?.clone() };
                self.end_referral(frame, referral, ReferralStatus::Rejected);
                Ok(())
            }
            ReferralCommand::Reward(reward) => {
                self.reward_sender(frame, reward);
                Ok(())
            }
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
            sender_id: sender.id.clone(),
            status: ReferralStatus::Pending,
            channel: channel.clone(),
            created_at: self.now,
            settled_at: None,
            reason: None,
        };
        let told = ReferralTold {
            sender_first_name: sender.first_name,
            sender_email: sender.email,
            code: Some(code.clone()),
            link: terms.link.as_ref().map(|link| link.replace("{code}", code).into()),
            new_user: true,
            ..self.told_receiver(frame, &referral)
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

    /// After the rules: an order that is good enough approves the referral of its member.
    pub fn settle_referral(&mut self, frame: Frame<'_>) {
        let Some(Referrals { approval: Approval::FirstOrder { minimum }, .. }) = &frame.terms.referrals
        else {
            return;
        };
        let is_mine = |order: &&OrderRecord| order.member.is_some_and(|owner| self.member.answers_for(owner));
        let spent = self.order.as_ref().filter(is_mine).and_then(OrderRecord::spend);
        // Two who brought each other may turn out to be one.
        let by_another = |referral: &Referral| !self.member.answers_for(referral.sender);
        if spent.is_some_and(|spent| spent >= *minimum) && self.pending_referral().is_ok_and(by_another) {
            self.approve_referral(frame);
        }
    }

    fn approve_referral(&mut self, frame: Frame<'_>) {
        let Some(referral) = self.member.referring.received.as_deref().cloned() else { return };
        let reward = Reward {
            referral: referral.id,
            receiver_id: self.member.face().id,
            channel: referral.channel.clone(),
        };
        let id = referral.id;
        self.follow_up = Some(FollowUp { member: referral.sender, reward });
        self.end_referral(frame, referral, ReferralStatus::Approved);
        if let Some(terms) = &frame.terms.referrals {
            let (transfers, receiver) = (self.transfers.len(), self.desk.tombstones.referred_by(id));
            self.give_referral_prize(frame, &terms.receiver);
            self.give_to(frame, receiver, transfers);
        }
    }

    /// What was issued by the ledger lines from here on is theirs who were brought, if the member has absorbed them.
    fn give_to(&mut self, frame: Frame<'_>, receiver: Option<MemberId>, from: usize) {
        for issued in &self.transfers[from..] {
            let Some(wallet) = frame.terms.wallet(Some(&issued.wallet)) else { continue };
            let expires_at = wallet.expiry.of(self.at, frame.timezone);
            for theirs in self.desk.tombstones.line(receiver) {
                // What the survivor has room for, so has whoever is a part of them.
                _ = theirs.wallet(&wallet.code).credit(issued.amount, expires_at);
                theirs.count_earned(wallet, self.today, issued.amount);
            }
        }
    }

    /// The sender's side of an approval. It is never refused: what it follows of has happened.
    fn reward_sender(&mut self, frame: Frame<'_>, reward: &Reward) {
        let terms = frame.terms.referrals.as_ref();
        let today = self.judged_on(frame);
        let rewarded = terms.filter(|terms| self.member.referring.sent.has_room(&terms.limits, today));
        self.told.push(EventData::ReferralApproved(Box::new(ReferralTold {
            referral_id: reward.referral,
            role: Side::Sender,
            status: ReferralStatus::Approved,
            sender_id: self.member.face().id,
            receiver_id: reward.receiver_id.clone(),
            sender_first_name: None,
            sender_email: None,
            channel: reward.channel.clone(),
            code: None,
            link: None,
            has_coupon: rewarded.is_some_and(|terms| terms.sender.coupon.is_some()),
            new_user: false,
            referred_user: false,
            rewarded: rewarded.is_some(),
            reason: None,
        })));
        match rewarded {
            Some(terms) => {
                self.member.referring.sent.add(&terms.limits, today);
                self.give_referral_prize(frame, &terms.sender);
            }
            None => self.note("the member has brought as many others as the program rewards"),
        }
    }

    fn give_referral_prize(&mut self, frame: Frame<'_>, prize: &Prize) {
        let cause = frame.engine("referral");
        let given = self.all_or_nothing(|draft| draft.give_prize(frame, &cause, prize, None));
        if let Err(refusal) = given
            && refusal != Refusal::Lacks
        {
            self.note(format!("the referral brings nothing: {refusal}"));
        }
    }

    /// A referral that nobody approved in time.
    pub(super) fn expire_referral(&mut self, frame: Frame<'_>) {
        if self.referral_deadline(frame).is_some_and(|at| at <= self.now)
            && let Ok(referral) = self.pending_referral().cloned()
        {
            self.end_referral(frame, referral, ReferralStatus::Expired);
        }
    }

    /// When the member's referral has waited for too long.
    pub(super) fn referral_deadline(&self, frame: Frame<'_>) -> Option<Timestamp> {
        let expires_after = frame.terms.referrals.as_ref()?.expires_after?;
        Some(self.pending_referral().ok()?.created_at + expires_after)
    }

    fn end_referral(&mut self, frame: Frame<'_>, referral: Referral, status: ReferralStatus) {
        let referral = Referral { status, settled_at: Some(self.now), ..referral };
        let told = Box::new(self.told_receiver(frame, &referral));
        self.told.extend(match status {
            ReferralStatus::Approved => Some(EventData::ReferralApproved(told)),
            ReferralStatus::Rejected => Some(EventData::ReferralRejected(told)),
            ReferralStatus::Expired => Some(EventData::ReferralExpired(told)),
            ReferralStatus::Pending => None,
        });
        self.keep_referral(referral);
    }

    fn told_receiver(&self, frame: Frame<'_>, referral: &Referral) -> ReferralTold {
        let prize = frame.terms.referrals.as_ref().map(|terms| &terms.receiver);
        ReferralTold {
            referral_id: referral.id,
            role: Side::Receiver,
            status: referral.status,
            sender_id: referral.sender_id.clone(),
            receiver_id: self.member.face().id,
            sender_first_name: None,
            sender_email: None,
            channel: referral.channel.clone(),
            code: None,
            link: None,
            has_coupon: prize.is_some_and(|prize| prize.coupon.is_some()),
            new_user: false,
            referred_user: true,
            rewarded: referral.status == ReferralStatus::Approved,
            reason: referral.reason.clone(),
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
        SourceChange { id, event, received_at, from, member: Some(member), receipt }
    }
}
