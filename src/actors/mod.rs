//! The imperative shell: one file per stage of the pipeline.

pub mod endpoint;
pub mod engine;
pub mod outbound;
