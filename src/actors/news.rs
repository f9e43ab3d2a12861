//! What becomes of a member's decision beyond the member.

use std::collections::BTreeSet;

use crate::domain::commit::{Commit, SourceChange};
use crate::domain::decide::SourceInput;
use crate::domain::identity::Identity;
use crate::domain::ids::MemberId;
use crate::domain::suspension::Suspension;
use crate::domain::text::Key;

/// What others must know of a commit.
#[derive(Debug, Default)]
pub struct News {
    /// Identities that came to belong to the member.
    pub learned: Vec<Identity>,
    /// Members whose actors are out of date: they were merged, or others have their identities now.
    pub outdated: Vec<MemberId>,
    /// What follows of it for somebody else; it is durable too, and waits to be decided.
    pub follow_up: Option<SourceInput>,
    /// An order that came to be the member's, about which something may be parked.
    pub awaited: Option<Key>,
    /// Rules that have failed for too many members in a row.
    pub to_suspend: Vec<Suspension>,
}

impl News {
    /// What to say of a commit that stands.
    pub(super) fn of(commit: &mut Commit, to_suspend: Vec<Suspension>) -> Self {
        let me = commit.member.as_ref().map(|member| member.id);
        let people = &commit.people;
        let losers = people.identities.iter().map(|moved| moved.from);
        let outdated = losers.chain(people.others.iter().map(|other| other.id)).collect::<BTreeSet<_>>();
        let won = people.identities.iter().filter(|moved| moved.to == me).map(|moved| moved.identity.clone());
        let mut learned: Vec<_> = won.collect();
        learned.append(&mut commit.new_identities);
        let follow_up = commit.follow_up.take().map(kept_input);
        let awaited = commit.people.awaited.take();
        Self { learned, outdated: outdated.into_iter().collect(), follow_up, awaited, to_suspend }
    }
}

/// What was kept with a commit, on its way to its own decision.
fn kept_input(kept: SourceChange) -> SourceInput {
    let SourceChange { id, event, received_at, from, .. } = kept;
    SourceInput { id, event, received_at, from }
}
