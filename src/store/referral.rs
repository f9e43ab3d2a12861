//! Codes that members give to others, and what came of them.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::upsert::excluded;
use smol_str::SmolStr;

use super::batch::which_took_effect;
use super::connection::DbConn;
use super::error::StoreError;
use super::member;
use super::row::Row;
use super::schema::{referral_codes, referral_events, referrals};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::identity::IdentityKind;
use crate::domain::ids::{EventId, MemberId, ReferralId};
use crate::domain::json::to_json;
use crate::domain::loyalty_event::LoyaltyEvent;
use crate::domain::referral::{Filed, Referral, ReferralCode, ReferralStatus, Reward, Sender, Side};
use crate::domain::text::{Name, Note};

/// A referral as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredReferral {
    /// Its id.
    pub id: ReferralId,
    /// Who brought somebody.
    pub sender: MemberId,
    /// Who was brought.
    pub receiver: MemberId,
    /// Where it stands.
    pub status: ReferralStatus,
    /// Where the code came from.
    pub channel: Option<Name>,
    /// Why it was rejected.
    pub reason: Option<Note>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was approved, rejected, or expired.
    pub settled_at: Option<Timestamp>,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = referral_codes, treat_none_as_default_value = false)]
pub(super) struct CodeRow {
    chain: String,
    code: String,
    member: String,
}

impl CodeRow {
    pub(super) fn of(chain: &ChainId, code: &ReferralCode, member: MemberId) -> Self {
        Self { chain: chain.to_string(), code: code.to_string(), member: member.to_string() }
    }

    /// The order in which codes are written, the same in every transaction.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.chain, &self.code)
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = referrals, treat_none_as_default_value = false)]
pub(super) struct ReferralRow {
    chain: String,
    id: String,
    sender: String,
    receiver: String,
    status: String,
    channel: Option<String>,
    reason: Option<String>,
    created_at: i64,
    settled_at: Option<i64>,
}

/// Something that was told of a referral.
#[derive(Insertable)]
#[diesel(table_name = referral_events)]
pub(super) struct ReferralEventRow {
    chain: String,
    referral: String,
    event: String,
}

impl ReferralEventRow {
    pub(super) fn of(event: &LoyaltyEvent) -> Option<Self> {
        let referral = event.data.referral()?.referral_id.to_string();
        Some(Self { chain: event.chain.to_string(), referral, event: event.id.to_string() })
    }
}

/// What a referral brought its sender, on its way into its row.
pub(super) struct RewardRow {
    chain: String,
    id: String,
    reward: String,
}

impl RewardRow {
    pub(super) fn of(chain: &ChainId, (id, reward): &(ReferralId, Reward)) -> Self {
        Self { chain: chain.to_string(), id: id.to_string(), reward: to_json(reward) }
    }
}

impl ReferralRow {
    /// The row of what `receiver` has.
    pub(super) fn of(chain: &ChainId, receiver: MemberId, referral: &Referral) -> Self {
        Self {
            chain: chain.to_string(),
            id: referral.id.to_string(),
            sender: referral.sender.to_string(),
            receiver: receiver.to_string(),
            status: referral.status.as_str().to_owned(),
            channel: referral.channel.as_ref().map(ToString::to_string),
            reason: referral.reason.as_ref().map(ToString::to_string),
            created_at: referral.created_at.timestamp_micros(),
            settled_at: referral.settled_at.map(|at| at.timestamp_micros()),
        }
    }

    /// The order in which referrals are written, the same in every transaction.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.chain, &self.id)
    }

    fn read(self) -> Result<StoredReferral, StoreError> {
        let row = Row { table: "referrals", id: &self.id };
        Ok(StoredReferral {
            id: row.parse("id", &self.id)?,
            sender: row.parse("sender", &self.sender)?,
            receiver: row.parse("receiver", &self.receiver)?,
            status: row.parse("status", &self.status)?,
            channel: row.check("channel", self.channel.as_deref().map(Name::parse).transpose())?,
            reason: row.check("reason", self.reason.as_deref().map(Note::parse).transpose())?,
            created_at: row.time("created_at", self.created_at)?,
            settled_at: row.time_opt("settled_at", self.settled_at)?,
        })
    }
}

/// Gives codes to members, unless they are somebody's. Answers which were free, in order.
pub(super) fn claim(conn: &mut DbConn, rows: &[&CodeRow]) -> QueryResult<Vec<bool>> {
    which_took_effect!(
        conn,
        rows,
        |values| diesel::insert_into(referral_codes::table)
            .values(values)
            .on_conflict((referral_codes::chain, referral_codes::code))
            .do_nothing(),
        (referral_codes::chain, referral_codes::code),
        |row| -> (String, String) { (row.chain.clone(), row.code.clone()) }
    )
}

/// Writes where referrals stand. The fence of the receiver guards it: nobody else writes it.
pub(super) fn write(conn: &mut DbConn, rows: &[&ReferralRow]) -> QueryResult<()> {
    which_took_effect!(
        conn,
        rows,
        |values| diesel::insert_into(referrals::table)
            .values(values)
            .on_conflict((referrals::chain, referrals::id))
            .do_update()
            .set((
                referrals::status.eq(excluded(referrals::status)),
                referrals::reason.eq(excluded(referrals::reason)),
                referrals::settled_at.eq(excluded(referrals::settled_at)),
            )),
        (referrals::chain, referrals::id),
        |row| -> (String, String) { (row.chain.clone(), row.id.clone()) }
    )
    .map(drop)
}

/// Writes what a referral brought its sender, whose fence guards it.
pub(super) fn write_reward(conn: &mut DbConn, row: &RewardRow) -> QueryResult<()> {
    diesel::update(referrals::table.find((&row.chain, &row.id)))
        .set(referrals::reward.eq(&row.reward))
        .execute(conn)
        .map(drop)
}

/// Notes what was told of a referral.
pub(super) fn note_event(conn: &mut DbConn, row: &ReferralEventRow) -> QueryResult<()> {
    diesel::insert_into(referral_events::table).values(row).execute(conn).map(drop)
}

/// What was told of a referral.
pub(super) fn events_of(
    conn: &mut DbConn,
    chain: &ChainId,
    id: ReferralId,
) -> Result<Vec<EventId>, StoreError> {
    let found: Vec<String> = referral_events::table
        .filter(referral_events::chain.eq(chain.as_str()))
        .filter(referral_events::referral.eq(id.to_string()))
        .select(referral_events::event)
        .order(referral_events::event)
        .load(conn)?;
    found.iter().map(|id| Row { table: "referral_events", id }.parse("event", id)).collect()
}

/// Referrals that a member is a side of, and which, by their ids, from beyond `after`.
pub(super) fn of_either_side(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    limit: i64,
    after: Option<ReferralId>,
) -> Result<Vec<(ReferralId, Side)>, StoreError> {
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let member = member.to_string();
    let of = |side| {
        let query = referrals::table
            .filter(referrals::chain.eq(chain.as_str()))
            .filter(referrals::id.gt(&after))
            .select(referrals::id)
            .order(referrals::id)
            .limit(limit)
            .into_boxed();
        match side {
            Side::Sender => query.filter(referrals::sender.eq(&member)),
            Side::Receiver => query.filter(referrals::receiver.eq(&member)),
        }
    };
    let mut all = Vec::new();
    for side in [Side::Sender, Side::Receiver] {
        for id in of(side).load::<String>(conn)? {
            all.push((Row { table: "referrals", id: &id }.parse("id", &id)?, side));
        }
    }
    all.sort_unstable_by_key(|(id, _)| *id);
    all.truncate(limit as usize);
    Ok(all)
}

/// What the chain calls a member: its own id of them, or ours.
pub fn called(conn: &mut DbConn, chain: &ChainId, id: MemberId) -> Result<SmolStr, StoreError> {
    let living = member::load_living(conn, chain, id)?;
    Ok(living.map_or_else(|| id.to_string().into(), |member| member.known_as()))
}

/// Referrals as they are filed.
pub fn filed(
    conn: &mut DbConn,
    chain: &ChainId,
    ids: &BTreeSet<ReferralId>,
) -> Result<BTreeMap<ReferralId, Option<Filed>>, StoreError> {
    let mut all = BTreeMap::new();
    for id in ids {
        let text = id.to_string();
        let found: Option<(String, Option<String>, String, String)> = referrals::table
            .find((chain.as_str(), &text))
            .select((referrals::status, referrals::reward, referrals::sender, referrals::receiver))
            .get_result(conn)
            .optional()?;
        let row = Row { table: "referrals", id: &text };
        let filed = match found {
            Some((status, reward, sender, receiver)) => Some(Filed {
                status: row.parse("status", &status)?,
                reward: reward.map(|reward| row.json("reward", &reward)).transpose()?,
                sender_id: called(conn, chain, row.parse("sender", &sender)?)?,
                receiver_id: called(conn, chain, row.parse("receiver", &receiver)?)?,
            }),
            None => None,
        };
        all.insert(*id, filed);
    }
    Ok(all)
}

/// Whose this code is.
pub fn owner(
    conn: &mut DbConn,
    chain: &ChainId,
    code: &ReferralCode,
) -> Result<Option<MemberId>, StoreError> {
    let member: Option<String> = referral_codes::table
        .find((chain.as_str(), &**code))
        .select(referral_codes::member)
        .get_result(conn)
        .optional()?;
    member.map(|member| Row { table: "referral_codes", id: code }.parse("member", &member)).transpose()
}

/// The owners of codes, as a receiver's decision sees them.
pub fn lay_out(
    conn: &mut DbConn,
    chain: &ChainId,
    codes: &BTreeSet<ReferralCode>,
) -> Result<BTreeMap<ReferralCode, Option<Sender>>, StoreError> {
    codes.iter().map(|code| Ok((code.clone(), sender(conn, chain, code)?))).collect()
}

fn sender(conn: &mut DbConn, chain: &ChainId, code: &ReferralCode) -> Result<Option<Sender>, StoreError> {
    let Some(id) = owner(conn, chain, code)? else { return Ok(None) };
    let living = member::load_living(conn, chain, id)?;
    let Some(member) = living.filter(|member| !member.is_erased()) else { return Ok(None) };
    let email = member.identity(IdentityKind::Email).map(Into::into);
    Ok(Some(Sender {
        member: member.id,
        id: member.known_as(),
        first_name: member.profile.first_name,
        email,
        sent: member.referring.sent,
    }))
}

/// Whom a member brought, newest first, from before `after`.
pub fn sent_by(
    conn: &mut DbConn,
    chain: &ChainId,
    sender: MemberId,
    limit: i64,
    after: Option<ReferralId>,
) -> Result<Vec<StoredReferral>, StoreError> {
    let mut query = referrals::table
        .filter(referrals::chain.eq(chain.as_str()))
        .filter(referrals::sender.eq(sender.to_string()))
        .select(ReferralRow::as_select())
        .order(referrals::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(referrals::id.lt(after.to_string()));
    }
    query.load(conn)?.into_iter().map(ReferralRow::read).collect()
}
