//! Guests who come, stay away, and achieve.

use super::Draft;
use crate::domain::loyalty_event::{Absence, AchievementEarned, EventData};
use crate::domain::member::Status;
use crate::domain::money::Money;
use crate::domain::text::Name;

impl Draft {
    pub(super) fn absence(&self) -> Absence {
        let history = &self.member.history;
        Absence {
            days_since_last_visit: history.days_since_last_visit(self.today),
            typical_gap_days: history.typical_gap_days().map(Money::new),
        }
    }

    pub(super) fn achieve(&mut self, name: &Name) {
        if self.member.standing.achievements.contains_key(name) {
            return;
        }
        self.member.standing.achievements.insert(name.clone(), self.at);
        self.told.push(EventData::AchievementEarned(AchievementEarned { achievement: name.clone() }));
    }

    pub(super) fn mark(&mut self, status: Status) {
        if self.member.standing.status == status {
            return;
        }
        self.member.standing.status = status;
        let absence = self.absence();
        self.told.push(match status {
            Status::AtRisk => EventData::MemberAtRisk(absence),
            Status::Churned => EventData::MemberChurned(absence),
            Status::Active => EventData::MemberReactivated(absence),
        });
    }
}
