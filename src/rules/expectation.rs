//! What a test that fails has to say: what was expected, what is, and how the rules judged the event before it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::receipt::EffectLine;

use super::conditions::FalsePart;
use super::verdict::{Excluded, RuleVerdict, TierVerdict, Verdict};

/// The most names that are listed in one message.
const MAX_LISTED: usize = 20;

/// What became of the last event of a test. As a dry run says it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Judgement {
    /// What was sent last, if anything was.
    pub sent: Option<Box<str>>,
    /// Every rule on it, and on what it came to, in the order in which they were asked.
    pub rules: Vec<RuleVerdict>,
    /// The conditions of tiers that could have moved the member.
    pub tiers: Vec<TierVerdict>,
}

impl Judgement {
    /// The rule that failed first: where, and why.
    pub(super) fn failure(&self) -> Option<(&str, &str)> {
        self.rules.iter().find_map(|judged| match &judged.verdict {
            Verdict::Failed { failed_at, error } => Some((&**failed_at, &**error)),
            _ => None,
        })
    }

    /// What fired, then why each of the others did not, one a line.
    pub(super) fn in_lines(&self) -> String {
        let Some(sent) = &self.sent else { return "no event was sent before this".to_owned() };
        let (fired, others): (Vec<_>, Vec<_>) =
            self.rules.iter().partition(|judged| matches!(judged.verdict, Verdict::Fired(_)));
        let mut lines: Vec<_> = fired.into_iter().chain(others).map(rule_in_words).collect();
        if lines.is_empty() {
            lines.push(format!("no rule starts on {sent}"));
        }
        lines.extend(self.tiers.iter().filter_map(|TierVerdict { tier, verdict, .. }| match verdict {
            Verdict::NotFired(unmet) => Some(format!("tier \"{tier}\" was not reached: {unmet}")),
            _ => None,
        }));
        let in_one = |line: &String| line.split_whitespace().collect::<Vec<_>>().join(" ");
        lines.iter().map(in_one).collect::<Vec<_>>().join("\n")
    }
}

fn rule_in_words(RuleVerdict { rule, verdict, .. }: &RuleVerdict) -> String {
    let why = match verdict {
        Verdict::Fired(done) if done.effects.is_empty() => return format!("\"{rule}\" fired"),
        Verdict::Fired(done) => {
            let effects: Vec<_> = done.effects.iter().map(effect_in_words).collect();
            return format!("\"{rule}\" fired: {}", effects.join(", "));
        }
        Verdict::Failed { failed_at, error } => return format!("\"{rule}\" failed at {failed_at}: {error}"),
        Verdict::Suspended { .. } => "it is suspended".to_owned(),
        Verdict::NotFired(unmet) => unmet.to_string(),
        Verdict::Excluded(Excluded { group, by }) => format!("\"{by}\" counts in its group `{group}`"),
        Verdict::Closed(closed) => closed.in_words(),
    };
    format!("\"{rule}\" did not: {why}")
}

fn effect_in_words(line: &EffectLine) -> String {
    let amount = line.amount.map(|amount| amount.to_string());
    let names = [&line.value, &line.wallet].map(|name| name.as_ref().map(ToString::to_string));
    let words = [Some(line.effect.to_owned()), amount].into_iter().chain(names).flatten();
    words.collect::<Vec<_>>().join(" ")
}

/// What is true of something that tests ask about by name: `told` was this, and that.
pub(super) struct Truth {
    pub(super) what: &'static str,
    pub(super) names: Vec<String>,
}

/// Says of an expectation that does not hold what is, part by part. `truth` knows what a word could have been asked about.
pub(super) fn disappointment(parts: &[FalsePart], truth: impl Fn(&str) -> Option<Truth>) -> String {
    let is_alone = parts.len() == 1;
    let said: Vec<_> = parts.iter().map(|part| part_in_words(part, is_alone, &truth)).collect();
    match said.is_empty() {
        true => "expected this to hold, but it is false".to_owned(),
        false => said.join("; "),
    }
}

fn part_in_words(part: &FalsePart, is_alone: bool, truth: impl Fn(&str) -> Option<Truth>) -> String {
    if let Some((left, operator, right)) = part.compared() {
        let of = if is_alone || left.of.is_empty() { "this" } else { &left.of };
        return format!("{of} is {}, expected {operator} {}", left.is, right.is);
    }
    let expected = if part.part.is_empty() { "this" } else { &part.part };
    let values = part.values.iter().map(|value| format!("{} is {}", value.of, value.is));
    let what = match truth(&part.word) {
        Some(Truth { what, names }) => format!("{what}: {}", listed(&names)),
        None if part.values.is_empty() => "it is false".to_owned(),
        None => values.collect::<Vec<_>>().join(", "),
    };
    format!("expected {expected}; {what}")
}

fn listed(names: &[String]) -> String {
    let mut shown: Vec<_> = names.iter().take(MAX_LISTED).map(|name| format!("\"{name}\"")).collect();
    let left = names.len() - shown.len();
    if left > 0 {
        shown.push(format!("{left} more"));
    }
    if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") }
}
