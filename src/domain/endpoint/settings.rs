//! How deliveries to one endpoint leave: which, in what order, how many, how fast, and until when.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Filter, Script, Wording};
use crate::domain::delivery::RetryPolicy;
use crate::domain::dialect::Dialect;
use crate::domain::loyalty_event::EventType;

/// A number between two bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Bounded<const LEAST: u32, const MOST: u32>(u32);

/// A number outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a number from {least} to {most}")]
pub struct OutOfBounds {
    least: u32,
    most: u32,
}

impl<const LEAST: u32, const MOST: u32> Bounded<LEAST, MOST> {
    /// The number, checked when it is compiled.
    pub const fn of(number: u32) -> Self {
        assert!(LEAST <= number && number <= MOST, "out of bounds");
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32> TryFrom<u32> for Bounded<LEAST, MOST> {
    type Error = OutOfBounds;
    fn try_from(number: u32) -> Result<Self, OutOfBounds> {
        let fits = (LEAST..=MOST).contains(&number);
        fits.then_some(Self(number)).ok_or(OutOfBounds { least: LEAST, most: MOST })
    }
}

impl<const LEAST: u32, const MOST: u32> JsonSchema for Bounded<LEAST, MOST> {
    fn schema_name() -> Cow<'static, str> {
        format!("From{LEAST}To{MOST}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": LEAST, "maximum": MOST })
    }
}

impl<const LEAST: u32, const MOST: u32> From<Bounded<LEAST, MOST>> for u32 {
    fn from(number: Bounded<LEAST, MOST>) -> Self {
        number.0
    }
}

/// Attempts in any 60 seconds.
pub type PerMinute = Bounded<1, 1_000_000>;
/// Requests under way at a time.
pub type Concurrency = Bounded<1, 64>;
/// Seconds that one whole exchange may take.
pub type TimeoutS = Bounded<1, 30>;
/// Seconds of up to 30 days.
pub type Seconds = Bounded<1, 2_592_000>;

/// Which deliveries wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// None: the fastest.
    #[default]
    None,
    /// Those about one member leave in order; what is about nobody waits for nobody.
    Member,
    /// All of them leave in order.
    Endpoint,
}

impl Lane {
    /// The word used in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Member => "member",
            Self::Endpoint => "endpoint",
        }
    }
}

impl FromStr for Lane {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::None, Self::Member, Self::Endpoint].into_iter().find(|lane| lane.as_str() == word).ok_or(())
    }
}

/// What is done about a receiver that takes nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Failing {
    /// After so long without a success it is told that the endpoint is failing.
    pub warn_after_s: Seconds,
    /// After so long the endpoint is disabled: what is due waits.
    pub disable_after_s: Seconds,
}

impl Default for Failing {
    /// Told after a day, disabled after five.
    fn default() -> Self {
        const DAY: u32 = 86_400;
        Self { warn_after_s: Seconds::of(DAY), disable_after_s: Seconds::of(5 * DAY) }
    }
}

/// Sentences by the type of event.
pub type Texts = BTreeMap<EventType, Wording>;

fn no_texts(texts: &Arc<Texts>) -> bool {
    texts.is_empty()
}

/// How deliveries leave. What is not given is as it is by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which of the events that would go there do.
    pub filter: Option<Filter>,
    /// What is sent of these, where it is not the whole message.
    pub transform: Option<Script>,
    /// Which deliveries wait for each other.
    pub lane: Lane,
    /// When a failed one is tried again.
    pub retry: RetryPolicy,
    /// The most attempts in any 60 seconds; without it, as many as the receiver takes.
    pub rate_limit: Option<PerMinute>,
    /// The most requests under way at a time.
    pub concurrency: Concurrency,
    /// How long one whole exchange may take, body included; never longer than the engine's own limit.
    pub timeout_s: TimeoutS,
    /// What is done when nothing is taken any more.
    pub failing: Failing,
    /// What is said of an event to people, where it is not what we would say.
    #[serde(skip_serializing_if = "no_texts")]
    pub texts: Arc<Texts>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            filter: None,
            transform: None,
            lane: Lane::None,
            retry: RetryPolicy::default(),
            rate_limit: Some(PerMinute::of(10_000)),
            concurrency: Concurrency::of(64),
            timeout_s: TimeoutS::of(30),
            failing: Failing::default(),
            texts: Arc::default(),
        }
    }
}

impl Settings {
    /// What a new endpoint of this dialect has, unless somebody says otherwise.
    pub fn of(dialect: Dialect) -> Self {
        match dialect {
            // Its hook answers `failure` to have the whole queue held.
            Dialect::Bubblehouse => {
                let give_up_after_s = Some(Seconds::of(7 * 86_400));
                let retry = RetryPolicy { give_up_after_s, ..RetryPolicy::default() };
                // What holds the queue has its time before the endpoint ends.
                let disable_after_s = Seconds::of(10 * 86_400);
                let failing = Failing { disable_after_s, ..Failing::default() };
                Self { lane: Lane::Endpoint, retry, failing, ..Self::default() }
            }
            _ => Self::default(),
        }
    }

    /// How long one whole exchange may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s.get().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_as_it_is_by_default() {
        let settings: Settings =
            serde_json::from_str(r#"{"lane":"member","rate_limit":null,"texts":{}}"#).unwrap();
        assert_eq!(settings, Settings { lane: Lane::Member, rate_limit: None, ..Settings::default() });
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
    }

    #[test]
    fn numbers_out_of_bounds_are_refused() {
        for wrong in [
            r#"{"rate_limit":0}"#,
            r#"{"concurrency":65}"#,
            r#"{"timeout_s":31}"#,
            r#"{"failing":{"warn_after_s":0}}"#,
            r#"{"retry":{"pauses_s":[0]}}"#,
            r#"{"retry":{"pauses_s":[604801]}}"#,
            r#"{"retry":{"jitter_percent":101}}"#,
            r#"{"lane":"row"}"#,
            r#"{"speed":1}"#,
        ] {
            assert!(serde_json::from_str::<Settings>(wrong).is_err(), "{wrong}");
        }
        let many = format!(r#"{{"retry":{{"pauses_s":{:?}}}}}"#, [1; 21]);
        assert!(serde_json::from_str::<Settings>(&many).is_err());
    }
}
