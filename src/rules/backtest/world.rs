//! The members of one life under one program or another, and what it came to.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::domain::Timestamp;
use crate::domain::claim::Claim;
use crate::domain::command::Command;
use crate::domain::commit::{Commit, SourceOrigin};
use crate::domain::coupon::UsageKind;
use crate::domain::decide::{Occasion, SourceInput};
use crate::domain::desk::Desk;
use crate::domain::identity::{Identity, MemberName};
use crate::domain::ids::MemberId;
use crate::domain::json::to_json;
use crate::domain::ledger::{Account, ChainAccount};
use crate::domain::member::Member;
use crate::domain::merge::{Guest, Tombstones};
use crate::domain::shared::Shared;
use crate::domain::source_event::{SourceData, SourceEvent};

use super::super::decide::Case;
use super::super::program::Program;
use super::super::records::{Elsewhere, Records, Setting};
use super::report::{Left, Side};
use super::sought::{Search, Sought};
use super::{BacktestError, Heard, Plan};
use crate::rules::verdict::Value;

/// Which programs decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Branch {
    /// Those that did.
    Baseline,
    /// From some time on, another one.
    Candidate,
}

/// One life.
#[derive(Debug, Clone)]
pub(super) struct World {
    branch: Branch,
    members: BTreeMap<MemberId, Shared<Member>>,
    records: Records,
    coupons: i64,
    /// What is looked for in it.
    search: Option<Search>,
    /// What of it counts.
    pub(super) side: Side,
}

impl World {
    pub(super) fn new() -> Self {
        let (members, records) = Default::default();
        Self { branch: Branch::Baseline, members, records, coupons: 0, search: None, side: Side::default() }
    }

    /// Nobody yet, and somebody looks out for a line of the ledger.
    pub(super) fn searched_for(sought: Sought) -> Self {
        Self { search: Some(Search::of(sought)), ..Self::new() }
    }

    /// What was read for the line that is looked for, if it was met.
    pub(super) fn found(self) -> Option<Vec<Value>> {
        self.search.and_then(Search::found)
    }

    /// The same so far, and another program from here on.
    pub(super) fn fork(&self) -> Self {
        Self { branch: Branch::Candidate, ..self.clone() }
    }

    /// Everybody, in order.
    pub(super) fn ids(&self) -> Vec<MemberId> {
        self.members.keys().copied().collect()
    }

    pub(super) fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.get(&id).map(|member| &**member)
    }

    fn living(&self, id: MemberId) -> MemberId {
        match self.member(id).and_then(Member::heir) {
            Some(heir) if self.members.contains_key(&heir) => self.living(heir),
            _ => id,
        }
    }

    /// The version that decides for a member at an instant.
    fn in_force(
        &self,
        plan: &Plan,
        member: MemberId,
        at: Timestamp,
    ) -> Result<Option<Arc<Program>>, BacktestError> {
        if self.branch == Branch::Candidate && plan.counts(at) {
            return Ok(Some(plan.candidate.clone()));
        }
        plan.versions.at(at, member).map(|version| plan.versions.get(version)).transpose()
    }

    /// Whether members are woken at an instant.
    fn is_woken(&self, plan: &Plan, at: Timestamp) -> Result<bool, BacktestError> {
        if self.branch == Branch::Candidate && plan.counts(at) {
            return Ok(plan.candidate.wakes());
        }
        plan.versions.wake(at)
    }

    /// What decides an event that was decided by a version.
    fn decider(
        &self,
        plan: &Plan,
        member: MemberId,
        version: Option<i64>,
        at: Timestamp,
    ) -> Result<Option<Arc<Program>>, BacktestError> {
        match version {
            Some(version) if self.branch == Branch::Baseline || !plan.counts(at) => {
                plan.versions.get(version).map(Some)
            }
            _ => self.in_force(plan, member, at),
        }
    }

    /// When a member is woken next, until some time, and by which program: at their alarm, or when a version that wakes
    /// anybody is put in force after it.
    fn next_wake(
        &self,
        plan: &Plan,
        id: MemberId,
        until: Timestamp,
    ) -> Result<Option<(Timestamp, Arc<Program>)>, BacktestError> {
        let alarm = self.member(id).filter(|member| member.ended.is_none()).and_then(|m| m.next_wake_at);
        let Some(mut at) = alarm.filter(|at| *at <= until) else { return Ok(None) };
        loop {
            if self.is_woken(plan, at)?
                && let Some(program) = self.in_force(plan, id, at)?
            {
                return Ok(Some((at, program)));
            }
            let change = [plan.since.filter(|since| *since > at), plan.versions.next(at)];
            match change.into_iter().flatten().min().filter(|change| *change <= until) {
                Some(change) => at = change,
                None => return Ok(None),
            }
        }
    }

    /// Does what falls due for a member by itself, until some time.
    pub(super) fn wake(
        &mut self,
        plan: &Plan,
        id: MemberId,
        until: Timestamp,
        elsewhere: &mut dyn Elsewhere,
    ) -> Result<(), BacktestError> {
        let id = self.living(id);
        while let Some((now, program)) = self.next_wake(plan, id, until)? {
            let Some(member) = self.members.get(&id) else { return Ok(()) };
            let before = member.next_wake_at;
            let due = program.due(member, now);
            let then = due.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
            for (nth, ((_, tick), then)) in due.iter().zip(then).enumerate() {
                let id_of_tick = tick_id(id, now, nth);
                let occasion = match tick {
                    Some(kind) => Occasion::Tick { kind: *kind, id: id_of_tick, then },
                    None => Occasion::Due { id: id_of_tick },
                };
                self.decide(plan, &program, (id, now), (occasion, Vec::new()), elsewhere);
            }
            if self.member(id).is_some_and(|member| member.next_wake_at == before) {
                break; // nothing moves it
            }
        }
        Ok(())
    }

    /// Decides an event of a member.
    pub(super) fn hear(
        &mut self,
        plan: &Plan,
        whose: MemberId,
        heard: &Heard,
        now: Timestamp,
        elsewhere: &mut dyn Elsewhere,
    ) -> Result<(), BacktestError> {
        let whose = self.living(whose);
        let Some(program) = self.decider(plan, whose, heard.version, now)? else { return Ok(()) };
        let attach = match self.member(whose) {
            Some(_) => self.unknown(&heard.event),
            None if program.enrol_on_first_sight || heard.event.enrols() => {
                let tier = program.terms.tiers.first().cloned();
                let identities = heard.event.identities.clone();
                self.members.insert(whose, Member::new(whose, identities, tier, now).into());
                Vec::new()
            }
            None => {
                self.side.parked += u64::from(plan.counts(now));
                return Ok(());
            }
        };
        if let SourceData::Command(Command::Merge(from)) = &heard.event.data
            && let Some(guest) = self.named(from)
        {
            self.wake(plan, guest, now, elsewhere)?;
        }
        let input = SourceInput {
            id: heard.id,
            event: heard.event.clone(),
            received_at: heard.received_at,
            from: SourceOrigin::Outside,
        };
        self.decide(plan, &program, (whose, now), (Occasion::Source(input), attach), elsewhere);
        Ok(())
    }

    /// Identities of an event that are nobody's here. Who brings somebody else's order back need not be the guest.
    fn unknown(&self, event: &SourceEvent) -> Vec<Identity> {
        if event.follows_its_order() {
            return Vec::new();
        }
        let is_known =
            |identity: &&Identity| self.members.values().any(|member| member.identities.contains(identity));
        event.identities.iter().filter(|identity| !is_known(identity)).cloned().collect()
    }

    fn named(&self, name: &MemberName) -> Option<MemberId> {
        let id = match name {
            MemberName::Ours(id) => *id,
            MemberName::Known(identities) => *identities.iter().find_map(|identity| {
                self.members.iter().find(|(_, member)| member.identities.contains(identity)).map(|(id, _)| id)
            })?,
        };
        self.members.contains_key(&id).then(|| self.living(id))
    }

    fn tombstones(&self, of: &Member) -> Tombstones {
        let absorbed = of.absorbed.ids().iter().filter_map(|id| self.member(*id).cloned());
        Tombstones::of(absorbed.collect())
    }

    /// What lies on the desk from the start.
    fn desk(
        &self,
        member: &Member,
        occasion: &Occasion,
        now: Timestamp,
        elsewhere: &mut dyn Elsewhere,
    ) -> Desk {
        let mut desk = Desk { tombstones: self.tombstones(member), ..Desk::default() };
        let Occasion::Source(input) = occasion else { return desk };
        match &input.event.data {
            SourceData::Command(Command::Merge(from)) => {
                let guest = self.named(from).and_then(|id| self.member(id).cloned());
                desk.guest =
                    guest.map(|guest| Guest { tombstones: self.tombstones(&guest), member: guest }.into());
            }
            SourceData::Command(Command::ClaimOrder(code)) => {
                // It is theirs by now, because they claimed it then, in time.
                desk.claim = elsewhere.claim(code).map(|claim| Claim { owner: None, since: now, ..claim });
            }
            _ => {}
        }
        desk
    }

    fn decide(
        &mut self,
        plan: &Plan,
        program: &Program,
        (whose, now): (MemberId, Timestamp),
        (occasion, attach): (Occasion, Vec<Identity>),
        elsewhere: &mut dyn Elsewhere,
    ) {
        let Some(member) = self.members.get(&whose).cloned() else { return };
        let order = match &occasion {
            Occasion::Source(input) => {
                input.event.data.order_id().and_then(|order_id| self.records.order(order_id))
            }
            Occasion::Tick { .. } | Occasion::Due { .. } => None,
        };
        let desk = self.desk(&member, &occasion, now, elsewhere);
        let concerned = self.search.as_ref().is_some_and(|search| search.concerns(&occasion));
        let telling = concerned.then(|| program.telling_why());
        let case = Case {
            member,
            order,
            attach,
            notes: Vec::new(),
            occasion,
            foresight: plan.foresight.clone(),
            again: None,
            desk,
            now,
        };
        let program = telling.as_ref().unwrap_or(program);
        let setting = Setting { program, chain: &plan.chain.id, endpoints: &plan.endpoints };
        let counts = plan.counts(now);
        self.side.decisions += u64::from(counts);
        match self.records.decide(setting, case, elsewhere) {
            Ok(decided) => {
                self.side.failed += u64::from(counts && !decided.failures.is_empty());
                if let Some(search) = &mut self.search {
                    search.look(&decided.commit, &decided.minutes.rules);
                }
                if counts {
                    self.count(&decided.commit);
                }
                self.keep(decided.commit);
            }
            Err(_) => {
                self.side.refused += u64::from(counts);
                if self.member(whose).is_some_and(|member| member.version == 0) {
                    self.members.remove(&whose); // nothing of it is kept
                }
            }
        }
    }

    fn keep(&mut self, commit: Commit) {
        self.records.keep(&commit);
        for other in commit.people.others {
            self.members.insert(other.id, Member { version: other.version + 1, ..other }.into());
        }
        if let Some(mut member) = commit.member {
            member.version += 1;
            self.members.insert(member.id, member);
        }
    }

    fn count(&mut self, commit: &Commit) {
        for transfer in &commit.transfers {
            let is_issued = transfer.debit == Account::Chain(ChainAccount::Issued);
            if is_issued {
                *self.side.issued.entry(transfer.wallet.clone()).or_default() += transfer.amount.0;
            }
            let is_back = transfer.credit == Account::Chain(ChainAccount::ClawedBack);
            if let Some(campaign) = transfer.cause.campaign.as_ref().filter(|_| is_issued || is_back) {
                let given = self.side.campaigns.entry(campaign.clone()).or_default();
                *given += if is_issued { transfer.amount.0 } else { -transfer.amount.0 };
            }
        }
        for event in &commit.events {
            *self.side.events.entry(event.kind()).or_default() += 1;
        }
        self.side.deliveries += commit.deliveries.len() as u64;
        self.side.follow_ups += u64::from(commit.follow_up.is_some());
        for usage in &commit.coupons.usages {
            self.coupons += match usage.kind {
                UsageKind::Assigned => 1,
                UsageKind::Withdrawn => -1,
                _ => 0,
            };
        }
    }

    /// What a member has in the end.
    pub(super) fn left(&self, id: MemberId) -> Left {
        let Some(member) = self.member(self.living(id)) else { return Left::default() };
        let wallets = member.standing.wallets.iter();
        Left {
            points: wallets.map(|(code, wallet)| (code.clone(), wallet.balance().0)).collect(),
            tier: member.standing.tier.clone(),
            coupons: self.coupons,
        }
    }

    /// Everything that members are, in a few bytes.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for (id, member) in &self.members {
            hasher.update(id.ulid().to_bytes());
            hasher.update(to_json(&member.standing));
            hasher.update(to_json(&member.history));
        }
        hasher.finalize().into()
    }
}

/// An id for what is decided by itself: always the same for the same member and moment.
fn tick_id(member: MemberId, now: Timestamp, nth: usize) -> Ulid {
    let of_member = Sha256::new_with_prefix(member.ulid().to_bytes())
        .chain_update(now.timestamp_micros().to_be_bytes())
        .chain_update([nth as u8]);
    let digest: [u8; 32] = of_member.finalize().into();
    let low = digest.iter().take(10).fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    Ulid::from_parts(now.timestamp_millis().max(0).unsigned_abs(), low)
}

/// Whether an event is the engine's own note of a tick, which happens here by itself.
pub(super) const fn is_kept_tick(event: &SourceEvent) -> bool {
    matches!(&event.data, SourceData::Command(Command::Tick(_)))
}
