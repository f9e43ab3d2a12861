//! Sessions and signals.

use super::Draft;
use crate::domain::identity::IdentityKind;
use crate::domain::loyalty_event::EventData;
use crate::domain::session::{
    Identified, SessionEnd, SessionEnded, SessionStart, SessionStarted, confidence,
};
use crate::domain::source_event::SourceEvent;

impl Draft {
    /// A session starts, or is told again because the member was recognised in it by something else.
    pub(super) fn start_session(&mut self, start: &SessionStart, event: &SourceEvent) {
        if self.member.sessions.start(&start.session_id, self.at) {
            self.told.push(EventData::SessionStarted(SessionStarted {
                session_id: start.session_id.clone(),
                channel: start.channel.clone(),
            }));
        }
        if let Some(kind) = self.recognised_by(event) {
            self.told.push(EventData::MemberIdentified(Identified {
                identified_via: kind,
                confidence: start.confidence.unwrap_or_else(|| confidence(kind)),
                is_returning: self.member.version > 0,
                session_id: start.session_id.clone(),
            }));
        }
    }

    /// The first by priority of what the event gives that is the member's: what else it gives says nothing yet.
    fn recognised_by(&self, event: &SourceEvent) -> Option<IdentityKind> {
        if event.member.is_some() {
            return Some(IdentityKind::Id);
        }
        let own = event.identities.iter().filter(|given| self.member.identities.contains(given));
        own.map(|identity| identity.kind).min()
    }

    pub(super) fn end_session(&mut self, end: &SessionEnd) {
        let lasted = self.member.sessions.end(&end.session_id, self.at);
        self.told.push(EventData::SessionEnded(SessionEnded {
            session_id: end.session_id.clone(),
            duration_seconds: lasted.map(|lasted| lasted.num_seconds()),
        }));
    }
}
