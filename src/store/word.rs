//! Texts in rows.

use std::fmt::{self, Write as _};
use std::ops::Deref;

use arrayvec::ArrayString;
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;

use crate::domain::ids::Id;

/// Enough for every id, with a word before it.
const SHORT: usize = 40;

/// A text that stands in the row itself when it is short, as nearly all but JSON are. A commit has some sixty of them, and
/// waits with them for the journal: that many allocations each are felt.
#[derive(Clone, PartialEq, Eq, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub(super) enum Word {
    Short(ArrayString<SHORT>),
    Long(Box<str>),
}

impl Word {
    /// What `value` shows itself as.
    pub(super) fn shown(value: impl fmt::Display) -> Self {
        let mut text = ArrayString::new();
        write!(text, "{value}").map_or_else(|_| Self::Long(value.to_string().into()), |()| Self::Short(text))
    }
}

impl Deref for Word {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Short(text) => text,
            Self::Long(text) => text,
        }
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        ArrayString::from(text).map_or_else(|_| Self::Long(text.into()), Self::Short)
    }
}

impl<I: Id> From<I> for Word {
    fn from(id: I) -> Self {
        Self::from(id.text().as_str())
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<DB: Backend> ToSql<Text, DB> for Word
where
    str: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        (**self).to_sql(out)
    }
}

impl<DB: Backend> FromSql<Text, DB> for Word
where
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        String::from_sql(bytes).map(|text| Self::from(text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::EventId;

    #[test]
    fn a_text_of_any_length_is_kept_whole() {
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 1_000] {
            let text = "é".repeat(length / 2) + &*"x".repeat(length % 2);
            assert_eq!((&*Word::from(text.as_str()), &*Word::shown(&text)), (&*text, &*text));
        }
        let id = EventId::new(ulid::Ulid(7));
        assert_eq!(&*Word::from(id), id.to_string());
        assert_eq!(size_of::<Word>(), 48);
    }
}
