//! Checks the source itself: the import table of `ARCHITECTURE.md`, the length of files, and words that must not be
//! in it. A rule that nobody checks is a wish.

use std::fs;
use std::path::{Path, PathBuf};

/// `module` never names any of `forbidden`.
const IMPORTS: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "crate::rules",
            "crate::wire",
            "crate::sources",
            "crate::store",
            "crate::actors",
            "crate::read",
            "crate::export",
            "crate::http",
            "crate::clock",
            "crate::config",
            "actix",
            "diesel::",
            "std::env",
        ],
    ),
    (
        "rules",
        &["crate::store", "crate::actors", "crate::http", "crate::wire", "crate::read", "crate::clock"],
    ),
    ("wire", &["crate::store", "crate::actors", "crate::http", "crate::clock", "crate::rules"]),
    ("store", &["crate::rules", "crate::wire", "crate::actors", "crate::http", "crate::read"]),
    ("actors", &["crate::http", "crate::read", "crate::export"]),
    ("http", &["crate::wire", "crate::store", "crate::rules", "diesel::"]),
    ("read", &["crate::actors", "crate::wire", "crate::http"]),
    ("export", &["crate::actors", "crate::wire"]),
];

/// The longest file, tests inside it included.
const MAX_LINES: usize = 620;

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The lines of a file, with their numbers from 1, that are neither comments nor part of a test item. Relies on the
/// layout of rustfmt: an item ends at its own indentation.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut test_item = None;
    text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(move |(_, line)| {
        let code = line.trim_start();
        let indentation = line.len() - code.len();
        if test_item.is_none() && code.starts_with("#[cfg(test)]") {
            test_item = Some(indentation);
            return false;
        }
        if test_item == Some(indentation) && !code.starts_with("#[") && code.ends_with([';', '}']) {
            test_item = None;
            return false;
        }
        test_item.is_none() && !code.starts_with("//")
    })
}

#[test]
fn only_comments_and_test_items_are_not_looked_at() {
    let text = "\
use a;
#[cfg(test)]
mod tests;
// a comment
fn b() {
    #[cfg(test)]
    let x = [
        c,
    ];
    d();
}
#[cfg(test)]
#[derive(Debug)]
struct E;
#[cfg(test)]
mod tests {
    fn f() {}

    fn g() {
        h();
    }
}
use i;";
    let seen: Vec<_> = code_lines(text).map(|(number, line)| format!("{number} {}", line.trim())).collect();
    assert_eq!(seen, ["1 use a;", "5 fn b() {", "10 d();", "11 }", "23 use i;"]);
}

#[test]
fn no_module_imports_what_its_layer_forbids() {
    let mut wrong = Vec::new();
    for (module, forbidden) in IMPORTS {
        let mut files = rust_files(&source().join(module));
        files.extend(Some(source().join(format!("{module}.rs"))).filter(|file| file.exists()));
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in code_lines(&text) {
                for word in forbidden.iter().filter(|word| line.contains(**word)) {
                    wrong.push(format!("{}:{}: {module} must not use {word}", file.display(), number));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_layer_of_the_table_exists() {
    for module in ["domain", "rules", "wire", "store", "actors", "read", "http"] {
        assert!(!rust_files(&source().join(module)).is_empty(), "src/{module} is gone: mend the table");
    }
}

#[test]
fn no_file_grows_beyond_what_one_can_read_in_one_sitting() {
    let long: Vec<_> = rust_files(&source())
        .into_iter()
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, file)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "split these, they have a second reason to change:\n{}", long.join("\n"));
}

#[test]
fn nothing_unfinished_is_left_behind() {
    let mut wrong = Vec::new();
    for file in rust_files(&source()) {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            for word in ["todo!(", "unimplemented!(", "FIXME", "XXX", "allow(dead_code)"] {
                if line.contains(word) {
                    wrong.push(format!("{}:{}: {word}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
