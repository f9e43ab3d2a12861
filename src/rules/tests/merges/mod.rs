//! Members who are merged, told apart again, and get back exactly what is theirs.

mod parts;
mod people;
mod tiers;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::domain::decide::Undecided;
use crate::domain::desk::Wanted;
use crate::domain::ids::{RedemptionId, ReferralId};
use crate::domain::ledger::{Account, ChainAccount, Transfer};
use crate::domain::merge::{Guest, Tombstones};
use crate::domain::redemption::Redemption;
use crate::domain::referral::{Filed, Sender};
use crate::domain::source_event::SourceData;
use crate::domain::text::{Key, Name};

/// A few members, and everything that a store would keep of them.
struct World {
    program: Program,
    now: Timestamp,
    members: BTreeMap<MemberId, Member>,
    orders: BTreeMap<Key, OrderRecord>,
    redemptions: BTreeMap<RedemptionId, Redemption>,
    referrals: BTreeMap<ReferralId, Filed>,
    /// What the ledger comes to, by account and wallet.
    booked: BTreeMap<(String, Name), i64>,
    events: u128,
}

const RULES: &str = r#"
    rule "Points" on order.completed { award(order.total); }
    rule "Back" on order.refunded { take_back("refund"); }
"#;

const WALLETS: &str = "\n[[wallets]]\ncode = \"points\"\n";

/// A member by a short name.
fn id(who: u8) -> MemberId {
    MemberId::new(Ulid(u128::from(who)))
}

const A: u8 = 1;
const B: u8 = 2;
const C: u8 = 3;

impl World {
    fn new(terms: &str) -> Self {
        Self::with_rules(RULES, terms)
    }

    fn with_rules(rules: &str, terms: &str) -> Self {
        let mut sources = sources(rules);
        let manifest = sources.files.iter_mut().find(|(name, _)| name == "program.toml").unwrap();
        manifest.1 = manifest.1.replace("achievements = [\"regular\"]\n", "") + terms;
        let program = Program::load(&sources, &chain(), 1).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let (orders, redemptions, referrals, booked) = Default::default();
        let now = at("2026-03-03T19:00:00Z");
        Self { program, now, members: BTreeMap::new(), orders, redemptions, referrals, booked, events: 0 }
    }

    /// Who answers for a member.
    fn living(&self, member: MemberId) -> MemberId {
        self.members.get(&member).and_then(Member::heir).map_or(member, |heir| self.living(heir))
    }

    fn member(&self, who: u8) -> &Member {
        &self.members[&self.living(id(who))]
    }

    fn send(&mut self, who: u8, kind: &str, data: &Value) -> Result<Commit, &'static str> {
        self.events += 1;
        let body = json!({ "key": format!("k{}", self.events), "type": kind, "data": data }).to_string();
        let event = SourceEvent::parse(body.as_bytes(), &chain().currency, self.now).unwrap();
        self.hear(id(who), event)
    }

    fn hear(&mut self, named: MemberId, event: SourceEvent) -> Result<Commit, &'static str> {
        self.events += 1;
        let order = event.data.order_id().and_then(|id| self.orders.get(id)).cloned();
        let owner = order.as_ref().and_then(|order| order.member).filter(|_| event.follows_its_order());
        let whose = self.living(owner.unwrap_or(named));
        let tier = self.program.terms.tiers.first().cloned();
        let newcomer = Member::new(whose, Vec::new(), tier, self.now);
        let member = self.members.get(&whose).cloned().unwrap_or(newcomer);
        let desk = self.desk(&member, &event.data);
        let input = SourceInput {
            id: SourceId::new(Ulid(self.events << 64)),
            event: Arc::new(event),
            received_at: self.now,
            from: SourceOrigin::Outside,
        };
        let mut case = Case {
            member: member.into(),
            order,
            attach: Vec::new(),
            notes: Vec::new(),
            occasion: Occasion::Source(input),
            foresight: Foresight::Nothing,
            again: None,
            desk,
            now: self.now,
        };
        let commit = loop {
            match decide(&self.program, &chain().id, &[], case.clone()) {
                Ok(commit) => break commit,
                Err(Undecided::Refused(refused)) => return Err(refused.code),
                Err(Undecided::Lacks(wanted)) => self.lay_out(&wanted, &mut case.desk),
            }
        };
        self.keep(&commit);
        if let Some(next) = &commit.follow_up {
            self.hear(next.member.unwrap(), (*next.event).clone())?;
        }
        Ok(commit)
    }

    fn desk(&self, member: &Member, data: &SourceData) -> Desk {
        use crate::domain::command::Command;
        use crate::domain::identity::MemberName;
        let mut desk = Desk::default();
        if let SourceData::Command(Command::Merge(MemberName::Ours(id))) = data {
            let guest = self.members.get(&self.living(*id)).cloned();
            desk.guest =
                guest.map(|guest| Guest { tombstones: self.tombstones(&guest), member: guest }.into());
        }
        desk.tombstones = self.tombstones(member);
        desk
    }

    fn tombstones(&self, of: &Member) -> Tombstones {
        let absorbed = of.absorbed.ids().iter();
        Tombstones::of(absorbed.map(|id| self.members[id].clone()).collect())
    }

    fn lay_out(&self, wanted: &Wanted, desk: &mut Desk) {
        for id in wanted.redemptions.carried.union(&wanted.redemptions.named) {
            desk.redemptions.known.insert(*id, self.redemptions.get(id).cloned());
        }
        for id in &wanted.referrals {
            desk.referrals.insert(*id, self.referrals.get(id).cloned());
        }
        for code in &wanted.senders {
            let sender =
                self.members.values().find(|member| member.referring.code.as_ref() == Some(code)).unwrap();
            let (id, sent) = (sender.known_as(), sender.referring.sent);
            let sender = Sender { member: sender.id, id, first_name: None, email: None, sent };
            desk.senders.insert(code.clone(), Some(sender));
        }
    }

    fn keep(&mut self, commit: &Commit) {
        for member in commit.member.iter().map(|member| &**member).chain(&commit.people.others) {
            self.members.insert(member.id, Member { version: member.version + 1, ..member.clone() });
        }
        self.orders.extend(commit.order.iter().map(|order| (order.order_id.clone(), order.clone())));
        self.redemptions.extend(commit.redemptions.made.iter().map(|made| (made.id, made.clone())));
        if let Some(referral) = &commit.referral {
            let (sender_id, receiver_id) = (referral.sender.to_string().into(), Default::default());
            let filed = Filed { status: referral.status, reward: None, sender_id, receiver_id };
            self.referrals.entry(referral.id).or_insert(filed).status = referral.status;
        }
        if let Some((id, reward)) = &commit.referral_reward {
            self.referrals.get_mut(id).unwrap().reward = Some(reward.clone());
        }
        commit.transfers.iter().for_each(|line| self.book(line));
        self.check();
    }

    fn book(&mut self, line: &Transfer) {
        for (account, amount) in [(line.credit, line.amount.0), (line.debit, -line.amount.0)] {
            *self.booked.entry((account.to_string(), line.wallet.clone())).or_default() += amount;
        }
    }

    /// What `punchcard verify` looks at, and what every member must be whatever happened.
    fn check(&self) {
        for member in self.members.values() {
            for (code, wallet) in member.standing.wallets.iter() {
                let booked = |account: Account| {
                    self.booked.get(&(account.to_string(), code.clone())).copied().unwrap_or_default()
                };
                assert_eq!(booked(Account::Member(member.id)), wallet.balance().0, "{} {code}", member.id);
                assert_eq!(booked(Account::Pending(member.id)), wallet.pending().0, "{} {code}", member.id);
                assert_eq!(booked(Account::Chain(ChainAccount::Merged)), 0);
                let lots: i64 = wallet.lots().map(|lot| lot.remaining.0).sum();
                assert_eq!(lots, wallet.balance().0.max(0));
            }
        }
    }

    fn created(&mut self, who: u8, order: &str, total: i64) {
        self.send(who, "order.created", &json!({ "order_id": order, "total": total })).unwrap();
    }

    fn completed(&mut self, who: u8, order: &str, total: i64) {
        self.send(who, "order.completed", &json!({ "order_id": order, "total": total })).unwrap();
    }

    fn refunded(&mut self, order: &str) -> Commit {
        self.send(0, "order.refunded", &json!({ "order_id": order, "full": true })).unwrap()
    }

    fn merge(&mut self, survivor: u8, from: u8) -> Result<Commit, &'static str> {
        self.send(survivor, "member.merge", &json!({ "from": id(from).to_string() }))
    }

    fn unmerge(&mut self, survivor: u8, who: u8) -> Result<Commit, &'static str> {
        self.send(survivor, "member.unmerge", &json!({ "member": id(who).to_string() }))
    }

    fn points(&self, who: u8) -> i64 {
        self.member(who).standing.points().0
    }

    fn redeem(&mut self, who: u8, reward: &str) -> RedemptionId {
        let commit = self.send(who, "redemption.create", &json!({ "reward": reward })).unwrap();
        commit.redemptions.made[0].id
    }

    fn step(&mut self, step: &str, redemption: RedemptionId) {
        let whose = self.living(self.redemptions[&redemption].member);
        self.events += 1;
        let data = json!({ "redemption": redemption, "reason": "x" });
        let body =
            json!({ "key": format!("k{}", self.events), "type": format!("redemption.{step}"), "data": data });
        let event = SourceEvent::parse(body.to_string().as_bytes(), &chain().currency, self.now).unwrap();
        self.hear(whose, event).unwrap();
    }
}
