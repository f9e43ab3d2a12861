//! Members and what belongs to them.

use async_graphql::connection::Connection;
use async_graphql::{Context, Enum, ID, Json, Object, SimpleObject};
use serde_json::Value;

use super::Asked;
use super::coupon::MemberCoupon;
use super::event::Event;
use super::ledger::LedgerLine;
use super::loader::load;
use super::page::{connection, wanted};
use super::scalars::{Date, DateTime, Decimal};
use crate::domain::chain::ChainId;
use crate::domain::coupon::CouponCode;
use crate::domain::identity::MemberName;
use crate::domain::ids::{EventId, TransferId};
use crate::domain::role::Right;
use crate::http::problem::Problem;
use crate::read::ReadError;
use crate::read::member::{IdentityView, MemberView, WalletView};
use crate::read::page::{OfMember, Page};

/// Where a member stands in their life with the chain.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "crate::domain::member::Status")]
pub(super) enum MemberStatus {
    /// Comes as usual.
    Active,
    /// Stays away longer than usual.
    AtRisk,
    /// Given up for lost.
    Churned,
}

/// How likely a guest who stays away is lost.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "crate::domain::member::RiskLevel")]
pub(super) enum RiskLevel {
    /// A little longer away than usual.
    Low,
    /// Longer away than usual.
    Medium,
    /// Almost given up.
    High,
}

/// Something that the chain knows a guest by.
#[derive(SimpleObject)]
pub(super) struct MemberIdentity {
    /// `id`, `card`, `phone`, `email` or `external_id`.
    kind: &'static str,
    /// Its value.
    value: String,
    /// From 1: where identities of an event belong to several members, it is the one of the lowest number's.
    priority: usize,
    /// Whether the member goes by it first of all.
    is_primary: bool,
}

impl From<&IdentityView> for MemberIdentity {
    fn from(view: &IdentityView) -> Self {
        Self {
            kind: view.identity.kind.as_str(),
            value: view.identity.value.to_string(),
            priority: view.priority,
            is_primary: view.is_primary,
        }
    }
}

/// A wallet.
#[derive(SimpleObject)]
pub(super) struct MemberWallet {
    /// Its code in `program.toml`.
    wallet: String,
    /// What can be spent; below zero = a deficit.
    balance: i64,
    /// What cannot be spent yet.
    pending: i64,
    /// How much of it is gone next if it is not used.
    expires_next: Option<i64>,
    /// The first instant at which that is gone.
    expires_next_at: Option<DateTime>,
}

impl From<&WalletView> for MemberWallet {
    fn from(view: &WalletView) -> Self {
        let next = view.next_expiration.as_ref();
        Self {
            wallet: view.wallet.to_string(),
            balance: view.balance.0,
            pending: view.pending.0,
            expires_next: next.map(|next| next.amount.0),
            expires_next_at: next.map(|next| next.at.into()),
        }
    }
}

/// A segment that a member is in.
#[derive(SimpleObject)]
pub(super) struct MemberSegment {
    /// Its name.
    name: String,
    /// `primary`, `compound` or `cohort`.
    #[graphql(name = "type")]
    kind: &'static str,
    /// Since when they are in it.
    since: DateTime,
}

/// An achievement that a member earned.
#[derive(SimpleObject)]
pub(super) struct MemberAchievement {
    /// Its name.
    name: String,
    /// When it was earned.
    earned_at: DateTime,
}

/// One guest of one chain.
pub(super) struct Member {
    chain: ChainId,
    view: MemberView,
}

/// One guest of one chain.
#[Object]
impl Member {
    /// The chain's own id of the guest, or ours when it has none.
    async fn id(&self) -> &str {
        &self.view.id
    }

    /// Our id.
    async fn member_id(&self) -> ID {
        self.view.member_id.into()
    }

    /// E-mail address, when known.
    async fn email(&self) -> Option<&str> {
        self.view.email.as_deref()
    }

    /// Phone number, when known.
    async fn phone(&self) -> Option<&str> {
        self.view.phone.as_deref()
    }

    /// Everything the chain knows the guest by, by priority.
    async fn identities(&self) -> Vec<MemberIdentity> {
        self.view.identities.iter().map(Into::into).collect()
    }

    /// Who they are, as REST shows it.
    async fn profile(&self) -> Result<Json<Value>, Problem> {
        let profile = serde_json::to_value(&self.view.profile);
        Ok(Json(profile.map_err(|_| ReadError::Corrupt("profile"))?))
    }

    /// Balance of the program's first wallet.
    async fn points(&self) -> i64 {
        self.view.points.0
    }

    /// Every wallet that anything was in.
    async fn wallets(&self) -> Vec<MemberWallet> {
        self.view.wallets.iter().map(Into::into).collect()
    }

    /// Tier, in a program with tiers.
    async fn tier(&self) -> Option<&str> {
        self.view.tier.as_deref()
    }

    /// The tier, when people gave it.
    async fn manual_tier(&self) -> Option<&str> {
        self.view.manual_tier.as_deref()
    }

    /// The tier that rules or the tier policy gave.
    async fn system_tier(&self) -> Option<&str> {
        self.view.system_tier.as_deref()
    }

    /// Active, at risk, churned.
    async fn status(&self) -> MemberStatus {
        self.view.status.into()
    }

    /// How likely a member who stays away is lost.
    async fn risk_level(&self) -> Option<RiskLevel> {
        self.view.risk_level.map(Into::into)
    }

    /// The segments they are in, by name.
    async fn segments(&self) -> Vec<MemberSegment> {
        let segments = self.view.segments.iter().map(|(name, membership)| MemberSegment {
            name: name.to_string(),
            kind: membership.kind.as_str(),
            since: membership.since.into(),
        });
        segments.collect()
    }

    /// Their achievements, by name.
    async fn achievements(&self) -> Vec<MemberAchievement> {
        let earned = self.view.achievements.iter();
        earned
            .map(|(name, at)| MemberAchievement { name: name.to_string(), earned_at: (*at).into() })
            .collect()
    }

    /// Marks that rules put.
    async fn marks(&self) -> Vec<&str> {
        self.view.marks.iter().map(|mark| mark.as_str()).collect()
    }

    /// Orders and visits since enrolment.
    async fn lifetime_visits(&self) -> u64 {
        self.view.lifetime_visits
    }

    /// Money spent since enrolment, less refunds.
    async fn lifetime_spend(&self) -> Decimal {
        Decimal(self.view.lifetime_spend)
    }

    /// The last day with a visit.
    async fn last_visit(&self) -> Option<Date> {
        self.view.last_visit.map(Date)
    }

    /// When first seen.
    async fn enrolled_at(&self) -> DateTime {
        self.view.enrolled_at.into()
    }

    /// Our id of the member whom they turned out to be.
    async fn merged_into(&self) -> Option<ID> {
        self.view.merged_into.map(ID::from)
    }

    /// When they were forgotten.
    async fn erased_at(&self) -> Option<DateTime> {
        self.view.erased_at.map(Into::into)
    }

    /// Their ledger lines, newest first.
    #[graphql(complexity = "super::page::cost(first, child_complexity)")]
    async fn ledger(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<String, LedgerLine>, Problem> {
        Asked::of(ctx).caller.require(Right::View, self.chain.as_str())?;
        let wanted = wanted::<TransferId>(first, after.as_deref())?;
        let page = load(ctx, &self.chain, OfMember { member: self.view.member_id, wanted }).await?;
        let page = page.unwrap_or(Page::whole(Vec::new()));
        connection(page, &wanted, |line| line.id.to_string(), |line| Ok(line.into()))
    }

    /// Their coupons, by code.
    #[graphql(complexity = "super::page::cost(first, child_complexity)")]
    async fn coupons(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<String, MemberCoupon>, Problem> {
        Asked::of(ctx).caller.require(Right::ViewMembers, self.chain.as_str())?;
        let wanted = wanted::<CouponCode>(first, after.as_deref())?;
        let asked = OfMember { member: self.view.member_id, wanted: wanted.clone() };
        let page = load(ctx, &self.chain, asked).await?.unwrap_or(Page::whole(Vec::new()));
        connection(page, &wanted, |view| view.coupon.code.to_string(), MemberCoupon::of)
    }

    /// The loyalty events about them, newest first.
    #[graphql(complexity = "super::page::cost(first, child_complexity)")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<String, Event>, Problem> {
        Asked::of(ctx).caller.require(Right::View, self.chain.as_str())?;
        let wanted = wanted::<EventId>(first, after.as_deref())?;
        let page = load(ctx, &self.chain, OfMember { member: self.view.member_id, wanted }).await?;
        Event::connection(page.unwrap_or(Page::whole(Vec::new())), &wanted)
    }
}

#[derive(Default)]
pub(super) struct MemberQueries;

#[Object]
impl MemberQueries {
    /// Members, newest first.
    #[graphql(complexity = "super::page::cost(first, child_complexity)")]
    async fn members(
        &self,
        ctx: &Context<'_>,
        chain_id: String,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<String, Member>, Problem> {
        let asked = Asked::of(ctx);
        let snapshot = asked.chain(Right::View, &chain_id)?;
        let (program, chain) = (snapshot.program.as_deref(), snapshot.chain.id.clone());
        let wanted = wanted(first, after.as_deref())?;
        let page = asked.state.reader.members(program, chain.clone(), wanted).await?;
        let cursor = |view: &MemberView| view.member_id.to_string();
        connection(page, &wanted, cursor, |view| Ok(Member { chain: chain.clone(), view }))
    }

    /// The member of that name: any id that the chain knows them by, such as its own, an e-mail address or a card.
    async fn member(
        &self,
        ctx: &Context<'_>,
        chain_id: String,
        id: String,
    ) -> Result<Option<Member>, Problem> {
        let asked = Asked::of(ctx);
        let snapshot = asked.chain(Right::ViewMembers, &chain_id)?;
        let (program, chain) = (snapshot.program.as_deref(), snapshot.chain.id.clone());
        let found = asked.state.reader.member(program, chain.clone(), MemberName::parse(&id)).await?;
        Ok(found.map(|view| Member { chain, view }))
    }
}
