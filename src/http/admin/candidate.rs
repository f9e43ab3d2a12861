//! A candidate: a version that is tried on some before it is in force for all.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Deserialize;

use super::program::{MAX_BYTES, answer, answering};
use super::{Nothing, found};
use crate::actors::publish::Proposal;
use crate::actors::snapshot::ChainSnapshot;
use crate::domain::chain::ChainId;
use crate::domain::once::Reply;
use crate::domain::role::Right;
use crate::domain::roll_out::{Audience, Locations, RollOut, Share};
use crate::domain::text::{Name, Note};
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::conditional::{IfMatch, with_tag};
use crate::http::once::Create;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{AppState, State};
use crate::read::roll_out::CandidateView;

/// What is to be tried: files, or those of a version; and on whom.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewCandidate")]
pub(in crate::http) struct Begin {
    #[serde(default)]
    files: Option<BTreeMap<String, String>>,
    #[serde(default)]
    version: Option<i64>,
    #[serde(default)]
    share: Option<u8>,
    #[serde(default)]
    locations: Option<BTreeSet<Name>>,
    #[serde(default)]
    note: Option<Note>,
    /// The version from which the files were edited.
    #[serde(default)]
    replaces: Option<i64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CandidateChange")]
pub(in crate::http) struct Change {
    #[serde(default)]
    share: Option<u8>,
    #[serde(default)]
    locations: Option<BTreeSet<Name>>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Promotion")]
pub(in crate::http) struct Promote {
    #[serde(default)]
    note: Option<Note>,
    /// The version that may be taken back by it.
    #[serde(default)]
    replaces: Option<i64>,
}

fn audience(share: Option<u8>, locations: Option<BTreeSet<Name>>) -> Result<Audience, Problem> {
    match (share, locations) {
        (Some(percent), None) => {
            Share::try_from(percent).map(Audience::Share).map_err(|bad| Problem::field("share", bad))
        }
        (None, Some(names)) => Locations::try_from(names)
            .map(Audience::Locations)
            .map_err(|bad| Problem::field("locations", bad)),
        _ => Err(Problem::field("share", "send either `share`, in per cent of the members, or `locations`")),
    }
}

/// `GET /v1/chains/{chain}/program/candidate?version=`: the one that is tried, or was tried last; or that of a number.
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let version = query.parsed("version", "must be the number of a version")?;
    query.finish()?;
    show(&state, &chain, version).await
}

/// `POST /v1/chains/{chain}/program/candidate`: it decides for those when this answers. `If-Match` is about the version in force.
pub(in crate::http) async fn begin(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    expected: IfMatch,
    new: Create,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?.chain.clone();
    let expected = expected.wanted()?;
    new.of_at_most(MAX_BYTES)
        .once(&caller, async |said: Begin, once| {
            let Begin { files, version, share, locations, note, replaces } = said;
            let audience = audience(share, locations)?;
            let proposal = match (files, version) {
                (Some(files), None) => Proposal::of_files(files)?,
                (None, Some(version)) => state.engine.proposal_of(&chain.id, version).await?,
                _ => return Err(Problem::field("files", "send either `files` or the number of a `version`")),
            };
            let by = Some(caller.name().clone());
            let proposal = Proposal { by, note: note.clone(), replaces, expected, ..proposal };
            let of = chain.id.clone();
            let begun = move |roll_out: &RollOut| begun(&of, roll_out, note.clone());
            let reply = once.replying(begun.clone());
            Ok(begun(&state.engine.begin_roll_out(&chain.id, proposal, audience, reply).await?))
        })
        .await
}

fn begun(chain: &ChainId, roll_out: &RollOut, note: Option<Note>) -> Reply {
    let location = format!("/v1/chains/{chain}/program/candidate?version={}", roll_out.version);
    Reply::created(location, &CandidateView::begun(chain, roll_out, note)).tagged(&roll_out.tag())
}

/// `PATCH /v1/chains/{chain}/program/candidate`: for more, for fewer, or elsewhere.
pub(in crate::http) async fn change(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    expected: IfMatch,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let expected = expected.wanted()?;
    let Change { share, locations } = body.json().await?;
    let (audience, by) = (audience(share, locations)?, Some(caller.name().clone()));
    let version = state.engine.change_roll_out(&chain.chain.id, audience, by, expected).await?.version;
    show(&state, &chain, Some(version)).await
}

/// `POST /v1/chains/{chain}/program/candidate/promote`: in force for everybody when this answers.
pub(in crate::http) async fn promote(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    expected: IfMatch,
    promotion: Create,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?.chain.clone();
    let expected = expected.wanted()?;
    promotion
        .or_empty()
        .once(&caller, async |Promote { note, replaces }, once| {
            let said = (Some(caller.name().clone()), note);
            let reply = answering(&once);
            let published = state.engine.promote(&chain.id, said, replaces, expected, reply).await?;
            answer(&state, &chain.id, published)
        })
        .await
}

/// `POST /v1/chains/{chain}/program/candidate/drop`: for nobody any more.
pub(in crate::http) async fn give_up(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    expected: IfMatch,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let expected = expected.wanted()?;
    let Nothing {} = body.optional_json().await?;
    let by = Some(caller.name().clone());
    let version = state.engine.drop_candidate(&chain.chain.id, by, expected).await?.version;
    show(&state, &chain, Some(version)).await
}

/// A candidate, and the state that it is in.
async fn show(
    state: &AppState,
    chain: &ChainSnapshot,
    version: Option<i64>,
) -> Result<HttpResponse, Problem> {
    let now = state.engine.clock().now();
    let view = state.reader.candidate(chain.chain.id.clone(), version, now).await?;
    let tag = view.as_ref().map(CandidateView::tag);
    let shown = found(view, "candidate")?;
    Ok(match tag {
        Some(tag) => with_tag(shown, &tag),
        None => shown,
    })
}
