//! Export schedules as GuestIQ documents them.

use std::net::IpAddr;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};

use super::scalars::DateTime;
use super::{Asked, DeletePayload};
use crate::clock::fresh_ulid;
use crate::domain::export_schedule::{Destination, ExportSchedule, ExportSettings, ModifiedSince, SftpHost};
use crate::domain::ids::ExportScheduleId;
use crate::domain::role::Right;
use crate::http::AppState;
use crate::http::admin::endpoints::names::check_name;
use crate::http::problem::Problem;
use crate::read::export_schedule::ExportScheduleView;

/// How often data are written out, by the chain's clock.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "crate::domain::export_schedule::Frequency")]
pub(super) enum ExportFrequency {
    /// On the hour.
    Hourly,
    /// Every day at 03:00.
    Daily,
    /// On Mondays at 03:00.
    Weekly,
}

/// What is written out.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "crate::domain::export_schedule::ExportDataType")]
pub(super) enum ExportDataType {
    /// Members as they are.
    GuestProfiles,
    /// Who is in which segment.
    Segments,
    /// What guests did: signals and sessions.
    Signals,
    /// Orders.
    Orders,
}

/// Where data are written to.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(super) enum DestinationType {
    /// A bucket: `s3Bucket`, and `s3Prefix` if the names of the objects are to begin with something.
    #[graphql(name = "S3")]
    S3,
    /// A folder on a server: `sftpHost` and `sftpPath`.
    #[graphql(name = "SFTP")]
    Sftp,
    /// A request: `webhookUrl`.
    #[graphql(name = "WEBHOOK")]
    Webhook,
}

/// Where data are written to. Only what belongs to the type may be given.
#[derive(InputObject)]
pub(super) struct ExportDestinationInput {
    /// What it is.
    #[graphql(name = "type")]
    kind: DestinationType,
    /// The name of the bucket.
    #[graphql(name = "s3Bucket")]
    s3_bucket: Option<String>,
    /// What the names of the objects begin with.
    #[graphql(name = "s3Prefix")]
    s3_prefix: Option<String>,
    /// The server, with a port if it is not 22.
    sftp_host: Option<String>,
    /// The folder.
    sftp_path: Option<String>,
    /// Where the request goes.
    webhook_url: Option<String>,
}

/// What of the data is written out.
#[derive(InputObject)]
pub(super) struct ExportFilterInput {
    /// Only what changed since then: `LAST_RUN`, or an instant.
    modified_since: Option<String>,
}

/// A schedule to be made.
#[derive(InputObject)]
pub(super) struct CreateExportScheduleInput {
    /// The chain.
    chain_id: String,
    /// How often.
    frequency: ExportFrequency,
    /// Where to.
    destination: ExportDestinationInput,
    /// What.
    data_types: Vec<ExportDataType>,
    /// What of it; everything, if nothing is said.
    filters: Option<ExportFilterInput>,
}

/// A schedule by which data are to be written out. It is kept; nothing is written out by it yet.
#[derive(SimpleObject)]
#[graphql(name = "ExportSchedule")]
pub(super) struct Schedule {
    /// Its id.
    schedule_id: ID,
    /// How often.
    frequency: ExportFrequency,
    /// Where to.
    destination: DestinationType,
    /// What.
    data_types: Vec<ExportDataType>,
    /// Only what changed since then; null = everything.
    modified_since: Option<String>,
    /// When the next export is due.
    next_run_at: DateTime,
    /// When the schedule was made.
    created_at: DateTime,
}

impl From<&Destination> for DestinationType {
    fn from(destination: &Destination) -> Self {
        match destination {
            Destination::S3 { .. } => Self::S3,
            Destination::Sftp { .. } => Self::Sftp,
            Destination::Webhook { .. } => Self::Webhook,
        }
    }
}

impl From<ExportScheduleView> for Schedule {
    fn from(view: ExportScheduleView) -> Self {
        let ExportSettings { frequency, destination, data_types, modified_since } = view.settings;
        Self {
            schedule_id: view.id.into(),
            frequency: frequency.into(),
            destination: (&destination).into(),
            data_types: data_types.into_iter().map(Into::into).collect(),
            modified_since: modified_since.map(|since| since.to_string()),
            next_run_at: view.next_run_at.into(),
            created_at: view.created_at.into(),
        }
    }
}

impl ExportDestinationInput {
    async fn read(self, state: &AppState) -> Result<Destination, Problem> {
        let Self { kind, s3_bucket, s3_prefix, sftp_host, sftp_path, webhook_url } = self;
        let bucket = [("s3Bucket", &s3_bucket), ("s3Prefix", &s3_prefix)];
        let server = [("sftpHost", &sftp_host), ("sftpPath", &sftp_path)];
        let request = [("webhookUrl", &webhook_url)];
        let strange: Vec<_> = match kind {
            DestinationType::S3 => server.iter().chain(&request).collect(),
            DestinationType::Sftp => bucket.iter().chain(&request).collect(),
            DestinationType::Webhook => bucket.iter().chain(&server).collect(),
        };
        if let Some((name, _)) = strange.into_iter().find(|(_, given)| given.is_some()) {
            return Err(bad(name, "does not belong to this type of destination"));
        }
        match kind {
            DestinationType::S3 => Ok(Destination::S3 {
                bucket: part("s3Bucket", s3_bucket)?,
                prefix: s3_prefix.map(|prefix| part("s3Prefix", Some(prefix))).transpose()?,
            }),
            DestinationType::Sftp => {
                let host: SftpHost = part("sftpHost", sftp_host)?;
                check_host(state, &host).await?;
                Ok(Destination::Sftp { host, path: part("sftpPath", sftp_path)? })
            }
            DestinationType::Webhook => {
                let url = webhook_url.ok_or_else(|| bad("webhookUrl", "is missing"))?;
                let url = state.policy.check_url(&url).map_err(|refusal| bad("webhookUrl", refusal))?;
                check_name(&state.policy, "destination.webhookUrl", &url).await?;
                Ok(Destination::Webhook { url })
            }
        }
    }
}

fn bad(name: &str, problem: impl ToString) -> Problem {
    Problem::field(format!("destination.{name}"), problem)
}

fn part<T>(name: &str, given: Option<String>) -> Result<T, Problem>
where
    T: std::str::FromStr<Err: ToString>,
{
    let given = given.ok_or_else(|| bad(name, "is missing"))?;
    given.parse().map_err(|problem: T::Err| bad(name, problem))
}

/// Refuses a server at a private address, unless the operator listed it.
async fn check_host(state: &AppState, server: &SftpHost) -> Result<(), Problem> {
    let address: Option<IpAddr> = match &server.host {
        url::Host::Ipv4(address) => Some((*address).into()),
        url::Host::Ipv6(address) => Some((*address).into()),
        url::Host::Domain(_) => None,
    };
    if let Some(address) = address {
        return state.policy.check_addr(address).map_err(|refusal| bad("sftpHost", refusal));
    }
    let url = format!("https://{}/", server.host);
    let url = state.policy.check_url(&url).map_err(|refusal| bad("sftpHost", refusal))?;
    check_name(&state.policy, "destination.sftpHost", &url).await
}

#[derive(Default)]
pub(super) struct ExportScheduleQueries;

#[Object]
impl ExportScheduleQueries {
    /// The chain's export schedules, newest first: 100 at most.
    #[graphql(complexity = "super::page::cost(Some(100), child_complexity)")]
    async fn export_schedules(&self, ctx: &Context<'_>, chain_id: String) -> Result<Vec<Schedule>, Problem> {
        let asked = Asked::of(ctx);
        let chain = &asked.chain(Right::Administer, &chain_id)?.chain;
        let now = asked.state.engine.clock().now();
        let found = asked.state.reader.export_schedules(chain.id.clone(), chain.timezone, now).await?;
        Ok(found.into_iter().map(Into::into).collect())
    }
}

#[derive(Default)]
pub(super) struct ExportScheduleMutations;

#[Object]
impl ExportScheduleMutations {
    /// Makes a schedule by which data are to be written out. It is kept; nothing is written out by it yet.
    #[graphql(complexity = "100 + child_complexity")]
    async fn create_export_schedule(
        &self,
        ctx: &Context<'_>,
        input: CreateExportScheduleInput,
    ) -> Result<Schedule, Problem> {
        let asked = Asked::of(ctx);
        let CreateExportScheduleInput { chain_id, frequency, destination, data_types, filters } = input;
        let chain = asked.chain(Right::Administer, &chain_id)?.chain.clone();
        if data_types.is_empty() {
            return Err(Problem::field("dataTypes", "must name at least one"));
        }
        let since = filters.and_then(|filters| filters.modified_since);
        let since = since.map(|since| since.parse::<ModifiedSince>()).transpose();
        let settings = ExportSettings {
            frequency: frequency.into(),
            destination: destination.read(&asked.state).await?,
            data_types: data_types.into_iter().map(Into::into).collect(),
            modified_since: since.map_err(|bad| Problem::field("filters.modifiedSince", bad))?,
        };
        let now = asked.state.engine.clock().now();
        let id = ExportScheduleId::new(fresh_ulid(now));
        let made = ExportSchedule { id, chain: chain.id.clone(), settings, created_at: now };
        asked.state.engine.create_export_schedule(made.clone(), asked.caller.by()).await?;
        Ok(ExportScheduleView::of(made, chain.timezone, now).into())
    }

    /// Deletes an export schedule.
    #[graphql(complexity = "100 + child_complexity")]
    async fn delete_export_schedule(
        &self,
        ctx: &Context<'_>,
        chain_id: String,
        schedule_id: ID,
    ) -> Result<DeletePayload, Problem> {
        let asked = Asked::of(ctx);
        let chain = asked.chain(Right::Administer, &chain_id)?.chain.id.clone();
        let id = schedule_id.parse().map_err(|_| Problem::NotFound("export schedule"))?;
        asked.state.engine.delete_export_schedule(&chain, id, asked.caller.by()).await?;
        Ok(DeletePayload { success: true })
    }
}
