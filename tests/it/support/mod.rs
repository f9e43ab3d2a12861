//! The harness: a running engine, a real receiver, short ways to say what a test means.

pub(crate) mod app;
pub(crate) mod builders;
#[path = "../../support/postgres.rs"]
pub(crate) mod postgres;
pub(crate) mod receiver;

pub(crate) use app::{Backend, TestApp};
pub(crate) use builders::{order, refund, visit};
pub(crate) use receiver::Receiver;

/// Runs a test once on each backend.
macro_rules! on_both_backends {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::support::{Backend, TestApp};

            #[actix_web::test]
            async fn on_sqlite() {
                super::$name(TestApp::start(Backend::Sqlite).await).await;
            }

            #[actix_web::test]
            async fn on_postgres() {
                super::$name(TestApp::start(Backend::Postgres).await).await;
            }
        }
    )*};
}
pub(crate) use on_both_backends;
