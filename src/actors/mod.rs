//! The imperative shell: one file per stage of the pipeline.
//!
//! | file | stage |
//! |---|---|
//! | `engine` | the handle that the outside holds: admits, ingests, replays |
//! | `error` | why it has no receipt |
//! | `snapshot` | what a chain decides by: program, endpoints |
//! | `chain` | finds the member an event belongs to; spawns, passivates, respawns members |
//! | `member` | decides for one member, one event at a time |
//! | `journal` | writes many decisions in one transaction, answers all, nudges endpoints |
//! | `endpoint`, `outbound` | what is due → sign → send → attempt → schedule |
//! | `endpoints` | which endpoint actors run; respawns the dead |
//! | `scheduler` | wakes members whose ticks are due; looks after what was kept undecided |
//! | `recovery` | feeds endpoints what they missed, page by page |
//! | `kept`, `stored`, `claims` | what is kept undecided, and what becomes of it |
//! | `coupons` | lets decisions about one coupon stand in line |
//! | `configure` | changes of chains and endpoints: store first, then the snapshot |
//! | `audit` | makes the lines of the audit log |
//! | `api_keys` | changes of API keys; when they were used last |
//! | `states` | enables, disables and pauses endpoints |
//! | `lanes` | has what is owed go by its lanes; finds those that stand still |
//! | `suspensions` | suspends rules that keep failing |
//! | `churn` | fits each chain's churn model on its own log |
//! | `retention` | clears what is kept for a time only |
//! | `programs` | loads, checks and publishes rules folders; follows edits |
//! | `test_clock` | moves the test clock and waits until everything due is done |
//!
//! No actor holds anything that the store cannot rebuild. A panic closes an actor's mailbox for good; whoever finds it
//! closed builds a new one from the store.

pub mod api_keys;
mod audit;
pub mod chain;
pub mod churn;
mod claims;
pub mod configure;
pub mod coupons;
pub mod dry_run;
pub mod endpoint;
pub mod endpoints;
pub mod engine;
pub mod error;
mod forget;
pub mod journal;
mod kept;
mod lanes;
pub mod member;
mod news;
pub mod once;
pub mod outbound;
mod outlets;
pub mod programs;
pub mod publish;
pub mod recovery;
pub mod retention;
pub mod roll_out;
pub mod scheduler;
pub mod snapshot;
mod states;
mod stored;
mod suspensions;
pub mod test_clock;
mod watch;

#[cfg(test)]
mod tests;
