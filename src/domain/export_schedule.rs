//! Export schedules: which of a chain's data are to be written out, where to, and how often.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{Duration, SecondsFormat};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::Timestamp;
use super::chain::ChainId;
use super::ids::ExportScheduleId;
use super::json::from_text;
use super::schedule::next_in;
use super::text::Text;

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ExportFrequency")]
pub enum Frequency {
    /// On the hour.
    Hourly,
    /// Every day at three in the morning: no day begins so late, and hardly any clock is set forward over it.
    Daily,
    /// On Mondays at the same time.
    Weekly,
}

impl Frequency {
    const fn cron(self) -> &'static str {
        match self {
            Self::Hourly => "0 0 * * * *",
            Self::Daily => "0 0 3 * * *",
            Self::Weekly => "0 0 3 * * Mon",
        }
    }

    const fn span(self) -> Duration {
        match self {
            Self::Hourly => Duration::hours(1),
            Self::Daily => Duration::days(1),
            Self::Weekly => Duration::weeks(1),
        }
    }

    /// When the next export after `after` is due, by the chain's clock. Two are never less than an hour apart.
    pub fn next_run(self, zone: Tz, after: Timestamp) -> Timestamp {
        let cron: Option<cron::Schedule> = self.cron().parse().ok();
        // The calendar ends some day; exports go on.
        cron.and_then(|cron| next_in(zone, &cron, after)).unwrap_or(after + self.span())
    }
}

/// What is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportDataType {
    /// Members as they are.
    GuestProfiles,
    /// Who is in which segment.
    Segments,
    /// What guests did: signals and sessions.
    Signals,
    /// Orders.
    Orders,
}

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "ExportDestination")]
pub enum Destination {
    /// A bucket.
    S3 {
        /// Its name.
        #[schemars(with = "String")]
        bucket: Bucket,
        /// What the names of the objects begin with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix: Option<Text<512>>,
    },
    /// A folder on a server.
    Sftp {
        /// The server.
        #[schemars(with = "String")]
        host: SftpHost,
        /// The folder.
        path: Text<1024>,
    },
    /// A request.
    Webhook {
        /// Where it goes.
        #[schemars(with = "String")]
        url: Url,
    },
}

/// The name of a bucket, as S3 takes names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Bucket(String);

impl Bucket {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text names no bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 3 to 63 characters of a-z, 0-9, `-` and `.`, with a letter or digit at each end and no `..`"
)]
pub struct BadBucket;

impl FromStr for Bucket {
    type Err = BadBucket;
    fn from_str(text: &str) -> Result<Self, BadBucket> {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let ends = text.bytes().next().zip(text.bytes().last());
        let good = (3..=63).contains(&text.len())
            && text.bytes().all(|b| is_plain(b) || b == b'-' || b == b'.')
            && ends.is_some_and(|(first, last)| is_plain(first) && is_plain(last))
            && !text.contains("..")
            && text.parse::<std::net::Ipv4Addr>().is_err();
        if good { Ok(Self(text.to_owned())) } else { Err(BadBucket) }
    }
}

impl<'de> Deserialize<'de> for Bucket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "the name of a bucket")
    }
}

/// A server that speaks SFTP: `files.example.com`, or with a port, `files.example.com:2222`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SftpHost {
    /// Its name or address.
    pub host: url::Host,
    /// Its port.
    pub port: u16,
}

/// Where SFTP is spoken unless somebody says otherwise.
const SFTP_PORT: u16 = 22;

/// Why a text names no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a host such as files.example.com, or one with a port, files.example.com:2222")]
pub struct BadHost;

impl FromStr for SftpHost {
    type Err = BadHost;
    fn from_str(text: &str) -> Result<Self, BadHost> {
        let (host, port) = match text.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| BadHost)?),
            _ => (text, SFTP_PORT),
        };
        let host = url::Host::parse(host).map_err(|_| BadHost)?;
        if port == 0 { Err(BadHost) } else { Ok(Self { host, port }) }
    }
}

impl fmt::Display for SftpHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Serialize for SftpHost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SftpHost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a host")
    }
}

/// Since when something must have changed to be written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModifiedSince {
    /// Since the export before.
    LastRun,
    /// Since an instant.
    At(Timestamp),
}

/// Why a text says no such thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be LAST_RUN, or an RFC 3339 instant such as 2026-03-03T18:30:00Z")]
pub struct BadModifiedSince;

impl FromStr for ModifiedSince {
    type Err = BadModifiedSince;
    fn from_str(text: &str) -> Result<Self, BadModifiedSince> {
        match text {
            "LAST_RUN" => Ok(Self::LastRun),
            _ => text.parse().map(Self::At).map_err(|_| BadModifiedSince),
        }
    }
}

impl fmt::Display for ModifiedSince {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastRun => f.write_str("LAST_RUN"),
            Self::At(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        }
    }
}

impl Serialize for ModifiedSince {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ModifiedSince {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "LAST_RUN or an instant")
    }
}

/// What somebody wants written out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportSettings {
    /// How often.
    pub frequency: Frequency,
    /// Where to.
    pub destination: Destination,
    /// What; never nothing.
    pub data_types: BTreeSet<ExportDataType>,
    /// Only what changed since then; `None` = everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub modified_since: Option<ModifiedSince>,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSchedule {
    /// Its id.
    pub id: ExportScheduleId,
    /// Whose data.
    pub chain: ChainId,
    /// What, where to, how often.
    pub settings: ExportSettings,
    /// When it was made.
    pub created_at: Timestamp,
}

impl ExportSchedule {
    /// The most that a chain may have.
    pub const MOST: usize = 100;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn exports_are_due_by_the_clock_of_the_chain() {
        let (new_york, kathmandu) = (chrono_tz::America::New_York, chrono_tz::Asia::Kathmandu);
        for (frequency, zone, after, next) in [
            (Frequency::Hourly, new_york, "2026-03-03T18:30:00Z", "2026-03-03T19:00:00Z"),
            (Frequency::Hourly, new_york, "2026-03-03T19:00:00Z", "2026-03-03T20:00:00Z"),
            (Frequency::Hourly, kathmandu, "2026-03-03T18:30:00Z", "2026-03-03T19:15:00Z"),
            (Frequency::Daily, new_york, "2026-03-03T18:30:00Z", "2026-03-04T08:00:00Z"),
            (Frequency::Daily, new_york, "2026-03-08T05:00:00Z", "2026-03-08T07:00:00Z"),
            (Frequency::Weekly, new_york, "2026-03-03T18:30:00Z", "2026-03-09T07:00:00Z"),
        ] {
            assert_eq!(frequency.next_run(zone, at(after)), at(next), "{frequency:?} {zone} {after}");
        }
    }

    #[test]
    fn two_exports_are_never_less_than_an_hour_apart() {
        for zone in [
            chrono_tz::America::New_York,
            chrono_tz::Australia::Lord_Howe, // its clocks are set by half an hour
            chrono_tz::Africa::Casablanca,
            chrono_tz::Asia::Kathmandu,
        ] {
            let mut last = Frequency::Hourly.next_run(zone, at("2026-01-01T00:00:00Z"));
            for _ in 0..24 * 366 {
                let next = Frequency::Hourly.next_run(zone, last);
                assert!(next - last >= Duration::hours(1), "{zone}: {last} {next}");
                last = next;
            }
        }
    }

    #[test]
    fn places_are_read_strictly() {
        for (good, bucket) in [
            ("your-data-bucket", true),
            ("a.b.c", true),
            ("ab", false),
            ("Bucket", false),
            ("-abc", false),
            ("a..b", false),
            ("10.0.0.1", false),
            ("a b", false),
        ] {
            assert_eq!(good.parse::<Bucket>().is_ok(), bucket, "{good}");
        }
        for (text, read) in [
            ("files.example.com", Some("files.example.com:22")),
            ("files.example.com:2222", Some("files.example.com:2222")),
            ("[::1]", Some("[::1]:22")),
            ("[::1]:23", Some("[::1]:23")),
            ("a:b", None),
            ("a:0", None),
            ("", None),
            ("sftp://a", None),
            ("a/b", None),
        ] {
            let host = text.parse::<SftpHost>().ok();
            assert_eq!(host.as_ref().map(ToString::to_string).as_deref(), read, "{text}");
        }
        for (text, read) in [
            ("LAST_RUN", Some("LAST_RUN")),
            ("2026-03-03T18:30:00+00:00", Some("2026-03-03T18:30:00Z")),
            ("last_run", None),
            ("yesterday", None),
        ] {
            let since = text.parse::<ModifiedSince>().ok();
            assert_eq!(since.as_ref().map(ToString::to_string).as_deref(), read, "{text}");
        }
    }

    #[test]
    fn a_destination_survives_the_store() {
        for json in [
            r#"{"type":"s3","bucket":"your-data-bucket","prefix":"guestiq/daily/"}"#,
            r#"{"type":"s3","bucket":"your-data-bucket"}"#,
            r#"{"type":"sftp","host":"files.example.com:22","path":"/in"}"#,
            r#"{"type":"webhook","url":"https://example.com/in"}"#,
        ] {
            let read: Destination = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
    }
}
