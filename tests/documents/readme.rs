//! README.md, word for word.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use super::newcomer::{Newcomer, PATIENCE, Page, Running, await_port, between};

const README: Page = Page { name: "README.md", text: include_str!("../../README.md") };

/// The one block of shell commands in which these words stand.
fn shell(words: &str) -> &'static str {
    README.shell(words)
}

/// The words that follow `cargo run --release` in a block; what it runs is already built.
fn arguments(block: &'static str) -> Vec<&'static str> {
    let line =
        block.lines().find_map(|line| line.strip_prefix("cargo run --release")).expect("a run command");
    let words = line.split('#').next().unwrap_or_default().split_whitespace();
    words.skip_while(|word| *word == "--").collect()
}

fn program(newcomer: &Newcomer) -> Value {
    let get = "curl -s http://127.0.0.1:8080/v1/chains/harvest/program -H \"Authorization: Bearer $KEY\"";
    newcomer.asks(get).remove(0)
}

#[test]
fn the_first_five_minutes_work_as_printed() {
    let mut newcomer = Newcomer::arrives();

    // Run it: no argument, nothing prepared. The welcome shows the key and a command to copy.
    let (engine, welcome) = newcomer.run(&arguments(shell("cargo test")), "    -d '");
    let key = between(&welcome, "keep it safe:\n\n", "\n");
    assert!(key.starts_with(between(shell("export KEY="), "export KEY=", "…")), "{welcome}");
    let receipt = newcomer.asks(between(&welcome, "Send a first order:\n\n", "\n\n")).remove(0);
    assert_eq!(
        (&receipt["status"], &receipt["member"]["id"]),
        (&"processed".into(), &"m-42".into()),
        "{receipt}"
    );
    newcomer.key = key.to_owned();

    // 1. Send an order; again; the same key with another body.
    let first_order = shell("README-1");
    let receipt = newcomer.asks(first_order).remove(0);
    assert_eq!(
        (&receipt["status"], &receipt["duplicate"]),
        (&"processed".into(), &false.into()),
        "{receipt}"
    );
    assert!(receipt["member"]["points"].as_i64().is_some_and(|points| points > 0), "{receipt}");
    let again = newcomer.asks(first_order).remove(0);
    assert_eq!((&again["duplicate"], &again["member"]), (&true.into(), &receipt["member"]), "{again}");
    let reused = newcomer.asks(&first_order.replace("24.50", "25.50")).remove(0);
    assert_eq!((&reused["status"], &reused["code"]), (&409.into(), &"key_reused".into()), "{reused}");
    engine.stop();

    // 2. Get webhooks.
    let (engine, _) = newcomer.run(&arguments(shell("--allow-private")), "listens on");
    let python = shell("python3 -c").replace("127.0.0.1\", 9000", &newcomer.hook.replace(':', "\", "));
    assert!(python.contains(newcomer.hook.rsplit(':').next().unwrap()), "{python}");
    let receiver = Running::start(
        Command::new("sh").args(["-c", &format!("exec {}", python.replace("python3 ", "python3 -u "))]),
    );
    await_port(&newcomer.hook);
    let answers = newcomer.asks(shell("README-2"));
    let secret = answers[0]["secret"].as_str().unwrap_or_else(|| panic!("{answers:?}"));
    assert_eq!(answers[1]["status"], "processed", "{answers:?}");
    let webhook = receiver.until(|line| line.contains("points.earned"));
    let (signature, body) = webhook.trim_end().split_once(' ').unwrap();
    assert!(signature.starts_with("v1,") && body.contains("README-2"), "{webhook}");
    assert!(standardwebhooks::Webhook::new(secret).is_ok());

    // 3. Change a rule; the running engine takes it over; `check` agrees.
    let earning: PathBuf = newcomer.clone.path().join("rules/harvest/earning.rhai");
    let added = format!("{}\n{}", std::fs::read_to_string(&earning).unwrap(), README.blocks("rhai")[0]);
    let version = program(&newcomer)["version"].as_i64().unwrap();
    std::fs::write(&earning, added).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while program(&newcomer)["version"] != version + 1 {
        assert!(Instant::now() < deadline, "the edit is not in force: {}", program(&newcomer));
    }
    let app_order = shell("README-2").lines().skip(2).collect::<Vec<_>>().join("\n");
    let app_order =
        app_order.replace("README-2", "README-3").replace("\"total\"", "\"channel\": \"app\", \"total\"");
    let receipt = newcomer.asks(&app_order).remove(0);
    assert!(receipt["effects"].to_string().contains("Thank you for using the app"), "{receipt}");
    let checked = Command::new(env!("CARGO_BIN_EXE_punchcard"))
        .args(arguments(shell("check rules")))
        .current_dir(newcomer.clone.path())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    engine.stop();
}

#[test]
fn every_command_of_the_table_exists() {
    let verbs: Vec<_> = README.text.lines().filter_map(|line| line.strip_prefix("| `punchcard ")).collect();
    assert!(verbs.len() >= 7, "{verbs:?}");
    for line in verbs {
        let verb = line.split(['`', ' ']).next().unwrap();
        let mut help = Command::new(env!("CARGO_BIN_EXE_punchcard"))
            .args([verb, "--help"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut text = String::new();
        help.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(help.wait().unwrap().success() && text.contains("Usage"), "{verb}: {text}");
    }
}

/// `cargo run` must know which binary is meant.
#[test]
fn the_run_command_needs_no_name() {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    assert_eq!(manifest["package"]["default-run"].as_str(), Some("punchcard"));
    assert!(
        shell("cargo test")
            .lines()
            .any(|line| line.split('#').next().unwrap().trim() == "cargo run --release")
    );
}
