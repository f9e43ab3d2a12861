//! What somebody believes a thing to be who changes it. Two people at one thing are told of each other by it.

use std::fmt;

/// A state of a thing, by a name that nothing else of it ever had: what an `ETag` says between its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

impl Tag {
    /// The tag of that name, whatever it is of.
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The state after so many changes, of the one of a line that has this number.
    pub fn of_stage(number: i64, changes: usize) -> Self {
        Self(format!("{number}.{changes}"))
    }
}

impl From<i64> for Tag {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl fmt::Display for Tag {
    /// As in the header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// What must be so for a change to be made: what `If-Match` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// That there is such a thing.
    Existing,
    /// That it is in one of these states.
    OneOf(Vec<Tag>),
}

/// It is not what somebody believes it to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it was changed since you read it; it is {current} by now")]
pub struct Outdated {
    /// What it is.
    pub current: Tag,
}

impl Precondition {
    /// Refuses a change of what is in another state by now.
    ///
    /// # Errors
    /// [`Outdated`].
    pub fn check(&self, current: Tag) -> Result<(), Outdated> {
        match self {
            Self::OneOf(tags) if !tags.contains(&current) => Err(Outdated { current }),
            Self::None | Self::Existing | Self::OneOf(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_refused_of_what_is_in_none_of_the_states_that_are_named() {
        let tags = |names: &[&str]| Precondition::OneOf(names.iter().map(|name| Tag::named(name)).collect());
        for (wanted, holds) in [
            (Precondition::None, true),
            (Precondition::Existing, true),
            (tags(&["7"]), true),
            (tags(&["6", "7"]), true),
            (tags(&["6"]), false),
            (tags(&["7.0"]), false),
            (tags(&[]), false),
        ] {
            let answer = wanted.check(Tag::from(7));
            assert_eq!(answer.is_ok(), holds, "{wanted:?}");
            assert!(answer.err().is_none_or(|outdated| outdated.current.to_string() == "\"7\""));
        }
    }
}
