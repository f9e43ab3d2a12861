//! The rule language: load, check, evaluate.

pub mod decide;
pub mod diagnostic;
pub mod program;
