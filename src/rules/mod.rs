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
mod requests;
mod split;
mod suggest;
pub mod testing;
mod views;
mod vocabulary;

#[cfg(test)]
mod tests;
