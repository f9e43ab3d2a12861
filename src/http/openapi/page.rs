//! The reference page: the document as people read it. One HTML text without scripts and without anything from elsewhere.

mod schema;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use self::schema::{properties, type_of};
use super::document::{
    Document, MediaType, OperationObject, ParameterObject, PathItem, RequestBody, Response, ResponseObject,
};

/// How it looks.
pub(super) const STYLE: &str = include_str!("page/style.css");

/// The page of a document.
pub(super) fn page(document: &Document) -> String {
    let title = format!("{} {}: HTTP API", document.info.title, document.info.version);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p { (document.info.summary) " " a href="openapi.json" { "openapi.json" } }
                }
                nav aria-label="Contents" { details open { summary { "Contents" } (contents(document)) } }
                main {
                    (prose(document.info.description))
                    p { "The commands below expect " code { "export PUNCHCARD=http://127.0.0.1:8080 KEY=pck_…" } "." }
                    @for tag in &document.tags {
                        section id=(anchor(tag.name)) {
                            h2 { (tag.name) }
                            (prose(tag.description))
                            @for (path, method, operation) in of_tag(document, tag.name) {
                                (article(document, path, method, operation))
                            }
                        }
                    }
                    (webhooks(document))
                    (schemas(document))
                }
            }
        }
    };
    page.into_string()
}

/// The operations of a group, with path and method.
fn of_tag<'a>(
    document: &'a Document,
    tag: &'a str,
) -> impl Iterator<Item = (&'a str, &'static str, &'a OperationObject)> {
    let of = |(path, PathItem(methods)): &'a (String, PathItem)| {
        methods.iter().map(move |(method, operation)| (path.as_str(), *method, operation))
    };
    document.paths.iter().flat_map(of).filter(move |(_, _, operation)| operation.tags.contains(&tag))
}

fn anchor(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

fn contents(document: &Document) -> Markup {
    html! {
        ul {
            @for tag in &document.tags {
                li {
                    a href={ "#" (anchor(tag.name)) } { (tag.name) }
                    ul {
                        @for (_, _, operation) in of_tag(document, tag.name) {
                            li { a href={ "#" (operation.operation_id) } { (spoken(operation.summary)) } }
                        }
                    }
                }
            }
            li { a href="#webhooks" { "Webhooks" } }
            li { a href="#schemas" { "Schemas" } }
        }
    }
}

fn article(document: &Document, path: &str, method: &str, operation: &OperationObject) -> Markup {
    html! {
        article id=(operation.operation_id) {
            h3 { a href={ "#" (operation.operation_id) } { (spoken(operation.summary)) } }
            p.route { span class={ "method " (method) } { (method.to_uppercase()) } " " code { (broken(path)) } }
            (prose(operation.description))
            p.needs { (needs(operation)) }
            @if !operation.parameters.is_empty() { (parameters(&operation.parameters)) }
            @if let Some(body) = &operation.request_body { (request_body(body)) }
            h4 { "Try it" }
            pre { code { (curl(path, method, operation)) } }
            h4 { "Answers" }
            @for (status, response) in &operation.responses {
                @if let Response::Here(response) = response { (answer(status, response)) }
            }
            (problems(document, operation))
        }
    }
}

/// A path that may be broken before each of its parts.
fn broken(path: &str) -> Markup {
    html! { @for part in path.split('/').skip(1) { wbr; "/" (part) } }
}

fn needs(operation: &OperationObject) -> Markup {
    html! {
        @match operation.right {
            None => "Needs no key.",
            Some(right) => {
                "Needs the right " code { (right) } ": "
                @for (n, role) in operation.roles.iter().enumerate() {
                    @if n > 0 { ", " }
                    code { (role) }
                }
                @if operation.all_chains { ", with a key for all chains" }
                "."
            }
        }
    }
}

fn parameters(parameters: &[ParameterObject]) -> Markup {
    html! {
        h4 { "Parameters" }
        dl {
            @for parameter in parameters {
                dt {
                    code { (parameter.name) } " "
                    span.type { (parameter.place) ", " (type_of(parameter.schema.as_value())) }
                }
                dd { (prose(parameter.description)) }
            }
        }
    }
}

fn request_body(body: &RequestBody) -> Markup {
    html! {
        h4 { "Body" @if !body.required { " (may be left out)" } }
        @for (media_type, content) in &body.content { (of_type(media_type, content)) }
    }
}

fn of_type(media_type: &str, content: &MediaType) -> Markup {
    let schema = content.schema.as_value();
    html! {
        p { code { (media_type) } ": " span.type { (type_of(schema)) } }
        @if let Some(fields) = properties(schema) { details { summary { "Fields" } (fields) } }
        @if let Some(example) = &content.example {
            details { summary { "Example" } pre { code { (shown(example)) } } }
        }
    }
}

/// An example as people write it.
fn shown(example: &Value) -> String {
    match example {
        Value::String(text) => text.clone(),
        json => serde_json::to_string_pretty(json).unwrap_or_default(),
    }
}

fn answer(status: &str, response: &ResponseObject) -> Markup {
    html! {
        div.answer {
            p { span class="status good" { (status) } " " (spoken(&response.description)) }
            @let own = response.headers.keys().filter(|name| **name != "X-Request-Id").collect::<Vec<_>>();
            @if !own.is_empty() {
                p { "With " @for name in own { code { (name) } " " } }
            }
            @for (media_type, content) in &response.content { (of_type(media_type, content)) }
        }
    }
}

fn problems(document: &Document, operation: &OperationObject) -> Markup {
    let all = operation.responses.iter().filter_map(|(status, response)| match response {
        Response::There(reference) => {
            let name = reference.to.rsplit('/').next()?;
            Some((status, document.components.responses.get(name)?))
        }
        Response::Here(_) => None,
    });
    html! {
        details {
            summary { "Problems" }
            dl.problems {
                @for (status, response) in all {
                    dt { span class="status bad" { (status) } }
                    dd { (spoken(&response.description)) }
                }
            }
        }
    }
}

/// A command that does it.
fn curl(path: &str, method: &str, operation: &OperationObject) -> String {
    let filled = operation.parameters.iter().fold(path.to_owned(), |path, parameter| {
        let example = parameter.example.as_ref().map(shown).unwrap_or_default();
        path.replace(&format!("{{{}}}", parameter.name), &example)
    });
    let mut command = match method {
        "get" => "curl".to_owned(),
        method => format!("curl -X {}", method.to_uppercase()),
    };
    if operation.right.is_some() {
        command.push_str(" -H \"Authorization: Bearer $KEY\"");
    }
    let body = operation.request_body.as_ref().and_then(|body| body.content.first_key_value());
    if let Some((media_type, MediaType { example: Some(example), .. })) = body {
        let text = match example {
            Value::String(text) => text.clone(),
            json => json.to_string(),
        };
        let quoted = text.replace('\'', "'\\''");
        command.push_str(&format!(" \\\n  -H 'Content-Type: {media_type}' \\\n  -d '{quoted}'"));
    }
    format!("{command} \\\n  \"$PUNCHCARD{filled}\"")
}

fn webhooks(document: &Document) -> Markup {
    html! {
        section #webhooks {
            h2 { "Webhooks" }
            p {
                "What endpoints of the dialect " code { "standard" } " are sent, by type of event. Others get the same in their \
                 own words."
            }
            dl {
                @for (name, PathItem(methods)) in &document.webhooks {
                    @for (_, told) in methods {
                        dt { code { (name) } }
                        dd {
                            (prose(told.summary))
                            @if let Some(body) = &told.request_body {
                                @for content in body.content.values() {
                                    p.type { (type_of(content.schema.as_value())) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn schemas(document: &Document) -> Markup {
    html! {
        section #schemas {
            h2 { "Schemas" }
            p { "A name with an asterisk is always there." }
            @for (name, schema) in &document.components.schemas {
                article id={ "schema-" (name) } {
                    h3 { a href={ "#schema-" (name) } { (name) } }
                    @if let Some(text) = schema.get("description").and_then(Value::as_str) { (prose(text)) }
                    @match properties(schema) {
                        Some(fields) => (fields),
                        None => p.type { (type_of(schema)) },
                    }
                }
            }
        }
    }
}

/// Paragraphs, with `code` and **what matters** marked.
fn prose(text: &str) -> Markup {
    html! { @for paragraph in text.split("\n\n").filter(|text| !text.is_empty()) { p { (spoken(paragraph)) } } }
}

/// A line of the same.
fn spoken(text: &str) -> Markup {
    html! {
        @for (n, part) in text.split('`').enumerate() {
            @if n % 2 == 1 { code { (part) } } @else {
                @for (n, part) in part.split("**").enumerate() {
                    @if n % 2 == 1 { strong { (part) } } @else { (part) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_marked_and_nothing_else_passes() {
        let page = prose("**Keys.** Say `Bearer <key>`.\n\n<script>alert(1)</script>").into_string();
        assert_eq!(
            page,
            "<p><strong>Keys.</strong> Say <code>Bearer &lt;key&gt;</code>.</p>\
             <p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"
        );
    }
}
