//! Segments: groups that a member is in for as long as a condition holds, and cohorts, which nobody leaves.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Timestamp;
use super::json::instant;
use super::text::Name;

/// The most segments of one program. A member keeps the ones they are in, so this bounds what a member is.
pub const MAX_SEGMENTS: usize = 32;
/// The longest name of a segment, in bytes; likewise.
pub const MAX_SEGMENT_NAME: usize = 60;

/// What a segment is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SegmentType {
    /// By the member alone.
    #[default]
    Primary,
    /// By the segments that the member is in as well.
    Compound,
    /// By the member alone, once and for all: whoever was there belongs to it.
    Cohort,
}

impl SegmentType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Primary, Self::Compound, Self::Cohort];

    /// The word used in JSON and in rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "PRIMARY",
            Self::Compound => "COMPOUND",
            Self::Cohort => "COHORT",
        }
    }
}

impl fmt::Display for SegmentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A segment of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// For people, and for rules.
    pub name: Name,
    /// What it is judged by.
    pub kind: SegmentType,
    /// Why somebody enters or leaves it, for receivers: `visit_count_threshold`.
    pub trigger: Name,
}

/// That a member is in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Membership {
    /// Kept here, so that it is still known when the program has the segment no more.
    #[serde(rename = "type")]
    pub kind: SegmentType,
    /// When the member entered.
    #[serde(serialize_with = "instant")]
    pub since: Timestamp,
}

/// The segments that a member is in, as loyalty events show them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct SegmentNames {
    /// The primary ones.
    pub primary: Vec<Name>,
    /// The compound ones.
    pub compound: Vec<Name>,
    /// The cohorts.
    pub cohorts: Vec<Name>,
}

/// A name as programs like it: `High Value` is `high_value`. Empty when there is no letter or digit in it.
pub fn slug(name: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric();
    let words = name.split(|c| !is_word(c)).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

/// What receivers know a segment by: its name's slug after `seg_`.
pub fn segment_id(name: &str) -> SmolStr {
    format!("seg_{}", slug(name)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_the_words_of_a_name() {
        for (name, slugged) in [
            ("High Value", "high_value"),
            ("  wheat-free + high-protein!", "wheat_free_high_protein"),
            ("Café Größe", "café_größe"),
            ("30 days", "30_days"),
            ("…", ""),
        ] {
            assert_eq!(slug(name), slugged);
        }
        assert_eq!(&*segment_id("High Value"), "seg_high_value");
    }
}
