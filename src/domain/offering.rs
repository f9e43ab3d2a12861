//! What a chain offers: experiences to book, items of its menu. The engine hands on what became of them; it keeps none.

use schemars::JsonSchema;
use serde::Serialize;

use super::payload::Payload;

/// What kind of thing is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Offering {
    /// Something to book: a tasting, a course.
    Experience,
    /// Something on the menu.
    MenuItem,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// It is new.
    Created,
    /// It is another one now.
    Updated,
    /// It is gone.
    Deleted,
}

/// `experience.updated` and its like.
#[derive(Debug, Clone, PartialEq)]
pub struct OfferingNews {
    /// What.
    pub what: Offering,
    /// What became of it.
    pub change: Change,
    /// The thing itself, as the sender describes it.
    pub about: Payload,
}

/// The `data` of `experience.*` events.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ExperienceNews<'a> {
    /// The experience, as it came.
    pub experience: &'a Payload,
}

/// The `data` of `menu_item.*` events.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MenuItemNews<'a> {
    /// The item, as it came.
    pub menu_item: &'a Payload,
}
