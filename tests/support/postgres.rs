//! A PostgreSQL server for tests: started once per test process, gone when the process is, however it ends.
//!
//! Included by path into the unit tests of the store and into integration tests.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

/// An existing server to use instead: a URL with the right to create databases.
const EXISTING: &str = "PUNCHCARD_TEST_POSTGRES";

const HELP: &str = "these tests need PostgreSQL: `apt-get install postgresql`, or name an existing server, such as \
                    PUNCHCARD_TEST_POSTGRES=postgres://user:password@localhost/postgres";

/// Runs a throwaway server until its standard input closes, which happens when the test process ends, even by a kill.
/// PostgreSQL refuses to run as root, so root becomes `postgres` first.
const SERVER: &str = r#"
set -eu
if [ "$(id -u)" = 0 ]; then exec runuser -u postgres -- sh -c "$1" server "$1"; fi
bin=$(command -v initdb >/dev/null 2>&1 && dirname "$(command -v initdb)" || ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
dir=$(mktemp -d /tmp/punchcard-test-postgres.XXXXXX)
trap 'rm -rf "$dir"' EXIT
"$bin/initdb" -D "$dir/data" -U punchcard -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1
"$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=300 -c fsync=off >>"$dir/log" 2>&1 &
server=$!
trap 'kill -INT $server 2>/dev/null; wait $server; rm -rf "$dir"' EXIT
tries=0
until "$bin/pg_isready" -q -h "$dir"; do
  tries=$((tries + 1)); [ $tries -lt 300 ] && kill -0 $server || { cat "$dir/log" >&2; exit 1; }
  sleep 0.1
done
echo "$dir"
cat >/dev/null
"#;

struct Server {
    /// The URL of any database of the server, up to its name, and what follows the name.
    around_name: (String, String),
    admin: String,
    /// Held open for as long as the process lives.
    _lifeline: Option<(Child, ChildStdin)>,
}

/// The URL of a fresh, empty database.
///
/// # Panics
/// Without PostgreSQL, with a sentence that says how to get it.
pub fn fresh_database() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(server);
    let name = format!("punchcard_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::establish(&server.admin).unwrap_or_else(|e| panic!("{HELP} ({e})"));
    admin.batch_execute(&format!("CREATE DATABASE {name}")).expect("the right to create databases");
    let (before, after) = &server.around_name;
    format!("{before}{name}{after}")
}

fn server() -> Server {
    #[allow(clippy::disallowed_methods, reason = "which server to test on is a matter of the machine")]
    match std::env::var(EXISTING) {
        Ok(url) => existing(url),
        Err(_) => throwaway(),
    }
}

fn existing(admin: String) -> Server {
    let (place, query) =
        admin.split_once('?').map_or((&*admin, String::new()), |(p, q)| (p, format!("?{q}")));
    let (before, _name) = place.rsplit_once('/').expect("a URL with the name of a database");
    Server { around_name: (format!("{before}/"), query), admin, _lifeline: None }
}

fn throwaway() -> Server {
    let mut child = Command::new("sh")
        .args(["-c", SERVER, "server", SERVER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{HELP} ({e})"));
    let lifeline = child.stdin.take().expect("it is piped");
    let mut folder = String::new();
    let _ = BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut folder);
    let folder = folder.trim();
    assert!(!folder.is_empty(), "{HELP}");
    let after = format!("?host={folder}&user=punchcard");
    Server {
        admin: format!("postgres:///postgres{after}"),
        around_name: ("postgres:///".to_owned(), after),
        _lifeline: Some((child, lifeline)),
    }
}
