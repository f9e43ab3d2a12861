//! From columns back to domain values: whatever does not fit names its row.

use std::str::FromStr;

use chrono::DateTime;

use super::error::StoreError;
use crate::domain::Timestamp;

/// A row being read: it lends its name to errors.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// The table.
    pub(super) table: &'static str,
    /// The row's key within its chain.
    pub(super) id: &'a str,
}

impl Row<'_> {
    /// The error for this row.
    pub(super) fn corrupt(self, problem: impl Into<String>) -> StoreError {
        StoreError::Corrupt { table: self.table, id: self.id.to_owned(), problem: problem.into() }
    }

    /// Passes a good value on; a bad one names the column.
    pub(super) fn check<T, E>(self, column: &str, value: Result<T, E>) -> Result<T, StoreError> {
        value.map_err(|_| self.corrupt(format!("column {column} does not hold what it should")))
    }

    /// A text column.
    pub(super) fn parse<T: FromStr>(self, column: &str, text: &str) -> Result<T, StoreError> {
        self.check(column, text.parse())
    }

    /// A text column that may be null.
    pub(super) fn parse_opt<T: FromStr>(
        self,
        column: &str,
        text: Option<&str>,
    ) -> Result<Option<T>, StoreError> {
        text.map(|text| self.parse(column, text)).transpose()
    }

    /// A JSON column.
    pub(super) fn json<'de, T: serde::Deserialize<'de>>(
        self,
        column: &str,
        text: &'de str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|e| self.corrupt(format!("column {column}: {e}")))
    }

    /// A time column, in microseconds.
    pub(super) fn time(self, column: &str, micros: i64) -> Result<Timestamp, StoreError> {
        self.check(column, DateTime::from_timestamp_micros(micros).ok_or(()))
    }

    /// A time column that may be null.
    pub(super) fn time_opt(self, column: &str, micros: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
        micros.map(|micros| self.time(column, micros)).transpose()
    }

    /// A column that holds a whole number of a smaller type.
    pub(super) fn number<T: TryFrom<i64>>(self, column: &str, number: i64) -> Result<T, StoreError> {
        self.check(column, number.try_into())
    }

    /// A column that holds a SHA-256.
    pub(super) fn hash(self, column: &str, bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
        self.check(column, bytes.try_into())
    }
}
