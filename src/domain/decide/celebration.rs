//! Days that members celebrate.

use super::{Draft, Frame};
use crate::domain::celebration::{Anniversary, Birthday};
use crate::domain::loyalty_event::EventData;
use crate::domain::schedule::TickType;

impl Draft {
    /// Tells of the day, if the tick is one.
    pub(super) fn celebrate(&mut self, frame: Frame<'_>, tick: TickType) {
        let (member, today) = (&mut *self.member, self.today);
        self.told.push(match tick {
            TickType::Daily | TickType::TierReview => return,
            TickType::Birthday => {
                let day = member.celebrated.tell_birthday(member.profile.birthdate, today);
                EventData::MemberBirthday(Birthday { day })
            }
            TickType::Anniversary => {
                let enrolled_on = member.enrolled_at.with_timezone(&frame.timezone).date_naive();
                let years = member.celebrated.tell_anniversary(enrolled_on, today);
                EventData::MemberAnniversary(Anniversary { years, enrolled_on })
            }
        });
    }
}
