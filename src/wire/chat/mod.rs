//! Messages for people in a chat room: Slack, Google Chat, Discord. Each event is a sentence, an endpoint's own or ours.
//!
//! What guests and tills wrote may say anything, so it is cleaned before it is filled in: nobody is called to the room
//! by the name of a guest.

mod texts;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Serialize;
use serde_json::value::RawValue;

use super::told::Told;
use super::{Header, Letter, Rendered, Sealing, Speaks, Unsendable};
use crate::domain::endpoint::{Choice, Part, Wording};
use crate::domain::json::to_json;
use crate::domain::loyalty_event::EventType;

/// A room's incoming webhook.
pub(super) struct Chat {
    /// What a value is made of before it is filled in.
    clean: fn(&str) -> String,
    /// The most characters that a message may have there.
    longest: usize,
    body: fn(&str) -> String,
}

/// Slack: `{"text"}` (<https://api.slack.com/messaging/webhooks>); `&`, `<` and `>` are its control characters.
pub(super) const SLACK: Chat = Chat {
    clean: |value| value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
    longest: 40_000,
    body: text,
};

/// Google Chat: `{"text"}` (<https://developers.google.com/workspace/chat/quickstart/webhooks>). It knows no escape for
/// the angle bracket of `<users/all>`; one with a space of no width after it means nothing.
pub(super) const GOOGLE_CHAT: Chat =
    Chat { clean: |value| value.replace('<', "<\u{200b}"), longest: 4_000, body: text };

/// Discord: `{"content"}` of 2,000 characters, with mentions switched off
/// (<https://discord.com/developers/docs/resources/webhook#execute-webhook>).
pub(super) const DISCORD: Chat = Chat {
    clean: str::to_owned,
    longest: 2_000,
    body: |content| {
        #[derive(Serialize)]
        struct Mentions {
            parse: [&'static str; 0],
        }
        #[derive(Serialize)]
        struct Message<'a> {
            content: &'a str,
            allowed_mentions: Mentions,
        }
        to_json(&Message { content, allowed_mentions: Mentions { parse: [] } })
    },
};

fn text(text: &str) -> String {
    #[derive(Serialize)]
    struct Message<'a> {
        text: &'a str,
    }
    to_json(&Message { text })
}

impl Speaks for Chat {
    fn render(&self, letter: &Letter) -> Result<Option<Rendered>, Unsendable> {
        let told = Told::read(&letter.message)?;
        let said = match letter.texts.get(&told.kind) {
            Some(own) => self.fill(own, &letter.message)?,
            None => String::new(),
        };
        // Rooms refuse what is empty.
        let said = match said.trim().is_empty() {
            true => self.fill(&texts::built_in(&told)?, &letter.message)?,
            false => said,
        };
        Ok(Some(Rendered { body: (self.body)(&shortened(said, self.longest)), headers: Vec::new() }))
    }

    /// A room verifies nothing: its url is the secret.
    fn sign(&self, _: &Sealing<'_>) -> Vec<Header> {
        Vec::new()
    }
}

impl Chat {
    fn fill(&self, wording: &Wording, message: &str) -> Result<String, Unsendable> {
        let (mut said, mut opened) = (String::new(), Opened::default());
        for part in wording.parts() {
            // It will be cut.
            if said.len() > 4 * self.longest {
                break;
            }
            match part {
                Part::Said(text) => said.push_str(text),
                Part::Place(choices) => {
                    for choice in choices {
                        let found = match choice {
                            Choice::Text(text) => Some(text.to_string()),
                            Choice::Path(path) => {
                                opened.value(message, path)?.map(|value| (self.clean)(&value))
                            }
                        };
                        if let Some(found) = found {
                            said.push_str(&found);
                            break;
                        }
                    }
                }
            }
        }
        Ok(said)
    }
}

/// The objects of a message on the way to what a wording asks for, each read once: a wording may ask for hundreds of things,
/// and a message may be long.
#[derive(Default)]
struct Opened<'w, 'm>(BTreeMap<&'w [Box<str>], BTreeMap<Cow<'m, str>, &'m RawValue>>);

impl<'w, 'm> Opened<'w, 'm> {
    /// What stands at this path of a message, in words; `None` when nothing does. Numbers stay the digits that they are.
    fn value(&mut self, message: &'m str, path: &'w [Box<str>]) -> Result<Option<String>, Unsendable> {
        let unreadable = |error: serde_json::Error| Unsendable::Unreadable(error.to_string());
        let mut json = message;
        for (depth, name) in path.iter().enumerate() {
            if !json.starts_with('{') {
                return Ok(None);
            }
            let fields = match self.0.entry(&path[..depth]) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(serde_json::from_str(json).map_err(unreadable)?),
            };
            let Some(field) = fields.get(&**name).copied() else { return Ok(None) };
            json = field.get();
        }
        match json.as_bytes().first() {
            Some(b'"') => serde_json::from_str(json).map(Some).map_err(unreadable),
            _ if json == "null" => Ok(None),
            _ => Ok(Some(json.to_owned())),
        }
    }
}

fn shortened(text: String, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text,
        Some(_) => text.chars().take(longest - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests;
