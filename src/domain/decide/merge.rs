//! Two members who are one person; and what is undone when they were not.

use std::sync::Arc;

use smol_str::SmolStr;

use super::points::Line;
use super::{Draft, Frame, Occasion};
use crate::domain::command::Command;
use crate::domain::commit::CouponsMove;
use crate::domain::effect::Mark;
use crate::domain::erasure::body_without_person;
use crate::domain::ids::MemberId;
use crate::domain::ledger::{Account, ChainAccount};
use crate::domain::loyalty_event::EventData;
use crate::domain::member::Member;
use crate::domain::merge::{Ended, Handed, Possessions};
use crate::domain::money::Points;
use crate::domain::people::{Forfeited, Reunion};
use crate::domain::refusal::Refused;
use crate::domain::source_event::SourceData;

impl Draft {
    /// `member.merge`: the member takes over everything of the other one that lies on the desk.
    pub(super) fn merge(&mut self, frame: Frame<'_>) -> Result<(), Refused> {
        let guest = self.desk.guest.take();
        let mut guest =
            guest.ok_or_else(|| Refused::new("unknown_member", "`from` names no member of this chain"))?;
        let other = &mut guest.member;
        if other.id == self.member.id {
            return Err(Refused::new("same_member", "`from` names the very member that would absorb them"));
        }
        if other.is_erased() {
            return Err(erased());
        }
        let status = other.standing.status;
        let absorbed = other.known_as();
        let identities = other.identities.clone();
        let tier_before = self.member.standing.tier.clone();
        let handed = self.member.absorb(other, &frame.terms.tiers, self.now)?;
        self.member.standing.memo.keep(&frame.terms.counters, &frame.terms.marks);
        self.hand_over(frame, "members merged", &handed, (other.id, self.member.id));
        self.people.move_identities(&identities, other.id, Some(self.member.id));
        self.people.coupons = Some(CouponsMove::Join { from: other.id, to: self.member.id });
        self.told.push(EventData::MemberMerged(Box::new(Reunion::of(absorbed, other.id, &handed))));
        self.tell_tier(frame, tier_before);
        if status < self.member.standing.status {
            self.mark(Mark::from(status), &[]);
        }
        self.desk.tombstones.add(*guest);
        // What the other's points were due for is due now.
        Ok(self.catch_up(frame)?)
    }

    /// `member.unmerge`: the one who was absorbed, and lies on the desk, is a member of their own again.
    pub(super) fn unmerge(&mut self, frame: Frame<'_>, id: MemberId) -> Result<(), Refused> {
        let not_merged = || Refused::new("not_merged", format!("{id} was not merged into this member"));
        let mut other = self.desk.tombstones.take(id).ok_or_else(not_merged)?;
        let tier_before = self.member.standing.tier.clone();
        let handed = self.member.release(&mut other, &mut self.desk.tombstones, &frame.terms.tiers)?;
        self.hand_over(frame, "members unmerged", &handed, (self.member.id, other.id));
        self.people.move_identities(&other.identities, self.member.id, Some(other.id));
        let absorbed = other.absorbed.ids().to_vec();
        self.people.coupons = Some(CouponsMove::Part { from: self.member.id, to: other.id, absorbed });
        self.tell_tier(frame, tier_before);
        let known_as = other.known_as();
        self.told.push(EventData::MemberUnmerged(Box::new(Reunion::of(known_as, other.id, &handed))));
        // Their own deadlines are set when they are woken, which is at once.
        other.next_wake_at = Some(self.now);
        self.people.others.push(other);
        // What is the member's again may be due by now.
        Ok(self.catch_up(frame)?)
    }

    /// What is theirs, to be changed, of the one whose order is at hand, if the member has absorbed them.
    pub(super) fn theirs(&mut self) -> impl Iterator<Item = &mut Possessions> {
        let owner = self.order.as_ref().and_then(|order| order.member);
        self.desk.tombstones.line(owner)
    }

    /// `member.erase`: the person goes, and with them everybody they absorbed; the books stay.
    pub(super) fn erase(&mut self, frame: Frame<'_>) -> Result<(), Refused> {
        self.abandon_redemptions(frame)?;
        let cause = self.cause_of_command(frame);
        let reason = SmolStr::new_static("member erased");
        let handed: Vec<_> = self.member.standing.wallets.iter().map(Handed::of).collect();
        for handed in &handed {
            for (account, amount) in handed.lines() {
                let own = account(self.member.id);
                let chain = Account::Chain(ChainAccount::Forfeited);
                let (debit, credit) = if amount > Points::ZERO { (own, chain) } else { (chain, own) };
                let line = Line { member: self.member.id, wallet: &handed.wallet, debit, credit };
                self.write_line(line, Points(amount.0.abs()), &cause, &reason);
            }
        }
        let known_as = self.member.known_as();
        self.people.move_identities(&self.member.identities, self.member.id, None);
        let erased = |member: &mut Member, at| {
            member.vacate();
            member.ended = Some(Ended::Erased(at));
        };
        let mut others = std::mem::take(&mut self.desk.tombstones).into_members();
        others.iter_mut().for_each(|other| erased(other, self.now));
        erased(&mut self.member, self.now);
        self.people.erased = others.iter().chain([&*self.member]).map(|member| member.id).collect();
        self.people.others = others;
        self.told.push(EventData::MemberErased(Box::new(Forfeited::of(known_as, self.member.id, &handed))));
        Ok(())
    }

    /// What comes after somebody was erased changes nothing: a refund of an old order, a till that still has our id.
    pub(super) fn hear_of_the_erased(&mut self) -> Result<(), Refused> {
        self.runs_rules = false;
        let Occasion::Source(input) = &mut self.occasion else { return Ok(()) };
        let note = match &input.event.data {
            SourceData::Command(Command::Erase) => "the member was erased before",
            // What they follow of has happened.
            SourceData::Command(Command::Referral(command)) if command.is_follow_up() => {
                "the member was erased; this changes nothing"
            }
            SourceData::Command(_) | SourceData::MemberUpdated(_) => return Err(erased()),
            _ => "the member was erased; this changes nothing",
        };
        // It would bring the person back into the log.
        if let Some(body) = body_without_person(&input.event.body, self.member.id) {
            Arc::make_mut(&mut input.event).body = body.into();
        }
        self.note(note);
        Ok(())
    }

    /// Books points that go from one member to another who is the same person. A line each, so that each line is about
    /// one member alone.
    fn hand_over(
        &mut self,
        frame: Frame<'_>,
        reason: &str,
        handed: &[Handed],
        (from, to): (MemberId, MemberId),
    ) {
        let cause = self.cause_of_command(frame);
        let reason = SmolStr::new(reason);
        let way = Account::Chain(ChainAccount::Merged);
        for handed in handed {
            let wallet = &handed.wallet;
            for (account, amount) in handed.lines() {
                let (giver, taker) = if amount > Points::ZERO { (from, to) } else { (to, from) };
                let amount = Points(amount.0.abs());
                let out = Line { member: giver, wallet, debit: account(giver), credit: way };
                self.write_line(out, amount, &cause, &reason);
                let into = Line { member: taker, wallet, debit: way, credit: account(taker) };
                self.write_line(into, amount, &cause, &reason);
            }
        }
    }
}

/// Nothing happens any more to somebody who was erased.
pub(super) fn erased() -> Refused {
    Refused::new("member_erased", "the member was erased; nothing can be done for them any more")
}
