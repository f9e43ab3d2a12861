//! The catalogue of loyalty events: for each type its JSON Schema and an example. All of it comes from the types that are
//! sent, so that it cannot say anything else. Its name in every dialect: [`super::dialect`].

mod operations;
mod schema;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::NaiveDate;
use ulid::Ulid;

use super::Timestamp;
use super::achievement::{AchievementEarned, AchievementProgressed, AchievementRevoked, StreakBroken};
use super::campaign::CampaignExhausted;
use super::cart::{Cart, CartAbandoned};
use super::celebration::{Anniversary, Birthday};
use super::chain::ChainId;
use super::coupon::{BookDetails, BookType, CouponBook, CouponMoved, Discount, Limits, RevertOn, UsageKind};
use super::custom::Emitted;
use super::identity::{Identity, IdentityKind};
use super::ids::{EventId, MemberId, RedemptionId};
use super::loyalty_event::{
    Absence, EventData, EventType, ExpiringSoon, LoyaltyEvent, PointsMoved, PointsPending, SegmentChange,
    Subject, TierInDanger, TierMoved,
};
use super::member::{MemberFace, NextExpiration, RiskLevel};
use super::money::{Money, Points};
use super::offering::{Change, Offering, OfferingNews};
use super::order::{
    Back, Cancellation, Item, Order, OrderTold, Refund, RefundTold, ReturnedLine, Visit, WhichLine,
};
use super::payload::Payload;
use super::people::{Enrolled, Forfeited, ProfileUpdated, Purse, Reunion};
use super::profile::{Attribute, Code, GovId, Profile, ProfileField};
use super::redemption::{RedemptionStatus, RedemptionTold, RewardFace};
use super::referral::{ReferralStatus, ReferralTold};
use super::segment::{SegmentNames, SegmentType, segment_id};
use super::session::{Identified, SessionEnded, SessionStarted, Signal};
use super::suspension::{Ending, RuleResumed, Suspension};
use super::terms::achievement::Unit;
use super::terms::reward::RewardKind;
use super::terms::tier::{Metric, Tier};
use super::text::{Key, Name, Note, Text};

impl EventType {
    /// A made-up event of this type.
    pub fn example(self) -> LoyaltyEvent {
        LoyaltyEvent {
            id: EventId::new(Ulid(0x019c_b5c8_a3d0_0000_0000_0000_0000_002a)),
            chain: literal("harvest".parse::<ChainId>()),
            subject: self.is_about_member().then(|| ana(self.shows_segments().then(segments))),
            at: Timestamp::from_timestamp_nanos(1_772_562_600_000_000_000),
            data: self.example_data(),
            source_key: (!self.is_about_engine()).then(|| literal(Key::parse("ORD-1001"))),
            program_version: 1,
        }
    }

    fn example_data(self) -> EventData {
        let points = |reason: &str| PointsMoved {
            amount: Points(24),
            taken: false,
            wallet: name("points"),
            new_balance: Points(74),
            reason: reason.into(),
            expires_at: None,
            order_id: None,
        };
        let of_order =
            |reason: &str| PointsMoved { order_id: Some(literal(Key::parse("ORD-1001"))), ..points(reason) };
        let tier = |id, text| Tier { id: name(id), name: name(text) };
        let (bronze, silver) = (tier("bronze", "Bronze"), tier("silver", "Silver"));
        let moved = |previous: Tier, new: Tier| TierMoved {
            previous_tier: Some(previous),
            manual_tier: None,
            system_tier: Some(new.id.clone()),
            new_tier: new,
        };
        let away = |risk_level, days| Absence {
            risk_level,
            days_since_last_visit: days,
            previous_visit_frequency: Some(money("4.00")),
            typical_gap_days: Some(money("7.5")),
            predicted_churn_probability: Some(money("0.35")),
            recommended_actions: vec![name("Send win-back offer")],
        };
        let regular = |previous: &[&str], current: &[&str]| SegmentChange {
            segment_id: segment_id("Regular"),
            segment_name: name("Regular"),
            segment_type: SegmentType::Primary,
            trigger: name("visit_count_threshold"),
            previous_segments: previous.iter().map(|text| name(text)).collect(),
            current_segments: current.iter().map(|text| name(text)).collect(),
        };
        match self {
            Self::MemberEnrolled => enrolled(),
            Self::OrderCreated => EventData::OrderCreated(OrderTold::of(booking().into(), Some(1))),
            Self::OrderUpdated => EventData::OrderUpdated(OrderTold::of(booking().into(), Some(2))),
            Self::OrderCompleted => EventData::OrderCompleted(OrderTold::of(order().into(), Some(3)).again()),
            Self::OrderCancelled => EventData::OrderCancelled(cancellation()),
            Self::OrderRefunded => EventData::OrderRefunded(RefundTold::of(&refund(), Some(money("22.50")))),
            Self::MemberUpdated => profile_updated(),
            Self::MemberMerged => EventData::MemberMerged(reunion().into()),
            Self::MemberUnmerged => EventData::MemberUnmerged(reunion().into()),
            Self::MemberErased => {
                let Reunion { other_id, other_member_id, points } = reunion();
                let forfeited = Forfeited { known_as: other_id, member_id: other_member_id, points };
                EventData::MemberErased(forfeited.into())
            }
            Self::MemberIdentified => EventData::MemberIdentified(Identified {
                identified_via: IdentityKind::Card,
                confidence: money("0.98"),
                is_returning: true,
                session_id: literal(Key::parse("sess_xyz789")),
            }),
            Self::SessionStarted => EventData::SessionStarted(SessionStarted {
                session_id: literal(Key::parse("sess_xyz789")),
                channel: Some(name("kiosk")),
            }),
            Self::SessionEnded => EventData::SessionEnded(SessionEnded {
                session_id: literal(Key::parse("sess_xyz789")),
                duration_seconds: Some(312),
            }),
            Self::SignalReceived => EventData::SignalReceived(Signal {
                name: name("menu_viewed"),
                data: literal(Payload::parse(r#"{ "menu": "lunch", "seconds": 41 }"#)),
            }),
            Self::CustomEmitted => EventData::CustomEmitted(Emitted {
                name: name("stamp.given"),
                data: literal(Payload::parse(r#"{ "stamps": 3 }"#)),
            }),
            Self::CartAbandoned => EventData::CartAbandoned(CartAbandoned {
                cart: cart().into(),
                updated_at: Timestamp::from_timestamp_nanos(1_772_559_000_000_000_000),
            }),
            Self::MemberBirthday => {
                EventData::MemberBirthday(Birthday { day: literal("2026-02-28".parse()) })
            }
            Self::MemberAnniversary => EventData::MemberAnniversary(Anniversary {
                years: 2,
                enrolled_on: literal("2024-03-03".parse()),
            }),
            Self::VisitRecorded => EventData::VisitRecorded(Visit { channel: Some(name("checkin")) }),
            Self::PointsEarned => EventData::PointsEarned(of_order("Points per dollar")),
            Self::PointsDeducted => EventData::PointsDeducted(points("Points expire")),
            Self::PointsClawedBack => EventData::PointsClawedBack(of_order("refund")),
            Self::PointsPending => EventData::PointsPending(PointsPending {
                amount: Points(24),
                wallet: name("points"),
                reason: "Points per dollar".into(),
                available_at: Some(Timestamp::from_timestamp_nanos(1_773_772_200_000_000_000)),
                order_id: Some(literal(Key::parse("ORD-1001"))),
            }),
            Self::PointsExpired => EventData::PointsExpired(points("not used in time")),
            Self::PointsExpiringSoon => EventData::PointsExpiringSoon(ExpiringSoon {
                amount: Points(24),
                wallet: name("points"),
                expires_at: Timestamp::from_timestamp_nanos(1_775_016_000_000_000_000),
                balance: Points(74),
            }),
            Self::PointsAdjusted => EventData::PointsAdjusted(points("Goodwill")),
            Self::PointsRedeemed => EventData::PointsRedeemed(points("$25 Gift Card")),
            Self::PointsReturned => EventData::PointsReturned(points("$25 Gift Card")),
            Self::RedemptionCreated => EventData::RedemptionCreated(redemption(RedemptionStatus::Pending)),
            Self::RedemptionPending => EventData::Redemption(redemption(RedemptionStatus::Pending)),
            Self::RedemptionApproved => EventData::Redemption(redemption(RedemptionStatus::Approved)),
            Self::RedemptionFulfilled => EventData::Redemption(redemption(RedemptionStatus::Fulfilled)),
            Self::RedemptionRejected => EventData::Redemption(redemption(RedemptionStatus::Rejected)),
            Self::RedemptionCancelled => EventData::Redemption(redemption(RedemptionStatus::Cancelled)),
            Self::RedemptionExpired => EventData::Redemption(redemption(RedemptionStatus::Expired)),
            Self::TierUpgraded => EventData::TierUpgraded(moved(bronze, silver)),
            Self::TierDowngraded => EventData::TierDowngraded(moved(silver, bronze)),
            Self::TierWillDowngrade => EventData::TierWillDowngrade(TierInDanger {
                tier: silver,
                metric: Metric::Spend,
                missing: money("40.00"),
                on: literal("2027-01-01".parse()),
            }),
            Self::AchievementEarned => EventData::AchievementEarned(AchievementEarned {
                achievement: name("ten_visits"),
                name: Some(name("Ten visits")),
                times: 1,
                target: Some(money("10")),
            }),
            Self::AchievementProgressed => EventData::AchievementProgressed(AchievementProgressed {
                achievement: name("ten_visits"),
                name: name("Ten visits"),
                progress: money("7"),
                target: money("10"),
                period_start: Some(literal("2026-03-01".parse())),
            }),
            Self::AchievementRevoked => EventData::AchievementRevoked(AchievementRevoked {
                achievement: name("ten_visits"),
                name: name("Ten visits"),
                times: 0,
                coupons_kept: Vec::new(),
            }),
            Self::ReferralCreated => EventData::ReferralCreated(Box::new(ReferralTold {
                sender_first_name: Some(name("Ben")),
                sender_email: Some("ben@example.com".into()),
                code: Some(literal("7MKQX3TB9WZC".parse())),
                link: Some("https://example.com/r/7MKQX3TB9WZC".into()),
                new_user: true,
                ..ReferralTold::example(ReferralStatus::Pending)
            })),
            Self::ReferralApproved => {
                EventData::ReferralApproved(Box::new(ReferralTold::example(ReferralStatus::Approved)))
            }
            Self::ReferralRejected => EventData::ReferralRejected(Box::new(ReferralTold {
                reason: Some(literal(Text::parse("Same household"))),
                ..ReferralTold::example(ReferralStatus::Rejected)
            })),
            Self::ReferralExpired => {
                EventData::ReferralExpired(Box::new(ReferralTold::example(ReferralStatus::Expired)))
            }
            Self::ReferralRevoked => EventData::ReferralRevoked(Box::new(ReferralTold {
                coupons_kept: vec![literal("7MKQX3TB9WZC4H2R".parse())],
                ..ReferralTold::example(ReferralStatus::Revoked)
            })),
            Self::StreakBroken => EventData::StreakBroken(StreakBroken {
                achievement: name("five_weeks"),
                name: name("Five weeks in a row"),
                unit: Unit::Week,
                length: 4,
                last: literal("2026-02-09".parse()),
            }),
            Self::CouponAssigned => coupon(UsageKind::Assigned),
            Self::CouponReserved => coupon(UsageKind::Reserved),
            Self::CouponReleased => coupon(UsageKind::Released),
            Self::CouponUsed => coupon(UsageKind::Used),
            Self::CouponReverted => coupon(UsageKind::Reverted),
            Self::CouponWithdrawn => coupon(UsageKind::Withdrawn),
            Self::SegmentEntered => EventData::SegmentEntered(regular(&["Coffee"], &["Coffee", "Regular"])),
            Self::SegmentExited => EventData::SegmentExited(regular(&["Coffee", "Regular"], &["Coffee"])),
            Self::MemberAtRisk => EventData::MemberAtRisk(away(RiskLevel::Medium, 21)),
            Self::MemberChurned => EventData::MemberChurned(away(RiskLevel::High, 90)),
            Self::MemberReactivated => EventData::MemberReactivated(Absence {
                recommended_actions: vec![name("Say welcome back")],
                ..away(RiskLevel::High, 95)
            }),
            Self::CampaignExhausted => EventData::CampaignExhausted(CampaignExhausted {
                campaign: name("summer"),
                name: name("Summer of bowls"),
                budget: Points(100_000),
                wallet: name("points"),
            }),
            Self::ExperienceCreated => offering(Offering::Experience, Change::Created),
            Self::ExperienceUpdated => offering(Offering::Experience, Change::Updated),
            Self::ExperienceDeleted => offering(Offering::Experience, Change::Deleted),
            Self::MenuItemCreated => offering(Offering::MenuItem, Change::Created),
            Self::MenuItemUpdated => offering(Offering::MenuItem, Change::Updated),
            Self::MenuItemDeleted => offering(Offering::MenuItem, Change::Deleted),
            Self::RuleSuspended => EventData::RuleSuspended(Box::new((&suspension()).into())),
            Self::RuleResumed => {
                EventData::RuleResumed(RuleResumed::of(&suspension(), &Ending::Published(4)).into())
            }
            Self::EndpointFailing
            | Self::EndpointDisabled
            | Self::EndpointEnabled
            | Self::EndpointRecovered
            | Self::DeliveryExhausted
            | Self::LaneBlocked => operations::example(self),
        }
    }
}

fn reunion() -> Reunion {
    Reunion {
        other_id: "m-43".into(),
        other_member_id: MemberId::new(Ulid(0x019c_b5c8_a3d0_0000_0000_0000_0000_0008)),
        points: vec![Purse { wallet: name("points"), balance: Points(120), pending: Points(0) }],
    }
}

fn enrolled() -> EventData {
    EventData::MemberEnrolled(Box::new(Enrolled {
        enrolled_at: Timestamp::from_timestamp_nanos(1_772_562_600_000_000_000),
        identities: identities(),
        profile: profile(),
    }))
}

fn identities() -> Vec<Identity> {
    let known = [(IdentityKind::Id, "m-42"), (IdentityKind::Email, "ana@example.com")];
    known.map(|(kind, value)| literal(Identity::parse(kind, value))).into()
}

fn redemption(status: RedemptionStatus) -> RedemptionTold {
    let is_refused = matches!(status, RedemptionStatus::Rejected | RedemptionStatus::Cancelled);
    RedemptionTold {
        redemption_id: RedemptionId::new(Ulid(0x019c_b5c8_a3d0_0000_0000_0000_0000_0031)),
        reward: RewardFace { id: name("gift-card"), title: name("$25 Gift Card"), kind: RewardKind::Digital },
        points_spent: Points(2_500),
        wallet: name("points"),
        status,
        expires_at: status.is_open().then(|| Timestamp::from_timestamp_nanos(1_775_016_000_000_000_000)),
        reason: is_refused.then(|| literal(Note::parse("No longer wanted"))),
        code: (status == RedemptionStatus::Fulfilled).then(|| name("GIFT-7QX2")),
    }
}

fn profile_updated() -> EventData {
    let changed = vec![ProfileField::Birthdate, ProfileField::Emails, ProfileField::Identities];
    EventData::MemberUpdated(Box::new(ProfileUpdated {
        changed,
        identities: identities(),
        profile: profile(),
    }))
}

fn profile() -> Profile {
    Profile {
        first_name: Some(name("Ana")),
        last_name: Some(name("Suárez")),
        full_name: Some(name("Ana Suárez")),
        birthdate: NaiveDate::from_ymd_opt(1990, 2, 28),
        gov_id: Some(GovId {
            id: name("30123456"),
            kind: name("DNI"),
            issuing_country: Some(literal(Code::parse("AR"))),
        }),
        emails: vec![name("ana@work.example.com")],
        language: Some(literal(Code::parse("es-AR"))),
        consents: [(name("sms"), true)].into(),
        attributes: [(name("favourite_table"), Attribute::Number(money("7")))].into(),
    }
}

fn ana(segments: Option<SegmentNames>) -> Subject {
    Subject {
        id: MemberId::new(Ulid(0x019c_b5c8_a3d0_0000_0000_0000_0000_0007)),
        previous: None,
        face: Arc::new(MemberFace {
            id: "m-42".into(),
            member_id: MemberId::new(Ulid(0x019c_b5c8_a3d0_0000_0000_0000_0000_0007)),
            email: Some("ana@example.com".into()),
            phone: None,
            first_name: Some(name("Ana")),
            last_name: Some(name("Suárez")),
            full_name: None,
            tier: Some(name("bronze")),
            tier_name: Some(name("Bronze")),
            manual_tier: None,
            system_tier: Some(name("bronze")),
            points: Points(74),
            next_expiration: Some(NextExpiration {
                amount: Points(50),
                at: Timestamp::from_timestamp_nanos(1_775_016_000_000_000_000),
            }),
            segments,
        }),
    }
}

fn suspension() -> Suspension {
    Suspension {
        rule: "Double points Tuesday".into(),
        at: "earning.rhai:12".into(),
        version: 3,
        since: Timestamp::from_timestamp_nanos(1_772_559_000_000_000_000),
        members: 10,
        failed_at: "earning.rhai:15:22".into(),
        error: "Division by zero: 24 / 0".into(),
    }
}

fn offering(what: Offering, change: Change) -> EventData {
    let about = match what {
        Offering::Experience => r#"{ "id": "exp_7", "name": "Pasta class", "price": 65.00, "seats": 12 }"#,
        Offering::MenuItem => {
            r#"{ "id": "dish_001", "name": "Power Bowl", "category": "food", "price": 14.50, "available": true }"#
        }
    };
    EventData::Offering(OfferingNews { what, change, about: literal(Payload::parse(about)) })
}

fn coupon(kind: UsageKind) -> EventData {
    let book = CouponBook {
        key: CouponBook::declared_key(&name("welcome")),
        id: Some(name("welcome")),
        name: name("Test discount"),
        kind: BookType::Generated,
        discount: Discount::Percentage(20.into()),
        valid_from: None,
        valid_to: None,
        limits: Limits::default(),
        expires_after: Some(literal("30d".parse())),
        revert_on: RevertOn::default(),
        details: BookDetails {
            description: Some(literal(Text::parse("<p>Test discount description</p>"))),
            picture_url: Some(literal(Text::parse("https://example.com/coupon-image.png"))),
            external_id: Some(name("Y6QF-TEST")),
            tags: vec![name("spring")],
            custom_attributes: [(name("campaign"), literal(Text::parse("spring-2026")))].into(),
        },
    };
    let at = Timestamp::from_timestamp_nanos(1_772_562_600_000_000_000);
    EventData::Coupon(
        kind,
        Box::new(CouponMoved::example(&book, literal("7MKQX3TB9WZC4H2R".parse()), kind, at)),
    )
}

fn cart() -> Cart {
    let Order { items, channel, session_id, .. } = order();
    let cart = Cart {
        cart_id: literal(Key::parse("cart_5521")),
        version: Some(4),
        channel,
        location: None,
        session_id,
        value: Money::ZERO,
        item_count: 0,
        items: Vec::new(),
        lines_left_out: 0,
    };
    cart.with_lines(items, None)
}

fn order() -> Order {
    Order {
        order_id: literal(Key::parse("ORD-1001")),
        total: money("24.50"),
        subtotal: Some(money("22.50")),
        tax: Some(money("2.00")),
        tip: None,
        discount: None,
        delivery_fee: None,
        service_charge: None,
        gift_card: None,
        channel: Some(name("pos")),
        location: Some(name("loc_philly_walnut")),
        session_id: Some(name("sess_xyz789")),
        cart_id: Some(literal(Key::parse("cart_5520"))),
        status: None,
        experience_details: None,
        coupons: vec![name("7MKQX3TB9WZC4H2R")],
        items: vec![Item {
            sku: Some(name("dish_001")),
            name: Some(name("Power Bowl")),
            category: Some(name("food")),
            quantity: money("1"),
            price: money("22.50"),
            customized: Some(true),
        }],
    }
}

fn booking() -> Order {
    Order {
        status: Some(name("payment_captured")),
        experience_details: Some(literal(r#"{"experience_id":"exp_7","guests":2}"#.parse())),
        ..order()
    }
}

fn cancellation() -> Cancellation {
    Cancellation {
        order_id: literal(Key::parse("ORD-1001")),
        version: Some(4),
        total: Some(money("24.50")),
        status: Some(name("cancelled")),
        reason: Some(name("guest did not come")),
    }
}

fn refund() -> Refund {
    let line = ReturnedLine { which: WhichLine::Sku(name("dish_001")), quantity: Some(money("1")) };
    Refund {
        order_id: literal(Key::parse("ORD-1001")),
        back: Back::Lines(vec![line]),
        reason: Some(name("cold")),
    }
}

fn segments() -> SegmentNames {
    SegmentNames {
        primary: vec![name("Coffee")],
        compound: vec![name("Coffee regular")],
        cohorts: Vec::new(),
    }
}

fn name(text: &str) -> Name {
    literal(Name::parse(text))
}

fn money(text: &str) -> Money {
    literal(text.parse())
}

/// What was parsed from a literal of this file.
fn literal<T, E>(parsed: Result<T, E>) -> T {
    parsed.unwrap_or_else(|_| unreachable!("the examples are valid"))
}
