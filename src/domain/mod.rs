//! What loyalty means, as values and pure functions.
//!
//! Nothing here reads a clock, a file or a database: time arrives as an argument and every change leaves as a
//! value ([`commit::Commit`]) that one place writes. So the same code serves ingest, rule tests and simulation.

pub mod achievement;
pub mod address;
pub mod allowance;
pub mod api_key;
pub mod audit;
pub mod campaign;
pub mod cart;
pub mod catalogue;
pub mod celebration;
pub mod chain;
pub mod churn;
pub mod claim;
pub mod command;
pub mod commit;
pub mod coupon;
pub mod custom;
pub mod decide;
pub mod delivery;
pub mod desk;
pub mod dialect;
pub mod effect;
pub mod endpoint;
pub mod erasure;
pub mod export_schedule;
pub mod gate;
pub mod headers;
pub mod health;
pub mod history;
pub mod identity;
pub mod ids;
pub mod integration;
pub mod json;
pub mod ledger;
pub mod loyalty_event;
pub mod member;
pub mod memo;
pub mod merge;
pub mod money;
pub mod offering;
pub mod once;
pub mod operations;
pub mod order;
pub mod packed;
pub mod payload;
pub mod people;
pub mod precondition;
pub mod profile;
pub mod publication;
pub mod reaction;
pub mod receipt;
pub mod recovery;
pub mod redemption;
pub mod referral;
pub mod refusal;
pub mod retention;
pub mod role;
pub mod roll_out;
pub mod schedule;
pub mod segment;
pub mod session;
pub mod shared;
pub mod source_event;
pub mod statement;
pub mod status;
pub mod suspension;
pub mod terms;
pub mod text;
pub mod tick;
pub mod tier;
pub mod trace;
pub mod visited;
pub mod wallet;

use chrono::{DateTime, Utc};

/// An instant in UTC. Kept to the microsecond, which is what the store holds.
pub type Timestamp = DateTime<Utc>;
