//! Wallets: what a program counts its points in, and how long they last.

use std::str::FromStr;

use chrono::{Datelike, Days, Months, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::domain::Timestamp;
use crate::domain::member::NextExpiration;
use crate::domain::money::Points;
use crate::domain::text::Name;
use crate::domain::wallet::{MAX_LOTS, Wallet};

/// The code of the wallet of a program that declares none.
pub const DEFAULT_WALLET: &str = "points";

/// One wallet of the program. The first is the one that effects without a wallet mean.
#[derive(Debug, Clone, PartialEq)]
pub struct WalletTerms {
    /// Its code in rules and in JSON.
    pub code: Name,
    /// What its points are called for people; the code, unless the program says otherwise.
    pub plural: Name,
    /// Whether what is earned in it counts for tiers.
    pub qualifying: bool,
    /// How long what was earned lasts.
    pub expiry: Expiry,
    /// When what was earned can be spent.
    pub pending: Pending,
    /// What happens when more is taken than there is.
    pub overdraft: Overdraft,
    /// What a fraction of a point becomes.
    pub rounding: Rounding,
    /// The most that a member may have; what would be more is not awarded.
    pub max_balance: Option<Points>,
    /// How many days ahead `points.expiring_soon` is told.
    pub warn_days: Option<u16>,
}

/// How long what was earned lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// For ever.
    Never,
    /// So long after it was earned, to the end of the day, month or year in the chain's zone.
    After(Span, EndOf),
    /// The whole wallet, so long after something was last earned or spent.
    Inactivity(Span),
    /// To the end of this day in the chain's zone, whenever it was earned.
    On(NaiveDate),
}

/// A stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Days.
    Days(u32),
    /// Calendar months: from the 31st, the last day of a shorter month.
    Months(u32),
}

/// To the end of what a span is rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOf {
    /// The day.
    Day,
    /// The calendar month.
    Month,
    /// The calendar year.
    Year,
}

/// When what was earned can be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// At once.
    No,
    /// So many days later, to the second.
    Days(u32),
    /// When `points.confirm` names the source event or order that earned it.
    Confirmation,
}

/// What happens when more is taken back than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdraft {
    /// The balance goes below zero, and what is earned next pays the deficit.
    Allowed,
    /// The balance stops at zero.
    Refused,
}

/// What a fraction of a point becomes, for each award.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// It is dropped.
    Down,
    /// A whole point.
    Up,
    /// The nearest; a half goes up.
    HalfUp,
    /// The nearest; a half goes to the even neighbour.
    HalfEven,
}

impl WalletTerms {
    /// A wallet whose points last for ever and can be spent at once.
    pub fn plain(code: Name) -> Self {
        Self {
            plural: code.clone(),
            code,
            qualifying: true,
            expiry: Expiry::Never,
            pending: Pending::No,
            overdraft: Overdraft::Allowed,
            rounding: Rounding::Down,
            max_balance: None,
            warn_days: None,
        }
    }
}

impl WalletTerms {
    /// When all of a member's wallet is gone because it was not used; `None` when it never is.
    pub fn unused_at(&self, held: &Wallet, zone: Tz) -> Option<Timestamp> {
        let used_at = held.used_at.filter(|_| held.balance() > Points::ZERO)?;
        self.expiry.of_unused(used_at, zone)
    }

    /// What of a member's wallet is gone next if it is not used.
    pub fn next_expiration(&self, held: &Wallet, zone: Tz) -> Option<NextExpiration> {
        let unused = self.unused_at(held, zone).map(|at| NextExpiration { amount: held.balance(), at });
        let lot = held.next_expiry().map(|(at, amount)| NextExpiration { amount, at });
        unused.into_iter().chain(lot).min_by_key(|next| next.at)
    }
}

impl Rounding {
    /// Whole points of a computed amount; `None` beyond [`Points::LIMIT`].
    pub fn whole(self, amount: Decimal) -> Option<Points> {
        let strategy = match self {
            Self::Down => return Points::floor(amount),
            Self::Up => RoundingStrategy::AwayFromZero,
            Self::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            Self::HalfEven => RoundingStrategy::MidpointNearestEven,
        };
        Points::floor(amount.round_dp_with_strategy(0, strategy))
    }
}

impl Expiry {
    /// The first instant at which something earned at `at` is gone. `None` = never, or not by itself.
    pub fn of(self, at: Timestamp, zone: Tz) -> Option<Timestamp> {
        let last_day = match self {
            Self::Never | Self::Inactivity(_) => return None,
            Self::On(day) => day,
            Self::After(span, end) => end.of(span.after(at.with_timezone(&zone).date_naive())?)?,
        };
        start_of(last_day.succ_opt()?, zone)
    }

    /// The first instant at which an unused wallet is emptied, when it was last used at `at`.
    pub fn of_unused(self, at: Timestamp, zone: Tz) -> Option<Timestamp> {
        let Self::Inactivity(span) = self else { return None };
        let last_day = span.after(at.with_timezone(&zone).date_naive())?;
        start_of(last_day.succ_opt()?, zone)
    }
}

impl Expiry {
    /// Whether a guest who comes every day has at most [`MAX_LOTS`] lots at once, so that each is gone when it should be.
    pub const fn keeps_lots_apart(self) -> bool {
        match self {
            // A lot for each of so many days, for today, and for what is told a little ahead of it.
            Self::After(Span::Days(days), EndOf::Day) => days as usize + 2 <= MAX_LOTS,
            // At most 397 days.
            Self::After(Span::Months(months), EndOf::Day) => months <= 13,
            Self::Never | Self::Inactivity(_) | Self::On(_) | Self::After(_, EndOf::Month | EndOf::Year) => {
                true
            }
        }
    }

    /// What a wallet remembers of being used at `at`; `before` is what it remembered.
    pub fn when_used(self, at: Timestamp, before: Option<Timestamp>) -> Option<Timestamp> {
        matches!(self, Self::Inactivity(_)).then(|| before.map_or(at, |before| before.max(at)))
    }
}

impl Span {
    /// The day so long after `day`; `None` beyond the calendar.
    pub fn after(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Days(days) => day.checked_add_days(Days::new(days.into())),
            Self::Months(months) => day.checked_add_months(Months::new(months)),
        }
    }
}

impl EndOf {
    /// The last day of what `day` lies in.
    fn of(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => Some(day),
            Self::Month => day.with_day(1)?.checked_add_months(Months::new(1))?.pred_opt(),
            Self::Year => NaiveDate::from_ymd_opt(day.year(), 12, 31),
        }
    }
}

/// Why a phrase of `program.toml` is not understood; says what would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write {0}")]
pub struct BadPhrase(&'static str);

/// The longest span that makes sense, in days and in months.
const MAX_SPAN: (u32, u32) = (3_660, 120);

impl FromStr for Span {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (number, unit) = text.split_once(' ').ok_or(())?;
        let number: u32 = number.parse().map_err(|_| ())?;
        let span = match unit {
            "day" | "days" if number <= MAX_SPAN.0 => Self::Days(number),
            "month" | "months" if number <= MAX_SPAN.1 => Self::Months(number),
            "year" | "years" if number <= MAX_SPAN.1 / 12 => Self::Months(number * 12),
            _ => return Err(()),
        };
        if number == 0 { Err(()) } else { Ok(span) }
    }
}

impl FromStr for Expiry {
    type Err = BadPhrase;
    fn from_str(text: &str) -> Result<Self, BadPhrase> {
        const HELP: &str = "\"never\", \"12 months\", \"2 years, end of month\", \"12 months, end of year\", \
                            \"6 months unused\" or a last day such as \"2027-12-31\"";
        let after = |text: &str, end| text.parse().map(|span| Self::After(span, end)).ok();
        let expiry = match text.split_once(", end of ") {
            Some((span, "day")) => after(span, EndOf::Day),
            Some((span, "month")) => after(span, EndOf::Month),
            Some((span, "year")) => after(span, EndOf::Year),
            Some(_) => None,
            None if text == "never" => Some(Self::Never),
            None => match text.strip_suffix(" unused") {
                Some(span) => span.parse().map(Self::Inactivity).ok(),
                None => after(text, EndOf::Day).or_else(|| text.parse().map(Self::On).ok()),
            },
        };
        expiry.ok_or(BadPhrase(HELP))
    }
}

impl FromStr for Pending {
    type Err = BadPhrase;
    fn from_str(text: &str) -> Result<Self, BadPhrase> {
        match (text, text.parse()) {
            ("no", _) => Ok(Self::No),
            ("until confirmed", _) => Ok(Self::Confirmation),
            (_, Ok(Span::Days(days))) => Ok(Self::Days(days)),
            _ => Err(BadPhrase("\"no\", \"14 days\" or \"until confirmed\"")),
        }
    }
}

impl FromStr for Overdraft {
    type Err = BadPhrase;
    fn from_str(text: &str) -> Result<Self, BadPhrase> {
        match text {
            "allowed" => Ok(Self::Allowed),
            "refused" => Ok(Self::Refused),
            _ => Err(BadPhrase("\"allowed\" or \"refused\"")),
        }
    }
}

impl FromStr for Rounding {
    type Err = BadPhrase;
    fn from_str(text: &str) -> Result<Self, BadPhrase> {
        match text {
            "down" => Ok(Self::Down),
            "up" => Ok(Self::Up),
            "half up" => Ok(Self::HalfUp),
            "half even" => Ok(Self::HalfEven),
            _ => Err(BadPhrase("\"down\", \"up\", \"half up\" or \"half even\"")),
        }
    }
}

/// When a day begins. Where clocks are set forward at midnight, that is later than midnight.
pub fn start_of(day: NaiveDate, zone: Tz) -> Option<Timestamp> {
    /// No clock was ever set forward by more.
    const LONGEST_GAP_QUARTERS: u32 = 12;
    (0..=LONGEST_GAP_QUARTERS).find_map(|quarter| {
        let time = NaiveTime::from_hms_opt(quarter / 4, quarter % 4 * 15, 0)?;
        let local = zone.from_local_datetime(&day.and_time(time));
        local.earliest().map(|at| at.with_timezone(&Utc))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn points_last_to_the_end_of_the_day_month_or_year_in_the_chains_zone() {
        let (months, days) = (Span::Months, Span::Days);
        for (expiry, earned, gone) in [
            (Expiry::After(months(12), EndOf::Day), "2026-03-03T18:30:00Z", "2027-03-04T05:00:00Z"),
            // Still the 2nd of March in New York.
            (Expiry::After(months(12), EndOf::Day), "2026-03-03T04:30:00Z", "2027-03-03T05:00:00Z"),
            (Expiry::After(months(12), EndOf::Month), "2026-03-03T18:30:00Z", "2027-04-01T04:00:00Z"),
            (Expiry::After(months(12), EndOf::Year), "2026-03-03T18:30:00Z", "2028-01-01T05:00:00Z"),
            (Expiry::After(months(1), EndOf::Day), "2026-01-31T12:00:00Z", "2026-03-01T05:00:00Z"),
            (Expiry::After(months(12), EndOf::Day), "2028-02-29T12:00:00Z", "2029-03-01T05:00:00Z"),
            (Expiry::After(days(1), EndOf::Day), "2026-03-07T12:00:00Z", "2026-03-09T04:00:00Z"),
            (Expiry::On("2026-12-31".parse().unwrap()), "2026-03-03T18:30:00Z", "2027-01-01T05:00:00Z"),
        ] {
            assert_eq!(
                expiry.of(at(earned), chrono_tz::America::New_York),
                Some(at(gone)),
                "{expiry:?} {earned}"
            );
        }
        assert_eq!(Expiry::Never.of(at("2026-03-03T18:30:00Z"), Tz::UTC), None);
        let unused = Expiry::Inactivity(months(6)).of_unused(at("2026-03-03T18:30:00Z"), Tz::UTC);
        assert_eq!(unused, Some(at("2026-09-04T00:00:00Z")));
    }

    #[test]
    fn what_a_daily_guest_earned_is_gone_on_its_own_day_wherever_that_is_allowed() {
        let longest = ["398 days", "13 months", "10 years, end of month", "10 years, end of year"];
        for (text, days) in longest.map(|text| (text, 1_000)) {
            let expiry: Expiry = text.parse().unwrap();
            assert!(expiry.keeps_lots_apart(), "{text}");
            let mut wallet = Wallet::default();
            let (mut earned, mut gone) = (0, 0);
            for n in 0..days {
                let now = at("2027-03-03T12:00:00Z") + chrono::Duration::days(n);
                gone += wallet.expire(now).0;
                wallet.credit(Points(1), expiry.of(now, Tz::UTC)).unwrap();
                earned += 1;
                let due = (0..=n).filter(|n| {
                    let was = at("2027-03-03T12:00:00Z") + chrono::Duration::days(*n);
                    expiry.of(was, Tz::UTC).is_some_and(|end| end <= now)
                });
                if n % 97 == 0 || n == days - 1 {
                    assert_eq!(gone, due.count() as i64, "{text} after {earned} days");
                }
            }
        }
        for text in ["399 days", "14 months", "2 years", "2 years, end of day"] {
            assert!(!text.parse::<Expiry>().unwrap().keeps_lots_apart(), "{text}");
        }
    }

    #[test]
    fn a_day_whose_midnight_does_not_exist_begins_when_clocks_are_set() {
        // In Santiago the 6th of September 2026 begins at one o'clock.
        let day = "2026-09-06".parse().unwrap();
        assert_eq!(start_of(day, chrono_tz::America::Santiago), Some(at("2026-09-06T04:00:00Z")));
    }

    #[test]
    fn a_fraction_becomes_what_the_wallet_says() {
        for (rounding, cases) in [
            (Rounding::Down, [("2.5", 2), ("3.5", 3), ("2.51", 2), ("0.999", 0), ("-2.5", -2), ("2", 2)]),
            (Rounding::Up, [("2.5", 3), ("3.5", 4), ("2.01", 3), ("0.001", 1), ("-2.5", -3), ("2", 2)]),
            (Rounding::HalfUp, [("2.5", 3), ("3.5", 4), ("2.49", 2), ("0.5", 1), ("-2.5", -3), ("2", 2)]),
            (Rounding::HalfEven, [("2.5", 2), ("3.5", 4), ("2.51", 3), ("0.5", 0), ("-2.5", -2), ("2", 2)]),
        ] {
            for (amount, whole) in cases {
                assert_eq!(
                    rounding.whole(amount.parse().unwrap()),
                    Some(Points(whole)),
                    "{rounding:?} {amount}"
                );
            }
        }
        assert_eq!(Rounding::Up.whole(Decimal::MAX), None);
        assert_eq!(Rounding::Up.whole("999999999999.5".parse().unwrap()), Some(Points(Points::LIMIT)));
        assert_eq!(Rounding::Up.whole("1000000000000.5".parse().unwrap()), None);
    }

    #[test]
    fn a_span_is_a_number_of_days_months_or_years_and_ends_within_ten_years() {
        for (text, span) in [
            ("1 day", Ok(Span::Days(1))),
            ("3660 days", Ok(Span::Days(3_660))),
            ("3661 days", Err(())),
            ("1 month", Ok(Span::Months(1))),
            ("120 months", Ok(Span::Months(120))),
            ("121 months", Err(())),
            ("1 year", Ok(Span::Months(12))),
            ("10 years", Ok(Span::Months(120))),
            ("11 years", Err(())),
            ("0 days", Err(())),
            ("0 years", Err(())),
            ("2 weeks", Err(())),
            ("days", Err(())),
        ] {
            assert_eq!(text.parse(), span, "{text}");
        }
    }
}
