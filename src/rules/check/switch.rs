//! `switch`: the parser keeps no case as it is written, so they are read again from the text.

use rhai::{Expr, Position, SwitchCasesCollection};
use rust_decimal::Decimal;

use super::literals::Literal;
use super::statements::either;
use super::{Checker, Known, Mistake, Type};
use crate::rules::sign::Sign;
use crate::rules::split::{Arm, arms};
use crate::rules::vocabulary::Bounds;

/// A case as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Case {
    Value(Literal, Type),
    /// From, to, and whether that is part of it.
    Range(i64, i64, bool),
    /// Something that is not looked at.
    Other,
}

impl Checker<'_> {
    pub(super) fn switch(
        &mut self,
        value: &Expr,
        cases: &SwitchCasesCollection,
        position: Position,
    ) -> Known {
        let known = self.expression(value);
        let missing = self.cases(value, known, cases, position);
        let mut result = None;
        self.here.branches += 1;
        for case in cases.expressions.iter() {
            self.condition(&case.lhs, "the condition of a case");
            let value = self.expression(&case.rhs);
            result = Some(result.map_or(value, |known| either(known, value)));
        }
        self.here.branches -= 1;
        match result {
            Some(known) if missing => either(known, Known::of(Type::Nothing)),
            result => result.unwrap_or(Known::ANY),
        }
    }

    /// Checks the cases; says whether it may be that none fits.
    fn cases(
        &mut self,
        value: &Expr,
        known: Known,
        cases: &SwitchCasesCollection,
        position: Position,
    ) -> bool {
        let arms = match value {
            // Braces before those of the cases would be taken for them.
            Expr::Stmt(_) | Expr::Map(..) | Expr::InterpolatedString(..) => None,
            _ if !self.may_search() => None,
            _ => arms(&self.files[self.here.file].text, position),
        };
        let Some(arms) = arms.filter(|arms| arms.len() == cases.expressions.len()) else {
            return false;
        };
        let mut seen: Vec<Case> = Vec::new();
        let what = self.path(value).map_or_else(|| "this".to_owned(), |subject| subject.path);
        let changes = self.changes(value);
        for arm in &arms {
            let case = Case::read(arm.case);
            let is_sure = is_property(value) && !changes;
            self.case((&what, is_sure), if changes { Known::of(known.kind) } else { known }, &case, arm);
            if seen.contains(&case) && case != Case::Other {
                let message = "there is such a case already, which is taken before this one";
                self.problem(Mistake::Unreachable, arm.position, message, None);
            }
            if !arm.has_condition {
                seen.push(case);
            }
        }
        self.gaps(known.kind, &seen, &arms);
        cases.def_case.is_none() && self.may_be_another(value, known, &seen)
    }

    /// Complains about ranges that leave out what lies between them: `0..50` and `51..100` have no place for 50.
    fn gaps(&mut self, kind: Type, seen: &[Case], arms: &[Arm<'_>]) {
        let cases = arms.iter().map(|arm| (arm, Case::read(arm.case)));
        let ranges: Vec<(&Arm<'_>, Case)> = cases.filter(|(arm, _)| !arm.has_condition).collect();
        let has = |number: i64| {
            seen.iter().any(|case| match case {
                Case::Value(Literal::Number(value), _) => *value == number.into(),
                Case::Range(from, to, ends) => *from <= number && (number < *to || *ends && number == *to),
                Case::Value(..) | Case::Other => false,
            })
        };
        for (arm, case) in &ranges {
            let Case::Range(_, to, ends) = *case else { continue };
            let next = to.saturating_add(1);
            let goes_on =
                ranges.iter().any(|(_, other)| matches!(other, Case::Range(from, ..) if *from == next));
            let covers =
                |other: &Case| matches!(other, Case::Range(from, end, _) if *from <= to && next <= *end);
            let is_covered = ranges.iter().any(|(_, other)| covers(other));
            let (message, help) = match kind {
                Type::Whole if goes_on && !ends && !has(to) => (
                    format!("`{}` ends before {to}, so {to} is in no case", arm.case),
                    format!("write `..=` to have {to} in it"),
                ),
                Type::Decimal if goes_on && !is_covered => (
                    format!("what lies between {to} and {next} is in no case"),
                    format!("end this one with `..{next}`, or begin the next one with {to}"),
                ),
                _ => continue,
            };
            self.problem(Mistake::Unclear, arm.position, message, Some(help));
        }
    }

    /// Whether it may be that no case fits. Quiet of what is reckoned, and of what something said of it here narrows down.
    fn may_be_another(&self, value: &Expr, known: Known, seen: &[Case]) -> bool {
        let Some(subject) = self.path(value) else { return false };
        let is_narrowed = self.here.held.iter().any(|claim| claim.subject == subject);
        !known.kind.is_open() && !known.is_written && !is_narrowed && !self.is_complete(known, seen)
    }

    /// Checks one case against what it is compared with.
    fn case(&mut self, (what, is_sure): (&str, bool), known: Known, case: &Case, arm: &Arm<'_>) {
        let at = arm.position;
        let is_open = known.kind.is_open();
        match case {
            Case::Other => {}
            Case::Value(Literal::Text(name), _) if known.kind == Type::Text => {
                if let Some(role) = known.role {
                    self.named_or_empty(role, &Expr::StringConstant(name.as_str().into(), at));
                }
            }
            Case::Value(Literal::Number(number), kind) if known.kind.is_number() => {
                if *kind != known.kind && !is_sure {
                    return; // whether it has decimals shows when it runs
                }
                if *kind != known.kind {
                    let (message, other) = match known.kind {
                        Type::Decimal => (
                            format!("`{what}` has decimals, so `switch` never finds it equal to {number}"),
                            format!("{number}.0"),
                        ),
                        _ => (
                            format!(
                                "`{what}` is a whole number, so `switch` never finds it equal to {number}"
                            ),
                            number.trunc().to_string(),
                        ),
                    };
                    return self.problem(Mistake::NeverTrue, at, message, Some(format!("write {other}")));
                }
                self.bounded(what, known, (Sign::Is, *number), at);
            }
            Case::Value(literal, _) if !is_open && literal.kind() != known.kind => {
                let message = format!("{} is never {}", known.kind.as_str(), literal.kind().as_str());
                self.problem(Mistake::WrongType, at, message, Some("this case is never taken".to_owned()));
            }
            Case::Value(..) => {}
            Case::Range(from, to, _) if from > to => {
                let message = format!("nothing lies between {from} and {to}: a range goes upwards");
                self.problem(Mistake::NeverTrue, at, message, Some("make two cases of it".to_owned()));
            }
            Case::Range(from, to, ends) if known.kind.is_number() => {
                let last = if *ends { Sign::AtMost } else { Sign::Below };
                self.bounded(what, known, (Sign::AtLeast, (*from).into()), at);
                self.bounded(what, known, (last, (*to).into()), at);
            }
            Case::Range(..) if is_open => {}
            Case::Range(..) => {
                let message = format!("{} lies in no range", known.kind.as_str());
                self.problem(Mistake::WrongType, at, message, Some("this case is never taken".to_owned()));
            }
        }
    }

    /// Whether the cases are all that there can be.
    fn is_complete(&self, known: Known, seen: &[Case]) -> bool {
        let has = |literal: Literal| {
            seen.iter().any(|case| matches!(case, Case::Value(known, _) if *known == literal))
        };
        match (known.kind, known.role) {
            (Type::Bool, _) => [true, false].into_iter().all(|truth| has(Literal::Truth(truth))),
            (Type::Text, Some(role)) => self
                .names_of(role)
                .is_none_or(|(_, names)| names.into_iter().all(|name| has(Literal::Text(name)))),
            // What lies in ranges may be all there is.
            _ if seen.iter().any(|case| matches!(case, Case::Range(..))) => true,
            _ => known.bounds.is_some_and(|Bounds { low, high }| {
                high.and_then(|high| usize::try_from(high - low).ok()).is_some_and(|more| seen.len() > more)
            }),
        }
    }
}

/// Whether a value is read of something, and so always of one type.
fn is_property(value: &Expr) -> bool {
    match value {
        Expr::Property(..) => true,
        Expr::Dot(pair, ..) => is_property(&pair.rhs),
        _ => false,
    }
}

impl Case {
    fn read(written: &str) -> Self {
        let whole = |text: &str| text.trim().replace('_', "").parse::<i64>().ok();
        if let Some((from, to)) = written.split_once("..")
            && !written.contains('"')
        {
            let (to, ends) = to.strip_prefix('=').map_or((to, false), |to| (to, true));
            return match (whole(from), whole(to)) {
                (Some(from), Some(to)) => Self::Range(from, to, ends),
                _ => Self::Other,
            };
        }
        if let Some(text) = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            return match text.contains(['\\', '"']) {
                true => Self::Other,
                false => Self::Value(Literal::Text(text.to_owned()), Type::Text),
            };
        }
        match written {
            "true" | "false" => Self::Value(Literal::Truth(written == "true"), Type::Bool),
            _ => {
                let number = written.replace('_', "");
                let kind = if number.contains('.') { Type::Decimal } else { Type::Whole };
                let is_plain = number.starts_with(|c: char| c.is_ascii_digit() || c == '-');
                match number.parse::<Decimal>() {
                    Ok(number) if is_plain => Self::Value(Literal::Number(number), kind),
                    _ => Self::Other,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_as_it_is_written() {
        let number = |n: &str, kind| Case::Value(Literal::Number(n.parse().unwrap()), kind);
        let text = |text: &str| Case::Value(Literal::Text(text.to_owned()), Type::Text);
        for (written, expected) in [
            ("60", number("60", Type::Whole)),
            ("-5", number("-5", Type::Whole)),
            ("1_000", number("1000", Type::Whole)),
            ("60.0", number("60.0", Type::Decimal)),
            ("\"gold\"", text("gold")),
            ("\"a..b\"", text("a..b")),
            ("\"\"", text("")),
            ("\"a\\\"\"", Case::Other),
            ("true", Case::Value(Literal::Truth(true), Type::Bool)),
            ("7..10", Case::Range(7, 10, false)),
            ("7 ..= 10", Case::Range(7, 10, true)),
            ("()", Case::Other),
            ("[1, 2]", Case::Other),
            ("_", Case::Other),
        ] {
            assert_eq!(Case::read(written), expected, "{written}");
        }
    }
}
