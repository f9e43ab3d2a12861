//! One level of keys, for automation tools that map fields by hand (Zapier, Make): `member.email` is `member_email`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{Header, Letter, Rendered, Sealing, Speaks, Unsendable};
use crate::domain::json::to_json;

/// The canonical message, flat. A list stays one, as a JSON text: such a tool would make many runs of it.
pub(super) struct Flat;

impl Speaks for Flat {
    fn render(&self, letter: &Letter) -> Result<Option<Rendered>, Unsendable> {
        let mut flat = BTreeMap::new();
        flatten("", &letter.message, &mut flat).map_err(|error| Unsendable::Unreadable(error.to_string()))?;
        Ok(Some(Rendered { body: to_json(&flat), headers: Vec::new() }))
    }

    fn sign(&self, _: &Sealing<'_>) -> Vec<Header> {
        Vec::new()
    }
}

fn flatten(
    name: &str,
    json: &str,
    into: &mut BTreeMap<String, Box<RawValue>>,
) -> Result<(), serde_json::Error> {
    match json.as_bytes().first() {
        Some(b'{') => {
            let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(json)?;
            fields.iter().try_for_each(|(key, value)| {
                let name = if name.is_empty() { key.to_string() } else { format!("{name}_{key}") };
                flatten(&name, value.get(), into)
            })
        }
        Some(b'[') => {
            into.insert(name.to_owned(), RawValue::from_string(serde_json::to_string(json)?)?);
            Ok(())
        }
        _ => {
            into.insert(name.to_owned(), RawValue::from_string(json.to_owned())?);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_become_names_and_numbers_stay_as_they_are() {
        let mut flat = BTreeMap::new();
        let message = r#"{"id":"evt_1","member":{"email":null,"next":{"amount":5}},"data":{"total":24.50,"items":[{"sku":"a"}],"e":{}}}"#;
        flatten("", message, &mut flat).unwrap();
        assert_eq!(
            to_json(&flat),
            r#"{"data_items":"[{\"sku\":\"a\"}]","data_total":24.50,"id":"evt_1","member_email":null,"member_next_amount":5}"#
        );
    }
}
