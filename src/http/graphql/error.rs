//! Errors: what a problem document says, in the extensions of a GraphQL error.

use std::sync::Arc;

use actix_web::ResponseError;
use async_graphql::{Response, ServerError};

use crate::http::problem::Problem;

/// The error that a problem is where no field is at fault.
pub(super) fn of_problem(problem: Problem) -> ServerError {
    let mut error = ServerError::new(problem.to_string(), None);
    error.source = Some(Arc::new(problem));
    error
}

/// Nothing was asked of anybody.
pub(super) fn refused(error: ServerError) -> Response {
    Response::from_errors(vec![error])
}

/// The status that REST would answer.
pub(super) fn status(error: &ServerError) -> u16 {
    match error.source::<Problem>() {
        Some(problem) => problem.status_code().as_u16(),
        None => bad_query().status_code().as_u16(),
    }
}

/// Says of an error what to do about it: of our own what its problem says, of what the library finds that the query is bad.
pub(super) fn explain(error: &mut ServerError) {
    let problem = error.source::<Problem>().cloned().unwrap_or_else(bad_query);
    let said = error.extensions.get_or_insert_default();
    said.set("code", problem.code());
    said.set("status", problem.status_code().as_u16());
    said.set("action", problem.action());
    if let Some(field) = problem.at_field() {
        said.set("field", field);
    }
}

/// What the library says itself stays its message.
const fn bad_query() -> Problem {
    Problem::BadQuery(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_a_problem_says() {
        let mut error = of_problem(Problem::field("url", "must begin with https://"));
        explain(&mut error);
        let json = serde_json::to_value(&error).unwrap();
        assert_eq!(json["message"], "`url`: must begin with https://");
        assert_eq!(json["extensions"]["code"], "invalid_field");
        assert_eq!(json["extensions"]["status"], 422);
        assert_eq!(json["extensions"]["field"], "url");
        assert!(json["extensions"]["action"].is_string());
        let mut error = ServerError::new("Unknown field", None);
        explain(&mut error);
        let json = serde_json::to_value(&error).unwrap();
        assert_eq!((&json["message"], status(&error)), (&"Unknown field".into(), 400));
        assert_eq!(json["extensions"]["code"], "invalid_query");
    }
}
