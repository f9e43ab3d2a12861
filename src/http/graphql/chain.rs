//! Chains.

use async_graphql::connection::Connection;
use async_graphql::{Context, Object, SimpleObject};

use super::Asked;
use super::page::{connection, wanted};
use super::scalars::DateTime;
use crate::domain::chain::ChainId;
use crate::domain::role::Right;
use crate::http::problem::Problem;
use crate::read::chain::ChainView;

/// One brand and its loyalty program.
#[derive(SimpleObject)]
pub(super) struct Chain {
    /// What other queries call it.
    id: String,
    /// Its name for people.
    name: String,
    /// The IANA name of its time zone.
    timezone: &'static str,
    /// ISO 4217 code of the currency of every amount.
    currency: String,
    /// When it was created.
    created_at: DateTime,
}

impl From<ChainView> for Chain {
    fn from(view: ChainView) -> Self {
        Self {
            id: view.id.to_string(),
            name: view.name.to_string(),
            timezone: view.timezone,
            currency: view.currency,
            created_at: view.created_at.into(),
        }
    }
}

#[derive(Default)]
pub(super) struct ChainQueries;

#[Object]
impl ChainQueries {
    /// All chains that the key is for, by id.
    #[graphql(complexity = "super::page::cost(first, child_complexity)")]
    async fn chains(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<String, Chain>, Problem> {
        let Asked { state, caller } = Asked::of(ctx);
        caller.require_role(Right::Administer)?;
        let wanted = wanted::<ChainId>(first, after.as_deref())?;
        let views = state.chains_of(caller).iter().map(|chain| ChainView::from(&*chain.chain)).collect();
        let page = wanted.of_all(views, |chain| chain.id.clone(), |chain| chain.id.to_string());
        connection(page, &wanted, |chain| chain.id.to_string(), |chain| Ok(chain.into()))
    }

    /// One chain.
    async fn chain(&self, ctx: &Context<'_>, chain_id: String) -> Result<Chain, Problem> {
        let chain = Asked::of(ctx).chain(Right::Administer, &chain_id)?;
        Ok(ChainView::from(&*chain.chain).into())
    }
}
