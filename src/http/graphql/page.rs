//! Pages of lists, as Relay has them: `first`, `after`, edges and `pageInfo`.

use std::str::FromStr;

use async_graphql::OutputType;
use async_graphql::connection::{Connection, Edge};

use crate::http::problem::Problem;
use crate::http::query::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::read::page::{Page, Wanted};

/// The page that somebody asks for.
pub(super) fn wanted<I: FromStr>(first: Option<i32>, after: Option<&str>) -> Result<Wanted<I>, Problem> {
    let limit = match first.map(usize::try_from) {
        None => DEFAULT_LIMIT,
        Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
        Some(_) => {
            return Err(Problem::field("first", format!("must be a whole number from 1 to {MAX_LIMIT}")));
        }
    };
    let bad_cursor = |_| {
        Problem::field(
            "after",
            "must be what the page before ended with: its `endCursor`, or of webhooks the last `webhookId`",
        )
    };
    Ok(Wanted { limit, after: after.map(|after| after.parse().map_err(bad_cursor)).transpose()? })
}

/// What a page costs whose items cost so much. Who asks for too much is refused by [`wanted`].
pub(super) fn cost(first: Option<i32>, each: usize) -> usize {
    let items = first.map_or(DEFAULT_LIMIT, |first| usize::try_from(first).unwrap_or(0).min(MAX_LIMIT));
    items.saturating_mul(each).saturating_add(1)
}

/// A page as a connection; `cursor` says of an item where it stands.
pub(super) fn connection<T, I, N: OutputType>(
    page: Page<T>,
    wanted: &Wanted<I>,
    cursor: impl Fn(&T) -> String,
    node: impl Fn(T) -> Result<N, Problem>,
) -> Result<Connection<String, N>, Problem> {
    let mut connection = Connection::new(wanted.after.is_some(), page.next_cursor.is_some());
    for item in page.items {
        connection.edges.push(Edge::new(cursor(&item), node(item)?));
    }
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::EventId;

    #[test]
    fn a_page_is_bounded_and_costs_what_it_holds() {
        let id = EventId::new(ulid::Ulid(7));
        let wanted = |first, after: Option<&str>| wanted::<EventId>(first, after);
        assert_eq!(wanted(None, None), Ok(Wanted { limit: 20, after: None }));
        assert_eq!(wanted(Some(100), Some(&id.to_string())), Ok(Wanted { limit: 100, after: Some(id) }));
        for (first, after, field) in [
            (Some(0), None, "first"),
            (Some(-1), None, "first"),
            (Some(101), None, "first"),
            (Some(i32::MAX), None, "first"),
            (None, Some(""), "after"),
            (None, Some("mem_00000000000000000000000007"), "after"),
        ] {
            let refused = wanted(first, after).unwrap_err();
            assert_eq!(refused.at_field(), Some(field), "{first:?} {after:?}");
        }
        for (first, each, costs) in [
            (None, 3, 61),
            (Some(5), 3, 16),
            (Some(i32::MAX), 3, 301),
            (Some(-5), 3, 1),
            (Some(9), usize::MAX, usize::MAX),
        ] {
            assert_eq!(cost(first, each), costs, "{first:?} {each}");
        }
    }
}
