//! Rewards: points spent on them, and given back when nothing comes of it.

use std::borrow::Cow;

use chrono::Duration;

use super::points::Movement;
use super::{Draft, Frame, Refusal};
use crate::domain::achievement::Brought;
use crate::domain::command::{RedemptionOrder, Wish};
use crate::domain::effect::Cause;
use crate::domain::ids::RedemptionId;
use crate::domain::ledger::{Account, ChainAccount};
use crate::domain::loyalty_event::{EventData, PointsMoved};
use crate::domain::money::Points;
use crate::domain::redemption::{
    Counted, MAX_OPEN, Redemption, RedemptionStatus, RewardFace, Step, StockWay,
};
use crate::domain::refusal::Refused;
use crate::domain::terms::reward::{Approval, RewardTerms};
use crate::domain::terms::wallet::WalletTerms;
use crate::domain::text::{Name, Note};
use crate::domain::wallet::Lot;

impl Draft {
    /// Spends points on a reward.
    pub(super) fn redeem(&mut self, frame: Frame<'_>, wish: &Wish) -> Result<(), Refused> {
        let reward = frame.terms.reward(&wish.reward).ok_or_else(|| {
            let problem = format!("there is no reward called `{}` in program.toml", wish.reward);
            Refused::new("unknown_reward", problem)
        })?;
        let wallet = frame.wallet(reward.wallet.as_ref())?;
        self.may_have(reward)?;
        let balance = self.balance(wallet);
        if balance < reward.cost {
            let problem = format!("`{}` costs {}, and the balance is {balance}", reward.id, reward.cost);
            return Err(Refused::new("insufficient_points", problem));
        }
        let cause = self.cause_of_command(frame);
        let movement = Movement { cause: &cause, wallet, amount: reward.cost, reason: reward.title.shared() };
        let (moved, drawn) = self.debit(movement, ChainAccount::Redeemed)?;
        self.hand_out(frame, reward, wallet, Some((moved, drawn)));
        Ok(())
    }

    /// `give_reward` of a rule: the guest has it for nothing; its stock and its limit count.
    pub(super) fn give_reward(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        reward: &Name,
    ) -> Result<(), Refusal> {
        let terms = frame.terms.reward(reward);
        let terms = terms.ok_or_else(|| Refusal::NotDeclared("reward", reward.clone()))?;
        self.may_have(terms)?;
        let redemption = self.hand_out(frame, terms, frame.wallet(terms.wallet.as_ref())?, None);
        self.remember_in_reaction(&Brought::Reward { redemption });
        self.line(cause, "give_reward", None, Some(reward.clone()));
        Ok(())
    }

    /// A redemption that the member may have, and has paid, or need not.
    fn hand_out(
        &mut self,
        frame: Frame<'_>,
        reward: &RewardTerms,
        wallet: &WalletTerms,
        paid: Option<(PointsMoved, Vec<Lot>)>,
    ) -> RedemptionId {
        let (moved, drawn) = paid.unzip();
        let days = reward.expires_after_days;
        let redemption = Redemption {
            id: self.next_redemption(),
            member: self.member.id,
            reward: RewardFace { id: reward.id.clone(), title: reward.title.clone(), kind: reward.kind },
            status: match reward.approval {
                Approval::Automatic => RedemptionStatus::Approved,
                Approval::ByHand => RedemptionStatus::Pending,
            },
            wallet: wallet.code.clone(),
            points_spent: moved.as_ref().map_or(Points::ZERO, |moved| moved.amount),
            drawn: drawn.unwrap_or_default(),
            counted: Counted { stock: reward.stock.is_some(), limit: reward.limit_per_member.is_some() },
            created_at: self.now,
            updated_at: self.now,
            expires_at: days.map(|days| self.now + Duration::days(days.into())),
            reason: None,
            code: None,
        };
        if let Some(of) = reward.stock {
            self.desk.redemptions.move_stock(reward.id.clone(), StockWay::Take { of });
        }
        self.member.standing.redemptions.opened(&redemption, frame.terms);
        self.told.push(EventData::RedemptionCreated(redemption.told()));
        self.told.extend(moved.map(EventData::PointsRedeemed));
        self.tell_status(&redemption);
        let id = redemption.id;
        self.desk.redemptions.keep(redemption);
        id
    }

    /// Takes a reward back that was given for nothing, unless the guest has it already.
    pub(super) fn revoke_reward(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        id: RedemptionId,
    ) -> Result<(), Refusal> {
        let Some(known) = self.desk.redemptions.known.get(&id).cloned() else {
            self.wanted.redemptions.named.insert(id);
            return Err(Refusal::Lacks);
        };
        let mut redemption = match known {
            Some(open) if open.status.is_open() => open,
            // It came to nothing already, or the guest has it.
            Some(_) | None => return Ok(()),
        };
        redemption.status = RedemptionStatus::Cancelled;
        redemption.reason = Note::parse_shared(cause.rule.clone()).ok();
        self.tell_status(&redemption);
        self.keep_redemption(frame, cause, redemption);
        Ok(())
    }

    /// The id of one more redemption of this decision.
    fn next_redemption(&self) -> RedemptionId {
        let derived = (0..).map(|n| RedemptionId::derived(self.cause_id(), n));
        let mut free = derived.filter(|id| !self.desk.redemptions.known.contains_key(id));
        free.next().unwrap_or_else(|| unreachable!("a decision makes few redemptions"))
    }

    /// Whether the member may have the reward now, points aside.
    fn may_have(&mut self, reward: &RewardTerms) -> Result<(), Refusal> {
        let carried = &self.member.standing.redemptions;
        if let Some(limit) = reward.limit_per_member.filter(|limit| carried.has(&reward.id) >= *limit) {
            let problem = format!("a member may have {limit} of `{}`, and has them", reward.id);
            return Err(Refused::new("reward_limit_reached", problem).into());
        }
        if carried.open() >= MAX_OPEN {
            let problem =
                format!("{MAX_OPEN} redemptions of this member are open; fulfil or cancel one first");
            return Err(Refused::new("too_many_redemptions", problem).into());
        }
        match (reward.stock, self.desk.redemptions.taken.get(&reward.id)) {
            (None, _) => Ok(()),
            (Some(_), None) => {
                self.wanted.redemptions.stock.insert(reward.id.clone());
                Err(Refusal::Lacks)
            }
            (Some(stock), Some(taken)) if *taken < stock => Ok(()),
            (Some(_), Some(_)) => {
                Err(Refused::new("out_of_stock", format!("nothing is left of `{}`", reward.id)).into())
            }
        }
    }

    /// What a manager, or whoever hands rewards over, does with a redemption.
    pub(super) fn step_redemption(
        &mut self,
        frame: Frame<'_>,
        step: Step,
        order: &RedemptionOrder,
    ) -> Result<(), Refused> {
        let Some(known) = self.desk.redemptions.known.get(&order.redemption).cloned() else {
            self.wanted.redemptions.named.insert(order.redemption);
            return Err(Refusal::Lacks.into());
        };
        let mut redemption =
            known.filter(|known| self.member.answers_for(known.member)).ok_or_else(|| {
                let problem = format!("this member has no redemption {}", order.redemption);
                Refused::new("unknown_redemption", problem)
            })?;
        redemption.status = redemption.status.after(step)?;
        redemption.reason = order.reason.clone().or(redemption.reason);
        redemption.code = order.code.clone().or(redemption.code);
        self.tell_status(&redemption);
        let cause = self.cause_of_command(frame);
        self.keep_redemption(frame, &cause, redemption);
        Ok(())
    }

    /// Ends the redemptions whose time is over.
    pub(super) fn expire_redemptions(&mut self, frame: Frame<'_>) -> Result<(), Refusal> {
        let due: Vec<_> = self.member.standing.redemptions.due(self.now).collect();
        let cause = frame.engine("not fulfilled in time");
        self.end_redemptions(frame, &cause, &due, |redemption| redemption.status = RedemptionStatus::Expired)
    }

    /// Cancels whatever is open of somebody who is about to be forgotten: nobody will come for it.
    pub(super) fn abandon_redemptions(&mut self, frame: Frame<'_>) -> Result<(), Refusal> {
        let open: Vec<_> = self.member.standing.redemptions.ids().collect();
        let cause = self.cause_of_command(frame);
        self.end_redemptions(frame, &cause, &open, |redemption| {
            redemption.status = RedemptionStatus::Cancelled;
            redemption.reason = Note::parse("the member was erased").ok();
        })
    }

    fn end_redemptions(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        ids: &[RedemptionId],
        end: impl Fn(&mut Redemption),
    ) -> Result<(), Refusal> {
        let unknown = ids.iter().filter(|id| !self.desk.redemptions.known.contains_key(id));
        self.wanted.redemptions.carried.extend(unknown);
        if !self.wanted.redemptions.is_empty() {
            return Err(Refusal::Lacks);
        }
        for id in ids {
            // One that is carried and not there is damage, which whoever lays it out has reported.
            let Some(mut redemption) = self.desk.redemptions.known.get(id).cloned().flatten() else {
                continue;
            };
            end(&mut redemption);
            self.tell_status(&redemption);
            self.keep_redemption(frame, cause, redemption);
        }
        Ok(())
    }

    /// Keeps what became of a redemption; one that came to nothing gives back what it took.
    fn keep_redemption(&mut self, frame: Frame<'_>, cause: &Cause, mut redemption: Redemption) {
        redemption.updated_at = self.now;
        if !redemption.status.is_open() {
            self.member.standing.redemptions.closed(&redemption);
            for theirs in self.desk.tombstones.line(Some(redemption.member)) {
                theirs.standing.redemptions.closed(&redemption);
            }
            if redemption.status.came_to_nothing() {
                self.give_back(frame, cause, &redemption);
            }
        }
        self.desk.redemptions.keep(redemption);
    }

    /// Gives the points back into the lots they came from, as far as there is room for them. What has expired meanwhile
    /// expires again at once.
    fn give_back(&mut self, frame: Frame<'_>, cause: &Cause, redemption: &Redemption) {
        if redemption.counted.stock {
            let reward = redemption.reward.id.clone();
            self.desk.redemptions.move_stock(reward, StockWay::GiveBack);
        }
        // The program may have dropped the wallet since; the points are the member's all the same.
        let declared = frame.terms.wallet(Some(&redemption.wallet));
        let wallet =
            declared.map_or_else(|| Cow::Owned(WalletTerms::plain(redemption.wallet.clone())), Cow::Borrowed);
        let held = self.member.standing.wallets.open(&wallet.code);
        let amount = held.put_back(&redemption.drawn);
        for theirs in self.desk.tombstones.line(Some(redemption.member)) {
            let held = theirs.wallet(&wallet.code);
            held.put_back(&redemption.drawn);
            held.expire(self.now);
        }
        self.desk.tombstones.make_up(&mut self.member, redemption.member, &wallet.code, amount);
        let held = self.member.standing.wallets.open(&wallet.code);
        held.used_at = held.used_at.or(wallet.expiry.when_used(self.at, None));
        let new_balance = held.balance();
        let (spent, reason) = (redemption.points_spent, redemption.reward.title.shared());
        if amount < spent {
            self.note(format!(
                "only {amount} of {spent} {} were given back: there is no room for more",
                wallet.plural
            ));
        }
        if amount == Points::ZERO {
            return;
        }
        let movement = Movement { cause, wallet: &wallet, amount, reason };
        self.book(movement, Account::Chain(ChainAccount::Redeemed), Account::Member(self.member.id));
        self.told.push(EventData::PointsReturned(PointsMoved {
            amount,
            taken: false,
            wallet: wallet.code.clone(),
            new_balance,
            reason: reason.clone(),
            expires_at: None,
            order_id: None,
        }));
        self.expire_due(frame, &wallet, self.now);
    }

    fn tell_status(&mut self, redemption: &Redemption) {
        self.told.push(EventData::Redemption(redemption.told()));
    }
}
