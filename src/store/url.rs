//! Where the database is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the database is. `Display` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file, made when missing: `sqlite://path` or `sqlite:path`.
    Sqlite(PathBuf),
    /// A server: `postgres://user:password@host/name`.
    Postgres(String),
}

/// Why a text is not the address of a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDatabaseUrl {
    /// Neither of the two.
    #[error("the database URL must start with sqlite:// or postgres://, such as sqlite://data/punchcard.db")]
    UnknownScheme,
    /// `sqlite://` and nothing after it.
    #[error("the database URL names no file; write sqlite:// and a path, such as sqlite://data/punchcard.db")]
    NoPath,
    /// A memory database is one for each connection.
    #[error("a database in memory would lose every event; name a file, such as sqlite://data/punchcard.db")]
    InMemory,
}

impl FromStr for DatabaseUrl {
    type Err = BadDatabaseUrl;
    fn from_str(text: &str) -> Result<Self, BadDatabaseUrl> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite:").ok_or(BadDatabaseUrl::UnknownScheme)?;
        match path.strip_prefix("//").unwrap_or(path) {
            "" => Err(BadDatabaseUrl::NoPath),
            path if path.contains(":memory:") => Err(BadDatabaseUrl::InMemory),
            path => Ok(Self::Sqlite(path.into())),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A password stands either before the last `@` of the host part, or in the query. By hand, because libpq takes URLs
/// that the `url` crate does not, such as those without a host.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let place = match place.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => {
            format!("{}:…@{host}", user.split(':').next().unwrap_or_default())
        }
        _ => place.to_owned(),
    };
    let query: Vec<_> =
        query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("password=")).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{place}{mark}{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file_or_a_server() {
        for (text, path) in [
            ("sqlite://data/punchcard.db", "data/punchcard.db"),
            ("sqlite:///var/lib/p.db", "/var/lib/p.db"),
            ("sqlite:p.db", "p.db"),
        ] {
            assert_eq!(text.parse(), Ok(DatabaseUrl::Sqlite(path.into())));
        }
        for (text, why) in [
            ("mysql://host/db", BadDatabaseUrl::UnknownScheme),
            ("data/punchcard.db", BadDatabaseUrl::UnknownScheme),
            ("sqlite://", BadDatabaseUrl::NoPath),
            ("sqlite://:memory:", BadDatabaseUrl::InMemory),
        ] {
            assert_eq!(text.parse::<DatabaseUrl>(), Err(why), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for (text, shown) in [
            ("postgres://ana:s3cret@db:5432/p", "postgres://ana:…@db:5432/p"),
            ("postgres://ana:s3@cret@db/p?sslmode=require", "postgres://ana:…@db/p?sslmode=require"),
            ("postgresql://ana@db/p", "postgresql://ana@db/p"),
            ("postgres:///p?host=/run&password=s3cret", "postgres:///p?host=/run"),
        ] {
            let url: DatabaseUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }
}
