//! The rule language: what program managers write, from text to decision.
//!
//! ```text
//! folder ── split ── language ── check ──► Program ──► decide(case) ──► Commit
//! (files)   (pieces)  (trees)    (types)      │             │
//!                                             └─ testing ───┘  the same decide, on a bench
//! ```
//!
//! - [`folder`] reads `program.toml` and `*.rhai`; everything after it is pure.
//! - `split` cuts a file into declarations, so that one mistake hides no other; `language` parses each with our own
//!   top-level syntax; `check` walks the trees with the types of `vocabulary`; `code` holds them in the order in
//!   which they run, as `maker` made them.
//! - `api` and `views` are what rules can say and see, `requests` what they asked for, `engine` the sandbox that all
//!   of it runs in, `scales` what their values count for in it, `evaluate` the interpreter at work, `native` what is answered without it.
//! - [`decide`] makes a [`Commit`](crate::domain::commit::Commit) of a case: facts, rules, effects, segments;
//!   `address` then says who hears of it. [`filter`] says which of these an endpoint wants, [`transform`] what it is sent of them.
//! - [`testing`] runs the `test` blocks, [`report`] says what is wrong with a folder, as JSON and as text, [`difference`]
//!   what changed between two versions. [`reference`] is the page of all words.
//! - [`verdict`] says why: how rules were judged. `conditions` takes those apart that did not hold, `reads` finds what was read.
//! - `conduct` knows which rules keep failing, and which are suspended for it.
//! - [`backtest`] lives members' lives again under another program. `records` is what it and tests have for a store.
//!
//! A rule asks for effects and can do nothing else. It sees no clock, no file, no network, no other chain and no other
//! rule's effects; the same program, member and event give the same commit.
//!
//! The interpreter is Rhai with the `internals` feature, which promises no stability: its version is pinned in
//! `Cargo.toml`, and only `language`, `check`, `code`, `native`, `evaluate`, `conditions`, `reads`, `testing` and `transform`
//! touch its trees.

mod address;
mod again;
mod api;
pub mod backtest;
mod bench;
mod cascade;
mod check;
mod code;
mod complaints;
mod conditions;
mod conduct;
pub mod cut;
pub mod decide;
pub mod diagnostic;
pub mod difference;
pub mod dry_run;
mod emit;
mod engine;
mod evaluate;
mod expectation;
pub mod filter;
pub mod folder;
mod groups;
mod language;
mod lines;
mod maker;
pub mod manifest;
mod message;
mod native;
mod number;
mod payload;
pub mod program;
mod reads;
mod records;
pub mod reference;
pub mod report;
mod requests;
mod scales;
mod segments;
mod sign;
mod split;
mod suggest;
pub mod testing;
mod tiers;
pub mod transform;
pub mod verdict;
mod views;
mod vocabulary;
mod written;

pub use report::check_folder;

#[cfg(test)]
mod tests;
