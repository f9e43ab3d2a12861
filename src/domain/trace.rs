//! Trace context (W3C): what ties a request to all that follows of it, here and elsewhere.
//!
//! A trace comes with a request that brings something, is kept with it, and goes on with whatever is told because of it. Who
//! brings none gets none.

use std::fmt;
use std::str::FromStr;

/// The longest `tracestate` that is handed on, in bytes.
const MAX_STATE: usize = 512;
/// The most members of a `tracestate`.
const MAX_MEMBERS: usize = 32;
/// The flags that we know: sampled, and that the id is random.
const KNOWN_FLAGS: u8 = 0b11;

/// One step of a trace.
pub type SpanId = [u8; 8];

/// A trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    id: [u8; 16],
    flags: u8,
    /// What others want to find again, as they wrote it.
    state: Option<Box<str>>,
}

impl Trace {
    /// Reads `traceparent`; answers the trace and the step of it that the request is part of. What cannot be read is as if it
    /// were not there.
    pub fn parse(parent: &str) -> Option<(Self, SpanId)> {
        let (version, rest) = parent.split_once('-')?;
        let [version] = hex(version)?;
        let (known, more) = rest.split_at_checked(52)?;
        // Later versions may say more after another hyphen.
        let has_end = more.is_empty() || (version > 0 && more.starts_with('-'));
        let mut parts = known.split('-');
        let (id, span, [flags]) = (hex(parts.next()?)?, hex(parts.next()?)?, hex(parts.next()?)?);
        let is_one = version != 0xff && has_end && parts.next().is_none() && id != [0; 16] && span != [0; 8];
        is_one.then_some((Self { id, flags: flags & KNOWN_FLAGS, state: None }, span))
    }

    /// The same with what `tracestate` says. What cannot be handed on as it is, is left out.
    #[must_use]
    pub fn with_state(self, state: &str) -> Self {
        let is_member = |member: &str| {
            let member = member.trim_matches([' ', '\t']);
            member.is_empty() || member.split_once('=').is_some_and(|(key, _)| !key.is_empty())
        };
        let is_state = (1..=MAX_STATE).contains(&state.len())
            && state.bytes().all(|b| matches!(b, b' '..=b'~'))
            && state.split(',').count() <= MAX_MEMBERS
            && state.split(',').all(is_member);
        Self { state: is_state.then(|| state.trim().into()), ..self }
    }

    /// Its id in hexadecimal.
    pub fn id(&self) -> impl fmt::Display + use<> {
        Hex(self.id)
    }

    /// Its id.
    pub const fn bytes(&self) -> [u8; 16] {
        self.id
    }

    /// Whether it is sampled, and whatever else all of it has in common.
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// The header `traceparent` of a step.
    pub fn parent(&self, span: SpanId) -> String {
        format!("00-{}-{}-{:02x}", Hex(self.id), Hex(span), self.flags)
    }

    /// The header `tracestate`.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// As it is stored.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02x}", Hex(self.id), self.flags)?;
        self.state.as_ref().map_or(Ok(()), |state| write!(f, " {state}"))
    }
}

impl FromStr for Trace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (trace, state) = text.split_once(' ').map_or((text, None), |(trace, state)| (trace, Some(state)));
        let (id, flags) = trace.split_once('-').ok_or(())?;
        let [flags] = hex(flags).ok_or(())?;
        Ok(Self { id: hex(id).ok_or(())?, flags, state: state.map(Into::into) })
    }
}

struct Hex<const N: usize>([u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Lower case only, as the standard demands.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn only_what_the_standard_calls_a_trace_is_one() {
        let zeros = "0".repeat(32);
        for (parent, is_one) in [
            (format!("00-{ID}-{SPAN}-01"), true),
            (format!("00-{ID}-{SPAN}-00"), true),
            (format!("00-{ID}-{SPAN}-ff"), true),
            (format!("cc-{ID}-{SPAN}-01"), true),
            (format!("cc-{ID}-{SPAN}-01-what-may-come"), true),
            (format!("cc-{ID}-{SPAN}-01.what"), false),
            (format!("00-{ID}-{SPAN}-01-more"), false),
            (format!("00-{ID}-{SPAN}-01-"), false),
            (format!("ff-{ID}-{SPAN}-01"), false),
            (format!("00-{zeros}-{SPAN}-01"), false),
            (format!("00-{ID}-{}-01", &zeros[..16]), false),
            (format!("00-{}-{SPAN}-01", ID.to_uppercase()), false),
            (format!("00-{ID}-{SPAN}-1"), false),
            (format!("00-{ID}-{SPAN}"), false),
            (format!("0-{ID}-{SPAN}-01"), false),
            (format!("00-{ID}{SPAN}-01"), false),
            (format!("00-{}-{SPAN}a-01", &ID[1..]), false),
            (format!("00-{ID}-{SPAN}-0g"), false),
            (format!(" 00-{ID}-{SPAN}-01"), false),
            (format!("00-{ID}-{SPAN}-é"), false),
            (ID.to_owned(), false),
            (String::new(), false),
            ("-".repeat(55), false),
        ] {
            let read = Trace::parse(&parent);
            assert_eq!(read.is_some(), is_one, "{parent}");
            if let Some((trace, span)) = read {
                assert_eq!(trace.id().to_string(), ID);
                assert!(trace.parent(span).starts_with(&format!("00-{ID}-{SPAN}-")), "{parent}");
            }
        }
    }

    #[test]
    fn flags_that_nobody_knows_are_not_handed_on() {
        let (trace, span) = Trace::parse(&format!("00-{ID}-{SPAN}-fd")).unwrap();
        assert_eq!(trace.parent(span), format!("00-{ID}-{SPAN}-01"));
    }

    #[test]
    fn what_others_want_to_find_again_is_kept_unless_it_cannot_be_sent() {
        let (trace, _) = Trace::parse(&format!("00-{ID}-{SPAN}-01")).unwrap();
        let many = ["a=b"; MAX_MEMBERS + 1].join(",");
        let long = format!("a={}", "b".repeat(MAX_STATE));
        for (state, kept) in [
            ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true),
            ("a=b , c=d", true),
            ("a=b,,c=d", true),
            ("", false),
            ("a", false),
            ("=b", false),
            ("a=b\r\nx: y", false),
            ("a=é", false),
            (&*many, false),
            (&*long, false),
        ] {
            let trace = trace.clone().with_state(state);
            assert_eq!(trace.state(), kept.then_some(state), "{state}");
            assert_eq!(trace.to_string().parse(), Ok(trace));
        }
    }
}
