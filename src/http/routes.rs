//! All routes, with the methods that each knows.

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Resource, Responder, Route, web};

use super::problem::Problem;
use super::{admin, clock, edge, health, ingest};

/// A path and what its methods do. Any other method is answered 405 with the ones that exist.
pub(super) struct Routes {
    resource: Resource,
    allow: &'static str,
}

impl Routes {
    /// A path; `allow` is the `Allow` header of its 405 answers.
    pub(super) fn at(path: &str, allow: &'static str) -> Self {
        Self { resource: web::resource(path), allow }
    }

    /// Answers `method` by `handler`.
    pub(super) fn on<F, Args>(self, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        debug_assert!(self.allow.contains(method.as_str()), "{} is missing in {}", method, self.allow);
        let route = Route::new().method(method).to(handler);
        Self { resource: self.resource.route(route), ..self }
    }

    /// Adds the path to the service.
    pub(super) fn add(self, service: &mut web::ServiceConfig) {
        let allow = self.allow;
        let other = move || async move { Err::<&str, _>(Problem::MethodNotAllowed { allow }) };
        service.service(self.resource.default_service(web::to(other)));
    }
}

/// Adds everything that the engine says over HTTP. The application's data must hold an
/// [`AppState`](super::AppState).
pub fn configure(service: &mut web::ServiceConfig) {
    let everything = web::scope("")
        .wrap(actix_web::middleware::from_fn(edge::every_request))
        .configure(|service| {
            health::configure(service);
            ingest::configure(service);
            clock::configure(service);
            admin::configure(service);
        })
        .default_service(web::to(|| async { Err::<&str, _>(Problem::NoRoute) }));
    // A path whose percent-encoding is not UTF-8 names nothing.
    let paths = web::PathConfig::default().error_handler(|_, _| Problem::NoRoute.into());
    service.app_data(paths).service(everything);
}
