//! A report as text for people, and as rows of a table.

use std::fmt::Write as _;

use crate::domain::Timestamp;
use crate::domain::json::to_json;
use crate::domain::text::Name;

use super::report::{Change, Line, Report, hex};
use crate::rules::report::counted;

/// The first row of the table of members.
const CSV_HEAD: &str = "member,known_as,wallet,points_baseline,points_candidate,points_difference,tier_baseline,tier_candidate,\
     coupons_baseline,coupons_candidate\n";

/// How all members for whom anything differs are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// As rows, the head first.
    Csv,
    /// As JSON, one a line.
    Ndjson,
}

impl Table {
    /// What comes before all members.
    pub const fn head(self) -> &'static str {
        match self {
            Self::Csv => CSV_HEAD,
            Self::Ndjson => "",
        }
    }

    /// One member.
    pub fn member(self, line: &Line) -> String {
        match self {
            Self::Csv => line.to_csv(),
            Self::Ndjson => line.to_ndjson(),
        }
    }
}

impl Line {
    /// As rows of a table: one for each wallet that differs, or one without a wallet.
    pub(super) fn to_csv(&self) -> String {
        let mut rows = String::new();
        let tier = |tier: &Option<Name>| tier.as_ref().map_or_else(String::new, |tier| quoted(tier));
        let (was, is) = (tier(&self.tier.0), tier(&self.tier.1));
        let Change { baseline, candidate, .. } = self.coupons;
        let mut row = |wallet: &str, points: &str| {
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(
                rows,
                "{},{},{wallet},{points},{was},{is},{baseline},{candidate}",
                self.member,
                quoted(&self.known_as)
            );
        };
        for (wallet, change) in &self.points {
            let points = format!("{},{},{}", change.baseline, change.candidate, change.difference);
            row(&quoted(wallet), &points);
        }
        if self.points.is_empty() {
            row("", ",,");
        }
        rows
    }

    /// As a line of JSON.
    fn to_ndjson(&self) -> String {
        to_json(self) + "\n"
    }

    fn in_words(&self) -> String {
        let points = self.points.iter().map(|(wallet, change)| {
            format!("{:+} {wallet} ({} instead of {})", change.difference, change.candidate, change.baseline)
        });
        let mut words: Vec<_> = points.collect();
        let (was, is) = &self.tier;
        if was != is {
            let tier =
                |tier: &Option<Name>| tier.as_ref().map_or_else(|| "no tier".to_owned(), Name::to_string);
            words.push(format!("{} instead of {}", tier(is), tier(was)));
        }
        if self.coupons.difference != 0 {
            words.push(format!("{:+} coupons", self.coupons.difference));
        }
        format!("  {:<24} {}\n", self.known_as, words.join(", "))
    }
}

/// A field of a table. What a spreadsheet would take for a formula is text.
fn quoted(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

impl Report {
    /// The report for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let since = self.since.map_or_else(|| "the beginning".to_owned(), in_short);
        let _ = writeln!(
            text,
            "{}: {} of {}, from {since} to {}\n",
            self.chain,
            counted(self.events, "event"),
            counted(self.members, "member"),
            in_short(self.until)
        );
        let _ = writeln!(text, "{:<34} {:>14} {:>14} {:>14}", "", "as it was", "candidate", "difference");
        let mut row = |what: &str, change: &Change| {
            let Change { baseline, candidate, difference } = change;
            let _ = writeln!(text, "{what:<34} {baseline:>14} {candidate:>14} {difference:>+14}");
        };
        for (wallet, change) in &self.points_issued {
            row(&format!("issued: {wallet}"), change);
        }
        for (campaign, change) in &self.campaigns {
            row(&format!("given by campaign: {campaign}"), change);
        }
        for (wallet, change) in &self.liability {
            row(&format!("outstanding in the end: {wallet}"), change);
        }
        row("tier upgrades", &self.tier_upgrades);
        row("tier downgrades", &self.tier_downgrades);
        row("coupons given", &self.coupons);
        row("deliveries", &self.deliveries);
        let seldom = [
            ("rule failures", &self.failed),
            ("refused", &self.refused),
            ("guests not enrolled", &self.parked),
            ("referral rewards, only counted", &self.referral_rewards),
        ];
        for (what, change) in seldom.into_iter().filter(|(_, change)| **change != Change::default()) {
            row(what, change);
        }
        for (kind, change) in &self.loyalty_events {
            row(kind, change);
        }
        text.push_str(&self.members_in_words());
        text.push_str(&self.trust_in_words());
        text
    }

    fn members_in_words(&self) -> String {
        let Self { members_changed, members_with_more, members_with_less, .. } = self;
        if *members_changed == 0 {
            return "\nnothing differs for anybody\n".to_owned();
        }
        let mut text = format!(
            "\n{} changed: {members_with_more} with more points, {members_with_less} with fewer\n",
            counted(*members_changed, "member")
        );
        for (title, lines) in [("winners", &self.winners), ("losers", &self.losers)] {
            if !lines.is_empty() {
                let _ = writeln!(text, "largest {title}");
                lines.iter().for_each(|line| text.push_str(&line.in_words()));
            }
        }
        text
    }

    fn trust_in_words(&self) -> String {
        let mut text = String::from("\n");
        for (campaign, budget) in &self.budgets_run_out {
            let _ = writeln!(
                text,
                "campaign `{campaign}` would have run out of its budget of {budget}: here, each guest has it alone"
            );
        }
        if self.members_left_out > 0 {
            let _ = writeln!(
                text,
                "left out: {} of whom not everything is kept any more",
                counted(self.members_left_out, "member")
            );
        }
        match &self.self_check {
            Some(check) if check.differ == 0 => {
                let _ = writeln!(
                    text,
                    "self-check: the replay comes to what is stored, for {}",
                    match check.members {
                        1 => "the one member".to_owned(),
                        members => format!("all {members} members"),
                    }
                );
            }
            Some(check) => {
                let _ = writeln!(
                    text,
                    "self-check: for {} of {} the replay of what happened does not come to what is stored:",
                    check.differ,
                    counted(check.members, "member")
                );
                for odd in &check.examples {
                    let _ = writeln!(
                        text,
                        "  {:<24} {}: replayed {}, stored {}",
                        odd.member, odd.what, odd.replayed, odd.stored
                    );
                }
            }
            None => {}
        }
        let _ = writeln!(text, "state as it was:  {}", hex(&self.baseline_state));
        let _ = writeln!(text, "state, candidate: {}", hex(&self.candidate_state));
        text
    }
}

fn in_short(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
