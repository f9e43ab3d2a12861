//! The reference of all words, as a page of Markdown: what the checker knows, so that it cannot say anything else.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::domain::loyalty_event::EventType;
use crate::domain::member::{RiskLevel, Status};
use crate::domain::schedule::TickType;
use crate::domain::source_event::SourceType;

use super::api::VOCABULARY;
use super::code::RuleEvent;
use super::vocabulary::{Place, Role, Type, Word};

/// The values that have properties and methods, in the order in which they are described.
const OWNERS: [(Type, &str); 16] = [
    (Type::Member, "`member`: as of the event, the event itself counted"),
    (Type::Order, "`order`"),
    (Type::Items, "`order.items`, `cart.items`"),
    (Type::Item, "An item"),
    (Type::Refund, "`refund`"),
    (Type::Visit, "`visit`"),
    (Type::Cart, "`cart`"),
    (Type::Session, "`session`"),
    (Type::Tick, "`tick`"),
    (Type::Event, "`event`"),
    (Type::Json, "`event.data`, and what is in it"),
    (Type::Moment, "A time, such as `order.at`: in the chain's zone"),
    (Type::Whole, "A whole number"),
    (Type::Text, "A text"),
    (Type::List, "A list"),
    (Type::Range, "A range, such as `1..5` or `1..=5`"),
];

const HEAD: &str = "\
# Words of rules

<!-- Made by `punchcard reference > docs/reference.md` from what the engine registers. A test compares the two. -->

Every event, property and function that rules, triggers, segments and tests can use. How rules are written:
[rules.md](rules.md). Rules to copy: [the cookbook](cookbook/README.md). What `program.toml` declares: [program.md](program.md).

## Declarations

| | |
|---|---|
| `rule \"name\" on event when condition priority 10 campaign \"id\" group \"id\" { … }` | what happens on an event; without `when` always. Higher priorities go first, then files by name and rules by line; 0 unless said, and `-5` goes behind those. `campaign` and `group` name those of [program.toml](program.md#campaigns-and-groups) |
| `trigger \"name\" on event when condition { … }` | which loyalty events are forwarded, and to whom |
| `segment \"name\" compound because \"reason\" when condition;` | who belongs together; `primary` (unless said), `compound` or `cohort` |
| `tier \"id\" when condition keep when condition;` | who reaches a tier, and who keeps it besides; [more](rules.md#tiers-in-a-sentence) |
| `test \"name\" { … }` | what must hold, in `expect`; `member` is what the next rule would see |
| `const NAME = value;` | a number, a text, true, false, or a list, for all files of the folder |
| `fn name(a, b) { … }` | a calculation, for all files of the folder |

Inside: `let`, `if … else`, `switch`, `for … in`, `return`, `and`, `or`, `!`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `!in`, `+`, `-`, `*`, `/`, `%`, and texts with values
in back-ticks: `` `${order.total} dollars` ``. What the sender does not say reads as 0 or \"\".
";

/// The page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    starts(&mut page);
    triggers(&mut page);
    for (place, title) in [
        (Place::Rule, "What a rule can do"),
        (Place::Trigger, "What a trigger can do"),
        (Place::Test, "What a test can do and ask"),
        (Place::Anywhere, "Calculations, everywhere"),
    ] {
        let words = VOCABULARY.words.iter().filter(|word| owner(word).is_none() && word.place == place);
        table(&mut page, title, words);
    }
    for (kind, title) in OWNERS {
        let words = VOCABULARY.words.iter().filter(|word| owner(word) == Some(kind));
        table(&mut page, title, words);
    }
    page.push_str("\n## Names that are always there\n\n| | |\n|---|---|\n");
    let statuses = Status::ALL.map(Status::as_str);
    let levels = RiskLevel::ALL.map(RiskLevel::as_str);
    for (what, names) in [("status", &statuses[..]), ("risk level", &levels[..])] {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        line(&mut page, format_args!("| {what} | {} |", names.join(", ")));
    }
    page
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    _ = writeln!(page, "{text}");
}

fn starts(page: &mut String) {
    page.push_str(
        "\n## What a rule starts on\n\nAll see `member`.\n\n| event | besides | when |\n|---|---|---|\n",
    );
    for event in RuleEvent::all() {
        let variable = event.variable().map(|(name, _)| format!("`{name}`")).unwrap_or_default();
        line(page, format_args!("| `{}` | {variable} | {} |", event.as_str(), when(event)));
    }
}

fn triggers(page: &mut String) {
    page.push_str(
        "\n## What a trigger starts on\n\nAll see `event`, and `member` as it will be stored, but of experiences and menu items. Every `event` has \
         `type` and `at`.\n\n| event | `event` also has | when |\n|---|---|---|\n",
    );
    for kind in EventType::ALL {
        let words = VOCABULARY.words.iter().filter(|word| word.events.contains(kind));
        let names: Vec<_> = words.map(|word| format!("`{}`", word.name)).collect();
        line(page, format_args!("| `{kind}` | {} | {} |", names.join(", "), kind.description()));
    }
}

/// When rules on this run.
const fn when(event: RuleEvent) -> &'static str {
    match event {
        RuleEvent::Told(kind) => kind.description(),
        RuleEvent::Tick(TickType::Daily) => "Once a day for every member, when `[schedule] daily` says.",
        RuleEvent::Tick(TickType::TierReview) => "For every member, when `[schedule] tier_review` says.",
        RuleEvent::Tick(TickType::Birthday) => "On the birthday, where it is known.",
        RuleEvent::Tick(TickType::Anniversary) => "On the day on which the member enrolled, years later.",
        RuleEvent::Source(kind) => match kind {
            SourceType::OrderCreated => "An order was placed.",
            SourceType::OrderUpdated => "Something about an order changed.",
            SourceType::OrderCompleted => {
                "An order was paid. When it changes later, its rules are asked again and the difference moves."
            }
            SourceType::OrderCancelled => "An order will not be, or is no longer.",
            SourceType::OrderRefunded => "Money went back.",
            SourceType::Visit => "A guest was here.",
            SourceType::MemberUpdated => "Something else is known of a guest now.",
            SourceType::SessionStarted => "A guest came to a kiosk, opened the app.",
            SourceType::SessionEnded => "They left it.",
            SourceType::Signal => "Something was noticed of a guest.",
            SourceType::CartUpdated => "A guest put something into a cart, or took it out.",
            SourceType::Command(_) | SourceType::Offering(..) => "",
        },
    }
}

/// The value that a word belongs to; `None` for a function.
fn owner(word: &Word) -> Option<Type> {
    let first = word.params.first().copied();
    first.filter(|kind| word.is_property || (word.place == Place::Anywhere && !kind.is_number()))
}

/// Words of one name are one line, in the order in which they are registered.
fn table<'a>(page: &mut String, title: &str, words: impl Iterator<Item = &'a Word>) {
    let words: Vec<_> = words.collect();
    line(page, format_args!("\n## {title}\n\n| word | gives | |\n|---|---|---|"));
    let mut seen = BTreeSet::new();
    for word in words.iter().filter(|word| seen.insert(word.name)) {
        let same: Vec<_> = words.iter().filter(|other| other.name == word.name).collect();
        let mut shown = BTreeSet::new();
        let forms = same.iter().map(|word| form(word)).filter(|form| shown.insert(form.clone()));
        let forms: Vec<_> = forms.collect();
        let mut says: Vec<_> = same.iter().map(|word| word.says).filter(|says| !says.is_empty()).collect();
        says.dedup();
        let (says, gives) = (says.join(" "), gives(word));
        line(page, format_args!("| {} | {gives} | {says} |", forms.join("<br>")));
    }
}

/// What comes of it, in words.
fn gives(word: &Word) -> &'static str {
    // The role of a method is that of its argument.
    let role = word.role.filter(|_| word.is_property || word.params.is_empty());
    match (word.returns, noun(role)) {
        (Type::Nothing, _) => "",
        (Type::Json, _) => Type::Any.as_str(),
        (_, Some(noun)) => noun,
        (kind, None) => kind.as_str(),
    }
}

/// How it is written.
fn form(word: &Word) -> String {
    if word.is_property {
        return format!("`{}`", word.name);
    }
    let before = usize::from(owner(word).is_some());
    let mut params: Vec<_> = word.params.iter().skip(before).map(|kind| param(*kind)).collect();
    let last_text = word.params.iter().skip(before).rposition(|kind| *kind == Type::Text);
    if let (Some(at), Some(noun)) = (last_text, noun(word.role)) {
        params[at] = bare(noun);
    }
    format!("`{}({})`", word.name, params.join(", "))
}

/// What stands between the brackets.
fn param(kind: Type) -> &'static str {
    match kind {
        Type::Window => "30.days",
        kind => bare(kind.as_str()),
    }
}

/// Without its article.
fn bare(phrase: &str) -> &str {
    phrase.strip_prefix("a ").or_else(|| phrase.strip_prefix("an ")).unwrap_or(phrase)
}

/// What a text must name.
const fn noun(role: Option<Role>) -> Option<&'static str> {
    Some(match role {
        None => return None,
        Some(Role::Tier) => "a tier",
        Some(Role::Wallet) => "a wallet",
        Some(Role::Status) => "a status",
        Some(Role::StatusOrMark) => "a status or mark",
        Some(Role::Mark) => "a mark",
        Some(Role::Counter) => "a counter",
        Some(Role::Achievement) => "an achievement",
        Some(Role::CouponBook) => "a coupon book",
        Some(Role::Reward) => "a reward",
        Some(Role::Endpoint) => "a tag",
        Some(Role::Category) => "a category",
        Some(Role::Weekday) => "a weekday",
        Some(Role::RiskLevel) => "a risk level",
        Some(Role::Segment) => "a segment",
        Some(Role::SegmentType) => "a type of segment",
        Some(Role::Rule) => "a rule",
        Some(Role::LoyaltyEvent) => "a loyalty event",
        Some(Role::OwnEvent) => "an event of your own",
        Some(Role::SourceEvent) => "an event",
        Some(Role::Side) => "a side",
        Some(Role::IdentityKind) => "a kind of identity",
        Some(Role::Date) => "a day",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> String {
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md")).unwrap()
    }

    #[test]
    fn the_reference_is_what_the_checker_knows() {
        let (is, was) = (markdown(), page());
        let differs = is.lines().zip(was.lines()).find(|(is, was)| is != was);
        assert!(
            is == was,
            "docs/reference.md is out of date ({differs:?}): run `cargo run -- reference > docs/reference.md`"
        );
    }

    #[test]
    fn every_word_is_described_where_it_is_registered() {
        for word in &VOCABULARY.words {
            let is_it = |other: &&Word| other.name == word.name && owner(other) == owner(word);
            let said = VOCABULARY.words.iter().filter(is_it).any(|other| !other.says.is_empty());
            assert!(said, "`{}` of {:?} says nothing: add .says(\"…\")", word.name, owner(word));
        }
    }

    #[test]
    fn every_word_has_its_place_in_the_reference() {
        let page = page();
        for word in &VOCABULARY.words {
            let place = owner(word);
            assert!(place.is_none_or(|kind| OWNERS.iter().any(|(owner, _)| *owner == kind)), "{word:?}");
            assert!(page.contains(&form(word)), "{word:?}");
        }
    }

    #[test]
    fn every_event_that_rules_start_on_says_when() {
        for event in RuleEvent::all() {
            assert!(!when(event).is_empty(), "{event:?}");
        }
    }
}
