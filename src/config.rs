//! The configuration: `punchcard.toml` < environment < flags, checked once, typed from then on.
//!
//! [`setting`] says what can be set, [`layers`] finds the text that counts and where it came from, and this file
//! turns the texts into a [`Config`]. The environment is read here and nowhere else.

pub mod flags;
pub mod layers;
pub mod master_key;
pub mod setting;
mod value;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::actors::outbound::{Proxy, TlsRoots};
use crate::actors::retention::Retention;
use crate::domain::Timestamp;
use crate::domain::allowance::RequestsPerMinute;
use crate::http::{RequestLimits, TlsFiles, WebOrigin};
use crate::store::DatabaseUrl;
use crate::telemetry::LogFormat;

use flags::Flags;
use layers::{Layered, Origin};
use setting::Setting;

/// What stands for what is not shown.
const VEIL: &str = "…";

/// A value that no log, error or print-out may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden<T>(T);

impl<T> Hidden<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that needs it.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VEIL)
    }
}

/// Everything an operator decides, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where HTTP listens. Port 0 = any free port.
    pub bind: SocketAddr,
    /// The certificate to listen with; `None` = plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Proxies whose word counts for who a client is.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may talk to the API.
    pub cors_origins: Vec<WebOrigin>,
    /// Where the data lives.
    pub database: DatabaseUrl,
    /// The folder with one folder per chain.
    pub rules: PathBuf,
    /// Accepted as an admin key beside those in the store.
    pub admin_key: Option<Hidden<String>>,
    /// Encrypts secrets at rest. `None`: the key file beside the SQLite file decides, see [`master_key::resolve`].
    pub master_key: Option<Hidden<[u8; 32]>>,
    /// Private networks that deliveries may reach all the same.
    pub allow_private: Vec<IpNet>,
    /// Whether an endpoint's url may be plain http.
    pub allow_http: bool,
    /// The authorities that vouch for receivers.
    pub tls_roots: TlsRoots,
    /// A file with the certificates of further ones.
    pub extra_ca: Option<PathBuf>,
    /// What deliveries go through.
    pub proxy: Option<Proxy>,
    /// Whether there is a page to write GraphQL queries on.
    pub graphiql: bool,
    /// Where the test clock starts; `None` = the system's clock.
    pub test_clock: Option<Timestamp>,
    /// How log lines look.
    pub log: LogFormat,
    /// Which log lines there are, as `tracing` filters are written.
    pub log_level: String,
    /// The collector that spans of requests go to; `None` = nobody.
    pub otlp_endpoint: Option<Url>,
    /// Source events inside the engine at once; above it requests are answered 503.
    pub max_in_flight: NonZeroUsize,
    /// How long a member stays in memory after their last event.
    pub member_idle: Duration,
    /// How long one attempt to deliver may take, the receiver's whole answer included.
    pub attempt_timeout: Duration,
    /// Limits on requests, of each key and of each chain.
    pub request_limits: RequestLimits,
    /// Threads that run HTTP and actors.
    pub workers: NonZeroUsize,
    /// For how long things are kept.
    pub retention: Retention,
}

/// Why there is no configuration: what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {why}; name an existing file, or leave `--config` out", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        why: std::io::Error,
    },
    /// The file is not TOML, or a value has a shape that no setting has.
    #[error("{}:{line}: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A value that its setting cannot take.
    #[error("{origin}: {} {given} {problem}", setting.name())]
    Value {
        /// The setting.
        setting: Setting,
        /// Where the value was given.
        origin: Origin,
        /// The value in quotes; nothing for secrets.
        given: String,
        /// What is wrong and what to do.
        problem: String,
    },
}

/// A configuration, and where each part of it came from.
#[derive(Debug)]
pub struct Loaded {
    /// The checked values.
    pub config: Config,
    layered: Layered,
}

impl Config {
    /// What an operator who sets nothing gets.
    pub fn defaults() -> Self {
        Self::of(&Layered::defaults()).unwrap_or_else(|e| unreachable!("the defaults are valid: {e}"))
    }

    /// Reads the file, the environment and the flags.
    ///
    /// # Errors
    /// One clear sentence about the first thing that is wrong.
    pub fn load(flags: &Flags) -> Result<Loaded, ConfigError> {
        Self::load_with(flags, environment)
    }

    fn load_with(
        flags: &Flags,
        environment: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Loaded, ConfigError> {
        let layered = Layered::read(flags, environment)?;
        Ok(Loaded { config: Self::of(&layered)?, layered })
    }

    fn of(layered: &Layered) -> Result<Self, ConfigError> {
        Ok(Self {
            bind: layered.parse(Setting::Bind, value::bind)?,
            tls: tls(layered)?,
            trusted_proxies: layered.parse(Setting::TrustedProxies, value::networks)?,
            cors_origins: layered.parse(Setting::CorsOrigins, value::origins)?,
            database: layered.parse(Setting::Database, value::database)?,
            rules: layered.parse(Setting::Rules, |text| Ok(PathBuf::from(text)))?,
            admin_key: layered.parse_optional(Setting::AdminKey, value::admin_key)?,
            master_key: layered.parse_optional(Setting::MasterKey, master_key::parse)?,
            allow_private: layered.parse(Setting::AllowPrivate, value::networks)?,
            allow_http: layered.parse(Setting::AllowHttp, value::switch)?,
            tls_roots: layered.parse(Setting::TlsRoots, value::tls_roots)?,
            extra_ca: layered.parse_optional(Setting::ExtraCa, |text| Ok(PathBuf::from(text)))?,
            proxy: proxy(layered)?,
            graphiql: layered.parse(Setting::Graphiql, value::switch)?,
            test_clock: layered.parse_optional(Setting::TestClock, value::instant)?,
            log: layered.parse(Setting::Log, value::log_format)?,
            log_level: layered.parse(Setting::LogLevel, value::log_level)?,
            otlp_endpoint: layered.parse_optional(Setting::OtlpEndpoint, value::collector)?,
            max_in_flight: layered.parse(Setting::MaxInFlight, value::count)?,
            member_idle: layered.parse(Setting::MemberIdleS, value::seconds)?,
            attempt_timeout: layered.parse(Setting::AttemptTimeoutS, value::attempt_timeout)?,
            request_limits: RequestLimits {
                key: layered.parse(Setting::KeyRequestsPerMinute, value::requests_per_minute)?,
                chain: layered.parse(Setting::ChainRequestsPerMinute, value::requests_per_minute)?,
            },
            workers: layered.parse(Setting::Workers, value::workers)?,
            retention: Retention {
                attempts: layered.parse(Setting::KeepAttemptsDays, value::days)?,
                source_events: layered.parse(Setting::KeepSourceEventsDays, value::days)?,
                audit: layered.parse(Setting::AuditDays, value::days)?,
            },
        })
    }

    /// A value as people may see it: secrets and passwords hidden.
    fn shown(&self, setting: Setting) -> String {
        let days = |keep: Option<chrono::Duration>| keep.map_or(0, |keep| keep.num_days()).to_string();
        let none = || "(none)".to_owned();
        let hidden = |given: bool| if given { VEIL.to_owned() } else { none() };
        let file = |path: Option<&PathBuf>| path.map_or_else(none, |path| path.display().to_string());
        match setting {
            Setting::Bind => self.bind.to_string(),
            Setting::TlsCert => file(self.tls.as_ref().map(|tls| &tls.certificate)),
            Setting::TlsKey => file(self.tls.as_ref().map(|tls| &tls.key)),
            Setting::TrustedProxies => list(&self.trusted_proxies),
            Setting::CorsOrigins => list(&self.cors_origins),
            Setting::Database => self.database.to_string(),
            Setting::Rules => self.rules.display().to_string(),
            Setting::AdminKey => hidden(self.admin_key.is_some()),
            Setting::MasterKey => hidden(self.master_key.is_some()),
            Setting::AllowPrivate => list(&self.allow_private),
            Setting::AllowHttp => self.allow_http.to_string(),
            Setting::TlsRoots => self.tls_roots.as_str().to_owned(),
            Setting::Proxy => self.proxy.as_ref().map_or_else(none, ToString::to_string),
            Setting::ProxyResolves => self.proxy.as_ref().is_some_and(Proxy::resolves).to_string(),
            Setting::ExtraCa => file(self.extra_ca.as_ref()),
            Setting::Graphiql => self.graphiql.to_string(),
            Setting::TestClock => self.test_clock.map_or_else(|| "(off)".to_owned(), |at| at.to_rfc3339()),
            Setting::Log => self.log.as_str().to_owned(),
            Setting::LogLevel => self.log_level.clone(),
            Setting::OtlpEndpoint => self.otlp_endpoint.as_ref().map_or_else(none, ToString::to_string),
            Setting::MaxInFlight => self.max_in_flight.to_string(),
            Setting::MemberIdleS => self.member_idle.as_secs().to_string(),
            Setting::AttemptTimeoutS => self.attempt_timeout.as_secs().to_string(),
            Setting::AuditDays => days(self.retention.audit),
            Setting::KeyRequestsPerMinute => shown_limit(self.request_limits.key),
            Setting::ChainRequestsPerMinute => shown_limit(self.request_limits.chain),
            Setting::Workers => self.workers.to_string(),
            Setting::KeepAttemptsDays => days(self.retention.attempts),
            Setting::KeepSourceEventsDays => days(self.retention.source_events),
        }
    }
}

/// The proxy, and what it does about names.
fn proxy(layered: &Layered) -> Result<Option<Proxy>, ConfigError> {
    let proxy = layered.parse_optional(Setting::Proxy, value::proxy)?;
    let resolves = layered.parse(Setting::ProxyResolves, |text| match value::switch(text)? {
        true if proxy.is_none() => Err("says what a proxy does; name one with --proxy, too".to_owned()),
        resolves => Ok(resolves),
    })?;
    Ok(proxy.map(|proxy| proxy.resolving(resolves)))
}

fn shown_limit(limit: Option<RequestsPerMinute>) -> String {
    limit.map_or_else(|| "off".to_owned(), |limit| limit.get().to_string())
}

impl Loaded {
    /// The effective values and where each came from, a line each, secrets hidden.
    pub fn describe(&self) -> String {
        let rows: Vec<_> = Setting::ALL
            .iter()
            .map(|s| (s.name(), self.config.shown(*s), self.layered.origin(*s).to_string()))
            .collect();
        let width = rows.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or(0);
        let names = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        rows.iter()
            .map(|(name, value, origin)| format!("{name:<names$} {value:<width$}  {origin}\n"))
            .collect()
    }

    /// Refuses a rules folder that was asked for and is not there. The default folder may be missing: chains
    /// without a program are legitimate.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for `rules`.
    pub fn require_rules_folder(&self) -> Result<(), ConfigError> {
        let origin = self.layered.origin(Setting::Rules);
        if matches!(origin, Origin::Default) || self.config.rules.is_dir() {
            return Ok(());
        }
        let problem = "is not a folder; name the folder that holds one folder per chain".to_owned();
        let given = format!("`{}`", self.config.rules.display());
        Err(ConfigError::Value { setting: Setting::Rules, origin: origin.clone(), given, problem })
    }
}

/// The two files of a certificate: one is useless without the other.
fn tls(layered: &Layered) -> Result<Option<TlsFiles>, ConfigError> {
    let path = |setting| layered.parse_optional(setting, |text| Ok(PathBuf::from(text)));
    let alone = |given: Setting, missing: Setting| {
        let problem = format!("is of no use without {missing}; give both, or neither");
        layered.parse(given, |_| Err::<Option<TlsFiles>, _>(problem))
    };
    match (path(Setting::TlsCert)?, path(Setting::TlsKey)?) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (None, None) => Ok(None),
        (Some(_), None) => alone(Setting::TlsCert, Setting::TlsKey),
        (None, Some(_)) => alone(Setting::TlsKey, Setting::TlsCert),
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    match items {
        [] => "(none)".to_owned(),
        items => items.iter().map(T::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// A variable of the environment; empty means unset, as `docker compose` passes what nobody filled in.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment(name: &'static str) -> Option<String> {
    std::env::var_os(name).map(|text| text.to_string_lossy().into_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn load(
        file: &str,
        environment: &[(&'static str, &str)],
        flags: &[(Setting, &str)],
    ) -> Result<Loaded, String> {
        let mut toml = tempfile::NamedTempFile::new().unwrap();
        toml.write_all(file.as_bytes()).unwrap();
        let mut given = Flags { config: Some(toml.path().to_owned()), ..Flags::default() };
        given.values.extend(flags.iter().map(|(setting, text)| (*setting, (*text).to_owned())));
        let lookup = |name| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let path = toml.path().display().to_string();
        Config::load_with(&given, lookup).map_err(|e| e.to_string().replace(&path, "punchcard.toml"))
    }

    #[test]
    fn flags_beat_the_environment_and_the_environment_beats_the_file() {
        let file = "bind = \"127.0.0.1:1\"\nrules = \"a\"\nmax_in_flight = 7";
        let environment = [("PUNCHCARD_BIND", "127.0.0.1:2"), ("PUNCHCARD_RULES", "b")];
        let loaded = load(file, &environment, &[(Setting::Bind, "127.0.0.1:3")]).unwrap();
        assert_eq!(loaded.config.bind.port(), 3);
        assert_eq!(loaded.config.rules, PathBuf::from("b"));
        assert_eq!(loaded.config.max_in_flight.get(), 7);
        let text = loaded.describe();
        for (name, origin) in [
            ("bind", "flag --bind"),
            ("rules", "environment PUNCHCARD_RULES"),
            ("max_in_flight", ":3"),
            ("allow_http", "default"),
        ] {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            assert!(line.ends_with(origin), "{line}");
        }
    }

    #[test]
    fn secrets_and_passwords_are_never_shown() {
        let key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        let file = format!(
            "admin_key = \"pck_tell-nobody\"\nmaster_key = \"{key}\"\ndatabase = \"postgres://u:hunter2@h/d\"\n\
             proxy = \"http://u:hunter3@h:1\"\nproxy_resolves = true"
        );
        let loaded = load(&file, &[], &[]).unwrap();
        let shown = format!("{}{:?}", loaded.describe(), loaded.config);
        for secret in ["tell-nobody", key, "hunter2", "hunter3", "dTpodW50ZXIz"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("http://u:…@h:1") && shown.contains("postgres://u:…@h/d"), "{shown}");
        let keys =
            shown.lines().filter(|line| line.starts_with("admin_key ") || line.starts_with("master_key "));
        assert_eq!(keys.filter(|line| line.contains(" … ")).count(), 2, "one way to say so: {shown}");
        assert!(loaded.config.proxy.unwrap().resolves());
    }

    #[test]
    fn the_documented_file_has_every_setting_at_its_default() {
        let example = include_str!("../docs/punchcard.toml");
        let config = load(example, &[], &[]).unwrap().config;
        for setting in Setting::ALL {
            assert!(example.contains(&format!("\n{setting} = ")), "{setting} is missing");
            assert!(example.contains(setting.environment()), "{} is missing", setting.environment());
            assert_eq!(config.shown(*setting), Config::defaults().shown(*setting));
        }
    }

    #[test]
    fn every_mistake_says_where_it_is() {
        for (file, environment, flags, expected) in [
            ("bind = \"x\"", vec![], vec![], "punchcard.toml:1: bind `x` is not an address and a port"),
            (
                "\nbnid = \"x\"",
                vec![],
                vec![],
                "punchcard.toml:2: there is no setting `bnid`; did you mean `bind`?",
            ),
            ("rules = [", vec![], vec![], "punchcard.toml:1: "),
            ("allow_http = 3.5", vec![], vec![], "punchcard.toml:1: allow_http must be"),
            (
                "",
                vec![("PUNCHCARD_ALLOW_PRIVATE", "10.0.0.0/33")],
                vec![],
                "environment PUNCHCARD_ALLOW_PRIVATE: allow_private `10.0.0.0/33`",
            ),
            (
                "",
                vec![],
                vec![(Setting::TestClock, "tomorrow")],
                "flag --test-clock: test_clock `tomorrow` is not an instant",
            ),
            ("", vec![], vec![(Setting::Database, "mysql://x")], "flag --database: database `mysql://x` "),
            ("", vec![], vec![(Setting::Database, "mysql://u:p@h/x")], "flag --database: database `…` "),
            ("", vec![], vec![(Setting::MasterKey, "short")], "flag --master-key: master_key `…` "),
            (
                "",
                vec![],
                vec![(Setting::AttemptTimeoutS, "121")],
                "flag --attempt-timeout-s: attempt_timeout_s `121` must be a whole number of seconds",
            ),
            (
                "tls_roots = \"all\"",
                vec![],
                vec![],
                "punchcard.toml:1: tls_roots `all` is neither bundled nor system",
            ),
            (
                "proxy = \"socks5://proxy:1080\"",
                vec![],
                vec![],
                "punchcard.toml:1: proxy `socks5://proxy:1080` must begin with http://",
            ),
            (
                "",
                vec![("PUNCHCARD_PROXY", "https://we:hunter2@proxy:1")],
                vec![],
                "environment PUNCHCARD_PROXY: proxy `…` must begin with http://",
            ),
            (
                "proxy_resolves = true",
                vec![],
                vec![],
                "punchcard.toml:1: proxy_resolves `true` says what a proxy does; name one with --proxy",
            ),
            (
                "",
                vec![],
                vec![(Setting::TlsCert, "a")],
                "flag --tls-cert: tls_cert `a` is of no use without tls_key",
            ),
            (
                "tls_key = \"b\"",
                vec![],
                vec![],
                "punchcard.toml:1: tls_key `b` is of no use without tls_cert",
            ),
            (
                "",
                vec![("PUNCHCARD_CORS_ORIGINS", "https://a.example.com,*")],
                vec![],
                "environment PUNCHCARD_CORS_ORIGINS: cors_origins `https://a.example.com,*` holds `*`, which is not an origin",
            ),
            (
                "",
                vec![],
                vec![(Setting::TrustedProxies, "proxy.local")],
                "flag --trusted-proxies: trusted_proxies `proxy.local` holds `proxy.local`, which is not a network",
            ),
            (
                "key_requests_per_minute = 0",
                vec![],
                vec![],
                "punchcard.toml:1: key_requests_per_minute `0` must be a number from 1 to 100000000, or off",
            ),
            (
                "otlp_endpoint = \"localhost:4318\"",
                vec![],
                vec![],
                "punchcard.toml:1: otlp_endpoint `localhost:4318` is not the address of a collector",
            ),
            ("", vec![], vec![(Setting::Workers, "0")], "flag --workers: workers `0` "),
            (
                "keep_attempts_days = 6",
                vec![],
                vec![],
                "punchcard.toml:1: keep_attempts_days `6` must be a whole number of days from 7, or 0 = for ever",
            ),
            ("", vec![], vec![(Setting::LogLevel, "punchcard=loud")], "flag --log-level: log_level "),
        ] {
            let error = load(file, &environment, &flags).expect_err(expected);
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_folder_that_was_asked_for_must_exist_and_the_default_need_not() {
        assert!(load("", &[], &[]).unwrap().require_rules_folder().is_ok());
        let asked = load("", &[], &[(Setting::Rules, "/nowhere/rules")]).unwrap();
        let error = asked.require_rules_folder().unwrap_err().to_string();
        assert!(error.starts_with("flag --rules: rules `/nowhere/rules` is not a folder"), "{error}");
    }

    #[test]
    fn lists_switches_and_numbers_are_written_as_toml_writes_them() {
        let file = "allow_private = [\"127.0.0.0/8\", \"10.1.2.3\"]\nallow_http = true\nmember_idle_s = 90";
        let config = load(file, &[], &[]).unwrap().config;
        assert_eq!(
            config.allow_private,
            ["127.0.0.0/8".parse().unwrap(), "10.1.2.3/32".parse::<IpNet>().unwrap()]
        );
        assert!(config.allow_http);
        assert_eq!(config.member_idle, Duration::from_secs(90));
    }
}
