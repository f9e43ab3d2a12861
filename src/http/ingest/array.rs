//! Cuts a JSON array into its items without keeping more than one of them.
//!
//! Only strings and nesting are understood: that is enough to find the commas between items. What an item is, the
//! parser says, so that a bad item spoils only itself.

use actix_web::web::{Buf, BytesMut};

use super::splitter::{Numbered, Piece, trimmed};

/// Where the scanner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the opening bracket.
    Start,
    /// Before the first item or the closing bracket.
    First,
    /// After a comma.
    Next,
    /// In an item, below so many open brackets and braces.
    Item { depth: usize },
    /// In a string of an item.
    Text { depth: usize },
    /// After a backslash in a string of an item.
    Escape { depth: usize },
    /// After the closing bracket.
    Closed,
    /// After something that makes no sense.
    Broken,
}

/// What a byte means to the array.
enum Event {
    /// Nothing yet.
    None,
    /// An item begins with this byte.
    Begin,
    /// The byte ends an item.
    End,
    /// The rest makes no sense.
    Broken(&'static str),
}

/// A splitter of one array.
pub(in crate::http) struct Array {
    limit: usize,
    /// From the current item's first byte on, if inside one.
    buffer: BytesMut,
    /// Bytes of the buffer that the scanner has seen.
    scanned: usize,
    state: State,
    /// Items begun.
    items: u64,
    /// Whether the rest of the current item is dropped: it was too long.
    skipping: bool,
}

impl Array {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, buffer: BytesMut::new(), scanned: 0, state: State::Start, items: 0, skipping: false }
    }

    pub(super) fn feed(&mut self, chunk: &[u8]) {
        if self.state != State::Broken {
            self.buffer.extend_from_slice(chunk);
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn next_line(&self) -> u64 {
        self.items + u64::from(!self.inside())
    }

    fn inside(&self) -> bool {
        matches!(self.state, State::Item { .. } | State::Text { .. } | State::Escape { .. })
    }

    pub(super) fn next_piece(&mut self) -> Option<Numbered> {
        while let Some(byte) = self.buffer.get(self.scanned).copied() {
            self.scanned += 1;
            let (state, event) = step(self.state, byte);
            let line = self.next_line();
            self.state = state;
            match event {
                Event::None => {}
                Event::Begin => self.begin(),
                Event::End => {
                    if let Some(piece) = self.end() {
                        return Some(Numbered { line, piece });
                    }
                }
                Event::Broken(why) => {
                    self.buffer.clear();
                    self.scanned = 0;
                    return Some(Numbered { line, piece: Piece::Broken(why) });
                }
            }
        }
        self.without_end()
    }

    fn begin(&mut self) {
        self.buffer.advance(self.scanned - 1);
        self.scanned = 1;
        self.items += 1;
    }

    fn end(&mut self) -> Option<Piece> {
        let mut item = self.buffer.split_to(self.scanned);
        self.scanned = 0;
        item.truncate(item.len() - 1);
        if std::mem::take(&mut self.skipping) {
            return None;
        }
        Some(if item.len() > self.limit { Piece::TooLong } else { Piece::Event(trimmed(&item.freeze())) })
    }

    /// Keeps the beginning of an item until the rest comes, unless it is too long already.
    fn without_end(&mut self) -> Option<Numbered> {
        let too_long = self.inside() && !self.skipping && self.buffer.len() > self.limit;
        self.skipping |= too_long;
        if self.skipping || !self.inside() {
            self.buffer.clear();
        }
        self.scanned = self.buffer.len();
        too_long.then(|| Numbered { line: self.items, piece: Piece::TooLong })
    }

    pub(super) fn finish(&mut self) -> Option<Numbered> {
        if matches!(self.state, State::Closed | State::Broken) {
            return None;
        }
        let line = self.next_line();
        self.state = State::Broken;
        Some(Numbered { line, piece: Piece::Broken("the body ends before the array is closed by `]`") })
    }
}

fn step(state: State, byte: u8) -> (State, Event) {
    let white = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    match state {
        State::Item { depth } => in_item(depth, byte),
        State::Text { depth } => match byte {
            b'"' => (State::Item { depth }, Event::None),
            b'\\' => (State::Escape { depth }, Event::None),
            _ => (state, Event::None),
        },
        State::Escape { depth } => (State::Text { depth }, Event::None),
        State::Broken => (state, Event::None),
        _ if white => (state, Event::None),
        State::Start if byte == b'[' => (State::First, Event::None),
        State::Start => (State::Broken, Event::Broken("the body is not a JSON array")),
        State::Closed => (State::Broken, Event::Broken("something follows the end of the array")),
        State::First if byte == b']' => (State::Closed, Event::None),
        State::First | State::Next => first_of_item(byte),
    }
}

fn first_of_item(byte: u8) -> (State, Event) {
    match byte {
        b',' | b']' | b'}' => (State::Broken, Event::Broken("an item of the array is missing")),
        b'"' => (State::Text { depth: 0 }, Event::Begin),
        b'[' | b'{' => (State::Item { depth: 1 }, Event::Begin),
        _ => (State::Item { depth: 0 }, Event::Begin),
    }
}

fn in_item(depth: usize, byte: u8) -> (State, Event) {
    match byte {
        b'"' => (State::Text { depth }, Event::None),
        b'[' | b'{' => (State::Item { depth: depth + 1 }, Event::None),
        b',' if depth == 0 => (State::Next, Event::End),
        b']' if depth == 0 => (State::Closed, Event::End),
        // A stray `}` is the parser's to refuse: it spoils this item only.
        b']' | b'}' => (State::Item { depth: depth.saturating_sub(1) }, Event::None),
        _ => (State::Item { depth }, Event::None),
    }
}
