//! The drill of docs/operations.md: a backup under load, more load, a kill, and everything again in another place.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use actix_web::rt::time::sleep;
use awc::http::Method;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use serde_json::Value;

use crate::counter::join;
use crate::load::{Load, event};
use crate::receiver::receiver;
use crate::reconcile::{receipt_of, settled};
use crate::server::{EVENTS, MASTER_KEY, PATIENCE, Server, call, make_endpoint, verify};

/// What a verb says, and whether it did it.
struct Said {
    done: bool,
    text: String,
}

/// Has the command line do something, while the load goes on.
async fn punchcard(arguments: &[&str], key: &'static str) -> Said {
    let arguments: Vec<_> = arguments.iter().map(|&text| text.to_owned()).collect();
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_punchcard"));
        command.args(&arguments).env("PUNCHCARD_MASTER_KEY", key).output().expect("it runs")
    };
    let output = actix_web::web::block(run).await.expect("it ends");
    let text =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    Said { done: output.status.success(), text }
}

#[actix_web::test]
async fn a_backup_under_load_goes_on_elsewhere_where_it_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let database = format!("sqlite://{}", at("here/punchcard.db"));
    let (url, arrived) = receiver("127.0.0.1:0");
    let server = Server::start(&database, &[]);
    let endpoint = make_endpoint(&server.base, &url).await;
    let (load, senders) = Load::start(&server.base);
    let answered = async |count| {
        while load.answered() < count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    answered(300).await;
    let before: HashMap<u32, Option<Value>> = load.acknowledged.borrow().clone();
    let file = at("backup.db");
    let backup = ["backup", &file, "--database", &database];
    let said = punchcard(&backup, MASTER_KEY).await;
    assert!(said.done && said.text.contains("secrets of 1 endpoints open"), "{}", said.text);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = punchcard(&backup, MASTER_KEY).await;
    assert!(!again.done && again.text.contains("never overwritten"), "{}", again.text);
    let taken = punchcard(&["restore", &file, "--database", &database, "--replace"], MASTER_KEY).await;
    assert!(!taken.done && taken.text.contains("another punchcard process"), "{}", taken.text);
    answered(load.answered() + 300).await;
    load.stop.set(true);
    join(senders).await;
    server.kill();
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().flatten().map(|file| file.file_name()).collect();
    assert_eq!(left.len(), 2, "nothing unfinished is left: {left:?}");

    let elsewhere = format!("sqlite://{}", at("elsewhere/punchcard.db"));
    let restored = punchcard(&["restore", &file, "--database", &elsewhere], MASTER_KEY).await;
    assert!(restored.done, "{}", restored.text);
    verify(&elsewhere);
    let server = Server::start(&elsewhere, &[]);
    let mut owed = HashMap::new();
    for (number, answered) in before {
        let receipt = receipt_of(&server.base, number).await;
        if let Some(first) = answered {
            assert_eq!((&receipt["id"], &receipt["events"]), (&first["id"], &first["events"]), "k{number}");
        }
        let events = receipt["events"].as_array().unwrap().iter();
        let earned = events.filter(|event| event["type"] == "points.earned");
        let ids: BTreeSet<_> = earned.map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        owed.insert(format!("k{number}"), ids);
    }
    // What was under way when the backup was made is delivered, by either of the two engines, and under the same ids.
    settled(&server.base, &endpoint).await;
    let arrived = arrived.by_source();
    for (key, ids) in &owed {
        assert_eq!(arrived.get(key), Some(ids), "the loyalty events of {key}");
    }
    assert_eq!(server.terminate().await.0, Some(0));

    // The database that is there is moved aside, whole; and may come back.
    let refused = punchcard(&["restore", &file, "--database", &elsewhere], MASTER_KEY).await;
    assert!(!refused.done && refused.text.contains("--replace"), "{}", refused.text);
    let replaced = punchcard(&["restore", &file, "--database", &elsewhere, "--replace"], MASTER_KEY).await;
    assert!(replaced.done && replaced.text.contains(".replaced-"), "{}", replaced.text);
    verify(&elsewhere);
    let aside = replaced.text.split_whitespace().find(|word| word.contains(".replaced-")).unwrap();
    verify(&format!("sqlite://{}", aside.trim_end_matches('.')));
}

/// A small database without a server, and a backup of it.
async fn backed_up(dir: &Path) -> (String, String) {
    let database = format!("sqlite://{}", dir.join("punchcard.db").display());
    let server = Server::start(&database, &[]);
    let (url, _) = receiver("127.0.0.1:0");
    make_endpoint(&server.base, &url).await;
    let sent = call(&server.base, Method::POST, EVENTS, &event(1)).await.expect("an answer");
    assert_eq!(sent.0, 200, "{}", sent.1);
    let started = Instant::now();
    server.kill();
    let file = dir.join("backup.db").display().to_string();
    let said = punchcard(&["backup", &file, "--database", &database], MASTER_KEY).await;
    assert!(said.done && started.elapsed() < PATIENCE, "{}", said.text);
    (database, file)
}

#[actix_web::test]
async fn what_cannot_be_relied_on_is_not_restored_and_nothing_is_touched() {
    const OTHER_KEY: &str = "BBECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let dir = tempfile::tempdir().unwrap();
    let (database, file) = backed_up(dir.path()).await;
    let there = |name: &str| dir.path().join(name).display().to_string();
    let damaged = there("damaged.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8_192].fill(0xa5);
    std::fs::write(&damaged, bytes).unwrap();
    let truncated = there("truncated.db");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&truncated, &whole[..whole.len() / 2]).unwrap();
    let foreign = there("foreign.db");
    std::fs::write(&foreign, "a picture of a cat").unwrap();
    // By hand: points from nowhere, and what a later version may have done.
    let changed = |name: &str, change: &str| {
        let changed = there(name);
        std::fs::copy(&file, &changed).unwrap();
        SqliteConnection::establish(&changed).unwrap().batch_execute(change).unwrap();
        changed
    };
    let unbalanced = changed("unbalanced.db", "UPDATE transfers SET amount = amount + 1");
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231')";
    let newer = changed("newer.db", newer);
    let older = changed("older.db", "DELETE FROM __diesel_schema_migrations");
    // What a server leaves: its log may lie beside it.
    let raw = there("punchcard.db");
    let before = std::fs::read(&raw).unwrap();
    for (file, key, why) in [
        (&file, OTHER_KEY, "the master key is not the one they were sealed with"),
        (&file, "", "is of no use without its master key"),
        (&damaged, MASTER_KEY, "it is damaged"),
        (&truncated, MASTER_KEY, ""),
        (&unbalanced, MASTER_KEY, "its books are not in order"),
        (&newer, MASTER_KEY, "upgraded by a newer version of this program"),
        (&foreign, MASTER_KEY, "it is not a punchcard database"),
        (&raw, MASTER_KEY, "it is the file of a database as a server leaves it"),
    ] {
        let said = punchcard(&["restore", file, "--database", &database, "--replace"], key).await;
        assert!(!said.done && said.text.contains(why), "{file}: {}", said.text);
        assert_eq!(std::fs::read(&raw).unwrap(), before, "{file}: {}", said.text);
    }
    // Nothing is upgraded behind anybody's back.
    let elsewhere = format!("sqlite://{}", there("older/punchcard.db"));
    let said = punchcard(&["restore", &older, "--database", &elsewhere], MASTER_KEY).await;
    assert!(said.done && said.text.contains("`punchcard migrate`"), "{}", said.text);
    assert_eq!(std::fs::read(there("older/punchcard.db")).unwrap(), std::fs::read(&older).unwrap());
    let postgres = punchcard(&["backup", &there("pg"), "--database", "postgres://h/d"], MASTER_KEY).await;
    assert!(!postgres.done && postgres.text.contains("pg_dump"), "{}", postgres.text);
}
