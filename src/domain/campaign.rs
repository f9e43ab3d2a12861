//! What campaigns have given: to all members together, counted in place by the store, and to one member, kept with them.
//!
//! What an order earned by a campaign and does not leave with its member goes back to both.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use litemap::LiteMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::money::Points;
use super::terms::Terms;
use super::terms::campaign::{CampaignTerms, Span};
use super::text::Name;

/// What is counted together: what a campaign gave within one span of time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pot {
    /// The campaign's id.
    pub campaign: Name,
    /// How long it is.
    pub span: Span,
    /// Its first day; `None` of the campaign as a whole.
    pub begin: Option<NaiveDate>,
}

impl Pot {
    /// The one that `day` lies in.
    pub fn of(campaign: &Name, span: Span, day: NaiveDate) -> Self {
        Self { campaign: campaign.clone(), span, begin: span.begin(day) }
    }
}

/// What is known of a pot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// How many points were given out of it.
    pub points: i64,
    /// The budget that was told to have run out last; 0 = none was.
    pub told: i64,
}

/// What a decision needs to know of campaigns.
pub type Wanted = BTreeSet<Pot>;

/// What of campaigns lies on the [desk](super::desk) of one decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Desk {
    /// Pots as they were before this decision.
    pub known: BTreeMap<Pot, Taken>,
    /// How it moves them.
    moved: BTreeMap<Pot, i64>,
}

impl Desk {
    /// Whether nothing lies there, and nothing was done.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.moved.is_empty()
    }

    /// What was given out of a pot, this decision's doing included; `None` when nobody looked.
    pub fn taken(&self, pot: &Pot) -> Option<i64> {
        let moved = self.moved.get(pot).copied().unwrap_or_default();
        self.known.get(pot).map(|taken| taken.points + moved)
    }

    /// So many points more come out of a pot, or go back into it.
    pub fn move_points(&mut self, pot: Pot, points: i64) {
        *self.moved.entry(pot).or_default() += points;
    }

    /// How this decision moves pots.
    pub fn moves(&self, terms: &Terms) -> impl Iterator<Item = BudgetMove> {
        let moved = self.moved.iter().filter(|(_, points)| **points != 0);
        moved.map(|(pot, points)| {
            let campaign = terms.campaign(&pot.campaign);
            let way = match campaign.and_then(|campaign| campaign.budget.within(pot.span)) {
                _ if *points < 0 => Way::GiveBack,
                None => Way::Take,
                Some(of) => self.take(pot, *points, of),
            };
            BudgetMove { pot: pot.clone(), points: points.abs(), way }
        })
    }

    /// Only a campaign's whole budget is told to have run out, and each size of it once.
    fn take(&self, pot: &Pot, points: i64, of: Points) -> Way {
        let known = self.known.get(pot).copied().unwrap_or_default();
        match pot.span {
            Span::Total if known.told == of.0 => Way::TakeUpTo(of),
            Span::Total if known.points + points >= of.0 => Way::TakeTheLast(of),
            Span::Total => Way::TakeUpTo(Points(of.0 - 1)),
            Span::Day | Span::Week | Span::Month => Way::TakeUpTo(of),
        }
    }
}

/// A move of what a campaign may give. Moves of different decisions do not disturb each other: a take holds while there
/// is so much left to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetMove {
    /// Of which pot.
    pub pot: Pot,
    /// How many points; more than zero.
    pub points: i64,
    /// Which way.
    pub way: Way,
}

/// Which way a budget moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Out of it, however much was given before: there is no limit.
    Take,
    /// Out of it, as long as no more than so many have been given then.
    TakeUpTo(Points),
    /// The last points of so many, and it is told that they were the last.
    TakeTheLast(Points),
    /// Back into it.
    GiveBack,
}

/// A campaign gave the last points of its budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CampaignExhausted {
    /// The campaign, by its id in `program.toml`.
    pub campaign: Name,
    /// What people call it.
    pub name: Name,
    /// How many points that were.
    pub budget: Points,
    /// The wallet whose points they are.
    pub wallet: Name,
}

/// Why the rules of a campaign do not fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Closed {
    /// The campaign.
    pub campaign: Name,
    /// Why.
    pub reason: Reason,
    /// The same for people.
    pub because: Box<str>,
}

impl Closed {
    /// Whether nothing is left, on a day on which its rules would fire.
    pub fn is_used_up(&self) -> bool {
        matches!(self.reason, Reason::Budget | Reason::PerMember)
    }

    /// In words.
    pub fn in_words(&self) -> String {
        format!("campaign `{}`: {}", self.campaign, self.because)
    }
}

/// Why the rules of a campaign do not fire, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ClosedReason")]
pub enum Reason {
    /// It begins later.
    NotBegun,
    /// It is over.
    Over,
    /// Its budget is given.
    Budget,
    /// The member has had as much as a member may.
    PerMember,
}

impl CampaignTerms {
    /// Whether its rules rest on a day.
    pub fn rests_on(&self, day: NaiveDate) -> Option<Closed> {
        let closed =
            |reason, because: String| Closed { campaign: self.id.clone(), reason, because: because.into() };
        match (self.from, self.to) {
            (Some(from), _) if day < from => Some(closed(Reason::NotBegun, format!("it begins on {from}"))),
            (_, Some(to)) if day > to => Some(closed(Reason::Over, format!("it ended on {to}"))),
            _ => None,
        }
    }

    /// The limit that leaves least, and how much: of what may be given to all, of which so much is `taken` (within a span),
    /// and to a member, who `had` so much. `None` without any limit.
    pub fn least_left(
        &self,
        taken: impl Fn(Span) -> i64,
        had: impl Fn(Span) -> i64,
    ) -> Option<(Points, Limit)> {
        let left = |cap: Points, given: i64| Points((cap.0 - given).max(0));
        let budget = self.budget.iter();
        let budget = budget.map(|(span, cap)| (left(cap, taken(span)), Limit::Budget(span, cap)));
        let member = self.per_member.iter();
        let member = member.map(|(span, cap)| (left(cap, had(span)), Limit::PerMember(span, cap)));
        budget.chain(member).min_by_key(|(left, _)| *left)
    }
}

/// What limits a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// What all members together may get.
    Budget(Span, Points),
    /// What one may.
    PerMember(Span, Points),
}

impl Limit {
    /// In a word.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Budget(..) => Reason::Budget,
            Self::PerMember(..) => Reason::PerMember,
        }
    }

    /// In words.
    pub fn in_words(self) -> String {
        let (Self::Budget(span, of) | Self::PerMember(span, of)) = self;
        let within = match span {
            Span::Total => "",
            Span::Day => " for the day",
            Span::Week => " for the week",
            Span::Month => " for the month",
        };
        match self {
            Self::Budget(..) => format!("its budget of {of}{within}"),
            Self::PerMember(..) => format!("the {of} that a member may have of it{within}"),
        }
    }
}

/// What a member had of campaigns that limit it. Of each span only the current one is kept; what belongs to an earlier one
/// counts as the current one's when it is given, and for nothing when it is taken back.
///
/// What the program that decides does not limit is kept: another version of it may, at other places or again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Allowances(LiteMap<Name, Allowance>);

/// What a member had of one campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Allowance {
    /// The newest day for which something was counted.
    #[serde(rename = "d")]
    newest: NaiveDate,
    #[serde(rename = "h")]
    had: Vec<Had>,
}

/// What a member had within a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Had {
    #[serde(rename = "s")]
    span: Span,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    begin: Option<NaiveDate>,
    /// More than zero.
    #[serde(rename = "n")]
    points: i64,
}

impl Allowances {
    /// Of how many campaigns is kept what a member had. Should there be more, those go first that the program does not
    /// have, and of those the ones that gave nothing for longest.
    const MAX_KEPT: usize = 20;

    /// Whether there was nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the member had of a campaign within a span that lies around a day, or later.
    pub fn had(&self, campaign: &Name, span: Span, day: NaiveDate) -> i64 {
        let kept = self.0.get(campaign).and_then(|kept| kept.had.iter().find(|had| had.span == span));
        kept.filter(|had| had.begin >= span.begin(day)).map_or(0, |had| had.points)
    }

    /// The member gets so many points more, or fewer. Campaigns that are not `declared` are forgotten first.
    pub fn count(
        &mut self,
        campaign: &CampaignTerms,
        day: NaiveDate,
        points: i64,
        declared: &[CampaignTerms],
    ) {
        let kept = self.0.remove(&campaign.id);
        let newest = kept.as_ref().map_or(day, |kept| kept.newest.max(day));
        let mut all = kept.map_or_else(Vec::new, |kept| kept.had);
        for (span, _) in campaign.per_member.iter() {
            let begin = span.begin(day);
            match all.iter_mut().find(|had| had.span == span) {
                None => all.push(Had { span, begin, points }),
                Some(had) if had.begin < begin => *had = Had { span, begin, points },
                Some(had) if had.begin > begin && points < 0 => {}
                Some(had) => had.points += points,
            }
        }
        self.set(&campaign.id, Allowance { newest, had: all });
        while self.0.len() > Self::MAX_KEPT {
            let is_declared = |known: &Name| declared.iter().any(|declared| declared.id == *known);
            let least = self.0.iter().min_by_key(|(known, kept)| (is_declared(known), kept.newest));
            let Some(least) = least.map(|(known, _)| known.clone()) else { break };
            self.0.remove(&least);
        }
    }

    fn set(&mut self, campaign: &Name, mut kept: Allowance) {
        kept.had.retain(|had| had.points > 0);
        if !kept.had.is_empty() {
            self.0.insert(campaign.clone(), kept);
        }
    }

    /// Takes over what somebody had who is the same person.
    pub fn join(&mut self, theirs: &Self) {
        for (campaign, theirs) in &theirs.0 {
            let own = self.0.entry(campaign.clone());
            let own = own.or_insert(Allowance { newest: theirs.newest, had: Vec::new() });
            own.newest = own.newest.max(theirs.newest);
            let own = &mut own.had;
            for had in &theirs.had {
                match own.iter_mut().find(|own| own.span == had.span) {
                    Some(own) if own.begin == had.begin => own.points += had.points,
                    Some(own) if own.begin < had.begin => *own = *had,
                    Some(_) => {}
                    None => own.push(*had),
                }
            }
        }
    }

    /// Gives back to somebody who was not the same person after all what they had.
    pub fn part(&mut self, theirs: &Self) {
        for (campaign, theirs) in &theirs.0 {
            let Some(mut own) = self.0.remove(campaign) else { continue };
            for had in &mut own.had {
                let same =
                    theirs.had.iter().find(|theirs| (theirs.span, theirs.begin) == (had.span, had.begin));
                had.points -= same.map_or(0, |theirs| theirs.points);
            }
            self.set(campaign, own);
        }
    }
}

#[cfg(test)]
mod tests;
