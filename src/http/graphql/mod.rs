//! GraphQL: the schema that GuestIQ documents, and beyond it what REST shows, with the same rights.
//!
//! [`answer`] speaks HTTP and knows nothing of the schema; [`limits`] judges a query before anything else looks at it; each
//! noun has a file with its types, its queries and its mutations. What a list resolves through the store goes through
//! [`loader`], so that a page costs one read and not one for each item.

mod answer;
mod chain;
mod coupon;
mod delivery;
mod error;
mod event;
mod export_schedule;
mod integration;
mod ledger;
mod limits;
mod loader;
mod member;
mod nulls;
mod page;
mod program;
mod scalars;
mod webhook;

use std::sync::{Arc, LazyLock};

use async_graphql::{Context, EmptySubscription, MergedObject, Schema, SimpleObject};

use super::State;
use super::auth::Caller;
use super::problem::Problem;
use crate::actors::snapshot::ChainSnapshot;
use crate::domain::role::Right;

pub(super) use self::answer::{Said, Shown, answer, graphiql};

/// How much a query may cost: each field is one, and those of a list count for each item of a page.
const MOST_COMPLEX: usize = 10_000;

/// What can be asked.
#[derive(MergedObject, Default)]
struct Query(
    chain::ChainQueries,
    program::ProgramQueries,
    member::MemberQueries,
    event::EventQueries,
    webhook::WebhookQueries,
    delivery::DeliveryQueries,
    export_schedule::ExportScheduleQueries,
    integration::IntegrationQueries,
);

/// What can be changed.
#[derive(MergedObject, Default)]
struct Mutation(
    webhook::WebhookMutations,
    export_schedule::ExportScheduleMutations,
    integration::IntegrationMutations,
);

/// There is one, and it is always the same.
static SCHEMA: LazyLock<Schema<Query, Mutation, EmptySubscription>> = LazyLock::new(|| {
    Schema::build(Query::default(), Mutation::default(), EmptySubscription)
        .limit_complexity(MOST_COMPLEX)
        // They would tell of the schema to those who may not be shown it.
        .disable_suggestions()
        .finish()
});

/// The schema in its own language.
pub fn sdl() -> String {
    SCHEMA.sdl()
}

/// Who asks, and what there is to be asked.
struct Asked {
    state: State,
    caller: Caller,
}

impl Asked {
    /// Who asks in this request.
    fn of<'a>(ctx: &Context<'a>) -> &'a Self {
        ctx.data_unchecked() // `answer` puts it there
    }

    /// The chain of that name, if this caller may do that there.
    fn chain(&self, right: Right, id: &str) -> Result<Arc<ChainSnapshot>, Problem> {
        self.state.chain(&self.caller, right, id)
    }
}

/// What became of the wish to delete something.
#[derive(SimpleObject)]
struct DeletePayload {
    /// It is deleted; otherwise there is an error instead.
    success: bool,
}

/// The word that REST has for a value.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => other.map(|value| value.to_string()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_schema_is_the_one_that_is_served() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema.graphql");
        let printed = std::fs::read_to_string(file).unwrap();
        assert!(printed == sdl(), "punchcard graphql-schema > docs/schema.graphql");
    }
}
