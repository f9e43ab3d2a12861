//! Pages of lists.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::ids::MemberId;

/// One page of a list, and where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Page<T> {
    /// The items, newest first unless the list says otherwise.
    pub items: Vec<T>,
    /// Give this as `cursor` to get the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A list that fits on one page.
    pub const fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }

    /// The same page of what `view` makes of each item.
    pub(super) fn map<V, E>(self, view: impl Fn(T) -> Result<V, E>) -> Result<Page<V>, E> {
        let items = self.items.into_iter().map(view).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: self.next_cursor })
    }
}

/// Which page is wanted: at most `limit` items behind the one named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wanted<I> {
    /// The most items.
    pub limit: usize,
    /// The last item of the page before; `None` for the first page.
    pub after: Option<I>,
}

/// A page of a list that belongs to a member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OfMember<I> {
    /// Whose.
    pub member: MemberId,
    /// Which page.
    pub wanted: Wanted<I>,
}

impl<I> Wanted<I> {
    /// How many rows to read: one more than shown tells whether there is another page.
    pub(super) fn rows(&self) -> i64 {
        i64::try_from(self.limit).map_or(i64::MAX, |limit| limit.saturating_add(1))
    }

    /// The page in `rows`, which [`Self::rows`] asked for. `id` names an item in the cursor.
    pub(super) fn page<T>(&self, mut rows: Vec<T>, id: impl Fn(&T) -> String) -> Page<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next_cursor = rows.last().filter(|_| more).map(id);
        Page { items: rows, next_cursor }
    }
}

impl<I: PartialEq> Wanted<I> {
    /// The page out of a whole list in memory.
    pub fn of_all<T>(&self, all: Vec<T>, id: impl Fn(&T) -> I, text: impl Fn(&T) -> String) -> Page<T> {
        let skip = match &self.after {
            // An item that is gone meanwhile ends the list: its place is not known any more.
            Some(after) => all.iter().position(|item| id(item) == *after).map_or(all.len(), |at| at + 1),
            None => 0,
        };
        let rows = all.into_iter().skip(skip).take(self.limit + 1).collect();
        self.page(rows, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let all: Vec<u32> = (0..7).collect();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = Wanted { limit: 3, after }.of_all(all.clone(), |n| *n, ToString::to_string);
            assert!(page.items.len() <= 3);
            seen.extend(page.items);
            match page.next_cursor {
                Some(cursor) => after = Some(cursor.parse().unwrap()),
                None => break,
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_list_that_fits_has_no_next_page() {
        let page = Wanted { limit: 3, after: None }.of_all(vec![1, 2, 3], |n| *n, ToString::to_string);
        assert_eq!(page, Page { items: vec![1, 2, 3], next_cursor: None });
    }
}
