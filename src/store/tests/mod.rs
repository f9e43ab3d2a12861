//! What the store promises, on both databases.

mod administration;
mod audit;
mod campaigns;
mod commits;
mod conditions;
mod coupons;
mod deliveries;
mod keys;
mod lanes;
mod opening;
mod outlets;
mod plans;
#[path = "../../../tests/support/postgres.rs"]
mod postgres;
mod recoveries;
mod requests;
pub(super) mod sample;
mod sources;

use tempfile::TempDir;

use super::{DatabaseUrl, Store, vault::Vault};

/// Writes each test twice: on SQLite and on PostgreSQL.
macro_rules! on_both {
    ($(fn $name:ident($store:ident) $body:block)*) => {
        $(mod $name {
            #[allow(unused_imports, reason = "each test needs some of them")]
            use super::*;

            fn check($store: &crate::store::Store) $body

            #[test]
            fn on_sqlite() {
                let (store, _folder) = crate::store::tests::sqlite();
                check(&store);
            }

            #[test]
            fn on_postgres() {
                check(&crate::store::tests::postgres());
            }
        })*
    };
}
use on_both;

pub(super) fn sqlite() -> (Store, TempDir) {
    let folder = TempDir::new().unwrap();
    let store = open(DatabaseUrl::Sqlite(folder.path().join("test.db")));
    (store, folder)
}

fn postgres() -> Store {
    open(postgres::fresh_database().parse().unwrap())
}

fn open(url: DatabaseUrl) -> Store {
    let store = Store::open(&url, Vault::new([7; 32])).unwrap();
    store.migrate().unwrap();
    store
}
