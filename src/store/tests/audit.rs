//! The audit log: added to with what it tells of, never changed.

use std::sync::Arc;

use diesel::connection::SimpleConnection;

use super::on_both;
use super::sample::*;
use crate::domain::audit::{Action, Author, By, Change, Entry, Fields, Filter, Origin};
use crate::domain::command::Command;
use crate::domain::commit::{Commit, SourceOrigin};
use crate::domain::ids::{AuditId, KeyId};
use crate::domain::receipt::SourceStatus;
use crate::domain::role::Role;
use crate::domain::source_event::{SourceData, SourceEvent};
use crate::domain::text::Name;
use crate::store::commit::Written;
use crate::store::{Store, StoreError, audit};

/// The `n`-th line: by an even key about chain 0, or by an odd one about chain 1.
pub(super) fn line(n: u64) -> Entry {
    let author =
        Author::Key { id: KeyId::new(ulid(n % 2)), name: Name::parse("till").unwrap(), role: Role::Admin };
    let actions = [Action::EndpointUpdated, Action::EndpointPaused, Action::KeyCreated];
    let fields = |value: u64| Some(Fields::from_iter([("name".to_owned(), value.into())]));
    Entry {
        id: AuditId::new(ulid(n)),
        chain: format!("chain-{}", n % 2).parse().ok(),
        by: By {
            author,
            origin: Origin { address: "2001:db8::7".parse().ok(), request: "req_7".parse().ok() },
        },
        action: actions[n as usize % 3],
        target: format!("ep_{}", n % 5),
        change: Change { before: fields(n), after: fields(n + 1) },
    }
}

fn numbers(lines: &[Entry]) -> Vec<u64> {
    lines.iter().map(|line| line.id.ulid().timestamp_ms() - ulid(0).timestamp_ms()).collect()
}

fn all(store: &Store) -> Vec<Entry> {
    store.look(|c| audit::look(c, &Filter::default(), 1_000, None))
}

/// The `n`-th commit, by which somebody clears a member's tier by hand.
fn commanded(n: u64, member: u64, key: &str) -> Commit {
    let mut commit = order(n, &newcomer(member));
    let source = commit.source.as_mut().unwrap();
    let event = SourceEvent { data: SourceData::Command(Command::ClearTier), ..source_event(key, 1) };
    source.event = Arc::new(event.asked_by(By::here(Author::Configuration)));
    commit
}

on_both! {
    fn a_line_comes_back_as_it_was(store) {
        let authors = [
            Author::Configuration,
            Author::CommandLine(None),
            Author::CommandLine(Name::parse("uid 0").ok()),
            Author::Folder,
            Author::Engine,
        ];
        let plain = authors.into_iter().zip(1..).map(|(author, n)| Entry {
            chain: None,
            by: By::here(author),
            change: Change { before: None, after: None },
            ..line(n)
        });
        let mut written: Vec<_> = plain.chain([line(9)]).collect();
        for line in &written {
            store.change(|c| audit::insert(c, line));
        }
        written.reverse();
        assert_eq!(all(store), written);
        assert_eq!(store.look(|c| audit::get(c, None, written[0].id)), Some(written[0].clone()));
        assert_eq!(store.look(|c| audit::get(c, None, AuditId::new(ulid(77)))), None);
    }

    fn nobody_changes_a_line(store) {
        store.change(|c| audit::insert(c, &line(1)));
        let change = |c: &mut _| Ok(SimpleConnection::batch_execute(c, "UPDATE audit_log SET target = 'x'")?);
        let refused = store.writer().unwrap().run(|c: &mut crate::store::DbConn, _| change(c)).unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
        assert_eq!(all(store), [line(1)]);
        assert!(store.writer().unwrap().run(|c, _| audit::insert(c, &line(1))).is_err(), "nor twice");
    }

    fn lines_are_looked_for_by_each_part_of_a_filter_and_page_by_page(store) {
        (1..=30).for_each(|n| store.change(|c| audit::insert(c, &line(n))));
        let with = |change: fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            filter
        };
        for (filter, is_sought) in [
            (with(|_| ()), (|_| true) as fn(u64) -> bool),
            (with(|f| f.chain = "chain-1".parse().ok()), |n| n % 2 == 1),
            (with(|f| f.author = Some(line(0).by.author.code())), |n| n % 2 == 0),
            (with(|f| f.target = Some("ep_3".to_owned())), |n| n % 5 == 3),
            (with(|f| (f.chain, f.target) = ("chain-0".parse().ok(), Some("ep_3".to_owned()))), |n| n % 10 == 8),
            (with(|f| (f.chain, f.author) = ("chain-0".parse().ok(), Some(line(0).by.author.code()))), |n| n % 2 == 0),
            (with(|f| (f.chain, f.author) = ("chain-1".parse().ok(), Some(line(0).by.author.code()))), |_| false),
            (with(|f| f.actions = "key.created".parse().ok()), |n| n % 3 == 2),
            (with(|f| f.actions = "endpoint.*".parse().ok()), |n| n % 3 != 2),
            (
                with(|f| (f.actions, f.chain) = ("endpoint.*".parse().ok(), "chain-0".parse().ok())),
                |n| n % 3 != 2 && n % 2 == 0,
            ),
            (
                Filter { since: Some(at(0) + chrono::Duration::milliseconds(10)), ..Filter::default() },
                |n| n >= 10,
            ),
            (
                Filter { until: Some(at(0) + chrono::Duration::milliseconds(10)), ..Filter::default() },
                |n| n < 10,
            ),
        ] {
            let wanted: Vec<u64> = (1..=30).rev().filter(|n| is_sought(*n)).collect();
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = store.look(|c| audit::look(c, &filter, 4, after));
                assert!(page.len() <= 4);
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                found.extend(page);
            }
            assert_eq!(numbers(&found), wanted, "{filter:?}");
            assert!(found.iter().all(|line| filter.matches(line)), "{filter:?}");
        }
    }

    fn old_lines_go_the_oldest_first_so_many_at_a_time(store) {
        (1..=10).for_each(|n| store.change(|c| audit::insert(c, &line(n))));
        let before = at(0) + chrono::Duration::milliseconds(8);
        for (deleted, left) in [(3, 7), (3, 4), (1, 3), (0, 3)] {
            assert_eq!(store.change(|c| audit::delete_before(c, before, 3)), deleted);
            assert_eq!(all(store).len(), left);
        }
        assert_eq!(numbers(&all(store)), [10, 9, 8]);
    }

    fn a_command_and_its_line_are_written_together_or_not_at_all(store) {
        let group = [commanded(1, 1, "order-1"), commanded(2, 2, "order-2"), order(3, &newcomer(3))];
        assert_eq!(store.write(&group.map(Into::into)), [Written::Done, Written::Done, Written::Done]);
        let written = all(store);
        let told: Vec<_> = written.iter().map(|line| (line.action, line.target.clone())).collect();
        let cleared = |member| (Action::MemberTierCleared, member_id(member).to_string());
        assert_eq!(told, [cleared(2), cleared(1)], "what a till sends leaves no line");
        let [repeated] = &store.write(&[commanded(4, 4, "order-1").into()])[..] else { panic!("one answer") };
        assert!(matches!(repeated, Written::Duplicate { .. }), "{repeated:?}");
        // The member is another one by now.
        assert_eq!(store.write(&[commanded(5, 1, "order-5").into()]), [Written::Conflict]);
        assert_eq!(all(store), written);
        // A line that cannot be written undoes what it tells of.
        let doomed = commanded(7, 7, "order-7");
        let taken = Entry { id: Entry::of(&doomed).unwrap().id, ..line(7) };
        store.change(|c| audit::insert(c, &taken));
        assert!(store.writer().unwrap().write(&[doomed.into()]).is_err());
        assert_eq!(store.look(|c| crate::store::member::load(c, &harvest(), member_id(7))), None);
        assert_eq!(all(store).len(), written.len() + 1);
    }

    fn each_run_of_an_event_has_a_line_of_its_own(store) {
        let mut commit = commanded(1, 1, "order-1");
        store.write(&[commit.clone().into()]);
        let first = all(store);
        let source = commit.source.as_mut().unwrap();
        let ids = [1_u32, 2].map(|runs| {
            source.from = SourceOrigin::Stored { status: SourceStatus::Failed, runs };
            let line = Entry::of(&Commit { source: Some(source.clone()), ..order(9, &newcomer(9)) }).unwrap();
            assert_eq!((line.action, &*line.target), (Action::SourceEventReplayed, &*source.id.to_string()));
            assert_eq!(line.change.before.unwrap()["status"], "failed");
            line.id
        });
        assert!(first[0].id != ids[0] && ids[0] != ids[1] && ids.iter().all(|id| id.at() == at(0)));
    }
}

#[test]
fn a_damaged_line_names_its_column() {
    let (store, _folder) = super::sqlite();
    store.change(|c| audit::insert(c, &line(1)));
    for (column, value) in [
        ("author", "'ana'"),
        ("action", "'explode'"),
        ("address", "'here'"),
        ("after", "'{'"),
        ("author_role", "'king'"),
    ] {
        store.change(|c| {
            Ok(c.batch_execute(&format!(
                "DROP TRIGGER IF EXISTS audit_log_is_append_only; UPDATE audit_log SET {column} = {value}"
            ))?)
        });
        let damaged = store.read_now(|c| audit::look(c, &Filter::default(), 9, None));
        let Err(StoreError::Corrupt { table: "audit_log", problem, .. }) = damaged else {
            panic!("{damaged:?}")
        };
        assert!(problem.contains(column), "{problem}");
        store.change(|c| {
            audit::delete_before(c, at(9), 9)?;
            audit::insert(c, &line(1))
        });
    }
}
