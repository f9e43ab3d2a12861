//! The live summary: in place on a terminal, a line a second elsewhere.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::cli::out::{self, thousands};
use crate::cli::sample;

use super::tally::Counts;

const LINE_EVERY: Duration = Duration::from_secs(1);
/// A sentence longer than a line of the terminal would spoil the refresh in place.
const WIDTH: usize = 76;

/// Where the summary is shown.
#[derive(Debug)]
pub(super) struct Screen {
    begun: Instant,
    is_watched: bool,
    /// Lines of the last picture, to be drawn over.
    drawn: usize,
    last_line: Instant,
}

impl Screen {
    /// Opens the screen with its title.
    pub(super) fn new(authority: &str, begun: Instant) -> Self {
        out::line(format_args!(
            "punchcard demo: the engine is at http://{authority}, the chain is {}, Ctrl-C ends it\n",
            sample::CHAIN
        ));
        Self { begun, is_watched: out::is_watched(), drawn: 0, last_line: begun }
    }

    /// Shows the counts.
    pub(super) fn show(&mut self, counts: &Counts) {
        if self.is_watched {
            self.draw(counts);
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            out::line(format_args!("{:>3} s: {}", self.begun.elapsed().as_secs(), line(counts)));
        }
    }

    /// Shows the whole picture a last time, also to those who saw lines only.
    pub(super) fn finish(&mut self, counts: &Counts) {
        let before = if self.is_watched { self.erase() } else { "\n".to_owned() };
        out::text(&(before + picture(counts, Stage::Over).as_str()));
    }

    fn draw(&mut self, counts: &Counts) {
        let before = self.erase();
        let picture = picture(counts, Stage::Running);
        self.drawn = picture.matches('\n').count();
        out::text(&(before + picture.as_str()));
    }

    /// Goes up to the first line of the last picture and clears the terminal from there.
    fn erase(&self) -> String {
        match self.drawn {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Over,
}

fn line(counts: &Counts) -> String {
    format!(
        "{} orders, {} repeats recognised, {} points given, {} taken back, {} tier changes, {} webhooks verified, {} on \
         their way",
        thousands(counts.orders),
        thousands(counts.repeats),
        thousands(counts.points_given),
        thousands(counts.points_taken_back),
        thousands(counts.tiers_up + counts.tiers_down),
        thousands(counts.verified),
        thousands(counts.missing)
    )
}

fn picture(counts: &Counts, stage: Stage) -> String {
    let mut text = String::new();
    let mut row = |name: &str, count: u64, note: String| {
        // Writing to a String cannot fail.
        let line = format!("  {name:<20} {:>9}   {note}", thousands(count));
        let _ = writeln!(text, "{}", line.trim_end());
    };
    let guests = format!("{} guests, {} of them for the first time", counts.guests, counts.newcomers);
    row("orders in", counts.orders, guests);
    row("repeats recognised", counts.repeats, "sent twice by the till, awarded once".to_owned());
    if counts.missed_repeats > 0 {
        row("repeats missed", counts.missed_repeats, "this must not happen".to_owned());
    }
    let refunds = format!("{} in full, {} in part", counts.full_refunds, counts.partial_refunds);
    row("refunds", counts.full_refunds + counts.partial_refunds, refunds);
    row("kept for later", counts.kept, "orders without a name, to be claimed".to_owned());
    row("points given", counts.points_given, String::new());
    row("points taken back", counts.points_taken_back, "exactly what refunded orders had earned".to_owned());
    let tiers = format!("{} up, {} down", counts.tiers_up, counts.tiers_down);
    row("tier changes", counts.tiers_up + counts.tiers_down, tiers);
    if counts.refused > 0 {
        row("not accepted", counts.refused, "see below".to_owned());
    }
    row(
        "webhooks verified",
        counts.verified,
        format!("every signature checked, {} wrong", counts.wrongly_signed),
    );
    match stage {
        Stage::Running => row("on their way", counts.missing, String::new()),
        Stage::Over => row("lost", counts.missing, format!("of {} announced on receipts", counts.announced)),
    }
    let latest: String = counts.latest.chars().take(WIDTH).collect();
    let _ = writeln!(text, "\n  {latest}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_says_what_was_lost_only_when_it_is_over() {
        let counts = Counts { orders: 1_234, missing: 3, announced: 10, ..Counts::default() };
        assert!(picture(&counts, Stage::Running).contains("on their way"));
        let over = picture(&counts, Stage::Over);
        assert!(
            over.contains("lost") && over.contains("of 10 announced") && over.contains("1,234"),
            "{over}"
        );
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let counts = Counts { latest: "x".repeat(500), points_given: 123_456_789, ..Counts::default() };
        assert!(picture(&counts, Stage::Over).lines().all(|line| line.chars().count() <= 80));
    }
}
