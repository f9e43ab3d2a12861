//! JSON of somebody else's, as rules see it: `event.data.price`. A field that is not there is `()`, which equals nothing
//! and is neither above nor below anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{Array, Dynamic};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::domain::payload::{Payload, Piece};

/// An object, read once. Cheap to copy, whatever its size.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Arc<BTreeMap<String, Dynamic>>);

impl Fields {
    pub(super) fn of(payload: &Payload) -> Self {
        match payload.piece() {
            Piece::Object(fields) => {
                let fields = fields.into_iter().map(|(name, raw)| (name, value(Piece::of(raw))));
                Self(Arc::new(fields.collect()))
            }
            _ => Self::default(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Dynamic {
        self.0.get(name).cloned().unwrap_or(Dynamic::UNIT)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Whole numbers are whole, as they are everywhere else in rules.
pub(super) fn number(number: Decimal) -> Dynamic {
    match number.is_integer().then(|| number.to_i64()).flatten() {
        Some(whole) => whole.into(),
        None => Dynamic::from(number),
    }
}

fn value(piece: Piece<'_>) -> Dynamic {
    match piece {
        Piece::Nothing => Dynamic::UNIT,
        Piece::Bool(bool) => bool.into(),
        Piece::Number(value) => number(value),
        Piece::Text(text) => text.into(),
        Piece::List(values) => values.into_iter().map(|raw| value(Piece::of(raw))).collect::<Array>().into(),
        Piece::Object(fields) => {
            let fields = fields.into_iter().map(|(name, raw)| (name, value(Piece::of(raw))));
            Dynamic::from(Fields(Arc::new(fields.collect())))
        }
    }
}
