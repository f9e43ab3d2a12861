//! Values that GraphQL has no types for.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{NaiveDate, SecondsFormat};

use crate::domain::Timestamp;
use crate::domain::money::Money;

/// An instant.
#[derive(Clone, Copy)]
pub(super) struct DateTime(pub(super) Timestamp);

/// An instant in UTC as RFC 3339 writes it: `2026-03-03T18:30:00Z`.
#[Scalar]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Ok(Self(text.parse().map_err(|_| {
                InputValueError::custom("must be an RFC 3339 instant such as 2026-03-03T18:30:00Z")
            })?)),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl From<Timestamp> for DateTime {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

/// A day.
#[derive(Clone, Copy)]
pub(super) struct Date(pub(super) NaiveDate);

/// A day of the chain's calendar: `2026-03-03`.
#[Scalar]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Ok(Self(
                text.parse().map_err(|_| InputValueError::custom("must be a day such as 2026-03-03"))?,
            )),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// An amount.
#[derive(Clone, Copy)]
pub(super) struct Decimal(pub(super) Money);

/// An exact amount in the chain's currency, as a text: `"24.50"`. A number would be a binary fraction to most clients.
#[Scalar]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Ok(Self(text.parse().map_err(InputValueError::custom)?)),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.decimal().to_string())
    }
}
