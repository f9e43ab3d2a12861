//! A candidate as outsiders see it: for whom it decides, and both programs side by side.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::precondition::Tag;
use crate::domain::roll_out::{Ending, RollOut, Stage};
use crate::domain::text::{Name, Note};
use crate::store::comparison::{self, Arm, Counts, Stretch};
use crate::store::{self, DbConn};

/// The most rows of each table that are counted: whoever looks must not keep the disk for long.
const MOST_ROWS: i64 = 100_000;

/// A candidate, and what came of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Candidate")]
pub struct CandidateView {
    version: i64,
    /// What was in force when it began; 0 = nothing.
    base: i64,
    status: Status,
    /// For whom, since when, and who said so.
    #[serde(flatten)]
    stage: StageView,
    note: Option<Note>,
    /// For whom it was before that, oldest first.
    before: Vec<StageView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<Name>,
    /// Where its differences from `base` are.
    diff: String,
    compared: ComparisonView,
    #[serde(skip)]
    tag: Tag,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CandidateStatus")]
enum Status {
    Running,
    Promoted,
    Dropped,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CandidateStage")]
struct StageView {
    #[serde(flatten)]
    audience: crate::domain::roll_out::Audience,
    since: Timestamp,
    by: Option<Name>,
}

impl From<&Stage> for StageView {
    fn from(Stage { at, by, audience }: &Stage) -> Self {
        Self { audience: audience.clone(), since: *at, by: by.clone() }
    }
}

/// Both programs in the same time.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Comparison")]
struct ComparisonView {
    since: Timestamp,
    /// Up to when it is counted.
    until: Timestamp,
    /// Whether that is all; there may be too much to count.
    complete: bool,
    stable: ArmView,
    candidate: ArmView,
}

/// What one of them did.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ComparedArm")]
struct ArmView {
    /// Members of whom something was decided.
    members: i64,
    /// Source events of theirs that were decided.
    events: i64,
    /// Those of them on which a rule failed.
    failed: i64,
    /// By wallet.
    points: BTreeMap<String, Moved<i64>>,
    /// By type.
    loyalty_events: BTreeMap<String, i64>,
    deliveries: i64,
    /// The same for each member, to the hundredth; `null` without any.
    per_member: Option<AverageView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PerMember")]
struct AverageView {
    events: f64,
    points: BTreeMap<String, Moved<f64>>,
    loyalty_events: BTreeMap<String, f64>,
    deliveries: f64,
}

/// Points that members got, and that they lost or spent.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[schemars(inline)]
struct Moved<T> {
    given: T,
    taken: T,
}

impl From<Counts> for ArmView {
    fn from(counts: Counts) -> Self {
        let Counts { members, events, failed, given, taken, told, deliveries } = counts;
        let wallets: BTreeSet<_> = given.keys().chain(taken.keys()).cloned().collect();
        let of = |moved: &BTreeMap<String, i64>, wallet: &str| moved.get(wallet).copied().unwrap_or(0);
        let moved = |wallet: String| {
            let moved = Moved { given: of(&given, &wallet), taken: of(&taken, &wallet) };
            (wallet, moved)
        };
        let points: BTreeMap<_, _> = wallets.into_iter().map(moved).collect();
        let each = |total: i64| (total as f64 / members as f64 * 100.0).round() / 100.0;
        let per_member = (members > 0).then(|| AverageView {
            events: each(events),
            points: points
                .iter()
                .map(|(wallet, moved)| {
                    (wallet.clone(), Moved { given: each(moved.given), taken: each(moved.taken) })
                })
                .collect(),
            loyalty_events: told.iter().map(|(kind, total)| (kind.clone(), each(*total))).collect(),
            deliveries: each(deliveries),
        });
        Self { members, events, failed, points, loyalty_events: told, deliveries, per_member }
    }
}

impl CandidateView {
    /// One that is tried from now on.
    pub fn begun(chain: &ChainId, roll_out: &RollOut, note: Option<Note>) -> Self {
        let arm = || Counts::default().into();
        let since = roll_out.began.at;
        let (stable, candidate) = (arm(), arm());
        let compared = ComparisonView { since, until: since, complete: true, stable, candidate };
        Self::of(chain, roll_out, note, compared)
    }

    fn of(chain: &ChainId, roll_out: &RollOut, note: Option<Note>, compared: ComparisonView) -> Self {
        let RollOut { version, base, ref ended, .. } = *roll_out;
        Self {
            version,
            base,
            status: match ended.as_ref().map(|ended| ended.how) {
                None => Status::Running,
                Some(Ending::Promoted) => Status::Promoted,
                Some(Ending::Dropped) => Status::Dropped,
            },
            stage: roll_out.stage().into(),
            note,
            before: roll_out.stages().take(roll_out.changes.len()).map(StageView::from).collect(),
            ended_at: ended.as_ref().map(|ended| ended.at),
            ended_by: ended.as_ref().and_then(|ended| ended.by.clone()),
            diff: format!("/v1/chains/{chain}/program/diff?from={base}&to={version}"),
            compared,
            tag: roll_out.tag(),
        }
    }

    /// The state that it is in.
    pub fn tag(&self) -> Tag {
        self.tag.clone()
    }
}

impl Reader {
    /// The candidate that is tried, or was tried last; or that of a number.
    ///
    /// # Errors
    /// The store failed.
    pub async fn candidate(
        &self,
        chain: ChainId,
        version: Option<i64>,
        now: Timestamp,
    ) -> Result<Option<CandidateView>, ReadError> {
        let of = chain.clone();
        let find = move |conn: &mut DbConn| {
            let found = match version {
                Some(version) => store::roll_out::get(conn, &of, version)?,
                None => store::roll_out::list(conn, &of, None, 1)?.pop(),
            };
            let Some(roll_out) = found else { return Ok(None) };
            let publication = store::program::publication(conn, &of, roll_out.version)?;
            Ok(Some((roll_out, publication.and_then(|publication| publication.note))))
        };
        let Some((roll_out, note)) = self.run(find).await? else { return Ok(None) };
        let compared = self.compared(&chain, &roll_out, now).await?;
        Ok(Some(CandidateView::of(&chain, &roll_out, note, compared)))
    }

    /// Counts both sides, a little at a time: each look is short, so that what is written meanwhile does not pile up.
    async fn compared(
        &self,
        chain: &ChainId,
        roll_out: &RollOut,
        now: Timestamp,
    ) -> Result<ComparisonView, ReadError> {
        let since = roll_out.began.at;
        // What came in during the millisecond of its end belongs to it.
        let until = roll_out.ended.as_ref().map_or(now, |ended| ended.at);
        let whole = Stretch { since, until: until + chrono::Duration::milliseconds(1) };
        let of = chain.clone();
        let stretch = self.run(move |conn| Ok(comparison::at_most(conn, &of, whole, MOST_ROWS)?)).await?;
        let complete = stretch == whole;
        let stable = self.counts(chain, Arm::Stable(roll_out.version), stretch).await?.into();
        let candidate = self.counts(chain, Arm::Candidate(roll_out.version), stretch).await?.into();
        let until = if complete { until } else { stretch.until };
        Ok(ComparisonView { since, until, complete, stable, candidate })
    }

    async fn counts(&self, chain: &ChainId, arm: Arm, stretch: Stretch) -> Result<Counts, ReadError> {
        let of = chain.clone();
        let count = move |conn: &mut DbConn| {
            Ok((comparison::count(conn, &of, arm, stretch)?, comparison::endpoints(conn, &of)?))
        };
        let (mut counts, endpoints) = self.run(count).await?;
        for endpoint in endpoints {
            let of = chain.clone();
            let owed =
                move |conn: &mut DbConn| Ok(comparison::deliveries(conn, &of, &endpoint, arm, stretch)?);
            counts.deliveries += self.run(owed).await?;
        }
        Ok(counts)
    }
}
