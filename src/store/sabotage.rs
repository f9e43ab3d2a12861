//! Faults for tests of what follows when the store fails, or holds what it should not. For SQLite.

use diesel::connection::SimpleConnection;

use super::Store;
use crate::domain::chain::ChainId;
use crate::domain::ids::{EndpointId, MemberId};

/// Until [`relent`], no member reaches this version.
pub(crate) fn refuse_member_version(store: &Store, version: i64) {
    refuse(store, "UPDATE ON members", &format!("NEW.version = {version}"));
}

/// Until [`relent`], no endpoint changes.
pub(crate) fn refuse_endpoint_changes(store: &Store) {
    refuse(store, "UPDATE ON endpoints", "TRUE");
}

/// Until [`relent`], nobody is told of in the audit log.
pub(crate) fn refuse_audit_lines(store: &Store) {
    refuse(store, "INSERT ON audit_log", "TRUE");
}

/// Until [`relent`], nothing is published for this chain.
pub(crate) fn refuse_programs(store: &Store, chain: &ChainId) {
    refuse(store, "INSERT ON program_versions", &format!("NEW.chain = '{chain}'"));
}

/// Ends the refusals.
pub(crate) fn relent(store: &Store) {
    execute(store, "DROP TRIGGER sabotage");
}

/// Spoils what is stored of a member.
pub(crate) fn damage_member(store: &Store, id: MemberId) {
    execute(store, &format!("UPDATE members SET state = '{{' WHERE id = '{id}'"));
}

/// Spoils what is stored of a member's identities.
pub(crate) fn damage_identities(store: &Store, id: MemberId) {
    execute(store, &format!("UPDATE identities SET member = 'nobody' WHERE member = '{id}'"));
}

/// Spoils when stored source events were received.
pub(crate) fn damage_source_times(store: &Store) {
    execute(store, &format!("UPDATE source_events SET received_at = {}", i64::MAX));
}

/// Owes an endpoint so many deliveries of events that are nowhere.
pub(crate) fn owe(store: &Store, chain: &ChainId, endpoint: EndpointId, count: u32) {
    execute(
        store,
        &format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
             INSERT INTO deliveries (chain, endpoint, id, seq, event, member, status, attempts, due_at, created_at)
             SELECT '{chain}', '{endpoint}', n, n, '', '', 'pending', 0, n, n FROM numbers"
        ),
    );
}

fn refuse(store: &Store, what: &str, when: &str) {
    execute(
        store,
        &format!(
            "CREATE TRIGGER sabotage BEFORE {what} WHEN {when} BEGIN SELECT RAISE(ABORT, 'sabotage'); END"
        ),
    );
}

fn execute(store: &Store, sql: &str) {
    store.writer().unwrap().run(|conn, _| Ok(conn.batch_execute(sql)?)).unwrap();
}
