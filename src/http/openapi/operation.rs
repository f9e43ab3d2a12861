//! What one method of one route does, in words and types. It is said where the route is registered.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::domain::receipt::Receipt;
use crate::domain::role::{Right, Role};
use crate::domain::text::Key;
use crate::http::query::{DEFAULT_LIMIT, MAX_LIMIT};

/// Writes the schema of a type, by the generator of the document.
pub(in crate::http) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// JSON.
pub(super) const JSON: &str = "application/json";

/// Whom an operation answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Needs {
    /// Everybody, without a key.
    Nothing,
    /// Who has this right, in the chain that the path names, if it names one.
    Right(Right),
    /// Who has it, with a key for all chains.
    RightEverywhere(Right),
}

impl Needs {
    /// The roles that will do.
    pub(super) fn roles(self) -> Vec<Role> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Right(right) | Self::RightEverywhere(right) => {
                Role::ALL.into_iter().filter(|role| role.has(right)).collect()
            }
        }
    }
}

/// Where a parameter stands that is not part of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Query,
    Header,
}

/// A parameter that may be left out.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) description: &'static str,
    pub(super) shape: Shape,
    pub(super) example: Option<Value>,
}

/// What a body is made of.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) media_type: &'static str,
    pub(super) shape: Shape,
    pub(super) example: Option<Value>,
}

/// The body of a request.
#[derive(Debug)]
pub(super) struct Takes {
    /// Whether it must be there.
    pub(super) required: bool,
    pub(super) contents: Vec<Content>,
}

/// An answer that is no problem.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) description: &'static str,
    pub(super) contents: Vec<Content>,
    /// Headers of its own.
    pub(super) headers: Vec<&'static str>,
}

/// What one method of one route does.
#[derive(Debug)]
pub(in crate::http) struct Operation {
    /// Its name for programs. Never renamed.
    pub(super) id: &'static str,
    /// What it does, in a few words.
    pub(super) summary: &'static str,
    /// What else there is to know.
    pub(super) description: &'static str,
    pub(super) needs: Needs,
    pub(super) parameters: Vec<Parameter>,
    pub(super) takes: Option<Takes>,
    pub(super) answers: Vec<Answer>,
    /// Problems that no rule adds: the status and the code.
    pub(super) problems: Vec<(u16, &'static str)>,
    /// Whether it is answered while the engine starts.
    pub(super) always: bool,
}

/// An operation that needs no key, takes nothing and answers nothing: the builder's methods say the rest.
pub(in crate::http) const fn op(id: &'static str, summary: &'static str) -> Operation {
    Operation {
        id,
        summary,
        description: "",
        needs: Needs::Nothing,
        parameters: Vec::new(),
        takes: None,
        answers: Vec::new(),
        problems: Vec::new(),
        always: false,
    }
}

/// A command: what is asked for by it is done once, however often it is sent under one key, and is answered with its receipt.
pub(in crate::http) fn command(id: &'static str, summary: &'static str, right: Right) -> Operation {
    op(id, summary)
        .needs(right)
        .repeatable()
        .answers::<Receipt>(
            200,
            "The receipt: what came of it. A repeat under the same key gets the same one.",
        )
        .refuses(&["key_reused", "member_erased"])
}

impl Operation {
    /// What else there is to know.
    pub(in crate::http) fn about(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// It is answered while the engine starts.
    pub(in crate::http) fn always(self) -> Self {
        Self { always: true, ..self }
    }

    /// Who has this right may do it; where the path names a chain, in that chain.
    pub(in crate::http) fn needs(self, right: Right) -> Self {
        Self { needs: Needs::Right(right), ..self }
    }

    /// Who has this right in all chains may do it.
    pub(in crate::http) fn needs_everywhere(self, right: Right) -> Self {
        Self { needs: Needs::RightEverywhere(right), ..self }
    }

    fn with(
        mut self,
        place: Place,
        name: &'static str,
        description: &'static str,
        shape: Shape,
        example: Option<Value>,
    ) -> Self {
        self.parameters.push(Parameter { name, place, description, shape, example });
        self
    }

    /// It reads this parameter of the query string.
    pub(in crate::http) fn query<T: JsonSchema>(self, name: &'static str, description: &'static str) -> Self {
        self.with(Place::Query, name, description, SchemaGenerator::subschema_for::<T>, None)
    }

    /// The same, with an example that stands in requests that try it out.
    pub(in crate::http) fn query_such_as<T: JsonSchema>(
        self,
        name: &'static str,
        description: &'static str,
        example: impl Into<Value>,
    ) -> Self {
        let shape = SchemaGenerator::subschema_for::<T>;
        self.with(Place::Query, name, description, shape, Some(example.into()))
    }

    /// It reads this header.
    pub(in crate::http) fn header<T: JsonSchema>(
        self,
        name: &'static str,
        description: &'static str,
        example: &'static str,
    ) -> Self {
        let shape = SchemaGenerator::subschema_for::<T>;
        self.with(Place::Header, name, description, shape, Some(example.into()))
    }

    /// It answers a list, page by page.
    pub(in crate::http) fn paged(self) -> Self {
        self.with(Place::Query, "limit", "The most items of the page.", page_limit, None).query::<String>(
            "cursor",
            "Where the page begins: `next_cursor` of the page before. Without it, the first page.",
        )
    }

    /// It knows its `Idempotency-Key`.
    pub(in crate::http) fn repeatable(self) -> Self {
        self.header::<Key>(
            "Idempotency-Key",
            "A key of your own for this request. The same request under the same key is done once; another one under it is \
             refused as `key_reused`.",
            "5f0c7f6a-1d0e-4a52-9a37-2f6f1e0b8c11",
        )
    }

    /// Sent again under the same `Idempotency-Key`, it makes nothing more.
    pub(in crate::http) fn makes_once(self) -> Self {
        self.repeatable().refuses(&["in_progress", "key_reused"])
    }

    /// It may be asked for on condition that something is as it was read.
    pub(in crate::http) fn conditional(self) -> Self {
        let about = "The `ETag` under which it was read (several with commas between them), or `*`: it is changed only if it is \
                     that still.";
        self.header::<String>("If-Match", about, "\"3\"").fails(412, &["precondition_failed"])
    }

    /// The answers that were named so far say which state they show.
    pub(in crate::http) fn tagged(mut self) -> Self {
        let shows = self.answers.iter_mut().filter(|answer| answer.status != 204);
        shows.for_each(|answer| answer.headers.push("ETag"));
        self
    }

    fn body(mut self, required: bool, content: Content) -> Self {
        let takes = self.takes.get_or_insert_with(|| Takes { required, contents: Vec::new() });
        takes.contents.push(content);
        self
    }

    /// It takes a body.
    pub(in crate::http) fn takes<T: JsonSchema>(self, example: Value) -> Self {
        let shape = SchemaGenerator::subschema_for::<T>;
        self.body(true, Content { media_type: JSON, shape, example: Some(example) })
    }

    /// It takes a body that may be left out.
    pub(in crate::http) fn may_take<T: JsonSchema>(self, example: Value) -> Self {
        let shape = SchemaGenerator::subschema_for::<T>;
        self.body(false, Content { media_type: JSON, shape, example: Some(example) })
    }

    /// It takes a text of this type.
    pub(in crate::http) fn takes_text(self, media_type: &'static str, example: &'static str) -> Self {
        let shape = SchemaGenerator::subschema_for::<String>;
        self.body(true, Content { media_type, shape, example: Some(example.into()) })
    }

    fn answer(
        mut self,
        status: u16,
        description: &'static str,
        content: Option<Content>,
        headers: &[&'static str],
    ) -> Self {
        match self.answers.iter_mut().find(|answer| answer.status == status) {
            Some(answer) => answer.contents.extend(content),
            None => {
                let contents = content.into_iter().collect();
                self.answers.push(Answer { status, description, contents, headers: headers.to_vec() });
            }
        }
        self
    }

    /// It answers this, as JSON.
    pub(in crate::http) fn answers<T: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        let shape = SchemaGenerator::subschema_for::<T>;
        self.answer(status, description, Some(Content { media_type: JSON, shape, example: None }), &[])
    }

    /// It answers a JSON document of another standard, and what tells whether it is a new one.
    pub(in crate::http) fn answers_json_with_etag(self, description: &'static str) -> Self {
        let shape = SchemaGenerator::subschema_for::<BTreeMap<String, Value>>;
        self.answer(200, description, Some(Content { media_type: JSON, shape, example: None }), &["ETag"])
    }

    /// It answers what it made, and says where that is.
    pub(in crate::http) fn creates<T: JsonSchema>(self, description: &'static str) -> Self {
        let shape = SchemaGenerator::subschema_for::<T>;
        self.answer(201, description, Some(Content { media_type: JSON, shape, example: None }), &["Location"])
    }

    /// It answers a text of this type.
    pub(in crate::http) fn answers_text(
        self,
        status: u16,
        media_type: &'static str,
        description: &'static str,
    ) -> Self {
        let shape = SchemaGenerator::subschema_for::<String>;
        self.answer(status, description, Some(Content { media_type, shape, example: None }), &[])
    }

    /// It answers without a body.
    pub(in crate::http) fn answers_nothing(self, status: u16, description: &'static str) -> Self {
        self.answer(status, description, None, &[])
    }

    /// It refuses what cannot be done, for one of these reasons.
    pub(in crate::http) fn refuses(self, codes: &[&'static str]) -> Self {
        self.fails(409, codes)
    }

    /// It answers a problem with one of these codes.
    pub(in crate::http) fn fails(mut self, status: u16, codes: &[&'static str]) -> Self {
        self.problems.extend(codes.iter().map(|code| (status, *code)));
        self
    }
}

fn page_limit(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT })
}
