//! Who a member is.

use super::Draft;
use crate::domain::loyalty_event::{EventData, ProfileUpdated};
use crate::domain::profile::ProfileChange;
use crate::domain::refusal::Refused;

impl Draft {
    /// Changes the profile, and tells of it if anything is another now.
    pub(super) fn update_profile(&mut self, change: &ProfileChange) -> Result<(), Refused> {
        let (profile, changed) = self.member.profile.after(change.clone(), self.today)?;
        if changed.is_empty() {
            return Ok(());
        }
        self.member.profile = profile.clone();
        self.told.push(EventData::MemberUpdated(Box::new(ProfileUpdated { changed, profile })));
        Ok(())
    }

    /// Somebody who is known already cannot be created.
    pub(super) fn create_member(&mut self, profile: &ProfileChange) -> Result<(), Refused> {
        if self.member.version > 0 {
            let problem = format!("these identities belong to the member {}", self.member.face().id);
            return Err(Refused::new("member_exists", problem));
        }
        self.update_profile(profile)
    }
}
