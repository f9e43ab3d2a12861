//! A map of a rule as the JSON of an event.

use rhai::{Array, Dynamic, Map};

use crate::domain::custom::MAX_BYTES;
use crate::domain::payload::Payload;

/// How deep lists and maps may lie in each other.
const MAX_DEPTH: usize = 5;

/// The object that a map is written as. Numbers are exact.
pub(super) fn payload(map: &Map) -> Result<Payload, String> {
    let mut text = String::new();
    object(map, MAX_DEPTH, &mut text)?;
    Payload::parse(&text).map_err(|problem| format!("what is emitted {problem}"))
}

fn object(map: &Map, depth: usize, text: &mut String) -> Result<(), String> {
    text.push('{');
    for (n, (key, value)) in map.iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        quoted(key, text);
        text.push(':');
        json(value, below(depth)?, text)?;
    }
    text.push('}');
    Ok(())
}

fn below(depth: usize) -> Result<usize, String> {
    depth
        .checked_sub(1)
        .ok_or_else(|| format!("what is emitted is nested too deeply; {MAX_DEPTH} levels are taken"))
}

fn json(value: &Dynamic, depth: usize, text: &mut String) -> Result<(), String> {
    if let Ok(number) = value.as_int() {
        text.push_str(&number.to_string());
    } else if let Ok(number) = value.as_decimal() {
        text.push_str(&number.normalize().to_string());
    } else if let Ok(yes) = value.as_bool() {
        text.push_str(if yes { "true" } else { "false" });
    } else if value.is_unit() {
        text.push_str("null");
    } else if let Ok(words) = value.as_immutable_string_ref() {
        quoted(&words, text);
    } else if let Some(map) = value.read_lock::<Map>() {
        object(&map, depth, text)?;
    } else if let Some(list) = value.read_lock::<Array>() {
        text.push('[');
        for (n, value) in list.iter().enumerate() {
            if n > 0 {
                text.push(',');
            }
            json(value, below(depth)?, text)?;
        }
        text.push(']');
    } else {
        return Err(format!("an event cannot hold a value of type {}", value.type_name()));
    }
    match text.len() {
        0..=MAX_BYTES => Ok(()),
        _ => Err(format!("what is emitted is too large; at most {MAX_BYTES} bytes are taken")),
    }
}

fn quoted(words: &str, text: &mut String) {
    text.push_str(&serde_json::Value::from(words).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
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
