//! `punchcard key`: API keys.

use std::time::Duration;

use chrono::SecondsFormat;

use crate::clock::{Clock, fresh_ulid};
use crate::config::flags::StoreFlags;
use crate::domain::Timestamp;
use crate::domain::allowance::RequestsPerMinute;
use crate::domain::api_key::{ApiKey, Unchanged, WayIn};
use crate::domain::audit::{self, Author, By, Change, Entry, Face};
use crate::domain::chain::ChainId;
use crate::domain::ids::{AuditId, KeyId};
use crate::domain::role::Role;
use crate::domain::text::Name;
use crate::store::key::Changed;
use crate::store::{self, DbConn, Store, StoreError, key};

use super::{Failure, new_key, out};

/// Keys that are read at a time for the list.
const PAGE: i64 = 500;

/// Make, list, rotate and revoke API keys
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
    Rotate(Rotate),
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
    /// How long it works, such as 30m, 12h or 90d; without an end, until it is revoked
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "expires_at")]
    expires_in: Option<Duration>,
    /// Until when it works, such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    expires_at: Option<Timestamp>,
    /// A limit of its own on requests a minute, instead of the server's key_requests_per_minute
    #[arg(long, value_name = "N", value_parser = parse_limit)]
    requests_per_minute: Option<RequestsPerMinute>,
    #[command(flatten)]
    flags: StoreFlags,
}

/// List the keys, newest first; the keys themselves are not stored and cannot be shown again
#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    flags: StoreFlags,
}

/// Give a key another text and show it, once; the id, the role and the name stay
#[derive(Debug, clap::Args)]
struct Rotate {
    /// The key's id, as `key list` shows it (key_…)
    #[arg(value_name = "ID")]
    id: KeyId,
    /// How long the text before it works beside the new one, such as 30m, 12h or 7d; 0 for not at all
    #[arg(long, value_name = "TIME", value_parser = parse_overlap, default_value = "24h")]
    overlap: Duration,
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

/// A number and its unit.
fn parse_time(text: &str) -> Result<Duration, String> {
    const WANTED: &str = "must be a whole number and one of s, m, h, d, such as 12h or 90d";
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(WANTED.to_owned()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| WANTED)?;
    if number == 0 {
        Err("must be more than nothing".to_owned())
    } else {
        Ok(Duration::from_secs(u64::from(number) * unit))
    }
}

fn parse_overlap(text: &str) -> Result<Duration, String> {
    const MOST: Duration = Duration::from_secs(30 * 86_400);
    let overlap = if text == "0" { Duration::ZERO } else { parse_time(text)? };
    if overlap <= MOST { Ok(overlap) } else { Err("must be at most 30d".to_owned()) }
}

fn parse_instant(text: &str) -> Result<Timestamp, String> {
    let at = chrono::DateTime::parse_from_rfc3339(text);
    at.map(|at| at.to_utc()).map_err(|_| "must be RFC 3339, such as 2027-01-31T00:00:00Z".to_owned())
}

fn parse_limit(text: &str) -> Result<RequestsPerMinute, String> {
    let number: u32 = text.parse().unwrap_or_default(); // whatever is no number is out of bounds, as 0 is
    number.try_into().map_err(|problem: crate::domain::endpoint::OutOfBounds| problem.to_string())
}

pub(super) fn run(verb: &Key) -> Result<(), Failure> {
    let flags = match &verb.action {
        Action::Create(create) => &create.flags,
        Action::List(list) => &list.flags,
        Action::Rotate(rotate) => &rotate.flags,
        Action::Revoke(revoke) => &revoke.flags,
    };
    let Some(loaded) = super::configuration(&flags.0)? else { return Ok(()) };
    let store = super::open_store(&loaded.config)?;
    // A key may be made before the first start of a server.
    store.migrate().map_err(|e| Failure::because("cannot upgrade the database", &e))?;
    match &verb.action {
        Action::Create(create) => self::create(&store, create),
        Action::List(_) => list(&store),
        Action::Rotate(rotate) => self::rotate(&store, rotate),
        Action::Revoke(revoke) => self::revoke(&store, revoke.id),
    }
}

fn create(store: &Store, create: &Create) -> Result<(), Failure> {
    let text = new_key()?;
    let now = Clock::System.now();
    let expires_at = create.expires_at.or_else(|| create.expires_in.map(|time| after(now, time)));
    if let Some(at) = expires_at {
        ApiKey::check_end(at, now).map_err(|bad| Failure::Usage(format!("the end of the key {bad}")))?;
    }
    let key = ApiKey {
        id: KeyId::new(fresh_ulid(now)),
        role: create.role,
        chain: create.chain.clone(),
        name: create.name.clone(),
        created_at: now,
        created_by: parse_name("command line").map_err(Failure::Failed)?,
        expires_at,
        revoked_at: None,
        last_used_at: None,
        requests_per_minute: create.requests_per_minute,
    };
    if let Some(chain) = &key.chain {
        require_chain(store, chain)?;
    }
    let line = line(audit::Action::KeyCreated, &key, Change::made(Face::from(&key)), now);
    write(store, |conn| {
        key::insert(conn, &key, &text.hash())?;
        store::audit::insert(conn, &line)
    })?;
    let reach = key.chain.as_ref().map_or_else(|| "all chains".to_owned(), |chain| format!("chain {chain}"));
    let end = expires_at.map_or_else(String::new, |at| format!(", until {}", shown(at)));
    out::error(format_args!("{}: {} key for {reach}{end}. It is shown only now:", key.id, key.role));
    // The key alone on stdout, so that `KEY=$(punchcard key create …)` works.
    out::line(format_args!("{}", text.reveal()));
    Ok(())
}

/// The instant so long after another, or the last one there is.
fn after(at: Timestamp, time: Duration) -> Timestamp {
    let time = chrono::Duration::from_std(time).ok();
    time.and_then(|time| at.checked_add_signed(time)).unwrap_or(Timestamp::MAX_UTC)
}

fn list(store: &Store) -> Result<(), Failure> {
    let page = |after| {
        let page = store.read_now(|conn| key::list(conn, None, PAGE, after));
        page.map_err(|e| Failure::because("cannot read the keys", &e))
    };
    let mut keys = page(None)?;
    if keys.is_empty() {
        out::error(format_args!("there are no keys yet; `punchcard key create --role admin` makes one"));
        return Ok(());
    }
    out::line(format_args!(
        "{:<30}  {:<7}  {:<16}  {:<20}  {:<20}  {:<20}  {:<20}  NAME",
        "ID", "ROLE", "CHAIN", "CREATED", "EXPIRES", "REVOKED", "LAST USED"
    ));
    while let Some(last) = keys.last().map(|key| key.id) {
        keys.iter().for_each(show);
        keys = page(Some(last))?;
    }
    Ok(())
}

fn show(key: &ApiKey) {
    let at = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), shown);
    out::line(format_args!(
        "{:<30}  {:<7}  {:<16}  {:<20}  {:<20}  {:<20}  {:<20}  {}",
        key.id.to_string(),
        key.role.as_str(),
        key.chain.as_ref().map_or("(all)", ChainId::as_str),
        shown(key.created_at),
        at(key.expires_at),
        at(key.revoked_at),
        at(key.last_used_at),
        key.name.as_deref().unwrap_or("-"),
    ));
}

fn shown(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn rotate(store: &Store, rotate: &Rotate) -> Result<(), Failure> {
    let (text, now) = (new_key()?, Clock::System.now());
    let change = |conn: &mut DbConn| key::rotate(conn, rotate.id, &text.hash(), now, rotate.overlap);
    let action = audit::Action::KeyRotated;
    let key = changed(rotate.id, write(store, |conn| told(conn, (rotate.id, now), action, change))?)?;
    let older = match rotate.overlap.is_zero() {
        true => "The text before it does not work any more".to_owned(),
        false => format!("The text before it works until {}", shown(now + rotate.overlap)),
    };
    out::error(format_args!("{}: rotated. {older}. The new one is shown only now:", key.id));
    out::line(format_args!("{}", text.reveal()));
    Ok(())
}

fn revoke(store: &Store, id: KeyId) -> Result<(), Failure> {
    let now = Clock::System.now();
    // Whoever is here makes another admin key in the same way.
    let revoke = |conn: &mut DbConn| key::revoke(conn, id, now, WayIn::IsElsewhere);
    changed(id, write(store, |conn| told(conn, (id, now), audit::Action::KeyRevoked, revoke))?)?;
    out::line(format_args!("{id} is revoked"));
    Ok(())
}

fn changed(id: KeyId, key: Changed) -> Result<ApiKey, Failure> {
    key.map_err(|why| match why {
        Unchanged::Unknown => {
            Failure::Failed(format!("there is no key {id}; `punchcard key list` shows them"))
        }
        _ => Failure::Failed(format!("{id}: {why}")),
    })
}

/// Changes a key, and tells of it in the audit log if that did.
fn told(
    conn: &mut DbConn,
    (id, now): (KeyId, Timestamp),
    action: audit::Action,
    change: impl FnOnce(&mut DbConn) -> Result<Changed, StoreError>,
) -> Result<Changed, StoreError> {
    let before = key::get(conn, id)?;
    let changed = change(conn)?;
    if let (Some(before), Ok(after)) = (&before, &changed)
        && (before != after || action == audit::Action::KeyRotated)
    {
        let change = Change::between(Face::from(before), Face::from(after));
        store::audit::insert(conn, &line(action, after, change, now))?;
    }
    Ok(changed)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_their_unit() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("12h", 43_200), ("90d", 7_776_000)] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "d", "12", "-1d", "1.5h", "1w", "0d", "1µ", "99999999999d"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_overlap("0"), Ok(Duration::ZERO));
        assert!(parse_overlap("30d").is_ok() && parse_overlap("31d").is_err());
        let longest = parse_time("4294967295d").unwrap();
        assert_eq!(after(Timestamp::UNIX_EPOCH, longest), Timestamp::MAX_UTC);
    }
}
