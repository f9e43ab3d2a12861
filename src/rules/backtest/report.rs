//! What all lives came to, side by side.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use smol_str::SmolStr;

use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::ids::MemberId;
use crate::domain::loyalty_event::EventType;
use crate::domain::member::Member;
use crate::domain::terms::campaign::{CampaignTerms, Span};
use crate::domain::text::Name;

use super::Plan;

/// How many winners, losers and oddities are named.
const NAMED: usize = 10;

/// What one side came to, in what counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Side {
    /// Points given by rules, by wallet.
    pub issued: BTreeMap<Name, i64>,
    /// Points given by campaigns, less those taken back.
    pub campaigns: BTreeMap<Name, i64>,
    /// Loyalty events by type.
    pub events: BTreeMap<EventType, u64>,
    /// What endpoints would get.
    pub deliveries: u64,
    /// Decisions made: events and what fell due by itself.
    pub decisions: u64,
    /// Decisions in which a rule failed.
    pub failed: u64,
    /// Things that were asked for and could not be.
    pub refused: u64,
    /// Events of guests whom the program does not enrol.
    pub parked: u64,
    /// Rewards of referrals that others would have got, or lost again.
    pub follow_ups: u64,
}

/// What a member has in the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Left {
    /// Balances by wallet.
    pub points: BTreeMap<Name, i64>,
    /// The tier.
    pub tier: Option<Name>,
    /// Coupons given since the comparison began, less those taken back.
    pub coupons: i64,
}

/// What one member's life came to, under what decided then and under the candidate.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Who.
    pub member: MemberId,
    /// The chain's id of them, or ours.
    pub known_as: SmolStr,
    /// Events that count.
    pub events: u64,
    /// What they have.
    pub left: [Left; 2],
    pub(super) digests: [[u8; 32]; 2],
    /// What happened.
    pub sides: [Side; 2],
    pub(super) anomaly: Option<Anomaly>,
}

/// A member whose replay did not come to what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Anomaly {
    pub(super) member: SmolStr,
    /// What differs: `tier`, or a wallet.
    pub(super) what: SmolStr,
    pub(super) replayed: SmolStr,
    pub(super) stored: SmolStr,
}

impl Anomaly {
    /// The first thing in which a replay differs from what is stored.
    pub(super) fn between(replayed: Option<&Member>, stored: &Member) -> Option<Self> {
        let anomaly = |what: &str, replayed: String, is: String| Self {
            member: stored.known_as(),
            what: what.into(),
            replayed: replayed.into(),
            stored: is.into(),
        };
        let Some(replayed) = replayed else {
            return Some(anomaly("member", "nobody".to_owned(), "a member".to_owned()));
        };
        let held = |member: &Member, code: &Name| {
            let wallet = member.standing.wallets.get(code);
            wallet.map_or((0, 0), |wallet| (wallet.balance().0, wallet.pending().0))
        };
        let in_words = |(balance, pending): (i64, i64)| match pending {
            0 => balance.to_string(),
            _ => format!("{balance} and {pending} pending"),
        };
        let both = [replayed, stored];
        let wallets = both.into_iter().flat_map(|member| member.standing.wallets.iter());
        let mut wallets: Vec<_> = wallets.map(|(code, _)| code).collect();
        wallets.sort_unstable();
        for code in wallets {
            let (was, is) = (held(replayed, code), held(stored, code));
            if was != is {
                return Some(anomaly(code, in_words(was), in_words(is)));
            }
        }
        let tier = |member: &Member| member.standing.tier.as_ref().map_or("none", |tier| tier).to_owned();
        let (was, is) = (tier(replayed), tier(stored));
        (was != is).then(|| anomaly("tier", was, is))
    }
}

impl Outcome {
    /// What differs for the member; `None` when nothing does.
    pub fn difference(&self) -> Option<Line> {
        let [baseline, candidate] = &self.left;
        let wallets = baseline.points.keys().chain(candidate.points.keys());
        let points = wallets.map(|code| {
            let of = |left: &Left| left.points.get(code).copied().unwrap_or_default();
            (code.clone(), Change::between(of(baseline), of(candidate)))
        });
        let points: BTreeMap<_, _> = points.filter(|(_, change)| change.difference != 0).collect();
        let coupons = Change::between(baseline.coupons, candidate.coupons);
        let is_same = points.is_empty() && baseline.tier == candidate.tier && coupons.difference == 0;
        (!is_same).then(|| Line {
            member: self.member,
            known_as: self.known_as.clone(),
            points,
            tier: (baseline.tier.clone(), candidate.tier.clone()),
            coupons,
        })
    }
}

/// A number under what decided then, and under the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[schemars(rename = "ComparedNumber")]
pub struct Change {
    /// Under what decided then.
    pub baseline: i64,
    /// Under the candidate.
    pub candidate: i64,
    /// How much more that is.
    pub difference: i64,
}

impl Change {
    /// From one to the other.
    pub(super) const fn between(baseline: i64, candidate: i64) -> Self {
        Self { baseline, candidate, difference: candidate - baseline }
    }

    fn add(&mut self, other: Self) {
        *self = Self::between(self.baseline + other.baseline, self.candidate + other.candidate);
    }

    fn count([baseline, candidate]: [u64; 2]) -> Self {
        let whole = |count| i64::try_from(count).unwrap_or(i64::MAX);
        Self::between(whole(baseline), whole(candidate))
    }
}

/// What differs for one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "BacktestLine")]
pub struct Line {
    /// Our id.
    pub member: MemberId,
    /// The chain's id, or ours.
    pub known_as: SmolStr,
    /// Balances, of the wallets that differ.
    pub points: BTreeMap<Name, Change>,
    /// The tier, before and after.
    #[serde(serialize_with = "as_change")]
    #[schemars(with = "Tiers<'static>")]
    pub tier: (Option<Name>, Option<Name>),
    /// Coupons given.
    pub coupons: Change,
}

/// A tier under what decided then, and under the candidate.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ComparedTier")]
struct Tiers<'a> {
    baseline: &'a Option<Name>,
    candidate: &'a Option<Name>,
}

fn as_change<S: serde::Serializer>(
    (baseline, candidate): &(Option<Name>, Option<Name>),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Tiers { baseline, candidate }.serialize(serializer)
}

impl Line {
    /// How much more points they would have, in all wallets.
    fn gain(&self) -> i64 {
        self.points.values().map(|change| change.difference).sum()
    }
}

/// What a backtest says.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "BacktestReport")]
pub struct Report {
    /// The chain.
    pub chain: ChainId,
    /// From when on the candidate decides; `null` = from the beginning.
    pub since: Option<Timestamp>,
    /// Up to when.
    pub until: Timestamp,
    /// Members looked at.
    pub members: u64,
    /// Source events in this time.
    pub events: u64,
    /// Points given by rules, by wallet.
    pub points_issued: BTreeMap<Name, Change>,
    /// Points given by campaigns, less those taken back: as if each guest had their budgets alone.
    pub campaigns: BTreeMap<Name, Change>,
    /// The budgets of the candidate's campaigns that would have run out.
    pub budgets_run_out: BTreeMap<Name, i64>,
    /// Points outstanding in the end, by wallet.
    pub liability: BTreeMap<Name, Change>,
    /// Members who went up a tier.
    pub tier_upgrades: Change,
    /// Members who went down.
    pub tier_downgrades: Change,
    /// Coupons given, less those taken back.
    pub coupons: Change,
    /// Loyalty events by type.
    pub loyalty_events: BTreeMap<&'static str, Change>,
    /// What endpoints get.
    pub deliveries: Change,
    /// Decisions in which a rule failed.
    pub failed: Change,
    /// What was asked for and could not be, such as a reward without enough points.
    pub refused: Change,
    /// Events of guests whom the program does not enrol.
    pub parked: Change,
    /// Rewards of referrals that somebody else gets or loses. They are only counted: see the guide.
    pub referral_rewards: Change,
    /// Members for whom anything differs.
    pub members_changed: u64,
    /// Those with more points.
    pub members_with_more: u64,
    /// Those with fewer.
    pub members_with_less: u64,
    /// Who gains most.
    pub winners: Vec<Line>,
    /// Who loses most.
    pub losers: Vec<Line>,
    /// Whether the replay of what happened comes to what is stored; `null` when it cannot be compared.
    pub self_check: Option<SelfCheck>,
    /// Members who were erased: nothing is known of what they did.
    pub members_left_out: u64,
    /// A digest of what everybody has under what decided then.
    #[serde(serialize_with = "as_hex")]
    #[schemars(with = "String")]
    pub baseline_state: [u8; 32],
    /// The same under the candidate.
    #[serde(serialize_with = "as_hex")]
    #[schemars(with = "String")]
    pub candidate_state: [u8; 32],
    /// The budgets of the candidate's campaigns.
    #[serde(skip)]
    budgets: BTreeMap<Name, i64>,
}

fn budget(campaign: &CampaignTerms) -> Option<(Name, i64)> {
    campaign.budget.within(Span::Total).map(|budget| (campaign.id.clone(), budget.0))
}

/// How well the replay of what happened fits what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct SelfCheck {
    /// Members compared.
    pub members: u64,
    /// Members who came to something else.
    pub differ: u64,
    /// The first of them.
    pub examples: Vec<Anomaly>,
}

fn as_hex<S: serde::Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&hex(hash))
}

pub(super) fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Report {
    /// Of nobody yet. `is_checked` says whether members are compared with what is stored.
    pub fn new(plan: &Plan, is_checked: bool) -> Self {
        Self {
            chain: plan.chain.id.clone(),
            since: plan.since,
            until: plan.until,
            members: 0,
            events: 0,
            points_issued: BTreeMap::new(),
            campaigns: BTreeMap::new(),
            budgets_run_out: BTreeMap::new(),
            budgets: plan.candidate.terms.campaigns.iter().filter_map(budget).collect(),
            liability: BTreeMap::new(),
            tier_upgrades: Change::default(),
            tier_downgrades: Change::default(),
            coupons: Change::default(),
            loyalty_events: BTreeMap::new(),
            deliveries: Change::default(),
            failed: Change::default(),
            refused: Change::default(),
            parked: Change::default(),
            referral_rewards: Change::default(),
            members_changed: 0,
            members_with_more: 0,
            members_with_less: 0,
            winners: Vec::new(),
            losers: Vec::new(),
            self_check: is_checked.then(SelfCheck::default),
            members_left_out: 0,
            baseline_state: [0; 32],
            candidate_state: [0; 32],
        }
    }

    /// Takes in one more member. Always in the same order, the same report comes of it. Answers what differs for them.
    pub fn add(&mut self, outcome: &Outcome) -> Option<Line> {
        self.members += 1;
        self.events += outcome.events;
        self.add_sides(&outcome.sides);
        let [baseline, candidate] = &outcome.left;
        let wallets = baseline.points.keys().chain(candidate.points.keys());
        for code in wallets.collect::<BTreeSet<_>>() {
            let of = |left: &Left| left.points.get(code).copied().unwrap_or_default();
            let change = Change::between(of(baseline), of(candidate));
            self.liability.entry(code.clone()).or_default().add(change);
        }
        self.coupons.add(Change::between(baseline.coupons, candidate.coupons));
        for (state, digest) in
            [&mut self.baseline_state, &mut self.candidate_state].into_iter().zip(outcome.digests)
        {
            *state = Sha256::new_with_prefix(*state).chain_update(digest).finalize().into();
        }
        if let Some(check) = &mut self.self_check {
            check.members += 1;
            if let Some(anomaly) = &outcome.anomaly {
                check.differ += 1;
                if check.examples.len() < NAMED {
                    check.examples.push(anomaly.clone());
                }
            }
        }
        let line = outcome.difference()?;
        self.rank(&line);
        Some(line)
    }

    fn add_sides(&mut self, [baseline, candidate]: &[Side; 2]) {
        for code in baseline.issued.keys().chain(candidate.issued.keys()).collect::<BTreeSet<_>>() {
            let of = |side: &Side| side.issued.get(code).copied().unwrap_or_default();
            let change = Change::between(of(baseline), of(candidate));
            self.points_issued.entry(code.clone()).or_default().add(change);
        }
        for campaign in baseline.campaigns.keys().chain(candidate.campaigns.keys()).collect::<BTreeSet<_>>() {
            let of = |side: &Side| side.campaigns.get(campaign).copied().unwrap_or_default();
            let given = self.campaigns.entry(campaign.clone()).or_default();
            given.add(Change::between(of(baseline), of(candidate)));
            match self.budgets.get(campaign).filter(|budget| given.candidate > **budget) {
                Some(budget) => self.budgets_run_out.insert(campaign.clone(), *budget),
                None => self.budgets_run_out.remove(campaign),
            };
        }
        let of = |side: &Side, kind: &EventType| side.events.get(kind).copied().unwrap_or_default();
        let kinds = baseline.events.keys().chain(candidate.events.keys());
        for kind in kinds.collect::<BTreeSet<_>>() {
            let change = Change::count([of(baseline, kind), of(candidate, kind)]);
            self.loyalty_events.entry(kind.as_str()).or_default().add(change);
        }
        let tier = |kind| Change::count([of(baseline, &kind), of(candidate, &kind)]);
        self.tier_upgrades.add(tier(EventType::TierUpgraded));
        self.tier_downgrades.add(tier(EventType::TierDowngraded));
        let count = |of: fn(&Side) -> u64| Change::count([of(baseline), of(candidate)]);
        self.deliveries.add(count(|side| side.deliveries));
        self.failed.add(count(|side| side.failed));
        self.refused.add(count(|side| side.refused));
        self.parked.add(count(|side| side.parked));
        self.referral_rewards.add(count(|side| side.follow_ups));
    }

    fn rank(&mut self, line: &Line) {
        self.members_changed += 1;
        let gain = line.gain();
        if gain > 0 {
            self.members_with_more += 1;
            put(&mut self.winners, line, |line| std::cmp::Reverse(line.gain()));
        }
        if gain < 0 {
            self.members_with_less += 1;
            put(&mut self.losers, line, Line::gain);
        }
    }
}

/// Puts a line in its place among the first; of those that are alike, who came first stays.
fn put<K: Ord>(lines: &mut Vec<Line>, line: &Line, key: impl Fn(&Line) -> K) {
    let at = lines.partition_point(|other| key(other) <= key(line));
    if at < NAMED {
        lines.insert(at, line.clone());
        lines.truncate(NAMED);
    }
}
