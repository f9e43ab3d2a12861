//! Integration tests: the whole engine over real HTTP, with a real receiver, on SQLite and on PostgreSQL, under a test
//! clock. The tests speak to it as outsiders do; none but `books` looks into the database, and `dry_run` counts its rows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

mod achievements;
mod auth;
mod backtest;
mod books;
mod campaigns;
mod candidates;
mod carts;
mod cdnow;
mod churn;
mod coupons;
mod delivery;
mod dialects;
mod door;
mod dry_run;
mod endpoints;
mod explained;
mod failing;
mod filters;
mod graphql;
mod handlers;
mod health;
mod holdings;
mod hostile;
mod identity;
mod ingest;
mod lanes;
mod libraries;
mod lifecycle;
mod members;
mod memo;
mod model;
mod network;
mod nodes;
mod orders;
mod points;
mod program;
mod recovery;
mod redemptions;
mod referrals;
mod repeats;
mod rotation;
mod segments;
mod surface;
mod suspensions;
mod tiers;
mod transforms;
mod trial;
mod versions;
mod world;
