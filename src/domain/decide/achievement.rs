//! Achievements: what counts for them, earned, revoked, told.

use rust_decimal::Decimal;

use super::points::Movement;
use super::{Draft, Frame, Occasion, Refusal};
use crate::domain::Timestamp;
use crate::domain::achievement::{
    AchievementEarned, AchievementProgressed, AchievementRevoked, Brought, Evidence, Feat, StreakBroken,
    Verdict,
};
use crate::domain::coupon::{CouponCode, Rejection};
use crate::domain::effect::Cause;
use crate::domain::ids::{EventId, MemberId};
use crate::domain::ledger::ChainAccount;
use crate::domain::loyalty_event::{EventData, LoyaltyEvent, PointsMoved};
use crate::domain::money::{Money, Points};
use crate::domain::order::OrderRecord;
use crate::domain::source_event::SourceType;
use crate::domain::terms::achievement::{Achievement, Counts, Goal, Measure, OnRefund, Prize, Steps};
use crate::domain::terms::wallet::start_of;
use crate::domain::text::Name;

/// Whether a decision changed anything that achievements may count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Counted {
    Nothing,
    /// Something came.
    More,
    /// Something was taken back.
    Less,
}

impl Counted {
    /// What a change by so much is.
    pub(super) fn by(change: Decimal) -> Self {
        match change {
            zero if zero.is_zero() => Self::Nothing,
            change if change > Decimal::ZERO => Self::More,
            _ => Self::Less,
        }
    }
}

impl Draft {
    /// Something came to count for achievements, or counts no longer.
    pub(super) fn has_counted(&mut self, what: Counted) {
        self.counted = self.counted.max(what);
    }

    /// `achieve` of a rule: once, whatever the goal says.
    pub(super) fn achieve(&mut self, frame: Frame<'_>, name: &Name) {
        if self.member.standing.achievements.contains_key(name) {
            return;
        }
        match frame.terms.achievement(name) {
            Some(achievement) => self.earn_achievement(frame, achievement, None),
            None => {
                self.member.standing.achievements.insert(name.clone(), self.at);
                let (name, times) = (name.clone(), 1);
                let earned = AchievementEarned { achievement: name, name: None, times, target: None };
                self.told.push(EventData::AchievementEarned(earned));
            }
        }
    }

    /// `progress` of a rule. What it reports of an order goes with the order.
    pub(super) fn report_progress(
        &mut self,
        frame: Frame<'_>,
        name: &Name,
        amount: Decimal,
    ) -> Result<(), Refusal> {
        let goal = frame.terms.achievement(name).and_then(|achievement| achievement.goal.as_ref());
        let Some(Goal { measure: Measure::Sum(Counts::Reported, period), .. }) = goal else {
            return Err(Refusal::NoProgressReported(name.clone()));
        };
        let is_of_order = self.is_about_completed_order();
        match &mut self.order {
            Some(order) if is_of_order => order.report(name, amount),
            _ => {
                let feats = &mut self.member.standing.feats;
                feats.entry(name.clone()).or_default().count(*period, self.today, amount);
                self.has_counted(Counted::by(amount));
            }
        }
        Ok(())
    }

    /// Whether what is decided on completes an order, or changes one that was completed.
    fn is_about_completed_order(&self) -> bool {
        match &self.occasion {
            Occasion::Source(input) => {
                input.event.kind() == SourceType::OrderCompleted || self.changed_order().is_some()
            }
            Occasion::Tick { .. } | Occasion::Due { .. } => false,
        }
    }

    /// After the rules: counts what the order at hand comes to, and says what was earned by it, or is no longer.
    pub fn settle_achievements(&mut self, frame: Frame<'_>) {
        if frame.terms.achievements.iter().all(|achievement| achievement.goal.is_none()) {
            return;
        }
        self.count_earned_points(frame);
        self.recount_order(frame);
        if self.counted == Counted::Nothing {
            return;
        }
        let order_day = self.order.as_ref().and_then(|order| order.day).unwrap_or(self.today);
        let days = if order_day == self.today { &[self.today][..] } else { &[self.today, order_day] };
        let today = self.judged_on(frame);
        for achievement in &frame.terms.achievements {
            let Some(goal) = &achievement.goal else { continue };
            let on_refund = match self.counted {
                Counted::Less => achievement.on_refund,
                Counted::Nothing | Counted::More => OnRefund::Keep,
            };
            let member = &mut *self.member;
            let history = &member.history;
            let evidence = Evidence { history, days, today, on_refund };
            // Taken out while it is judged: most achievements of most members are empty, and stay so.
            let mut feat = member.standing.feats.remove(&achievement.id).unwrap_or_default();
            let verdicts = feat.judge(goal, evidence);
            let step = match goal.steps {
                Steps::Told => feat.step(goal, history, self.today),
                Steps::Silent => None,
            };
            let step = step.map(|progress| progressed(achievement, goal, &feat, progress, self));
            if feat != Feat::default() {
                self.member.standing.feats.insert(achievement.id.clone(), feat);
            }
            self.told.extend(step);
            for verdict in verdicts {
                match verdict {
                    Verdict::Earned(nth) => self.earn_achievement(frame, achievement, Some(nth)),
                    Verdict::Revoked(brought) => self.revoke_achievement(frame, achievement, brought),
                }
            }
        }
        self.counted = Counted::Nothing;
    }

    /// What the order at hand counts for achievements that keep a count of their own.
    fn recount_order(&mut self, frame: Frame<'_>) {
        let member = &self.member;
        let is_mine = |order: &&mut OrderRecord| order.member.is_some_and(|owner| member.answers_for(owner));
        let Some(order) = self.order.as_mut().filter(is_mine) else { return };
        let day = order.day.unwrap_or(self.today);
        let mut counted = self.counted;
        for (achievement, counts) in frame.terms.counted_by_order() {
            let change = order.recount(achievement, counts);
            let goal = frame.terms.achievement(achievement).and_then(|known| known.goal.as_ref());
            if let Some(Goal { measure: Measure::Sum(_, period), .. }) = goal.filter(|_| !change.is_zero()) {
                let feats = &mut self.member.standing.feats;
                feats.entry(achievement.clone()).or_default().count(*period, day, change);
                for theirs in self.desk.tombstones.line(order.member) {
                    let feats = &mut theirs.standing.feats;
                    feats.entry(achievement.clone()).or_default().count(*period, day, change);
                }
                counted = counted.max(Counted::by(change));
            }
        }
        self.counted = counted;
    }

    /// It is the member's now, with what it brings. `nth` says for so-many-th time its
    /// goal was reached.
    fn earn_achievement(&mut self, frame: Frame<'_>, achievement: &Achievement, nth: Option<u32>) {
        let Achievement { id, name, goal, prize, .. } = achievement;
        self.member.standing.achievements.insert(id.clone(), self.at);
        let times = nth.unwrap_or(1);
        self.told.push(EventData::AchievementEarned(AchievementEarned {
            achievement: id.clone(),
            name: Some(name.clone()),
            times,
            target: goal.as_ref().map(|goal| Money::new(goal.target)),
        }));
        if *prize == Prize::default() {
            return;
        }
        let cause = frame.engine(&format!("achievement {id}"));
        let brought = self.give_prize(frame, &cause, prize);
        nth.into_iter().for_each(|nth| brought.iter().for_each(|one| self.remember_prize(id, nth, one)));
    }

    /// Gives what something brings: points that can be spent at once, a coupon; each although the other one cannot be
    /// given. Answers what that came to.
    pub(super) fn give_prize(&mut self, frame: Frame<'_>, cause: &Cause, prize: &Prize) -> Vec<Brought> {
        let points = prize.points.as_ref().map(|(wallet, points)| {
            self.all_or_nothing(|draft| draft.give_points(frame, cause, wallet.as_ref(), *points))
        });
        let coupon = prize.coupon.as_ref().map(|book| {
            let coupon = self.all_or_nothing(|draft| draft.assign_coupon(frame, cause, book));
            coupon.map(|coupon| Some(Brought::Coupon { coupon }))
        });
        let mut brought = Vec::new();
        for given in [points, coupon].into_iter().flatten() {
            match given {
                Ok(given) => brought.extend(given),
                Err(Refusal::Lacks) => {}
                Err(refusal) => self.note(format!("{} brings less than it should: {refusal}", cause.rule)),
            }
        }
        brought
    }

    fn give_points(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        wallet: Option<&Name>,
        points: Points,
    ) -> Result<Option<Brought>, Refusal> {
        let wallet = frame.wallet(wallet)?;
        let points = self.room_for(wallet, points);
        self.line(cause, "award", Some((wallet, points)), None);
        if points == Points::ZERO {
            return Ok(None);
        }
        let movement = Movement { cause, wallet, amount: points, reason: &cause.rule };
        let moved = self.credit(frame, movement, ChainAccount::Issued)?;
        let moved = PointsMoved { order_id: self.order_at_hand(), ..moved };
        self.told.push(EventData::PointsEarned(moved));
        Ok(Some(Brought::Points { wallet: wallet.code.clone(), points }))
    }

    /// Takes back what something brought; off what is theirs, if `owner` was absorbed by the member. Answers the coupons
    /// that are used already: they stay.
    pub(super) fn take_prize_back(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        brought: Vec<Brought>,
        owner: Option<MemberId>,
    ) -> Vec<CouponCode> {
        let mut kept = Vec::new();
        for one in brought {
            let taken = match one {
                Brought::Points { wallet, points } => {
                    self.take_points_back(frame, cause, (&wallet, points), owner)
                }
                Brought::Coupon { coupon } => match self.withdraw_coupon(frame, cause, &coupon) {
                    Err(Refusal::Coupon(Rejection::Used)) => {
                        kept.push(coupon);
                        Ok(())
                    }
                    other => other,
                },
                Brought::Reward { redemption } => self.revoke_reward(frame, cause, redemption),
            };
            if let Err(refusal) = taken
                && refusal != Refusal::Lacks
            {
                self.note(format!("{}: something that it brought stays: {refusal}", cause.rule));
            }
        }
        kept
    }

    fn take_points_back(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        (wallet, points): (&Name, Points),
        owner: Option<MemberId>,
    ) -> Result<(), Refusal> {
        let wallet = frame.wallet(Some(wallet))?;
        let movement = Movement { cause, wallet, amount: points, reason: &cause.rule };
        let taken = self.reclaim(frame, movement, Points::ZERO, owner)?;
        self.line(cause, "take_back", Some((wallet, taken)), None);
        Ok(())
    }

    /// Remembers something that an achievement brought, so that it goes with it.
    pub(super) fn remember_prize(&mut self, id: &Name, nth: u32, brought: &Brought) {
        if let Some(feat) = self.member.standing.feats.get_mut(id) {
            feat.bring(nth, brought);
        }
    }

    /// What earned it was taken back, and so is it, with what it brought.
    fn revoke_achievement(&mut self, frame: Frame<'_>, achievement: &Achievement, brought: Vec<Brought>) {
        let id = &achievement.id;
        let times = self.member.standing.feats.get(id).map_or(0, Feat::times);
        if times == 0 {
            self.member.standing.achievements.remove(id);
        }
        let told = self.told.len();
        let cause = frame.engine(&format!("achievement {id} revoked"));
        let order_of = self.order.as_ref().and_then(|order| order.member);
        let loser = self.desk.tombstones.loser_of(id, order_of, times);
        self.desk.tombstones.line(loser).for_each(|theirs| theirs.lose(id, &brought));
        let coupons_kept = self.take_prize_back(frame, &cause, brought, loser);
        let (achievement, name) = (id.clone(), achievement.name.clone());
        let revoked = AchievementRevoked { achievement, name, times, coupons_kept };
        self.told.insert(told, EventData::AchievementRevoked(revoked)); // before what goes with it
    }

    /// What rules give on an achievement that was earned goes with it.
    pub(super) fn remember_in_reaction(&mut self, brought: &Brought) {
        if let Some(EventData::AchievementEarned(earned)) = &self.reacts_to {
            let (achievement, times) = (earned.achievement.clone(), earned.times);
            self.remember_prize(&achievement, times, brought);
        }
    }

    /// What was told so far, for rules that react to it.
    pub fn told(&self) -> &[EventData] {
        &self.told
    }

    /// What is told, as rules that react to it see it.
    pub fn event(&self, frame: Frame<'_>, data: EventData) -> LoyaltyEvent {
        LoyaltyEvent {
            id: EventId::derived(self.cause_id(), 0),
            chain: frame.chain.clone(),
            subject: None,
            at: self.at,
            data,
            source_key: None,
            program_version: frame.program_version,
        }
    }

    /// Rules react to this from now on, until they react to nothing.
    pub fn react_to(&mut self, told: Option<EventData>) {
        self.reacts_to = told;
    }

    /// Tells of streaks that can no longer be continued.
    pub(super) fn break_streaks(&mut self, frame: Frame<'_>) {
        let today = self.judged_on(frame);
        for achievement in &frame.terms.achievements {
            let Some(Goal { measure: Measure::Streak(unit), .. }) = &achievement.goal else { continue };
            let feat = self.member.standing.feats.get_mut(&achievement.id);
            if let Some(broken) = feat.and_then(|feat| feat.find_broken(*unit, today)) {
                self.told.push(EventData::StreakBroken(StreakBroken {
                    achievement: achievement.id.clone(),
                    name: achievement.name.clone(),
                    unit: *unit,
                    length: broken.length,
                    last: broken.last,
                }));
            }
        }
    }

    /// When the first streak of the member breaks, unless they come.
    pub(super) fn streak_deadline(&self, frame: Frame<'_>) -> Option<Timestamp> {
        let feats = &self.member.standing.feats;
        let breaks = frame.terms.achievements.iter().filter_map(|achievement| match &achievement.goal {
            Some(Goal { measure: Measure::Streak(unit), .. }) => feats.get(&achievement.id)?.breaks_on(*unit),
            _ => None,
        });
        breaks.min().and_then(|day| start_of(day, frame.timezone))
    }
}

fn progressed(
    achievement: &Achievement,
    goal: &Goal,
    feat: &Feat,
    progress: Decimal,
    draft: &Draft,
) -> EventData {
    EventData::AchievementProgressed(AchievementProgressed {
        achievement: achievement.id.clone(),
        name: achievement.name.clone(),
        progress: Money::new(progress),
        target: Money::new(goal.target),
        period_start: feat.period_start(goal, &draft.member.history, draft.today),
    })
}
