//! Prefixed ULIDs: the ids that outsiders see (`evt_01J…`).

use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::Timestamp;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind: expected `{prefix}` and 26 characters")]
pub struct BadId {
    /// The prefix that ids of this kind carry.
    pub prefix: &'static str,
}

/// The text of an id, on the stack.
pub type IdText = ArrayString<30>;

/// What all ids have in common.
pub trait Id: Copy {
    /// The text that outsiders see.
    fn text(self) -> IdText;
}

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps a ULID made at the edge, where randomness is allowed.
            pub const fn new(ulid: Ulid) -> Self {
                Self(ulid)
            }

            /// The bare ULID.
            pub const fn ulid(self) -> Ulid {
                self.0
            }

            /// The `n`-th id derived from `cause`. Deciding the same cause twice gives the same ids, and ids of one
            /// cause sort in the order they were made.
            pub const fn derived(cause: Ulid, n: u32) -> Self {
                Self(Ulid(cause.0.wrapping_add(1 + n as u128)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Id for $name {
            fn text(self) -> IdText {
                let mut buffer = [0; ulid::ULID_LEN];
                let mut text = IdText::new_const();
                text.push_str($prefix);
                text.push_str(self.0.array_to_str(&mut buffer));
                text
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                text.strip_prefix($prefix)
                    .and_then(|rest| Ulid::from_string(rest).ok())
                    .map(Self)
                    .ok_or(BadId { prefix: $prefix })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.text()) // `collect_str` takes four times as long
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let pattern = concat!("^", $prefix, "[0-9A-HJKMNP-TV-Z]{26}$");
                schemars::json_schema!({ "type": "string", "pattern": pattern })
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

prefixed_id!(
    /// A source event: what a POS told us.
    SourceId, "src_");
prefixed_id!(
    /// A loyalty event: what we tell the world.
    EventId, "evt_");
prefixed_id!(
    /// A member of one chain.
    MemberId, "mem_");
prefixed_id!(
    /// An endpoint: where loyalty events go.
    EndpointId, "ep_");
prefixed_id!(
    /// One loyalty event owed to one endpoint.
    DeliveryId, "dlv_");
prefixed_id!(
    /// One try of a delivery.
    AttemptId, "att_");
prefixed_id!(
    /// One recovery: what an endpoint missed, sent again.
    RecoveryId, "rcv_");
prefixed_id!(
    /// One immutable ledger line.
    TransferId, "trf_");
prefixed_id!(
    /// A book of coupons.
    CouponBookKey, "cbk_");
prefixed_id!(
    /// One thing that was done with a coupon.
    CouponUsageKey, "cbu_");
prefixed_id!(
    /// One member brought by another.
    ReferralId, "ref_");
prefixed_id!(
    /// A redemption: a reward that a member spent points on.
    RedemptionId, "rdm_");
prefixed_id!(
    /// An API key (not the secret itself).
    KeyId, "key_");
prefixed_id!(
    /// A line of the audit log.
    AuditId, "aud_");
prefixed_id!(
    /// A schedule by which a chain's data are written out.
    ExportScheduleId, "exs_");
prefixed_id!(
    /// A platform that a chain's data are kept in step with.
    IntegrationId, "int_");

/// The least ULID of an instant's millisecond. What a ULID is too small for, thousands of years from now, has the last one.
pub fn first_ulid_at(at: Timestamp) -> Ulid {
    const LAST_MS: u64 = (1 << 48) - 1;
    Ulid::from_parts(at.timestamp_millis().max(0).unsigned_abs().min(LAST_MS), 0)
}

impl DeliveryId {
    /// That of a delivery that is made long after its loyalty event: always the same, so that it is made once. It sorts
    /// with the event, and no other endpoint's is the same.
    pub fn made_late(endpoint: EndpointId, event: EventId) -> Self {
        let hash = Sha256::new().chain_update(endpoint.0.to_bytes()).chain_update(event.0.to_bytes());
        let bits = hash.finalize().into_iter().take(10).fold(0, |bits, byte| bits << 8 | u128::from(byte));
        Self(Ulid::from_parts(event.0.timestamp_ms(), bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_form() {
        let id = EventId::new(Ulid(42));
        assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
        assert_eq!((&*id.text(), id.text().len()), ("evt_0000000000000000000000001A", 30));
        assert!(id.to_string().parse::<MemberId>().is_err());
        assert!("evt_not-a-ulid".parse::<EventId>().is_err());
    }

    #[test]
    fn the_first_id_of_an_instant_is_never_before_that_of_an_earlier_one() {
        let instants =
            ["-0001-01-01", "1970-01-01", "2026-03-03", "9999-12-31", "+10889-08-03", "+200000-01-01"];
        let first = instants.map(|day| first_ulid_at(format!("{day}T00:00:00Z").parse().unwrap()));
        assert!(first.is_sorted() && first[0] == Ulid(0) && first[4] == first[5], "{first:?}");
        assert_eq!(first_ulid_at(Timestamp::MAX_UTC), first[5]);
    }

    #[test]
    fn derived_ids_are_repeatable_distinct_and_ordered() {
        let cause = Ulid(7 << 80);
        assert_eq!(EventId::derived(cause, 3), EventId::derived(cause, 3));
        assert!(EventId::derived(cause, 0) < EventId::derived(cause, 1));
    }

    #[test]
    fn a_delivery_that_is_made_late_has_one_id_and_the_time_of_its_event() {
        let (endpoint, event) = (EndpointId::new(Ulid(1)), EventId::new(Ulid(7 << 80 | 1)));
        let id = DeliveryId::made_late(endpoint, event);
        assert_eq!((id, id.ulid().timestamp_ms()), (DeliveryId::made_late(endpoint, event), 7));
        assert_ne!(id, DeliveryId::made_late(EndpointId::new(Ulid(2)), event));
        assert_ne!(id, DeliveryId::made_late(endpoint, EventId::new(Ulid(7 << 80 | 2))));
    }
}
