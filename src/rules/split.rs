//! Cuts a rules file into its top-level declarations, so that each is parsed alone and one mistake hides no other.

use rhai::Position;

use super::complaints;
use super::diagnostic::{Diagnostic, Mistake, Spot};
use super::engine::{MAX_FILE_BYTES, MAX_PIECE_BYTES};

/// The most declarations in one file.
const MAX_PIECES: usize = 300;
/// The longest file in lines: every piece is parsed behind as many empty lines as stand before it.
const MAX_LINES: usize = 5_000;

/// Said of anything else at the top of a file.
pub(super) const ONLY_DECLARATIONS: &str =
    "only `rule`, `trigger`, `segment`, `tier`, `test`, `fn` and `const` can stand here";

/// The words that declarations begin with.
pub(super) const KEYWORDS: [&str; 7] = ["rule", "trigger", "segment", "tier", "test", "fn", "const"];

/// What a declaration begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Rule,
    Trigger,
    Segment,
    Tier,
    Test,
    Function,
    Constant,
}

impl Keyword {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Rule, KEYWORDS[0]),
        (Self::Trigger, KEYWORDS[1]),
        (Self::Segment, KEYWORDS[2]),
        (Self::Tier, KEYWORDS[3]),
        (Self::Test, KEYWORDS[4]),
        (Self::Function, KEYWORDS[5]),
        (Self::Constant, KEYWORDS[6]),
    ];

    /// Whether it begins a declaration at the start of a line even where a brace is still open: of the others, a line
    /// within a body may begin with the word, too.
    const fn ends_all_before(self) -> bool {
        !matches!(self, Self::Constant | Self::Tier)
    }

    /// The keyword that `text` begins with.
    fn at_start_of(text: &str) -> Option<Self> {
        let ends_there = |word: &str| {
            let rest = text.strip_prefix(word)?;
            (!rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')).then_some(())
        };
        Self::ALL.iter().find(|(_, word)| ends_there(word).is_some()).map(|(keyword, _)| *keyword)
    }
}

/// One declaration: from its keyword to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) keyword: Keyword,
    /// Byte offset in the file.
    pub(super) start: usize,
    pub(super) text: &'a str,
}

/// Cuts `text`. A keyword begins a declaration outside of any braces, and also at the very start of a line, so that a
/// forgotten `}` spoils one declaration and not the rest of the file.
pub(super) fn pieces<'a>(file: &str, text: &'a str) -> Result<Vec<Piece<'a>>, Diagnostic> {
    let at = |start: usize| Spot::of_offset(text, start);
    if text.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes; a rules file may have {MAX_FILE_BYTES}", text.len());
        return Err(
            Diagnostic::new(Mistake::TooMany, file, at(0), message).help("split it into several files")
        );
    }
    readable(file, text)?;
    if text.lines().count() > MAX_LINES {
        let message = format!("the file has more than {MAX_LINES} lines");
        return Err(
            Diagnostic::new(Mistake::TooMany, file, at(0), message).help("split it into several files")
        );
    }
    let starts = Scanner::new(text).declarations();
    if let Some(stray) =
        Scanner::new(text).first_word().filter(|first| starts.first().is_none_or(|s| first < &s.0))
    {
        let help = complaints::stray(&at(stray));
        return Err(Diagnostic::new(Mistake::Syntax, file, at(stray), ONLY_DECLARATIONS).help(help));
    }
    if let Some((start, _)) = starts.get(MAX_PIECES) {
        let message = format!("the file has more than {MAX_PIECES} declarations");
        return Err(
            Diagnostic::new(Mistake::TooMany, file, at(*start), message).help("split it into several files")
        );
    }
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
    let cut: Vec<_> = starts
        .iter()
        .zip(ends)
        .map(|((start, keyword), end)| Piece { keyword: *keyword, start: *start, text: &text[*start..end] })
        .collect();
    match cut.iter().find(|piece| piece.text.len() > MAX_PIECE_BYTES) {
        None => Ok(cut),
        Some(piece) => {
            let message = format!("this is longer than {MAX_PIECE_BYTES} characters");
            Err(Diagnostic::new(Mistake::TooMany, file, at(piece.start), message).help("make several of it"))
        }
    }
}

/// Refuses a text that does not say what it seems to say.
pub(super) fn readable(file: &str, text: &str) -> Result<(), Diagnostic> {
    let Some((start, c)) = text.char_indices().find(|(_, c)| is_hidden(*c)) else { return Ok(()) };
    let message = format!("there is an invisible character here (U+{:04X})", c as u32);
    let spot = Spot::of_offset(text, start);
    Err(Diagnostic::new(Mistake::Syntax, file, spot, message).help("delete it"))
}

/// Where a position of a file is in a text that begins at this line and column of it.
pub(super) fn offset(text: &str, begin: (usize, usize), position: Position) -> Option<usize> {
    let (line, column) = (position.line()?, position.position()?);
    let first = if line == begin.0 { begin.1 } else { 1 };
    let before = text.split_inclusive('\n').take(line.checked_sub(begin.0)?).map(str::len).sum();
    let rest = text.get(before..)?;
    Some(before + rest.char_indices().nth(column.checked_sub(first)?)?.0)
}

/// A case of a `switch` as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arm<'a> {
    pub(super) case: &'a str,
    pub(super) position: Position,
    /// Whether an `if` stands behind it.
    pub(super) has_condition: bool,
}

/// The cases of the `switch` that stands at this place; `None` when it is written too oddly to be read.
pub(super) fn arms(text: &str, switch: Position) -> Option<Vec<Arm<'_>>> {
    let (line, column) = (switch.line()?, switch.position()?);
    let start = offset(text, (1, 1), switch)?;
    let mut scanner = Scanner { text, at: start };
    let rest = scanner.rest().strip_prefix("switch")?;
    scanner.at = text.len() - rest.len();
    scanner.to(&["{"])?;
    scanner.skip_token('{');
    let (mut found, mut known) = (Vec::new(), (start, line, column));
    loop {
        scanner.skip_blank();
        if scanner.rest().starts_with('}') {
            return Some(found);
        }
        let begin = scanner.at;
        scanner.to(&["=>", "if"])?;
        let case = text[begin..scanner.at].trim_end();
        let has_condition = scanner.rest().starts_with("if");
        scanner.to(&["=>"])?;
        scanner.at += "=>".len();
        let between = &text[known.0..begin];
        let lines = between.matches('\n').count();
        let last = between.rsplit('\n').next().unwrap_or_default().chars().count();
        let column = if lines == 0 { known.2 + last } else { last + 1 };
        known = (begin, known.1 + lines, column);
        let position = Position::new(u16::try_from(known.1).ok()?, u16::try_from(column).ok()?);
        found.push(Arm { case, position, has_condition });
        scanner.skip_arm()?;
    }
}

/// The words of a text, outside of texts and comments.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut scanner = Scanner::new(text);
    let tokens = std::iter::from_fn(move || scanner.token().map(|(_, token)| token));
    tokens.filter(|token| token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

/// The names behind the keywords of a text that may not be readable.
pub(super) fn names(text: &str) -> impl Iterator<Item = String> {
    let mut scanner = Scanner::new(text);
    let mut tokens = std::iter::from_fn(move || scanner.token().map(|(_, token)| token));
    std::iter::from_fn(move || {
        tokens.find(|token| KEYWORDS.contains(token))?;
        tokens.next().map(|name| name.trim_matches('"').to_owned())
    })
}

/// What follows a word, outside of texts and comments, up to the next of `ends` or the end of `text`.
pub(super) fn clause<'a>(text: &'a str, word: &str, ends: &[&str]) -> Option<&'a str> {
    let begin = Scanner::new(text).find(&[word])? + word.len();
    let rest = &text[begin..];
    Some(rest[..Scanner::new(rest).find(ends).unwrap_or(rest.len())].trim())
}

/// Characters that make a text read differently from what it says: control characters, zero width, right-to-left.
fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        || matches!(c, '\u{200b}'..='\u{200c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Walks over the text, knowing just enough of its grammar to skip texts and comments.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Where the first of these tokens begins.
    fn find(mut self, tokens: &[&str]) -> Option<usize> {
        std::iter::from_fn(|| self.token()).find(|(_, token)| tokens.contains(token)).map(|(start, _)| start)
    }

    /// The next token, and where it begins.
    fn token(&mut self) -> Option<(usize, &'a str)> {
        self.skip_blank();
        let start = self.at;
        self.skip_token(self.rest().chars().next()?);
        Some((start, &self.text[start..self.at]))
    }

    /// Goes on to the first of these tokens, outside of any brackets; `None` when something closes before it comes.
    fn to(&mut self, tokens: &[&str]) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            self.skip_blank();
            let rest = self.rest();
            let first = rest.chars().next()?;
            let is_word = |token: &&str| {
                let behind = rest[token.len()..].chars().next();
                !token.starts_with(char::is_alphabetic)
                    || !behind.is_some_and(|c| c.is_alphanumeric() || c == '_')
            };
            if depth == 0 && tokens.iter().filter(|token| rest.starts_with(**token)).any(is_word) {
                return Some(());
            }
            match first {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            self.skip_token(first);
        }
    }

    /// Goes past what a case does, and the comma behind it.
    fn skip_arm(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            self.skip_blank();
            let first = self.rest().chars().next()?;
            match first {
                ',' if depth == 0 => {
                    self.skip_token(first);
                    return Some(());
                }
                '}' if depth == 0 => return Some(()),
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            self.skip_token(first);
            if first == '}' && depth == 0 {
                self.skip_blank();
                let rest = self.rest();
                if rest.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '"' | '-' | '_'))
                    && !rest.starts_with("else")
                {
                    return Some(()); // the next case; a block needs no comma behind it
                }
            }
        }
    }

    fn first_word(mut self) -> Option<usize> {
        self.skip_blank();
        (!self.rest().is_empty()).then_some(self.at)
    }

    fn declarations(mut self) -> Vec<(usize, Keyword)> {
        let mut found = Vec::new();
        let mut depth = 0_usize;
        let mut fresh = true; // nothing stands before this on the line, or a `}` or `;` does
        loop {
            fresh |= self.skip_blank();
            let rest = self.rest();
            let Some(c) = rest.chars().next() else { return found };
            let starts_line = self.at == 0 || self.text[..self.at].ends_with('\n');
            if let Some(keyword) = Keyword::at_start_of(rest).filter(|_| fresh)
                && (depth == 0 || (starts_line && keyword.ends_all_before()))
            {
                found.push((self.at, keyword));
                depth = 0;
            }
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            fresh = matches!(c, '}' | ';');
            self.skip_token(c);
        }
    }

    /// Skips white space and comments; says whether a line ended.
    fn skip_blank(&mut self) -> bool {
        let before = self.at;
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            let skipped = match &rest[blank..] {
                comment if comment.starts_with("//") => comment.find('\n').unwrap_or(comment.len()),
                comment if comment.starts_with("/*") => block_comment(comment),
                _ => 0,
            };
            self.at += blank + skipped;
            if skipped == 0 {
                return self.text[before..self.at].contains('\n');
            }
        }
    }

    fn skip_token(&mut self, first: char) {
        let rest = self.rest();
        self.at += match first {
            '"' => quoted(rest, '"'),
            '`' => quoted(rest, '`'),
            '\'' => quoted(rest, '\''),
            c if c.is_ascii_alphanumeric() || c == '_' => {
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
    }
}

/// Length of a comment that may hold further comments.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// Length of a text in quotes. Only one in back-ticks may span lines; the parser complains about the others.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' if quote != '`' => return at,
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(text: &str) -> Vec<(Keyword, usize)> {
        let found = pieces("a.rhai", text).unwrap();
        found.iter().map(|p| (p.keyword, Spot::of_offset(text, p.start).line)).collect()
    }

    #[test]
    fn declarations_begin_at_keywords_outside_of_braces_texts_and_comments() {
        let text = "// rule \"a\"\nconst X = 1; fn f() { 1 }\n/* test /* fn */ */\nrule \"rule {\" on visit {\n  const Y = 1;\n  award(1, `\nrule`);\n}\ntest \"t\" { }\n";
        let expected =
            [(Keyword::Constant, 2), (Keyword::Function, 2), (Keyword::Rule, 4), (Keyword::Test, 9)];
        assert_eq!(starts(text), expected);
    }

    #[test]
    fn a_clause_ends_at_a_word_outside_of_texts_and_comments() {
        let text = "tier \"when\" when a == \"keep ;\" // keep\n keep when b; // ;";
        assert_eq!(clause(text, "when", &["keep", ";"]), Some("a == \"keep ;\" // keep"));
        assert_eq!(clause(text, "keep", &[";"]), Some("when b"));
        assert_eq!(clause(text, "until", &[";"]), None);
        assert_eq!(clause("segment \"a\" when b", "when", &[";"]), Some("b"));
    }

    #[test]
    fn the_cases_of_a_switch_are_read_where_they_stand() {
        let text = "fn f(x) {\n  switch x.y(1) { // \"no\" => 1\n    \"a, =>\" => 1, 7..=9 if x > 1 => { g(#{a: 1}); }\n    -5 => if x { 1 } else { 2 }\n    2.5 => [1, 2], _ => switch x { 1 => 2 } } }";
        let arms = arms(text, Position::new(2, 3)).unwrap();
        let read: Vec<_> = arms.iter().map(|arm| (arm.case, arm.has_condition)).collect();
        assert_eq!(
            read,
            [("\"a, =>\"", false), ("7..=9", true), ("-5", false), ("2.5", false), ("_", false)]
        );
        let places: Vec<_> = arms.iter().map(|arm| (arm.position.line(), arm.position.position())).collect();
        assert_eq!(places[..3], [(Some(3), Some(5)), (Some(3), Some(19)), (Some(4), Some(5))]);
        for odd in ["switch x", "switch x { 1", "switch x { 1 => 2", "x { 1 => 2 }", "switch x { 1 => ) }"] {
            assert_eq!(super::arms(odd, Position::new(1, 1)), None, "{odd}");
        }
    }

    #[test]
    fn a_forgotten_brace_spoils_one_declaration_only() {
        let text = "rule \"a\" on visit {\n  award(1, \"a\");\n\nrule \"b\" on visit {\n}\n";
        assert_eq!(starts(text), [(Keyword::Rule, 1), (Keyword::Rule, 4)]);
    }

    #[test]
    fn what_cannot_be_read_or_parsed_in_bounded_time_is_refused() {
        let long = format!("rule \"a\" on visit {{ {} }}", "award(1); ".repeat(1_000));
        let many = "const A = 1;\n".repeat(MAX_PIECES + 1);
        for (text, says) in [
            ("award(1);", "only `rule`"),
            ("rule \"a\u{202e}\" on visit {}", "invisible"),
            ("rule \"a\0\" on visit {}", "invisible"),
            (&*"\n".repeat(MAX_LINES + 1), "lines"),
            (&*" ".repeat(MAX_FILE_BYTES + 1), "bytes"),
            (&*long, "longer"),
            (&*many, "declarations"),
        ] {
            let problem = pieces("a.rhai", text).unwrap_err();
            assert!(problem.message.contains(says), "{problem:?}");
        }
    }
}
