//! Cuts NDJSON into lines.

use actix_web::web::BytesMut;

use super::splitter::{Numbered, Piece, trimmed};

/// A line splitter. Blank lines are counted and otherwise passed over.
pub(in crate::http) struct Lines {
    limit: usize,
    buffer: BytesMut,
    /// No newline lies before this place of the buffer.
    scanned: usize,
    /// Lines behind us.
    lines: u64,
    /// Whether the rest of the current line is dropped: it was too long.
    skipping: bool,
}

impl Lines {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, buffer: BytesMut::new(), scanned: 0, lines: 0, skipping: false }
    }

    pub(super) fn feed(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn next_line(&self) -> u64 {
        self.lines + 1
    }

    pub(super) fn next_piece(&mut self) -> Option<Numbered> {
        while let Some(at) = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(self.scanned + at + 1);
            self.scanned = 0;
            self.lines += 1;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if let Some(piece) = self.piece(line, 1) {
                return Some(Numbered { line: self.lines, piece });
            }
        }
        self.without_newline()
    }

    /// Keeps the beginning of a line until the rest comes, unless it is too long already.
    fn without_newline(&mut self) -> Option<Numbered> {
        let too_long = !self.skipping && self.buffer.len() > self.limit;
        self.skipping |= too_long;
        if self.skipping {
            self.buffer.clear();
        }
        self.scanned = self.buffer.len();
        too_long.then(|| Numbered { line: self.lines + 1, piece: Piece::TooLong })
    }

    pub(super) fn finish(&mut self) -> Option<Numbered> {
        let rest = self.buffer.split();
        self.lines += 1;
        let piece = self.piece(rest, 0)?;
        Some(Numbered { line: self.lines, piece })
    }

    /// The piece in a line whose last `newline` bytes end it.
    fn piece(&self, line: BytesMut, newline: usize) -> Option<Piece> {
        if line.len() - newline > self.limit {
            return Some(Piece::TooLong);
        }
        let event = trimmed(&line.freeze());
        (!event.is_empty()).then_some(Piece::Event(event))
    }
}
