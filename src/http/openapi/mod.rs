//! The OpenAPI document: made of the very table that routes requests, so that both know the same paths and methods.
//!
//! What a route does is said where it is registered ([`Operation`]), in types: their schemas are derived.

mod document;
mod making;
mod operation;
mod path;
mod problems;
mod schemas;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use actix_web::http::header::{self, ContentType};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest as _, Sha256};

pub(super) use self::operation::{Operation, command, op};

/// The document with what tells whether it is another one.
struct Written {
    json: String,
    etag: String,
}

static DOCUMENT: LazyLock<Written> = LazyLock::new(|| {
    let document = making::document(&super::routes::groups());
    let json = serde_json::to_string(&document).unwrap_or_else(|_| unreachable!("plain structs serialize"));
    let digest: [u8; 32] = Sha256::digest(&json).into();
    let etag = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Written { json, etag: format!("\"{etag}\"") }
});

/// The document, for people who want it in a file.
pub fn document() -> &'static str {
    &DOCUMENT.json
}

/// `GET /openapi.json`
pub(super) async fn get(request: HttpRequest) -> HttpResponse {
    let Written { json, etag } = &*DOCUMENT;
    let known = request.headers().get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return HttpResponse::NotModified().insert_header((header::ETAG, etag.as_str())).finish();
    }
    let mut answer = HttpResponse::Ok();
    answer.content_type(ContentType::json()).insert_header((header::ETAG, etag.as_str())).body(json.as_str())
}
