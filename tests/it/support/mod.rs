//! The harness: a running engine, a real receiver, short ways to say what a test means.

pub mod app;
pub mod builders;
pub mod receiver;
#[path = "../../support/postgres.rs"]
pub mod postgres;

pub use app::{Backend, TestApp};
pub use builders::{order, refund, visit};
pub use receiver::Receiver;

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
