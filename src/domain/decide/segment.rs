//! Segments that a member enters and leaves.

use chrono::NaiveDate;

use super::{Draft, Frame};
use crate::domain::loyalty_event::{EventData, SegmentChange};
use crate::domain::segment::{Membership, Segment, SegmentType, segment_id};
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
        let segments = &self.member.standing.segments;
        match (segments.get(&segment.name), belongs) {
            (Some(membership), _) if belongs || segment.kind == SegmentType::Cohort => {
                // Whoever judges looks at the member meanwhile, so what stays as it is must not be touched.
                if membership.kind != segment.kind {
                    self.keep_as(segment); // a new version of the program changed it
                }
                return false;
            }
            (Some(_), _) => self.leave(segment),
            (None, true) => self.enter(segment),
            (None, false) => return false,
        }
        true
    }

    /// Takes the member out of the segments that the program no longer has.
    pub fn withdraw(&mut self, is_known: impl Fn(&Name) -> bool) {
        let memberships = self.member.standing.segments.iter();
        let gone = memberships.filter(|(name, _)| !is_known(name));
        let gone: Vec<_> = gone.map(|(name, membership)| (name.clone(), membership.kind)).collect();
        for (name, kind) in gone {
            let trigger = Name::parse("segment_withdrawn").unwrap_or_else(|_| unreachable!("a fixed text"));
            self.leave(&Segment { name, kind, trigger });
        }
    }

    fn enter(&mut self, segment: &Segment) {
        let previous = self.segment_list();
        let membership = Membership { kind: segment.kind, since: self.now };
        self.member.standing.segments.insert(segment.name.clone(), membership);
        let change = change(segment, previous, self.segment_list());
        self.told.push(EventData::SegmentEntered(change));
    }

    fn keep_as(&mut self, Segment { name, kind, .. }: &Segment) {
        self.member
            .standing
            .segments
            .get_mut(name)
            .into_iter()
            .for_each(|membership| membership.kind = *kind);
    }

    fn leave(&mut self, segment: &Segment) {
        let previous = self.segment_list();
        self.member.standing.segments.remove(&segment.name);
        let change = change(segment, previous, self.segment_list());
        self.told.push(EventData::SegmentExited(change));
    }

    fn segment_list(&self) -> Vec<Name> {
        self.member.standing.segments.keys().cloned().collect()
    }
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
