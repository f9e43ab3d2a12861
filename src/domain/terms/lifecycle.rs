//! When a guest who stays away is at risk, and when they are given up: the lifecycle that needs no rule.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::domain::history::History;
use crate::domain::member::RiskLevel;
use crate::domain::text::Name;

/// What `[lifecycle]` declares. Guests without a rhythm are never missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle {
    /// At risk after this many times the usual number of days between visits.
    pub at_risk_after: Decimal,
    /// Churned after this many times; more than `at_risk_after`.
    pub churned_after: Decimal,
    /// Nobody is missed before this many days.
    pub at_least_days: i64,
    /// What `member.at_risk` and `member.churned` recommend.
    pub recommended_actions: Vec<Name>,
}

/// What an absence amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing unusual.
    Usual,
    /// Longer than usual.
    AtRisk(RiskLevel),
    /// Too long.
    Churned,
}

impl Lifecycle {
    /// Judges the absence that lasts until `today`. The time from `at_risk_after` to `churned_after` has three equal
    /// parts: low, medium and high risk.
    pub fn judge(&self, history: &History, today: NaiveDate) -> Verdict {
        self.judge_absence(history, history.days_since_last_visit(today))
    }

    /// Judges an absence of so many days.
    pub fn judge_absence(&self, history: &History, days: i64) -> Verdict {
        let Some(gap) = history.typical_gap_days() else { return Verdict::Usual };
        if days < self.at_least_days {
            return Verdict::Usual;
        }
        let (days, third) =
            (Decimal::from(days), (self.churned_after - self.at_risk_after) / Decimal::from(3));
        let is_beyond = |times: Decimal| days > gap.saturating_mul(times);
        if is_beyond(self.churned_after) {
            Verdict::Churned
        } else if is_beyond(self.at_risk_after + third + third) {
            Verdict::AtRisk(RiskLevel::High)
        } else if is_beyond(self.at_risk_after + third) {
            Verdict::AtRisk(RiskLevel::Medium)
        } else if is_beyond(self.at_risk_after) {
            Verdict::AtRisk(RiskLevel::Low)
        } else {
            Verdict::Usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Money;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn lifecycle() -> Lifecycle {
        Lifecycle {
            at_risk_after: Decimal::new(25, 1),
            churned_after: Decimal::new(55, 1),
            at_least_days: 14,
            recommended_actions: Vec::new(),
        }
    }

    #[test]
    fn risk_rises_by_thirds_until_a_guest_is_given_up() {
        let mut weekly = History::default();
        for visit in ["2026-01-01", "2026-01-08", "2026-01-15"] {
            weekly.visit(day(visit), Money::ZERO);
        }
        for (today, verdict) in [
            ("2026-02-01", Verdict::Usual), // 17 days of 17.5
            ("2026-02-02", Verdict::AtRisk(RiskLevel::Low)),
            ("2026-02-08", Verdict::AtRisk(RiskLevel::Low)), // 24 of 24.5
            ("2026-02-09", Verdict::AtRisk(RiskLevel::Medium)),
            ("2026-02-16", Verdict::AtRisk(RiskLevel::High)), // 32 of 31.5
            ("2026-02-22", Verdict::AtRisk(RiskLevel::High)), // 38 of 38.5
            ("2026-02-23", Verdict::Churned),
        ] {
            assert_eq!(lifecycle().judge(&weekly, day(today)), verdict, "{today}");
        }
    }

    #[test]
    fn nobody_is_missed_early_or_without_a_rhythm() {
        let mut daily = History::default();
        for visit in ["2026-01-01", "2026-01-02", "2026-01-03"] {
            daily.visit(day(visit), Money::ZERO);
        }
        assert_eq!(lifecycle().judge(&daily, day("2026-01-16")), Verdict::Usual);
        assert_eq!(lifecycle().judge(&daily, day("2026-01-17")), Verdict::Churned);
        let mut twice = History::default();
        twice.visit(day("2026-01-01"), Money::ZERO);
        twice.visit(day("2026-01-02"), Money::ZERO);
        assert_eq!(lifecycle().judge(&twice, day("2027-01-01")), Verdict::Usual);
    }
}
