//! Opening and migrating.

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use tempfile::TempDir;

use super::sample::*;
use super::{on_both, postgres};
use crate::store::vault::Vault;
use crate::store::{DatabaseUrl, Store, StoreError};

fn open(url: &str) -> Result<Store, StoreError> {
    Store::open(&url.parse::<DatabaseUrl>().unwrap(), Vault::new([7; 32]))
}

on_both! {
    fn migrating_again_changes_nothing(store) {
        store.write(&[order(1, &newcomer(1)).into()]);
        store.migrate().unwrap();
        assert_eq!(store.member(1).version, 1);
    }

    fn a_database_of_a_newer_version_is_left_alone(store) {
        store.change(|c| Ok(c.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')")?));
        let refused = store.migrate().unwrap_err().to_string();
        assert!(refused.contains("newer version"), "{refused}");
    }

    fn readers_cannot_write(store) {
        let refused = store.read_now(|c| Ok(c.batch_execute("DELETE FROM members")?));
        assert!(matches!(refused, Err(StoreError::Query(_))), "{refused:?}");
    }

    fn every_table_has_the_columns_of_the_schema(store) {
        use crate::store::schema::*;
        use diesel::QueryDsl;
        macro_rules! readable {
            ($($table:ident)*) => {
                $(store.look(|c| {
                    let query = $table::table.select($table::all_columns).limit(0);
                    crate::store::connection::on_backend!(c, |c| query.execute(c))?;
                    Ok(())
                });)*
            };
        }
        readable!(chains members identities source_events orders transfers loyalty_events endpoints endpoint_conditions deliveries attempts
                  api_keys audit_log sweeps program_versions suspended_rules roll_outs churn_models coupon_books coupons coupon_holdings
                  coupon_tallies coupon_usages redemptions reward_stock campaign_budgets erasures parked);
    }
}

#[test]
fn a_sqlite_writer_waits_for_the_disk_at_every_commit() {
    #[derive(diesel::QueryableByName)]
    struct Setting {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        synchronous: i64,
    }
    let (store, _folder) = super::sqlite();
    let query = diesel::sql_query("SELECT synchronous FROM pragma_synchronous");
    assert_eq!(store.change(|c| Ok(query.get_result::<Setting>(c)?)).synchronous, 2, "FULL");
}

#[test]
fn what_cannot_be_opened_is_said_in_one_sentence() {
    let folder = TempDir::new().unwrap();
    let in_folder = |name: &str| format!("sqlite://{}/{name}", folder.path().display());
    std::fs::write(
        folder.path().join("letter.txt"),
        "Dear Ana, this is not a database at all, as you see. ".repeat(40),
    )
    .unwrap();
    std::fs::create_dir(folder.path().join("a-folder")).unwrap();
    for (url, part) in [
        (in_folder("letter.txt"), "not a database"),
        (in_folder("letter.txt/below/p.db"), "cannot create the folder"),
        (in_folder("a-folder"), "cannot open the database"),
        (
            "postgres://ana:s3cret@127.0.0.1:1/p".to_owned(),
            "cannot connect to postgres://ana:…@127.0.0.1:1/p",
        ),
    ] {
        let said = open(&url).map(drop).unwrap_err().to_string();
        assert!(said.contains(part), "{said}");
        assert!(said.contains(';') && !said.contains('\n') && !said.contains("s3cret"), "{said}");
    }
}

#[test]
fn a_missing_file_is_made_with_its_folder() {
    let folder = TempDir::new().unwrap();
    let store = open(&format!("sqlite://{}/data/deep/p.db", folder.path().display())).unwrap();
    store.migrate().unwrap();
    assert_eq!(store.writer_count(), 1);
}

#[test]
fn the_files_of_a_database_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("data/p.db");
    let store = open(&format!("sqlite://{}", file.display())).unwrap();
    store.migrate().unwrap();
    let mut writer = store.writer().unwrap();
    writer.write(&[order(1, &newcomer(1)).into()]).unwrap();
    let copy = tempfile::NamedTempFile::new_in(folder.path().join("data")).unwrap();
    crate::store::backup::copy(&file, copy.path()).unwrap();
    let found: Vec<_> = std::fs::read_dir(folder.path().join("data")).unwrap().map(Result::unwrap).collect();
    for name in ["p.db", "p.db-wal", "p.db-shm"] {
        assert!(found.iter().any(|file| file.file_name() == name), "{name} of {found:?}");
    }
    for file in &found {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:o} of {file:?}", mode);
    }
    assert!(found.len() >= 4 && copy.as_file().metadata().unwrap().len() > 0);
}

#[test]
fn a_server_that_answers_before_it_is_durable_is_refused() {
    let url = postgres::fresh_database();
    let (_, name) = url.split_once(":///").unwrap();
    let name = name.split('?').next().unwrap();
    let store = open(&url).unwrap();
    assert_eq!(store.writer_count(), 3);
    store.change(|c| Ok(c.batch_execute(&format!("ALTER DATABASE {name} SET synchronous_commit = off"))?));
    let said = open(&url).map(drop).unwrap_err().to_string();
    assert!(said.contains("synchronous_commit"), "{said}");
}

#[test]
fn a_writer_whose_connection_broke_connects_again() {
    let store = postgres();
    let mut writer = store.writer().unwrap();
    let broken = writer.run(|c, _| Ok(c.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())")?));
    assert!(broken.is_err());
    assert_eq!(
        writer.write(&[order(1, &newcomer(1)).into()]).unwrap(),
        [crate::store::commit::Written::Done]
    );
}

#[actix_web::test]
async fn lists_that_take_long_do_not_hold_up_the_engine() {
    let (store, _folder) = crate::store::tests::sqlite();
    let (release, released) = tokio::sync::watch::channel(());
    let (begin, mut begun) = tokio::sync::mpsc::channel(8);
    let lists = (0..8).map(|_| {
        let (store, mut released, begin) = (store.clone(), released.clone(), begin.clone());
        actix_web::rt::spawn(async move {
            let wait = move |_: &mut _| {
                begin.blocking_send(()).unwrap();
                // Ends with an error, when the other side is dropped.
                let _ = actix_web::rt::Runtime::new().unwrap().block_on(released.changed());
                Ok(())
            };
            store.read_for_outsiders(wait).await
        })
    });
    let lists: Vec<_> = lists.collect();
    for _ in 0..crate::store::OUTSIDE_READERS {
        begun.recv().await.unwrap();
    }
    store.read(crate::store::chain::list).await.unwrap();
    drop(release);
    for list in lists {
        list.await.unwrap().unwrap();
    }
}
