//! How well a model foretells what it has not seen.

use chrono::NaiveDate;
use libm::log;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observations::Observations;
use super::parameters::{Parameters, Refusal};
use super::summary::{Summary, Tally};
use super::{Probability, significant};

/// Into how many groups of members the reliability table is cut.
const GROUPS: u64 = 10;
/// A probability of 0 or 1 that turns out wrong is infinitely bad news; it is read as this close to it.
const SUREST: f64 = 1e-12;

/// What is known of a model's worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    /// How a model fitted on the time before the last horizon did in that horizon.
    ReportCard(ReportCard),
    /// There is none: that time taught too little for a model.
    Unknown(Refusal),
}

impl Calibration {
    /// Fits a model to what was seen until the last horizon began, and judges it by what followed.
    pub fn of(observed: &Observations) -> Self {
        match Parameters::fit(observed.until_horizon()) {
            Err(why) => Self::Unknown(why),
            Ok(fit) => {
                let foretell = |member| fit.parameters.no_visit_within(observed.horizon_days(), member);
                Self::ReportCard(ReportCard::of(observed, foretell))
            }
        }
    }
}

/// What was foretold about staying away, compared with who did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportCard {
    /// The last day the model knew of.
    pub calibration_end: NaiveDate,
    /// How many members it was asked about.
    pub members: u64,
    /// The share of them who stayed away for the whole horizon.
    pub base_rate: f64,
    /// The mean square of what was foretold less what happened (1 stayed away, 0 came). Saying `base_rate` of everybody
    /// would get `base_rate · (1 − base_rate)`; less is better.
    pub brier: f64,
    /// The mean of −ln of the probability given to what happened. Less is better.
    pub log_loss: f64,
    /// How often one who stayed away was thought likelier to than one who came: 0.5 is chance, 1 is always. `None` when
    /// all did the same.
    pub auc: Option<f64>,
    /// The members in ten groups, from those thought likeliest to come to those thought likeliest to stay away. Members
    /// of whom the same was foretold stay together, so groups differ in size and may be fewer.
    pub reliability: Vec<Decile>,
}

/// A tenth of the members, by what was foretold of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decile {
    /// The mean probability of staying away that was foretold.
    pub predicted: f64,
    /// The share who stayed away. In a calibrated model it is about the same.
    pub observed: f64,
    /// How many members.
    pub members: u64,
}

/// Members of whom the same was foretold.
#[derive(Debug, Clone, Copy)]
struct Alike {
    predicted: f64,
    stayed_away: f64,
    members: f64,
}

impl ReportCard {
    /// Compares what `foretell` says of each member, as they were before the last horizon, with what they did in it.
    pub fn of(observed: &Observations, foretell: impl Fn(Summary) -> Probability) -> Self {
        let groups = alike(observed.until_horizon(), observed.stayed_away(), foretell);
        let members: f64 = groups.iter().map(|group| group.members).sum();
        let mean = |of: fn(&Alike) -> f64| significant(groups.iter().map(of).sum::<f64>() / members.max(1.0));
        Self {
            calibration_end: observed.calibration_end(),
            members: observed.until_horizon().members(),
            base_rate: mean(|group| group.stayed_away),
            brier: mean(Alike::squares),
            log_loss: mean(Alike::surprise),
            auc: auc(&groups).map(significant),
            reliability: reliability(&groups),
        }
    }
}

impl Alike {
    fn squares(&self) -> f64 {
        let Self { predicted, stayed_away, members } = *self;
        stayed_away * (1.0 - predicted) * (1.0 - predicted) + (members - stayed_away) * predicted * predicted
    }

    fn surprise(&self) -> f64 {
        let predicted = self.predicted.clamp(SUREST, 1.0 - SUREST);
        -self.stayed_away * log(predicted) - (self.members - self.stayed_away) * log(1.0 - predicted)
    }

    fn sum(groups: &[Self]) -> Self {
        let none = Self { predicted: 0.0, stayed_away: 0.0, members: 0.0 };
        let sum = groups.iter().fold(none, |sum, group| Self {
            predicted: sum.predicted + group.predicted * group.members,
            stayed_away: sum.stayed_away + group.stayed_away,
            members: sum.members + group.members,
        });
        Self { predicted: sum.predicted / sum.members.max(1.0), ..sum }
    }
}

/// The members by what is foretold of them, least first.
fn alike(members: &Tally, stayed_away: &Tally, foretell: impl Fn(Summary) -> Probability) -> Vec<Alike> {
    let mut each: Vec<_> = members
        .iter()
        .map(|(summary, count)| Alike {
            predicted: foretell(summary).get(),
            stayed_away: stayed_away.count(summary).into(),
            members: count.into(),
        })
        .collect();
    each.sort_by(|a, b| a.predicted.total_cmp(&b.predicted));
    each.chunk_by(|a, b| a.predicted == b.predicted)
        .map(|same| Alike { predicted: same[0].predicted, ..Alike::sum(same) })
        .collect()
}

/// The share of pairs, one who stayed away and one who came, that are in the right order; a tie is half right.
fn auc(groups: &[Alike]) -> Option<f64> {
    let (mut came, mut right) = (0.0, 0.0);
    for group in groups {
        let came_here = group.members - group.stayed_away;
        right += group.stayed_away * (came + came_here / 2.0);
        came += came_here;
    }
    let pairs = came * Alike::sum(groups).stayed_away;
    (pairs > 0.0).then(|| right / pairs)
}

/// Each group goes to the tenth in which the middle one of its members is.
fn reliability(groups: &[Alike]) -> Vec<Decile> {
    let total: f64 = groups.iter().map(|group| group.members).sum();
    let mut before = 0.0;
    let tenths: Vec<_> = groups
        .iter()
        .map(|group| {
            let middle = before + group.members / 2.0;
            before += group.members;
            ((middle / total * GROUPS as f64) as u64, *group)
        })
        .collect();
    tenths
        .chunk_by(|(a, _), (b, _)| a == b)
        .map(|tenth| {
            let sum = Alike::sum(&tenth.iter().map(|(_, group)| *group).collect::<Vec<_>>());
            Decile {
                predicted: significant(sum.predicted),
                observed: significant(sum.stayed_away / sum.members),
                members: sum.members as u64,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// Four members, one of each number of visits before the horizon, of whom the second and the last came in it.
    fn observed() -> Observations {
        let mut observed = Observations::new(day("2026-03-31"), NonZeroU16::new(30).unwrap());
        let before = ["2026-01-01", "2026-01-08", "2026-01-15", "2026-03-01"].map(day);
        for visits in 1..=4 {
            let mut days: Vec<_> = before[..visits].to_vec();
            days.extend((visits % 2 == 0).then(|| day("2026-03-02")));
            observed.add_days(&days.into_iter().collect());
        }
        observed.add_days(&[day("2026-03-20")].into()); // not known yet when the horizon began
        observed
    }

    fn card(foretell: [f64; 4]) -> ReportCard {
        ReportCard::of(&observed(), |member| Probability::new(foretell[usize::from(member.repeats())]))
    }

    #[test]
    fn a_report_card_compares_what_was_foretold_with_what_happened() {
        let card = card([0.9, 0.8, 0.6, 0.1]); // stayed away, came, stayed away, came
        assert_eq!((card.members, card.base_rate, card.calibration_end), (4, 0.5, day("2026-03-01")));
        assert_eq!(card.brier, significant((0.01 + 0.64 + 0.16 + 0.01) / 4.0));
        assert_eq!(card.log_loss, significant(-(0.9_f64 * 0.2 * 0.6 * 0.9).ln() / 4.0));
        assert_eq!(card.auc, Some(0.75));
        let table: Vec<_> = card.reliability.iter().map(|d| (d.predicted, d.observed, d.members)).collect();
        assert_eq!(table, [(0.1, 0.0, 1), (0.6, 1.0, 1), (0.8, 0.0, 1), (0.9, 1.0, 1)]);
    }

    #[test]
    fn saying_the_same_of_everybody_is_chance_and_one_group() {
        let card = card([0.5; 4]);
        assert_eq!((card.auc, card.brier), (Some(0.5), 0.25));
        assert_eq!(card.reliability, [Decile { predicted: 0.5, observed: 0.5, members: 4 }]);
    }

    #[test]
    fn certainty_that_turns_out_wrong_costs_much_and_is_still_a_number() {
        let card = card([0.0, 1.0, 0.0, 1.0]);
        assert_eq!((card.auc, card.brier), (Some(0.0), 1.0));
        assert!(card.log_loss > 20.0 && card.log_loss.is_finite());
    }

    #[test]
    fn nobody_to_ask_about_gives_a_report_card_of_nobody() {
        let nobody = Observations::new(day("2026-03-31"), NonZeroU16::MIN);
        let card = ReportCard::of(&nobody, |_| Probability::new(0.5));
        assert_eq!((card.members, card.auc, card.reliability.len()), (0, None, 0));
        assert_eq!((card.brier, card.base_rate), (0.0, 0.0));
    }

    #[test]
    fn the_table_has_ten_groups_of_about_a_tenth_each() {
        let mut observed = Observations::new(day("2026-12-31"), NonZeroU16::new(30).unwrap());
        for number in 0..200 {
            let first = day("2026-01-01") + chrono::Days::new(number);
            observed.add_days(&[first].into());
        }
        let foretell = |member: Summary| Probability::new(member.observed_weeks() / 100.0);
        let card = ReportCard::of(&observed, foretell);
        assert_eq!(card.reliability.iter().map(|decile| decile.members).collect::<Vec<_>>(), [20; 10]);
        assert!(card.reliability.is_sorted_by(|a, b| a.predicted < b.predicted));
    }
}
