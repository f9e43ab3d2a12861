//! The OpenAPI document: made of the very table that routes requests, so that both know the same paths and methods; and the
//! page that shows it to people.
//!
//! What a route does is said where it is registered ([`Operation`]), in types: their schemas are derived.

mod document;
mod examples;
mod making;
mod operation;
mod page;
mod path;
mod problems;
mod schemas;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use actix_web::http::header::{self, ContentType};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

pub(super) use self::operation::{Operation, command, op};

/// The document and the page, with what tells whether they are other ones.
struct Written {
    json: String,
    page: String,
    etag: String,
}

static WRITTEN: LazyLock<Written> = LazyLock::new(|| {
    let document = making::document(&super::routes::groups());
    let json = serde_json::to_string(&document).unwrap_or_else(|_| unreachable!("plain structs serialize"));
    let digest: [u8; 32] = Sha256::digest(&json).into();
    let etag = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>();
    Written { json, page: page::page(&document), etag: format!("\"{etag}\"") }
});

/// What browsers may do with the page: read its style sheet, which is in it.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(Sha256::digest(page::STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// The document, for people who want it in a file.
pub fn document() -> &'static str {
    &WRITTEN.json
}

/// `GET /openapi.json`
pub(super) async fn get(request: HttpRequest) -> HttpResponse {
    let Written { json, etag, .. } = &*WRITTEN;
    let known = request.headers().get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return HttpResponse::NotModified().insert_header((header::ETAG, etag.as_str())).finish();
    }
    let mut answer = HttpResponse::Ok();
    answer.content_type(ContentType::json()).insert_header((header::ETAG, etag.as_str())).body(json.as_str())
}

/// `GET /reference`: the same for people.
pub(super) async fn reference() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY.as_str()))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body(WRITTEN.page.as_str())
}
