//! Lines of the audit log: made here, written with the change that they tell of.

use std::fmt;

use crate::domain::audit::{Action, By, Change, Entry};
use crate::domain::chain::ChainId;
use crate::domain::ids::AuditId;

use super::engine::Engine;

impl Engine {
    /// The line about what is about to be done.
    pub(super) fn line<'a>(
        &self,
        by: By,
        chain: impl Into<Option<&'a ChainId>>,
        action: Action,
        target: impl fmt::Display,
        change: Change,
    ) -> Entry {
        let id = AuditId::new(self.0.line_ids.next(self.0.clock.now()));
        Entry { id, chain: chain.into().cloned(), by, action, target: target.to_string(), change }
    }
}
