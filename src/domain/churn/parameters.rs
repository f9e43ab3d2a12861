//! The model itself: MBG/NBD, its likelihood, and what it says of one member.
//!
//! A guest comes at a rate λ of their own and, after each visit, the first included, never returns with a probability p
//! of their own. Over a chain's guests λ is gamma distributed (shape r, rate α, in weeks) and p is beta distributed (a, b).
//!
//! The likelihood is written so that nothing cancels however large or small the parameters are. The gamma functions in
//! it occur only as ratios whose arguments differ by whole numbers, which are sums of logarithms, so that one pass over
//! 0, 1, 2, … visits gives them for every member at once. Likewise time comes in whole days: each needs one logarithm.

use std::num::NonZeroU16;

use chrono::NaiveDate;
use libm::{exp, log, log1p};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::minimise::{Vector, minimise};
use super::summary::{Summary, Tally, weeks};
use super::{Probability, significant};

/// The parameters of a chain's guests. All are positive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Unchecked")]
pub struct Parameters {
    r: f64,
    alpha: f64,
    a: f64,
    b: f64,
}

#[derive(Deserialize, JsonSchema)]
struct Unchecked {
    r: f64,
    alpha: f64,
    a: f64,
    b: f64,
}

/// Why four numbers are not the parameters of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("r, alpha, a and b must be positive numbers")]
pub struct NotPositive;

impl TryFrom<Unchecked> for Parameters {
    type Error = NotPositive;
    fn try_from(Unchecked { r, alpha, a, b }: Unchecked) -> Result<Self, NotPositive> {
        Self::new(r, alpha, a, b)
    }
}

/// Why a chain has no model of its own. To say nothing is better than to guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Fewer members than [`Parameters::MIN_MEMBERS`].
    #[error("{members} members had come; at least {needed} are needed", needed = Parameters::MIN_MEMBERS)]
    TooFewMembers {
        /// How many there are.
        members: u64,
    },
    /// Fewer members who came again than [`Parameters::MIN_RETURNED`].
    #[error(
        "{returned} members had come again on another day; at least {needed} are needed",
        needed = Parameters::MIN_RETURNED
    )]
    TooFewReturned {
        /// How many there are.
        returned: u64,
    },
    /// No parameters are the most likely ones.
    #[error("the visits fitted many models equally well; more of them will decide")]
    Undecided,
}

impl Refusal {
    /// The whole sentence: today is not over, so what is looked at ends with a day before it.
    pub fn by_the_end_of(self, last: NaiveDate) -> String {
        format!("by the end of {last}, {self}")
    }

    /// The stable word for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooFewMembers { .. } => "too_few_members",
            Self::TooFewReturned { .. } => "too_few_returned",
            Self::Undecided => "model_undecided",
        }
    }
}

/// The parameters under which what was observed is most likely.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// The parameters.
    pub parameters: Parameters,
    /// The natural logarithm of the likelihood.
    pub log_likelihood: f64,
}

impl Parameters {
    /// The fewest members to learn four numbers from.
    pub const MIN_MEMBERS: u64 = 200;
    /// The fewest members who came again: only they say how often guests come.
    pub const MIN_RETURNED: u64 = 50;

    /// Given ones.
    ///
    /// # Errors
    /// When one of them is not a positive, finite number.
    pub fn new(r: f64, alpha: f64, a: f64, b: f64) -> Result<Self, NotPositive> {
        let all_positive = [r, alpha, a, b].iter().all(|value| value.is_finite() && *value > 0.0);
        if all_positive { Ok(Self { r, alpha, a, b }) } else { Err(NotPositive) }
    }

    /// Those under which what the members did is most likely. The same members give the same bytes, in whatever order
    /// they were added.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn fit(members: &Tally) -> Result<Fit, Refusal> {
        let (count, returned) = (members.members(), members.returned());
        if count < Self::MIN_MEMBERS {
            return Err(Refusal::TooFewMembers { members: count });
        }
        if returned < Self::MIN_RETURNED {
            return Err(Refusal::TooFewReturned { returned });
        }
        // Per member, so that the steepness does not depend on how many there are.
        let share = -1.0 / count as f64;
        let best = minimise([0.0; 4], |logs| {
            let (value, slope) = Self::from_logs(logs).log_likelihood(members);
            (value * share, slope.map(|slope| slope * share))
        });
        let parameters = Self::from_logs(&best.ok_or(Refusal::Undecided)?);
        let [r, alpha, a, b] = parameters.each().map(significant);
        let parameters = Self::new(r, alpha, a, b).map_err(|NotPositive| Refusal::Undecided)?;
        let (log_likelihood, _) = parameters.log_likelihood(members);
        Ok(Fit { parameters, log_likelihood: significant(log_likelihood) })
    }

    /// r, α, a and b.
    pub const fn each(&self) -> [f64; 4] {
        [self.r, self.alpha, self.a, self.b]
    }

    fn from_logs(logs: &Vector) -> Self {
        let [r, alpha, a, b] = logs.map(exp);
        Self { r, alpha, a, b }
    }

    /// How likely a member has not left for good.
    pub fn p_alive(&self, member: Summary) -> Probability {
        Probability::new(logistic(-self.log_odds_of_having_left(member)))
    }

    /// How likely a member does not come in so many days from the end of the observation on: they have left, or they
    /// have not and happen to stay away.
    pub fn no_visit_within(&self, days: NonZeroU16, member: Summary) -> Probability {
        let alive = self.p_alive(member).get();
        let visits = self.r + f64::from(member.repeats());
        let stays_away = exp(-visits * log1p(weeks(days.get()) / (self.alpha + member.observed_weeks())));
        Probability::new((1.0 - alive) + alive * stays_away)
    }

    /// ln( a/(b+x) · ((α+T)/(α+t_x))^(r+x) )
    fn log_odds_of_having_left(&self, member: Summary) -> f64 {
        let x = f64::from(member.repeats());
        let silence = member.observed_weeks() - member.last_week();
        log(self.a) - log(self.b + x) + (self.r + x) * log1p(silence / (self.alpha + member.last_week()))
    }

    /// The log-likelihood of what the members did, and its derivatives by the logarithms of r, α, a and b.
    fn log_likelihood(&self, members: &Tally) -> (f64, Vector) {
        let longest = members.iter().map(|(member, _)| member.observed_days()).max().unwrap_or(0);
        let most = members.iter().map(|(member, _)| member.repeats()).max().unwrap_or(0);
        let times: Vec<_> = (0..=longest).map(|day| Time::of(day, self)).collect();
        let repeats: Vec<_> = Repeats::up_to(most, self).collect();

        let (mut value, mut slope) = (0.0, [0.0; 4]);
        for (member, count) in members.iter() {
            let time = |day: u16| &times[usize::from(day)];
            let repeats = &repeats[usize::from(member.repeats())];
            let one = self.contribution(repeats, time(member.last_day()), time(member.observed_days()));
            let count = f64::from(count);
            value += count * one.0;
            slope = std::array::from_fn(|i| slope[i] + count * one.1[i]);
        }
        let by_logs = self.each();
        (value, std::array::from_fn(|i| slope[i] * by_logs[i]))
    }

    /// One member's part in it, with the derivatives by r, α, a and b themselves.
    fn contribution(&self, repeats: &Repeats, last: &Time, end: &Time) -> (f64, Vector) {
        let visits = self.r + repeats.x;
        let silence = end.log - last.log;
        let odds = repeats.log_odds + visits * silence;
        let (left, unsure) = (logistic(odds), log1p(exp(-odds.abs())) + odds.max(0.0));
        let value = repeats.log_likelihood - visits * end.log + unsure;
        let slope = [
            repeats.by_r - end.log + left * silence,
            repeats.by_alpha + visits * (end.pull - left * (end.pull - last.pull)),
            repeats.by_a + left / self.a,
            repeats.by_b - left / (self.b + repeats.x),
        ];
        (value, slope)
    }
}

/// What one day of the observation contributes.
struct Time {
    /// ln(1 + weeks/α)
    log: f64,
    /// The derivative of −`log` by α.
    pull: f64,
}

impl Time {
    fn of(day: u16, Parameters { alpha, .. }: &Parameters) -> Self {
        let weeks = weeks(day);
        Self { log: log1p(weeks / alpha), pull: weeks / (alpha * (alpha + weeks)) }
    }
}

/// What a number of repeat visits contributes, whenever they were.
struct Repeats {
    /// The number.
    x: f64,
    /// lnΓ(r+x) − lnΓ(r) − x·ln α + lnB(a, b+x+1) − lnB(a, b)
    log_likelihood: f64,
    /// ln a − ln(b+x)
    log_odds: f64,
    by_r: f64,
    by_alpha: f64,
    by_a: f64,
    by_b: f64,
}

impl Repeats {
    /// Each number from 0 on, every one from the one before.
    fn up_to(most: u16, &Parameters { r, alpha, a, b }: &Parameters) -> impl Iterator<Item = Self> {
        let (mut log_likelihood, mut by_r, mut by_a, mut by_b) = (0.0, 0.0, 0.0, 0.0);
        (0..=most).map(move |x| {
            let x = f64::from(x);
            if x > 0.0 {
                log_likelihood += log((r + x - 1.0) / alpha);
                by_r += 1.0 / (r + x - 1.0);
            }
            // After each visit, the first included, the guest stayed, or may have.
            log_likelihood -= log1p(a / (b + x));
            by_a -= 1.0 / (a + b + x);
            by_b += a / ((b + x) * (a + b + x));
            Self { x, log_likelihood, log_odds: log(a) - log(b + x), by_r, by_alpha: -x / alpha, by_a, by_b }
        })
    }
}

/// 1 / (1 + e^−x)
fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use chrono::{Days, NaiveDate};
    use libm::lgamma;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::visited::VisitedDays;

    const ROUNDING: f64 = 1e-12;

    fn member(repeats: u16, last: u16, observed: u16) -> Summary {
        let after = |days: u16| NaiveDate::default() + Days::new(days.into());
        let visited = VisitedDays { first: after(0), last: after(last), count: 1 + u32::from(repeats) };
        Summary::of(visited, after(observed))
    }

    /// The log-likelihood letter by letter as it is printed.
    fn printed(&Parameters { r, alpha, a, b }: &Parameters, members: &Tally) -> f64 {
        let ln_beta = |a: f64, b: f64| lgamma(a) + lgamma(b) - lgamma(a + b);
        let one = |member: Summary| {
            let (x, last, end) = (f64::from(member.repeats()), member.last_week(), member.observed_weeks());
            let power = |base: f64| exp(-(r + x) * log(base));
            lgamma(r + x) - lgamma(r) + r * log(alpha) + ln_beta(a, b + x + 1.0) - ln_beta(a, b)
                + log(power(alpha + end) + a / (b + x) * power(alpha + last))
        };
        members.iter().map(|(member, count)| f64::from(count) * one(member)).sum()
    }

    fn parameters() -> impl Strategy<Value = Parameters> {
        (0.1..20.0, 0.1..50.0, 0.1..20.0, 0.1..20.0)
            .prop_map(|(r, alpha, a, b)| Parameters::new(r, alpha, a, b).unwrap())
    }

    /// Down to where floats end.
    fn extreme_parameters() -> impl Strategy<Value = Parameters> {
        let any_size =
            || prop_oneof![-20.0..20.0, Just(-700.0), Just(700.0)].prop_map(|power: f64| exp(power));
        (any_size(), any_size(), any_size(), any_size())
            .prop_map(|(r, alpha, a, b)| Parameters::new(r, alpha, a, b).unwrap())
    }

    fn summaries() -> impl Strategy<Value = Summary> {
        let days = prop_oneof![0..800_u16, Just(0), Just(u16::MAX)];
        [days.clone(), days.clone(), days].prop_map(|mut days| {
            days.sort_unstable();
            member(days[0], days[1], days[2])
        })
    }

    proptest! {
        #[test]
        fn the_likelihood_is_the_one_in_print(
            parameters in parameters(),
            members in prop::collection::vec((0..60_u16, 60..300_u16, 300..700_u16), 1..20),
        ) {
            let members: Tally = members.into_iter().map(|(x, last, end)| member(x, last, end)).collect();
            let (found, printed) = (parameters.log_likelihood(&members).0, printed(&parameters, &members));
            prop_assert!((found - printed).abs() < 1e-9 * printed.abs().max(1.0), "{found} {printed}");
        }

        #[test]
        fn the_slope_is_how_fast_the_likelihood_changes(
            parameters in parameters(),
            members in prop::collection::vec((0..60_u16, 60..300_u16, 300..700_u16), 1..20),
        ) {
            let members: Tally = members.into_iter().map(|(x, last, end)| member(x, last, end)).collect();
            let slope = parameters.log_likelihood(&members).1;
            for (at, slope) in slope.into_iter().enumerate() {
                let moved = |by: f64| {
                    let mut logs = parameters.each().map(log);
                    logs[at] += by;
                    Parameters::from_logs(&logs).log_likelihood(&members).0
                };
                let measured = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                prop_assert!((slope - measured).abs() < 1e-4 * slope.abs().max(10.0), "{slope} {measured}");
            }
        }

        #[test]
        fn what_is_foretold_is_a_probability_whatever_was_seen(
            parameters in extreme_parameters(),
            member in summaries(),
            days in 1..=u16::MAX,
        ) {
            let days = NonZeroU16::new(days).unwrap();
            for foretold in [parameters.p_alive(member), parameters.no_visit_within(days, member)] {
                prop_assert!((0.0..=1.0).contains(&foretold.get()), "{foretold:?}");
            }
            // Probability hides what is no number; there must be nothing to hide.
            prop_assert!(!parameters.log_odds_of_having_left(member).is_nan());
        }

        #[test]
        fn who_was_here_more_lately_is_likelier_to_come(
            parameters in parameters(),
            (x, last, end) in (0..60_u16, 60..300_u16, 300..700_u16),
            days in 1..400_u16,
        ) {
            let days = NonZeroU16::new(days).unwrap();
            let stays_away = |last| parameters.no_visit_within(days, member(x, last, end));
            prop_assert!(stays_away(last + 1).get() <= stays_away(last).get() + ROUNDING);
            prop_assert!(x == 0 || stays_away(end).get() < stays_away(last).get());
        }

        #[test]
        fn the_shorter_the_horizon_the_likelier_nobody_comes(
            parameters in parameters(),
            member in summaries(),
            days in 1..400_u16,
        ) {
            let stays_away = |days| parameters.no_visit_within(NonZeroU16::new(days).unwrap(), member);
            prop_assert!(stays_away(days).get() >= stays_away(days + 1).get() - ROUNDING);
            prop_assert!(stays_away(days).get() >= 1.0 - parameters.p_alive(member).get());
        }
    }

    #[test]
    fn parameters_are_positive_numbers() {
        assert!(Parameters::new(0.5, 6.0, 0.9, 1.6).is_ok());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Parameters::new(0.5, 6.0, bad, 1.6), Err(NotPositive));
        }
    }

    #[test]
    fn foretelling_follows_the_formulas() {
        let parameters = Parameters::new(0.5, 6.0, 0.9, 1.6).unwrap();
        let member = member(2, 70, 140); // 10 and 20 weeks
        let odds = 0.9 / 3.6 * (26.0_f64 / 16.0).powf(2.5);
        let alive = 1.0 / (1.0 + odds);
        let away = 1.0 - alive + alive * (26.0_f64 / 36.0).powf(2.5);
        assert!((parameters.p_alive(member).get() - alive).abs() < 1e-12);
        let foretold = parameters.no_visit_within(NonZeroU16::new(70).unwrap(), member);
        assert!((foretold.get() - away).abs() < 1e-12);
        assert_eq!(foretold.to_decimal().to_string(), format!("{away:.4}"));
    }
}
