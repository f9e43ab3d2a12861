//! Cuts the text of one rule, and of what it uses, out of the files of a program.

use std::collections::BTreeSet;

use super::diagnostic::Spot;
use super::program::Sources;
use super::split::{self, Keyword, Piece, pieces};

/// The rule of this name that begins at this `file:line`; without the comments behind it.
pub fn rule<'s>(sources: &'s Sources, name: &str, at: &str) -> Option<&'s str> {
    let (file, line) = at.rsplit_once(':')?;
    let line: usize = line.parse().ok()?;
    let text = sources.get(file)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let pieces = pieces(file, text).ok()?;
    let mut there = pieces.iter().filter(|piece| Spot::of_offset(text, piece.start).line == line);
    let first = there.clone().next();
    there.find(|piece| is_called(piece, name)).or(first).map(|piece| without_comments(piece.text))
}

/// The constants and functions that a rule names, and those that they name, in the order of their files.
pub fn used_by<'s>(sources: &'s Sources, rule: &str) -> Vec<&'s str> {
    let files = sources.files.iter().filter(|(name, _)| name.ends_with(".rhai"));
    let declared: Vec<_> = files.flat_map(|(name, text)| pieces(name, text).unwrap_or_default()).collect();
    let declared =
        declared.iter().filter(|piece| matches!(piece.keyword, Keyword::Constant | Keyword::Function));
    // Behind the keyword stands the name.
    let declared: Vec<_> =
        declared.filter_map(|piece| Some((split::words(piece.text).nth(1)?, piece.text))).collect();
    let (mut used, mut pending) = (BTreeSet::new(), vec![rule]);
    while let Some(text) = pending.pop() {
        for word in split::words(text) {
            let named = (0..declared.len()).filter(|at| declared[*at].0 == word);
            pending.extend(named.filter(|at| used.insert(*at)).map(|at| declared[at].1));
        }
    }
    used.into_iter().map(|at| without_comments(declared[at].1)).collect()
}

/// Several may begin on one line.
fn is_called(piece: &Piece<'_>, name: &str) -> bool {
    let mut quoted = piece.text.split('"');
    quoted.nth(1) == Some(name)
}

/// What stands behind a declaration is about the next one.
fn without_comments(mut text: &str) -> &str {
    loop {
        text = text.trim_end();
        let last = text.rfind('\n').map_or(0, |newline| newline + 1);
        if last == 0 || !text[last..].trim_start().starts_with("//") {
            return text;
        }
        text = &text[..last];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rule_uses_is_found_however_far_it_is() {
        let one = "const RATE = 2;\n// about times\nfn times(x) { x * RATE }\nconst BASE = 1; // one\n\nrule \"a\" on visit { award(twice(member.points)); }";
        let two = "fn twice(n) { times(times(n)) }\nconst OTHER = 3;\nfn unused() { BASE }\nfn twice(a, b) { BASE }";
        let files = [("b.rhai", one), ("a.rhai", two), ("program.toml", "RATE = 1")];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
        let sources = Sources { files };
        assert_eq!(
            used_by(&sources, rule(&sources, "a", "b.rhai:6").unwrap()),
            [
                "const RATE = 2;",
                "fn times(x) { x * RATE }",
                "const BASE = 1; // one",
                "fn twice(n) { times(times(n)) }",
                "fn twice(a, b) { BASE }"
            ]
        );
        assert_eq!(used_by(&sources, "rule \"RATE\" on visit { award(1); /* OTHER */ }"), [""; 0]);
    }

    #[test]
    fn a_rule_is_cut_out_without_what_stands_around_it() {
        let text = "// first\nrule \"a\" on visit {\n    award(1); // one\n}\n\n// about the next\n  // one\nrule \"b\" on visit { award(2); } rule \"c\" on visit { award(3); }\n";
        let sources = Sources { files: vec![("x:y.rhai".to_owned(), text.to_owned())] };
        assert_eq!(rule(&sources, "a", "x:y.rhai:2"), Some("rule \"a\" on visit {\n    award(1); // one\n}"));
        assert_eq!(rule(&sources, "b", "x:y.rhai:8"), Some("rule \"b\" on visit { award(2); }"));
        assert_eq!(rule(&sources, "c", "x:y.rhai:8"), Some("rule \"c\" on visit { award(3); }"));
        for gone in ["x:y.rhai:3", "z.rhai:2", "engine", "api:key"] {
            assert_eq!(rule(&sources, "a", gone), None, "{gone}");
        }
    }
}
