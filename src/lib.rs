//! punchcard: a self-hosted loyalty event engine.
//!
//! ```text
//! POS ──► http ──► ChainActor ──► MemberActor ── rules → decide → triggers (pure) ──► Journal ══ one fsync for many ══► answer
//!                                                                                        │
//!                                                        nudge                           ▼
//! receiver ◄── sign, send ◄── EndpointActor ◄──────────────────────────────── deliveries due (store)
//!                                 └── attempt ──► Journal
//! ```
//!
//! Decide first, commit once, act afterwards. See `ARCHITECTURE.md`.

pub mod actors;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod http;
pub mod lock;
pub mod read;
pub mod rules;
pub mod store;
pub mod telemetry;
pub mod wire;
