//! What people read: results on stdout, errors on stderr. Log lines go through `tracing`, not through here.
//!
//! A reader that went away (`punchcard key list | head -1`) is no error, so failures to write are ignored.

use std::fmt;
use std::io::{IsTerminal as _, Write as _, stderr, stdout};

use crate::rules::report::Colour;

/// Writes a line to stdout.
pub(super) fn line(text: fmt::Arguments<'_>) {
    let _ = writeln!(stdout(), "{text}");
}

/// Writes text to stdout as it is, at once.
pub(super) fn text(text: &str) {
    let mut stdout = stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// Writes a line to stderr.
pub(super) fn error(text: fmt::Arguments<'_>) {
    let _ = writeln!(stderr(), "{text}");
}

/// Writes text to stderr as it is, at once.
pub(super) fn draw(text: &str) {
    let mut stderr = stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}

/// Whether a person watches stderr.
pub(super) fn is_drawn_for_somebody() -> bool {
    stderr().is_terminal()
}

/// Whether a person watches stdout.
pub(super) fn is_watched() -> bool {
    stdout().is_terminal()
}

/// How reports are drawn here.
pub(super) fn colour() -> Colour {
    if is_watched() { Colour::Terminal } else { Colour::Plain }
}

/// A number as people read it: `12,345`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn numbers_are_grouped_from_the_right() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
