//! A map of a rule as the JSON of an event.

use rhai::Map;

use crate::domain::custom::MAX_BYTES;
use crate::domain::payload::Payload;

use super::written::Writing;

/// How deep lists and maps may lie in each other.
const MAX_DEPTH: usize = 5;

/// The object that a map is written as. Numbers are exact.
pub(super) fn payload(map: &Map) -> Result<Payload, String> {
    let writing = Writing { what: "what is emitted", most: MAX_BYTES, levels: MAX_DEPTH, trims: true };
    Payload::parse(&writing.map(map)?).map_err(|problem| format!("what is emitted {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rhai::{Array, Dynamic};
    use rust_decimal::Decimal;

    fn map(entries: impl IntoIterator<Item = (&'static str, Dynamic)>) -> Map {
        entries.into_iter().map(|(key, value)| (key.into(), value)).collect()
    }

    #[test]
    fn a_map_is_written_field_by_field_and_numbers_are_exact() {
        let inner = map([("yes", true.into()), ("nothing", Dynamic::UNIT)]);
        let list: Array = vec![1_i64.into(), "a \"b\"".into(), Dynamic::from_map(inner)];
        let amount = Decimal::new(1_250_000_000_000_000_001, 17);
        let data = map([("list", list.into()), ("amount", Dynamic::from(amount)), ("z", (-7_i64).into())]);
        let text =
            r#"{"amount":12.50000000000000001,"list":[1,"a \"b\"",{"nothing":null,"yes":true}],"z":-7}"#;
        assert_eq!(payload(&data).unwrap().text(), text);
        assert_eq!(payload(&Map::new()).unwrap().text(), "{}");
    }

    #[test]
    fn what_is_too_deep_or_too_large_is_refused_in_words() {
        let deep = |levels| (0..levels).fold(Map::new(), |inner, _| map([("x", Dynamic::from_map(inner))]));
        assert!(payload(&deep(5)).is_ok());
        for levels in [6, 5_00] {
            assert!(payload(&deep(levels)).unwrap_err().contains("too deeply"));
        }
        let large = |bytes: usize| payload(&map([("x", "y".repeat(bytes).into())]));
        assert!(large(4_000).is_ok());
        assert!(large(5_000).unwrap_err().contains("too large"));
    }
}
