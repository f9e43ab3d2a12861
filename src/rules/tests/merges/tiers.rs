//! Two members who are one person: what their tiers become.

use super::*;
use crate::domain::decide::Undecided;
use crate::domain::merge::{Ended, Tombstones};
use crate::domain::text::{Name, Note};
use crate::domain::tier::ManualTier;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Two members of one chain.
struct Pair {
    life: Life,
    other: Member,
}

impl Pair {
    fn of_tiers(own: &str, other: &str) -> Self {
        let mut life = Life::new(program(""));
        life.member.standing.tier = Some(name(own));
        let other = Member::new(MemberId::new(Ulid(2)), Vec::new(), Some(name(other)), life.now);
        Self { life, other }
    }

    /// A command about the member, with the other one on the desk.
    fn command(&mut self, kind: &str, data: &str) -> Result<(), &'static str> {
        let life = &mut self.life;
        life.events += 1;
        let body = format!(r#"{{"key":"k{}","type":"{kind}","data":{data}}}"#, life.events);
        let event = SourceEvent::parse(body.as_bytes(), &life.chain.currency, life.now).unwrap();
        let (id, from) = (SourceId::new(Ulid(life.events << 64)), SourceOrigin::Outside);
        let input = SourceInput { id, event: Arc::new(event), received_at: life.now, from };
        let mut case = life.case(Occasion::Source(input), None);
        match kind {
            "member.merge" => case.desk.guest = Some(Box::new(self.other.clone().into())),
            _ => case.desk.tombstones = Tombstones::of(vec![self.other.clone()]),
        }
        let commit = match decide(&life.program, &life.chain.id, &life.endpoints, case) {
            Ok(commit) => commit,
            Err(Undecided::Refused(refused)) => return Err(refused.code),
            Err(Undecided::Lacks(wanted)) => panic!("{wanted:?}"),
        };
        life.member = Member::clone(commit.member.as_ref().unwrap());
        self.other = commit.people.others[0].clone();
        Ok(())
    }

    fn merge(&mut self) -> Result<(), &'static str> {
        let other = self.other.id;
        self.command("member.merge", &format!(r#"{{"from":"{other}"}}"#))
    }

    fn unmerge(&mut self) -> Result<(), &'static str> {
        let other = self.other.id;
        self.command("member.unmerge", &format!(r#"{{"member":"{other}"}}"#))
    }

    fn tiers(&self) -> (&str, &str) {
        let standing = &self.life.member.standing;
        (standing.tier.as_deref().unwrap(), standing.system_tier().unwrap())
    }
}

#[test]
fn a_tier_that_people_gave_goes_with_whom_they_gave_it_to() {
    let mut pair = Pair::of_tiers("silver", "gold");
    let manual = |reason: &str, system: &str| {
        let (system, reason) = (Some(name(system)), Note::parse(reason).unwrap());
        Some(ManualTier { system, until: None, reason })
    };
    pair.other.standing.manual_tier = manual("a friend", "bronze");
    pair.merge().unwrap();
    assert_eq!(pair.tiers(), ("gold", "silver"));
    pair.unmerge().unwrap();
    assert_eq!((pair.tiers(), &pair.life.member.standing.manual_tier), (("silver", "silver"), &None));

    let mut pair = Pair::of_tiers("silver", "gold");
    pair.life.member.standing.manual_tier = manual("the press", "bronze");
    pair.other.standing.manual_tier = manual("a friend", "bronze");
    pair.merge().unwrap();
    assert_eq!(pair.life.member.standing.manual_tier, manual("a friend", "bronze"));
    pair.unmerge().unwrap();
    assert_eq!(pair.life.member.standing.manual_tier, manual("the press", "bronze"));
    assert_eq!(pair.tiers(), ("silver", "bronze"));
}

#[test]
fn nobody_absorbs_themselves_or_somebody_who_was_forgotten() {
    let mut pair = Pair::of_tiers("bronze", "bronze");
    pair.other.ended = Some(Ended::Erased(pair.life.now));
    assert_eq!(pair.merge(), Err("member_erased"));
    pair.other = pair.life.member.clone();
    assert_eq!(pair.merge(), Err("same_member"));
}
