//! From what is parsed to what runs without the interpreter. Whatever is not known for certain is left to it.

mod kind;
mod statements;
mod words;

use std::cell::Cell;
use std::collections::BTreeMap;

use rhai::{AST, Dynamic, Expr, FnCallExpr, Position};

use super::block::Block;
use super::frame::{MEMBER, Subject};
use super::term::{Call, MAX_PARAMETERS, Term};
use crate::rules::number::Reckoning;
use crate::rules::scales::in_steps;
use crate::rules::sign::Sign;
use crate::rules::vocabulary::Type;
use kind::Kind;

/// Functions may call each other this deep here; the interpreter goes deeper.
const MAX_LEVELS: usize = 3;
/// The most nodes that are compiled for one condition or body, with the functions that it calls each time they are called.
const MAX_NODES: u32 = 2_000;

/// The most nodes that are compiled for one program: some ten times what a large one has.
pub(in crate::rules) const MAX_NODES_OF_ALL: u32 = 200_000;

/// What a condition or a body can see.
#[derive(Debug, Clone, Copy)]
pub(in crate::rules) struct Sight<'a> {
    /// The variable besides `member`, with its type.
    pub(in crate::rules) event: Option<(&'static str, Type)>,
    pub(in crate::rules) constants: &'a BTreeMap<String, Dynamic>,
    /// How many nodes may still be compiled for the program.
    pub(in crate::rules) left: &'a Cell<u32>,
    /// The functions of the program, each parsed alone.
    pub(in crate::rules) functions: &'a [(usize, AST, Position)],
}

/// A variable of the body; its place is how many come before it.
#[derive(Debug)]
struct Variable {
    name: String,
    kind: Kind,
    may_change: bool,
}

/// Where the compiler stood.
#[derive(Debug, Clone, Copy)]
struct Mark {
    effects: u32,
    changed: usize,
    variables: usize,
}

/// One condition or body at work.
#[derive(Debug)]
pub(super) struct Compiler<'a> {
    sight: Sight<'a>,
    variables: Vec<Variable>,
    /// Where the variables begin that the function sees which is compiled now.
    visible: usize,
    /// How many functions are around what is compiled now.
    level: usize,
    /// How many nodes there were.
    nodes: u32,
    /// How many `break` and `continue` there were whose loop has not ended.
    leaves: usize,
    /// How many effects may be asked for.
    effects: u32,
    /// The first place of which the variable is changed.
    changed: usize,
    /// What the `return`s of the function come to which is compiled now.
    returns: Vec<Kind>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(sight: Sight<'a>) -> Self {
        Self {
            sight,
            variables: Vec::new(),
            visible: 0,
            level: 0,
            nodes: 0,
            leaves: 0,
            effects: 0,
            changed: usize::MAX,
            returns: Vec::new(),
        }
    }

    /// Something that is true or false.
    pub(super) fn truth(&mut self, expr: &Expr) -> Option<Term> {
        self.term(expr).filter(|(_, kind)| *kind == Kind::Sure(Type::Bool)).map(|(term, _)| term)
    }

    fn truths<'e>(&mut self, parts: impl Iterator<Item = &'e Expr>) -> Option<Box<[Term]>> {
        parts.map(|part| self.truth(part)).collect()
    }

    fn number(&mut self, expr: &Expr) -> Option<(Term, Kind)> {
        self.term(expr).filter(|(_, kind)| kind.is_number())
    }

    fn term(&mut self, expr: &Expr) -> Option<(Term, Kind)> {
        self.count()?;
        if let Some(value) = self.constant(expr) {
            let kind = Kind::of(&value)?;
            // The interpreter counts what is heavy as more steps, too.
            self.weigh(in_steps(&value).try_into().ok()?)?;
            return Some((Term::Known(value), kind));
        }
        const TRUTH: Kind = Kind::Sure(Type::Bool);
        match expr {
            Expr::And(parts, _) => self.truths(parts.iter()).map(|parts| (Term::All(parts), TRUTH)),
            Expr::Or(parts, _) => self.truths(parts.iter()).map(|parts| (Term::Any(parts), TRUTH)),
            Expr::Variable(variable, ..) => self.variable(&variable.1),
            // `in` is read as `contains`, a word, and the parser marks signs only.
            Expr::FnCall(call, _) if call.op_token.is_some() => self.sign(call),
            Expr::FnCall(call, position) => self.call(call, *position),
            Expr::Dot(pair, ..) => self.path(&pair.lhs, &pair.rhs),
            Expr::Stmt(block) => {
                let exits = (self.leaves, self.returns.len());
                let (block, kind) = self.block(block.iter())?;
                // What leaves more than this block is no value.
                (exits == (self.leaves, self.returns.len())).then_some((Term::Block(block), kind))
            }
            _ => None,
        }
    }

    fn count(&mut self) -> Option<()> {
        self.weigh(1)
    }

    /// Counts so many nodes, of this and of all that is compiled of the program.
    fn weigh(&mut self, nodes: u32) -> Option<()> {
        self.nodes += nodes;
        let left = self.sight.left.get().checked_sub(nodes)?;
        self.sight.left.set(left);
        (self.nodes <= MAX_NODES).then_some(())
    }

    /// What is written out, or a constant.
    fn constant(&self, expr: &Expr) -> Option<Dynamic> {
        match expr {
            Expr::IntegerConstant(number, _) => Some((*number).into()),
            Expr::StringConstant(text, _) => Some(text.clone().into()),
            Expr::BoolConstant(truth, _) => Some((*truth).into()),
            Expr::DynamicConstant(value, _) => Some((**value).clone()),
            Expr::Variable(variable, ..) if !self.is_variable(&variable.1) => {
                self.sight.constants.get(variable.1.as_str()).cloned()
            }
            Expr::FnCall(call, _) if call.op_token.is_some() && call.name == "-" => {
                let [number] = &call.args[..] else { return None };
                let number = self.constant(number)?;
                let whole = number.as_int().ok().and_then(i64::checked_neg).map(Dynamic::from);
                whole.or_else(|| number.as_decimal().ok().map(|number| Dynamic::from(-number)))
            }
            _ => None,
        }
    }

    fn is_variable(&self, name: &str) -> bool {
        self.place(name).is_some() || self.subject(name).is_some()
    }

    /// The place of a variable of the body.
    fn place(&self, name: &str) -> Option<usize> {
        let visible = self.variables.iter().enumerate().skip(self.visible);
        visible.filter(|(_, variable)| variable.name == name).map(|(at, _)| at).next_back()
    }

    /// What every rule of the event sees, but no function.
    fn subject(&self, name: &str) -> Option<(Subject, Type)> {
        match self.sight.event {
            _ if self.level > 0 => None,
            _ if name == MEMBER => Some((Subject::Member, Type::Member)),
            Some((event, kind)) if name == event => Some((Subject::Event(event), kind)),
            _ => None,
        }
    }

    fn variable(&self, name: &str) -> Option<(Term, Kind)> {
        if let Some(at) = self.place(name) {
            return Some((Term::Local(at), self.variables[at].kind));
        }
        self.subject(name).map(|(subject, kind)| (Term::Subject(subject), Kind::Sure(kind)))
    }

    fn sign(&mut self, call: &FnCallExpr) -> Option<(Term, Kind)> {
        const TRUTH: Kind = Kind::Sure(Type::Bool);
        match (&*call.name, &call.args[..]) {
            ("!", [operand]) => self.truth(operand).map(|term| (Term::Not(term.into()), TRUTH)),
            ("-", [operand]) => {
                let (term, kind) = self.number(operand)?;
                Some((Term::Negative(term.into()), kind))
            }
            (sign, [left, right]) => {
                if let Some(reckoning) = Reckoning::parse(sign) {
                    let ((left, kind), (right, other)) = (self.number(left)?, self.number(right)?);
                    return Some((Term::Reckoned(reckoning, [left, right].into()), kind.reckoned(other)));
                }
                let sign = Sign::parse(sign)?;
                let ((left, kind), (right, other)) = (self.term(left)?, self.term(right)?);
                let has_order = kind != TRUTH || matches!(sign, Sign::Is | Sign::IsNot);
                let sort = kind.compares_with(other).filter(|_| has_order)?;
                Some((Term::Compared(sign, sort, [left, right].into()), TRUTH))
            }
            _ => None,
        }
    }

    /// `value in 7..10`, of whole numbers.
    fn within(&mut self, value: &Expr, range: &FnCallExpr) -> Option<(Term, Kind)> {
        let [from, to] = &range.args[..] else { return None };
        let whole = |expr| self.constant(expr).and_then(|known| known.as_int().ok());
        let (from, to) = (whole(from)?, whole(to)?);
        let to = match &*range.name {
            ".." => to.checked_sub(1)?,
            "..=" => to,
            _ => return None,
        };
        let (term, kind) = self.term(value)?;
        let is_whole = kind == Kind::Sure(Type::Whole);
        is_whole.then_some((Term::Within(Box::new((term, from..=to))), Kind::Sure(Type::Bool)))
    }

    /// A function, of the program or of the vocabulary.
    fn call(&mut self, call: &FnCallExpr, position: Position) -> Option<(Term, Kind)> {
        if call.capture_parent_scope {
            return None;
        }
        if let ("contains", [Expr::FnCall(range, _), value]) = (&*call.name, &call.args[..])
            && range.op_token.is_some()
        {
            return self.within(value, range);
        }
        let (before, mut arguments) = (self.mark(), Vec::new());
        for argument in &call.args {
            arguments.push(self.term(argument)?);
        }
        if self.does_since(before) && arguments.len() > 1 {
            return None;
        }
        match self.function(&call.name, arguments.len()) {
            Some(function) => self.called(function, arguments),
            None => self.word((&call.name, false), arguments, position),
        }
    }

    /// A function of the program, by its name and the number of its parameters.
    fn function(&self, name: &str, parameters: usize) -> Option<&'a AST> {
        let is_it = |ast: &&AST| {
            let mut known = ast.iter_fn_def();
            known.any(|known| known.name == name && known.params.len() == parameters)
        };
        self.sight.functions.iter().map(|(_, ast, _)| ast).find(is_it)
    }

    /// The body of a function, as it is for what it is handed here.
    fn called(&mut self, function: &'a AST, arguments: Vec<(Term, Kind)>) -> Option<(Term, Kind)> {
        if self.level >= MAX_LEVELS || arguments.len() > MAX_PARAMETERS {
            return None;
        }
        let definition = function.iter_fn_def().next()?;
        let (first, around) = (self.variables.len(), self.visible);
        let returns = std::mem::take(&mut self.returns);
        for (name, (_, kind)) in definition.params.iter().zip(&arguments) {
            self.declare(Variable { name: name.to_string(), kind: *kind, may_change: false })?;
        }
        (self.visible, self.level) = (first, self.level + 1);
        let (body, kind) = self.function_body(function)?;
        (self.visible, self.level) = (around, self.level - 1);
        self.variables.truncate(first);
        let returned = std::mem::replace(&mut self.returns, returns);
        let kind = returned.into_iter().fold(kind, Kind::or);
        let arguments = arguments.into_iter().map(|(term, _)| term).collect();
        Some((Term::Call(Box::new(Call { first, arguments, body })), kind))
    }

    /// Where the compiler stands before it looks at operands.
    fn mark(&mut self) -> Mark {
        let changed = std::mem::replace(&mut self.changed, usize::MAX);
        Mark { effects: self.effects, changed, variables: self.variables.len() }
    }

    /// Whether operands do more than come to something: ask for effects, or change a variable that others see. The interpreter
    /// does not look at all of them from left to right, so several of them are its own where one is so.
    fn does_since(&mut self, before: Mark) -> bool {
        let does = self.effects > before.effects || self.changed < before.variables;
        self.changed = self.changed.min(before.changed);
        does
    }

    fn path(&mut self, owner: &Expr, rest: &Expr) -> Option<(Term, Kind)> {
        let before = self.mark();
        let mut term = self.term(owner)?;
        let (mut rest, mut is_alone) = (rest, true);
        loop {
            let (step, more) = match rest {
                Expr::Dot(pair, ..) => (&pair.lhs, Some(&pair.rhs)),
                last => (last, None),
            };
            is_alone &= !matches!(step, Expr::MethodCall(call, _) if !call.args.is_empty());
            term = self.step(term, step)?;
            match more {
                Some(more) => rest = more,
                None => return (!self.does_since(before) || is_alone).then_some(term),
            }
        }
    }

    /// A property or a method of what comes before it.
    fn step(&mut self, owner: (Term, Kind), expr: &Expr) -> Option<(Term, Kind)> {
        self.count()?;
        match expr {
            Expr::Property(names, position) => self.word((&names.2, true), vec![owner], *position),
            Expr::MethodCall(call, position) => {
                let mut arguments = vec![owner];
                for argument in &call.args {
                    arguments.push(self.term(argument)?);
                }
                // A function of the program would come first.
                let is_own = self.function(&call.name, call.args.len()).is_some();
                (!is_own).then(|| self.word((&call.name, false), arguments, *position))?
            }
            _ => None,
        }
    }
}

/// The body of a rule or a trigger.
pub(super) fn body(expr: &Expr, sight: Sight<'_>) -> Option<Block> {
    let Expr::Stmt(block) = expr else { return None };
    let (block, _) = Compiler::new(sight).block(block.iter())?;
    Some(block)
}
