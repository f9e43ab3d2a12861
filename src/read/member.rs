//! Members as outsiders see them.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Serialize;
use smol_str::SmolStr;

use super::page::{Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::cart::Cart;
use crate::domain::chain::ChainId;
use crate::domain::identity::{Identity, MemberName};
use crate::domain::ids::MemberId;
use crate::domain::member::{Member, NextExpiration, RiskLevel, Status};
use crate::domain::merge::Ended;
use crate::domain::money::{Money, Points};
use crate::domain::profile::Profile;
use crate::domain::segment::Membership;
use crate::domain::terms::wallet::WalletTerms;
use crate::domain::text::{Key, Name};
use crate::domain::tier::{self, Progress};
use crate::domain::wallet::Wallet;
use crate::rules::program::Program;
use crate::store::member;

/// A member.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Member")]
pub struct MemberView {
    /// The chain's own id of the guest, or ours when it has none.
    pub id: SmolStr,
    /// Our id.
    pub member_id: MemberId,
    /// E-mail address, when known.
    pub email: Option<SmolStr>,
    /// Phone number, when known.
    pub phone: Option<SmolStr>,
    /// Everything the chain knows the guest by, by priority. The first is the primary one.
    pub identities: Vec<IdentityView>,
    /// Who they are.
    pub profile: Profile,
    /// Balance of the program's first wallet.
    pub points: Points,
    /// Every wallet that anything was in.
    pub wallets: Vec<WalletView>,
    /// Tier, in a program with tiers.
    pub tier: Option<Name>,
    /// The tier, when people gave it.
    pub manual_tier: Option<Name>,
    /// When that tier ends, if it does by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_tier_until: Option<Timestamp>,
    /// The tier that rules or the tier policy gave.
    pub system_tier: Option<Name>,
    /// How the member stands with the tier policy; not in lists, nor without a policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier_progress: Option<Progress>,
    /// Active, at risk, churned.
    pub status: Status,
    /// How likely a member who stays away is lost.
    pub risk_level: Option<RiskLevel>,
    /// The segments they are in, by name: of which type, and since when.
    pub segments: BTreeMap<Name, Membership>,
    /// Achievements and when each was earned.
    pub achievements: BTreeMap<Name, Timestamp>,
    /// Counters of the program's own that are not 0.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<Name, i64>,
    /// Marks that rules put.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Name>,
    /// What they put together and did not order yet; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carts: Option<Vec<CartView>>,
    /// Orders and visits since enrolment.
    pub lifetime_visits: u64,
    /// Money spent since enrolment, less refunds.
    pub lifetime_spend: Money,
    /// The last day with a visit, in the chain's zone.
    pub last_visit: Option<NaiveDate>,
    /// When first seen.
    pub enrolled_at: Timestamp,
    /// Members who turned out to be this one, by our ids. What was written down under them is found by them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub absorbed: Vec<MemberId>,
    /// Whom they turned out to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<MemberId>,
    /// When they were forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Timestamp>,
}

/// Something that the chain knows a guest by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "MemberIdentity")]
pub struct IdentityView {
    /// What it is, and its value.
    #[serde(flatten)]
    pub identity: Identity,
    /// From 1: where identities of an event belong to several members, it is the one of the lowest number's.
    pub priority: usize,
    /// Whether the member goes by it first of all.
    pub is_primary: bool,
}

impl IdentityView {
    fn all_of(member: &Member) -> Vec<Self> {
        let identities = member.identities_by_priority().into_iter().enumerate();
        identities
            .map(|(place, identity)| Self {
                identity: identity.clone(),
                priority: identity.kind.priority(),
                is_primary: place == 0,
            })
            .collect()
    }
}

/// A wallet.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Wallet")]
pub struct WalletView {
    /// Its code in `program.toml`.
    pub wallet: Name,
    /// What can be spent; below zero = a deficit.
    pub balance: Points,
    /// What cannot be spent yet.
    pub pending: Points,
    /// What is gone next if it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_expiration: Option<NextExpiration>,
    /// What the balance is made of, in the order in which it is spent; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lots: Option<Vec<LotView>>,
    /// What cannot be spent yet, as it was earned; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Vec<WaitingView>>,
}

/// A cart that waits for its order.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "OpenCart")]
pub struct CartView {
    /// As it was last heard of.
    #[serde(flatten)]
    pub cart: Cart,
    /// When the guest last changed it.
    pub updated_at: Timestamp,
}

/// Points that are gone at the same instant.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Lot")]
pub struct LotView {
    /// How many.
    pub amount: Points,
    /// The first instant at which they are gone; `null` = never by themselves.
    pub expires_at: Option<Timestamp>,
}

/// Points that cannot be spent yet.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "WaitingPoints")]
pub struct WaitingView {
    /// How many.
    pub amount: Points,
    /// From when on they can; `null` = once they are confirmed.
    pub available_at: Option<Timestamp>,
    /// The order or event that earned them: it is what `POST …/points/confirm` names.
    pub origin: Key,
}

impl WalletView {
    fn of((code, wallet): (&Name, &Wallet)) -> Self {
        Self {
            wallet: code.clone(),
            balance: wallet.balance(),
            pending: wallet.pending(),
            next_expiration: None,
            lots: None,
            waiting: None,
        }
    }
}

fn contents(wallet: &Wallet) -> (Vec<LotView>, Vec<WaitingView>) {
    let lots = wallet.lots().map(|lot| LotView { amount: lot.remaining, expires_at: lot.expires_at });
    let waiting = wallet.waiting().iter().map(|waiting| WaitingView {
        amount: waiting.amount,
        available_at: waiting.until.instant(),
        origin: waiting.origin.clone(),
    });
    (lots.collect(), waiting.collect())
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        let (face, merged_into) = (member.face(None), member.heir());
        Self {
            id: face.id,
            member_id: member.id,
            identities: IdentityView::all_of(&member),
            email: face.email,
            phone: face.phone,
            profile: member.profile,
            points: face.points,
            wallets: member.standing.wallets.iter().map(WalletView::of).collect(),
            tier: face.tier,
            manual_tier: face.manual_tier,
            manual_tier_until: member.standing.manual_tier.as_ref().and_then(|manual| manual.until),
            system_tier: member.standing.system_tier().cloned(),
            tier_progress: None,
            status: member.standing.status,
            risk_level: member.standing.risk_level(),
            segments: member.standing.segments.into_iter().collect(),
            achievements: member.standing.achievements.into_iter().collect(),
            counters: member.standing.memo.counters().map(|(name, count)| (name.clone(), count)).collect(),
            marks: member.standing.memo.marks().to_vec(),
            carts: None,
            lifetime_visits: member.history.lifetime_visits,
            lifetime_spend: member.history.lifetime_spend,
            last_visit: member.history.last_visit(),
            enrolled_at: member.enrolled_at,
            merged_into,
            erased_at: match member.ended {
                Some(Ended::Erased(at)) => Some(at),
                Some(Ended::Merged(_)) | None => None,
            },
            absorbed: member.absorbed.ids().to_vec(),
        }
    }
}

impl MemberView {
    /// With what only the program can tell: what of each wallet is gone next.
    fn under(program: Option<&Program>, member: Member) -> Self {
        let zone = program.map_or(Tz::UTC, |program| program.schedule.timezone);
        let next = |(code, wallet): (&Name, &Wallet)| {
            let plain = WalletTerms::plain(code.clone()); // the program may have dropped it
            let terms = program.and_then(|program| program.terms.wallet(Some(code)));
            terms.unwrap_or(&plain).next_expiration(wallet, zone)
        };
        let next: Vec<_> = member.standing.wallets.iter().map(next).collect();
        let mut view = Self::from(member);
        view.wallets.iter_mut().zip(next).for_each(|(wallet, next)| wallet.next_expiration = next);
        view
    }
}

impl Reader {
    /// Members, the newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn members(
        &self,
        program: Option<&Program>,
        chain: ChainId,
        wanted: Wanted<MemberId>,
    ) -> Result<Page<MemberView>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after);
        let found = self.run(move |conn| Ok(member::list(conn, &chain, rows, after)?)).await?;
        wanted
            .page(found, |member| member.id.to_string())
            .map(|member| Ok(MemberView::under(program, member)))
    }

    /// The member of that name.
    ///
    /// # Errors
    /// The store failed.
    pub async fn member(
        &self,
        program: Option<&Program>,
        chain: ChainId,
        name: MemberName,
    ) -> Result<Option<MemberView>, ReadError> {
        let member = self.stored_member(chain, name).await?;
        Ok(member.map(|member| MemberView::under(program, member)))
    }

    /// The member of that name with all there is to know: what their balances are made of, and how they stand with the
    /// tier policy of `program` at `now`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn member_under(
        &self,
        program: Option<&Program>,
        chain: ChainId,
        name: MemberName,
        now: Timestamp,
    ) -> Result<Option<MemberView>, ReadError> {
        let member = self.stored_member(chain, name).await?;
        Ok(member.map(|member| {
            let progress = |program: &Program| {
                tier::progress(&member, &program.terms.tiers, program.schedule.timezone, now)
            };
            let tier_progress = program.and_then(progress);
            let contents = member.standing.wallets.iter().map(|(_, held)| contents(held)).collect::<Vec<_>>();
            let open = |(cart, updated_at): (&Cart, _)| CartView { cart: cart.clone(), updated_at };
            let carts = Some(member.carts.open().map(open).collect());
            let mut view = MemberView { tier_progress, carts, ..MemberView::under(program, member) };
            for (wallet, (lots, waiting)) in view.wallets.iter_mut().zip(contents) {
                (wallet.lots, wallet.waiting) = (Some(lots), Some(waiting));
            }
            view
        }))
    }

    /// The member whose records are asked for: by our id also one who was merged into another, because what was written
    /// down before stays theirs.
    ///
    /// # Errors
    /// The store failed.
    pub async fn member_of_record(
        &self,
        chain: ChainId,
        name: MemberName,
    ) -> Result<Option<MemberId>, ReadError> {
        let member = match name {
            MemberName::Ours(id) => self.run(move |conn| Ok(member::load(conn, &chain, id)?)).await?,
            MemberName::Known(_) => self.stored_member(chain, name).await?,
        };
        Ok(member.map(|member| member.id))
    }

    pub(super) async fn stored_member(
        &self,
        chain: ChainId,
        name: MemberName,
    ) -> Result<Option<Member>, ReadError> {
        self.run(move |conn| Ok(member::find(conn, &chain, &name)?)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity::IdentityKind;

    #[test]
    fn identities_are_shown_by_priority_and_the_first_is_the_primary_one() {
        use IdentityKind::{Card, Email, Phone};
        let given = [(Email, "b@x.org"), (Phone, "+15551234567"), (Email, "a@x.org"), (Card, "7001")];
        let identities = given.map(|(kind, value)| Identity::parse(kind, value).unwrap()).to_vec();
        let id = MemberId::new(ulid::Ulid(7));
        let view = MemberView::from(Member::new(id, identities, None, Timestamp::UNIX_EPOCH));
        let shown: Vec<_> =
            view.identities.iter().map(|i| (&*i.identity.value, i.priority, i.is_primary)).collect();
        let phone = ("+15551234567", 3, false);
        assert_eq!(shown, [("7001", 2, true), phone, ("b@x.org", 4, false), ("a@x.org", 4, false)]);
        assert_eq!(view.email.as_deref(), Some("b@x.org"), "of a kind, what was known first");
    }

    #[test]
    fn a_member_without_an_id_of_the_chain_goes_by_ours() {
        let email = Identity::parse(IdentityKind::Email, "ana@example.com").unwrap();
        let id = MemberId::new(ulid::Ulid(7));
        let view = MemberView::from(Member::new(id, vec![email], None, Timestamp::UNIX_EPOCH));
        assert_eq!(*view.id, id.to_string());
        assert_eq!(view.email.as_deref(), Some("ana@example.com"));
    }
}
