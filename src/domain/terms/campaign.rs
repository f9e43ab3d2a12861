//! Campaigns: when their rules fire, and how many points they may give; and groups of rules of which one counts.

use std::str::FromStr;

use chrono::{Datelike, Days, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::domain::money::Points;
use crate::domain::text::Name;

/// One campaign of the program.
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignTerms {
    /// What rules call it.
    pub id: Name,
    /// What people call it.
    pub name: Name,
    /// The first day on which its rules fire, in the chain's zone; `None` = since ever.
    pub from: Option<NaiveDate>,
    /// The last one.
    pub to: Option<NaiveDate>,
    /// The wallet whose points it counts; `None` = the program's first.
    pub wallet: Option<Name>,
    /// What it may give to all members together.
    pub budget: Caps,
    /// What it may give to one member.
    pub per_member: Caps,
}

/// How many points may be given within each span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caps([Option<Points>; Span::ALL.len()]);

impl Caps {
    /// These.
    pub fn of(of: impl Fn(Span) -> Option<Points>) -> Self {
        Self(Span::ALL.map(of))
    }

    /// How many, for those spans that have a cap.
    pub fn iter(self) -> impl Iterator<Item = (Span, Points)> {
        Span::ALL.into_iter().zip(self.0).filter_map(|(span, cap)| Some((span, cap?)))
    }

    /// How many within a span, if that has a cap.
    pub fn within(self, span: Span) -> Option<Points> {
        self.0[span as usize]
    }

    /// Whether there is none at all.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }
}

/// A span of time, in days of the chain's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// From the campaign's first day to its last.
    Total,
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A month.
    Month,
}

impl Span {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Total, Self::Day, Self::Week, Self::Month];

    /// The word in `program.toml`, in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first day of the one that `day` lies in; `None` of the campaign as a whole.
    pub fn begin(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Total => None,
            Self::Day => Some(day),
            Self::Week => day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())),
            Self::Month => day.with_day(1),
        }
    }
}

/// Rules of which one counts when several fire on the same event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleGroup {
    /// What rules call it.
    pub id: Name,
    /// Which one.
    pub pick: Pick,
}

/// Which of several rules counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// The one that goes first: by priority, then by file and line.
    First,
    /// The one that awards most; of equals, the one that goes first.
    MostPoints,
}

impl FromStr for Pick {
    type Err = &'static str;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "first" => Ok(Self::First),
            "most_points" => Ok(Self::MostPoints),
            _ => Err("write \"first\" or \"most_points\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_begins_on_its_first_day() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (span, on, begins) in [
            (Span::Day, "2026-03-01", "2026-03-01"),
            (Span::Week, "2026-03-01", "2026-02-23"), // a Sunday
            (Span::Week, "2026-03-02", "2026-03-02"),
            (Span::Month, "2026-03-31", "2026-03-01"),
        ] {
            assert_eq!(span.begin(day(on)), Some(day(begins)), "{span:?} of {on}");
        }
        assert_eq!(Span::Total.begin(day("2026-03-01")), None);
    }
}
