//! The rule language: load, check, evaluate.

mod api;
mod bench;
mod check;
mod code;
pub mod decide;
pub mod diagnostic;
mod engine;
mod evaluate;
pub mod folder;
mod language;
pub mod manifest;
pub mod program;
pub mod report;
mod requests;
mod split;
mod suggest;
pub mod testing;
mod views;
mod vocabulary;

pub use report::check_folder;

#[cfg(test)]
mod tests;
