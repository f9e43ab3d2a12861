//! Values of the interpreter as JSON, bounded in size and depth.

use rhai::{Array, Dynamic, Map};

use super::complaints::in_words;
use super::message;

/// How a value is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writing {
    /// What it is called where it is refused.
    pub(super) what: &'static str,
    /// The most bytes.
    pub(super) most: usize,
    /// How deep lists and maps may lie in each other.
    pub(super) levels: usize,
    /// Whether numbers lose the zeros behind their last decimal.
    pub(super) trims: bool,
}

impl Writing {
    /// A map. Its fields are in the order of their names, so the same map is always the same text.
    pub(super) fn map(self, map: &Map) -> Result<String, String> {
        let mut text = String::new();
        self.object(map, self.levels, &mut text)?;
        Ok(text)
    }

    /// What is handed on as it came.
    pub(super) fn raw(self, raw: &str) -> Result<String, String> {
        let mut text = String::new();
        self.push(raw, &mut text)?;
        Ok(text)
    }

    fn object(self, map: &Map, levels: usize, text: &mut String) -> Result<(), String> {
        text.push('{');
        for (n, (key, value)) in map.iter().enumerate() {
            if n > 0 {
                text.push(',');
            }
            self.quoted(key, text)?;
            text.push(':');
            self.value(value, self.below(levels)?, text)?;
        }
        self.push("}", text)
    }

    fn list(self, list: &Array, levels: usize, text: &mut String) -> Result<(), String> {
        text.push('[');
        for (n, value) in list.iter().enumerate() {
            if n > 0 {
                text.push(',');
            }
            self.value(value, self.below(levels)?, text)?;
        }
        self.push("]", text)
    }

    fn below(self, levels: usize) -> Result<usize, String> {
        let Self { what, levels: most, .. } = self;
        levels.checked_sub(1).ok_or_else(|| format!("{what} is nested too deeply; {most} levels are taken"))
    }

    fn value(self, value: &Dynamic, levels: usize, text: &mut String) -> Result<(), String> {
        if let Ok(number) = value.as_int() {
            self.push(&number.to_string(), text)
        } else if let Ok(number) = value.as_decimal() {
            let number = if self.trims { number.normalize() } else { number };
            self.push(&number.to_string(), text)
        } else if let Ok(yes) = value.as_bool() {
            self.push(if yes { "true" } else { "false" }, text)
        } else if value.is_unit() {
            self.push("null", text)
        } else if let Ok(words) = value.as_immutable_string_ref() {
            self.quoted(&words, text)
        } else if let Some(map) = value.read_lock::<Map>() {
            self.object(&map, levels, text)
        } else if let Some(list) = value.read_lock::<Array>() {
            self.list(&list, levels, text)
        } else if let Some(raw) = message::raw(value) {
            self.push(&raw, text)
        } else {
            Err(format!("{} cannot hold {}", self.what, in_words(value.type_name())))
        }
    }

    fn quoted(self, words: &str, text: &mut String) -> Result<(), String> {
        self.push(&serde_json::Value::from(words).to_string(), text)
    }

    fn push(self, piece: &str, text: &mut String) -> Result<(), String> {
        let Self { what, most, .. } = self;
        if text.len().saturating_add(piece.len()) > most {
            return Err(format!("{what} is too large; at most {most} bytes are taken"));
        }
        text.push_str(piece);
        Ok(())
    }
}
