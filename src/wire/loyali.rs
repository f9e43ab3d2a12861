//! Loyali's webhooks: `id`, `event_type`, `created_at`, `data`, and `t=…,v1=…` over time and body.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::told::{Raw, Seconds, Told};
use super::{Header, Letter, Rendered, Sealing, Speaks, Unsendable, name_of, sign};
use crate::domain::endpoint::Dialect;
use crate::domain::json::to_json;
use crate::domain::loyalty_event::EventType;

pub(super) struct Loyali;

impl Speaks for Loyali {
    fn render(&self, letter: &Letter) -> Result<Option<Rendered>, Unsendable> {
        let told = Told::read(&letter.message)?;
        let name = name_of(Dialect::Loyali, &told)?;
        let customer_id = told.member_id();
        let customer_email = told.member.as_ref().and_then(|member| member.email.as_deref());
        let envelope = Envelope { letter, told: &told, name: &name };
        let body = match told.kind {
            EventType::PointsEarned
            | EventType::PointsRedeemed
            | EventType::PointsExpired
            | EventType::PointsAdjusted => envelope.around(Points::of(customer_id, &told)?),
            EventType::TierUpgraded | EventType::TierDowngraded => {
                let own = told.data::<Tiers<'_>>()?;
                envelope.around(OfCustomer { customer_id, customer_email, own })
            }
            EventType::RedemptionCreated
            | EventType::RedemptionPending
            | EventType::RedemptionApproved
            | EventType::RedemptionFulfilled
            | EventType::RedemptionRejected
            | EventType::RedemptionCancelled => {
                envelope.around(Redeemed { customer_id, own: told.data::<Redemption<'_>>()? })
            }
            EventType::AchievementEarned => {
                let own = Achieved::of(&told)?;
                envelope.around(OfCustomer { customer_id, customer_email, own })
            }
            kind if kind.is_about_member() => {
                let own: BTreeMap<String, &RawValue> = told.data()?;
                envelope.around(OfCustomer { customer_id, customer_email, own })
            }
            _ => envelope.around(told.data::<BTreeMap<String, &RawValue>>()?),
        };
        Ok(Some(Rendered { body, headers: Vec::new() }))
    }

    fn capitals(&self) -> bool {
        true
    }

    /// As long as there are several secrets, verifiers accept any of the signatures.
    fn sign(&self, sealing: &Sealing<'_>) -> Vec<Header> {
        let timestamp = sealing.timestamp().to_string();
        let signature = |secret| format!(",v1={}", sign::hex_hmac(secret, &[&timestamp, ".", sealing.body]));
        let signatures: String = sealing.signers.secrets().map(signature).collect();
        vec![("x-loyali-signature", format!("t={timestamp}{signatures}"))]
    }
}

struct Envelope<'a> {
    letter: &'a Letter,
    told: &'a Told<'a>,
    name: &'a str,
}

impl Envelope<'_> {
    fn around<D: Serialize>(&self, data: D) -> String {
        #[derive(Serialize)]
        struct Written<'a, D> {
            id: String,
            event_type: &'a str,
            created_at: Seconds,
            data: D,
        }
        to_json(&Written {
            id: format!("whd_{}", self.letter.delivery.ulid()),
            event_type: self.name,
            created_at: Seconds(self.told.timestamp),
            data,
        })
    }
}

#[derive(Serialize)]
struct OfCustomer<'a, D> {
    customer_id: Option<&'a str>,
    customer_email: Option<&'a str>,
    #[serde(flatten)]
    own: D,
}

#[derive(Serialize)]
struct Points<'a> {
    customer_id: Option<&'a str>,
    amount: i64,
    new_balance: Raw<'a>,
    reason: Raw<'a>,
}

impl<'a> Points<'a> {
    fn of(customer_id: Option<&'a str>, told: &Told<'a>) -> Result<Self, Unsendable> {
        #[derive(Deserialize)]
        struct Canonical<'a> {
            amount: i64,
            #[serde(default)]
            taken: bool,
            #[serde(borrow)]
            new_balance: Raw<'a>,
            reason: Raw<'a>,
        }
        let Canonical { amount, taken, new_balance, reason } = told.data()?;
        // An adjustment has a direction; all others say it by their name.
        let amount = if taken { -amount } else { amount };
        Ok(Self { customer_id, amount, new_balance, reason })
    }
}

#[derive(Deserialize, Serialize)]
struct Tiers<'a> {
    #[serde(borrow)]
    previous_tier: Option<Tier<'a>>,
    new_tier: Option<Tier<'a>>,
}

#[derive(Deserialize, Serialize)]
struct Tier<'a> {
    #[serde(borrow)]
    name: Raw<'a>,
    id: Raw<'a>,
}

#[derive(Serialize)]
struct Redeemed<'a> {
    customer_id: Option<&'a str>,
    #[serde(flatten)]
    own: Redemption<'a>,
}

#[derive(Deserialize, Serialize)]
struct Redemption<'a> {
    #[serde(borrow)]
    redemption_id: Raw<'a>,
    reward: Option<Reward<'a>>,
    points_spent: Raw<'a>,
    status: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Raw<'a>,
}

#[derive(Deserialize, Serialize)]
struct Reward<'a> {
    #[serde(borrow)]
    title: Raw<'a>,
    #[serde(rename = "type")]
    kind: Raw<'a>,
}

#[derive(Serialize)]
struct Achieved<'a> {
    achievement: Achievement<'a>,
    times: Raw<'a>,
}

#[derive(Serialize)]
struct Achievement<'a> {
    id: Raw<'a>,
    name: Raw<'a>,
}

impl<'a> Achieved<'a> {
    fn of(told: &Told<'a>) -> Result<Self, Unsendable> {
        #[derive(Deserialize)]
        struct Canonical<'a> {
            #[serde(borrow)]
            achievement: Raw<'a>,
            name: Raw<'a>,
            times: Raw<'a>,
        }
        let Canonical { achievement, name, times } = told.data()?;
        Ok(Self { achievement: Achievement { id: achievement, name }, times })
    }
}
