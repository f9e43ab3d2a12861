//! Guests who come and stay away.

use super::{Draft, Frame, MAX_RECOMMENDATIONS, Occasion, Refusal};
use crate::domain::effect::{Action, Mark, RuleEffects};
use crate::domain::loyalty_event::{Absence, EventData};
use crate::domain::member::{RiskLevel, Status};
use crate::domain::money::Money;
use crate::domain::schedule::TickType;
use crate::domain::terms::lifecycle::Verdict;
use crate::domain::text::Name;

impl Draft {
    /// Recommendations go out with what the same rule's `mark` tells, or with the return that it reacts to; and there is
    /// an end to them.
    pub(super) fn may_recommend(&mut self, effects: &RuleEffects) -> Result<(), Refusal> {
        let marks = effects.actions.iter().any(|action| matches!(action, Action::Mark(_)));
        if !marks && !self.reacts_to_return() {
            return Err(Refusal::NothingToRecommendFor);
        }
        let told = self.told_return().map_or(0, |absence| absence.recommended_actions.len());
        match told + effects.recommended().len() {
            0..=MAX_RECOMMENDATIONS => Ok(()),
            _ => Err(Refusal::TooManyRecommendations),
        }
    }

    /// What a rule recommends that reacts to a return goes out with it. A replay told it the first time.
    pub(super) fn recommend_on_return(&mut self, effects: &RuleEffects) {
        if let Some(absence) = self.told_return() {
            absence.recommended_actions.extend(effects.recommended());
        }
    }

    const fn reacts_to_return(&self) -> bool {
        matches!(self.reacts_to, Some(EventData::MemberReactivated(_)))
    }

    /// The return that rules react to.
    fn told_return(&mut self) -> Option<&mut Absence> {
        if !self.reacts_to_return() {
            return None;
        }
        self.told.iter_mut().rev().find_map(|told| match told {
            EventData::MemberReactivated(absence) => Some(absence),
            _ => None,
        })
    }

    /// On the daily tick of a program with a `[lifecycle]`: misses a guest who stays away longer than usual.
    pub fn miss(&mut self, frame: Frame<'_>) {
        let Some(lifecycle) = &frame.terms.lifecycle else { return };
        if !matches!(self.occasion, Occasion::Tick { kind: TickType::Daily, .. }) {
            return;
        }
        let verdict = lifecycle.judge(&self.member.history, self.today);
        let mark = match (self.member.standing.status, verdict) {
            (Status::Churned, _) | (_, Verdict::Usual) => return,
            (_, Verdict::AtRisk(level)) => Mark::AtRisk(Some(level)),
            (_, Verdict::Churned) => Mark::Churned,
        };
        self.mark(mark, &lifecycle.recommended_actions);
    }

    /// Sets the status, and tells of it if that changes anything.
    pub(super) fn mark(&mut self, mark: Mark, recommended: &[Name]) {
        let standing = &mut self.member.standing;
        let (status, risk) = (standing.status, standing.risk_level());
        standing.at_risk = match mark {
            Mark::AtRisk(Some(level)) => level,
            Mark::AtRisk(None) if status == Status::AtRisk => standing.at_risk,
            Mark::AtRisk(None) | Mark::Active | Mark::Churned => RiskLevel::default(),
        };
        standing.status = mark.status();
        if (standing.status, standing.risk_level()) == (status, risk) {
            return;
        }
        let absence = self.absence(self.member.standing.risk_level().or(risk), recommended);
        self.told.push(match mark {
            Mark::Active => EventData::MemberReactivated(absence),
            Mark::AtRisk(_) => EventData::MemberAtRisk(absence),
            Mark::Churned => EventData::MemberChurned(absence),
        });
    }

    fn absence(&self, risk: Option<RiskLevel>, recommended: &[Name]) -> Absence {
        let history = &self.member.history;
        let churn = self.foresight.churn_probability(history, self.today);
        Absence {
            risk_level: risk.unwrap_or_default(),
            days_since_last_visit: history.days_since_last_visit(self.today),
            previous_visit_frequency: history.visits_per_30_days().map(Money::new),
            typical_gap_days: history.typical_gap_days().map(Money::new),
            predicted_churn_probability: churn.map(Money::new),
            recommended_actions: recommended.to_vec(),
        }
    }
}
