//! Words of the vocabulary, by what they are handed.

use arrayvec::ArrayVec;
use rhai::{Dynamic, Position};

use super::Compiler;
use super::kind::Kind;
use crate::rules::api::VOCABULARY;
use crate::rules::native::term::{Asked, MAX_ARGUMENTS, Term, is_small};
use crate::rules::vocabulary::{Type, Word};

impl Compiler<'_> {
    /// A property, a method, a function or an effect.
    pub(super) fn word(
        &mut self,
        (name, is_property): (&str, bool),
        arguments: Vec<(Term, Kind)>,
        position: Position,
    ) -> Option<(Term, Kind)> {
        if arguments.len() > MAX_ARGUMENTS {
            return None;
        }
        let kinds: ArrayVec<Kind, MAX_ARGUMENTS> = arguments.iter().map(|(_, kind)| *kind).collect();
        let words: Vec<&'static Word> = (VOCABULARY.words.iter())
            .filter(|word| word.is_property == is_property && word.name == name && takes(word, &kinds))
            .collect();
        let in_place =
            matches!(&arguments[..], [(Term::Subject(_) | Term::Local(_), kind), ..] if is_view(*kind));
        // What needs more of the interpreter than to be called is not for us.
        let are_effects = words.iter().all(|word| word.effect.is_some());
        if !are_effects && !words.iter().all(|word| word.native.is_some()) {
            return None;
        }
        self.effects += u32::from(are_effects);
        let mut looked_at = [false; MAX_ARGUMENTS];
        looked_at.iter_mut().zip(&kinds).for_each(|(looked_at, kind)| *looked_at = *kind == Kind::Number);
        let kind = words.iter().map(|word| returned(word.returns)).reduce(Kind::or)?;
        let arguments: Box<[Term]> = arguments.into_iter().map(|(term, _)| term).collect();
        let known = settled(&arguments, &words);
        let asked =
            || Term::Asked(Box::new(Asked { words: words.into(), arguments, looked_at, in_place, position }));
        Some((known.map_or_else(asked, Term::Known), kind))
    }
}

/// What always comes to the same, such as `30.days`.
fn settled(arguments: &[Term], words: &[&Word]) -> Option<Dynamic> {
    let [word] = words else { return None };
    let known = |term: &Term| match term {
        Term::Known(value) => Some(value.clone()),
        _ => None,
    };
    let mut values: Vec<Dynamic> = arguments.iter().map(known).collect::<Option<_>>()?;
    let mut handed: Vec<&mut Dynamic> = values.iter_mut().collect();
    word.native.as_ref()?.call(None, &mut handed)?.ok().filter(is_small)
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
