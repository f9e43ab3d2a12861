//! Redemptions as outsiders see them.

use schemars::JsonSchema;
use serde::Serialize;

use super::page::{Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::ids::{MemberId, RedemptionId};
use crate::domain::money::Points;
use crate::domain::redemption::{Redemption, RedemptionStatus, RewardFace};
use crate::domain::text::{Name, Note};
use crate::store::redemption;
pub use crate::store::redemption::RedemptionFilter;

/// A redemption.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Redemption")]
pub struct RedemptionView {
    /// Its id.
    pub id: RedemptionId,
    /// Our id of the member.
    pub member: MemberId,
    /// What for.
    pub reward: RewardFace,
    /// Where it stands.
    pub status: RedemptionStatus,
    /// What it cost.
    pub points_spent: Points,
    /// The wallet that paid.
    pub wallet: Name,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it expires if it is not fulfilled by then; `null` = never.
    pub expires_at: Option<Timestamp>,
    /// Why it was rejected or cancelled.
    pub reason: Option<Note>,
    /// What the guest got.
    pub code: Option<Name>,
}

impl From<Redemption> for RedemptionView {
    fn from(redemption: Redemption) -> Self {
        Self {
            id: redemption.id,
            member: redemption.member,
            reward: redemption.reward,
            status: redemption.status,
            points_spent: redemption.points_spent,
            wallet: redemption.wallet,
            created_at: redemption.created_at,
            updated_at: redemption.updated_at,
            expires_at: redemption.expires_at,
            reason: redemption.reason,
            code: redemption.code,
        }
    }
}

impl Reader {
    /// Redemptions, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn redemptions(
        &self,
        chain: ChainId,
        filter: RedemptionFilter,
        wanted: Wanted<RedemptionId>,
    ) -> Result<Page<RedemptionView>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after);
        let found = self.run(move |conn| Ok(redemption::list(conn, &chain, filter, rows, after)?)).await?;
        wanted.page(found, |redemption| redemption.id.to_string()).map(|redemption| Ok(redemption.into()))
    }

    /// One redemption.
    ///
    /// # Errors
    /// The store failed.
    pub async fn redemption(
        &self,
        chain: ChainId,
        id: RedemptionId,
    ) -> Result<Option<RedemptionView>, ReadError> {
        self.run(move |conn| Ok(redemption::get(conn, &chain, id)?.map(Into::into))).await
    }
}
