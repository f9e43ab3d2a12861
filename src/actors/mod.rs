//! The imperative shell: one file per stage of the pipeline.

pub mod engine;
pub mod outbound;
