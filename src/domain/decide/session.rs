//! Sessions and signals.

use super::Draft;
use crate::domain::identity::Identity;
use crate::domain::loyalty_event::EventData;
use crate::domain::session::{
    Identified, SessionEnd, SessionEnded, SessionStart, SessionStarted, confidence,
};

impl Draft {
    /// A session starts, and with it the member is recognised by the first of `identities`.
    pub(super) fn start_session(&mut self, start: &SessionStart, identities: &[Identity]) {
        self.member.sessions.start(&start.session_id, self.at);
        self.told.push(EventData::SessionStarted(SessionStarted {
            session_id: start.session_id.clone(),
            channel: start.channel.clone(),
        }));
        if let Some(identity) = identities.first() {
            self.told.push(EventData::MemberIdentified(Identified {
                identified_via: identity.kind.as_str(),
                confidence: start.confidence.unwrap_or_else(|| confidence(identity.kind)),
                is_returning: self.member.version > 0,
                session_id: start.session_id.clone(),
            }));
        }
    }

    pub(super) fn end_session(&mut self, end: &SessionEnd) {
        let lasted = self.member.sessions.end(&end.session_id, self.at);
        self.told.push(EventData::SessionEnded(SessionEnded {
            session_id: end.session_id.clone(),
            duration_seconds: lasted.map(|lasted| lasted.num_seconds()),
        }));
    }
}
