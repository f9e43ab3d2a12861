//! Referrals: who was brought by whom, and who was rewarded for it.

use serde_json::json;

use super::super::program::{
    BRINGS_MOST, BRINGS_MOST_IN_MONTH, MINIMUM, NEW_FOR_DAYS, POINTS, RECEIVER_AWARD, REFERRAL_DAYS,
    SENDER_AWARD,
};
use super::super::purse::{DAY, Instant};
use super::super::steps::Verdict;
use super::achievement::Counted;
use super::{Call, Expected, Reference, gone_after, month};

/// How it stands with who brought somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Status {
    Pending,
    Approved,
    Rejected,
    Expired,
}

impl Status {
    /// The word in JSON.
    pub(in super::super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

/// By whom somebody was brought.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Referral {
    sender: usize,
    pub(in super::super) status: Status,
    made_at: Instant,
}

/// For bringing somebody.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reward {
    sender: usize,
    at: Instant,
}

impl Reference {
    /// By whom a member was brought, or else the first who was of those whom they absorbed; and which of them it is.
    fn brought(&self, member: usize) -> Option<(usize, Referral)> {
        let own = self.members[member].received.map(|received| (member, received));
        own.or_else(|| self.absorbed_by(member).into_iter().find_map(|absorbed| self.brought(absorbed)))
    }

    /// How it stands with who brought whoever answers for a member.
    pub(in super::super) fn referral(&self, member: usize) -> Option<Status> {
        self.brought(self.living(member)).map(|(_, received)| received.status)
    }

    /// When the first enrolled of those who are that member.
    fn enrolled_at(&self, member: usize) -> Instant {
        let absorbed = self.absorbed_by(member).into_iter().map(|absorbed| self.enrolled_at(absorbed));
        absorbed.fold(self.members[member].enrolled_at, Instant::min)
    }

    /// For how many others a member was rewarded.
    pub(in super::super) fn rewarded(&self, member: usize) -> usize {
        self.rewards_of(self.living(member)).count()
    }

    fn rewards_of(&self, member: usize) -> impl Iterator<Item = &Reward> {
        self.rewards.iter().filter(move |reward| self.living(reward.sender) == member)
    }

    fn has_room(&self, sender: usize) -> bool {
        let of_month = |reward: &&Reward| month(reward.at) == month(self.now);
        self.rewards_of(sender).count() < BRINGS_MOST
            && self.rewards_of(sender).filter(of_month).count() < BRINGS_MOST_IN_MONTH
    }

    pub(super) fn refer(&mut self, named: usize, code_of: usize) {
        let (member, sender) = (self.living(named), self.living(code_of));
        let known = self.referral(member);
        let expected = if member == sender {
            Expected::Refused("self_referral")
        } else if known.is_some_and(|known| known != Status::Expired) {
            Expected::Refused("already_referred")
        } else if self.has_visited(member) || self.now > self.enrolled_at(member) + NEW_FOR_DAYS * DAY {
            Expected::Refused("not_a_new_member")
        } else if !self.has_room(sender) {
            Expected::Refused("referral_limit_reached")
        } else {
            let referral = Referral { sender, status: Status::Pending, made_at: self.now };
            self.members[member].received = Some(referral);
            Expected::Done
        };
        self.send(member, Call::Refer(named, code_of), expected);
    }

    /// What a manager says of a referral.
    pub(super) fn settle_referral(&mut self, named: usize, verdict: Verdict) {
        let member = self.living(named);
        let expected = match self.referral(member) {
            None => Expected::Refused("no_referral"),
            Some(Status::Approved | Status::Rejected | Status::Expired) => {
                Expected::Refused("referral_not_pending")
            }
            Some(Status::Pending) => {
                match verdict {
                    Verdict::Approve => {
                        self.approve(member, self.now);
                        self.judge(member, Counted::More, self.now, None);
                        self.reward_sender(member);
                    }
                    Verdict::Reject => self.end(member, Status::Rejected),
                }
                Expected::Done
            }
        };
        let (what, body) = match verdict {
            Verdict::Approve => ("referral/approve", json!({})),
            Verdict::Reject => ("referral/reject", json!({ "reason": "the same household" })),
        };
        self.send(member, Call::Command(named, what, body), expected);
    }

    /// An order that is large enough approves, as long as enough of it is left.
    pub(super) fn see_order(&mut self, order: usize, member: usize, at: Instant) {
        let order = &self.orders[order];
        let is_theirs = order.owner.is_some_and(|owner| self.living(owner) == member);
        let received = self.brought(member).map(|(_, received)| received);
        let pending = received.filter(|received| received.status == Status::Pending);
        let by_another = pending.is_some_and(|pending| self.living(pending.sender) != member);
        if is_theirs && by_another && order.spent() >= Some(MINIMUM) {
            self.approve(member, at);
            self.reward_sender(member);
        }
    }

    /// What it brings is whose referral it is.
    fn approve(&mut self, member: usize, at: Instant) {
        self.end(member, Status::Approved);
        if let Some((receiver, _)) = self.brought(member) {
            self.happens_to(receiver, |purses| purses[POINTS].credit(RECEIVER_AWARD, gone_after(at)));
        }
    }

    /// What follows for the sender happens after everything else, and is never refused.
    fn reward_sender(&mut self, receiver: usize) {
        self.follows = true;
        let Some((_, received)) = self.brought(receiver) else { return };
        let sender = self.living(received.sender);
        if self.has_room(sender) {
            // Whoever's code it was has it, although somebody else answers for them now.
            self.rewards.push(Reward { sender: received.sender, at: self.now });
            let gone = gone_after(self.now);
            self.happens_to(received.sender, |purses| purses[POINTS].credit(SENDER_AWARD, gone));
            self.judge(sender, Counted::More, self.now, None);
        }
    }

    fn end(&mut self, member: usize, status: Status) {
        if let Some((whose, received)) = self.brought(member) {
            self.members[whose].received = Some(Referral { status, ..received });
        }
    }

    pub(super) fn expire_referrals(&mut self) {
        for member in &mut self.members {
            let due = |received: &&mut Referral| {
                received.status == Status::Pending && received.made_at + REFERRAL_DAYS * DAY <= self.now
            };
            if let Some(received) = member.received.as_mut().filter(due) {
                received.status = Status::Expired;
            }
        }
    }
}
