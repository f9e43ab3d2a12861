//! Who a member is.

use super::{Draft, Frame};
use crate::domain::loyalty_event::EventData;
use crate::domain::people::ProfileUpdated;
use crate::domain::profile::{ProfileChange, ProfileField};
use crate::domain::refusal::Refused;
use crate::domain::source_event::SourceType;

impl Draft {
    /// Changes the profile, and tells of it if anything is another now.
    pub(super) fn update_profile(&mut self, frame: Frame<'_>, change: &ProfileChange) -> Result<(), Refused> {
        // By our clock: a change of the past may be told us today.
        let today = self.now.with_timezone(&frame.timezone).date_naive();
        let (profile, changed) = self.member.profile.after(change.clone(), today)?;
        if changed.is_empty() {
            return Ok(());
        }
        if changed.contains(&ProfileField::Birthdate) {
            self.member.celebrated.birthdate_known(today);
        }
        self.member.profile = profile.clone();
        let updated = ProfileUpdated { changed, identities: Vec::new(), profile };
        self.told.push(EventData::MemberUpdated(Box::new(updated)));
        Ok(())
    }

    /// Tells that the member is known by more, where a change of the member brought it: with what else it changed.
    pub(super) fn tell_identities(&mut self) {
        if self.source_kind() != Some(SourceType::MemberUpdated) {
            return;
        }
        let identities = self.member.identities.clone();
        let told = self.told.iter_mut().find_map(|told| match told {
            EventData::MemberUpdated(updated) => Some(updated),
            _ => None,
        });
        if let Some(updated) = told {
            updated.changed.push(ProfileField::Identities);
            updated.identities = identities;
        } else {
            let (changed, profile) = (vec![ProfileField::Identities], self.member.profile.clone());
            self.told.push(EventData::MemberUpdated(Box::new(ProfileUpdated {
                changed,
                identities,
                profile,
            })));
        }
    }

    /// Somebody who is known already cannot be created.
    pub(super) fn create_member(&mut self, frame: Frame<'_>, profile: &ProfileChange) -> Result<(), Refused> {
        if self.member.version > 0 {
            let problem = format!("these identities belong to the member {}", self.member.known_as());
            return Err(Refused::new("member_exists", problem));
        }
        self.update_profile(frame, profile)
    }
}
