//! `achievements`: a list of names that rules give, or `[[achievements]]` with goals and prizes.

use rust_decimal::Decimal;

use super::reader::{Reader, Table, Value};
use crate::domain::coupon::CouponBook;
use crate::domain::history::HISTORY_DAYS;
use crate::domain::money::{Money, Points};
use crate::domain::terms::achievement::{
    Achievement, Counts, Goal, Measure, OnRefund, Period, Prize, Recurrence, Steps, Unit, Which,
};
use crate::domain::terms::wallet::WalletTerms;
use crate::domain::text::Name;
use crate::rules::diagnostic::Mistake;
use crate::rules::suggest;

/// The most achievements of a program.
const MAX_ACHIEVEMENTS: usize = 200;
/// How many of them may have goals: each is looked at with every order.
const MAX_GOALS: usize = 50;
/// The words for the units of the calendar.
pub(super) const UNITS: [(&str, Unit); 5] = [
    ("day", Unit::Day),
    ("week", Unit::Week),
    ("month", Unit::Month),
    ("quarter", Unit::Quarter),
    ("year", Unit::Year),
];

/// What `counts` says.
#[derive(Clone, Copy)]
enum Word {
    Visits,
    Days,
    Spend,
    Points,
    Orders,
    Items,
    Progress,
    Streak,
}

const COUNTS: [(&str, Word); 8] = [
    ("visits", Word::Visits),
    ("days", Word::Days),
    ("spend", Word::Spend),
    ("points", Word::Points),
    ("orders", Word::Orders),
    ("items", Word::Items),
    ("progress", Word::Progress),
    ("streak", Word::Streak),
];

/// What achievements may name.
#[derive(Clone, Copy)]
struct Known<'a> {
    wallets: &'a [WalletTerms],
    books: &'a [CouponBook],
    categories: &'a [Name],
}

impl Reader<'_> {
    /// The achievements.
    pub(super) fn achievements(
        &mut self,
        table: &Table<'_>,
        wallets: &[WalletTerms],
        books: &[CouponBook],
        categories: &[Name],
    ) -> Vec<Achievement> {
        const SHAPE: &str = "achievements are a list of names, or tables: write [[achievements]] for each";
        let known = Known { wallets, books, categories };
        let Some(list) = table.get("achievements") else { return Vec::new() };
        let Some(values) = list.get_ref().as_array() else {
            self.problem(list.span().start, SHAPE, None);
            return Vec::new();
        };
        if values.len() > MAX_ACHIEVEMENTS {
            let message = format!("a program may have {MAX_ACHIEVEMENTS} achievements");
            self.mistake(Mistake::TooMany, list.span().start, message, None);
        }
        let mut all: Vec<Achievement> = Vec::new();
        for value in values.iter().take(MAX_ACHIEVEMENTS) {
            let start = value.span().start;
            let read = match value.get_ref().as_table() {
                Some(table) => self.achievement(table, start, known),
                None => self.name(value).map(plain),
            };
            let Some(achievement) = read else { continue };
            if all.iter().any(|other| other.id == achievement.id) {
                self.mistake(
                    Mistake::DuplicateName,
                    start,
                    format!("`{}` is in the list twice", achievement.id),
                    None,
                );
            }
            all.push(achievement);
        }
        if all.iter().filter(|achievement| achievement.goal.is_some()).count() > MAX_GOALS {
            let message = format!("at most {MAX_GOALS} achievements may have a goal");
            self.mistake(Mistake::TooMany, list.span().start, message, None);
        }
        all
    }

    fn achievement(&mut self, table: &Table<'_>, start: usize, known: Known<'_>) -> Option<Achievement> {
        const KEYS: [&str; 16] = [
            "id",
            "name",
            "counts",
            "target",
            "period",
            "category",
            "sku",
            "unit",
            "recurrence",
            "most",
            "tell_progress",
            "award",
            "wallet",
            "coupon",
            "revoke_on_refund",
            "rolling_days",
        ];
        self.known_keys(table, &KEYS);
        let id = self.needed(table, start, "id", "id = \"regular\"").and_then(|value| self.name(value))?;
        let name = table.get("name").and_then(|value| self.name(value)).unwrap_or_else(|| id.clone());
        let goal = match table.get("counts") {
            Some(counts) => Some(self.goal(table, start, counts, known)?),
            None => {
                let lonely = KEYS[3..11].iter().chain(&["revoke_on_refund", "rolling_days"]);
                for key in lonely {
                    if let Some(value) = table.get(*key) {
                        let help = "write what is counted, such as `counts = \"visits\"`".to_owned();
                        self.problem(value.span().start, format!("`{key}` needs `counts`"), Some(help));
                    }
                }
                None
            }
        };
        let on_refund = match self.flag(table, "revoke_on_refund", false) {
            true => OnRefund::Revoke,
            false => OnRefund::Keep,
        };
        Some(Achievement { id, name, goal, prize: self.prize(table, known.wallets, known.books), on_refund })
    }

    fn goal(
        &mut self,
        table: &Table<'_>,
        start: usize,
        counts: &Value<'_>,
        known: Known<'_>,
    ) -> Option<Goal> {
        let word = self.one_of(counts, &COUNTS)?;
        let target =
            self.needed(table, start, "target", "target = 10").and_then(|value| self.positive(value))?;
        let sum = match word {
            Word::Visits => Counts::Visits,
            Word::Days => Counts::Days,
            Word::Spend => Counts::Spend,
            Word::Points => Counts::Points,
            Word::Orders => Counts::Orders,
            Word::Progress => Counts::Reported,
            Word::Items => Counts::Items(self.which(table, known.categories)?),
            Word::Streak => {
                let unit = self.needed(table, start, "unit", "unit = \"week\"");
                let unit = unit.and_then(|value| self.one_of(value, &UNITS[..3]))?;
                return self.streak(table, unit, target);
            }
        };
        for key in ["category", "sku"] {
            if let Some(value) = table.get(key).filter(|_| !matches!(sum, Counts::Items(_))) {
                self.problem(value.span().start, format!("`{key}` goes with `counts = \"items\"`"), None);
            }
        }
        if let Some(value) = table.get("unit") {
            self.problem(value.span().start, "`unit` goes with `counts = \"streak\"`", None);
        }
        let period = self.counted_over(table, &sum)?;
        let recurrence = self.recurrence(table, matches!(period, Period::Rolling(_)))?;
        Some(Goal { measure: Measure::Sum(sum, period), target, recurrence, steps: self.steps(table) })
    }

    fn streak(&mut self, table: &Table<'_>, unit: Unit, target: Decimal) -> Option<Goal> {
        let most = unit.longest_streak();
        if !target.is_integer() || target > most.into() || target < Decimal::TWO {
            let place = table.get("target").map_or(0, |value| value.span().start);
            self.problem(place, format!("such a streak has between 2 and {most}, a whole number"), None);
            return None;
        }
        if let Some(period) = table.get("period") {
            self.problem(period.span().start, "a streak is its own period; leave `period` out", None);
        }
        let recurrence = self.recurrence(table, false)?;
        Some(Goal { measure: Measure::Streak(unit), target, recurrence, steps: self.steps(table) })
    }

    fn steps(&mut self, table: &Table<'_>) -> Steps {
        if self.flag(table, "tell_progress", false) { Steps::Told } else { Steps::Silent }
    }

    /// More than zero, by its text, so that no amount passes through a binary float.
    pub(super) fn positive(&mut self, value: &Value<'_>) -> Option<Decimal> {
        let inner = value.get_ref();
        let text = inner.as_integer().map(|n| n.as_str()).or_else(|| inner.as_float().map(|n| n.as_str()));
        let number = text.and_then(|text| text.parse::<Money>().and_then(Money::limited).ok());
        let number = number.map(Money::decimal).filter(|number| *number > Decimal::ZERO);
        if number.is_none() {
            self.problem(value.span().start, "this must be a number above 0, such as 10", None);
        }
        number
    }

    fn which(&mut self, table: &Table<'_>, categories: &[Name]) -> Option<Which> {
        match (table.get("category"), table.get("sku")) {
            (Some(_), Some(sku)) => {
                self.problem(sku.span().start, "name either a `category` or a `sku`", None);
                None
            }
            (Some(value), None) => {
                let category = self.name(value)?;
                if !categories.is_empty() && !categories.contains(&category) {
                    let help = suggest::or_list(&category, categories.iter().map(Name::as_str));
                    let message = format!("there is no category called `{category}` in `categories`");
                    self.mistake(Mistake::UnknownName, value.span().start, message, help);
                }
                Some(Which::Category(category))
            }
            (None, Some(value)) => Some(Which::Sku(self.name(value)?)),
            (None, None) => Some(Which::Any),
        }
    }

    fn counted_over(&mut self, table: &Table<'_>, counts: &Counts) -> Option<Period> {
        if let Some(place) = table.get("rolling_days").map(|value| value.span().start) {
            let days = self.whole(table, "rolling_days", 1..=HISTORY_DAYS as i64 - 34)?;
            if !counts.is_history() {
                let message = "only visits, days, spend and points are known day by day; write a `period`";
                self.problem(place, message, None);
            }
            if table.get("period").is_some() {
                self.problem(place, "write either `period` or `rolling_days`", None);
            }
            return Some(Period::Rolling(days as u32));
        }
        let Some(value) = table.get("period") else { return Some(Period::Lifetime) };
        let known = UNITS.map(|(word, unit)| (word, Period::Calendar(unit)));
        self.one_of(value, &[&known[..], &[("lifetime", Period::Lifetime)]].concat())
    }

    fn recurrence(&mut self, table: &Table<'_>, is_rolling: bool) -> Option<Recurrence> {
        let most = self.whole(table, "most", 1..=1_000_000).map(|most| most as u32);
        let known = [
            ("once", Recurrence::Once),
            ("each_period", Recurrence::EachPeriod { most }),
            ("each_time", Recurrence::EachTime { most }),
        ];
        let known = &known[..if is_rolling { 2 } else { 3 }];
        let recurrence = match table.get("recurrence") {
            Some(value) => self.one_of(value, known)?,
            None => Recurrence::Once,
        };
        if let Some(value) = table.get("most").filter(|_| recurrence == Recurrence::Once) {
            self.problem(value.span().start, "`most` goes with another `recurrence` than \"once\"", None);
        }
        Some(recurrence)
    }

    /// `award`, `wallet` and `coupon`: what something brings.
    pub(super) fn prize(
        &mut self,
        table: &Table<'_>,
        wallets: &[WalletTerms],
        books: &[CouponBook],
    ) -> Prize {
        let wallet = table.get("wallet").and_then(|value| {
            let code = self.name(value)?;
            if !wallets.iter().any(|wallet| wallet.code == code) {
                let help = suggest::or_list(&code, wallets.iter().map(|wallet| wallet.code.as_str()));
                self.mistake(
                    Mistake::UnknownName,
                    value.span().start,
                    format!("there is no wallet called `{code}`"),
                    help,
                );
            }
            Some(code)
        });
        let award = self.whole(table, "award", 1..=Points::LIMIT);
        if let Some(value) = table.get("wallet").filter(|_| table.get("award").is_none()) {
            self.problem(value.span().start, "`wallet` goes with `award`", None);
        }
        let coupon = table.get("coupon").and_then(|value| {
            let book = self.name(value)?;
            let ids = || books.iter().filter_map(|book| book.id.as_ref());
            if !ids().any(|id| *id == book) {
                let help = suggest::or_list(&book, ids().map(Name::as_str));
                self.mistake(
                    Mistake::UnknownName,
                    value.span().start,
                    format!("there is no coupon book called `{book}`"),
                    help,
                );
            }
            Some(book)
        });
        Prize { points: award.map(|points| (wallet, Points(points))), coupon }
    }
}

/// One that rules give.
fn plain(id: Name) -> Achievement {
    let (name, prize, on_refund) = (id.clone(), Prize::default(), OnRefund::Keep);
    Achievement { id, name, goal: None, prize, on_refund }
}
