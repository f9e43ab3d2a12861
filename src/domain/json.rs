//! JSON from outside, read strictly, and refused in sentences that name the field and say what is wanted; and ours.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use chrono::SecondsFormat;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::Timestamp;

/// The JSON of a value made of plain structs. Each thread writes into a buffer that it keeps: texts that grow as they are
/// written cost more than what is written into them.
pub fn to_json(value: &impl Serialize) -> String {
    /// Larger buffers are not kept.
    const KEPT: usize = 64 * 1024;
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    let mut buffer = BUFFER.take();
    buffer.clear();
    serde_json::to_writer(&mut buffer, value).unwrap_or_else(|_| unreachable!("plain structs serialize"));
    let json = str::from_utf8(&buffer).unwrap_or_else(|_| unreachable!("JSON is UTF-8")).to_owned();
    if buffer.capacity() <= KEPT {
        BUFFER.set(buffer);
    }
    json
}

/// An instant as chrono writes it. For what is written with every event: chrono hands over one digit after the other, and
/// each is looked at for whether it must be escaped.
pub fn instant<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// Why a text is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadJson {
    /// It is not JSON; says where it stops being so.
    NotJson(String),
    /// It is JSON of another shape.
    Shape {
        /// Path of the field at fault, such as `data.items[0].price`; empty for the whole.
        field: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },
}

/// A JSON object with the fields of `T`. serde alone would take a list for the fields in their order; nobody means
/// that.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<T: JsonSchema> JsonSchema for Object<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

/// A JSON object that somebody else understands and we hand on, without white space between its parts. Bounded, and
/// never on more than one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonObject(Box<str>);

impl JsonObject {
    /// The longest, in bytes, white space not counted.
    pub const MAX_BYTES: usize = 16 * 1024;
}

impl FromStr for JsonObject {
    type Err = String;

    /// From the text of any JSON value.
    fn from_str(json: &str) -> Result<Self, String> {
        if !json.trim_ascii_start().starts_with('{') {
            return Err("must be a JSON object".to_owned());
        }
        let compact = without_white_space(json);
        match compact.len() {
            ..=Self::MAX_BYTES => Ok(Self(compact.into())),
            long => Err(format!("has {long} bytes; at most {} are taken", Self::MAX_BYTES)),
        }
    }
}

fn without_white_space(json: &str) -> String {
    let (mut in_text, mut is_escaped) = (false, false);
    let is_kept = |c: &char| {
        let kept = in_text || !c.is_ascii_whitespace();
        in_text ^= *c == '"' && !is_escaped;
        is_escaped = in_text && *c == '\\' && !is_escaped;
        kept
    };
    json.chars().filter(is_kept).collect()
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer)?.get().parse().map_err(D::Error::custom)
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.0).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl JsonSchema for JsonObject {
    fn schema_name() -> Cow<'static, str> {
        "JsonObject".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}

/// Deserialises a text that `T` is parsed from. `wanted` goes on after "must be".
///
/// # Errors
/// The value is no text, or `T` refuses it.
pub fn from_text<'de, D, T>(deserializer: D, wanted: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
{
    struct Text<T>(&'static str, PhantomData<T>);
    impl<T: FromStr> Visitor<'_> for Text<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(|_| E::custom(format_args!("must be {}", self.0)))
        }
    }
    deserializer.deserialize_str(Text(wanted, PhantomData))
}

/// Reads the one object in `text`. `prefix` is the path at which it stands; empty for a whole body.
///
/// # Errors
/// See [`BadJson`].
pub fn object<'a, T: Deserialize<'a>>(text: &'a str, prefix: &str) -> Result<T, BadJson> {
    // Only a failure pays for finding out where and why.
    serde_json::from_str(text).map(|Object(value)| value).map_err(|_| refusal::<T>(text, prefix))
}

fn refusal<'a, T: Deserialize<'a>>(text: &'a str, prefix: &str) -> BadJson {
    if text.trim_ascii().is_empty() {
        return BadJson::NotJson("the body is empty; a JSON object is wanted".to_owned());
    }
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let said = error.to_string().replace("EOF while parsing", "it ends inside");
        return BadJson::NotJson(format!("this is not JSON: {said}"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let outcome: Result<Object<T>, _> = serde_path_to_error::deserialize(&mut deserializer);
    let Err(error) = outcome else { return BadJson::NotJson("this is not JSON".to_owned()) };
    let path = error.path().to_string();
    let error = error.into_inner();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said = error.to_string();
    let (below, problem) = sentence(said.strip_suffix(&place).unwrap_or(&said));
    let path = if matches!(&*path, "." | "?") { "" } else { &path };
    let steps = [prefix, path, below.unwrap_or_default()];
    let field = steps.into_iter().filter(|step| !step.is_empty()).collect::<Vec<_>>().join(".");
    BadJson::Shape { field, problem }
}

/// What the parser said, for somebody who does not know it. Where it names a field below the path, that one is at
/// fault.
fn sentence(said: &str) -> (Option<&str>, String) {
    let named = |beginning: &str| said.strip_prefix(beginning)?.split_once('`');
    if let Some((field, _)) = named("missing field `") {
        return (Some(field), "is missing".to_owned());
    }
    if let Some((field, _)) = named("duplicate field `") {
        return (Some(field), "is given twice".to_owned());
    }
    if let Some((_, known)) = named("unknown field `") {
        let known = known.strip_prefix(", expected ").map(|known| known.trim_start_matches("one of "));
        return (None, format!("is not a field here; there is {}", known.unwrap_or("none")));
    }
    if let Some((_, known)) = named("unknown variant `") {
        return (None, format!("must be {}", known.trim_start_matches(", expected ")));
    }
    let mismatch = said.strip_prefix("invalid type: ").or_else(|| said.strip_prefix("invalid value: "));
    if let Some((given, wanted)) = mismatch.and_then(|mismatch| mismatch.rsplit_once(", expected ")) {
        return (None, format!("must be {}, not {}", in_words(wanted), in_words(given)));
    }
    let problem = match said {
        "recursion limit exceeded" => "is nested too deeply",
        "number out of range" => "is a number out of range",
        _ if said.contains("surrogate") || said.contains("escape") || said.contains("unicode") => {
            "has an escape that stands for no character"
        }
        _ => said,
    };
    (None, problem.to_owned())
}

/// The parser's name of a kind of value.
fn in_words(kind: &str) -> Cow<'_, str> {
    let word = match kind {
        "sequence" | "a sequence" => "a list",
        "map" | "a map" => "a JSON object",
        "string" | "a string" | "a borrowed string" | "str" => "a text",
        "bool" | "a boolean" => "true or false",
        "i8" | "i16" | "i32" | "i64" | "isize" | "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "f32" | "f64" => "a number",
        _ if kind.starts_with("struct ") => "a JSON object",
        _ if kind.starts_with("string ") => "a text", // what it says may be a secret
        _ => {
            let number = kind.strip_prefix("integer ").or_else(|| kind.strip_prefix("floating point "));
            return number
                .map_or(kind.trim_start_matches("boolean ").into(), |n| format!("the number {n}").into());
        }
    };
    word.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Outer {
        name: String,
        #[serde(default)]
        count: Option<i64>,
        #[serde(default)]
        on: bool,
        #[serde(default)]
        inner: Option<Object<Inner>>,
        #[serde(default)]
        list: Vec<Object<Inner>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Inner {
        x: u32,
    }

    #[test]
    fn an_instant_is_written_as_chrono_writes_it() {
        #[derive(Serialize)]
        struct Ours(#[serde(serialize_with = "instant")] Timestamp);
        for (seconds, nanos) in [
            (0, 0),
            (-1, 1_000_000),
            (1_772_562_600, 12_000),
            (1, 7),
            (-99_999_999_999, 0),
            (999_999_999_999, 0),
        ] {
            let at = Timestamp::from_timestamp(seconds, nanos).unwrap();
            assert_eq!(to_json(&Ours(at)), to_json(&at));
        }
    }

    #[test]
    fn a_refusal_names_the_path_and_what_is_wanted_in_plain_words() {
        for (text, field, problem) in [
            ("[\"a\",1,true,null,[]]", "", "must be a JSON object, not a list"),
            ("null", "", "must be a JSON object, not null"),
            ("{}", "name", "is missing"),
            (r#"{"name":"a","name":"b"}"#, "name", "is given twice"),
            (r#"{"name":7}"#, "name", "must be a text, not the number `7`"),
            (r#"{"name":"\ud800"}"#, "name", "has an escape that stands for no character"),
            (r#"{"name":"a","count":"secret"}"#, "count", "must be a whole number, not a text"),
            (r#"{"name":"a","count":1.5}"#, "count", "must be a whole number, not the number `1.5`"),
            (r#"{"name":"a","on":null}"#, "on", "must be true or false, not null"),
            (r#"{"name":"a","inner":[1]}"#, "inner", "must be a JSON object, not a list"),
            (r#"{"name":"a","inner":{"x":true}}"#, "inner.x", "must be a whole number, not `true`"),
            (r#"{"name":"a","list":[{"x":1},[2]]}"#, "list[1]", "must be a JSON object, not a list"),
            (r#"{"name":"a","list":[{}]}"#, "list[0].x", "is missing"),
            (r#"{"name":"a","list":{}}"#, "list", "must be a list, not a JSON object"),
            (r#"{"name":"a","inner":{"y":1}}"#, "inner.y", "is not a field here; there is `x`"),
        ] {
            let refused = object::<Outer>(text, "").expect_err(text);
            assert_eq!(
                refused,
                BadJson::Shape { field: field.to_owned(), problem: problem.to_owned() },
                "{text}"
            );
        }
        let below = object::<Inner>("{}", "data").unwrap_err();
        assert_eq!(below, BadJson::Shape { field: "data.x".to_owned(), problem: "is missing".to_owned() });
    }

    #[test]
    fn an_object_that_is_handed_on_is_one_line_and_bounded() {
        let object =
            "{ \"a b\" : [ 1.50 , \"x \\\" \\\\\" ] ,\n \"c\" : { } }".parse::<JsonObject>().unwrap();
        let text = serde_json::to_string(&object).unwrap();
        assert_eq!(text, r#"{"a b":[1.50,"x \" \\"],"c":{}}"#);
        assert_eq!(serde_json::from_str::<JsonObject>(&text).unwrap(), object);
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(JsonObject::MAX_BYTES));
        for bad in ["[1]", "null", "\"{}\"", &long] {
            assert!(bad.parse::<JsonObject>().is_err(), "{bad:.20}");
        }
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none_and_where() {
        for (text, said) in [
            ("", "the body is empty; a JSON object is wanted"),
            ("{", "this is not JSON: it ends inside an object at line 1 column 1"),
            (r#"{"name":"a"} x"#, "this is not JSON: trailing characters at line 1 column 14"),
        ] {
            let refused = object::<Outer>(text, "").expect_err(text);
            assert_eq!(refused, BadJson::NotJson(said.to_owned()), "{text}");
        }
    }
}
