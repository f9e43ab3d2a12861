//! Source events as short as a test wants to say them.

use serde_json::{Value, json};

/// When all tests begin: the Tuesday of the documented example.
pub(crate) const START: &str = "2026-03-03T18:30:00Z";

/// A completed order of one food item.
pub(crate) fn order(key: &str, member: &str, total: &str) -> Value {
    json!({ "key": key, "type": "order.completed", "occurred_at": START, "member": { "id": member },
        "data": { "order_id": key, "total": total, "items": [{ "name": "Power Bowl", "category": "food", "price": total }] } })
}

/// Money back for an order.
pub(crate) fn refund(key: &str, order: &str, amount: &str) -> Value {
    json!({ "key": key, "type": "order.refunded", "occurred_at": START,
        "data": { "order_id": order, "amount": amount } })
}

/// A visit without an order.
pub(crate) fn visit(key: &str, member: &str, at: &str) -> Value {
    json!({ "key": key, "type": "visit", "occurred_at": at, "member": { "id": member }, "data": {} })
}
