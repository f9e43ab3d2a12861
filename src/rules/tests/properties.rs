//! What must hold for any input.

use proptest::prelude::*;

use super::*;
use crate::domain::ledger::Account;

/// One thing that happens to a member.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Order { order: u8, cents: u32, hour: u32 },
    Refund { order: u8, cents: u32 },
    Visit,
    Tick(TickType),
    Wait { days: u16 },
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_u8, 0..60_000_u32, 0..24_u32).prop_map(|(order, cents, hour)| Step::Order { order, cents, hour }),
        2 => (0..12_u8, 0..60_000_u32).prop_map(|(order, cents)| Step::Refund { order, cents }),
        1 => Just(Step::Visit),
        1 => prop_oneof![Just(TickType::Daily), Just(TickType::TierReview)].prop_map(Step::Tick),
        3 => (0..90_u16).prop_map(|days| Step::Wait { days }),
    ]
}

pub(super) fn perform(life: &mut Life, n: usize, step: &Step) -> Option<Commit> {
    let money = |cents: &u32| format!("{}.{:02}", cents / 100, cents % 100);
    let (kind, data) = match step {
        Step::Order { order, cents, hour } => {
            life.now += chrono::Duration::hours((*hour).into());
            let items = format!(r#"[{{"category":"coffee","price":{}}}]"#, money(&(cents / 2)));
            ("order.completed", format!(r#""order_id":"o{order}","total":{},"items":{items}"#, money(cents)))
        }
        Step::Refund { order, cents } => {
            ("order.refunded", format!(r#""order_id":"o{order}","amount":{}"#, money(cents)))
        }
        Step::Visit => ("visit", String::new()),
        Step::Tick(kind) => return Some(life.tick(*kind)),
        Step::Wait { days } => {
            life.now += chrono::Duration::days((*days).into());
            return None;
        }
    };
    Some(life.send(&format!(r#"{{"key":"k{n}","type":"{kind}","data":{{{data}}}}}"#)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_books_balance_and_the_same_case_gives_the_same_commit(steps in prop::collection::vec(step(), 1..60)) {
        let program = Program::load(&harvest(), &Chain { id: "harvest".parse().unwrap(), ..chain() }, 1).unwrap();
        let (mut life, mut twin) = (Life::new(program.clone()), Life::new(program));
        let mut booked = 0;
        for (n, step) in steps.iter().enumerate() {
            let (commit, again) = (perform(&mut life, n, step), perform(&mut twin, n, step));
            prop_assert_eq!(&commit, &again);
            let Some(commit) = commit else { continue };
            for transfer in &commit.transfers {
                prop_assert!(transfer.amount.0 > 0);
                booked += match (transfer.debit, transfer.credit) {
                    (Account::Chain(_), Account::Member(_)) => transfer.amount.0,
                    (Account::Member(_), Account::Chain(_)) => -transfer.amount.0,
                    odd => panic!("{odd:?}"),
                };
            }
            prop_assert_eq!(booked, life.member.standing.points().0);
            if let Some(source) = &commit.source {
                prop_assert_eq!(&source.receipt.errors, &[]);
            }
            for order in &life.orders {
                for in_wallet in order.earned() {
                    prop_assert!(in_wallet.taken_back <= in_wallet.earned && in_wallet.taken_back.0 >= 0);
                }
            }
        }
    }

    #[test]
    fn no_text_makes_the_loader_panic(text in "\\PC{0,300}", manifest in "[ -~\n]{0,200}") {
        sound(&sources(&text));
        sound(&Sources { files: vec![("program.toml".to_owned(), manifest)] });
    }

    #[test]
    fn no_mutation_of_the_sample_makes_the_loader_panic(
        file in any::<prop::sample::Index>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..20_usize, piece()), 1..5),
    ) {
        let mut sources = harvest();
        let at = file.index(sources.files.len());
        let mut text: Vec<char> = sources.files[at].1.chars().collect();
        for (start, length, insert) in cuts {
            let start = start.index(text.len().max(1)).min(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, insert.chars());
        }
        sources.files[at].1 = text.into_iter().collect();
        sound(&sources);
    }
}

/// Words that are likely to matter to a parser.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "",
        "{",
        "}",
        "(",
        ")",
        "\"",
        "`",
        "${",
        "/*",
        "//",
        ";",
        ".",
        "..",
        "rule ",
        "segment ",
        "compound ",
        "because ",
        "member.in_segment(\"Regular\")",
        "\nrule \"x\" on visit {",
        "test ",
        "fn ",
        "const ",
        " when ",
        " on ",
        "and",
        "-",
        "9999999999999999999",
        "#{",
        "[",
        "let ",
        "for i in ",
        "switch ",
        "=>",
        "=",
        "\\",
        "'",
        "\u{0}",
        "é",
        "return ",
        "expect ",
        "member",
        "order.total",
        "priority ",
        "|",
        "!",
        ",",
        "\r\n",
    ];
    prop_oneof![prop::sample::select(words.to_vec()).prop_map(str::to_owned), "\\PC{0,5}"]
}

/// Generous: no script may hang the loader, nor its own tests.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(20);

/// Loads a folder, and runs it if it loads; neither may panic or hang, and problems must lie in the files.
fn sound(sources: &Sources) {
    let begun = std::time::Instant::now();
    judge(sources);
    assert!(begun.elapsed() < LIMIT, "it took {:?}: {sources:?}", begun.elapsed());
}

fn judge(sources: &Sources) {
    match Program::load(sources, &chain(), 1) {
        Ok(program) => {
            for outcome in crate::rules::testing::run(&program, sources, &chain()) {
                let failure = outcome.failure.map(|failure| failure.message).unwrap_or_default();
                assert!(!failure.contains("unexpectedly"), "{failure}");
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(!problem.message.contains("unexpectedly"), "{problem:?}");
                let lines = sources.get(&problem.file).map_or(1, |text| text.split('\n').count());
                assert!((1..=lines).contains(&problem.line), "{problem:?}");
            }
        }
    }
}
