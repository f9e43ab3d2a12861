//! Reading and configuring: one file per noun.

use actix_web::web;

pub(super) fn configure(_service: &mut web::ServiceConfig) {}
