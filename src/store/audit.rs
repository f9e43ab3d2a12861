//! The audit log. Lines are added with what they tell of, read, and deleted when they are old; the database refuses to change
//! one.

use std::net::IpAddr;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::audit_log;
use crate::domain::Timestamp;
use crate::domain::audit::{Action, Author, By, Change, Entry, Filter, Origin, RequestName};
use crate::domain::chain::ChainId;
use crate::domain::ids::AuditId;
use crate::domain::json::to_json;
use crate::domain::role::Role;
use crate::domain::text::Name;

/// A line as a row.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_log, treat_none_as_default_value = false)]
pub(super) struct AuditRow {
    id: String,
    chain: Option<String>,
    author: String,
    author_name: Option<String>,
    author_role: Option<String>,
    address: Option<String>,
    request: Option<String>,
    action: String,
    target: String,
    before: Option<String>,
    after: Option<String>,
}

impl AuditRow {
    pub(super) fn of(line: &Entry) -> Self {
        let Entry { id, chain, by: By { author, origin }, action, target, change } = line;
        Self {
            id: id.to_string(),
            chain: chain.as_ref().map(ToString::to_string),
            author: author.code().to_string(),
            author_name: author.given_name().map(ToString::to_string),
            author_role: author.role().map(|role| role.as_str().to_owned()),
            address: origin.address.map(|address| address.to_string()),
            request: origin.request.as_ref().map(ToString::to_string),
            action: action.as_str().to_owned(),
            target: target.clone(),
            before: change.before.as_ref().map(to_json),
            after: change.after.as_ref().map(to_json),
        }
    }

    fn read(self) -> Result<Entry, StoreError> {
        let row = Row { table: "audit_log", id: &self.id };
        let name = row.check("author_name", self.author_name.as_deref().map(Name::parse).transpose())?;
        let role = row.parse_opt::<Role>("author_role", self.author_role.as_deref())?;
        let author = row.check("author", Author::read(&self.author, name, role).ok_or(()))?;
        let address = row.parse_opt::<IpAddr>("address", self.address.as_deref())?;
        let request = row.parse_opt::<RequestName>("request", self.request.as_deref())?;
        let fields = |column, text: Option<&str>| text.map(|text| row.json(column, text)).transpose();
        Ok(Entry {
            id: row.parse("id", &self.id)?,
            chain: row.parse_opt("chain", self.chain.as_deref())?,
            by: By { author, origin: Origin { address, request } },
            action: row.parse::<Action>("action", &self.action)?,
            change: Change {
                before: fields("before", self.before.as_deref())?,
                after: fields("after", self.after.as_deref())?,
            },
            target: self.target,
        })
    }
}

/// Adds a line, in the transaction of the change that it tells of.
pub fn insert(conn: &mut DbConn, line: &Entry) -> Result<(), StoreError> {
    Ok(insert_row(conn, &AuditRow::of(line))?)
}

/// The same, of a row that was made before.
pub(super) fn insert_row(conn: &mut DbConn, row: &AuditRow) -> QueryResult<()> {
    diesel::insert_into(audit_log::table).values(row).execute(conn).map(drop)
}

/// The line of this id; with a chain, if it is about that one.
pub fn get(conn: &mut DbConn, chain: Option<&ChainId>, id: AuditId) -> Result<Option<Entry>, StoreError> {
    let mut line = audit_log::table.find(id.to_string()).select(AuditRow::as_select()).into_boxed();
    if let Some(chain) = chain {
        line = line.filter(audit_log::chain.eq(chain.as_str()));
    }
    line.get_result(conn).optional()?.map(AuditRow::read).transpose()
}

/// Lines, newest first, from before `after`, that may be among those sought: all that the narrowest of the filter's parts finds
/// by its index, and nothing else is looked at; where a chain is sought, no line of another one. What the other parts say of them
/// is up to the caller ([`Filter::matches`]).
pub fn look(
    conn: &mut DbConn,
    filter: &Filter,
    limit: i64,
    after: Option<AuditId>,
) -> Result<Vec<Entry>, StoreError> {
    let until = filter.until.map(AuditId::first_at);
    let before = after.into_iter().chain(until).min().map(|id| id.to_string());
    let since = filter.since.map(|since| AuditId::first_at(since).to_string());
    let lines = || {
        let all = audit_log::table
            .select(AuditRow::as_select())
            .order(audit_log::id.desc())
            .limit(limit)
            .into_boxed();
        let all = match &before {
            Some(before) => all.filter(audit_log::id.lt(before)),
            None => all,
        };
        match &since {
            Some(since) => all.filter(audit_log::id.ge(since)),
            None => all,
        }
    };
    let chain = filter.chain.as_ref().map(|chain| chain.as_str());
    // Said as its index says it: no planner goes by another one.
    let both = |chain: &str, other: &str| format!("{chain} {other}");
    let rows = match filter {
        Filter { target: Some(target), .. } => match chain {
            Some(chain) => {
                let in_chain = sql::<Bool>("chain || ' ' || target = ").bind::<Text, _>(both(chain, target));
                lines().filter(in_chain).load(conn)?
            }
            None => lines().filter(audit_log::target.eq(target)).load(conn)?,
        },
        Filter { author: Some(author), .. } => {
            let author = author.to_string();
            match chain {
                Some(chain) => {
                    let in_chain =
                        sql::<Bool>("chain || ' ' || author = ").bind::<Text, _>(both(chain, &author));
                    lines().filter(in_chain).load(conn)?
                }
                None => lines().filter(audit_log::author.eq(author)).load(conn)?,
            }
        }
        Filter { actions: Some(actions), .. } => {
            // Each action has its place in the index, in order; all of them together do not.
            let mut rows: Vec<AuditRow> = Vec::new();
            for action in actions.iter() {
                let of_action = lines().filter(audit_log::action.eq(action.as_str()));
                rows.extend(match chain {
                    Some(chain) => of_action.filter(audit_log::chain.eq(chain)).load(conn)?,
                    None => of_action.load(conn)?,
                });
            }
            rows.sort_unstable_by(|one, other| other.id.cmp(&one.id));
            rows.truncate(usize::try_from(limit).unwrap_or_default());
            rows
        }
        _ => match chain {
            Some(chain) => lines().filter(audit_log::chain.eq(chain)).load(conn)?,
            None => lines().load(conn)?,
        },
    };
    rows.into_iter().map(AuditRow::read).collect()
}

/// Deletes lines from before an instant, the oldest, at most so many. Answers how many there were.
pub fn delete_before(conn: &mut DbConn, instant: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<String> = audit_log::table
        .filter(audit_log::id.lt(AuditId::first_at(instant).to_string()))
        .select(audit_log::id)
        .order(audit_log::id)
        .limit(limit)
        .load(conn)?;
    let Some(last) = old.last() else { return Ok(0) };
    Ok(diesel::delete(audit_log::table).filter(audit_log::id.le(last)).execute(conn)?)
}
