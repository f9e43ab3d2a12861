//! Referrals as outsiders see them.

use schemars::JsonSchema;
use serde::Serialize;
use smol_str::SmolStr;

use super::page::{Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::identity::MemberName;
use crate::domain::ids::{MemberId, ReferralId};
use crate::domain::member::Member;
use crate::domain::referral::{Referral, ReferralCode, ReferralStatus};
use crate::domain::text::{Name, Note};
use crate::store::member;
use crate::store::referral::{self, StoredReferral};

/// What a member has to do with referrals.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Referring")]
pub struct ReferringView {
    /// What they give to others; null until something happens to them in a program with referrals.
    pub code: Option<ReferralCode>,
    /// The address to share.
    pub link: Option<String>,
    /// How many members they were rewarded for.
    pub rewarded: u32,
    /// By whom they were brought.
    pub received: Option<ReceivedView>,
}

/// By whom a member was brought.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ReceivedReferral")]
pub struct ReceivedView {
    /// The referral's id.
    pub referral_id: ReferralId,
    /// The chain's id of who brought them, or ours.
    pub sender_id: SmolStr,
    /// What became of it.
    #[serde(flatten)]
    pub course: CourseView,
}

/// What became of a referral.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ReferralCourse")]
pub struct CourseView {
    /// Where it stands.
    pub status: ReferralStatus,
    /// Where the code came from.
    pub channel: Option<Name>,
    /// Why it was rejected.
    pub reason: Option<Note>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was approved, rejected, revoked, or expired.
    pub settled_at: Option<Timestamp>,
}

/// A member whom another one brought.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "SentReferral")]
pub struct SentView {
    /// The referral's id.
    pub referral_id: ReferralId,
    /// Our id of who was brought.
    pub receiver: MemberId,
    /// What became of it.
    #[serde(flatten)]
    pub course: CourseView,
}

/// Whose a code is: what may be shown to whoever has it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ReferralCodeOwner")]
pub struct CodeView {
    /// The code.
    pub code: ReferralCode,
    /// Our id of its owner.
    pub member_id: MemberId,
    /// Their first name, when known.
    pub first_name: Option<Name>,
}

impl ReceivedView {
    fn of(referral: Referral, sender_id: SmolStr) -> Self {
        Self {
            referral_id: referral.id,
            sender_id,
            course: CourseView {
                status: referral.status,
                channel: referral.channel,
                reason: referral.reason,
                created_at: referral.created_at,
                settled_at: referral.settled_at,
            },
        }
    }
}

impl From<StoredReferral> for SentView {
    fn from(referral: StoredReferral) -> Self {
        Self {
            referral_id: referral.id,
            receiver: referral.receiver,
            course: CourseView {
                status: referral.status,
                channel: referral.channel,
                reason: referral.reason,
                created_at: referral.created_at,
                settled_at: referral.settled_at,
            },
        }
    }
}

impl Reader {
    /// What a member has to do with referrals; `link` is the program's.
    ///
    /// # Errors
    /// The store failed.
    pub async fn referring(
        &self,
        chain: ChainId,
        name: MemberName,
        link: Option<&str>,
    ) -> Result<Option<ReferringView>, ReadError> {
        let found = self.run(move |conn| {
            let Some(member) = member::find(conn, &chain, &name)? else { return Ok(None) };
            let received = member.referring.received.as_deref().cloned();
            let received = received.map(|referral| {
                let sender_id = referral::called(conn, &chain, referral.sender)?;
                Ok::<_, ReadError>(ReceivedView::of(referral, sender_id))
            });
            Ok(Some((member, received.transpose()?)))
        });
        Ok(found.await?.map(|(member, received)| {
            let code = member.referring.code;
            ReferringView {
                link: link.zip(code.as_ref()).map(|(link, code)| link.replace("{code}", code)),
                code,
                rewarded: member.referring.sent.total,
                received,
            }
        }))
    }

    /// Whom a member brought, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn sent_referrals(
        &self,
        chain: ChainId,
        sender: MemberId,
        wanted: Wanted<ReferralId>,
    ) -> Result<Page<SentView>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after);
        let found = self.run(move |conn| Ok(referral::sent_by(conn, &chain, sender, rows, after)?)).await?;
        wanted.page(found, |referral| referral.id.to_string()).map(|referral| Ok(referral.into()))
    }

    /// Whose a code is.
    ///
    /// # Errors
    /// The store failed.
    pub async fn referral_code(
        &self,
        chain: ChainId,
        code: ReferralCode,
    ) -> Result<Option<CodeView>, ReadError> {
        self.run(move |conn| {
            let Some(id) = referral::owner(conn, &chain, &code)? else { return Ok(None) };
            let owner = member::load_living(conn, &chain, id)?;
            let view = |member: Member| CodeView {
                code,
                member_id: member.id,
                first_name: member.profile.first_name,
            };
            Ok(owner.filter(|member| !member.is_erased()).map(view))
        })
        .await
    }
}
