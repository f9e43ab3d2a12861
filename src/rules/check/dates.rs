//! Days as texts, which compare like days only where they are written alike.

use chrono::NaiveDate;
use rhai::Expr;

use super::literals::Literal;
use super::{Checker, Mistake};

impl Checker<'_> {
    /// Complains about a text that is no day; where `may_be_short`, a year or a month will do.
    pub(super) fn date(&mut self, text: &Expr, may_be_short: bool) {
        let Some(Literal::Text(date)) = self.literal(text) else { return };
        let Some(wrong) = wrong(&date, may_be_short) else { return };
        let (message, help) = match wrong {
            Wrong::NoSuchDay => (format!("there is no day {date}"), None),
            Wrong::Short => {
                let help = "ask from when to when: >= \"2026-06-01\" and < \"2026-07-01\"";
                (format!("no day is called \"{date}\""), Some(help.to_owned()))
            }
            Wrong::Shape => {
                let help = match padded(&date) {
                    Some(padded) => format!("write \"{padded}\""),
                    None => "write year, month and day: \"2026-06-01\"".to_owned(),
                };
                (format!("\"{date}\" is no day"), Some(help))
            }
        };
        self.problem(Mistake::OutOfRange, text.position(), message, help);
    }
}

/// What is wrong with a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// It is not written as a day is.
    Shape,
    /// A month or a year, where a day is needed.
    Short,
    /// No calendar has it.
    NoSuchDay,
}

fn wrong(date: &str, may_be_short: bool) -> Option<Wrong> {
    let parts: Vec<&str> = date.split('-').collect();
    let is_number = |part: &str, digits| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
    let has_shape = parts.iter().zip([4, 2, 2]).all(|(part, digits)| is_number(part, digits));
    if !has_shape || parts.len() > 3 {
        return Some(Wrong::Shape);
    }
    let number = |at: usize| parts.get(at).map_or(Some(1), |part| part.parse::<u32>().ok());
    let day = number(0).zip(number(1)).zip(number(2));
    let day = day.and_then(|((y, m), d)| NaiveDate::from_ymd_opt(i32::try_from(y).ok()?, m, d));
    match (day, parts.len()) {
        (None, _) => Some(Wrong::NoSuchDay),
        (Some(_), 1 | 2) if !may_be_short => Some(Wrong::Short),
        _ => None,
    }
}

/// A day that lacks zeros, with them.
fn padded(date: &str) -> Option<String> {
    let mut parts = date.split(['-', '/', '.']).map(|part| part.parse::<u32>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let day = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    (parts.next().is_none() && year >= 1000).then(|| day.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_as_a_calendar_has_them_compare_like_days() {
        for (date, short, expected) in [
            ("2026-06-01", false, None),
            ("2028-02-29", false, None),
            ("2026-06", true, None),
            ("2026", true, None),
            ("2026-06", false, Some(Wrong::Short)),
            ("2026-02-30", true, Some(Wrong::NoSuchDay)),
            ("2026-13", true, Some(Wrong::NoSuchDay)),
            ("2026-6-1", true, Some(Wrong::Shape)),
            ("01/06/2026", true, Some(Wrong::Shape)),
            ("2026-06-01-05", true, Some(Wrong::Shape)),
            ("tomorrow", true, Some(Wrong::Shape)),
        ] {
            assert_eq!(wrong(date, short), expected, "{date}");
        }
        assert_eq!(padded("2026-6-1").as_deref(), Some("2026-06-01"));
        assert_eq!(padded("2026/6/1").as_deref(), Some("2026-06-01"));
        assert_eq!((padded("01/06/2026"), padded("2026-6-31")), (None, None));
    }
}
