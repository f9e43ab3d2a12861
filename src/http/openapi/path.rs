//! What stands in paths. A name there means the same thing in every path.

use schemars::SchemaGenerator;

use super::operation::Shape;
use crate::domain::chain::ChainId;
use crate::domain::coupon::CouponCode;
use crate::domain::ids::{
    DeliveryId, EndpointId, EventId, KeyId, RecoveryId, RedemptionId, SourceId, TransferId,
};

/// A part of a path that stands for something.
#[derive(Debug, Clone, Copy)]
pub(super) struct PathParameter {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) example: &'static str,
    pub(super) shape: Shape,
}

const fn of(
    name: &'static str,
    example: &'static str,
    shape: Shape,
    description: &'static str,
) -> PathParameter {
    PathParameter { name, description, example, shape }
}

const ALL: &[PathParameter] = &[
    of("chain", "harvest", SchemaGenerator::subschema_for::<ChainId>, "The chain's id."),
    of(
        "member",
        "m-42",
        SchemaGenerator::subschema_for::<String>,
        "Any id that the chain knows the member by, or ours (`mem_…`).",
    ),
    of(
        "event",
        "evt_01HZY3V9W8Q2C5N7R4T6XKBMDG",
        SchemaGenerator::subschema_for::<EventId>,
        "The loyalty event's id.",
    ),
    of(
        "source_event",
        "src_01HZY3V9W8Q2C5N7R4T6XKBMDG",
        SchemaGenerator::subschema_for::<SourceId>,
        "The source event's id.",
    ),
    of(
        "line",
        "trf_01HZY3V9W8Q2C5N7R4T6XKBMDG",
        SchemaGenerator::subschema_for::<TransferId>,
        "The ledger line's id.",
    ),
    of(
        "endpoint",
        "ep_01HZY3V9W8Q2C5N7R4T6XKBMDG",
        SchemaGenerator::subschema_for::<EndpointId>,
        "The endpoint's id.",
    ),
    of(
        "recovery",
        "rcv_01HZY3V9W8Q2C5N7R4T6XKBMDG",
        SchemaGenerator::subschema_for::<RecoveryId>,
        "The recovery's id.",
    ),
    of("signing_key", "1", SchemaGenerator::subschema_for::<u32>, "The number of the endpoint's key."),
    of(
        "delivery",
        "dlv_01HZY3V9W8Q2C5N7R4T6XKBMDG",
        SchemaGenerator::subschema_for::<DeliveryId>,
        "The delivery's id.",
    ),
    of(
        "redemption",
        "rdm_01HZY3V9W8Q2C5N7R4T6XKBMDG",
        SchemaGenerator::subschema_for::<RedemptionId>,
        "The redemption's id.",
    ),
    of(
        "book",
        "cbk_01HZY3V9W8Q2C5N7R4T6XKBMDG",
        SchemaGenerator::subschema_for::<String>,
        "The coupon book's key, or its id in `program.toml`.",
    ),
    of("coupon", "SUMMER-20", SchemaGenerator::subschema_for::<CouponCode>, "The coupon's code."),
    of(
        "referral_code",
        "7QX2M4ABCDEF",
        SchemaGenerator::subschema_for::<CouponCode>,
        "The code that a member gives to others.",
    ),
    of("version", "3", SchemaGenerator::subschema_for::<u64>, "The number of a version of the program."),
    of("key", "key_01HZY3V9W8Q2C5N7R4T6XKBMDG", SchemaGenerator::subschema_for::<KeyId>, "The key's id."),
];

/// The names in a path, in order.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// What stands in a path, in order. A name that nobody describes is left out: a test sees to it that there is none.
pub(super) fn parameters(path: &str) -> impl Iterator<Item = &'static PathParameter> {
    names(path).filter_map(|name| ALL.iter().find(|known| known.name == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;

    #[test]
    fn every_name_in_a_path_is_described() {
        for path in routes::groups().iter().flat_map(|group| &group.routes).map(routes::Routes::path) {
            assert_eq!(names(path).count(), parameters(path).count(), "{path}");
        }
    }
}
