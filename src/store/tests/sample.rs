//! Small true-to-life values, and short words for writing and reading them.

use std::sync::Arc;

use chrono::{DateTime, Duration};
use ulid::Ulid;

use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::commit::{Commit, PeopleChanges, SourceChange, SourceOrigin, Wake};
use crate::domain::delivery::{Attempt, AttemptOutcome, NewDelivery, NextStep};
use crate::domain::effect::Cause;
use crate::domain::endpoint::{Endpoint, Lane, Settings};
use crate::domain::identity::{Identity, IdentityKind};
use crate::domain::ids::{AttemptId, DeliveryId, EndpointId, EventId, MemberId, SourceId, TransferId};
use crate::domain::ledger::{Account, ChainAccount, Transfer};
use crate::domain::loyalty_event::{EventData, LoyaltyEvent, PointsMoved, Subject};
use crate::domain::member::Member;
use crate::domain::money::Points;
use crate::domain::order::{OrderRecord, Origin, Snapshot, Stamp, Step};
use crate::domain::receipt::{Receipt, SourceStatus};
use crate::domain::source_event::{SourceData, SourceEvent};
use crate::domain::text::{Key, Name};
use crate::store::commit::{Prepared, Write, Writer, Written};
use crate::store::{DbConn, Store, StoreError};

pub(in crate::store) fn harvest() -> ChainId {
    "harvest".parse().unwrap()
}

/// An instant, so many seconds into the story.
pub(in crate::store) fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_772_562_600, 0).unwrap() + Duration::seconds(seconds)
}

/// The `n`-th ULID of the story: later ones are greater.
pub(in crate::store) fn ulid(n: u64) -> Ulid {
    Ulid(((1_772_562_600_000 + u128::from(n)) << 80) + 1)
}

pub(in crate::store) fn member_id(n: u64) -> MemberId {
    MemberId::new(ulid(n))
}

pub(in crate::store) fn endpoint_id(n: u64) -> EndpointId {
    EndpointId::new(ulid(n))
}

pub(in crate::store) fn delivery_id(n: u64) -> DeliveryId {
    DeliveryId::derived(ulid(n), 0)
}

pub(in crate::store) fn card(number: u64) -> Identity {
    Identity::parse(IdentityKind::Card, &number.to_string()).unwrap()
}

/// A source event with this key and this total; the total makes the body.
pub(in crate::store) fn source_event(key: &str, total: u32) -> SourceEvent {
    let body = format!(
        r#"{{"key":"{key}","type":"order.completed","location":"walnut","member":{{"card":"1"}},
            "data":{{"order_id":"{key}","total":{total},"items":[{{"sku":"d1","name":"Power Bowl","category":"food","price":{total}}}]}}}}"#
    );
    SourceEvent::parse(body.as_bytes(), &"USD".parse().unwrap(), at(0)).unwrap()
}

/// The commit of the `n`-th event, an order worth ten points, by a member as loaded.
pub(in crate::store) fn order(n: u64, member: &Member) -> Commit {
    let mut member = member.clone();
    let wallet = member.standing.wallets.open(&points_wallet());
    wallet.credit(Points(10), None).unwrap();
    let points = wallet.balance();
    member.history.visit("2026-03-03".parse().unwrap(), "10.50".parse().unwrap());
    let key = Key::parse(&format!("order-{n}")).unwrap();
    let event = Arc::new(source_event(&key, 10));
    let record = order_record(key.clone(), member.id, &event);
    let source = SourceId::new(ulid(n));
    let moved = PointsMoved {
        amount: Points(10),
        taken: false,
        wallet: points_wallet(),
        new_balance: points,
        reason: "a point a dollar".into(),
        expires_at: None,
        order_id: None,
    };
    let event_id = EventId::derived(ulid(n), 0);
    let mut transfer = transfer(n, 0, member.id, 10);
    transfer.previous = member.latest.transfer.replace(transfer.id);
    let loyalty_event = LoyaltyEvent {
        id: event_id,
        chain: harvest(),
        subject: Some(Subject {
            id: member.id,
            previous: member.latest.event.replace(event_id),
            face: member.face(None).into(),
        }),
        at: at(0),
        data: EventData::PointsEarned(moved),
        source_key: Some(key.clone()),
        program_version: 3,
    };
    let receipt =
        Receipt { member: Some(member.face(None)), ..Receipt::kept(source, key, SourceStatus::Processed, 3) };
    Commit {
        chain: harvest(),
        wake: Wake::Kept,
        source: Some(SourceChange {
            id: source,
            event,
            received_at: at(0),
            from: SourceOrigin::Outside,
            member: Some(member.id),
            previous: member.latest.source.replace(source),
            receipt,
        }),
        new_identities: Vec::new(),
        people: PeopleChanges::default(),
        order: Some(record),
        coupons: Default::default(),
        new_referral_code: None,
        referral: None,
        referral_reward: None,
        follow_up: None,
        redemptions: Default::default(),
        budgets: Vec::new(),
        transfers: vec![transfer],
        events: vec![loyalty_event],
        deliveries: Vec::new(),
        decided_at: at(0),
        member: Some(member.into()),
    }
}

/// What is remembered of a completed order worth ten points.
fn order_record(key: Key, member: MemberId, event: &SourceEvent) -> OrderRecord {
    let SourceData::OrderCompleted(Snapshot { version, order, .. }) = &event.data else { panic!("an order") };
    let mut record = OrderRecord::unseen(key);
    record.member = Some(member);
    record.see(Stamp { version: *version, at: at(0), step: Step::Completed }, Some(order));
    record.earn(Origin { wallet: &points_wallet(), campaign: None }, Points(10));
    record
}

fn points_wallet() -> Name {
    Name::parse("points").unwrap()
}

/// Points awarded to a member.
pub(in crate::store) fn transfer(cause: u64, n: u32, member: MemberId, amount: i64) -> Transfer {
    Transfer {
        id: TransferId::derived(ulid(cause), n),
        previous: None,
        member,
        wallet: points_wallet(),
        debit: Account::Chain(ChainAccount::Issued),
        credit: Account::Member(member),
        amount: Points(amount),
        cause: Cause {
            rule: "Points per dollar".into(),
            at: "earning.rhai:3".into(),
            program_version: 3,
            campaign: None,
        },
        reason: "a point a dollar".into(),
        source: Some(SourceId::new(ulid(cause))),
        at: at(0),
    }
}

/// The same commit with its event owed to an endpoint.
pub(in crate::store) fn owed(mut commit: Commit, endpoint: EndpointId, due_at: Timestamp) -> Commit {
    let event = &commit.events[0];
    let cause = event.id.ulid().0 - 1;
    commit.deliveries.push(NewDelivery {
        id: DeliveryId::derived(Ulid(cause), commit.deliveries.len() as u32),
        endpoint,
        event: event.id,
        member: event.member(),
        due_at,
    });
    commit
}

/// A member nobody has stored yet.
pub(in crate::store) fn newcomer(n: u64) -> Member {
    Member::new(member_id(n), vec![card(n)], None, at(0))
}

pub(in crate::store) fn endpoint(n: u64) -> Endpoint {
    Endpoint {
        id: endpoint_id(n),
        chain: harvest(),
        events: vec!["points.*".parse().unwrap()],
        headers: [("X-Api-Key".to_owned(), "k3y".to_owned())].into(),
        settings: Settings { lane: Lane::Member, ..Settings::default() },
        ..Endpoint::sample("https://crm.example.com/hooks")
    }
}

/// The `number`-th try of a delivery.
pub(in crate::store) fn attempt(endpoint: EndpointId, n: u64, number: u32, next: NextStep) -> AttemptOutcome {
    let delivered = next == NextStep::Delivered;
    AttemptOutcome {
        chain: harvest(),
        endpoint,
        attempt: Attempt {
            id: AttemptId::derived(ulid(n), number),
            delivery: delivery_id(n),
            number,
            at: at(i64::from(number)),
            duration_ms: 12,
            status_code: Some(if delivered { 204 } else { 500 }),
            response_body: Some("to\0o bad".to_owned()),
            error: (!delivered).then(|| "the receiver answered 500".to_owned()),
        },
        under_other_key: None,
        next,
        condition: None,
        told: None,
    }
}

/// Short words for a store in a test.
pub(in crate::store) trait Words {
    fn look<T>(&self, f: impl FnOnce(&mut DbConn) -> Result<T, StoreError>) -> T;
    fn change<T>(&self, f: impl FnOnce(&mut DbConn) -> Result<T, StoreError>) -> T;
    fn write(&self, group: &[Write]) -> Vec<Written>;
    fn member(&self, n: u64) -> Member;
}

impl Words for Store {
    fn look<T>(&self, f: impl FnOnce(&mut DbConn) -> Result<T, StoreError>) -> T {
        self.read_now(f).unwrap()
    }

    fn change<T>(&self, f: impl FnOnce(&mut DbConn) -> Result<T, StoreError>) -> T {
        self.writer().unwrap().run(|conn, _| f(conn)).unwrap()
    }

    fn write(&self, group: &[Write]) -> Vec<Written> {
        let mut writer: Writer = self.writer().unwrap();
        writer.write(&group.iter().cloned().map(Prepared::from).collect::<Vec<_>>()).unwrap()
    }

    fn member(&self, n: u64) -> Member {
        self.look(|conn| crate::store::member::load(conn, &harvest(), member_id(n))).unwrap()
    }
}

impl From<Commit> for Write {
    fn from(commit: Commit) -> Self {
        Self::Commit(Box::new(commit))
    }
}

impl From<Commit> for Prepared {
    fn from(commit: Commit) -> Self {
        Write::from(commit).into()
    }
}

impl From<AttemptOutcome> for Write {
    fn from(outcome: AttemptOutcome) -> Self {
        Self::Attempt(Box::new(outcome))
    }
}
