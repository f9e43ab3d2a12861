//! `[celebrations]`: which days of its members the program keeps.

use super::reader::{Reader, Table};
use crate::domain::Timestamp;
use crate::domain::terms::celebration::CelebrationTerms;

impl Reader<'_> {
    /// Both, unless the program says otherwise, at the time of the daily tick.
    pub(super) fn celebrations(
        &mut self,
        table: &Table<'_>,
        daily: Option<&cron::Schedule>,
    ) -> CelebrationTerms {
        let first = daily.and_then(|daily| daily.after(&Timestamp::UNIX_EPOCH).next());
        let at = first.map(|first| first.time()).unwrap_or_default();
        let mut terms = CelebrationTerms { birthdays: true, anniversaries: true, at };
        let Some(value) = table.get("celebrations") else { return terms };
        let Some(table) = value.get_ref().as_table() else {
            self.problem(value.span().start, "this must be a table: [celebrations]", None);
            return terms;
        };
        self.known_keys(table, &["birthdays", "anniversaries"]);
        terms.birthdays = self.flag(table, "birthdays", true);
        terms.anniversaries = self.flag(table, "anniversaries", true);
        terms
    }
}
