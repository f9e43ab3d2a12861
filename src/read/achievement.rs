//! Achievements of a member as outsiders see them.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::achievement::Feat;
use crate::domain::chain::ChainId;
use crate::domain::identity::MemberName;
use crate::domain::member::Member;
use crate::domain::money::Money;
use crate::domain::terms::achievement::Achievement;
use crate::domain::text::Name;
use crate::rules::program::Program;

/// How a member stands with one achievement.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "AchievementStanding")]
pub struct AchievementView {
    /// Its id in `program.toml`.
    pub achievement: Name,
    /// What people call it; absent when `program.toml` has it no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// When it was earned last; null when it was not.
    pub earned_at: Option<Timestamp>,
    /// How often it was earned.
    pub times: u32,
    /// How far the member is, where there is a goal.
    #[serde(flatten)]
    pub goal: Option<GoalView>,
}

/// How far a member is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Goal")]
pub struct GoalView {
    /// How far.
    pub progress: Money,
    /// How far it is in all.
    pub target: Money,
    /// The first day of the period or streak, in the chain's zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_start: Option<NaiveDate>,
}

impl AchievementView {
    fn of(achievement: &Achievement, member: &Member, today: NaiveDate) -> Self {
        let none = Feat::default();
        let feat = member.standing.feats.get(&achievement.id).unwrap_or(&none);
        let earned_at = member.standing.achievements.get(&achievement.id).copied();
        Self {
            achievement: achievement.id.clone(),
            name: Some(achievement.name.clone()),
            earned_at,
            times: feat.times().max(earned_at.is_some().into()),
            goal: achievement.goal.as_ref().map(|goal| GoalView {
                progress: Money::new(feat.progress(goal, &member.history, today)),
                target: Money::new(goal.target),
                period_start: feat.period_start(goal, &member.history, today),
            }),
        }
    }
}

impl Reader {
    /// The achievements of the program with what the member has of them, and those that the member earned when the
    /// program had them. `None` for a member nobody knows.
    ///
    /// # Errors
    /// The store failed.
    pub async fn achievements(
        &self,
        program: &Program,
        chain: ChainId,
        name: MemberName,
        now: Timestamp,
    ) -> Result<Option<Vec<AchievementView>>, ReadError> {
        let today = now.with_timezone(&program.schedule.timezone).date_naive();
        let declared = &program.terms.achievements;
        let member = self.stored_member(chain, name).await?;
        Ok(member.map(|member| {
            let earned = member.standing.achievements.iter();
            let gone = earned.filter(|(id, _)| program.terms.achievement(id).is_none());
            let gone = gone.map(|(id, at)| AchievementView {
                achievement: id.clone(),
                name: None,
                earned_at: Some(*at),
                times: 1,
                goal: None,
            });
            declared.iter().map(|known| AchievementView::of(known, &member, today)).chain(gone).collect()
        }))
    }
}
