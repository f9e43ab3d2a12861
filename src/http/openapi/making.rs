//! Makes the document.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use serde_json::{Value, json};

use super::document::{
    Components, Document, Example, Header, Info, MediaType, OperationObject, ParameterObject, PathItem,
    Reference, RequestBody, Response, ResponseObject, SecurityScheme, Server, Tag,
};
use super::operation::{Answer, Content, JSON, Needs, Operation, Place, Takes};
use super::schemas::{Names, Schemas};
use super::{examples, path, problems};
use crate::domain::loyalty_event::EventType;
use crate::http::problem::{self, Problem};
use crate::http::routes::{Group, Routes};

/// The name of the security scheme.
const KEY: &str = "key";

const DESCRIPTION: &str = "\
Everything that punchcard does over HTTP. JSON in and out, names in `snake_case`, instants in RFC 3339, money as decimal \
numbers in the chain's currency (numbers or strings in, numbers out), points as integers.\n\n\
**Keys.** `Authorization: Bearer <key>`. A key has a role (`admin`, `manager`, `viewer`, `ingest`) and is for one chain \
or for all. Another chain's things do not exist for it: they are answered 404. `x-punchcard-right` names the right that an \
operation needs, `x-punchcard-roles` the roles that have it.\n\n\
**Problems.** What goes wrong is answered as `application/problem+json` (RFC 9457) with a stable `code`, what is wrong \
(`detail`, `field`) and what to do (`action`). A method that a path does not know is answered 405 with those that it knows \
in `Allow`; a path that is not here, 404 `no_such_route`. Unknown fields of a body are mistakes, never ignored, \
and so are unknown parameters of a route that takes any.\n\n\
**Lists** are read page by page: `limit`, and as `cursor` the `next_cursor` of the page before.\n\n\
**Repeats.** What takes an `Idempotency-Key` is done once under each key: a repeat gets the first answer again, marked \
`Idempotent-Replayed: true` where what is made is no event and no command.\n\n\
**Changes.** What two people may change shows its state as `ETag`. With `If-Match` it is changed only if it is in that state \
still; else the answer is 412 with the state that it is in.\n\n\
`X-Request-Id` is on every answer and in our log; one that you send is kept.";

/// The document of these routes.
pub(super) fn document(groups: &[Group]) -> Document {
    let mut maker = Maker { schemas: Schemas::new(), responses: BTreeMap::new(), codes: BTreeSet::new() };
    let mut paths: Vec<_> = groups
        .iter()
        .flat_map(|group| group.routes.iter().map(move |routes| (group, routes)))
        .map(|(group, routes)| (routes.path().to_owned(), maker.path_item(group.name, routes)))
        .collect();
    let webhooks = maker.webhooks();
    let Maker { schemas, responses, codes } = maker;
    let (schemas, names) = schemas.finish();
    let operations = paths.iter_mut().flat_map(|(_, item)| &mut item.0);
    operations.for_each(|(_, operation)| settle(operation, &names));
    Document {
        openapi: "3.1.1",
        info: Info {
            title: "punchcard",
            version: env!("CARGO_PKG_VERSION"),
            summary: "A self-hosted loyalty event engine.",
            description: DESCRIPTION,
        },
        servers: vec![Server { url: "/", description: "Where this document came from." }],
        tags: groups.iter().map(|group| Tag { name: group.name, description: group.about }).collect(),
        paths,
        webhooks,
        components: Components {
            schemas,
            responses,
            examples: codes.into_iter().filter_map(example_of).collect(),
            headers: headers(),
            security_schemes: BTreeMap::from([(
                KEY,
                SecurityScheme {
                    kind: "http",
                    scheme: "bearer",
                    description: "An API key. `punchcard key create` and `POST /v1/keys` make them.",
                },
            )]),
        },
    }
}

struct Maker {
    schemas: Schemas,
    /// The problems that many operations answer alike.
    responses: BTreeMap<String, ResponseObject>,
    /// Their codes.
    codes: BTreeSet<&'static str>,
}

impl Maker {
    fn path_item(&mut self, tag: &'static str, routes: &Routes) -> PathItem {
        let operations = routes.operations().iter().map(|(method, operation)| {
            (method_name(method), self.operation(tag, routes.path(), method, operation))
        });
        PathItem(operations.collect())
    }

    fn operation(
        &mut self,
        tag: &'static str,
        path: &str,
        method: &Method,
        said: &Operation,
    ) -> OperationObject {
        let answers = said.answers.iter().map(|answer| {
            let response = Response::Here(self.answer(said.id, answer));
            (answer.status.to_string(), response)
        });
        let mut responses: BTreeMap<_, _> = answers.collect();
        for (status, codes) in problems::of(path, method, said) {
            responses.insert(status.to_string(), self.problem(status, codes));
        }
        let (right, all_chains) = match said.needs {
            Needs::Nothing => (None, false),
            Needs::Right(right) => (Some(right), false),
            Needs::RightEverywhere(right) => (Some(right), true),
        };
        OperationObject {
            operation_id: said.id,
            tags: vec![tag],
            summary: said.summary,
            description: said.description,
            parameters: self.parameters(path, said),
            request_body: said.takes.as_ref().map(|takes| self.request_body(takes)),
            responses,
            security: Some(right.map(|_| BTreeMap::from([(KEY, [])])).into_iter().collect()),
            right: right.map(|right| right.as_str()),
            roles: said.needs.roles().into_iter().map(|role| role.as_str()).collect(),
            all_chains,
        }
    }

    fn parameters(&mut self, path: &str, said: &Operation) -> Vec<ParameterObject> {
        let in_path = path::parameters(path).map(|known| ParameterObject {
            name: known.name,
            place: "path",
            description: known.description,
            required: true,
            schema: self.schemas.sent(known.shape),
            example: Some(number_or_text(known.example)),
        });
        let mut all: Vec<_> = in_path.collect();
        all.extend(said.parameters.iter().map(|parameter| ParameterObject {
            name: parameter.name,
            place: match parameter.place {
                Place::Query => "query",
                Place::Header => "header",
            },
            description: parameter.description,
            required: false,
            schema: self.schemas.sent(parameter.shape),
            example: parameter.example.clone(),
        }));
        all
    }

    fn request_body(&mut self, takes: &Takes) -> RequestBody {
        let content = takes.contents.iter().map(|Content { media_type, shape, example }| {
            (*media_type, MediaType::of(self.schemas.sent(*shape), example.clone()))
        });
        RequestBody { required: takes.required, content: content.collect() }
    }

    fn answer(&mut self, operation: &str, answer: &Answer) -> ResponseObject {
        let content = answer.contents.iter().map(|Content { media_type, shape, .. }| {
            let example = examples::of(operation, answer.status, media_type);
            (*media_type, MediaType::of(self.schemas.answered(*shape), example))
        });
        ResponseObject {
            description: answer.description.to_owned(),
            content: content.collect(),
            headers: headers_of(answer.status, &answer.headers),
        }
    }

    /// The answer with one of these problems.
    fn problem(&mut self, status: u16, codes: BTreeSet<&'static str>) -> Response {
        self.codes.extend(&codes);
        let codes: Vec<_> = codes.into_iter().collect();
        let name = format!("{status}.{}", codes.join("."));
        let mut schema = self.schemas.answered(Problem::schema);
        self.responses.entry(name.clone()).or_insert_with(|| {
            let said: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
            schema.insert(
                "properties".to_owned(),
                json!({ "status": { "const": status }, "code": { "enum": codes } }),
            );
            let named =
                |code: &&'static str| (*code, Reference { to: format!("#/components/examples/{code}") });
            let content =
                MediaType { examples: codes.iter().map(named).collect(), ..MediaType::of(schema, None) };
            ResponseObject {
                description: format!("{} Codes: {}.", problems::meaning(status), said.join(", ")),
                headers: headers_of(status, &[]),
                content: BTreeMap::from([("application/problem+json", content)]),
            }
        });
        Response::There(Reference { to: format!("#/components/responses/{name}") })
    }

    /// What endpoints are sent: the catalogue of loyalty events.
    fn webhooks(&mut self) -> Vec<(&'static str, PathItem)> {
        let of = |kind: &EventType| {
            let schema = self.schemas.answered(|generator| kind.definition(generator));
            let example = serde_json::from_str(&kind.example().to_json()).ok();
            let content = BTreeMap::from([(JSON, MediaType::of(schema, example))]);
            let taken = ResponseObject {
                description: "Any 2xx: it was taken. Anything else: it is sent again later.".to_owned(),
                headers: BTreeMap::new(),
                content: BTreeMap::new(),
            };
            let told = OperationObject {
                summary: kind.description().trim(),
                request_body: Some(RequestBody { required: true, content }),
                responses: BTreeMap::from([("2XX".to_owned(), Response::Here(taken))]),
                ..OperationObject::default()
            };
            (kind.as_str(), PathItem(vec![("post", told)]))
        };
        EventType::ALL.iter().map(of).collect()
    }
}

/// A problem of a code, as somebody might be told of it.
fn example_of(code: &'static str) -> Option<(&'static str, Example)> {
    let value = serde_json::from_str(&problem::examples::of(code)?.to_json(None)).ok()?;
    Some((code, Example { value }))
}

/// Gives references to what is sent their final names. What endpoints are sent is what we write, and has its names.
fn settle(operation: &mut OperationObject, names: &Names) {
    operation.parameters.iter_mut().for_each(|parameter| names.settle(&mut parameter.schema));
    let bodies = operation.request_body.iter_mut().flat_map(|body| body.content.values_mut());
    bodies.for_each(|content| names.settle(&mut content.schema));
}

/// What stands in a path is written as it is read.
fn number_or_text(example: &str) -> Value {
    example.parse::<u64>().map_or_else(|_| example.into(), Into::into)
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::PUT => "put",
        Method::POST => "post",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "options",
    }
}

/// The headers of an answer: those of every answer, those of its status, and its own.
fn headers_of(status: u16, own: &[&'static str]) -> BTreeMap<&'static str, Reference> {
    let of_status: &[&str] = match status {
        401 => &["WWW-Authenticate"],
        412 => &["ETag"],
        429 => &["Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"],
        503 => &["Retry-After"],
        _ => &[],
    };
    let all = ["X-Request-Id"].into_iter().chain(of_status.iter().copied()).chain(own.iter().copied());
    all.map(|name| (name, Reference { to: format!("#/components/headers/{name}") })).collect()
}

fn headers() -> BTreeMap<&'static str, Header> {
    let text = || json!({ "type": "string" });
    let header = |description, schema| Header { description, required: true, schema };
    // Every answer has them where there is a limit.
    let of_limit = |description| {
        let schema = json!({ "type": "integer", "minimum": 0 });
        Header { description, required: false, schema }
    };
    BTreeMap::from([
        ("X-Request-Id", header("The id of the request, as it stands in our log.", text())),
        ("Location", header("Where what was made is.", text())),
        ("ETag", header("What tells whether it is another one by now.", text())),
        ("WWW-Authenticate", header("What is asked for: `Bearer`.", text())),
        ("RateLimit-Limit", of_limit("Requests a minute, of the limit of which the least is left.")),
        ("RateLimit-Remaining", of_limit("How many of them are left.")),
        ("RateLimit-Reset", of_limit("In how many seconds all of them are there again.")),
        (
            "Retry-After",
            header(
                "After how many seconds it makes sense to try again.",
                json!({ "type": "integer", "minimum": 1 }),
            ),
        ),
    ])
}
