//! A line of the ledger that is met again in the life of its member, and what the rule that wrote it read.

use std::sync::Arc;

use crate::domain::Timestamp;
use crate::domain::commit::Commit;
use crate::domain::decide::Occasion;
use crate::domain::effect::Cause;
use crate::domain::ids::{MemberId, SourceId};
use crate::domain::ledger::{Account, Transfer};
use crate::domain::money::Points;
use crate::domain::receipt::EffectLine;
use crate::domain::statement::{Held, Line};

use super::super::verdict::{RuleVerdict, Value, Verdict};

/// A line that a rule wrote.
#[derive(Debug, Clone)]
pub struct Sought {
    /// Whose ledger it is in.
    pub member: MemberId,
    /// The source event; `None` for what fell due.
    pub source: Option<SourceId>,
    /// When it was decided.
    pub at: Timestamp,
    /// The wallet's code.
    pub wallet: String,
    /// The account that is less after it.
    pub debit: Account,
    /// The account that is more after it.
    pub credit: Account,
    /// How much.
    pub amount: Points,
    /// The rule.
    pub cause: Cause,
    /// What the member had behind it: a life that came to something else until then is not theirs.
    pub held: Held,
}

impl Sought {
    fn is(&self, line: &Transfer) -> bool {
        let Self { source, wallet, debit, credit, amount, cause, .. } = self;
        (source, debit, credit, amount, cause)
            == (&line.source, &line.debit, &line.credit, &line.amount, &line.cause)
            && *wallet == *line.wallet
            && line.at <= self.at
    }

    /// Whether an effect may be what came to the line.
    fn is_of(&self, effect: &EffectLine) -> bool {
        effect.wallet.as_ref().is_some_and(|wallet| **wallet == *self.wallet)
            && effect.amount.is_some_and(|amount| amount.unsigned_abs() == self.amount.0.unsigned_abs())
    }
}

/// Looks out for a line.
#[derive(Debug, Clone)]
pub(super) struct Search {
    sought: Arc<Sought>,
    held: Held,
    found: Option<Vec<Value>>,
}

impl Search {
    pub(super) fn of(sought: Sought) -> Self {
        Self { sought: sought.into(), held: Held::default(), found: None }
    }

    /// Whether a decision may write the line, so that it should tell why.
    pub(super) fn concerns(&self, occasion: &Occasion) -> bool {
        match (self.sought.source, occasion) {
            (Some(source), Occasion::Source(input)) => input.id == source,
            (None, Occasion::Tick { .. } | Occasion::Due { .. }) => true,
            _ => false,
        }
    }

    /// Looks at what was decided. Of the same line on several nights it is the last one by its time.
    pub(super) fn look(&mut self, commit: &Commit, verdicts: &[RuleVerdict]) {
        let mut alike = 0;
        for line in commit.transfers.iter().filter(|line| line.member == self.sought.member) {
            let Transfer { wallet, debit, credit, amount, at, .. } = line;
            self.held.add(Line { wallet, debit: *debit, credit: *credit, amount: *amount, at: *at });
            if self.sought.is(line) {
                if self.held == self.sought.held {
                    self.found = self.reads(verdicts, alike);
                }
                alike += 1;
            }
        }
    }

    /// What the rule read when it asked for the `nth` effect that may be the line. One that reacts to things told is asked
    /// about each of them.
    fn reads(&self, verdicts: &[RuleVerdict], nth: usize) -> Option<Vec<Value>> {
        let mut of_rule = verdicts.iter().filter(|judged| *judged.rule == *self.sought.cause.rule);
        let mut effects = of_rule.clone().flat_map(|judged| {
            let effects = match &judged.verdict {
                Verdict::Fired(done) => &done.effects[..],
                _ => &[],
            };
            effects.iter().filter(|effect| self.sought.is_of(effect)).map(move |_| judged)
        });
        let judged = effects.nth(nth).or_else(|| of_rule.next())?;
        judged.reads()
    }

    /// What was read for the line; `None` when it was not met.
    pub(super) fn found(self) -> Option<Vec<Value>> {
        self.found
    }
}
