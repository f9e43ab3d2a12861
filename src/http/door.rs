//! The door: it answers watchers as soon as the process runs, and everybody else once the engine stands behind it.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use super::AppState;
use super::body::BodyRoom;
use super::problem::Problem;
use crate::clock::Clock;
use crate::telemetry::Metrics;

/// What the server is given before the engine is there.
#[derive(Default)]
pub struct Door {
    clock: Clock,
    bodies: BodyRoom,
    state: OnceLock<Arc<AppState>>,
}

impl Door {
    /// A closed door: whatever needs the engine is answered `starting`.
    pub fn new(clock: Clock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// From now on requests reach the engine. Only the first call counts.
    pub fn open(&self, state: AppState) {
        let _ = self.state.set(Arc::new(state));
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The door that a request came through.
    pub(super) fn of(request: &HttpRequest) -> Result<&Self, Problem> {
        let door = request.app_data::<web::Data<Self>>();
        door.map(|door| &***door).ok_or(Problem::Unavailable)
    }

    /// What is counted, once the engine is there.
    pub(super) fn metrics(&self) -> Option<&Metrics> {
        self.state.get().map(|state| &*state.metrics)
    }

    pub(super) const fn bodies(&self) -> &BodyRoom {
        &self.bodies
    }
}

/// What a handler that needs the engine asks for. There is none while the door is closed.
#[derive(Clone)]
pub(super) struct State(Arc<AppState>);

impl Deref for State {
    type Target = AppState;
    fn deref(&self) -> &AppState {
        &self.0
    }
}

impl State {
    /// The state behind the door that a request came through.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        Door::of(request)?.state.get().cloned().map(Self).ok_or(Problem::Starting)
    }
}

impl FromRequest for State {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header;
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use actix_web::{App, web};

    #[actix_web::test]
    async fn while_the_engine_starts_only_liveness_is_answered_well() {
        let door = web::Data::new(Door::default());
        let app = init_service(App::new().app_data(door).configure(crate::http::configure)).await;
        let alive = call_service(&app, TestRequest::get().uri("/healthz").to_request()).await;
        assert_eq!(alive.status(), 200);
        for path in ["/readyz", "/metrics", "/v1/chains", "/v1/chains/harvest/members/ana"] {
            let key = (header::AUTHORIZATION, "Bearer pck_any");
            let request = TestRequest::get().uri(path).insert_header(key).to_request();
            let answer = call_service(&app, request).await;
            assert_eq!(answer.status(), 503, "{path}");
            assert!(answer.headers().contains_key(header::RETRY_AFTER), "{path}");
            let problem: serde_json::Value = read_body_json(answer).await;
            assert_eq!(problem["code"], "starting", "{path}");
        }
    }
}
