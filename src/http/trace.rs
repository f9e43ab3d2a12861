//! The trace that a request is part of.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};

use crate::domain::trace::{SpanId, Trace};

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// The trace, and the step of it that the request comes from. Of two parents none is believed.
pub(super) fn of(headers: &HeaderMap) -> Option<(Trace, SpanId)> {
    let mut parents = headers.get_all(PARENT);
    let (parent, further) = (parents.next()?.to_str().ok()?, parents.next());
    let (trace, span) = Trace::parse(parent).filter(|_| further.is_none())?;
    let states: Option<Vec<_>> = headers.get_all(STATE).map(|state| state.to_str().ok()).collect();
    Some((trace.with_state(&states.unwrap_or_default().join(",")), span))
}

/// The trace alone, to be kept with what the request brings.
pub(super) fn brought(request: &HttpRequest) -> Option<Trace> {
    of(request.headers()).map(|(trace, _)| trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_trace_has_one_parent_and_may_have_its_state_on_several_lines() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let request = TestRequest::default()
            .append_header((PARENT, parent))
            .append_header((STATE, "a=1"))
            .append_header((STATE, "b=2"));
        let (trace, span) = of(request.to_http_request().headers()).unwrap();
        assert_eq!((trace.parent(span).as_str(), trace.state()), (parent, Some("a=1,b=2")));
        let two = TestRequest::default().append_header((PARENT, parent)).append_header((PARENT, parent));
        assert_eq!(of(two.to_http_request().headers()), None);
        assert_eq!(of(TestRequest::default().to_http_request().headers()), None);
    }
}
