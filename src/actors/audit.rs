//! Lines of the audit log: made here, written with the change that they tell of, deleted when they are old.

use std::fmt;

use crate::domain::audit::{Action, By, Change, Entry};
use crate::domain::chain::ChainId;
use crate::domain::ids::AuditId;
use crate::store::audit;

use super::engine::{Engine, EngineError};

/// Lines that are deleted in one transaction, so that events are written between them.
const BATCH: i64 = 1_000;
/// Such transactions in one look; the next one goes on.
const BATCHES: usize = 50;

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

    /// Deletes lines that are older than they are kept for, if they are not kept for ever.
    pub(super) async fn forget_audit(&self) -> Result<(), EngineError> {
        let Some(before) = self.0.audit_kept.and_then(|kept| self.0.clock.now().checked_sub_signed(kept))
        else {
            return Ok(());
        };
        for _ in 0..BATCHES {
            let delete = move |conn: &mut _, _: &_| audit::delete_before(conn, before, BATCH);
            if self.0.journal.run(delete).await? < BATCH as usize {
                break;
            }
        }
        Ok(())
    }
}
