//! The catalogue of loyalty events: for each type its JSON Schema, an example, and its name in every dialect. All of it
//! comes from the types that are sent, so that it cannot say anything else.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, json_schema};
use ulid::Ulid;

use super::Timestamp;
use super::chain::ChainId;
use super::endpoint::Dialect;
use super::ids::{EventId, MemberId, RedemptionId};
use super::loyalty_event::{
    Absence, AchievementEarned, EventData, EventType, ExpiringSoon, LoyaltyEvent, Message, Nothing,
    PointsMoved, PointsPending, TierMoved, With,
};
use super::member::MemberFace;
use super::money::{Money, Points};
use super::order::{Item, Order, Refund, Visit};
use super::redemption::{RedemptionStatus, RedemptionTold, RewardFace};
use super::terms::reward::RewardKind;
use super::text::{Key, Name, Note};

impl EventType {
    /// What receivers that speak `dialect` know it by.
    pub const fn name_in(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Standard => self.as_str(),
        }
    }

    /// The JSON Schema of the message, which is what the `standard` dialect sends.
    pub fn schema(self) -> Schema {
        let mut schema = match self {
            Self::MemberEnrolled => message_with::<Nothing>(),
            Self::OrderCompleted => message_with::<Order>(),
            Self::OrderRefunded => message_with::<Refund>(),
            Self::VisitRecorded => message_with::<Visit>(),
            Self::PointsEarned
            | Self::PointsDeducted
            | Self::PointsClawedBack
            | Self::PointsAdjusted
            | Self::PointsExpired
            | Self::PointsRedeemed
            | Self::PointsReturned => message_with::<PointsMoved>(),
            Self::PointsPending => message_with::<PointsPending>(),
            Self::PointsExpiringSoon => message_with::<ExpiringSoon>(),
            Self::RedemptionCreated
            | Self::RedemptionPending
            | Self::RedemptionApproved
            | Self::RedemptionFulfilled
            | Self::RedemptionRejected
            | Self::RedemptionCancelled
            | Self::RedemptionExpired => message_with::<RedemptionTold>(),
            Self::TierUpgraded | Self::TierDowngraded => message_with::<TierMoved>(),
            Self::AchievementEarned => message_with::<AchievementEarned>(),
            Self::MemberAtRisk | Self::MemberChurned | Self::MemberReactivated => message_with::<Absence>(),
        };
        let properties = schema.get_mut("properties").and_then(|properties| properties.as_object_mut());
        if let Some(properties) = properties {
            properties.insert("type".to_owned(), json_schema!({ "const": self.as_str() }).into());
        }
        schema.insert("title".to_owned(), self.as_str().into());
        schema.insert("description".to_owned(), self.description().trim().into());
        schema
    }

    /// A made-up event of this type.
    pub fn example(self) -> LoyaltyEvent {
        LoyaltyEvent {
            id: EventId::new(Ulid(0x019c_b5c8_a3d0_0000_0000_0000_0000_002a)),
            previous: None,
            chain: literal("harvest".parse::<ChainId>()),
            member: MemberId::new(Ulid(0x019c_b5c8_a3d0_0000_0000_0000_0000_0007)),
            face: MemberFace {
                id: "m-42".into(),
                email: Some("ana@example.com".into()),
                phone: None,
                tier: Some(name("bronze")),
                points: Points(74),
            },
            at: Timestamp::from_timestamp_nanos(1_772_562_600_000_000_000),
            data: self.example_data(),
            source_key: Some(literal(Key::parse("ORD-1001"))),
        }
    }

    fn example_data(self) -> EventData {
        let points = |reason: &str| PointsMoved {
            amount: Points(24),
            wallet: name("points"),
            new_balance: Points(74),
            reason: reason.into(),
            expires_at: None,
        };
        let tiers = |previous, new| TierMoved { previous_tier: Some(name(previous)), new_tier: name(new) };
        let away = |days| Absence { days_since_last_visit: days, typical_gap_days: Some(money("7.5")) };
        match self {
            Self::MemberEnrolled => EventData::MemberEnrolled,
            Self::OrderCompleted => EventData::OrderCompleted(order()),
            Self::OrderRefunded => EventData::OrderRefunded(Refund {
                order_id: literal(Key::parse("ORD-1001")),
                amount: money("10.00"),
                reason: Some(name("cold")),
            }),
            Self::VisitRecorded => EventData::VisitRecorded(Visit { channel: Some(name("checkin")) }),
            Self::PointsEarned => EventData::PointsEarned(points("Points per dollar")),
            Self::PointsDeducted => EventData::PointsDeducted(points("Points expire")),
            Self::PointsClawedBack => EventData::PointsClawedBack(points("refund")),
            Self::PointsPending => EventData::PointsPending(PointsPending {
                amount: Points(24),
                wallet: name("points"),
                reason: "Points per dollar".into(),
                available_at: Some(Timestamp::from_timestamp_nanos(1_773_772_200_000_000_000)),
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
            Self::RedemptionPending => EventData::RedemptionPending(redemption(RedemptionStatus::Pending)),
            Self::RedemptionApproved => EventData::RedemptionApproved(redemption(RedemptionStatus::Approved)),
            Self::RedemptionFulfilled => {
                EventData::RedemptionFulfilled(redemption(RedemptionStatus::Fulfilled))
            }
            Self::RedemptionRejected => EventData::RedemptionRejected(redemption(RedemptionStatus::Rejected)),
            Self::RedemptionCancelled => {
                EventData::RedemptionCancelled(redemption(RedemptionStatus::Cancelled))
            }
            Self::RedemptionExpired => EventData::RedemptionExpired(redemption(RedemptionStatus::Expired)),
            Self::TierUpgraded => EventData::TierUpgraded(tiers("bronze", "silver")),
            Self::TierDowngraded => EventData::TierDowngraded(tiers("silver", "bronze")),
            Self::AchievementEarned => {
                EventData::AchievementEarned(AchievementEarned { achievement: name("ten_visits") })
            }
            Self::MemberAtRisk => EventData::MemberAtRisk(away(21)),
            Self::MemberChurned => EventData::MemberChurned(away(90)),
            Self::MemberReactivated => EventData::MemberReactivated(away(95)),
        }
    }
}

/// The schema of what is written, without references: each can be copied as it is.
fn message_with<T: JsonSchema + 'static>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.for_serialize().into_generator().into_root_schema_for::<Message<'static, With<'static, T>>>()
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

fn order() -> Order {
    Order {
        order_id: literal(Key::parse("ORD-1001")),
        total: money("24.50"),
        subtotal: Some(money("22.50")),
        tax: Some(money("2.00")),
        tip: None,
        discount: None,
        channel: Some(name("pos")),
        items: vec![Item {
            sku: Some(name("dish_001")),
            name: Some(name("Power Bowl")),
            category: Some(name("food")),
            quantity: money("1"),
            price: money("22.50"),
        }],
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// What of `value` the schema does not describe. Knows as much of JSON Schema as our own schemas use.
    fn mismatches(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(n) if n.is_i64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let allowed = schema["type"].to_string();
        let fits = allowed.contains(kind) || (kind == "integer" && allowed.contains("number"));
        if schema.get("const").is_some_and(|only| only != value) || (schema.get("type").is_some() && !fits) {
            found.push(format!("{path}: {value} is no {schema}"));
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            match schema["properties"].get(name) {
                Some(schema) => mismatches(schema, inner, &format!("{path}.{name}"), found),
                None => found.push(format!("{path}.{name} is not described")),
            }
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            if value.get(name.as_str().unwrap()).is_none() {
                found.push(format!("{path}.{name} is missing"));
            }
        }
        for inner in value.as_array().into_iter().flatten() {
            mismatches(&schema["items"], inner, &format!("{path}[]"), found);
        }
    }

    #[test]
    fn every_example_is_of_its_type_and_as_its_schema_says() {
        for kind in EventType::ALL {
            let example: Value = serde_json::from_str(&kind.example().to_json()).unwrap();
            assert_eq!(example["type"], kind.as_str());
            let schema = kind.schema().to_value();
            let mut found = Vec::new();
            mismatches(&schema, &example, "", &mut found);
            assert!(found.is_empty(), "{kind}: {found:?}\n{schema:#}");
            assert!(!schema.to_string().contains("$ref"), "{schema:#}");
        }
    }

    #[test]
    fn a_schema_says_what_is_always_there() {
        let schema = EventType::PointsEarned.schema().to_value();
        assert_eq!(
            schema["required"],
            serde_json::json!(["id", "type", "timestamp", "chain", "member", "data"])
        );
        assert_eq!(schema["properties"]["type"], serde_json::json!({ "const": "points.earned" }));
        let data = &schema["properties"]["data"];
        assert_eq!(
            data["required"],
            serde_json::json!(["amount", "wallet", "new_balance", "reason"]),
            "{schema:#}"
        );
        assert_eq!(data["properties"]["amount"]["type"], "integer");
    }
}
