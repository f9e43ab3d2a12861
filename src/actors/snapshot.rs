//! What a chain decides by at one moment.

use std::sync::Arc;

use crate::domain::chain::Chain;
use crate::domain::churn::Learned;
use crate::domain::coupon::CouponBook;
use crate::domain::endpoint::Endpoint;
use crate::rules::diagnostic::Diagnostic;
use crate::rules::program::Program;

use super::engine::EngineError;

/// A chain's current configuration, replaced as a whole when anything in it changes.
#[derive(Debug, Clone)]
pub struct ChainSnapshot {
    /// The chain.
    pub chain: Arc<Chain>,
    /// The program in force. A chain without a folder has one without rules, version 0. `None` = the chain is meant to
    /// have rules and no version of them could be put in force: nothing is decided then.
    pub program: Option<Arc<Program>>,
    /// Why the newest edit of its folder is not in force; empty when it is.
    pub problems: Arc<[Diagnostic]>,
    /// Its endpoints, enabled or not.
    pub endpoints: Arc<[Arc<Endpoint>]>,
    /// What its log has taught so far.
    pub learned: Learned,
}

impl ChainSnapshot {
    /// A chain that is meant to have rules, which are not in force: not loaded yet, or with these problems.
    pub(super) fn without_rules(
        chain: Chain,
        endpoints: Vec<Arc<Endpoint>>,
        problems: Arc<[Diagnostic]>,
    ) -> Self {
        let (chain, endpoints) = (Arc::new(chain), endpoints.into());
        Self { chain, program: None, problems, endpoints, learned: Learned::default() }
    }

    /// A new chain without a folder: no rules, on purpose.
    pub(super) fn without_folder(chain: Chain) -> Self {
        let program = Some(Arc::new(Program::empty(&chain)));
        Self { program, ..Self::without_rules(chain, Vec::new(), Arc::default()) }
    }

    /// The coupon books that its program declares.
    pub fn coupon_books(&self) -> &[CouponBook] {
        self.program.as_ref().map_or(&[], |program| &program.terms.coupon_books)
    }

    /// The program in force.
    ///
    /// # Errors
    /// [`EngineError::NoRules`] when there is none: deciding without rules would be wrong for ever, and waiting is not.
    pub fn program(&self) -> Result<&Arc<Program>, EngineError> {
        self.program.as_ref().ok_or_else(|| no_rules(&self.problems))
    }

    /// Takes note of a folder that is not in force. An older version stays; but a chain that has a folder is not meant
    /// to go without rules.
    pub(super) fn refuse(&mut self, problems: Arc<[Diagnostic]>) {
        self.problems = problems;
        self.program = self.program.take().filter(|program| program.version > 0);
    }
}

/// The answer while no rules are in force: what does not check, and where.
pub(super) fn no_rules(problems: &[Diagnostic]) -> EngineError {
    EngineError::NoRules(match problems {
        [] => "they are being loaded".to_owned(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    })
}
