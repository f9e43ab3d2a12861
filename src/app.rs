//! The one place that wires everything: store, journal, actors, rules, HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::web::Data;

use crate::actors::chain::Residency;
use crate::actors::endpoints::{Endpoints, EndpointsParts};
use crate::actors::engine::{Engine, EngineError, EngineParts};
use crate::actors::journal::{Journal, Nudges};
use crate::actors::outbound::{Reach, Trust, TrustError};
use crate::clock::{Clock, fresh_ulid};
use crate::config::Config;
use crate::config::master_key::{self, MasterKeyError};
use crate::domain::address::AddressPolicy;
use crate::domain::api_key::{ApiKey, KeyText};
use crate::domain::audit::{Action, By, Change, Entry, Face};
use crate::domain::ids::{AuditId, KeyId};
use crate::domain::role::Role;
use crate::domain::text::Name;
use crate::http::{self, AppState, Certificate, CertificateError, Door, Exposure, ServerLimits};
use crate::lock::{DatabaseLock, LockError};
use crate::store::vault::Vault;
use crate::store::{self, DatabaseUrl, Store, StoreError};
use crate::telemetry::{Metrics, Spans};

/// Draining may take this long; the promise is an exit within ten seconds.
const DRAIN: Duration = Duration::from_secs(7);

/// Answers may take this long to leave.
const FLUSH: Duration = Duration::from_secs(1);

/// Why the engine does not start: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// It is not clear who vouches for receivers.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// There is no certificate to show.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Spans cannot be exported so.
    #[error(
        "cannot export spans: {0}; mend what the environment says in OTEL_…, or leave --otlp-endpoint out"
    )]
    Export(String),
    /// Another process serves the database.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What opened the database is gone.
    #[error("opening the database stopped unexpectedly; the log says why")]
    Stopped,
    /// A stored chain cannot be brought up.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {why}; choose another address with --bind")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        why: std::io::Error,
    },
    /// The rules folder is there but cannot be read.
    #[error("cannot read the rules folder {}: {why}; name another one with --rules", path.display())]
    Rules {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        why: std::io::Error,
    },
}

/// The whole running engine.
pub struct App {
    engine: Engine,
    address: SocketAddr,
    is_tls: bool,
    first_admin_key: Option<KeyText>,
    server: ServerHandle,
    spans: Option<Spans>,
    _lock: Option<DatabaseLock>,
}

impl App {
    /// Listens, opens the store, migrates it, loads the programs, starts the actors. Meanwhile requests are answered
    /// `starting`. Must be called inside an actix System.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        if config.rules.exists() {
            std::fs::read_dir(&config.rules)
                .map_err(|why| StartError::Rules { path: config.rules.clone(), why })?;
        }
        let trust = Trust::of(config.tls_roots, config.extra_ca.as_deref())?;
        let certificate = config.tls.clone().map(Certificate::of).transpose()?;
        let spans = config.otlp_endpoint.as_ref().map(|url| Spans::export_to(url, trust.tls())).transpose();
        let spans = spans.map_err(|why| StartError::Export(why.to_string()))?;
        let lock = match &config.database {
            DatabaseUrl::Sqlite(file) => Some(DatabaseLock::take(file)?),
            DatabaseUrl::Postgres(_) => None,
        };
        let clock = config.test_clock.map_or(Clock::System, Clock::test);
        let door = Data::new(Door::new(clock.clone()));
        let (address, server) = listen(config, &door, certificate, spans.clone())?;
        match start_behind(&door, config, clock, trust).await {
            Ok((engine, first_admin_key)) => {
                let is_tls = config.tls.is_some();
                Ok(Self { engine, address, is_tls, first_admin_key, server, spans, _lock: lock })
            }
            Err(error) => {
                server.stop(false).await;
                Err(error)
            }
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The beginning of its URLs, such as `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The admin key that the very first start made. Shown once, stored as a hash.
    pub fn first_admin_key(&self) -> Option<&str> {
        self.first_admin_key.as_ref().map(KeyText::reveal)
    }

    /// Refuses new work, finishes what is inside, ends. Within ten seconds.
    pub async fn stop(self) {
        let drained = self.engine.drain(Instant::now() + DRAIN).await;
        if !drained {
            tracing::warn!("some requests were still under way; whoever sent them may send them again");
        }
        // What was answered by the engine still has to leave; idle connections must not hold us up.
        let _ = tokio::time::timeout(FLUSH, self.server.stop(true)).await;
        self.server.stop(false).await;
        if let Some(spans) = self.spans {
            let _ = actix_rt::task::spawn_blocking(move || spans.finish()).await;
        }
        self.engine.release();
    }
}

fn listen(
    config: &Config,
    door: &Data<Door>,
    certificate: Option<Certificate>,
    spans: Option<Spans>,
) -> Result<(SocketAddr, ServerHandle), StartError> {
    let failed = |why| StartError::Listen { address: config.bind, why };
    let listener = http::listen(config.bind).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let limits = ServerLimits { workers: config.workers.get(), ..ServerLimits::default() };
    let exposure = Exposure {
        certificate,
        trusted_proxies: config.trusted_proxies.clone(),
        cors_origins: config.cors_origins.clone(),
        spans,
    };
    let server = http::serve(door.clone(), listener, limits, exposure).map_err(failed)?;
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok((address, handle))
}

/// Brings up the engine and opens the door to it.
async fn start_behind(
    door: &Door,
    config: &Config,
    clock: Clock,
    trust: Trust,
) -> Result<(Engine, Option<KeyText>), StartError> {
    let (store, first_admin_key) = off_thread({
        let (config, clock) = (config.clone(), clock.clone());
        move || open_store(&config, &clock)
    })
    .await?;
    let policy =
        Arc::new(AddressPolicy { allow: config.allow_private.clone(), allow_http: config.allow_http });
    let metrics = Arc::new(Metrics::new());

    let proxy = config.proxy.clone().map(Arc::new);
    let reach = Reach { policy: Arc::clone(&policy), trust, proxy, timeout: config.attempt_timeout };
    let engine = start_engine(config, &store, &clock, reach, &metrics)?;
    engine.load_chains()?;
    let follower = engine.follow_rules(&config.rules).await;
    actix_rt::spawn(engine.clone().keep_following(follower));
    actix_rt::spawn(engine.clone().keep_schedule());
    actix_rt::spawn(engine.clone().keep_learning());
    actix_rt::spawn(engine.clone().keep_recovering());
    actix_rt::spawn(engine.clone().keep_sweeping());

    let admin_key = config.admin_key.as_ref().map(|key| key.reveal().as_str());
    let state = AppState::new(engine.clone(), store, metrics, admin_key, config.request_limits, policy);
    door.open(state.with_graphiql(config.graphiql));
    Ok((engine, first_admin_key))
}

/// Opens and migrates the store.
fn open_store(config: &Config, clock: &Clock) -> Result<(Store, Option<KeyText>), StartError> {
    let store = Store::open(&config.database, Vault::new(master_key::resolve(config)?))?;
    store.migrate()?;
    let first_admin_key = first_admin_key(config, &store, clock)?;
    Ok((store, first_admin_key))
}

/// Runs what may block for long on a thread that nobody waits for when the process is to end meanwhile.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || done.send(work()));
    result.await.unwrap_or(Err(StartError::Stopped))
}

fn start_engine(
    config: &Config,
    store: &Store,
    clock: &Clock,
    reach: Reach,
    metrics: &Arc<Metrics>,
) -> Result<Engine, StoreError> {
    let threads = config.workers.get();
    let nudges = Nudges::default();
    let journal = Journal::start(store, metrics.clone(), &nudges)?;
    let endpoints = EndpointsParts {
        store: store.clone(),
        journal: journal.clone(),
        clock: clock.clone(),
        reach,
        metrics: metrics.clone(),
        threads,
    };
    let parts = EngineParts {
        store: store.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        max_in_flight: config.max_in_flight.get(),
        residency: Residency { idle: config.member_idle, ..Residency::default() },
        retention: config.retention,
        threads,
    };
    let endpoints = Endpoints::new(endpoints, nudges.clone());
    Ok(Engine::start(parts, endpoints, nudges, journal))
}

/// Makes an admin key when nobody could get in otherwise.
fn first_admin_key(config: &Config, store: &Store, clock: &Clock) -> Result<Option<KeyText>, StoreError> {
    if config.admin_key.is_some() || store.read_now(store::key::any)? {
        return Ok(None);
    }
    let text = KeyText::of(&random());
    let now = clock.now();
    let made_by = Name::parse("first start").unwrap_or_else(|_| unreachable!("two words make a name"));
    let key = ApiKey {
        id: KeyId::new(fresh_ulid(now)),
        role: Role::Admin,
        chain: None,
        name: Some(made_by.clone()),
        created_at: now,
        created_by: made_by,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        requests_per_minute: None,
    };
    let line = Entry {
        id: AuditId::new(fresh_ulid(now)),
        chain: None,
        by: By::ENGINE,
        action: Action::KeyCreated,
        target: key.id.to_string(),
        change: Change::made(Face::from(&key)),
    };
    store.writer()?.run(|conn, _| {
        store::key::insert(conn, &key, &text.hash())?;
        store::audit::insert(conn, &line)
    })?;
    Ok(Some(text))
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}
