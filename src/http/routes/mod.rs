//! All routes, with the methods that each knows, and what each of them does.
//!
//! A route is registered together with its description ([`Operation`]). What is served and what the OpenAPI document says
//! come from the same table, so they know the same paths and methods.

mod audit;
mod chains;
mod coupons;
mod endpoints;
mod events;
mod keys;
mod members;
mod outlets;
mod process;
mod programs;
mod redemptions;

use std::sync::Arc;

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::middleware::Condition;
use actix_web::{FromRequest, Handler, Resource, Responder, Route, web};

use super::cors::{self, WebOrigin};
use super::edge;
use super::openapi::Operation;
use super::problem::Problem;

/// The path of a route as it is written here, which its requests carry.
pub(super) struct Pattern(pub(super) Arc<String>);

/// A path and what its methods do. Any other method is answered 405 with the ones that exist.
pub(super) struct Routes {
    path: String,
    resource: Resource,
    methods: Vec<Method>,
    operations: Vec<(Method, Operation)>,
}

/// Routes that belong together, for whoever reads of them.
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) routes: Vec<Routes>,
}

/// A path. What stands in braces is described in [`super::openapi`], by its name.
fn at(path: impl Into<String>) -> Routes {
    let path = path.into();
    Routes { resource: web::resource(&path), path, methods: Vec::new(), operations: Vec::new() }
}

/// A path of one chain.
fn of_chain(path: &str) -> Routes {
    at(format!("/v1/chains/{{chain}}{path}"))
}

impl Routes {
    fn get<F, Args>(self, handler: F, operation: Operation) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let mut this = self.on(Method::GET, handler.clone(), operation);
        this.methods.push(Method::HEAD);
        Self { resource: this.resource.route(Route::new().method(Method::HEAD).to(handler)), ..this }
    }

    fn post<F, Args>(self, handler: F, operation: Operation) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::POST, handler, operation)
    }

    fn patch<F, Args>(self, handler: F, operation: Operation) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::PATCH, handler, operation)
    }

    fn delete<F, Args>(self, handler: F, operation: Operation) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::DELETE, handler, operation)
    }

    fn on<F, Args>(mut self, method: Method, handler: F, operation: Operation) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.push(method.clone());
        self.operations.push((method.clone(), operation));
        Self { resource: self.resource.route(Route::new().method(method).to(handler)), ..self }
    }

    /// The path, as OpenAPI writes it.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What its methods do.
    pub(super) fn operations(&self) -> &[(Method, Operation)] {
        &self.operations
    }

    fn add(self, service: &mut web::ServiceConfig) {
        let allow = self.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let other =
            move || std::future::ready(Err::<&str, _>(Problem::MethodNotAllowed { allow: allow.clone() }));
        let pattern = Pattern(Arc::new(self.path));
        service.service(self.resource.app_data(pattern).default_service(web::to(other)));
    }
}

/// Everything that the engine says over HTTP.
pub(super) fn groups() -> Vec<Group> {
    vec![
        process::group(),
        keys::group(),
        audit::group(),
        chains::group(),
        events::group(),
        members::group(),
        coupons::group(),
        redemptions::group(),
        endpoints::group(),
        endpoints::deliveries(),
        programs::group(),
        programs::candidates(),
        outlets::group(),
        outlets::graphql(),
    ]
}

/// Adds everything that the engine says over HTTP. The application's data must hold an
/// [`Door`](super::Door).
pub fn configure(service: &mut web::ServiceConfig) {
    configure_for(&[])(service);
}

/// The same, and pages of these origins may talk to it.
pub(super) fn configure_for(origins: &[WebOrigin]) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let cors = cors::of(origins);
    move |service| everything(service, cors)
}

fn everything(service: &mut web::ServiceConfig, cors: Condition<Cors>) {
    let everything = web::scope("")
        .wrap(cors)
        .wrap(actix_web::middleware::from_fn(edge::every_request))
        .configure(|service| {
            groups().into_iter().flat_map(|group| group.routes).for_each(|routes| routes.add(service))
        })
        .default_service(web::to(async || Err::<&str, _>(Problem::NoRoute)));
    // A path whose percent-encoding is not UTF-8 names nothing.
    let paths = web::PathConfig::default().error_handler(|_, _| Problem::NoRoute.into());
    service.app_data(paths).service(everything);
}
