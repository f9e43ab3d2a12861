//! Cuts a stream of bytes into events, whatever the chunks it comes in. Memory: one event and one chunk.

use actix_web::web::Bytes;

use super::array::Array;
use super::lines::Lines;

/// How the events of a batch follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Format {
    /// A JSON array.
    Array,
    /// One event a line.
    Lines,
}

impl Format {
    /// The format that a content type announces; `None` leaves it to the first byte.
    pub(in crate::http) fn announced(content_type: &str) -> Option<Self> {
        match &*content_type.to_ascii_lowercase() {
            "application/json" => Some(Self::Array),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Self::Lines),
            _ => None,
        }
    }

    /// The content type of the answers.
    pub(in crate::http) const fn content_type(self) -> &'static str {
        match self {
            Self::Array => "application/json",
            Self::Lines => "application/x-ndjson",
        }
    }
}

/// What was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) enum Piece {
    /// An event's bytes, without white space around them. Whether they are JSON is for the parser to say.
    Event(Bytes),
    /// An event beyond the limit; its bytes were dropped.
    TooLong,
    /// Nothing more can be cut off; says why.
    Broken(&'static str),
}

/// A piece and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Numbered {
    /// The line, or the place in the array, from 1.
    pub(in crate::http) line: u64,
    /// What it is.
    pub(in crate::http) piece: Piece,
}

/// A splitter for one of the formats.
pub(in crate::http) enum Splitter {
    /// For arrays.
    Array(Array),
    /// For lines.
    Lines(Lines),
}

impl Splitter {
    /// A splitter that drops events of more than `limit` bytes.
    pub(in crate::http) fn new(format: Format, limit: usize) -> Self {
        match format {
            Format::Array => Self::Array(Array::new(limit)),
            Format::Lines => Self::Lines(Lines::new(limit)),
        }
    }

    /// Takes the next chunk. Call [`Self::next_piece`] until it says `None` before feeding more.
    pub(in crate::http) fn feed(&mut self, chunk: &[u8]) {
        match self {
            Self::Array(array) => array.feed(chunk),
            Self::Lines(lines) => lines.feed(chunk),
        }
    }

    /// The next piece that is complete.
    pub(in crate::http) fn next_piece(&mut self) -> Option<Numbered> {
        match self {
            Self::Array(array) => array.next_piece(),
            Self::Lines(lines) => lines.next_piece(),
        }
    }

    /// What the end of the stream completes or breaks.
    pub(in crate::http) fn finish(&mut self) -> Option<Numbered> {
        match self {
            Self::Array(array) => array.finish(),
            Self::Lines(lines) => lines.finish(),
        }
    }

    /// Bytes in memory.
    #[cfg(test)]
    pub(in crate::http) fn held(&self) -> usize {
        match self {
            Self::Array(array) => array.held(),
            Self::Lines(lines) => lines.held(),
        }
    }

    /// The number that the next piece will have, for problems of the stream itself.
    pub(in crate::http) fn next_line(&self) -> u64 {
        match self {
            Self::Array(array) => array.next_line(),
            Self::Lines(lines) => lines.next_line(),
        }
    }
}

/// Drops white space around an event without copying it.
pub(super) fn trimmed(bytes: &Bytes) -> Bytes {
    bytes.slice_ref(bytes.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 40;

    /// Everything that comes out when `text` is fed in chunks that end at `cuts`.
    fn split(format: Format, text: &[u8], cuts: &[usize]) -> Vec<Numbered> {
        let mut splitter = Splitter::new(format, LIMIT);
        let mut pieces = Vec::new();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
        ends.push(text.len());
        ends.sort_unstable();
        let mut start = 0;
        for end in ends {
            splitter.feed(&text[start..end]);
            pieces.extend(std::iter::from_fn(|| splitter.next_piece()));
            assert!(splitter.held() <= LIMIT, "{} bytes held", splitter.held());
            start = end;
        }
        pieces.extend(splitter.finish());
        pieces
    }

    fn events(pieces: &[Numbered]) -> Vec<&str> {
        let text = |piece: &'_ Numbered| match &piece.piece {
            Piece::Event(bytes) => str::from_utf8(bytes.as_ref()).map(ToOwned::to_owned).unwrap(),
            Piece::TooLong => "(too long)".to_owned(),
            Piece::Broken(_) => "(broken)".to_owned(),
        };
        pieces.iter().map(|piece| &*text(piece).leak()).collect()
    }

    #[test]
    fn lines_are_cut_at_newlines_only() {
        let long = "x".repeat(LIMIT + 1);
        let text = format!("{{\"a\":1}}\r\n\n  {{\"b\":\"\\n\"}} \n{long}\n{{\"c\":2}}");
        let pieces = split(Format::Lines, text.as_bytes(), &[]);
        assert_eq!(events(&pieces), [r#"{"a":1}"#, r#"{"b":"\n"}"#, "(too long)", r#"{"c":2}"#]);
        assert_eq!(pieces.iter().map(|p| p.line).collect::<Vec<_>>(), [1, 3, 4, 5]);
    }

    #[test]
    fn arrays_are_cut_at_top_level_commas_only() {
        let long = "1".repeat(LIMIT + 1);
        let text = format!(r#" [ {{"a":"],\"[{{"}} ,[[1],{{"x":[]}}], "}},]" ,{long}, 7 ] "#);
        let pieces = split(Format::Array, text.as_bytes(), &[]);
        assert_eq!(
            events(&pieces),
            [r#"{"a":"],\"[{"}"#, r#"[[1],{"x":[]}]"#, r#""},]""#, "(too long)", "7"]
        );
        assert_eq!(pieces.iter().map(|p| p.line).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_malformed_array_ends_in_one_problem() {
        for (text, whole) in [
            ("", 0),
            ("  ", 0),
            ("{}", 0),
            ("[", 0),
            ("[1", 0),
            ("[1,", 1),
            ("[1,]", 1),
            ("[,1]", 0),
            ("[1,,2]", 1),
            ("[1}", 0),
            ("[1] 2", 1),
            ("[1]]", 1),
            (r#"[1,"a]"#, 1),
            ("[1,{\"a\":2]", 1),
        ] {
            let pieces = split(Format::Array, text.as_bytes(), &[]);
            let (last, before) = pieces.split_last().expect(text);
            assert!(matches!(last.piece, Piece::Broken(_)), "{text}: {pieces:?}");
            assert_eq!(last.line, whole + 1, "{text}");
            assert_eq!(before.len() as u64, whole, "{text}");
        }
        assert_eq!(split(Format::Array, b"[ ]", &[]), []);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i32>().prop_map(Into::into),
            "[\\[\\]{},\"\\\\\n a-cé]{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[a-c\"\\]},]{0,3}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_chunking_of_an_array_gives_its_items(
            items in prop::collection::vec(json(), 0..6),
            cuts in prop::collection::vec(any::<usize>(), 0..20),
            pretty: bool,
        ) {
            let text = if pretty { serde_json::to_vec_pretty(&items) } else { serde_json::to_vec(&items) }.unwrap();
            let pieces = split(Format::Array, &text, &cuts);
            prop_assert_eq!(pieces.len(), items.len());
            for (piece, item) in pieces.iter().zip(&items) {
                if let Piece::Event(bytes) = &piece.piece {
                    prop_assert_eq!(&serde_json::from_slice::<serde_json::Value>(bytes).unwrap(), item);
                } else {
                    prop_assert_eq!(&piece.piece, &Piece::TooLong);
                }
            }
        }

        #[test]
        fn any_chunking_of_lines_gives_the_lines(
            items in prop::collection::vec(json(), 0..6),
            cuts in prop::collection::vec(any::<usize>(), 0..20),
        ) {
            let lines: Vec<String> = items.iter().map(ToString::to_string).collect();
            let pieces = split(Format::Lines, lines.join("\n").as_bytes(), &cuts);
            let expected: Vec<&str> =
                lines.iter().map(|line| if line.len() > LIMIT { "(too long)" } else { line }).collect();
            prop_assert_eq!(events(&pieces), expected);
        }

        #[test]
        fn chunks_never_matter_whatever_the_bytes(
            text in prop::collection::vec(prop::sample::select(b"[]{},\"\\ \n1a".to_vec()), 0..120),
            cuts in prop::collection::vec(any::<usize>(), 0..20),
        ) {
            for format in [Format::Array, Format::Lines] {
                prop_assert_eq!(split(format, &text, &cuts), split(format, &text, &[]));
            }
        }
    }
}
