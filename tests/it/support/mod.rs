//! The harness: a running engine, a real receiver, short ways to say what a test means.

pub(crate) mod app;
pub(crate) mod builders;
mod catalogue;
#[path = "../../support/cdnow.rs"]
pub(crate) mod cdnow;
#[path = "../../support/copy_folder.rs"]
mod copy_folder;
mod documented;
pub(crate) mod interpreters;
#[path = "../../support/postgres.rs"]
pub(crate) mod postgres;
pub(crate) mod printed;
pub(crate) mod receiver;
pub(crate) mod rude;
pub(crate) mod serving;

pub(crate) use app::{Backend, TestApp};
pub(crate) use builders::{order, refund, visit};
pub(crate) use receiver::Receiver;
pub(crate) use rude::{Manners, Rude};
pub(crate) use serving::Serving;

/// Runs a test once on each backend; `from` says how to start the engine.
macro_rules! on_both_backends {
    (from $start:path; $($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::support::Backend;

            #[actix_web::test]
            async fn on_sqlite() {
                super::$name($start(Backend::Sqlite).await).await;
            }

            #[actix_web::test]
            async fn on_postgres() {
                super::$name($start(Backend::Postgres).await).await;
            }
        }
    )*};
    ($($name:ident),* $(,)?) => {
        crate::support::on_both_backends! { from crate::support::TestApp::start; $($name),* }
    };
}
pub(crate) use on_both_backends;
