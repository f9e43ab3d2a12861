//! The code that our documents print for receivers, held against what arrives.

use serde_json::{Value, json};

use super::app::repository;
use super::interpreters::{LANGUAGES, Language};
use super::receiver::Arrival;

/// What is printed under a heading, in every language.
pub(crate) struct Printed {
    heading: String,
    code: [(Language, String); 4],
}

impl Printed {
    pub(crate) fn of(document: &str, heading: &str) -> Self {
        let text = std::fs::read_to_string(repository().join(document)).unwrap();
        let (_, section) = text
            .split_once(&format!("\n## {heading}\n"))
            .or_else(|| text.split_once(&format!("\n### {heading}\n")))
            .unwrap_or_else(|| panic!("{document} has no {heading}"));
        let section = section.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
        let code = LANGUAGES.map(|language| {
            let fence = format!("```{}\n", language.fence());
            let (_, code) =
                section.split_once(&fence).unwrap_or_else(|| panic!("{heading}: no {language:?}"));
            (language, code.split("```").next().unwrap().to_owned())
        });
        Self { heading: heading.to_owned(), code }
    }

    /// Takes an arrival.
    pub(crate) fn holds(&self, arrival: &Arrival, secret: &str) {
        self.judges(&[("as it arrived", given(arrival, &arrival.text(), secret, 0), true)]);
    }

    /// Takes an arrival, and neither forgeries of it nor, if the signature says something of the time, a late one.
    pub(crate) fn verifies(&self, arrival: &Arrival, secret: &str, is_timed: bool) {
        let body = arrival.text();
        self.judges(&[
            ("as it arrived", given(arrival, &body, secret, 0), true),
            ("with another byte", given(arrival, &one_byte_changed(&body), secret, 0), false),
            ("with a byte more", given(arrival, &format!("{body} "), secret, 0), false),
            ("with another secret", given(arrival, &body, &another(secret), 0), false),
            ("an hour later", given(arrival, &body, secret, 3600), !is_timed),
        ]);
    }

    fn judges(&self, requests: &[(&str, Value, bool)]) {
        let given: Vec<_> = requests.iter().map(|(_, given, _)| given.clone()).collect();
        for (language, code) in &self.code {
            let verdicts = language.verdicts(code, &given);
            assert_eq!(verdicts.len(), requests.len());
            for ((what, given, expected), verdict) in requests.iter().zip(verdicts) {
                assert_eq!(verdict, *expected, "{language:?}: {} {what}: {given}", self.heading);
            }
        }
    }
}

/// What a verifier is given.
pub(crate) fn given(arrival: &Arrival, body: &str, secret: &str, late: i64) -> Value {
    json!({ "headers": arrival.headers, "body": body, "secret": secret, "now": arrival.timestamp + late })
}

/// The body with a digit that is another one.
pub(crate) fn one_byte_changed(body: &str) -> String {
    let at = body.find(|c: char| c.is_ascii_digit()).unwrap();
    let digit = if body[at..].starts_with('1') { "2" } else { "1" };
    format!("{}{digit}{}", &body[..at], &body[at + 1..])
}

/// A secret that is a little different.
pub(crate) fn another(secret: &str) -> String {
    let mut other = secret.to_owned();
    other.replace_range(8..9, if secret[8..].starts_with('A') { "B" } else { "A" });
    other
}
