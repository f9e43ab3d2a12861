//! The audit log as outsiders see it.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::page::{Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::audit::{Author, By, Change, Entry, Fields, Filter, Origin, RequestName};
use crate::domain::chain::ChainId;
use crate::domain::ids::{AuditId, KeyId};
use crate::domain::role::Role;
use crate::domain::text::Name;
use crate::store;

/// Lines that are read in one look, when not all of those before were sought.
const LOOK: i64 = 500;
/// Looks for one page: behind them it ends, full or not.
const LOOKS: usize = 20;

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "AuditLine")]
pub struct EntryView {
    /// Its id.
    pub id: AuditId,
    /// When, to the millisecond.
    pub at: Timestamp,
    /// The chain that it is about; `null` = none, or all.
    pub chain: Option<ChainId>,
    /// Who.
    pub author: AuthorView,
    /// From where; `null` for what did not come over HTTP.
    pub origin: Option<OriginView>,
    /// What was done.
    pub action: &'static str,
    /// To what.
    pub target: TargetView,
    /// How it was, as far as it is otherwise now; `null` for what is new.
    pub before: Option<Fields>,
    /// How it is; `null` for what is gone.
    pub after: Option<Fields>,
}

/// Who.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "AuditAuthor")]
pub struct AuthorView {
    /// `key`, `configuration`, `command_line`, `folder` or `engine`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Of a key: its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<KeyId>,
    /// What people called them then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Of a key: what it might do then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

/// From where.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "AuditOrigin")]
pub struct OriginView {
    /// The address of the client.
    pub address: Option<IpAddr>,
    /// The id of the request: that of its answer and its log lines.
    pub request_id: Option<RequestName>,
}

/// To what.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "AuditTarget")]
pub struct TargetView {
    /// What kind of thing.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Which.
    pub id: String,
}

impl From<Author> for AuthorView {
    fn from(author: Author) -> Self {
        let (kind, role, name) = (author.kind(), author.role(), author.given_name().cloned());
        let id = match author {
            Author::Key { id, .. } => Some(id),
            _ => None,
        };
        Self { kind, id, name, role }
    }
}

impl From<Entry> for EntryView {
    fn from(line: Entry) -> Self {
        let Entry { id, chain, by: By { author, origin }, action, target, change } = line;
        let Change { before, after } = change;
        let is_known = origin != Origin::default();
        let Origin { address, request: request_id } = origin;
        Self {
            id,
            at: id.at(),
            chain,
            author: author.into(),
            origin: is_known.then_some(OriginView { address, request_id }),
            action: action.as_str(),
            target: TargetView { kind: action.noun(), id: target },
            before,
            after,
        }
    }
}

impl Reader {
    /// Lines that are sought, newest first. A page may be short though others follow: so much is looked at for each, and no
    /// more.
    ///
    /// # Errors
    /// The store failed.
    pub async fn audit(&self, filter: Filter, wanted: Wanted<AuditId>) -> Result<Page<EntryView>, ReadError> {
        let find = move |conn: &mut _| {
            let (mut found, mut after) = (Vec::new(), wanted.after);
            for many in std::iter::once(wanted.rows()).chain([LOOK; LOOKS]) {
                let looked = store::audit::look(conn, &filter, many, after)?;
                let is_last = (looked.len() as i64) < many;
                after = looked.last().map(|line| line.id).or(after);
                found.extend(looked.into_iter().filter(|line| filter.matches(line)));
                if found.len() > wanted.limit {
                    return Ok(wanted.page(found, |line| line.id.to_string()));
                }
                if is_last {
                    return Ok(Page::whole(found));
                }
            }
            Ok(Page { items: found, next_cursor: after.map(|id| id.to_string()) })
        };
        self.run(find).await?.map(|line| Ok(line.into()))
    }

    /// One line; with a chain, if it is about that one.
    ///
    /// # Errors
    /// The store failed.
    pub async fn audit_entry(
        &self,
        chain: Option<ChainId>,
        id: AuditId,
    ) -> Result<Option<EntryView>, ReadError> {
        let get = move |conn: &mut _| Ok(store::audit::get(conn, chain.as_ref(), id)?);
        Ok(self.run(get).await?.map(EntryView::from))
    }
}
