//! The program in force, its versions, and how the next one comes.

use std::collections::BTreeMap;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::found;
use crate::actors::once;
use crate::actors::publish::{ChainReport, Proposal, Published, PutInForce, tag_of};
use crate::actors::snapshot::ChainSnapshot;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::ids::EndpointId;
use crate::domain::once::Reply;
use crate::domain::publication::Publication;
use crate::domain::role::Right;
use crate::domain::text::{Name, Note};
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::conditional::{IfMatch, with_tag};
use crate::http::once::{Create, Once};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{AppState, State};
use crate::read::backtest::{Backtested, Candidate, Range, Table};
use crate::read::campaign::CampaignView;
use crate::read::program::{ProgramView, PublicationView, SuspensionView};

const WHAT: &str = "version";

/// The largest body with a program in it, in bytes.
pub(super) const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Files to check.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProgramFiles")]
pub(in crate::http) struct Files {
    files: BTreeMap<String, String>,
}

/// Files to publish.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewVersion")]
pub(in crate::http) struct Publish {
    files: BTreeMap<String, String>,
    #[serde(default)]
    note: Option<Note>,
    /// The version from which they were edited.
    #[serde(default)]
    replaces: Option<i64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rollback")]
pub(in crate::http) struct RollBack {
    version: i64,
    #[serde(default)]
    note: Option<Note>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ResumeRule")]
pub(in crate::http) struct Resume {
    rule: Name,
}

/// What to try on what happened: files, or a version.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BacktestRequest")]
pub(in crate::http) struct TryOut {
    #[serde(default)]
    files: Option<BTreeMap<String, String>>,
    #[serde(default)]
    version: Option<i64>,
    /// From when on it decides.
    #[serde(default)]
    since: Option<Timestamp>,
    /// Up to when.
    #[serde(default)]
    until: Option<Timestamp>,
}

/// The program in force.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProgramInForce")]
pub(in crate::http) struct InForce<'a> {
    #[serde(flatten)]
    program: ProgramView<'a>,
    /// Tags that no endpoint carries: what triggers forward there, nobody gets.
    unheard_tags: Vec<Name>,
    /// Endpoints whose filters do not check with it.
    broken_filters: Vec<EndpointId>,
}

/// What is in force now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Published")]
pub(in crate::http) struct PublishedView {
    #[serde(flatten)]
    publication: PublicationView,
    /// What goes on deciding for some beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate: Option<i64>,
    /// Tags that no endpoint carries.
    unheard_tags: Vec<Name>,
    /// Endpoints whose filters do not check with it.
    broken_filters: Vec<EndpointId>,
}

impl PublishedView {
    fn of(chain: &ChainSnapshot, publication: Publication) -> Self {
        Self {
            publication: PublicationView::of(publication),
            candidate: chain.candidate.as_ref().map(|tried| tried.roll_out.version),
            unheard_tags: chain.unheard_tags(),
            broken_filters: chain.broken_filters(),
        }
    }
}

/// All campaigns: a program has a few dozen at most.
#[derive(Serialize, JsonSchema)]
pub(in crate::http) struct Campaigns {
    items: Vec<CampaignView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Check")]
pub(in crate::http) struct CheckView {
    good: bool,
    #[serde(flatten)]
    report: ChainReport,
}

/// `GET /v1/chains/{chain}/program`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let (program, problems) = (chain.program.as_deref(), &chain.problems);
    let candidate = chain.candidate.as_ref().map(|candidate| (&*candidate.program, &candidate.roll_out));
    let program = state.reader.program(chain.chain.id.clone(), program, candidate, problems).await?;
    let (unheard_tags, broken_filters) = (chain.unheard_tags(), chain.broken_filters());
    let view = InForce { program, unheard_tags, broken_filters };
    let tag = tag_of(chain.program.as_ref().map(|program| program.version));
    Ok(with_tag(HttpResponse::Ok().json(view), &tag))
}

/// `GET /v1/chains/{chain}/program/campaigns`: what each may give and has given.
pub(in crate::http) async fn campaigns(
    state: State,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let items = match chain.program.as_deref() {
        Some(program) => state.reader.campaigns(chain.chain.id.clone(), &program.terms).await?,
        None => Vec::new(),
    };
    Ok(HttpResponse::Ok().json(Campaigns { items }))
}

/// `GET /v1/chains/{chain}/program/versions`
pub(in crate::http) async fn versions(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let wanted = query.page()?;
    query.finish()?;
    Ok(HttpResponse::Ok().json(state.reader.versions(chain.chain.id.clone(), wanted).await?))
}

/// `GET /v1/chains/{chain}/program/versions/{n}`: with its files.
pub(in crate::http) async fn version(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (chain, version) = path.into_inner();
    let chain = state.chain(&caller, Right::Manage, &chain)?;
    let version = version.parse().map_err(|_| Problem::NotFound(WHAT))?;
    found(state.reader.version(chain.chain.id.clone(), version).await?, WHAT)
}

/// `GET /v1/chains/{chain}/program/diff?from=&to=`: without `to` up to the version in force, without `from` since the
/// one that was in force before that.
pub(in crate::http) async fn diff(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let wanted = "must be the number of a version";
    let in_force = chain.program.as_ref().map_or(0, |program| program.version);
    let to = query.parsed("to", wanted)?.unwrap_or(in_force);
    let from = query.parsed("from", wanted)?;
    query.finish()?;
    found(state.reader.difference(chain.chain.id.clone(), from, to).await?, WHAT)
}

/// `POST /v1/chains/{chain}/program/check`: what `punchcard check` says. Nothing is published.
pub(in crate::http) async fn check(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let Files { files } = body.long_json(MAX_BYTES).await?;
    let report = state.engine.check_program(&chain.chain.id, Proposal::of_files(files)?).await?;
    Ok(HttpResponse::Ok().json(CheckView { good: report.is_good(), report }))
}

/// `POST /v1/chains/{chain}/program/backtest`: what it would have made of what happened, as JSON, or as a list of who
/// differs.
pub(in crate::http) async fn backtest(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let TryOut { files, version, since, until } = body.long_json(MAX_BYTES).await?;
    let candidate = match (files, version) {
        (Some(files), None) => Candidate::Files(Proposal::of_files(files)?.sources),
        (None, Some(version)) => Candidate::Version(version),
        _ => return Err(Problem::field("files", "send either `files` or the number of a `version`")),
    };
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        return Err(Problem::field("since", "must be before `until`"));
    }
    let range = Range { since, until, now: state.engine.clock().now() };
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let tables = [
        (Table::Csv, "text/csv", "text/csv; charset=utf-8"),
        (Table::Ndjson, "application/x-ndjson", "application/x-ndjson"),
    ];
    let wanted = tables.into_iter().find(|(_, name, _)| accept.is_some_and(|accept| accept.contains(name)));
    let kind = wanted.map(|(kind, ..)| kind);
    let Backtested { report, table } =
        state.reader.backtest(chain.chain.id.clone(), candidate, range, kind).await?;
    Ok(match wanted {
        Some((.., content_type)) => HttpResponse::Ok().content_type(content_type).body(table),
        None => HttpResponse::Ok().json(report),
    })
}

/// `POST /v1/chains/{chain}/program/publish`: in force when this answers.
pub(in crate::http) async fn publish(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    expected: IfMatch,
    new: Create,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?.chain.clone();
    let expected = expected.wanted()?;
    new.of_at_most(MAX_BYTES)
        .once(&caller, async |Publish { files, note, replaces }, once| {
            let by = Some(caller.name().clone());
            let proposal = Proposal { by, note, replaces, expected, ..Proposal::of_files(files)? };
            let published = state.engine.publish(&chain.id, proposal, answering(&once)).await?;
            answer(&state, &chain.id, published)
        })
        .await
}

/// `POST /v1/chains/{chain}/program/rollback`: the files of an older version, published again.
pub(in crate::http) async fn roll_back(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    expected: IfMatch,
    new: Create,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?.chain.clone();
    let expected = expected.wanted()?;
    new.once(&caller, async |RollBack { version, note }, once| {
        let said = (Some(caller.name().clone()), note);
        let published = state.engine.roll_back(&chain.id, version, said, expected, answering(&once)).await?;
        answer(&state, &chain.id, published)
    })
    .await
}

/// `POST /v1/chains/{chain}/program/rules/resume`: a suspended rule runs again. Answers what it was suspended for.
pub(in crate::http) async fn resume_rule(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let Resume { rule } = body.json().await?;
    let resumed = state.engine.resume_rule(&chain.chain.id, rule, caller.name().clone()).await?;
    Ok(HttpResponse::Ok().json(SuspensionView::of(&resumed)))
}

/// What is answered to a request with a key when a version is put in force.
pub(super) fn answering(once: &Once) -> once::Once<PutInForce> {
    once.replying(|(publication, chain): &PutInForce| new_version(chain, publication.clone()))
}

/// 201 for a new version; 200 when these very files are in force already.
pub(super) fn answer(state: &AppState, chain: &ChainId, published: Published) -> Result<Reply, Problem> {
    let chain = state.engine.known_chain(chain.as_str())?;
    Ok(match published {
        Published::New(publication) => new_version(&chain, publication),
        Published::Unchanged(publication) => {
            let tag = tag_of(Some(publication.version));
            Reply::done(&PublishedView::of(&chain, publication)).tagged(&tag)
        }
    })
}

fn new_version(chain: &ChainSnapshot, publication: Publication) -> Reply {
    let location = format!("/v1/chains/{}/program/versions/{}", chain.chain.id, publication.version);
    let tag = tag_of(Some(publication.version));
    Reply::created(location, &PublishedView::of(chain, publication)).tagged(&tag)
}
