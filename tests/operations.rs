//! What lies in `ops/` stands on what is served and written down: metrics that exist, runbooks that can be opened, settings
//! that the program knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

const METRICS: &str = include_str!("../docs/metrics.md");
const RUNBOOKS: &str = include_str!("../docs/operations.md");
const ALERTS: &str = include_str!("../ops/prometheus/alerts.yml");
const DASHBOARD: &str = include_str!("../ops/grafana/punchcard.json");
const DOCKERFILE: &str = include_str!("../ops/docker/Dockerfile");

/// The metrics of the page.
fn known() -> BTreeSet<&'static str> {
    METRICS.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

/// Whatever looks like one of our metrics in an expression.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("punchcard_") || word.starts_with("process_")).collect()
}

/// A sample's name without what a histogram adds to it.
fn family(sample: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|suffix| sample.strip_suffix(suffix)).unwrap_or(sample)
}

/// Metrics in an expression that nobody serves.
fn strange(text: &str) -> Vec<&str> {
    let known = known();
    named(text).into_iter().filter(|sample| !known.contains(family(sample))).collect()
}

/// How a heading is called in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().replace(' ', "-")
}

fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn alerts_ask_for_metrics_that_are_served() {
    for expression in ALERTS.lines().filter_map(|line| line.trim().strip_prefix("expr: ")) {
        // Whether anybody answers is a metric of whoever asks.
        assert!(!named(expression).is_empty() || expression.starts_with("up{"), "no metric in {expression}");
        assert_eq!(strange(expression), [""; 0], "{expression}");
    }
}

#[test]
fn each_alert_has_a_section_that_says_what_to_do_and_each_section_an_alert() {
    let field = |name| ALERTS.lines().filter_map(move |line| line.trim().strip_prefix(name).map(str::trim));
    let alerts: Vec<_> = field("- alert: ").collect();
    let runbooks: Vec<_> = field("runbook: docs/operations.md#").collect();
    assert!(alerts.len() > 10);
    assert_eq!(alerts.iter().map(|alert| anchor(alert)).collect::<Vec<_>>(), runbooks);
    let anchors = anchors(RUNBOOKS);
    let lost: Vec<_> = runbooks.iter().filter(|runbook| !anchors.contains(**runbook)).collect();
    assert!(lost.is_empty(), "no section {lost:?}");
    let sections: BTreeSet<_> = anchors.iter().filter(|anchor| anchor.starts_with("punchcard")).collect();
    assert_eq!(sections.len(), alerts.len(), "a section without an alert: {sections:?}");
}

#[test]
fn the_dashboard_shows_metrics_that_are_served() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{} twice", panel["id"]);
        assert!(panel["title"].as_str().is_some_and(|title| !title.is_empty()), "{panel}");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            assert!(!named(expression).is_empty(), "no metric in {expression}");
            assert_eq!(strange(expression), [""; 0], "{expression}");
        }
    }
    assert!(ids.len() > 10);
}

#[test]
fn a_metric_that_is_misspelt_would_be_found() {
    assert_eq!(strange("rate(punchcard_commit_second_bucket[5m])"), ["punchcard_commit_second_bucket"]);
    assert_eq!(strange("rate(punchcard_commit_seconds_bucket[5m])"), [""; 0]);
}

/// The variables of ours that a text names.
fn variables(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    words.filter(|word| word.starts_with("PUNCHCARD_")).collect()
}

#[test]
fn containers_and_units_set_what_the_program_reads() {
    let read = variables(include_str!("../docs/punchcard.toml"));
    for (name, file) in [
        ("Dockerfile", DOCKERFILE),
        ("compose.yml", include_str!("../ops/docker/compose.yml")),
        ("example.env", include_str!("../ops/docker/example.env")),
        ("punchcard.service", include_str!("../ops/systemd/punchcard.service")),
    ] {
        let set = variables(file);
        assert!(!set.is_empty(), "{name} sets nothing");
        let unknown: Vec<_> = set.difference(&read).collect();
        assert!(unknown.is_empty(), "{name} sets what nobody reads: {unknown:?}");
    }
}

#[test]
fn the_image_is_built_with_the_oldest_rust_that_will_do() {
    let image = format!("FROM rust:{}-", env!("CARGO_PKG_RUST_VERSION"));
    assert!(DOCKERFILE.contains(&image), "no {image}");
}

/// Links of the page into itself and into the repository.
#[test]
fn what_the_page_on_operations_links_to_is_there() {
    let anchors = anchors(RUNBOOKS);
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for link in RUNBOOKS.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let (file, anchor_of) = link.split_once('#').unwrap_or((link, ""));
        match file {
            "" => assert!(anchors.contains(anchor_of), "no section {link}"),
            web if web.contains("://") => {}
            file => {
                let text = fs::read_to_string(docs.join(file)).unwrap_or_else(|why| panic!("{link}: {why}"));
                let is_there = anchor_of.is_empty() || self::anchors(&text).contains(anchor_of);
                assert!(is_there, "no section {link}");
            }
        }
    }
}
