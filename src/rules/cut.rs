//! Cuts the text of one rule out of the files of a program.

use super::diagnostic::Spot;
use super::program::Sources;
use super::split::{Piece, pieces};

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
