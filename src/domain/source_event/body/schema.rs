//! How a source event looks, for documents.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::cart::CartBody;
use super::order::{OrderBody, RefundBody};
use super::{MemberBody, SessionBody, SessionEndBody, SignalBody, VisitBody};
use crate::domain::Timestamp;
use crate::domain::payload::Payload;
use crate::domain::profile::ProfileChange;
use crate::domain::source_event::{SourceEvent, SourceType};
use crate::domain::text::{Key, Name};

impl SourceType {
    /// What `data` is of events of this type.
    fn schema(self, generator: &mut SchemaGenerator) -> Schema {
        let schema = match self {
            Self::OrderCreated | Self::OrderUpdated | Self::OrderCompleted | Self::OrderCancelled => {
                SchemaGenerator::subschema_for::<OrderBody>
            }
            Self::OrderRefunded => SchemaGenerator::subschema_for::<RefundBody>,
            Self::Visit => SchemaGenerator::subschema_for::<VisitBody>,
            Self::MemberUpdated => SchemaGenerator::subschema_for::<ProfileChange>,
            Self::SessionStarted => SchemaGenerator::subschema_for::<SessionBody>,
            Self::SessionEnded => SchemaGenerator::subschema_for::<SessionEndBody>,
            Self::Signal => SchemaGenerator::subschema_for::<SignalBody<'static>>,
            Self::CartUpdated => SchemaGenerator::subschema_for::<CartBody>,
            Self::Command(_) | Self::Offering(..) => SchemaGenerator::subschema_for::<Payload>,
        };
        schema(generator)
    }
}

/// As it is sent.
impl JsonSchema for SourceEvent {
    fn schema_name() -> Cow<'static, str> {
        "NewSourceEvent".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let by_type: Vec<Value> = SourceType::ALL
            .iter()
            .map(|kind| {
                let data = kind.schema(generator);
                json!({ "title": kind.as_str(),
                        "properties": { "type": { "const": kind.as_str() }, "data": data } })
            })
            .collect();
        json_schema!({
            "type": "object",
            "description": "What happened, as a till or another program tells it.",
            "properties": {
                "key": described::<Key>(generator, "Makes it idempotent within the chain: what comes again under the \
                    same key counts once. Without one, the body itself is the key, for 24 hours."),
                "type": { "type": "string", "description": "What happened.",
                          "enum": SourceType::ALL.map(SourceType::as_str) },
                "occurred_at": described::<Timestamp>(generator, "When, by the sender's clock; without it, now."),
                "member": described::<MemberBody>(generator, "Whose it is, by anything they go by; without it, the \
                    event is kept until somebody claims it."),
                "location": described::<Name>(generator, "Where."),
                "data": { "type": "object", "description": "What there is to say, by type." },
            },
            "required": ["type"],
            "additionalProperties": false,
            "oneOf": by_type,
        })
    }
}

fn described<T: JsonSchema>(generator: &mut SchemaGenerator, description: &str) -> Schema {
    let mut schema = generator.subschema_for::<T>();
    schema.insert("description".to_owned(), description.into());
    schema
}
