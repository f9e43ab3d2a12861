//! What the made-up guests do. Pure: the same story in every run.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::cli::till::{Cents, MENU, Random};

/// Guests who are members from the beginning of the story.
const REGULARS: [&str; 24] = [
    "Ana", "Ben", "Cleo", "Dario", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Keiko", "Luca", "Mara",
    "Nils", "Olga", "Pablo", "Quinn", "Rosa", "Sven", "Tara", "Umut", "Vera", "Wim", "Yara",
];
/// How many of the last orders may be repeated or refunded.
const REMEMBERED: usize = 40;

/// One thing that the till tells the engine.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// The source event.
    pub(super) body: String,
    /// What it is about.
    pub(super) about: About,
}

/// What a step is about, for the summary.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum About {
    /// Somebody ordered; `newcomer` when the engine never heard of them.
    Order { guest: String, dish: &'static str, total: String, newcomer: bool },
    /// Somebody ordered and said no name.
    Anonymous { total: String },
    /// The till sent an order again, as tills do after a bad connection.
    Repeat { guest: String },
    /// Somebody got money back.
    Refund { guest: String, amount: String, full: bool },
}

/// An order that the till remembers.
#[derive(Debug, Clone)]
struct Placed {
    number: u64,
    guest: String,
    body: String,
    cents: u64,
    refunds: u64,
}

/// The story so far.
#[derive(Debug)]
pub(super) struct Story {
    random: Random,
    orders: u64,
    newcomers: u64,
    remembered: VecDeque<Placed>,
}

impl Story {
    /// The beginning.
    pub(super) fn new() -> Self {
        Self { random: Random::new(7, 0), orders: 0, newcomers: 0, remembered: VecDeque::new() }
    }

    /// How many orders were told, repeats not counted.
    pub(super) const fn orders(&self) -> u64 {
        self.orders
    }

    /// What happens next.
    pub(super) fn next(&mut self) -> Step {
        let chance = self.random.below(100);
        let again = match chance {
            0..8 => self.repeat(),
            8..12 => self.refund(true),
            12..17 => self.refund(false),
            _ => None,
        };
        again.unwrap_or_else(|| match chance {
            17..23 => self.anonymous(),
            23..30 => self.newcomer(),
            _ => self.regular(),
        })
    }

    fn regular(&mut self) -> Step {
        let guest = REGULARS[self.random.below(REGULARS.len() as u64) as usize];
        let email = format!("{}@example.com", guest.to_lowercase());
        self.order(guest.to_owned(), Some(json!({ "email": email })), false)
    }

    fn newcomer(&mut self) -> Step {
        self.newcomers += 1;
        let phone = format!("+1555{:07}", 100_000 + self.newcomers);
        self.order(format!("guest {phone}"), Some(json!({ "phone": phone })), true)
    }

    fn anonymous(&mut self) -> Step {
        self.order(String::new(), None, false)
    }

    fn order(&mut self, guest: String, member: Option<Value>, newcomer: bool) -> Step {
        self.orders += 1;
        let number = self.orders;
        let picks: Vec<_> = (0..=self.random.below(3)).map(|_| MENU[self.random.below(8) as usize]).collect();
        let cents = picks.iter().map(|(_, _, cents)| cents).sum();
        let total = Cents(cents).to_string();
        let items: Vec<_> = picks
            .iter()
            .map(|(name, category, cents)| {
                json!({ "name": name, "category": category, "quantity": 1, "price": Cents(*cents).to_string() })
            })
            .collect();
        let id = format!("DEMO-{number:05}");
        let mut event = json!({
            "key": id, "type": "order.completed", "location": "loc_union_square",
            "data": { "order_id": id, "total": total, "channel": "pos", "items": items },
        });
        let Some(member) = member else {
            return Step { body: event.to_string(), about: About::Anonymous { total } };
        };
        event["member"] = member;
        let body = event.to_string();
        self.remembered.push_back(Placed {
            number,
            guest: guest.clone(),
            body: body.clone(),
            cents,
            refunds: 0,
        });
        if self.remembered.len() > REMEMBERED {
            self.remembered.pop_front();
        }
        Step { body, about: About::Order { guest, dish: picks[0].0, total, newcomer } }
    }

    fn repeat(&mut self) -> Option<Step> {
        let placed = self.remember()?;
        Some(Step { body: placed.body.clone(), about: About::Repeat { guest: placed.guest.clone() } })
    }

    fn refund(&mut self, full: bool) -> Option<Step> {
        let placed = self.remember()?;
        let cents = if full { placed.cents } else { placed.cents.div_ceil(2) };
        placed.cents -= cents;
        placed.refunds += 1;
        let order = format!("DEMO-{:05}", placed.number);
        let amount = Cents(cents).to_string();
        let body = json!({
            "key": format!("{order}-R{}", placed.refunds), "type": "order.refunded",
            "data": { "order_id": order, "amount": amount, "reason": "the guest was not happy" },
        });
        let guest = placed.guest.clone();
        Some(Step { body: body.to_string(), about: About::Refund { guest, amount, full } })
    }

    /// One of the last orders that is not refunded wholly.
    fn remember(&mut self) -> Option<&mut Placed> {
        let at = self.random.below(self.remembered.len().max(1) as u64) as usize;
        self.remembered.get_mut(at).filter(|placed| placed.cents > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::source_event::SourceEvent;
    use std::collections::BTreeMap;

    #[test]
    fn the_story_has_everything_and_the_engine_understands_all_of_it() {
        let mut story = Story::new();
        let mut bodies = BTreeMap::new();
        let mut seen = BTreeMap::new();
        for _ in 0..1_000 {
            let step = story.next();
            let now = "2026-03-03T19:00:00Z".parse().unwrap();
            let event = SourceEvent::parse(step.body.as_bytes(), &"USD".parse().unwrap(), now).unwrap();
            let kind = match step.about {
                About::Order { newcomer, .. } => format!("order, newcomer {newcomer}"),
                About::Anonymous { .. } => "anonymous".to_owned(),
                About::Repeat { .. } => "repeat".to_owned(),
                About::Refund { full, .. } => format!("refund, full {full}"),
            };
            let before = bodies.insert(event.key.to_string(), step.body.clone());
            assert_eq!(before.is_some(), kind == "repeat", "only a repeat uses a key again");
            assert!(before.is_none_or(|before| before == step.body), "a repeat is the same to the byte");
            *seen.entry(kind).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 6, "{seen:?}");
        assert!(seen.values().all(|count| *count >= 20), "{seen:?}");
    }
}
