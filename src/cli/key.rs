//! `punchcard key`: API keys.

use crate::clock::{Clock, fresh_ulid};
use crate::config::flags::StoreFlags;
use crate::domain::Timestamp;
use crate::domain::api_key::ApiKey;
use crate::domain::audit::{self, Author, By, Change, Entry, Face};
use crate::domain::chain::ChainId;
use crate::domain::ids::{AuditId, KeyId};
use crate::domain::role::Role;
use crate::domain::text::Name;
use crate::store::{self, DbConn, Store, StoreError, key};

use super::{Failure, new_key, out};

/// Make, list and revoke API keys
///
/// Works on the database directly, also while a server runs on it.
#[derive(Debug, clap::Args)]
pub(super) struct Key {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Make a key and show it, once
#[derive(Debug, clap::Args)]
struct Create {
    /// What the key may do: admin, manager, viewer or ingest
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// The one chain it is for; without it, all chains
    #[arg(long, value_name = "CHAIN")]
    chain: Option<ChainId>,
    /// A name for people, such as "till 3"
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    name: Option<Name>,
    #[command(flatten)]
    flags: StoreFlags,
}

/// List the keys; the keys themselves are not stored and cannot be shown again
#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    flags: StoreFlags,
}

/// Make a key worthless
#[derive(Debug, clap::Args)]
struct Revoke {
    /// The key's id, as `key list` shows it (key_…)
    #[arg(value_name = "ID")]
    id: KeyId,
    #[command(flatten)]
    flags: StoreFlags,
}

fn parse_name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|e| e.to_string())
}

pub(super) fn run(verb: &Key) -> Result<(), Failure> {
    let flags = match &verb.action {
        Action::Create(create) => &create.flags,
        Action::List(list) => &list.flags,
        Action::Revoke(revoke) => &revoke.flags,
    };
    let Some(loaded) = super::configuration(&flags.0)? else { return Ok(()) };
    let store = super::open_store(&loaded.config)?;
    // A key may be made before the first start of a server.
    store.migrate().map_err(|e| Failure::because("cannot upgrade the database", &e))?;
    match &verb.action {
        Action::Create(create) => self::create(&store, create),
        Action::List(_) => list(&store),
        Action::Revoke(revoke) => self::revoke(&store, revoke.id),
    }
}

fn create(store: &Store, create: &Create) -> Result<(), Failure> {
    let text = new_key()?;
    let created_at = Clock::System.now();
    let key = ApiKey {
        id: KeyId::new(fresh_ulid(created_at)),
        hash: text.hash(),
        role: create.role,
        chain: create.chain.clone(),
        name: create.name.clone(),
        created_at,
        revoked_at: None,
    };
    if let Some(chain) = &key.chain {
        require_chain(store, chain)?;
    }
    let line = line(audit::Action::KeyCreated, &key, Change::made(Face::from(&key)), created_at);
    write(store, |conn| {
        key::insert(conn, &key)?;
        store::audit::insert(conn, &line)
    })?;
    let reach = key.chain.as_ref().map_or_else(|| "all chains".to_owned(), |chain| format!("chain {chain}"));
    out::error(format_args!("{}: {} key for {reach}. It is shown only now:", key.id, key.role));
    // The key alone on stdout, so that `KEY=$(punchcard key create …)` works.
    out::line(format_args!("{}", text.reveal()));
    Ok(())
}

fn list(store: &Store) -> Result<(), Failure> {
    let keys = store.read_now(key::list).map_err(|e| Failure::because("cannot read the keys", &e))?;
    if keys.is_empty() {
        out::error(format_args!("there are no keys yet; `punchcard key create --role admin` makes one"));
        return Ok(());
    }
    out::line(format_args!(
        "{:<30}  {:<7}  {:<16}  {:<20}  {:<20}  NAME",
        "ID", "ROLE", "CHAIN", "CREATED", "REVOKED"
    ));
    for key in keys {
        let at = |at: Timestamp| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        out::line(format_args!(
            "{:<30}  {:<7}  {:<16}  {:<20}  {:<20}  {}",
            key.id.to_string(),
            key.role.as_str(),
            key.chain.as_ref().map_or("(all)", ChainId::as_str),
            at(key.created_at),
            key.revoked_at.map_or_else(|| "-".to_owned(), at),
            key.name.as_deref().unwrap_or("-"),
        ));
    }
    Ok(())
}

fn revoke(store: &Store, id: KeyId) -> Result<(), Failure> {
    let now = Clock::System.now();
    let revoke = |conn: &mut DbConn| {
        let revoked = key::revoke(conn, id, now)?;
        if let Some(key) = revoked.as_ref().filter(|key| key.revoked_at == Some(now)) {
            let before = ApiKey { revoked_at: None, ..key.clone() };
            let change = Change::between(Face::from(&before), Face::from(key));
            store::audit::insert(conn, &line(audit::Action::KeyRevoked, key, change, now))?;
        }
        Ok(revoked)
    };
    match write(store, revoke)? {
        Some(_) => {
            out::line(format_args!("{id} is revoked"));
            Ok(())
        }
        None => Err(Failure::Failed(format!("there is no key {id}; `punchcard key list` shows them"))),
    }
}

/// The line of the audit log about what somebody does here.
fn line(action: audit::Action, key: &ApiKey, change: Change, now: Timestamp) -> Entry {
    let user = Name::parse(&format!("uid {}", rustix::process::getuid().as_raw())).ok();
    Entry {
        id: AuditId::new(fresh_ulid(now)),
        chain: key.chain.clone(),
        by: By::here(Author::CommandLine(user)),
        action,
        target: key.id.to_string(),
        change,
    }
}

pub(super) fn require_chain(store: &Store, chain: &ChainId) -> Result<(), Failure> {
    let found = store
        .read_now(|conn| store::chain::get(conn, chain))
        .map_err(|e| Failure::because("cannot read the chains", &e))?;
    found.map(|_| ()).ok_or_else(|| {
        Failure::Failed(format!(
            "there is no chain {chain}; create it first, or start the server with its rules folder"
        ))
    })
}

fn write<T>(store: &Store, change: impl FnOnce(&mut DbConn) -> Result<T, StoreError>) -> Result<T, Failure> {
    let run = || store.writer()?.run(|conn, _| change(conn));
    run().map_err(|e| Failure::because("cannot write to the database", &e))
}
