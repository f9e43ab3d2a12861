//! What campaigns may give and have given, as outsiders see it.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use super::{ReadError, Reader};
use crate::domain::chain::ChainId;
use crate::domain::terms::Terms;
use crate::domain::terms::campaign::{CampaignTerms, Caps, Span};
use crate::domain::text::Name;
use crate::store::campaign;

/// A campaign of the program in force.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Campaign")]
pub struct CampaignView {
    id: Name,
    name: Name,
    /// The first day; `null` = since ever.
    from: Option<NaiveDate>,
    /// The last day; `null` = for ever.
    to: Option<NaiveDate>,
    /// The wallet whose points it counts.
    wallet: Option<Name>,
    /// What it may give, within each span that has a limit.
    budget: BTreeMap<&'static str, i64>,
    /// What it may give to one member.
    per_member: BTreeMap<&'static str, i64>,
    /// What it gave, less what was taken back.
    given: i64,
    /// What is left of the whole budget; `null` without one.
    left: Option<i64>,
}

impl CampaignView {
    fn of(campaign: &CampaignTerms, terms: &Terms, given: i64) -> Self {
        let caps = |caps: Caps| caps.iter().map(|(span, points)| (span.as_str(), points.0)).collect();
        Self {
            id: campaign.id.clone(),
            name: campaign.name.clone(),
            from: campaign.from,
            to: campaign.to,
            wallet: terms.wallet(campaign.wallet.as_ref()).map(|wallet| wallet.code.clone()),
            budget: caps(campaign.budget),
            per_member: caps(campaign.per_member),
            given,
            left: campaign.budget.within(Span::Total).map(|budget| (budget.0 - given).max(0)),
        }
    }
}

impl Reader {
    /// The campaigns of the program in force, in its order.
    ///
    /// # Errors
    /// The store failed.
    pub async fn campaigns(&self, chain: ChainId, terms: &Terms) -> Result<Vec<CampaignView>, ReadError> {
        let ids: Vec<_> = terms.campaigns.iter().map(|campaign| campaign.id.clone()).collect();
        let given = self.run(move |conn| Ok(campaign::totals(conn, &chain, &ids)?)).await?;
        let campaigns = terms.campaigns.iter().zip(given);
        Ok(campaigns.map(|(campaign, given)| CampaignView::of(campaign, terms, given)).collect())
    }
}
