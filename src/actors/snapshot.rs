//! What a chain decides by at one moment.

use std::sync::Arc;

use crate::domain::chain::Chain;
use crate::domain::churn::Learned;
use crate::domain::coupon::CouponBook;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{EndpointId, MemberId};
use crate::domain::publication::Origin;
use crate::domain::roll_out::RollOut;
use crate::domain::suspension::Suspension;
use crate::domain::text::Name;
use crate::rules::diagnostic::Diagnostic;
use crate::rules::program::Program;

use super::engine::EngineError;

/// A version that decides for some.
#[derive(Debug)]
pub struct Candidate {
    /// The version.
    pub program: Arc<Program>,
    /// For whom.
    pub roll_out: RollOut,
}

/// A chain's current configuration, replaced as a whole when anything in it changes.
#[derive(Debug, Clone)]
pub struct ChainSnapshot {
    /// The chain.
    pub chain: Arc<Chain>,
    /// The program in force. A chain without a folder has one without rules, version 0. `None` = the chain is meant to
    /// have rules and no version of them could be put in force: nothing is decided then.
    pub program: Option<Arc<Program>>,
    /// The candidate that is tried beside it.
    pub candidate: Option<Arc<Candidate>>,
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
        Self { chain, program: None, candidate: None, problems, endpoints, learned: Learned::default() }
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

    /// The tags of the program in force that no endpoint carries: what triggers forward there, nobody gets.
    pub fn unheard_tags(&self) -> Vec<Name> {
        let tags = self.program.iter().flat_map(|program| &program.tags);
        let is_unheard = |tag: &&Name| !self.endpoints.iter().any(|endpoint| endpoint.tags.contains(tag));
        tags.filter(is_unheard).cloned().collect()
    }

    /// The program in force.
    ///
    /// # Errors
    /// [`EngineError::NoRules`] when there is none: deciding without rules would be wrong for ever, and waiting is not.
    pub fn program(&self) -> Result<&Arc<Program>, EngineError> {
        self.program.as_ref().ok_or_else(|| no_rules(&self.problems))
    }

    /// The program that decides what happens to a member there: the one in force, or the candidate.
    ///
    /// # Errors
    /// As [`Self::program`]: a candidate decides for nobody while there is nothing beside it.
    pub fn program_for(
        &self,
        member: MemberId,
        location: Option<&Name>,
    ) -> Result<&Arc<Program>, EngineError> {
        let in_force = self.program()?;
        match &self.candidate {
            Some(candidate) if candidate.roll_out.decides(member, location) => Ok(&candidate.program),
            _ => Ok(in_force),
        }
    }

    /// The version in force, and the candidate beside it.
    pub(super) fn programs(&self) -> impl Iterator<Item = &Arc<Program>> {
        self.program.iter().chain(self.candidate.iter().map(|candidate| &candidate.program))
    }

    /// Takes over which rules of them are suspended.
    pub(super) fn suspend(&mut self, stored: &[Suspension]) {
        self.program = self.program.take().map(|program| Arc::new(program.suspending(stored.to_vec())));
        self.candidate = self.candidate.take().map(|candidate| {
            let Candidate { program, roll_out } = &*candidate;
            Arc::new(Candidate {
                program: Arc::new(program.suspending(stored.to_vec())),
                roll_out: roll_out.clone(),
            })
        });
    }

    /// Has both programs ask what the endpoints ask by now.
    pub(super) fn filter(&mut self) {
        let filtering = |program: &Program| {
            let filtering = program.filtering(&self.endpoints)?;
            self.warn_of_filters(&filtering, Some(program));
            Some(Arc::new(filtering))
        };
        let program = self.program.as_deref().and_then(filtering);
        let candidate = self.candidate.as_ref().and_then(|candidate| {
            let program = filtering(&candidate.program)?;
            Some(Arc::new(Candidate { program, roll_out: candidate.roll_out.clone() }))
        });
        self.program = program.or_else(|| self.program.take());
        self.candidate = candidate.or_else(|| self.candidate.take());
    }

    /// Says which filters a program cannot ask about all that they are for, but for what was said of it before.
    pub(super) fn warn_of_filters(&self, program: &Program, before: Option<&Program>) {
        for endpoint in self.endpoints.iter().map(|endpoint| endpoint.id) {
            let known = before.and_then(|before| before.filter_problem(endpoint));
            if let Some(problem) = program.filter_problem(endpoint).filter(|problem| known != Some(*problem))
            {
                let (chain, version) = (&self.chain.id, program.version);
                tracing::warn!(%chain, %endpoint, version, %problem, "what a filter cannot be asked about passes");
            }
        }
    }

    /// Why an endpoint's filter cannot be asked about all that it is for: by the program in force, or the candidate.
    pub fn filter_problem(&self, endpoint: EndpointId) -> Option<String> {
        self.programs().find_map(|program| program.filter_problem(endpoint)).map(ToString::to_string)
    }

    /// The endpoints whose filters cannot be asked about all that they are for.
    pub fn broken_filters(&self) -> Vec<EndpointId> {
        let ids = self.endpoints.iter().map(|endpoint| endpoint.id);
        ids.filter(|id| self.filter_problem(*id).is_some()).collect()
    }

    /// Whether members are to be woken at all.
    pub(super) fn wakes(&self) -> bool {
        self.program.is_some() && self.programs().any(|program| program.wakes())
    }

    /// Puts a version in force, unless a newer one is.
    pub(super) fn put_in_force(&mut self, program: Program) {
        if self.program.as_ref().is_none_or(|known| known.version <= program.version) {
            self.problems = Arc::default();
            self.warn_of_filters(&program, None);
            self.program = Some(Arc::new(program));
        }
    }

    /// A candidate that was promoted is tried no more.
    pub(super) fn settle(&mut self, origin: Origin) {
        let Origin::Promotion(promoted) = origin else { return };
        self.candidate = self.candidate.take().filter(|candidate| candidate.roll_out.version != promoted);
    }

    /// Takes note of how far the candidate is rolled out by now, if it is the one that is known here.
    pub(super) fn follow(&mut self, roll_out: &RollOut) {
        let known = self.candidate.take().filter(|known| known.roll_out.version == roll_out.version);
        let known = known.filter(|_| roll_out.ended.is_none());
        self.candidate = known
            .map(|known| Arc::new(Candidate { program: known.program.clone(), roll_out: roll_out.clone() }));
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
