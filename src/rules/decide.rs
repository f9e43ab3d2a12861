//! One decision: facts, rules, effects, triggers. Pure: the same input gives the same commit, byte for byte.

use std::sync::Arc;

use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::commit::Commit;
use crate::domain::decide::Occasion;
use crate::domain::endpoint::Endpoint;
use crate::domain::identity::Identity;
use crate::domain::member::Member;
use crate::domain::order::OrderRecord;

use super::program::Program;

/// Everything a decision depends on.
#[derive(Debug, Clone)]
pub struct Case {
    /// The member before it (version 0 = first seen now).
    pub member: Member,
    /// The order the event names, as stored; `None` when it names none or none is stored.
    pub order: Option<OrderRecord>,
    /// Identities of the event that belong to nobody yet (for a known member).
    pub attach: Vec<Identity>,
    /// Sentences for the receipt.
    pub notes: Vec<Box<str>>,
    /// What happened.
    pub occasion: Occasion,
    /// For replays of a failed event: only these rules run. `None` = all.
    pub only_rules: Option<Vec<String>>,
    /// The engine's clock.
    pub now: Timestamp,
}

/// Decides one case. Never fails: a failing rule is part of the answer.
pub fn decide(_program: &Program, _chain: &ChainId, _endpoints: &[Arc<Endpoint>], _case: Case) -> Commit {
    todo!()
}
