//! What hanging endpoints change: runs with them and with others in their place, by turns, so that whatever else the
//! machine does falls on both.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cli::Failure;
use crate::cli::out::thousands;

use super::Bench;
use super::others::Others;
use super::report::{Latencies, Report};
use super::run::run as run_once;
use super::sender::histogram;

/// With what the hanging ones are compared.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Compare {
    /// Run by turns with the hanging ones and with the same ones as they are then, and compare
    #[arg(long = "compare", value_name = "WITH", value_enum, requires = "hanging")]
    pub(super) with: Option<Others>,
    /// How many runs of both kinds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000), requires = "with")]
    pub(super) rounds: u32,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    hanging: u32,
    compared_with: Others,
    /// Of all runs together, from order to arrival.
    hanging_latency: Latencies,
    compared_latency: Latencies,
    /// How many times as long the p99 is beside those that hang.
    p99_ratio: f64,
    rounds: Vec<Round>,
}

/// A run of each kind.
#[derive(Debug, Serialize)]
struct Round {
    p99_ratio: f64,
    hanging: Report,
    compared: Report,
}

/// Runs it. Whoever goes second in a round goes first in the next.
///
/// # Errors
/// Why it could not be run to its end, for people.
pub(super) fn run(bench: &Bench, with: Others) -> Result<Comparison, Failure> {
    let rounds = (0..bench.compare.rounds).map(|n| {
        let (hanging, compared);
        if n % 2 == 0 {
            hanging = run_once(bench, Others::Hanging)?;
            compared = run_once(bench, with)?;
        } else {
            compared = run_once(bench, with)?;
            hanging = run_once(bench, Others::Hanging)?;
        }
        Ok(Round::of(hanging, compared))
    });
    Ok(Comparison::of(bench.beside.hanging, with, rounds.collect::<Result<_, Failure>>()?))
}

impl Round {
    fn of(hanging: Report, compared: Report) -> Self {
        let p99_ratio = hanging.arrival_latency.p99_over(compared.arrival_latency);
        Self { p99_ratio, hanging, compared }
    }
}

impl Comparison {
    fn of(hanging: u32, compared_with: Others, rounds: Vec<Round>) -> Self {
        let hanging_latency = together(rounds.iter().map(|round| &round.hanging.arrivals));
        let compared_latency = together(rounds.iter().map(|round| &round.compared.arrivals));
        let p99_ratio = hanging_latency.p99_over(compared_latency);
        Self { hanging, compared_with, hanging_latency, compared_latency, p99_ratio, rounds }
    }

    fn reports(&self) -> impl Iterator<Item = &Report> {
        self.rounds.iter().flat_map(|round| [&round.hanging, &round.compared])
    }

    /// The table for people.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<12}  {value}");
        };
        if let Some(first) = self.reports().next() {
            row("load", first.load());
        }
        let (count, rounds) = (self.hanging, self.rounds.len());
        let with = match self.compared_with {
            Others::Hanging => "hanging, too",
            Others::Answering => "answering",
            Others::Disabled => "disabled",
            Others::None => "not there",
        };
        row("beside it", format!("{count} that hang, or are {with}; {rounds} rounds"));
        row("hanging", format!("{}   (from order to arrival)", self.hanging_latency.to_text()));
        row(with, self.compared_latency.to_text());
        let ratios = || self.rounds.iter().map(|round| round.p99_ratio);
        let (least, most) = (ratios().fold(f64::INFINITY, f64::min), ratios().fold(0.0, f64::max));
        row(
            "p99",
            format!("× {:.2} beside those that hang; {least:.2} to {most:.2} by round", self.p99_ratio),
        );
        let sum = |count: fn(&Report) -> u64| thousands(self.reports().map(count).sum());
        row(
            "reconciled",
            format!(
                "{} expected, {} arrived, lost {}, duplicated {}",
                sum(|run| run.expected),
                sum(|run| run.arrived),
                sum(|run| run.lost),
                sum(|run| run.duplicated)
            ),
        );
        text
    }

    /// Whether any run shows that a promise was broken.
    ///
    /// # Errors
    /// Says which.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        self.reports().try_for_each(Report::verdict)
    }
}

fn together<'a>(runs: impl Iterator<Item = &'a Histogram<u64>>) -> Latencies {
    let mut all = histogram();
    for run in runs {
        all.add(run).unwrap_or_else(|_| unreachable!("all have the same bounds"));
    }
    Latencies::of(&all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: u64, count: u64) -> Histogram<u64> {
        let mut histogram = histogram();
        histogram.record_n(micros, count).unwrap();
        histogram
    }

    #[test]
    fn the_p99_of_runs_together_is_that_of_all_they_saw() {
        let (short, long) = (of(1_000, 10_000), of(4_000, 150));
        let p99_over_short =
            |runs: &[&Histogram<u64>]| together(runs.iter().copied()).p99_over(Latencies::of(&short)).round();
        assert_eq!(p99_over_short(&[&short]), 1.0);
        assert_eq!(p99_over_short(&[&short, &long]), 4.0, "though most of the runs say 1");
        assert_eq!(p99_over_short(&[&short, &short, &long]), 1.0);
        assert_eq!(Latencies::default().p99_over(Latencies::default()), 0.0, "nothing was measured");
    }
}
