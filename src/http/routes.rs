//! All routes, with the methods that each knows.

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Resource, Responder, Route, web};

use super::admin::commands::about_member;
use super::admin::coupons::about_coupon;
use super::admin::redemptions::one_step;
use super::admin::{
    candidate, chains, churn, coupon_books, coupon_codes, coupons, deliveries, dry_run, endpoints,
    event_types, export, export_schedules, integrations, keys, loyalty_events, members, program, redemptions,
    referrals, source_events,
};
use super::ingest::{batch, single};
use super::problem::Problem;
use super::{clock, edge, graphql, health};
use crate::domain::command::CommandType;
use crate::domain::redemption::Step;
use crate::domain::role::Right;
use crate::domain::source_event::SourceType;

/// A path and what its methods do. Any other method is answered 405 with the ones that exist.
struct Routes {
    resource: Resource,
    methods: Vec<Method>,
}

/// A path.
fn at(path: &str) -> Routes {
    Routes { resource: web::resource(path), methods: Vec::new() }
}

/// A path of one chain.
fn of_chain(path: &str) -> Routes {
    at(&format!("/v1/chains/{{chain}}{path}"))
}

impl Routes {
    fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::GET, handler.clone()).on(Method::HEAD, handler)
    }

    fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::POST, handler)
    }

    fn patch<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::PATCH, handler)
    }

    fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::DELETE, handler)
    }

    fn on<F, Args>(mut self, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.push(method.clone());
        Self { resource: self.resource.route(Route::new().method(method).to(handler)), ..self }
    }

    fn add(self, service: &mut web::ServiceConfig) {
        let allow = self.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let other =
            move || std::future::ready(Err::<&str, _>(Problem::MethodNotAllowed { allow: allow.clone() }));
        service.service(self.resource.default_service(web::to(other)));
    }
}

/// Adds everything that the engine says over HTTP. The application's data must hold an
/// [`Door`](super::Door).
pub fn configure(service: &mut web::ServiceConfig) {
    let everything = web::scope("")
        .wrap(actix_web::middleware::from_fn(edge::every_request))
        .configure(of_the_process)
        .configure(of_events)
        .configure(of_members)
        .configure(of_coupons)
        .configure(of_redemptions)
        .configure(of_deliveries)
        .configure(of_outlets)
        .default_service(web::to(async || Err::<&str, _>(Problem::NoRoute)));
    // A path whose percent-encoding is not UTF-8 names nothing.
    let paths = web::PathConfig::default().error_handler(|_, _| Problem::NoRoute.into());
    service.app_data(paths).service(everything);
}

fn of_the_process(service: &mut web::ServiceConfig) {
    at("/healthz").get(health::alive).add(service);
    at("/readyz").get(health::ready).add(service);
    at("/metrics").get(health::metrics).add(service);
    at("/graphql").post(graphql::answer).add(service);
    at("/graphiql").get(graphql::graphiql).add(service);
    at("/v1/clock").get(clock::show).post(clock::advance).add(service);
    at("/v1/keys").get(keys::list).post(keys::create).add(service);
    at("/v1/keys/{id}").delete(keys::revoke).add(service);
    at("/v1/event_types").get(event_types::list).add(service);
    at("/v1/chains").get(chains::list).post(chains::create).add(service);
    of_chain("").get(chains::get).patch(chains::patch).add(service);
    of_chain("/program").get(program::get).add(service);
    of_chain("/program/campaigns").get(program::campaigns).add(service);
    of_chain("/program/versions").get(program::versions).add(service);
    of_chain("/program/versions/{n}").get(program::version).add(service);
    of_chain("/program/diff").get(program::diff).add(service);
    of_chain("/program/check").post(program::check).add(service);
    of_chain("/program/backtest").post(program::backtest).add(service);
    of_chain("/program/publish").post(program::publish).add(service);
    of_chain("/program/rollback").post(program::roll_back).add(service);
    of_chain("/program/rules/resume").post(program::resume_rule).add(service);
    of_chain("/program/candidate")
        .get(candidate::get)
        .post(candidate::begin)
        .patch(candidate::change)
        .add(service);
    of_chain("/program/candidate/promote").post(candidate::promote).add(service);
    of_chain("/program/candidate/drop").post(candidate::give_up).add(service);
    of_chain("/churn").get(churn::get).add(service);
    of_chain("/churn/refit").post(churn::refit).add(service);
}

fn of_events(service: &mut web::ServiceConfig) {
    of_chain("/events").get(loyalty_events::list).post(single::receive).add(service);
    of_chain("/events/batch").post(batch::receive).add(service);
    of_chain("/events/dry_run").post(dry_run::try_out).add(service);
    of_chain("/events/{id}").get(loyalty_events::get).add(service);
    of_chain("/source_events").get(source_events::list).add(service);
    of_chain("/source_events/{id}").get(source_events::get).add(service);
    of_chain("/source_events/{id}/replay").post(source_events::replay).add(service);
}

fn of_members(service: &mut web::ServiceConfig) {
    of_chain("/members").get(members::list).post(members::create).add(service);
    of_chain("/members/{member}")
        .get(members::get)
        .patch(about_member(Right::Serve, SourceType::MemberUpdated))
        .delete(about_member(Right::Manage, CommandType::Erase))
        .add(service);
    of_chain("/members/{member}/claims").post(members::claim).add(service);
    of_chain("/members/{member}/export").get(export::get).add(service);
    of_chain("/members/{member}/merge").post(about_member(Right::Manage, CommandType::Merge)).add(service);
    of_chain("/members/{member}/unmerge")
        .post(about_member(Right::Manage, CommandType::Unmerge))
        .add(service);
    of_chain("/members/{member}/ledger").get(members::ledger).add(service);
    of_chain("/members/{member}/ledger/{line}").get(members::explain).add(service);
    of_chain("/members/{member}/points")
        .post(about_member(Right::Manage, CommandType::AdjustPoints))
        .add(service);
    of_chain("/members/{member}/tier")
        .post(about_member(Right::Manage, CommandType::SetTier))
        .delete(about_member(Right::Manage, CommandType::ClearTier))
        .add(service);
    of_chain("/members/{member}/points/confirm")
        .post(about_member(Right::Manage, CommandType::ConfirmPoints))
        .add(service);
    of_chain("/members/{member}/statement").get(members::statement).add(service);
    of_chain("/members/{member}/events").get(members::events).add(service);
    of_chain("/members/{member}/achievements").get(referrals::achievements).add(service);
    of_chain("/members/{member}/referral")
        .get(referrals::of_member)
        .post(about_member(Right::Serve, CommandType::AcceptReferral))
        .add(service);
    of_chain("/members/{member}/referral/approve")
        .post(about_member(Right::Manage, CommandType::ApproveReferral))
        .add(service);
    of_chain("/members/{member}/referral/reject")
        .post(about_member(Right::Manage, CommandType::RejectReferral))
        .add(service);
    of_chain("/members/{member}/referrals").get(referrals::sent).add(service);
    of_chain("/referral_codes/{code}").get(referrals::code).add(service);
}

fn of_coupons(service: &mut web::ServiceConfig) {
    of_chain("/coupon_books").get(coupon_books::list).post(coupon_books::create).add(service);
    of_chain("/coupon_books/{key}").get(coupon_books::get).add(service);
    of_chain("/coupon_books/{key}/codes").get(coupon_books::codes).post(coupon_codes::add).add(service);
    of_chain("/members/{member}/coupons")
        .get(coupons::of_member)
        .post(about_member(Right::Manage, CommandType::AssignCoupon))
        .add(service);
    of_chain("/coupons/{code}").get(coupons::get).add(service);
    of_chain("/coupons/{code}/reserve").post(about_coupon(CommandType::ReserveCoupon)).add(service);
    of_chain("/coupons/{code}/release").post(about_coupon(CommandType::ReleaseCoupon)).add(service);
    of_chain("/coupons/{code}/use").post(about_coupon(CommandType::UseCoupon)).add(service);
    of_chain("/coupons/{code}/revert").post(about_coupon(CommandType::RevertCoupon)).add(service);
}

fn of_redemptions(service: &mut web::ServiceConfig) {
    of_chain("/members/{member}/redemptions")
        .get(redemptions::of_member)
        .post(about_member(Right::Serve, CommandType::Redeem))
        .add(service);
    of_chain("/redemptions").get(redemptions::list).add(service);
    of_chain("/redemptions/{id}").get(redemptions::get).add(service);
    of_chain("/redemptions/{id}/approve").post(one_step(Step::Approve)).add(service);
    of_chain("/redemptions/{id}/fulfill").post(one_step(Step::Fulfill)).add(service);
    of_chain("/redemptions/{id}/reject").post(one_step(Step::Reject)).add(service);
    of_chain("/redemptions/{id}/cancel").post(one_step(Step::Cancel)).add(service);
}

fn of_outlets(service: &mut web::ServiceConfig) {
    of_chain("/export_schedules").get(export_schedules::list).add(service);
    of_chain("/integrations").get(integrations::list).add(service);
}

fn of_deliveries(service: &mut web::ServiceConfig) {
    of_chain("/endpoints").get(endpoints::list).post(endpoints::create).add(service);
    of_chain("/endpoints/{id}")
        .get(endpoints::get)
        .patch(endpoints::patch)
        .delete(endpoints::delete)
        .add(service);
    of_chain("/endpoints/{id}/enable").post(endpoints::enable).add(service);
    of_chain("/endpoints/{id}/disable").post(endpoints::disable).add(service);
    of_chain("/endpoints/{id}/pause").post(endpoints::pause).add(service);
    of_chain("/endpoints/{id}/test").post(endpoints::test::send).add(service);
    of_chain("/endpoints/{id}/health").get(endpoints::health::get).add(service);
    of_chain("/endpoints/{id}/recover").post(endpoints::recover::begin).add(service);
    of_chain("/endpoints/{id}/recoveries").get(endpoints::recover::list).add(service);
    of_chain("/endpoints/{id}/recoveries/{recovery}").get(endpoints::recover::get).add(service);
    of_chain("/endpoints/{id}/recoveries/{recovery}/stop").post(endpoints::recover::stop).add(service);
    of_chain("/endpoints/{id}/rotate_secret").post(endpoints::rotate_secret).add(service);
    of_chain("/endpoints/{id}/secrets/{key}").delete(endpoints::end_key).add(service);
    of_chain("/endpoints/{id}/deliveries").get(deliveries::list).add(service);
    of_chain("/endpoints/{id}/lanes").get(deliveries::lanes).add(service);
    of_chain("/endpoints/{id}/digest").get(deliveries::digest).add(service);
    of_chain("/deliveries/{id}").get(deliveries::get).add(service);
    of_chain("/deliveries/{id}/retry").post(deliveries::retry).add(service);
    of_chain("/deliveries/{id}/discard").post(deliveries::discard).add(service);
}
