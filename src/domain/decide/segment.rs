//! Segments that a member enters and leaves.

use chrono::NaiveDate;

use super::{Draft, Frame};
use crate::domain::loyalty_event::{EventData, SegmentChange};
use crate::domain::segment::{Membership, Segment, segment_id};
use crate::domain::text::Name;

impl Draft {
    /// The day on which memberships are judged: today, even for an event that comes late. What was true when it happened
    /// would let members leave and enter again with the next event.
    pub fn judged_on(&self, frame: Frame<'_>) -> NaiveDate {
        self.now.with_timezone(&frame.timezone).date_naive().max(self.today)
    }

    /// Puts the member into a segment that they belong to, or takes them out of one that they do not, and tells of it if
    /// that changes anything. Answers whether it does.
    pub fn place(&mut self, segment: &Segment, belongs: bool) -> bool {
        let memberships = &mut self.member.standing.segments;
        match (memberships.get_mut(&segment.name), belongs) {
            (Some(membership), true) => {
                membership.kind = segment.kind; // a new version of the program may have changed it
                return false;
            }
            (None, false) => return false,
            (None, true) => {
                let previous = names(memberships.keys());
                memberships.insert(segment.name.clone(), Membership { kind: segment.kind, since: self.now });
                let change = change(segment, previous, names(memberships.keys()));
                self.told.push(EventData::SegmentEntered(change));
            }
            (Some(_), false) => {
                let previous = names(memberships.keys());
                memberships.remove(&segment.name);
                let change = change(segment, previous, names(memberships.keys()));
                self.told.push(EventData::SegmentExited(change));
            }
        }
        true
    }

    /// Takes the member out of the segments that the program no longer has.
    pub fn withdraw(&mut self, is_known: impl Fn(&Name) -> bool) {
        let memberships = self.member.standing.segments.iter();
        let gone: Vec<_> =
            memberships.filter(|(name, _)| !is_known(name)).map(|(n, m)| (n.clone(), m.kind)).collect();
        for (name, kind) in gone {
            let trigger = Name::parse("segment_withdrawn").unwrap_or_else(|_| unreachable!("a fixed text"));
            self.place(&Segment { name, kind, trigger }, false);
        }
    }
}

fn names<'a>(names: impl Iterator<Item = &'a Name>) -> Vec<Name> {
    names.cloned().collect()
}

fn change(segment: &Segment, previous_segments: Vec<Name>, current_segments: Vec<Name>) -> SegmentChange {
    SegmentChange {
        segment_id: segment_id(&segment.name),
        segment_name: segment.name.clone(),
        segment_type: segment.kind,
        trigger: segment.trigger.clone(),
        previous_segments,
        current_segments,
    }
}
