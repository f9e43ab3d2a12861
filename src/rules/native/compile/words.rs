//! Words of the vocabulary, by what they are handed.

use arrayvec::ArrayVec;
use rhai::{Dynamic, Position};

use super::Compiler;
use super::kind::Kind;
use crate::rules::api::VOCABULARY;
use crate::rules::native::term::{Asked, MAX_ARGUMENTS, Term, Way};
use crate::rules::vocabulary::{Type, Word};

impl Compiler<'_> {
    /// A property, a method, a function or an effect.
    pub(super) fn word(
        &mut self,
        (name, is_property): (&str, bool),
        arguments: Vec<(Term, Kind)>,
        position: Position,
    ) -> Option<(Term, Kind)> {
        let kinds: ArrayVec<Kind, MAX_ARGUMENTS> = arguments
            .iter()
            .map(|(_, kind)| Some(*kind))
            .collect::<Option<Vec<_>>>()?
            .as_slice()
            .try_into()
            .ok()?;
        let words: Vec<&Word> = (VOCABULARY.words.iter())
            .filter(|word| word.is_property == is_property && word.name == name && takes(word, &kinds))
            .collect();
        let in_place =
            matches!(&arguments[..], [(Term::Subject(_) | Term::Local(_), kind), ..] if is_view(*kind));
        let effects = words.iter().filter(|word| word.effect.is_some()).count();
        let is_effect = match effects {
            0 => false,
            all if all == words.len() => true,
            _ => return None,
        };
        let mut ways = Vec::new();
        for word in &words {
            let native = if is_effect { &word.effect } else { &word.native };
            let looked_at = kinds.iter().zip(&word.params).skip(in_place.into());
            let takes = looked_at.map(|(kind, param)| (*kind == Kind::Number).then_some(*param)).collect();
            ways.push(Way { takes, native: native.clone()? });
        }
        let kind = words.iter().map(|word| returned(word.returns)).reduce(Kind::or)?;
        let effect = is_effect.then_some((words.first()?.name, position));
        let arguments: Box<[Term]> = arguments.into_iter().map(|(term, _)| term).collect();
        let known = if is_effect { None } else { settled(&arguments, &ways) };
        let asked = || Term::Asked(Asked { ways: ways.into(), arguments, in_place, effect });
        Some((known.map_or_else(asked, Term::Known), kind))
    }
}

/// What always comes to the same, such as `30.days`.
fn settled(arguments: &[Term], ways: &[Way]) -> Option<Dynamic> {
    let [Way { takes, native }] = ways else { return None };
    let known = |term: &Term| match term {
        Term::Known(value) => Some(value.clone()),
        _ => None,
    };
    let mut values: Vec<Dynamic> = arguments.iter().map(known).collect::<Option<_>>()?;
    let mut handed: Vec<&mut Dynamic> = values.iter_mut().collect();
    if takes.iter().all(Option::is_none) { native.call(&mut handed) } else { None }
}

/// Whether a word takes these; of a number of which the kind is not known it must take one.
fn takes(word: &Word, kinds: &[Kind]) -> bool {
    let fits = |(param, kind): (&Type, &Kind)| match kind {
        _ if *param == Type::Any => true,
        Kind::Sure(known) => param == known,
        Kind::Number => param.is_number(),
        Kind::Unclear | Kind::Never => false,
    };
    word.params.len() == kinds.len() && word.params.iter().zip(kinds).all(fits)
}

/// What a word of this type gives.
fn returned(returns: Type) -> Kind {
    if returns.is_open() { Kind::Unclear } else { Kind::Sure(returns) }
}

/// Whether words borrow a value of this kind, which is one of ours: plain values they take.
fn is_view(kind: Kind) -> bool {
    use Type::{Cart, Event, Item, Items, Member, Moment, Order, Refund, Session, Tick, Visit};
    let views = [Cart, Event, Item, Items, Member, Moment, Order, Refund, Session, Tick, Visit];
    matches!(kind, Kind::Sure(known) if views.contains(&known))
}
