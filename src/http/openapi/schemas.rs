//! The schemas of the document. What is sent to us and what we answer are written down apart, because they may differ in
//! what may be left out.

use std::collections::BTreeMap;

use schemars::generate::{Contract, SchemaSettings};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

/// Where they stand in the document.
const PATH: &str = "/components/schemas";
/// What is added to the name of what is sent, where what is answered has the same.
const SENT: &str = "Sent";

/// Writes schemas down.
pub(super) struct Schemas {
    sent: SchemaGenerator,
    answered: SchemaGenerator,
}

fn generator(contract: Contract) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = PATH.into();
        settings.contract = contract;
    });
    settings.into_generator()
}

impl Schemas {
    pub(super) fn new() -> Self {
        Self { sent: generator(Contract::Deserialize), answered: generator(Contract::Serialize) }
    }

    /// The schema of something that is sent to us. Its references get their names at the end.
    pub(super) fn sent(&mut self, shape: impl FnOnce(&mut SchemaGenerator) -> Schema) -> Schema {
        changed(shape(&mut self.sent), tidy)
    }

    /// The schema of something that we answer.
    pub(super) fn answered(&mut self, shape: impl FnOnce(&mut SchemaGenerator) -> Schema) -> Schema {
        changed(shape(&mut self.answered), tidy)
    }

    /// All schemas that are referred to, and the new names of those that are sent.
    pub(super) fn finish(mut self) -> (BTreeMap<String, Value>, Names) {
        let answered: BTreeMap<String, Value> = self.answered.take_definitions(true).into_iter().collect();
        let sent: BTreeMap<String, Value> = self.sent.take_definitions(true).into_iter().collect();
        let mut names = Names::default();
        // What refers to something that has another name is another one itself.
        loop {
            let differs = |name: &String, schema: &Value| {
                let mut schema = schema.clone();
                names.put_into(&mut schema);
                answered.get(name).is_some_and(|other| *other != schema)
            };
            let more = sent.iter().filter(|(name, _)| !names.0.contains_key(*name));
            let more: Vec<_> =
                more.filter(|(name, schema)| differs(name, schema)).map(|(name, _)| name).collect();
            if more.is_empty() {
                break;
            }
            names.0.extend(more.into_iter().map(|name| (name.clone(), format!("{name}{SENT}"))));
        }
        let mut all = answered;
        for (name, mut schema) in sent {
            names.put_into(&mut schema);
            all.insert(names.0.get(&name).cloned().unwrap_or(name), schema);
        }
        all.values_mut().for_each(tidy);
        (all, names)
    }
}

/// The new names of schemas.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// Puts them into the references of a schema.
    fn put_into(&self, schema: &mut Value) {
        match schema {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get_mut("$ref") {
                    let name = reference.strip_prefix(&format!("#{PATH}/"));
                    if let Some(new) = name.and_then(|name| self.0.get(name)) {
                        *reference = format!("#{PATH}/{new}");
                    }
                }
                object.values_mut().for_each(|inner| self.put_into(inner));
            }
            Value::Array(all) => all.iter_mut().for_each(|inner| self.put_into(inner)),
            _ => {}
        }
    }

    /// The same for a schema outside the list.
    pub(super) fn settle(&self, schema: &mut Schema) {
        *schema = changed(std::mem::take(schema), |schema| self.put_into(schema));
    }
}

fn changed(schema: Schema, change: impl FnOnce(&mut Value)) -> Schema {
    let mut value = schema.to_value();
    change(&mut value);
    Schema::try_from(value).unwrap_or_default()
}

/// Leaves out what only Rust knows: that nothing is the default of what may be left out, how wide numbers are, and links
/// to the names of its items.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            if object.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                object.remove("format");
            }
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`");
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(all) => all.iter_mut().for_each(tidy),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::JsonSchema;
    use serde_json::json;

    /// What may be left out when it is sent, and never is in answers.
    #[derive(serde::Serialize, serde::Deserialize, JsonSchema)]
    struct Inner {
        #[serde(default)]
        note: Option<String>,
    }

    #[derive(serde::Serialize, serde::Deserialize, JsonSchema)]
    struct Outer {
        inner: Inner,
    }

    #[derive(serde::Serialize, serde::Deserialize, JsonSchema)]
    struct Same {
        number: u8,
    }

    #[test]
    fn what_is_sent_has_a_name_of_its_own_where_it_differs_from_what_is_answered() {
        let mut schemas = Schemas::new();
        schemas.answered(SchemaGenerator::subschema_for::<Outer>);
        schemas.answered(SchemaGenerator::subschema_for::<Same>);
        let mut sent = schemas.sent(SchemaGenerator::subschema_for::<Outer>);
        schemas.sent(SchemaGenerator::subschema_for::<Same>);
        let (all, names) = schemas.finish();
        names.settle(&mut sent);
        assert_eq!(
            all.keys().collect::<Vec<_>>(),
            ["Inner", "InnerSent", "Outer", "OuterSent", "Same"],
            "what refers to what differs differs, too"
        );
        assert_eq!(sent.as_value(), &json!({ "$ref": "#/components/schemas/OuterSent" }));
        assert_eq!(all["OuterSent"]["properties"]["inner"]["$ref"], "#/components/schemas/InnerSent");
        assert_eq!(all["Inner"]["required"], json!(["note"]));
        assert_eq!(all["InnerSent"]["properties"]["note"], json!({ "type": ["string", "null"] }));
    }
}
