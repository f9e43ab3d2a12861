//! Query strings, read strictly: an unknown parameter is a mistake that must not pass for no filter.

use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use std::future::{Ready, ready};

use super::problem::Problem;
use crate::read::page::Wanted;

/// Items of a page unless the caller says otherwise.
pub(super) const DEFAULT_LIMIT: usize = 20;
/// The most items of a page.
pub(super) const MAX_LIMIT: usize = 100;

/// The parameters of a request, to be taken one by one. End with [`Query::finish`].
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string.
    pub(super) fn parse(query: &str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// Takes the text of a parameter.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let Some(at) = self.0.iter().position(|(given, _)| given == name) else { return Ok(None) };
        let (_, value) = self.0.swap_remove(at);
        if self.0.iter().any(|(given, _)| given == name) {
            return Err(Problem::field(name, "is given twice"));
        }
        Ok(Some(value))
    }

    /// Takes a parameter; `wanted` says what it must be, such as `must be an event id (evt_…)`.
    pub(super) fn parsed<T: FromStr>(&mut self, name: &str, wanted: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Problem::field(name, wanted))
    }

    /// Takes `limit` and `cursor`.
    pub(super) fn page<I: FromStr>(&mut self) -> Result<Wanted<I>, Problem> {
        let wanted = format!("must be a whole number from 1 to {MAX_LIMIT}");
        let limit = self.parsed("limit", &wanted)?.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::field("limit", wanted));
        }
        let after = self.parsed("cursor", "must be the `next_cursor` of the page before")?;
        Ok(Wanted { limit, after })
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::field(name, "is not a parameter of this route")),
        }
    }
}

impl FromRequest for Query {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::parse(request.query_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::EventId;

    #[test]
    fn a_page_is_read_from_limit_and_cursor() {
        let id = EventId::new(ulid::Ulid(7));
        let page = |text: &str| Query::parse(text).page::<EventId>();
        assert_eq!(page(""), Ok(Wanted { limit: 20, after: None }));
        assert_eq!(page(&format!("limit=100&cursor={id}")), Ok(Wanted { limit: 100, after: Some(id) }));
        for (text, field) in [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=-1", "limit"),
            ("limit=", "limit"),
            ("limit=1&limit=2", "limit"),
            ("cursor=", "cursor"),
            ("cursor=evt_", "cursor"),
            ("cursor=mem_00000000000000000000000007", "cursor"),
        ] {
            let Err(Problem::InvalidField { field: at, .. }) = page(text) else { panic!("{text}") };
            assert_eq!(at, field, "{text}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_refused_by_name() {
        let mut query = Query::parse("type=points.earned&typo=1");
        assert_eq!(query.text("type"), Ok(Some("points.earned".into())));
        assert_eq!(query.finish(), Err(Problem::field("typo", "is not a parameter of this route")));
    }
}
