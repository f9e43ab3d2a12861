//! Guests of the store, with what was decided for them.

use std::sync::Arc;
use std::time::Instant;

use super::{BacktestFailure, Guests, Lived};
use crate::domain::Timestamp;
use crate::domain::chain::{Chain, ChainId};
use crate::domain::churn::Foresight;
use crate::domain::claim::Claim;
use crate::domain::coupon::{Coupon, CouponBook, CouponCode};
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{CouponBookKey, MemberId, ReferralId, SourceId};
use crate::domain::member::Member;
use crate::domain::merge::Ended;
use crate::domain::publication::Origin;
use crate::domain::referral::{Filed, ReferralCode, Sender};
use crate::domain::retention;
use crate::domain::source_event::SourceEvent;
use crate::domain::text::Key;
use crate::rules::backtest::{Elsewhere, Heard, Life, Plan, Sought, Versions};
use crate::rules::program::{Program, Sources};
use crate::rules::verdict::Value;
use crate::store::source_event::DecidedSource;
use crate::store::{self, DbConn, Store, StoreError};

/// Events of one guest in one look.
const EVENTS: usize = 256;
/// Versions in one look.
const VERSIONS: i64 = 100;

/// What is to be tried.
#[derive(Debug, Clone)]
pub enum Candidate {
    /// These files.
    Files(Sources),
    /// The files of a version that was published.
    Version(i64),
}

/// The time that is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// From when on the candidate decides; `None` = from the beginning.
    pub since: Option<Timestamp>,
    /// Up to when; `None` = up to now.
    pub until: Option<Timestamp>,
    /// By the engine's clock.
    pub now: Timestamp,
}

/// Whose connections are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// The process's own: it does nothing else.
    Own,
    /// Those for outsiders, so that the engine's stay free.
    Outsiders,
}

/// How much may be lived until somebody has waited long enough.
#[derive(Debug)]
pub(super) struct Patience {
    /// Events.
    pub(super) events: usize,
    /// How long.
    pub(super) ends: Option<Instant>,
}

impl Patience {
    const ENDLESS: Self = Self { events: usize::MAX, ends: None };

    fn spend(&mut self, events: usize) -> Result<(), BacktestFailure> {
        let is_late = self.ends.is_some_and(|ends| Instant::now() > ends);
        match self.events.checked_sub(events).filter(|_| !is_late) {
            Some(left) => self.events = left,
            None => return Err(BacktestFailure::Stopped { events: events as u64 }),
        }
        Ok(())
    }
}

/// What is stored of a chain. No connection is held while a life is lived: it may need others.
#[derive(Debug)]
pub struct Stored {
    store: Store,
    readers: Readers,
    chain: ChainId,
    /// Whether the range goes up to now.
    is_current: bool,
}

impl Stored {
    /// The guests of a chain, and what is to be compared.
    ///
    /// # Errors
    /// The candidate does not check; there is no such chain or version; the store failed.
    pub fn open(
        store: Store,
        readers: Readers,
        chain: &ChainId,
        candidate: Candidate,
        range: Range,
    ) -> Result<(Plan, Self), BacktestFailure> {
        let (chain, this) = Self::begin(store, readers, chain)?;
        let is_current = range.until.is_none_or(|until| until >= range.now);
        let endpoints = this.endpoints()?;
        let plan = Plan {
            versions: this.versions(&chain, endpoints.clone())?,
            candidate: Arc::new(this.candidate(&chain, candidate)?.asking(&endpoints)),
            since: range.since,
            until: range.until.unwrap_or(range.now).min(range.now),
            endpoints,
            foresight: this.foresight()?,
            chain,
        };
        Ok((plan, Self { is_current, ..this }))
    }

    /// The guests of a chain, whose lives are lived again up to some time.
    pub(super) fn again(
        store: Store,
        readers: Readers,
        chain: &ChainId,
        until: Timestamp,
    ) -> Result<(Plan, Self), BacktestFailure> {
        let (chain, this) = Self::begin(store, readers, chain)?;
        // Nobody is to be told anything.
        let versions = this.versions(&chain, Vec::new())?;
        let plan = Plan::again(chain, versions, this.foresight()?, until);
        Ok((plan, this))
    }

    fn begin(store: Store, readers: Readers, chain: &ChainId) -> Result<(Chain, Self), BacktestFailure> {
        let this = Self { store, readers, chain: chain.clone(), is_current: false };
        let found = this.read(|conn| store::chain::get(conn, chain))?;
        Ok((found.ok_or(BacktestFailure::NoChain)?, this))
    }

    fn read<T>(&self, f: impl FnOnce(&mut DbConn) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.readers {
            Readers::Own => self.store.read_now(f),
            Readers::Outsiders => self.store.read_now_for_outsiders(f),
        }
    }

    fn versions(&self, chain: &Chain, endpoints: Vec<Arc<Endpoint>>) -> Result<Versions, StoreError> {
        let mut published = Vec::new();
        let mut before = None;
        loop {
            let page = self.read(|conn| store::program::list(conn, &chain.id, before, VERSIONS))?;
            let Some(last) = page.last() else { break };
            before = Some(last.version);
            let for_all = page.iter().filter(|publication| publication.origin != Origin::Candidate);
            published.extend(for_all.map(|publication| (publication.at, publication.version)));
        }
        let (mut roll_outs, mut before) = (Vec::new(), None);
        loop {
            let page = self.read(|conn| store::roll_out::list(conn, &chain.id, before, VERSIONS))?;
            let Some(last) = page.last() else { break };
            before = Some(last.version);
            roll_outs.extend(page);
        }
        let (store, chain) = (self.store.clone(), chain.clone());
        let load = move |version| load(&store, &chain, version).map(|program| program.asking(&endpoints));
        Ok(Versions::new(published, load).beside(roll_outs))
    }

    fn candidate(&self, chain: &Chain, candidate: Candidate) -> Result<Program, BacktestFailure> {
        let program = match candidate {
            Candidate::Files(sources) => Program::load(&sources, chain, 0),
            Candidate::Version(version) => {
                let stored = self.read(|conn| store::program::get(conn, &chain.id, version))?;
                let stored = stored.ok_or(BacktestFailure::NoVersion(version))?;
                let sources = Sources::read(&stored.files_json);
                let sources = sources.map_err(|_| BacktestFailure::NoVersion(version))?;
                Program::load_published(&sources, chain, 0)
            }
        };
        program.map_err(BacktestFailure::DoesNotCheck)
    }

    fn endpoints(&self) -> Result<Vec<Arc<Endpoint>>, StoreError> {
        let vault = self.store.vault();
        let endpoints = self.read(|conn| store::endpoint::list(conn, vault, &self.chain))?;
        Ok(endpoints.into_iter().map(Arc::new).collect())
    }

    fn foresight(&self) -> Result<Foresight, StoreError> {
        let model = self.read(|conn| store::churn::latest(conn, &self.chain))?;
        Ok(model.map_or(Foresight::Nothing, |model| Foresight::Model(model.into())))
    }

    /// Has a life hear what was decided for a member, up to the event `last`.
    fn tell(
        &self,
        life: &mut Life<'_>,
        (member, last): (MemberId, Option<SourceId>),
        plan: &Plan,
        patience: &mut Patience,
    ) -> Result<(), BacktestFailure> {
        let Some(last) = last else { return Ok(()) };
        let most = patience.events;
        let ids = self.read(|conn| store::source_event::ids_of_member(conn, &self.chain, last, most))?;
        patience.spend(ids.len())?;
        for ids in ids.chunks(EVENTS) {
            for source in self.read(|conn| store::source_event::decided(conn, &self.chain, ids))? {
                patience.spend(0)?;
                let heard = heard(source, plan)?;
                self.with_archive(|archive| Ok(life.hear(member, &heard, archive)?))?;
            }
        }
        Ok(())
    }

    /// Has a life hear what was decided for those whom a member absorbed.
    fn tell_of_absorbed(
        &self,
        life: &mut Life<'_>,
        member: &Member,
        plan: &Plan,
        patience: &mut Patience,
    ) -> Result<(), BacktestFailure> {
        // Whom somebody had absorbed before stands behind them.
        for absorbed in member.absorbed.ids().iter().rev() {
            if let Some(absorbed) = self.read(|conn| store::member::load(conn, &self.chain, *absorbed))? {
                self.tell(life, (absorbed.id, absorbed.latest.source), plan, patience)?;
            }
        }
        Ok(())
    }

    /// Has a life hear everything, with all the patience that it takes.
    fn tell_all(&self, life: &mut Life<'_>, member: &Member, plan: &Plan) -> Result<(), BacktestFailure> {
        let mut patience = Patience::ENDLESS;
        self.tell_of_absorbed(life, member, plan, &mut patience)?;
        self.tell(life, (member.id, member.latest.source), plan, &mut patience)
    }

    /// Does something that may ask the store.
    fn with_archive<T>(
        &self,
        f: impl FnOnce(&mut Archive<'_>) -> Result<T, BacktestFailure>,
    ) -> Result<T, BacktestFailure> {
        let mut archive = Archive { stored: self, failed: None };
        let done = f(&mut archive)?;
        archive.failed.map_or(Ok(done), |error| Err(error.into()))
    }

    /// What was read for a line of a member's ledger; `None` when their life, lived again, does not come to it.
    pub(super) fn search(
        &self,
        plan: &Plan,
        sought: Sought,
        patience: &mut Patience,
    ) -> Result<Option<Vec<Value>>, BacktestFailure> {
        let Some(member) = self.read(|conn| store::member::load(conn, &self.chain, sought.member))? else {
            return Ok(None);
        };
        let last = sought.source.or(member.latest.source);
        let mut life = Life::searched_for(plan, sought);
        self.tell_of_absorbed(&mut life, &member, plan, patience)?;
        self.tell(&mut life, (member.id, last), plan, patience)?;
        self.with_archive(|archive| Ok(life.found(archive)?))
    }
}

impl Guests for Stored {
    fn count(&self) -> Result<u64, BacktestFailure> {
        Ok(self.read(|conn| store::member::count(conn, &self.chain))?)
    }

    fn page(&self, after: Option<MemberId>, limit: usize) -> Result<Vec<MemberId>, BacktestFailure> {
        Ok(self.read(|conn| store::member::ids(conn, &self.chain, after, limit as i64))?)
    }

    fn live(&self, plan: &Plan, guest: MemberId) -> Result<Lived, BacktestFailure> {
        let found = self.read(|conn| store::member::load(conn, &self.chain, guest))?;
        let Some(member) = found else { return Ok(Lived::LeftOut) };
        match &member.ended {
            Some(Ended::Merged(_)) => return Ok(Lived::WithAnother),
            Some(Ended::Erased(_)) => return Ok(Lived::LeftOut),
            None => {}
        }
        let mut life = Life::new(plan);
        match self.tell_all(&mut life, &member, plan) {
            // A life without its beginning is another life.
            Err(BacktestFailure::NoLongerKept(_)) => return Ok(Lived::LeftOut),
            told => told?,
        }
        let stored = self.is_current.then_some(&member);
        let outcome = self.with_archive(|archive| Ok(life.end(guest, stored, archive)?))?;
        Ok(Lived::Whole(outcome.into()))
    }

    fn is_checked(&self, _: &Plan) -> bool {
        self.is_current
    }
}

/// Loads a version that decided.
pub(super) fn load(store: &Store, chain: &Chain, version: i64) -> Result<Program, String> {
    if version == 0 {
        return Ok(Program::empty(chain));
    }
    let stored = store.read_now_for_outsiders(|conn| store::program::get(conn, &chain.id, version));
    let stored = stored.map_err(|error| error.to_string())?.ok_or("its files are not stored")?;
    let sources = Sources::read(&stored.files_json).map_err(|error| error.to_string())?;
    Program::load_published(&sources, chain, version)
        .map_err(|problems| problems.first().map_or_else(String::new, ToString::to_string))
}

/// A stored event as it was decided.
fn heard(source: DecidedSource, plan: &Plan) -> Result<Heard, BacktestFailure> {
    let DecidedSource { id, key, occurred_at, received_at, asked_by, program_version, body } = source;
    if retention::is_all_that_is_left(&body) {
        return Err(BacktestFailure::NoLongerKept(id));
    }
    let event = SourceEvent::parse(body.as_bytes(), &plan.chain.currency, received_at);
    let event =
        event.map_err(|bad| BacktestFailure::Unreadable { source_event: id, why: bad.to_string() })?;
    let event = SourceEvent { key, occurred_at, asked_by, ..event };
    Ok(Heard { id, event: event.into(), received_at, version: Some(program_version) })
}

/// What the store knows of things that nobody in a life made. It is asked in the middle of a decision, which cannot
/// fail: what went wrong is said afterwards.
struct Archive<'a> {
    stored: &'a Stored,
    failed: Option<StoreError>,
}

impl Archive<'_> {
    fn find<T>(
        &mut self,
        f: impl FnOnce(&mut DbConn, &ChainId) -> Result<Option<T>, StoreError>,
    ) -> Option<T> {
        self.stored.read(|conn| f(conn, &self.stored.chain)).unwrap_or_else(|error| {
            self.failed.get_or_insert(error);
            None
        })
    }
}

impl Elsewhere for Archive<'_> {
    fn coupon(&mut self, code: &CouponCode) -> Option<Coupon> {
        self.find(|conn, chain| store::coupon::get(conn, chain, code))
    }

    fn book(&mut self, key: CouponBookKey) -> Option<CouponBook> {
        self.find(|conn, chain| Ok(store::coupon::get_book(conn, chain, key)?.map(|stored| stored.book)))
    }

    fn sender(&mut self, code: &ReferralCode) -> Option<Sender> {
        let wanted = [code.clone()].into();
        self.find(|conn, chain| Ok(store::referral::lay_out(conn, chain, &wanted)?.remove(code).flatten()))
    }

    fn referral(&mut self, id: ReferralId) -> Option<Filed> {
        self.find(|conn, chain| Ok(store::referral::filed(conn, chain, &[id].into())?.remove(&id).flatten()))
    }

    fn claim(&mut self, code: &Key) -> Option<Claim> {
        self.find(|conn, chain| store::parked::find(conn, chain, code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_with_the_events_or_with_the_time() {
        let hour = std::time::Duration::from_secs(3600);
        let now = Instant::now();
        let of = |events, ends| Patience { events, ends };
        for (mut patience, first, second) in [
            (of(5, None), true, false),
            (of(6, Some(now + hour)), true, true),
            (of(2, None), false, false),
            (of(6, now.checked_sub(hour)), false, false),
            (Patience::ENDLESS, true, true),
        ] {
            let shown = format!("{patience:?}");
            let spent = [patience.spend(3).is_ok(), patience.spend(3).is_ok()];
            assert_eq!(spent, [first, second], "{shown}");
        }
    }
}
