//! What rules see of the world: cheap handles that read a fact when asked for it.
//!
//! Absent money reads as 0 and absent text as "", so that a rule needs no guards: an order without a tip has a tip
//! of 0. Times are shown in the chain's calendar.

use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, Timelike};
use chrono_tz::Tz;
use rhai::{Array, Dynamic};
use rust_decimal::Decimal;

use crate::domain::Timestamp;
use crate::domain::cart::Cart;
use crate::domain::churn::Foresight;
use crate::domain::coupon::CouponBook;
use crate::domain::identity::IdentityKind;
use crate::domain::ids::CouponBookKey;
use crate::domain::loyalty_event::{
    Absence, EventData, LoyaltyEvent, PointsMoved, SegmentChange, TierInDanger, TierMoved,
};
use crate::domain::member::{Member, RiskLevel};
use crate::domain::money::{Money, Points};
use crate::domain::order::{Back, Order, OrderRecord, Refund, Visit};
use crate::domain::profile::Attribute;
use crate::domain::referral::ReferralTold;
use crate::domain::session::Identified;
use crate::domain::shared::Shared;
use crate::domain::terms::Terms;
use crate::domain::terms::earning::Earning;
use crate::domain::text::{Key, Name, Text};
use crate::domain::tier::{self, Progress};

use super::program::Program;

use super::lines::Lines;
use super::payload::{self, Fields};

/// `typical_gap_days` of a member without a rhythm: a hundred years, so that "has stayed away for more than twice the
/// usual time" is never true of somebody who has no usual time.
const NO_RHYTHM_DAYS: i64 = 36_500;

/// `order.at`, `visit.at`, …: an instant in the chain's calendar.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    at: Timestamp,
    zone: Tz,
}

impl Moment {
    pub(super) const fn new(at: Timestamp, zone: Tz) -> Self {
        Self { at, zone }
    }

    fn local(self) -> DateTime<Tz> {
        self.at.with_timezone(&self.zone)
    }

    pub(super) fn weekday(&self) -> &'static str {
        match self.local().weekday() {
            chrono::Weekday::Mon => "Monday",
            chrono::Weekday::Tue => "Tuesday",
            chrono::Weekday::Wed => "Wednesday",
            chrono::Weekday::Thu => "Thursday",
            chrono::Weekday::Fri => "Friday",
            chrono::Weekday::Sat => "Saturday",
            chrono::Weekday::Sun => "Sunday",
        }
    }

    pub(super) fn hour(&self) -> i64 {
        self.local().hour().into()
    }

    pub(super) fn minute(&self) -> i64 {
        self.local().minute().into()
    }

    pub(super) fn day(&self) -> i64 {
        self.local().day().into()
    }

    pub(super) fn month(&self) -> i64 {
        self.local().month().into()
    }

    pub(super) fn year(&self) -> i64 {
        self.local().year().into()
    }

    /// As `2026-03-02`, which also sorts by time.
    pub(super) fn date(&self) -> String {
        self.local().date_naive().to_string()
    }
}

/// `order`: as it is known now, or, where a change is settled, as it was before. `None` for a cancelled order that
/// nobody told us about: it has an id and nothing else.
#[derive(Debug, Clone)]
pub(super) struct OrderView {
    order_id: Key,
    order: Option<Arc<Order>>,
    /// The money that earns.
    pub(super) eligible: Decimal,
    /// When it was completed, else when what is decided on happened.
    pub(super) at: Moment,
}

impl OrderView {
    pub(super) fn new(order_id: &Key, order: Option<Arc<Order>>, earning: &Earning, at: Moment) -> Self {
        let eligible = order.as_ref().map_or(Decimal::ZERO, |order| order.eligible(earning));
        Self { order_id: order_id.clone(), order, eligible, at }
    }

    pub(super) fn id(&self) -> &str {
        &self.order_id
    }

    pub(super) fn text(&self, field: impl Fn(&Order) -> Option<&Name>) -> &str {
        or_empty(self.order.as_deref().and_then(field))
    }

    pub(super) fn money(&self, field: impl Fn(&Order) -> Option<Money>) -> Decimal {
        self.order.as_deref().and_then(field).unwrap_or_default().decimal()
    }

    pub(super) fn lines(&self) -> Lines {
        self.order.clone().map_or(Lines::None, Lines::Order)
    }
}

/// `refund`, with the order it belongs to as remembered.
#[derive(Debug, Clone)]
pub(super) struct RefundView {
    refund: Arc<Refund>,
    location: Option<Name>,
    record: Option<Arc<OrderRecord>>,
    /// Points that the order earned in the program's first wallet.
    pub(super) order_points: i64,
    pub(super) at: Moment,
}

impl RefundView {
    pub(super) fn new(
        refund: &Refund,
        location: Option<&Name>,
        record: Option<OrderRecord>,
        wallet: &str,
        at: Moment,
    ) -> Self {
        let order_points = record.as_ref().map_or(0, |record| record.earned_in(wallet).0);
        let (refund, location) = (Arc::new(refund.clone()), location.cloned());
        Self { refund, location, record: record.map(Arc::new), order_points, at }
    }

    pub(super) fn order_id(&self) -> &str {
        &self.refund.order_id
    }

    pub(super) fn location(&self) -> &str {
        or_empty(self.location.as_ref())
    }

    pub(super) fn total(&self) -> Decimal {
        let worth = match &self.refund.back {
            Back::Amount(amount) => Some(*amount),
            back => self.record.as_ref().and_then(|record| record.worth(back)),
        };
        worth.unwrap_or_default().decimal()
    }

    pub(super) fn reason(&self) -> &str {
        or_empty(self.refund.reason.as_ref())
    }

    pub(super) fn order_total(&self) -> Decimal {
        self.record.as_ref().and_then(|record| record.total()).unwrap_or_default().decimal()
    }
}

/// `visit`.
#[derive(Debug, Clone)]
pub(super) struct VisitView {
    channel: Option<Name>,
    location: Option<Name>,
    pub(super) at: Moment,
}

impl VisitView {
    pub(super) fn new(visit: &Visit, location: Option<&Name>, at: Moment) -> Self {
        Self { channel: visit.channel.clone(), location: location.cloned(), at }
    }

    pub(super) fn channel(&self) -> &str {
        or_empty(self.channel.as_ref())
    }

    pub(super) fn location(&self) -> &str {
        or_empty(self.location.as_ref())
    }
}

/// `tick`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tick {
    pub(super) at: Moment,
}

/// `cart`: what the guest has put together by now. Of a very long one the first lines.
#[derive(Debug, Clone)]
pub(super) struct CartView {
    cart: Arc<Cart>,
    pub(super) at: Moment,
}

impl CartView {
    pub(super) fn new(cart: &Cart, at: Moment) -> Self {
        Self { cart: Arc::new(cart.clone()), at }
    }

    pub(super) fn cart(&self) -> &Cart {
        &self.cart
    }

    pub(super) fn lines(&self) -> Lines {
        Lines::Cart(self.cart.clone())
    }
}

/// `session`: one that starts or ends.
#[derive(Debug, Clone)]
pub(super) struct SessionView {
    id: Key,
    channel: Option<Name>,
    location: Option<Name>,
    pub(super) at: Moment,
}

impl SessionView {
    pub(super) fn new(id: &Key, channel: Option<&Name>, location: Option<&Name>, at: Moment) -> Self {
        Self { id: id.clone(), channel: channel.cloned(), location: location.cloned(), at }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn channel(&self) -> &str {
        or_empty(self.channel.as_ref())
    }

    pub(super) fn location(&self) -> &str {
        or_empty(self.location.as_ref())
    }
}

/// `member`: as of the event, with the event itself counted.
#[derive(Debug, Clone)]
pub(super) struct MemberView {
    pub(super) member: Shared<Member>,
    /// The day of the event in the chain's calendar.
    pub(super) today: NaiveDate,
    zone: Tz,
    terms: Arc<Terms>,
    foresight: Foresight,
    now: Timestamp,
}

impl MemberView {
    pub(super) fn new(
        member: Shared<Member>,
        today: NaiveDate,
        program: &Program,
        foresight: &Foresight,
        now: Timestamp,
    ) -> Self {
        let (zone, terms) = (program.schedule.timezone, program.terms.clone());
        Self { member, today, zone, terms, foresight: foresight.clone(), now }
    }

    /// The chain's own id of the guest, or ours.
    pub(super) fn id(&self) -> String {
        let own = self.member.identity(IdentityKind::Id);
        own.map_or_else(|| self.member.id.to_string(), str::to_owned)
    }

    pub(super) fn tier(&self) -> &str {
        or_empty(self.member.standing.tier.as_ref())
    }

    pub(super) fn system_tier(&self) -> &str {
        or_empty(self.member.standing.system_tier())
    }

    /// How the member stands with the tier policy, where there is one.
    pub(super) fn tier_progress(&self) -> Option<Progress> {
        tier::progress(&self.member, &self.terms.tiers, self.zone, self.now)
    }

    pub(super) fn typical_gap_days(&self) -> Decimal {
        self.member.history.typical_gap_days().unwrap_or(Decimal::from(NO_RHYTHM_DAYS))
    }

    /// How likely the member stays away for the chain's horizon, where there is a model.
    pub(super) fn churn_probability(&self) -> Option<Decimal> {
        self.foresight.churn_probability(&self.member.history, self.today)
    }

    pub(super) fn enrolled_days(&self) -> i64 {
        let enrolled = self.member.enrolled_at.with_timezone(&self.zone).date_naive();
        (self.today - enrolled).num_days().max(0)
    }

    pub(super) fn risk_level(&self) -> &'static str {
        self.member.standing.risk_level().map_or("", RiskLevel::as_str)
    }

    pub(super) fn in_segment(&self, name: &str) -> bool {
        self.member.standing.segments.keys().any(|segment| segment.as_str() == name)
    }

    /// What the chain's systems say of them; `()` when they say nothing.
    pub(super) fn attribute(&self, name: &str) -> Dynamic {
        let attributes = &self.member.profile.attributes;
        match attributes.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| value) {
            None => Dynamic::UNIT,
            Some(Attribute::Flag(flag)) => (*flag).into(),
            Some(Attribute::Text(text)) => text.as_str().into(),
            Some(Attribute::Number(number)) => payload::number(number.decimal()),
        }
    }

    pub(super) fn consents_to(&self, what: &str) -> bool {
        self.member.profile.consents.iter().any(|(name, given)| name.as_str() == what && *given)
    }

    /// How far the member is towards an achievement with a goal.
    pub(super) fn progress_of(&self, name: &str) -> Decimal {
        let Some(achievement) = self.terms.achievement(name) else { return Decimal::ZERO };
        let Some(goal) = &achievement.goal else { return Decimal::ZERO };
        let feat = self.member.standing.feats.get(&achievement.id).cloned().unwrap_or_default();
        feat.progress(goal, &self.member.history, self.today)
    }

    /// How often the member has earned an achievement.
    pub(super) fn times_achieved(&self, name: &str) -> i64 {
        let feats = &self.member.standing.feats;
        let times = feats.iter().find(|(id, _)| id.as_str() == name).map_or(0, |(_, feat)| feat.times());
        i64::from(times).max(self.has_achievement(name).into())
    }

    /// The book that the program declares under this name; one that it does not have holds nothing.
    pub(super) fn coupon_book(&self, name: &str) -> Option<CouponBookKey> {
        let is_it = |book: &&CouponBook| book.id.as_ref().is_some_and(|id| id.as_str() == name);
        self.terms.coupon_books.iter().find(is_it).map(|book| book.key)
    }

    pub(super) fn has_achievement(&self, name: &str) -> bool {
        self.member.standing.achievements.keys().any(|earned| earned.as_str() == name)
    }
}

/// `event` in triggers.
#[derive(Debug, Clone)]
pub(super) struct EventView {
    pub(super) event: Arc<LoyaltyEvent>,
    pub(super) at: Moment,
    /// What the event hands on without knowing what it means.
    pub(super) data: Fields,
}

impl EventView {
    pub(super) fn new(event: LoyaltyEvent, at: Moment) -> Self {
        let data = match &event.data {
            EventData::Offering(news) => Fields::of(&news.about),
            EventData::SignalReceived(signal) => Fields::of(&signal.data),
            EventData::CustomEmitted(emitted) => Fields::of(&emitted.data),
            _ => Fields::default(),
        };
        Self { event: Arc::new(event), at, data }
    }

    pub(super) fn points(&self) -> Option<&PointsMoved> {
        match &self.event.data {
            EventData::PointsEarned(moved)
            | EventData::PointsDeducted(moved)
            | EventData::PointsClawedBack(moved)
            | EventData::PointsAdjusted(moved)
            | EventData::PointsExpired(moved)
            | EventData::PointsRedeemed(moved)
            | EventData::PointsReturned(moved) => Some(moved),
            _ => None,
        }
    }

    /// How many points it is about, and of which wallet, also where none moved.
    pub(super) fn amount(&self) -> Option<(Points, &Name)> {
        match &self.event.data {
            EventData::PointsPending(waiting) => Some((waiting.amount, &waiting.wallet)),
            EventData::PointsExpiringSoon(soon) => Some((soon.amount, &soon.wallet)),
            _ => self.points().map(|moved| (moved.amount, &moved.wallet)),
        }
    }

    pub(super) fn name(&self) -> &str {
        match &self.event.data {
            EventData::SignalReceived(signal) => &signal.name,
            EventData::CustomEmitted(emitted) => &emitted.name,
            _ => "",
        }
    }

    pub(super) fn coupon_book(&self) -> &str {
        match &self.event.data {
            EventData::Coupon(_, moved) => or_empty(moved.coupon_book.id.as_ref()),
            _ => "",
        }
    }

    pub(super) fn reward(&self) -> &str {
        match &self.event.data {
            EventData::RedemptionCreated(told) | EventData::Redemption(told) => &told.reward.id,
            _ => "",
        }
    }

    pub(super) fn tier(&self) -> Option<&TierMoved> {
        match &self.event.data {
            EventData::TierUpgraded(moved) | EventData::TierDowngraded(moved) => Some(moved),
            _ => None,
        }
    }

    pub(super) fn danger(&self) -> Option<&TierInDanger> {
        match &self.event.data {
            EventData::TierWillDowngrade(danger) => Some(danger),
            _ => None,
        }
    }

    pub(super) fn absence(&self) -> Option<&Absence> {
        match &self.event.data {
            EventData::MemberAtRisk(absence)
            | EventData::MemberChurned(absence)
            | EventData::MemberReactivated(absence) => Some(absence),
            _ => None,
        }
    }

    pub(super) fn segment(&self) -> Option<&SegmentChange> {
        match &self.event.data {
            EventData::SegmentEntered(change) | EventData::SegmentExited(change) => Some(change),
            _ => None,
        }
    }

    pub(super) fn achievement(&self) -> &str {
        match &self.event.data {
            EventData::AchievementEarned(earned) => &earned.achievement,
            EventData::AchievementProgressed(step) => &step.achievement,
            EventData::AchievementRevoked(revoked) => &revoked.achievement,
            EventData::StreakBroken(broken) => &broken.achievement,
            _ => "",
        }
    }

    pub(super) fn times(&self) -> i64 {
        match &self.event.data {
            EventData::AchievementEarned(earned) => earned.times.into(),
            EventData::AchievementRevoked(revoked) => revoked.times.into(),
            _ => 0,
        }
    }

    /// How far, and how far it is in all.
    pub(super) fn progress(&self) -> (Decimal, Decimal) {
        match &self.event.data {
            EventData::AchievementProgressed(step) => (step.progress.decimal(), step.target.decimal()),
            _ => Default::default(),
        }
    }

    fn referral(&self) -> Option<&ReferralTold> {
        match &self.event.data {
            EventData::ReferralCreated(told)
            | EventData::ReferralApproved(told)
            | EventData::ReferralRevoked(told)
            | EventData::ReferralRejected(told)
            | EventData::ReferralExpired(told) => Some(told),
            _ => None,
        }
    }

    /// Whether the member is the sender or the receiver.
    pub(super) fn side(&self) -> &'static str {
        self.referral().map_or("", |told| told.role.as_str())
    }

    pub(super) fn referral_channel(&self) -> &str {
        or_empty(self.referral().and_then(|told| told.channel.as_ref()))
    }

    pub(super) fn streak_length(&self) -> i64 {
        match &self.event.data {
            EventData::StreakBroken(broken) => broken.length.into(),
            _ => 0,
        }
    }

    pub(super) fn order(&self) -> Option<&Order> {
        match &self.event.data {
            EventData::OrderCreated(told)
            | EventData::OrderUpdated(told)
            | EventData::OrderCompleted(told) => Some(told.order()),
            _ => None,
        }
    }

    pub(super) fn cart(&self) -> Option<&Cart> {
        match &self.event.data {
            EventData::CartAbandoned(told) => Some(&told.cart),
            _ => None,
        }
    }

    pub(super) fn identified(&self) -> Option<&Identified> {
        match &self.event.data {
            EventData::MemberIdentified(identified) => Some(identified),
            _ => None,
        }
    }

    /// The parts of the profile that are others now.
    pub(super) fn changed(&self) -> Array {
        match &self.event.data {
            EventData::MemberUpdated(updated) => {
                updated.changed.iter().map(|field| field.as_str().into()).collect()
            }
            _ => Array::new(),
        }
    }

    pub(super) fn order_id(&self) -> &str {
        match &self.event.data {
            EventData::OrderRefunded(refund) => &refund.order_id,
            EventData::OrderCancelled(cancelled) => &cancelled.order_id,
            _ => self.order().map_or("", |order| &order.order_id),
        }
    }

    pub(super) fn total(&self) -> Decimal {
        match &self.event.data {
            EventData::OrderRefunded(refund) => refund.amount.unwrap_or_default().decimal(),
            EventData::OrderCancelled(cancelled) => cancelled.total.unwrap_or_default().decimal(),
            _ => self.order().map_or(Decimal::ZERO, |order| order.total.decimal()),
        }
    }

    pub(super) fn channel(&self) -> &str {
        match &self.event.data {
            EventData::VisitRecorded(visit) => or_empty(visit.channel.as_ref()),
            EventData::SessionStarted(started) => or_empty(started.channel.as_ref()),
            EventData::CartAbandoned(told) => or_empty(told.cart.channel.as_ref()),
            _ => or_empty(self.order().and_then(|order| order.channel.as_ref())),
        }
    }

    pub(super) fn reason(&self) -> &str {
        match &self.event.data {
            EventData::OrderRefunded(refund) => or_empty(refund.reason.as_ref()),
            EventData::OrderCancelled(cancelled) => or_empty(cancelled.reason.as_ref()),
            _ => self.points().map_or("", |moved| &moved.reason),
        }
    }
}

pub(super) fn or_empty<const MAX: usize>(text: Option<&Text<MAX>>) -> &str {
    text.map_or("", Text::as_str)
}
