//! docs/rules.md, from an empty folder to "why does this guest have these points?", in the order in which it is printed.

use std::io::Write as _;

use serde_json::Value;

use super::newcomer::{Block, Newcomer, Page, Running, between};

const GUIDE: Page = Page { name: "docs/rules.md", text: include_str!("../../docs/rules.md") };
/// How the page puts `punchcard` where the shell finds it; here it is there already.
const INSTALL: &str = "cargo install";
const SERVE: &str = "punchcard";
const KEEP: &str = "export PUNCHCARD_KEY=pck_…";

/// A newcomer on their way through the guide.
struct Reader {
    newcomer: Newcomer,
    engine: Option<Running>,
    /// What each block of commands printed.
    said: Vec<(&'static str, String)>,
}

impl Reader {
    fn follows(page: Page) -> Self {
        let mut reader = Self { newcomer: Newcomer::arrives(), engine: None, said: Vec::new() };
        for block in page.all_blocks() {
            match block.language {
                "toml" => reader.writes("program.toml", block.text),
                "rhai" => reader.writes("rules.rhai", block.text),
                "sh" => reader.types(&block),
                _ => {}
            }
        }
        reader
    }

    /// Adds to a file in the folder of the chain.
    fn writes(&self, file: &str, text: &str) {
        let folder = self.newcomer.clone.path().join("corner");
        std::fs::create_dir_all(&folder).unwrap();
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(file)).unwrap();
        writeln!(file, "{text}\n").unwrap();
    }

    /// Types what stands in a block. What the page says that `corner` is answered must be answered.
    fn types(&mut self, block: &Block) {
        match block.text {
            SERVE => {
                let (engine, welcome) = self.newcomer.run(&[], "    -d '");
                self.newcomer.key = between(&welcome, "keep it safe:\n\n", "\n").to_owned();
                self.engine = Some(engine);
            }
            KEEP => assert!(self.newcomer.key.starts_with("pck_")),
            install if install.starts_with(INSTALL) => {}
            commands => {
                let said = self.newcomer.types(commands);
                for line in block.shown.iter().filter(|line| line.starts_with("corner: ")) {
                    assert!(said.contains(line), "`{line}` in what came of\n{commands}\n{said}");
                }
                self.said.push((commands, said));
            }
        }
    }

    /// What the one block with these words printed.
    fn heard(&self, words: &str) -> &str {
        let mut found = self.said.iter().filter(|(commands, _)| commands.contains(words));
        let (_, said) = found.next().unwrap_or_else(|| panic!("no block has `{words}`"));
        assert!(found.next().is_none(), "one block has `{words}`");
        said
    }

    fn heard_json(&self, words: &str) -> Value {
        let said = self.heard(words);
        serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }
}

#[test]
fn the_guide_works_as_it_is_printed() {
    let reader = Reader::follows(GUIDE);
    assert!(GUIDE.blocks("sh")[0].starts_with(INSTALL) && reader.engine.is_some());

    // The order is a real one: whatever hour it is, the total and perhaps the quiet afternoon.
    let receipt = reader.heard_json("\"key\": \"till-1\"");
    assert_eq!(receipt["status"], "processed", "{receipt}");
    let earned = receipt["member"]["points"].as_i64().unwrap();
    assert!([13, 17].contains(&earned), "{receipt}");

    let backtest = reader.heard("punchcard backtest");
    let issued = backtest.lines().find(|line| line.starts_with("issued: points")).unwrap();
    let numbers: Vec<_> = issued.split_whitespace().skip(2).map(str::to_owned).collect();
    assert_eq!(numbers, [earned.to_string(), (earned + 5).to_string(), "+5".to_owned()], "{backtest}");
    assert!(backtest.contains("for the one member"), "{backtest}");

    let versions = reader.heard("punchcard versions");
    assert!(versions.contains("api by ") && versions.contains(": two slices"), "{versions}");
    assert!(versions.contains("+rule \"Two slices\" on order.completed"), "the diff: {versions}");

    let forecast = reader.heard_json("dry_run");
    let two_slices = forecast["rules"].as_array().unwrap().iter().any(|rule| rule["rule"] == "Two slices");
    assert!(!two_slices, "version 1 is in force again: {forecast}");

    let ledger = reader.heard_json("KEY\" http://127.0.0.1:8080/v1/chains/corner/members");
    let lines = ledger["items"].as_array().unwrap();
    assert!(!lines.is_empty() && lines.iter().all(|line| line["id"].as_str().unwrap().starts_with("trf_")));
    let why = reader.heard_json("grep -o");
    assert_eq!(why["because"]["kind"], "rule", "{why}");
    assert!(why["because"]["text"].as_str().unwrap().contains("award("), "{why}");
    reader.engine.unwrap().stop();
}

/// What a server refuses that a folder by itself is not, with what to do.
#[test]
fn a_refusal_of_the_server_is_shown_at_its_line_with_what_to_do() {
    let mut newcomer = Newcomer::arrives();
    let (engine, welcome) = newcomer.run(&[], "    -d '");
    newcomer.key = between(&welcome, "keep it safe:\n\n", "\n").to_owned();
    let harvest = newcomer.clone.path().join("rules/harvest/program.toml");
    let moved = newcomer.clone.path().join("harvest");
    std::fs::create_dir(&moved).unwrap();
    let manifest = std::fs::read_to_string(&harvest).unwrap();
    let zone = manifest.lines().find(|line| line.starts_with("timezone")).unwrap();
    let other = manifest.replace(zone, "timezone = \"Europe/Paris\"");
    std::fs::write(moved.join("program.toml"), &other).unwrap();
    let refused = newcomer.types("punchcard publish harvest 2>&1 || echo refused");
    assert!(
        refused.contains("harvest/program.toml:") && refused.contains("timezone = \"Europe/Paris\""),
        "{refused}"
    );
    assert!(refused.contains("write `America/New_York`"), "{refused}");
    assert!(refused.contains("the server answered 422") && refused.ends_with("refused\n"), "{refused}");
    engine.stop();
}
