//! A canonical message, as transforms see it: `body.data.total`. What is handed on whole leaves as it came, to the byte.
//!
//! Nothing of it is copied into the interpreter's own maps and lists, whose sizes are bounded with all that is in them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use rhai::{Dynamic, Engine, Map};
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::domain::payload::Piece;

/// The longest text that a transform can work with, in bytes; what is longer is handed on.
const MAX_TEXT_BYTES: usize = 2_000;

/// An object; a field that is not there is `()`. Cheap to copy, as all of these.
#[derive(Debug, Clone)]
pub(super) struct Object(Arc<Level<BTreeMap<String, Dynamic>>>);

/// A list; an element that is not there is `()`.
#[derive(Debug, Clone)]
struct List(Arc<Level<Vec<Dynamic>>>);

/// What can only be handed on: a long text, or a number that no amount comes near.
#[derive(Debug, Clone)]
struct Verbatim(Arc<RawValue>);

/// What lies in a value, read when it is asked for.
#[derive(Debug)]
struct Level<T> {
    raw: Box<RawValue>,
    parts: OnceLock<T>,
}

impl<T> Level<T> {
    fn of(raw: &RawValue) -> Arc<Self> {
        Arc::new(Self { raw: raw.to_owned(), parts: OnceLock::new() })
    }
}

impl Object {
    /// Reads a message, the first level of it.
    pub(super) fn read(message: &str) -> Result<Self, serde_json::Error> {
        let raw: &RawValue = serde_json::from_str(message)?;
        Ok(Self(Level::of(raw)))
    }

    fn fields(&self) -> &BTreeMap<String, Dynamic> {
        self.0.parts.get_or_init(|| match Piece::of(&self.0.raw) {
            Piece::Object(fields) => fields.into_iter().map(|(name, raw)| (name, value(raw))).collect(),
            _ => BTreeMap::new(),
        })
    }

    fn get(&self, name: &str) -> Dynamic {
        self.fields().get(name).cloned().unwrap_or(Dynamic::UNIT)
    }

    /// Its fields, to be changed.
    fn to_map(&self) -> Map {
        self.fields().iter().map(|(name, value)| (name.into(), value.clone())).collect()
    }
}

impl List {
    fn elements(&self) -> &[Dynamic] {
        self.0.parts.get_or_init(|| match Piece::of(&self.0.raw) {
            Piece::List(elements) => elements.into_iter().map(value).collect(),
            _ => Vec::new(),
        })
    }

    fn get(&self, at: i64) -> Dynamic {
        let at = usize::try_from(at).ok();
        at.and_then(|at| self.elements().get(at)).cloned().unwrap_or(Dynamic::UNIT)
    }
}

impl IntoIterator for List {
    type Item = Dynamic;
    type IntoIter = std::vec::IntoIter<Dynamic>;
    fn into_iter(self) -> Self::IntoIter {
        self.elements().to_vec().into_iter()
    }
}

/// Numbers keep the decimals that they came with: 24.00 is not 24.
fn value(raw: &RawValue) -> Dynamic {
    let verbatim = || Dynamic::from(Verbatim(Arc::from(raw.to_owned())));
    match raw.get().as_bytes().first() {
        Some(b'{') => Dynamic::from(Object(Level::of(raw))),
        Some(b'[') => Dynamic::from(List(Level::of(raw))),
        Some(b'-' | b'0'..=b'9') => number(raw.get()).unwrap_or_else(verbatim),
        _ => match Piece::of(raw) {
            Piece::Bool(bool) => bool.into(),
            Piece::Text(text) if text.len() <= MAX_TEXT_BYTES => text.into(),
            Piece::Nothing if raw.get() == "null" => Dynamic::UNIT,
            _ => verbatim(),
        },
    }
}

fn number(text: &str) -> Option<Dynamic> {
    if let Ok(whole) = text.parse::<i64>()
        && whole.to_string() == text
    {
        return Some(whole.into());
    }
    let exact = Decimal::from_str_exact(text).ok()?;
    (exact.to_string() == text).then(|| Dynamic::from(exact))
}

/// The JSON of a value that is handed on.
pub(super) fn raw(value: &Dynamic) -> Option<String> {
    let object = value.read_lock::<Object>().map(|object| object.0.raw.get().to_owned());
    let list = || value.read_lock::<List>().map(|list| list.0.raw.get().to_owned());
    let verbatim = || value.read_lock::<Verbatim>().map(|verbatim| verbatim.0.get().to_owned());
    object.or_else(list).or_else(verbatim)
}

/// Teaches an interpreter what can be asked of messages.
pub(super) fn register(engine: &mut Engine) {
    type Text = rhai::ImmutableString;
    engine
        .register_indexer_get(|object: &mut Object, name: Text| object.get(&name))
        .register_fn("contains", |object: &mut Object, name: Text| {
            object.fields().contains_key(name.as_str())
        })
        .register_fn("to_map", |object: &mut Object| object.to_map())
        .register_fn("to_string", |object: &mut Object| object.0.raw.get().to_owned())
        .register_indexer_get(|list: &mut List, at: i64| list.get(at))
        .register_get("len", |list: &mut List| list.elements().len() as i64)
        .register_fn("to_string", |list: &mut List| list.0.raw.get().to_owned())
        .register_iterator::<List>();
}
