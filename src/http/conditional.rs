//! Conditional requests (RFC 9110): changes of what somebody has read, and reading what somebody has not.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse};

use super::problem::Problem;
use crate::domain::precondition::{Precondition, Tag};

/// What `If-Match` says. It is read by whoever knows that the caller may ask at all.
pub(super) struct IfMatch(Result<Precondition, Problem>);

impl IfMatch {
    /// What must be so for the change to be made.
    pub(super) fn wanted(self) -> Result<Precondition, Problem> {
        self.0
    }
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(if_match(request.headers()))))
    }
}

fn if_match(headers: &HeaderMap) -> Result<Precondition, Problem> {
    let malformed = || {
        Problem::field("If-Match", "must be `*`, or the `ETag` of an answer, such as \"7\", with its quotes")
    };
    match Tags::of(headers, &header::IF_MATCH).map_err(|_| malformed())? {
        None => Ok(Precondition::None),
        Some(Tags::Any) => Ok(Precondition::Existing),
        Some(Tags::These(tags)) if tags.is_empty() => Err(malformed()),
        Some(Tags::These(tags)) => {
            // A weak one says only that two are about the same, so it never matches.
            let strong = tags.into_iter().filter(|(is_weak, _)| !is_weak);
            Ok(Precondition::OneOf(strong.map(|(_, tag)| tag).collect()))
        }
    }
}

/// 304 when whoever asks has this state already.
pub(super) fn not_modified(request: &HttpRequest, tag: &Tag) -> Option<HttpResponse> {
    // What is malformed asks for nothing.
    let is_known = match Tags::of(request.headers(), &header::IF_NONE_MATCH).ok()?? {
        Tags::Any => true,
        Tags::These(tags) => tags.iter().any(|(_, known)| known == tag),
    };
    is_known.then(|| with_tag(HttpResponse::NotModified().finish(), tag))
}

/// Says which state an answer shows.
pub(super) fn with_tag(mut answer: HttpResponse, tag: &Tag) -> HttpResponse {
    if let Ok(value) = HeaderValue::try_from(tag.to_string()) {
        answer.headers_mut().insert(header::ETAG, value);
    }
    answer
}

/// A list of tags, each with whether it is weak.
#[derive(Debug, PartialEq)]
enum Tags {
    Any,
    These(Vec<(bool, Tag)>),
}

/// It is no list of tags.
#[derive(Debug, PartialEq)]
struct Malformed;

impl Tags {
    fn of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Malformed> {
        let mut all = None;
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| Malformed)?.trim();
            match (&mut all, text) {
                (None, "*") => all = Some(Self::Any),
                (_, "*") | (Some(Self::Any), _) => return Err(Malformed),
                (None, list) => all = Some(Self::These(read(list).ok_or(Malformed)?)),
                (Some(Self::These(tags)), list) => tags.extend(read(list).ok_or(Malformed)?),
            }
        }
        Ok(all)
    }
}

/// `"7", W/"8"`; a comma may stand inside of the quotes.
fn read(mut list: &str) -> Option<Vec<(bool, Tag)>> {
    let mut tags = Vec::new();
    loop {
        list = list.trim_start_matches([' ', '\t', ',']);
        if list.is_empty() {
            return Some(tags);
        }
        let strong = list.strip_prefix("W/");
        let (name, rest) = strong.unwrap_or(list).strip_prefix('"')?.split_once('"')?;
        if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        tags.push((strong.is_some(), Tag::named(name)));
        list = rest.trim_start_matches([' ', '\t']);
        if !list.is_empty() && !list.starts_with(',') {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn headers(name: HeaderName, values: &[&str]) -> HttpRequest {
        let request = TestRequest::default();
        values
            .iter()
            .fold(request, |request, value| request.append_header((name.clone(), *value)))
            .to_http_request()
    }

    #[test]
    fn if_match_is_a_star_or_strong_tags_and_nothing_else() {
        let tags =
            |names: &[&str]| Some(Precondition::OneOf(names.iter().map(|name| Tag::named(name)).collect()));
        for (values, wanted) in [
            (&[][..], Some(Precondition::None)),
            (&["*"], Some(Precondition::Existing)),
            (&["\"7\""], tags(&["7"])),
            (&["\"7\", \"8.2\""], tags(&["7", "8.2"])),
            (&["\"7\",,\t\"8\" ,"], tags(&["7", "8"])),
            (&["\"7\"", "\"8\""], tags(&["7", "8"])),
            (&["\"a,b\""], tags(&["a,b"])),
            (&["W/\"7\""], tags(&[])),
            (&["W/\"7\", \"8\""], tags(&["8"])),
            (&["\"\""], tags(&[""])),
            (&["7"], None),
            (&["\"7"], None),
            (&["'7'"], None),
            (&["\"7\" \"8\""], None),
            (&["\"7\"8"], None),
            (&["w/\"7\""], None),
            (&["\"a b\""], None),
            (&["*, \"7\""], None),
            (&["*", "\"7\""], None),
            (&["\"7\"", "*"], None),
            (&[""], None),
            (&[","], None),
        ] {
            let read = if_match(headers(header::IF_MATCH, values).headers());
            assert_eq!(read.as_ref().ok(), wanted.as_ref(), "{values:?}");
            assert!(read.err().is_none_or(|problem| problem.code() == "invalid_field"), "{values:?}");
        }
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        for (values, known) in [
            (&[][..], false),
            (&["*"], true),
            (&["\"7\""], true),
            (&["W/\"7\""], true),
            (&["\"6\", \"7\""], true),
            (&["\"6\""], false),
            (&["7"], false),
        ] {
            let answer = not_modified(&headers(header::IF_NONE_MATCH, values), &Tag::from(7));
            assert_eq!(answer.is_some(), known, "{values:?}");
            assert!(answer.is_none_or(|answer| answer.headers().get(header::ETAG).unwrap() == "\"7\""));
        }
    }
}
