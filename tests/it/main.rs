//! Integration tests: the whole engine over real HTTP, with a real receiver, on SQLite and on PostgreSQL, under a test
//! clock. The tests speak to it as outsiders do; none but `books` and `audit` look into the database, and `dry_run` counts its rows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

mod abuse;
mod achievements;
mod audit;
mod auth;
mod backtest;
mod books;
mod campaigns;
mod candidates;
mod carts;
mod cdnow;
mod changes;
mod churn;
mod coupons;
mod delivery;
mod dialects;
mod door;
mod dry_run;
mod endpoints;
mod explained;
mod exposing;
mod failing;
mod filters;
mod graphql;
mod handlers;
mod health;
mod holdings;
mod hostile;
mod identity;
mod ingest;
mod keys;
mod lanes;
mod libraries;
mod lifecycle;
mod matrix;
mod members;
mod memo;
mod metrics;
mod model;
mod network;
mod nodes;
mod once;
mod orders;
mod points;
mod program;
mod recovery;
mod redemptions;
mod referrals;
mod repeats;
mod retention;
mod rotation;
mod segments;
mod surface;
mod suspensions;
mod tiers;
mod tracing;
mod transforms;
mod trial;
mod versions;
mod world;
mod year;
