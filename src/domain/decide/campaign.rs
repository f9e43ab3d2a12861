//! What campaigns may still give, and what they gave.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::NaiveDate;

use super::order::OrderNews;
use super::points::Movement;
use super::{Draft, Frame, Refusal};
use crate::domain::campaign::{CampaignExhausted, Closed, Limit, Pot, Way};
use crate::domain::effect::Cause;
use crate::domain::loyalty_event::EventData;
use crate::domain::money::Points;
use crate::domain::order::OrderRecord;
use crate::domain::terms::Terms;
use crate::domain::terms::campaign::{CampaignTerms, Span};
use crate::domain::terms::wallet::WalletTerms;
use crate::domain::text::Name;

impl Frame<'_> {
    /// The cause of a movement in a wallet: without the campaign, if that does not count points of this wallet.
    pub(super) fn cause_in<'c>(self, wallet: &WalletTerms, cause: &'c Cause) -> Cow<'c, Cause> {
        let Some(id) = &cause.campaign else { return Cow::Borrowed(cause) };
        let counts = |campaign: &CampaignTerms| {
            self.terms.wallet(campaign.wallet.as_ref()).is_some_and(|counted| counted.code == wallet.code)
        };
        match self.terms.campaign(id).is_some_and(counts) {
            true => Cow::Borrowed(cause),
            false => Cow::Owned(Cause { campaign: None, ..cause.clone() }),
        }
    }
}

impl Draft {
    /// The day for which an order counts.
    pub(super) fn day_of_order(&self) -> NaiveDate {
        self.order.as_ref().and_then(|order| order.day).unwrap_or(self.today)
    }

    /// The day of what rules are asked about: of a completed order its own, however late it is asked about.
    pub(super) fn day_of_rules(&self) -> NaiveDate {
        match self.order_news {
            OrderNews::Completed | OrderNews::Changed(_) | OrderNews::Again if self.reacts_to.is_none() => {
                self.day_of_order()
            }
            _ => self.today,
        }
    }

    /// Why the rules of a campaign are not asked at all, if they are not.
    pub fn rests(&self, terms: &Terms, cause: &Cause) -> Option<Closed> {
        terms.campaign(cause.campaign.as_ref()?)?.rests_on(self.day_of_rules())
    }

    /// Why the rules of a campaign have nothing to give to the member, if they have not.
    ///
    /// # Errors
    /// It must be looked up what the campaign has given.
    pub fn exhausted(&mut self, terms: &Terms, cause: &Cause) -> Result<Option<Closed>, Refusal> {
        let Some(campaign) = cause.campaign.as_ref().and_then(|id| terms.campaign(id)) else {
            return Ok(None);
        };
        let least = self.least_left(campaign, self.day_of_rules())?;
        let used_up = least.filter(|(left, _)| *left == Points::ZERO);
        Ok(used_up.map(|(_, limit)| Closed {
            campaign: campaign.id.clone(),
            reason: limit.reason(),
            because: format!("nothing is left of {}", limit.in_words()).into(),
        }))
    }

    /// What the order at hand has of a rule's campaign.
    pub fn order_has_of_campaign(&self, cause: &Cause) -> Points {
        let Some(campaign) = &cause.campaign else { return Points::ZERO };
        let earned = self.order.as_ref().map_or(&[][..], OrderRecord::earned);
        let of_it = earned.iter().filter(|earned| earned.campaign.as_ref() == Some(campaign));
        Points(of_it.map(|earned| earned.earned.0 - earned.taken_back.0).sum())
    }

    /// The rule of a group that counts for the order at hand.
    pub fn chosen(&self, group: &Name) -> Option<Arc<str>> {
        self.order.as_ref()?.chosen.get(group).cloned()
    }

    /// One rule of a group counts for the order at hand, or none. Groups that the program has no more are forgotten.
    pub fn choose(&mut self, terms: &Terms, group: &Name, rule: Option<Arc<str>>) {
        let Some(record) = &mut self.order else { return };
        record.chosen.retain(|known, _| terms.groups.iter().any(|declared| declared.id == *known));
        match rule {
            Some(rule) => drop(record.chosen.insert(group.clone(), rule)),
            None => drop(record.chosen.remove(group)),
        }
    }

    /// Of so many points as much as a campaign may still give to the member.
    ///
    /// # Errors
    /// It must be looked up what the campaign has given.
    pub fn within_campaign(
        &mut self,
        terms: &Terms,
        cause: &Cause,
        wished: Points,
    ) -> Result<Points, Refusal> {
        Ok(self.cut(terms, cause, (wished, self.day_of_rules()))?.0)
    }

    /// The same, with the limit that it is for what happened on a day.
    ///
    /// # Errors
    /// As [`Draft::within_campaign`].
    pub(super) fn cut(
        &mut self,
        terms: &Terms,
        cause: &Cause,
        (wished, day): (Points, NaiveDate),
    ) -> Result<(Points, Option<Limit>), Refusal> {
        let campaign = cause.campaign.as_ref().and_then(|id| terms.campaign(id));
        let Some(campaign) = campaign else { return Ok((wished, None)) };
        let least = self.least_left(campaign, day)?;
        Ok(match least {
            Some((left, limit)) if left < wished => (left, Some(limit)),
            _ => (wished, None),
        })
    }

    /// [`Draft::within_campaign`] of what is about to be given; the receipt says so if it is less.
    pub(super) fn cut_by_campaign(
        &mut self,
        terms: &Terms,
        movement: Movement<'_>,
        day: NaiveDate,
    ) -> Result<Points, Refusal> {
        let Movement { cause, amount, .. } = movement;
        let (left, limit) = self.cut(terms, cause, (amount, day))?;
        self.note_cut(cause, (left, amount), limit);
        Ok(left)
    }

    /// The receipt says what a limit left of what should have been given.
    pub(super) fn note_cut(&mut self, cause: &Cause, (left, amount): (Points, Points), limit: Option<Limit>) {
        if let (Some(limit), Some(campaign)) = (limit, &cause.campaign) {
            self.note(format!(
                "\"{}\" gave {left} of {amount}: that was left of campaign `{campaign}`, {}",
                cause.rule,
                limit.in_words()
            ));
        }
    }

    /// The limit of a campaign that leaves least.
    fn least_left(
        &mut self,
        campaign: &CampaignTerms,
        day: NaiveDate,
    ) -> Result<Option<(Points, Limit)>, Refusal> {
        let pots = campaign.budget.iter().map(|(span, _)| Pot::of(&campaign.id, span, day));
        let unknown: Vec<_> = pots.filter(|pot| self.desk.campaigns.taken(pot).is_none()).collect();
        if !unknown.is_empty() {
            self.wanted.campaigns.extend(unknown);
            return Err(Refusal::Lacks);
        }
        let taken = |span| self.desk.campaigns.taken(&Pot::of(&campaign.id, span, day)).unwrap_or_default();
        let had = |span| self.member.standing.campaigns.had(&campaign.id, span, day);
        Ok(campaign.least_left(taken, had))
    }

    /// Counts points that a campaign gave, or below zero took back, for what happened on a day. What all members
    /// together had is counted without a budget, too: there may be one later.
    pub(super) fn count_for_campaign(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        day: NaiveDate,
        points: i64,
    ) {
        let Some(id) = cause.campaign.as_ref().filter(|_| points != 0) else { return };
        self.desk.campaigns.move_points(Pot::of(id, Span::Total, day), points);
        let Some(campaign) = frame.terms.campaign(id) else { return };
        for (span, _) in campaign.budget.iter().filter(|(span, _)| *span != Span::Total) {
            self.desk.campaigns.move_points(Pot::of(id, span, day), points);
        }
        if campaign.per_member.is_empty() {
            return;
        }
        let declared = &frame.terms.campaigns;
        self.member.standing.campaigns.count(campaign, day, points, declared);
        if self.reacts_to.is_none() {
            self.theirs().for_each(|theirs| theirs.standing.campaigns.count(campaign, day, points, declared));
        }
    }

    /// Tells of campaigns whose budget this decision uses up.
    pub(super) fn tell_exhausted(&mut self, frame: Frame<'_>) {
        let moves = self.desk.campaigns.moves(frame.terms);
        let last = moves.filter_map(|moved| match moved.way {
            Way::TakeTheLast(budget) => Some((frame.terms.campaign(&moved.pot.campaign)?, budget)),
            Way::Take | Way::TakeUpTo(_) | Way::GiveBack => None,
        });
        let told = last.filter_map(|(campaign, budget)| {
            Some(EventData::CampaignExhausted(CampaignExhausted {
                campaign: campaign.id.clone(),
                name: campaign.name.clone(),
                budget,
                wallet: frame.terms.wallet(campaign.wallet.as_ref())?.code.clone(),
            }))
        });
        self.told.extend(told);
    }
}
