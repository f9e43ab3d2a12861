//! The memory that programs take: 1,000 chains of 200 rules each, loaded as a server loads them. Linux only.
//!
//! `cargo bench --bench chains`. Wanted: less than 500 MB.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

mod till;

use punchcard::rules::program::Sources;
use till::Till;

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CHAINS: usize = 1_000;
const RULES: usize = 200;

const MANIFEST: &str = r#"
name = "Harvest Kitchen"
timezone = "America/New_York"
currency = "USD"
tiers = ["bronze", "silver", "gold"]
"#;

/// A rule as people write them: a condition of two parts, a number reckoned, a reason.
fn folder(chain: usize) -> Sources {
    let rules = (0..RULES).map(|n| {
        format!(
            "rule \"Campaign {n} of {chain}\" on order.completed\nwhen order.total >= {n} && member.tier == \"gold\"\n{{\n    \
             let extra = order.total * 2;\n    award(extra, \"campaign {n}\");\n}}\n"
        )
    });
    let rules: Vec<String> = rules.collect();
    let mut files: Vec<(String, String)> =
        rules.chunks(50).enumerate().map(|(n, part)| (format!("rules{n}.rhai"), part.concat())).collect();
    files.push(("program.toml".to_owned(), MANIFEST.to_owned()));
    Sources { files }
}

/// Resident memory of this process, in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("0");
    let kib: f64 = line.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0.0);
    kib / 1024.0
}

fn main() {
    let before = resident();
    let started = std::time::Instant::now();
    let tills: Vec<Till> = (0..CHAINS).map(|chain| Till::of(&folder(chain))).collect();
    let took = started.elapsed();
    let rules: usize = tills.iter().map(|till| till.program.rule_names().count()).sum();
    println!(
        "{} chains, {rules} rules: {:.0} MiB, {:.2} ms a chain to load",
        tills.len(),
        resident() - before,
        took.as_secs_f64() * 1e3 / CHAINS as f64
    );
}
