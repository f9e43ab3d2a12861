//! Numbers without a gap, and lanes as a naive model has them.

use proptest::prelude::*;
use ulid::Ulid;

use super::on_both;
use super::sample::*;
use crate::domain::delivery::{AttemptOutcome, DeliveryStatus, NextStep};
use crate::domain::endpoint::{Endpoint, Lane, Settings};
use crate::domain::ids::{AttemptId, DeliveryId, MemberId};
use crate::store::commit::{Write, write_told};
use crate::store::delivery::{self, StoredDelivery};
use crate::store::delivery_log::{self, Behind};
use crate::store::{Store, StoreError, endpoint as endpoints, lane, sequence};

const MANY: i64 = 1_000;

fn laned(lane: Lane) -> Endpoint {
    Endpoint { settings: Settings { lane, ..Settings::default() }, ..endpoint(1) }
}

/// The `n`-th commit, of events about these members that endpoint 1 is to get.
fn commit(n: u64, members: &[Option<MemberId>]) -> crate::domain::commit::Commit {
    let mut commit = order(n, &newcomer(n));
    for member in members {
        commit = owed(commit, endpoint_id(1), at(n as i64));
        commit.deliveries.last_mut().unwrap().member = *member;
    }
    commit
}

fn log(store: &Store) -> Vec<StoredDelivery> {
    store.look(|c| delivery::numbered_after(c, &harvest(), endpoint_id(1), 0, MANY))
}

fn statuses(store: &Store) -> Vec<&'static str> {
    log(store).iter().map(|delivery| delivery.status.as_str()).collect()
}

fn tried(id: DeliveryId, nth: u64, number: u32, next: NextStep) -> AttemptOutcome {
    let mut outcome = attempt(endpoint_id(1), 1, number, next);
    outcome.attempt.delivery = id;
    outcome.attempt.id = AttemptId::new(Ulid(nth.into()));
    outcome
}

on_both! {
    fn a_lane_has_one_head_and_moves_on_when_that_is_settled(store) {
        store.change(|c| endpoints::insert(c, store.vault(), &laned(Lane::Member)));
        let (ana, ben) = (Some(member_id(901)), Some(member_id(902)));
        store.write(&[commit(1, &[ana, ben]).into(), commit(2, &[ana, None, ana]).into()]);
        assert_eq!(statuses(store), ["pending", "pending", "waiting", "pending", "waiting"]);
        let ids: Vec<_> = log(store).iter().map(|delivery| delivery.id).collect();
        let waiting = |behind: Option<DeliveryId>| {
            let behind = behind.map(|id| Behind { id, due_at: None });
            let status = Some(DeliveryStatus::Waiting);
            let page = store.look(|c| delivery_log::list(c, &harvest(), endpoint_id(1), status, 1, behind));
            page.first().map(|delivery| delivery.seq)
        };
        assert_eq!((waiting(None), waiting(Some(ids[4])), waiting(Some(ids[2]))), (Some(5), Some(3), None));
        // The next one is due since it was made, and has all its patience still.
        store.write(&[tried(ids[0], 1, 1, NextStep::Delivered).into()]);
        let due = store.look(|c| delivery::due(c, &harvest(), endpoint_id(1), at(90), 10));
        let found = due.iter().find(|due| due.seq == 3).unwrap();
        assert_eq!((found.id, found.ready_at), (ids[2], at(1)));
        // What is made in the transaction that empties the lane is due.
        store.write(&[tried(ids[1], 2, 1, NextStep::Failed).into(), commit(3, &[ben]).into()]);
        assert_eq!(statuses(store), ["delivered", "failed", "pending", "pending", "waiting", "pending"]);
        store.change(|c| delivery::discard(c, &harvest(), ids[2], at(5)));
        assert_eq!(statuses(store)[4], "pending");
        // In its turn again: behind what is before it, before what is behind it.
        store.change(|c| delivery::retry(c, &harvest(), ids[0], at(6)));
        store.change(|c| delivery::retry(c, &harvest(), ids[2], at(6)));
        assert_eq!(statuses(store), ["pending", "failed", "waiting", "pending", "waiting", "pending"]);
    }

    fn heads_are_listed_with_what_waits_behind_them(store) {
        store.change(|c| endpoints::insert(c, store.vault(), &laned(Lane::Member)));
        let [ana, ben] = [901, 902].map(|n| Some(member_id(n)));
        store.write(&[commit(1, &[ana, ben, None]).into(), commit(2, &[ana, ana]).into()]);
        let ids: Vec<_> = log(store).iter().map(|delivery| delivery.id).collect();
        let heads = |blocked, limit, after| {
            let heads = store.look(|c| lane::heads(c, &harvest(), endpoint_id(1), blocked, limit, after));
            heads.into_iter().map(|head| (head.delivery.seq, head.lane, head.behind)).collect::<Vec<_>>()
        };
        assert_eq!(heads(false, 9, None), [(1, Lane::Member, 2), (2, Lane::Member, 0)]);
        assert_eq!(heads(false, 1, Some(1)), [(2, Lane::Member, 0)]);
        assert_eq!(heads(true, 9, None), []);
        store.write(&[tried(ids[0], 1, 1, NextStep::RetryAt(at(60))).into()]);
        assert_eq!(heads(true, 9, None), [(1, Lane::Member, 2)]);
    }

    fn a_lane_that_stands_still_is_found_and_goes_on(store) {
        store.change(|c| endpoints::insert(c, store.vault(), &laned(Lane::Endpoint)));
        store.write(&[commit(1, &[None, None]).into()]);
        let stuck = || store.look(|c| lane::stuck(c, &harvest(), endpoint_id(1), None));
        assert_eq!(stuck(), (vec![], None));
        store.change(|c| {
            use diesel::RunQueryDsl as _;
            Ok(diesel::sql_query("UPDATE deliveries SET status = 'waiting', due_at = NULL").execute(c)?)
        });
        let (lanes, _) = stuck();
        assert_eq!(lanes.len(), 1);
        store.change(|c| lane::unstick(c, &harvest(), endpoint_id(1), lanes, at(3)));
        assert_eq!(statuses(store), ["pending", "waiting"]);
        assert_eq!(stuck(), (vec![], None));
    }

    fn a_transaction_that_is_undone_takes_its_numbers_back(store) {
        store.change(|c| endpoints::insert(c, store.vault(), &laned(Lane::None)));
        store.write(&[commit(1, &[None]).into()]);
        let undone = store.writer().unwrap().run(|c, _| {
            write_told(c, &commit(2, &[None, None]))?;
            assert_eq!(sequence::last(c, &harvest(), endpoint_id(1))?, 3);
            Err::<(), _>(StoreError::Stopped)
        });
        assert!(undone.is_err());
        store.write(&[commit(3, &[None]).into()]);
        assert_eq!(log(store).iter().map(|delivery| delivery.seq).collect::<Vec<_>>(), [1, 2]);
    }

    fn deliveries_to_several_endpoints_are_numbered_each_by_itself_in_the_order_of_commits(store) {
        for n in [1, 2] {
            let endpoint = Endpoint { id: endpoint_id(n), ..laned(Lane::None) };
            store.change(|c| endpoints::insert(c, store.vault(), &endpoint));
        }
        // The later commit has the smaller ids.
        let both = |n| owed(owed(order(n, &newcomer(n)), endpoint_id(2), at(0)), endpoint_id(1), at(0));
        store.write(&[both(9).into(), both(3).into()]);
        for n in [1, 2] {
            let log = store.look(|c| delivery::numbered_after(c, &harvest(), endpoint_id(n), 0, MANY));
            let found: Vec<_> = log.iter().map(|delivery| (delivery.seq, delivery.created_at, delivery.event)).collect();
            let event = |n| order(n, &newcomer(n)).events[0].id;
            assert_eq!(found, [(1, at(0), event(9)), (2, at(0), event(3))]);
        }
    }
}

/// Two nodes, one busy endpoint, one transaction of five undone.
#[test]
fn numbers_have_no_gaps_however_many_connections_take_them() {
    let store = &super::postgres();
    store.change(|c| endpoints::insert(c, store.vault(), &laned(Lane::Member)));
    let about = |n: u64| [Some(member_id(900 + n % 7)), None];
    std::thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                let mut writer = store.writer().unwrap();
                for n in (1..=500).map(|n| 2 * n + half) {
                    if n % 5 == 0 {
                        let undone = writer.run(|c, _| {
                            write_told(c, &commit(n, &about(n)))?;
                            Err::<(), _>(StoreError::Stopped)
                        });
                        assert!(undone.is_err());
                    } else {
                        writer.write(&[commit(n, &about(n)).into()]).unwrap();
                    }
                }
            });
        }
    });
    let log = store.look(|c| delivery::numbered_after(c, &harvest(), endpoint_id(1), 0, 10_000));
    let numbers: Vec<_> = log.iter().map(|delivery| delivery.seq).collect();
    assert_eq!(numbers, (1..=1_600).collect::<Vec<_>>());
    Model { lane: Lane::Member, rows: log.iter().map(Owed::of).collect() }.check(store);
}

/// What is owed to one endpoint, in the order of numbers.
struct Model {
    lane: Lane,
    rows: Vec<Owed>,
}

struct Owed {
    id: DeliveryId,
    member: Option<MemberId>,
    /// `None` while it is owed.
    settled: Option<DeliveryStatus>,
}

impl Owed {
    fn of(stored: &StoredDelivery) -> Self {
        Self { id: stored.id, member: stored.member, settled: stored.settled_at.map(|_| stored.status) }
    }
}

impl Model {
    fn status(&self, at: usize) -> DeliveryStatus {
        let row = &self.rows[at];
        let shares = |other: &&Owed| match self.lane {
            Lane::None => false,
            Lane::Member => row.member.is_some() && other.member == row.member,
            Lane::Endpoint => true,
        };
        let mut before = self.rows[..at].iter().filter(shares);
        row.settled.unwrap_or(match before.any(|other| other.settled.is_none()) {
            true => DeliveryStatus::Waiting,
            false => DeliveryStatus::Pending,
        })
    }

    fn check(&self, store: &Store) {
        let log = log_of(store, self.rows.len());
        assert_eq!(log.len(), self.rows.len());
        for (at, stored) in log.iter().enumerate() {
            assert_eq!((stored.seq, stored.id), (at as u64 + 1, self.rows[at].id));
            assert_eq!(stored.status, self.status(at), "number {} in lanes by {:?}", stored.seq, self.lane);
            assert_eq!(stored.due_at.is_some(), stored.status == DeliveryStatus::Pending);
            assert_eq!(stored.settled_at.is_some(), self.rows[at].settled.is_some());
        }
        let oldest = log.iter().find(|stored| stored.settled_at.is_none()).map(|stored| stored.created_at);
        assert_eq!(store.look(|c| delivery::oldest_pending(c, &harvest(), endpoint_id(1))), oldest);
        assert_eq!(store.look(|c| lane::stuck(c, &harvest(), endpoint_id(1), None)), (vec![], None));
    }
}

fn log_of(store: &Store, at_most: usize) -> Vec<StoredDelivery> {
    store.look(|c| delivery::numbered_after(c, &harvest(), endpoint_id(1), 0, at_most as i64 + 1))
}

#[derive(Debug, Clone)]
enum Act {
    /// A transaction: events about these members, and tries of what is due, by number.
    Write {
        members: Vec<Option<u64>>,
        tries: Vec<(usize, Ending)>,
    },
    Discard(usize),
    Retry(usize),
    Change(Lane),
    /// So many deliveries go by the new lanes.
    Relane(i64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Delivered,
    Again,
    Failed,
}

fn act() -> impl Strategy<Value = Act> {
    let ending =
        prop_oneof![3 => Just(Ending::Delivered), 1 => Just(Ending::Again), 1 => Just(Ending::Failed)];
    let members = prop::collection::vec(prop::option::weighted(0.8, 0_u64..3), 0..4);
    let write = (members, prop::collection::vec((any::<usize>(), ending), 0..3));
    let lane = prop_oneof![Just(Lane::None), Just(Lane::Member), Just(Lane::Endpoint)];
    prop_oneof![
        8 => write.prop_map(|(members, tries)| Act::Write { members, tries }),
        2 => any::<usize>().prop_map(Act::Discard),
        3 => any::<usize>().prop_map(Act::Retry),
        1 => lane.prop_map(Act::Change),
        2 => (1_i64..5).prop_map(Act::Relane),
    ]
}

/// Lives through the acts beside the model, and compares whenever no change of lanes is half done.
fn live(first: Lane, acts: Vec<Act>) {
    let (store, _folder) = super::sqlite();
    store.change(|c| endpoints::insert(c, store.vault(), &laned(first)));
    let mut model = Model { lane: first, rows: Vec::new() };
    let mut half_done = false;
    for (nth, act) in (1..).zip(acts) {
        match act {
            Act::Write { members, tries } => write(&store, &mut model, nth, &members, &tries),
            Act::Discard(which) if !model.rows.is_empty() => {
                let which = which % model.rows.len();
                let row = &mut model.rows[which];
                let found = store.change(|c| delivery::discard(c, &harvest(), row.id, at(5)));
                let may = !matches!(row.settled, Some(DeliveryStatus::Delivered | DeliveryStatus::Discarded));
                assert_eq!(found.is_some(), may);
                if may {
                    row.settled = Some(DeliveryStatus::Discarded);
                }
            }
            Act::Retry(which) if !model.rows.is_empty() => {
                let which = which % model.rows.len();
                let row = &mut model.rows[which];
                store.change(|c| delivery::retry(c, &harvest(), row.id, at(6))).unwrap();
                row.settled = None;
            }
            Act::Change(lane) => {
                half_done |= lane != model.lane;
                model.lane = lane;
                store.change(|c| endpoints::update(c, store.vault(), &laned(lane)));
            }
            Act::Relane(count) if half_done => {
                half_done = store.change(|c| lane::relane(c, &harvest(), endpoint_id(1), at(7), count));
            }
            _ => {}
        }
        if !half_done {
            model.check(&store);
        }
    }
    while half_done {
        half_done = store.change(|c| lane::relane(c, &harvest(), endpoint_id(1), at(7), 3));
    }
    model.check(&store);
}

fn write(store: &Store, model: &mut Model, nth: u64, members: &[Option<u64>], tries: &[(usize, Ending)]) {
    let due = store.look(|c| delivery::due(c, &harvest(), endpoint_id(1), at(1_000_000), MANY));
    let mut writes: Vec<Write> = Vec::new();
    for (which, ending) in tries.iter().filter(|_| !due.is_empty()) {
        let due = &due[which % due.len()];
        let next = match ending {
            Ending::Delivered => NextStep::Delivered,
            Ending::Again => NextStep::RetryAt(at(60)),
            Ending::Failed => NextStep::Failed,
        };
        let n = 100 * nth + writes.len() as u64;
        writes.push(tried(due.id, n, due.attempts + 1, next).into());
        let row = model.rows.iter_mut().find(|row| row.id == due.id).unwrap();
        let is_first = !writes[..writes.len() - 1]
            .iter()
            .any(|write| matches!(write, Write::Attempt(outcome) if outcome.attempt.delivery == due.id));
        // A second try of one delivery belongs to a ladder that has gone on.
        match ending {
            Ending::Delivered if row.settled.is_none() => row.settled = Some(DeliveryStatus::Delivered),
            Ending::Failed if row.settled.is_none() && is_first => row.settled = Some(DeliveryStatus::Failed),
            _ => {}
        }
    }
    if !members.is_empty() {
        let about: Vec<_> = members.iter().map(|member| member.map(|n| member_id(900 + n))).collect();
        let new = commit(nth, &about);
        let owed = new.deliveries.iter();
        model.rows.extend(owed.map(|new| Owed { id: new.id, member: new.member, settled: None }));
        writes.push(new.into());
    }
    store.write(&writes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn lanes_are_as_a_naive_model_has_them(
        first in prop_oneof![Just(Lane::None), Just(Lane::Member), Just(Lane::Endpoint)],
        acts in prop::collection::vec(act(), 1..40),
    ) {
        live(first, acts);
    }
}
