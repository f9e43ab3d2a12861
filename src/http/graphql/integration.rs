//! Integrations as GuestIQ documents them.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};

use super::export_schedule::ExportDataType;
use super::scalars::DateTime;
use super::{Asked, DeletePayload};
use crate::clock::fresh_ulid;
use crate::domain::endpoint::Credential;
use crate::domain::ids::IntegrationId;
use crate::domain::integration::{Credentials, Integration, Platform, Sync};
use crate::domain::role::Right;
use crate::http::AppState;
use crate::http::admin::endpoints::names::check_name;
use crate::http::problem::Problem;
use crate::read::integration::IntegrationView;

/// A platform that a chain's data can be kept in step with.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Platform")]
pub(super) enum IntegrationPlatform {
    /// Loyalty.
    Punchh,
    /// Loyalty.
    Thanx,
    /// Loyalty.
    Paytronix,
    /// Ordering.
    Olo,
    /// Marketing.
    Braze,
    /// Marketing.
    Klaviyo,
    /// Customer data.
    Segment,
    /// Customer relations.
    Salesforce,
}

/// How an integration does.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "crate::read::integration::IntegrationStatus")]
pub(super) enum IntegrationStatus {
    /// It is configured; nothing was kept in step yet.
    Configured,
}

/// What lets us in there. It is sealed, and not shown again.
#[derive(InputObject)]
pub(super) struct IntegrationCredentialsInput {
    /// Who we are.
    api_key: Option<String>,
    /// What proves it.
    api_secret: Option<String>,
    /// The chain's account.
    account_id: Option<String>,
    /// Where the chain's own instance is. For BRAZE and SALESFORCE.
    instance_url: Option<String>,
}

/// What is to be kept in step, and how.
#[derive(InputObject)]
pub(super) struct SyncConfigInput {
    /// Members.
    sync_guests: bool,
    /// Who is in which segment.
    sync_segments: bool,
    /// Signals and sessions.
    sync_signals: bool,
    /// Orders.
    sync_orders: bool,
    /// As it happens; otherwise in batches.
    real_time: bool,
}

/// An integration to be configured. The chain's earlier one with the same platform is replaced.
#[derive(InputObject)]
pub(super) struct ConfigureIntegrationInput {
    /// The chain.
    chain_id: String,
    /// With whom.
    platform: IntegrationPlatform,
    /// What lets us in there.
    credentials: IntegrationCredentialsInput,
    /// What is to be kept in step.
    sync_config: SyncConfigInput,
}

/// A platform that a chain's data are to be kept in step with. It is configured; nothing goes there yet.
#[derive(SimpleObject)]
#[graphql(name = "Integration")]
pub(super) struct Configured {
    /// Its id.
    integration_id: ID,
    /// With whom.
    platform: IntegrationPlatform,
    /// How it does.
    status: IntegrationStatus,
    /// What is kept in step.
    synced_data_types: Vec<ExportDataType>,
    /// Whether as it happens; otherwise in batches.
    real_time: bool,
    /// When something was last sent there.
    last_sync_at: Option<DateTime>,
    /// When it was configured first.
    created_at: DateTime,
    /// When it was configured last.
    updated_at: DateTime,
}

impl From<IntegrationView> for Configured {
    fn from(view: IntegrationView) -> Self {
        Self {
            integration_id: view.id.into(),
            platform: view.platform.into(),
            status: view.status.into(),
            synced_data_types: view.synced_data_types.into_iter().map(Into::into).collect(),
            real_time: view.sync.real_time,
            last_sync_at: view.last_sync_at.map(Into::into),
            created_at: view.created_at.into(),
            updated_at: view.updated_at.into(),
        }
    }
}

impl From<SyncConfigInput> for Sync {
    fn from(given: SyncConfigInput) -> Self {
        let SyncConfigInput { sync_guests, sync_segments, sync_signals, sync_orders, real_time } = given;
        Self {
            guests: sync_guests,
            segments: sync_segments,
            signals: sync_signals,
            orders: sync_orders,
            real_time,
        }
    }
}

impl IntegrationCredentialsInput {
    async fn read(self, state: &AppState, platform: Platform) -> Result<Credentials, Problem> {
        let Self { api_key, api_secret, account_id, instance_url } = self;
        if api_key.is_none() && api_secret.is_none() && account_id.is_none() {
            return Err(Problem::field(
                "credentials",
                "must say at least one of `apiKey`, `apiSecret` and `accountId`",
            ));
        }
        let instance_url = match instance_url {
            Some(_) if !platform.has_instances() => {
                return Err(bad("instanceUrl", "is for BRAZE and SALESFORCE"));
            }
            Some(url) => {
                let url = state.policy.check_url(&url).map_err(|refusal| bad("instanceUrl", refusal))?;
                check_name(&state.policy, "credentials.instanceUrl", &url).await?;
                Some(url)
            }
            None => None,
        };
        Ok(Credentials {
            api_key: part("apiKey", api_key)?,
            api_secret: part("apiSecret", api_secret)?,
            account_id: part("accountId", account_id)?,
            instance_url,
        })
    }
}

fn bad(name: &str, problem: impl ToString) -> Problem {
    Problem::field(format!("credentials.{name}"), problem)
}

fn part(name: &str, given: Option<String>) -> Result<Option<Credential>, Problem> {
    given.map(|text| Credential::parse(&text)).transpose().map_err(|problem| bad(name, problem))
}

#[derive(Default)]
pub(super) struct IntegrationQueries;

#[Object]
impl IntegrationQueries {
    /// The chain's integrations, by platform.
    #[graphql(complexity = "super::page::cost(Some(8), child_complexity)")]
    async fn integrations(&self, ctx: &Context<'_>, chain_id: String) -> Result<Vec<Configured>, Problem> {
        let asked = Asked::of(ctx);
        let chain = asked.chain(Right::Administer, &chain_id)?.chain.id.clone();
        Ok(asked.state.reader.integrations(chain).await?.into_iter().map(Into::into).collect())
    }
}

#[derive(Default)]
pub(super) struct IntegrationMutations;

#[Object]
impl IntegrationMutations {
    /// Configures an integration. It is kept; nothing goes there yet.
    #[graphql(complexity = "100 + child_complexity")]
    async fn configure_integration(
        &self,
        ctx: &Context<'_>,
        input: ConfigureIntegrationInput,
    ) -> Result<Configured, Problem> {
        let asked = Asked::of(ctx);
        let ConfigureIntegrationInput { chain_id, platform, credentials, sync_config } = input;
        let chain = asked.chain(Right::Administer, &chain_id)?.chain.id.clone();
        let platform = Platform::from(platform);
        let credentials = credentials.read(&asked.state, platform).await?;
        let now = asked.state.engine.clock().now();
        let id = IntegrationId::new(fresh_ulid(now));
        let sync = sync_config.into();
        let new = Integration { id, chain, platform, sync, created_at: now, updated_at: now };
        let configured =
            asked.state.engine.configure_integration(new, credentials, asked.caller.by()).await?;
        Ok(IntegrationView::from(configured).into())
    }

    /// Deletes an integration, and with it what let us in there.
    #[graphql(complexity = "100 + child_complexity")]
    async fn delete_integration(
        &self,
        ctx: &Context<'_>,
        chain_id: String,
        integration_id: ID,
    ) -> Result<DeletePayload, Problem> {
        let asked = Asked::of(ctx);
        let chain = asked.chain(Right::Administer, &chain_id)?.chain.id.clone();
        let id = integration_id.parse().map_err(|_| Problem::NotFound("integration"))?;
        asked.state.engine.delete_integration(&chain, id, asked.caller.by()).await?;
        Ok(DeletePayload { success: true })
    }
}
