//! The settings: one table from which the file's keys, the variables, the flags and their help are made.

use std::fmt;

/// Which verbs a setting matters to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every verb that opens the database.
    Store,
    /// Only verbs that run the engine.
    Engine,
}

/// How a flag is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `--bind ADDRESS`
    Value(&'static str),
    /// `--allow-private NETWORK,NETWORK`, which may be given several times.
    List(&'static str),
    /// `--allow-http`, which may also be said as `--allow-http=false`.
    Switch,
}

/// Something an operator can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Where HTTP listens.
    Bind,
    /// The certificate to listen with.
    TlsCert,
    /// Its private key.
    TlsKey,
    /// Proxies that say who a client is.
    TrustedProxies,
    /// Origins whose pages may talk to the API.
    CorsOrigins,
    /// Where the data lives.
    Database,
    /// The rules folder.
    Rules,
    /// An admin key from outside.
    AdminKey,
    /// The key that encrypts secrets at rest.
    MasterKey,
    /// Private networks that deliveries may reach.
    AllowPrivate,
    /// Plain http endpoints.
    AllowHttp,
    /// The authorities that vouch for receivers.
    TlsRoots,
    /// Further authorities.
    ExtraCa,
    /// What deliveries go through.
    Proxy,
    /// Whether names are the proxy's affair.
    ProxyResolves,
    /// A page to write GraphQL queries on.
    Graphiql,
    /// Where the test clock starts.
    TestClock,
    /// The look of log lines.
    Log,
    /// Which log lines there are.
    LogLevel,
    /// The collector of spans.
    OtlpEndpoint,
    /// Source events inside the engine at once.
    MaxInFlight,
    /// How long a member stays in memory.
    MemberIdleS,
    /// How long one attempt may take.
    AttemptTimeoutS,
    /// How long the audit log is kept.
    AuditDays,
    /// The limit of each key.
    KeyRequestsPerMinute,
    /// The limit of each chain.
    ChainRequestsPerMinute,
    /// Threads.
    Workers,
    /// How long attempts are kept.
    KeepAttemptsDays,
    /// How long source events are kept whole.
    KeepSourceEventsDays,
}

struct Row {
    name: &'static str,
    flag: &'static str,
    environment: &'static str,
    default: &'static str,
    shape: Shape,
    scope: Scope,
    help: &'static str,
}

impl Setting {
    /// All of them, in the order of the documentation.
    pub const ALL: &'static [Self] = &[
        Self::Bind,
        Self::TlsCert,
        Self::TlsKey,
        Self::TrustedProxies,
        Self::CorsOrigins,
        Self::Database,
        Self::Rules,
        Self::AdminKey,
        Self::MasterKey,
        Self::AllowPrivate,
        Self::AllowHttp,
        Self::TlsRoots,
        Self::ExtraCa,
        Self::Proxy,
        Self::ProxyResolves,
        Self::Graphiql,
        Self::TestClock,
        Self::Log,
        Self::LogLevel,
        Self::OtlpEndpoint,
        Self::MaxInFlight,
        Self::MemberIdleS,
        Self::AttemptTimeoutS,
        Self::AuditDays,
        Self::KeyRequestsPerMinute,
        Self::ChainRequestsPerMinute,
        Self::Workers,
        Self::KeepAttemptsDays,
        Self::KeepSourceEventsDays,
    ];

    /// The key in `punchcard.toml`.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The flag, without its dashes.
    pub const fn flag(self) -> &'static str {
        self.row().flag
    }

    /// The variable in the environment.
    pub const fn environment(self) -> &'static str {
        self.row().environment
    }

    /// The text that counts when nobody says anything; empty = none.
    pub const fn default(self) -> &'static str {
        self.row().default
    }

    /// How its flag is written.
    pub const fn shape(self) -> Shape {
        self.row().shape
    }

    /// Which verbs it matters to.
    pub const fn scope(self) -> Scope {
        self.row().scope
    }

    /// One sentence for `--help`.
    pub const fn help(self) -> &'static str {
        self.row().help
    }

    /// Whether its value must not be shown.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::AdminKey | Self::MasterKey)
    }

    const fn row(self) -> Row {
        match self {
            Self::Bind => Row {
                name: "bind",
                flag: "bind",
                environment: "PUNCHCARD_BIND",
                default: "127.0.0.1:8080",
                shape: Shape::Value("ADDRESS:PORT"),
                scope: Scope::Engine,
                help: "Where to listen for HTTP; port 0 takes any free port",
            },
            Self::TlsCert => Row {
                name: "tls_cert",
                flag: "tls-cert",
                environment: "PUNCHCARD_TLS_CERT",
                default: "",
                shape: Shape::Value("FILE"),
                scope: Scope::Engine,
                help: "Listen with TLS: the certificate and those that vouch for it, as PEM; read again when it \
                       changes [default: none, plain HTTP]",
            },
            Self::TlsKey => Row {
                name: "tls_key",
                flag: "tls-key",
                environment: "PUNCHCARD_TLS_KEY",
                default: "",
                shape: Shape::Value("FILE"),
                scope: Scope::Engine,
                help: "The private key of --tls-cert, as PEM [default: none]",
            },
            Self::TrustedProxies => Row {
                name: "trusted_proxies",
                flag: "trusted-proxies",
                environment: "PUNCHCARD_TRUSTED_PROXIES",
                default: "",
                shape: Shape::List("CIDR,…"),
                scope: Scope::Engine,
                help: "Proxies whose Forwarded or X-Forwarded-For says who a client is, such as 10.0.0.5 [default: none]",
            },
            Self::CorsOrigins => Row {
                name: "cors_origins",
                flag: "cors-origins",
                environment: "PUNCHCARD_CORS_ORIGINS",
                default: "",
                shape: Shape::List("ORIGIN,…"),
                scope: Scope::Engine,
                help: "Origins whose pages may talk to the API, such as https://dashboard.example.com [default: none]",
            },
            Self::Database => Row {
                name: "database",
                flag: "database",
                environment: "PUNCHCARD_DATABASE_URL",
                default: "sqlite://data/punchcard.db",
                shape: Shape::Value("URL"),
                scope: Scope::Store,
                help: "Where the data lives: sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME",
            },
            Self::Rules => Row {
                name: "rules",
                flag: "rules",
                environment: "PUNCHCARD_RULES",
                default: "rules",
                shape: Shape::Value("DIR"),
                scope: Scope::Engine,
                help: "The folder that holds one folder of rules per chain",
            },
            Self::AdminKey => Row {
                name: "admin_key",
                flag: "admin-key",
                environment: "PUNCHCARD_ADMIN_KEY",
                default: "",
                shape: Shape::Value("KEY"),
                scope: Scope::Engine,
                help: "A key to accept as an admin key; prefer the environment, other users can see flags. \
                       Without it the first start makes one and shows it once",
            },
            Self::MasterKey => Row {
                name: "master_key",
                flag: "master-key",
                environment: "PUNCHCARD_MASTER_KEY",
                default: "",
                shape: Shape::Value("KEY"),
                scope: Scope::Store,
                help: "32 bytes in base64 or hex that encrypt secrets in the database; prefer the environment. \
                       Without it the first start makes punchcard.key beside the SQLite file; PostgreSQL needs it",
            },
            Self::AllowPrivate => Row {
                name: "allow_private",
                flag: "allow-private",
                environment: "PUNCHCARD_ALLOW_PRIVATE",
                default: "",
                shape: Shape::List("CIDR,…"),
                scope: Scope::Engine,
                help: "Private networks that deliveries may reach all the same, such as 127.0.0.0/8 [default: none]",
            },
            Self::AllowHttp => Row {
                name: "allow_http",
                flag: "allow-http",
                environment: "PUNCHCARD_ALLOW_HTTP",
                default: "false",
                shape: Shape::Switch,
                scope: Scope::Engine,
                help: "Let endpoint urls be plain http",
            },
            Self::TlsRoots => Row {
                name: "tls_roots",
                flag: "tls-roots",
                environment: "PUNCHCARD_TLS_ROOTS",
                default: "bundled",
                shape: Shape::Value("ROOTS"),
                scope: Scope::Engine,
                help: "The authorities that vouch for receivers: bundled with this program, or those of the system",
            },
            Self::ExtraCa => Row {
                name: "extra_ca",
                flag: "extra-ca",
                environment: "PUNCHCARD_EXTRA_CA",
                default: "",
                shape: Shape::Value("FILE"),
                scope: Scope::Engine,
                help: "Certificates of further authorities that vouch for receivers, as PEM [default: none]",
            },
            Self::Proxy => Row {
                name: "proxy",
                flag: "proxy",
                environment: "PUNCHCARD_PROXY",
                default: "",
                shape: Shape::Value("URL"),
                scope: Scope::Engine,
                help: "An HTTP proxy that all deliveries go through: http://[NAME:PASSWORD@]HOST:PORT; with a password, \
                       prefer the environment [default: none]",
            },
            Self::ProxyResolves => Row {
                name: "proxy_resolves",
                flag: "proxy-resolves",
                environment: "PUNCHCARD_PROXY_RESOLVES",
                default: "false",
                shape: Shape::Switch,
                scope: Scope::Engine,
                help: "Give the proxy names instead of addresses: then it alone decides where they may lead",
            },
            Self::Graphiql => Row {
                name: "graphiql",
                flag: "graphiql",
                environment: "PUNCHCARD_GRAPHIQL",
                default: "false",
                shape: Shape::Switch,
                scope: Scope::Engine,
                help: "For development: answer GET /graphiql with a page to write GraphQL queries on. The browser loads \
                       its parts from unpkg.com",
            },
            Self::TestClock => Row {
                name: "test_clock",
                flag: "test-clock",
                environment: "PUNCHCARD_TEST_CLOCK",
                default: "",
                shape: Shape::Value("INSTANT"),
                scope: Scope::Engine,
                help: "For tests: the engine's clock starts at this RFC 3339 instant and moves only by \
                       POST /v1/clock [default: off]",
            },
            Self::Log => Row {
                name: "log",
                flag: "log",
                environment: "PUNCHCARD_LOG_FORMAT",
                default: "text",
                shape: Shape::Value("FORMAT"),
                scope: Scope::Store,
                help: "How log lines on stderr look: text or json",
            },
            Self::LogLevel => Row {
                name: "log_level",
                flag: "log-level",
                environment: "PUNCHCARD_LOG",
                // The web server greets and takes leave in a dozen lines of its own.
                // So does whatever strangers send that is not HTTP, a line each.
                default: "info,actix_server=warn,actix_http=off",
                shape: Shape::Value("FILTER"),
                scope: Scope::Store,
                help: "Which log lines there are: error, warn, info, debug, trace, or a filter such as \
                       warn,punchcard=debug",
            },
            Self::OtlpEndpoint => Row {
                name: "otlp_endpoint",
                flag: "otlp-endpoint",
                environment: "PUNCHCARD_OTLP_ENDPOINT",
                default: "",
                shape: Shape::Value("URL"),
                scope: Scope::Engine,
                help: "The OpenTelemetry collector that gets a span for each request, over HTTP, such as \
                       http://localhost:4318 [default: none]",
            },
            Self::MaxInFlight => Row {
                name: "max_in_flight",
                flag: "max-in-flight",
                environment: "PUNCHCARD_MAX_IN_FLIGHT",
                default: "4096",
                shape: Shape::Value("N"),
                scope: Scope::Engine,
                help: "Source events inside the engine at once; above it requests are answered 503",
            },
            Self::MemberIdleS => Row {
                name: "member_idle_s",
                flag: "member-idle-s",
                environment: "PUNCHCARD_MEMBER_IDLE_S",
                default: "600",
                shape: Shape::Value("SECONDS"),
                scope: Scope::Engine,
                help: "How long a member stays in memory after their last event",
            },
            Self::AttemptTimeoutS => Row {
                name: "attempt_timeout_s",
                flag: "attempt-timeout-s",
                environment: "PUNCHCARD_ATTEMPT_TIMEOUT_S",
                default: "30",
                shape: Shape::Value("SECONDS"),
                scope: Scope::Engine,
                help: "How long one attempt to deliver may take, the receiver's whole answer included",
            },
            Self::AuditDays => Row {
                name: "audit_days",
                flag: "audit-days",
                environment: "PUNCHCARD_AUDIT_DAYS",
                default: "400",
                shape: Shape::Value("DAYS"),
                scope: Scope::Engine,
                help: "How many days lines of the audit log are kept; 0 = for ever",
            },
            Self::KeyRequestsPerMinute => Row {
                name: "key_requests_per_minute",
                flag: "key-requests-per-minute",
                environment: "PUNCHCARD_KEY_REQUESTS_PER_MINUTE",
                default: "off",
                shape: Shape::Value("N"),
                scope: Scope::Engine,
                help: "Requests a minute that are answered to one API key; above it 429. A key may have a limit of its own",
            },
            Self::ChainRequestsPerMinute => Row {
                name: "chain_requests_per_minute",
                flag: "chain-requests-per-minute",
                environment: "PUNCHCARD_CHAIN_REQUESTS_PER_MINUTE",
                default: "off",
                shape: Shape::Value("N"),
                scope: Scope::Engine,
                help: "Requests a minute that are answered about one chain, whatever their keys; above it 429",
            },
            Self::Workers => Row {
                name: "workers",
                flag: "workers",
                environment: "PUNCHCARD_WORKERS",
                default: "auto",
                shape: Shape::Value("N"),
                scope: Scope::Engine,
                help: "Threads that run HTTP and actors; auto = one per processor",
            },
            Self::KeepAttemptsDays => Row {
                name: "keep_attempts_days",
                flag: "keep-attempts-days",
                environment: "PUNCHCARD_KEEP_ATTEMPTS_DAYS",
                default: "90",
                shape: Shape::Value("DAYS"),
                scope: Scope::Engine,
                help: "How long the attempts of settled deliveries are kept, with what receivers answered; 0 = for ever",
            },
            Self::KeepSourceEventsDays => Row {
                name: "keep_source_events_days",
                flag: "keep-source-events-days",
                environment: "PUNCHCARD_KEEP_SOURCE_EVENTS_DAYS",
                default: "0",
                shape: Shape::Value("DAYS"),
                scope: Scope::Engine,
                help: "How long body and receipt of processed source events are kept; their keys are for ever. \
                       0 = for ever: backtests and explanations need them",
            },
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
