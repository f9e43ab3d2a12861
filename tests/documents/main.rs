//! What the documentation tells people to type is read from it, and typed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod api;
#[path = "../support/copy_folder.rs"]
mod copy_folder;
mod guide;
mod newcomer;
mod readme;
