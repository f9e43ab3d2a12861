//! Which loyalty events an endpoint wants.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::Dialect;
use crate::domain::loyalty_event::EventType;

/// Which loyalty events an endpoint wants: `points.earned`, `points.*` or `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventPattern {
    /// Every event that the endpoint's dialect documents; in `standard`, every event.
    All,
    /// Every event whose name begins with this noun and a dot.
    Noun(Box<str>),
    /// One type.
    One(EventType),
    /// One type, by its other name in this dialect: it is told by that name.
    Called(Dialect, EventType),
}

/// Why a text is not an event pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// There is no such event.
    #[error(
        "`{0}` matches no loyalty event; write a type such as points.earned, a noun such as points.*, or *"
    )]
    Unknown(String),
    /// There is one, and the receiver's dialect has no way to say it.
    #[error("the dialect `{dialect}` cannot carry `{pattern}`: its messages need a member", dialect = .dialect.as_str())]
    Unspeakable {
        /// What was asked for.
        pattern: EventPattern,
        /// The dialect.
        dialect: Dialect,
    },
}

impl EventPattern {
    /// Reads what somebody wrote who may know events by the names of `dialect`, too: `SEGMENT_ENTERED`. One name there
    /// may be several types here.
    ///
    /// # Errors
    /// When there is no such event, or the dialect cannot carry it.
    pub fn spoken(text: &str, dialect: Dialect) -> Result<Vec<Self>, BadPattern> {
        match text.parse::<Self>() {
            Ok(pattern) => {
                pattern.check_in(dialect)?;
                Ok(vec![pattern])
            }
            Err(unknown) => {
                let kinds = dialect.kinds_called(text);
                if kinds.is_empty() { Err(unknown) } else { Ok(kinds.into_iter().map(Self::One).collect()) }
            }
        }
    }

    /// Whether anything of it could ever be told in this dialect.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check_in(&self, dialect: Dialect) -> Result<(), BadPattern> {
        if matches!(self, Self::Called(of, _) if *of != dialect) {
            return Err(BadPattern::Unknown(self.to_string()));
        }
        let is_carried = |kind: &EventType| self.matches(*kind) && dialect.carries(*kind);
        match EventType::ALL.iter().any(is_carried) {
            true => Ok(()),
            false => Err(BadPattern::Unspeakable { pattern: self.clone(), dialect }),
        }
    }

    /// Whether a receiver of this dialect who asks for it wants events of this type.
    pub fn covers(&self, kind: EventType, dialect: Dialect) -> bool {
        match self {
            Self::All => dialect.documents(kind),
            Self::Noun(_) | Self::One(_) => self.matches(kind) && dialect.carries(kind),
            Self::Called(of, _) => *of == dialect && self.matches(kind),
        }
    }

    /// Whether events of this type are meant.
    pub fn matches(&self, kind: EventType) -> bool {
        match self {
            Self::All => true,
            Self::Noun(noun) => kind.as_str().strip_prefix(&**noun).is_some_and(|rest| rest.starts_with('.')),
            Self::One(one) | Self::Called(_, one) => *one == kind,
        }
    }
}

impl FromStr for EventPattern {
    type Err = BadPattern;
    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let pattern = match text {
            "*" => Some(Self::All),
            _ => match text.strip_suffix(".*") {
                Some(noun) => Some(Self::Noun(noun.into())),
                None => {
                    let called = || Dialect::calling(text).map(|(of, kind)| Self::Called(of, kind));
                    text.parse().ok().map(Self::One).or_else(called)
                }
            },
        };
        pattern
            .filter(|p| EventType::ALL.iter().any(|kind| p.matches(*kind)))
            .ok_or_else(|| BadPattern::Unknown(text.to_owned()))
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Noun(noun) => write!(f, "{noun}.*"),
            Self::One(kind) => f.write_str(kind.as_str()),
            Self::Called(of, kind) => f.write_str(of.other_name_of(*kind).unwrap_or(kind.as_str())),
        }
    }
}

impl JsonSchema for EventPattern {
    fn schema_name() -> Cow<'static, str> {
        "EventPattern".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["points.earned", "points.*", "*"] })
    }
}

impl Serialize for EventPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_what_they_say() {
        let pattern = |text: &str| text.parse::<EventPattern>();
        assert!(pattern("*").unwrap().matches(EventType::TierUpgraded));
        assert!(pattern("points.*").unwrap().matches(EventType::PointsEarned));
        assert!(!pattern("points.*").unwrap().matches(EventType::TierUpgraded));
        assert!(!pattern("points.earned").unwrap().matches(EventType::PointsDeducted));
        for wrong in ["", "point.*", "points", "points.earnt", "**", ".*"] {
            assert!(pattern(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_asked_for_is_said_as_it_was_written() {
        for (text, said) in [
            ("*", vec!["*"]),
            ("points.*", vec!["points.*"]),
            ("Points Earned", vec!["Points Earned"]),
            ("Points Expired", vec!["Points Expired"]),
            ("Birthday", vec!["member.birthday"]),
        ] {
            let patterns = EventPattern::spoken(text, Dialect::Bubblehouse).unwrap();
            assert_eq!(patterns.iter().map(ToString::to_string).collect::<Vec<_>>(), said);
            for (pattern, said) in patterns.iter().zip(said) {
                assert_eq!(said.parse::<EventPattern>().unwrap(), *pattern, "as it is stored");
            }
        }
    }

    #[test]
    fn a_star_means_what_the_product_documents_and_a_name_means_what_it_says() {
        let covers = |text: &str, kind, dialect| {
            EventPattern::spoken(text, dialect).unwrap().iter().any(|pattern| pattern.covers(kind, dialect))
        };
        for (text, kind, dialect, expected) in [
            ("*", EventType::PointsEarned, Dialect::Standard, true),
            ("*", EventType::PointsEarned, Dialect::Guestiq, false),
            ("*", EventType::SegmentEntered, Dialect::Guestiq, true),
            ("points.*", EventType::PointsEarned, Dialect::Guestiq, true),
            ("POINTS_EARNED", EventType::PointsEarned, Dialect::Guestiq, true),
            ("SEGMENT_ENTERED", EventType::SegmentExited, Dialect::Guestiq, false),
            ("customer.created", EventType::MemberEnrolled, Dialect::Loyali, true),
            ("order.update", EventType::OrderCompleted, Dialect::Gustaio, true),
            ("order.update", EventType::OrderCreated, Dialect::Gustaio, false),
            ("Points Updated", EventType::PointsReturned, Dialect::Bubblehouse, true),
            ("Referral Approved (Sender)", EventType::ReferralApproved, Dialect::Bubblehouse, true),
            ("Points Earned", EventType::PointsEarned, Dialect::Bubblehouse, true),
            ("Points Earned", EventType::PointsReturned, Dialect::Bubblehouse, false),
            ("*", EventType::MenuItemCreated, Dialect::Bubblehouse, false),
        ] {
            assert_eq!(covers(text, kind, dialect), expected, "{text} {kind} {dialect:?}");
        }
        for (text, dialect) in [
            ("SEGMENT_ENTERED", Dialect::Standard),
            ("order.updates", Dialect::Gustaio),
            ("menu_item.*", Dialect::Bubblehouse),
            ("rule.suspended", Dialect::Bubblehouse),
            ("Points Earned", Dialect::Standard),
            ("Points Reached", Dialect::Bubblehouse),
        ] {
            assert!(EventPattern::spoken(text, dialect).is_err(), "{text} {dialect:?}");
        }
    }
}
