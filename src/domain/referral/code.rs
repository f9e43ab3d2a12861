//! The code that a member gives to others.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::domain::coupon::{BadCode, CouponCode};
use crate::domain::ids::MemberId;

/// Short enough to be said, and of so many that no two of a chain's members get the same.
const LENGTH: usize = 12;

/// The code that a member gives to others. Made of their id, so it is always the same. Written like a coupon's code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReferralCode(CouponCode);

impl ReferralCode {
    /// The code of a member.
    pub fn of(member: MemberId) -> Self {
        let seed = [&b"referral"[..], &member.ulid().to_bytes()].concat();
        let long = CouponCode::generated(&seed, 0);
        let short = long[..LENGTH].parse();
        Self(short.unwrap_or_else(|_| unreachable!("a part of a code is a code")))
    }
}

impl FromStr for ReferralCode {
    type Err = BadCode;
    fn from_str(text: &str) -> Result<Self, BadCode> {
        text.parse().map(Self)
    }
}

impl Deref for ReferralCode {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReferralCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for ReferralCode {
    fn schema_name() -> Cow<'static, str> {
        "ReferralCode".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        CouponCode::json_schema(generator)
    }
}
