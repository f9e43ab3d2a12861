//! A filter as somebody sends it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::domain::endpoint::{Condition, Dialect, EventPattern, Filter};
use crate::http::problem::Problem;

/// Where it stands in the body.
const FIELD: &str = "filter";

/// A condition, or one for each of several patterns.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
pub(super) enum FilterBody {
    All(String),
    ByPattern(BTreeMap<String, String>),
}

impl<'de> Deserialize<'de> for FilterBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Said;
        impl<'de> Visitor<'de> for Said {
            type Value = FilterBody;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a condition, such as \"event.total > 50\", or an object of them by type")
            }
            fn visit_str<E>(self, text: &str) -> Result<FilterBody, E> {
                Ok(FilterBody::All(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FilterBody, A::Error> {
                BTreeMap::deserialize(MapAccessDeserializer::new(map)).map(FilterBody::ByPattern)
            }
        }
        deserializer.deserialize_any(Said)
    }
}

impl FilterBody {
    /// Reads it for an endpoint of this dialect, whose names it may use. Whether its conditions say anything is for the
    /// program to say.
    pub(super) fn read(self, dialect: Dialect) -> Result<Filter, Problem> {
        let conditions = match self {
            Self::All(text) => return condition(FIELD, text).map(Filter::All),
            Self::ByPattern(conditions) => conditions,
        };
        if conditions.is_empty() || conditions.len() > Filter::MAX_PATTERNS {
            let wanted =
                format!("must have 1 to {} patterns; null takes the filter away", Filter::MAX_PATTERNS);
            return Err(Problem::field(FIELD, wanted));
        }
        let mut read = BTreeMap::new();
        for (said, text) in conditions {
            let field = format!("{FIELD}[\"{said}\"]");
            let patterns = EventPattern::spoken(&said, dialect);
            let condition = condition(&field, text)?;
            for pattern in patterns.map_err(|bad| Problem::field(field.as_str(), bad))? {
                if read.insert(pattern, condition.clone()).is_some() {
                    return Err(Problem::field(field, "is said twice: by our name, and by the dialect's"));
                }
            }
        }
        Ok(Filter::ByPattern(read))
    }
}

fn condition(field: &str, text: String) -> Result<Condition, Problem> {
    text.try_into().map_err(|bad: <Condition as TryFrom<String>>::Error| Problem::field(field, bad))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, dialect: Dialect) -> Result<Filter, String> {
        let said: FilterBody = serde_json::from_str(json).map_err(|error| error.to_string())?;
        said.read(dialect).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_filter_is_a_text_or_an_object_by_our_names_or_the_dialects() {
        let parts = |json, dialect| -> Vec<_> {
            let filter = read(json, dialect).unwrap();
            filter.parts().iter().map(|part| format!("{part} {}", part.condition.as_str())).collect()
        };
        assert_eq!(parts(r#"" event.total > 50 ""#, Dialect::Standard), ["filter event.total > 50"]);
        assert_eq!(
            parts(r#"{"order.*":"a","points.earned":"b"}"#, Dialect::Standard),
            ["filter[\"points.earned\"] b", "filter[\"order.*\"] a"]
        );
        assert_eq!(parts(r#"{"SEGMENT_ENTERED":"a"}"#, Dialect::Guestiq), ["filter[\"segment.entered\"] a"]);
    }

    #[test]
    fn what_cannot_be_a_filter_is_refused_by_name() {
        let many: Vec<_> = (0..21).map(|n| format!(r#""{n}":"a""#)).collect();
        for (json, says) in [
            ("5", "a condition, such as"),
            ("[]", "a condition, such as"),
            (r#"" ""#, "`filter`: must say something"),
            (r#"{"order.*":""}"#, "`filter[\"order.*\"]`: must say something"),
            (r#"{"order.*":7}"#, "expected a string"),
            ("{}", "must have 1 to 20 patterns"),
            (&format!("{{{}}}", many.join(",")), "must have 1 to 20 patterns"),
            (r#"{"orders.*":"a"}"#, "`filter[\"orders.*\"]`: `orders.*` matches no loyalty event"),
            (r#"{"SEGMENT_ENTERED":"a","segment.entered":"b"}"#, "is said twice"),
        ] {
            let refused = read(json, Dialect::Guestiq).unwrap_err();
            assert!(refused.contains(says), "{json}: {refused}");
        }
    }
}
