//! Our top-level syntax, as additions to Rhai's parser:
//!
//! ```text
//! rule "name" on order.completed [when <condition>] [priority 10] [campaign "id"] [group "id"] { … }
//! trigger "name" on points.earned [when <condition>] { … }
//! segment "name" [primary | compound | cohort] [because "word"] when <condition>;
//! tier "id" when <condition> [keep when <condition>];
//! test "name" { … expect <condition>; … }
//! ```
//!
//! Nothing is ever run to find out what a file declares: the parser's tree *is* the declaration. All knowledge of the
//! shape of that tree is here and in [`super::check`].

use std::sync::Arc;

use rhai::{
    AST, Dynamic, Engine, EvalContext, Expr, Expression, ImmutableString, LexError, ParseError, Position,
    Stmt,
};

use crate::domain::segment::SegmentType;

pub(super) use super::complaints::failure;
use super::complaints::{bare, instead_of_clause, stray, syntax_error};
use super::diagnostic::{Diagnostic, Mistake, Spot};
use super::split::{self, Keyword, ONLY_DECLARATIONS, Piece};
use super::testing;

/// A declaration as parsed.
#[derive(Debug)]
pub(super) enum Declaration {
    Rule(Block),
    Trigger(Block),
    Segment(Group),
    Tier(Rung),
    Test(Block),
    Function(AST, Position),
    Constant { name: String, position: Position, value: Expr },
}

/// `rule`, `trigger` or `test`: a head and a body.
#[derive(Debug)]
pub(super) struct Block {
    /// Position of the keyword.
    pub(super) position: Position,
    pub(super) name: Arc<str>,
    pub(super) name_position: Position,
    /// The event after `on`, such as `order.completed`; empty for a test.
    pub(super) event: String,
    pub(super) event_position: Position,
    pub(super) condition: Option<Expr>,
    pub(super) priority: i64,
    /// The campaign that it is part of.
    pub(super) campaign: Option<(String, Position)>,
    /// The group of rules of which one counts.
    pub(super) group: Option<(String, Position)>,
    pub(super) body: Expr,
}

/// `segment`: who belongs together.
#[derive(Debug)]
pub(super) struct Group {
    /// Position of the keyword.
    pub(super) position: Position,
    pub(super) name: Arc<str>,
    pub(super) name_position: Position,
    pub(super) kind: SegmentType,
    /// The text after `because`.
    pub(super) trigger: Option<(Arc<str>, Position)>,
    pub(super) condition: Expr,
}

/// `tier`: who reaches it, and who keeps it.
#[derive(Debug)]
pub(super) struct Rung {
    /// Position of the keyword.
    pub(super) position: Position,
    pub(super) name: Arc<str>,
    pub(super) name_position: Position,
    pub(super) reach: Expr,
    pub(super) keep: Option<Expr>,
}

/// What the parser reads instead of `tier` at the begin of a declaration: elsewhere `tier` is a property and a function,
/// which a word of its own could not be. As long as `tier`, so that positions stay.
const TIER: &str = "t__r";

/// Teaches the parser our words.
pub(super) fn register(engine: &mut Engine) {
    let nothing =
        |_: &mut EvalContext<'_, '_, '_, '_, '_, '_>, _: &[Expression<'_>], _: &Dynamic| Ok(Dynamic::UNIT);
    engine.register_custom_syntax_with_state_raw(
        "rule",
        |_, next, state| head(next, state, Head::Rule),
        false,
        nothing,
    );
    engine.register_custom_syntax_with_state_raw(
        "trigger",
        |_, next, state| head(next, state, Head::Trigger),
        false,
        nothing,
    );
    engine.register_custom_syntax_with_state_raw(
        "segment",
        |_, next, state| segment_head(next, state),
        false,
        nothing,
    );
    engine.register_custom_syntax_with_state_raw(
        TIER,
        |_, next, state| tier_head(next, state),
        false,
        nothing,
    );
    engine.register_custom_syntax_with_state_raw("test", |_, _, state| test_head(state), false, nothing);
    engine.register_custom_syntax_with_state_raw(
        "expect",
        |symbols, _, _| Ok((symbols.len() == 1).then(|| "$expr$".into())),
        false,
        |context, inputs, _| testing::expect(context, inputs),
    );
}

/// Where the parser is in the head of a declaration. Kept as a number, which is what the parser can hold; the
/// clauses seen so far are added to it.
mod step {
    pub(super) const NAME: i64 = 0;
    pub(super) const ON: i64 = 1;
    pub(super) const EVENT: i64 = 2;
    pub(super) const AFTER_EVENT: i64 = 3;
    pub(super) const CONDITION: i64 = 4;
    pub(super) const PRIORITY: i64 = 5;
    pub(super) const REASON: i64 = 5;
    pub(super) const CLAUSE: i64 = 6;
    pub(super) const END: i64 = 7;
    pub(super) const NAMED: i64 = 8;
    pub(super) const KEEP: i64 = 9;
    pub(super) const KEEP_CONDITION: i64 = 10;
    pub(super) const MINUS: i64 = 11;
    pub(super) const MASK: i64 = 15;
    pub(super) const SEEN_WHEN: i64 = 16;
    pub(super) const SEEN_PRIORITY: i64 = 32;
    pub(super) const SEEN_CAMPAIGN: i64 = 64;
    pub(super) const SEEN_GROUP: i64 = 128;
    pub(super) const SEEN_TYPE: i64 = 16;
    pub(super) const SEEN_BECAUSE: i64 = 32;
}

type NextSymbol = Result<Option<ImmutableString>, ParseError>;

/// Of what a head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    Rule,
    Trigger,
}

/// What must follow in the head of a rule or trigger, given the next word.
fn head(next: &str, state: &mut Dynamic, of: Head) -> NextSymbol {
    let at = state.as_int().unwrap_or(step::NAME);
    let seen = at & !step::MASK;
    let may_when = seen & step::SEEN_WHEN == 0;
    let may = |clause| of == Head::Rule && seen & clause == 0;
    let may_priority = may(step::SEEN_PRIORITY);
    let [may_campaign, may_group] = [step::SEEN_CAMPAIGN, step::SEEN_GROUP].map(may);
    let (symbol, then) = match (at & step::MASK, next) {
        (step::NAME, _) => ("$string$", step::ON),
        (step::ON, _) => ("on", step::EVENT),
        // `rule.suspended` begins with a word of ours, which is no name to the parser.
        (step::EVENT, "rule") => ("rule", step::AFTER_EVENT),
        (step::EVENT, _) => ("$ident$", step::AFTER_EVENT),
        (step::AFTER_EVENT, ".") => (".", step::EVENT),
        (step::AFTER_EVENT | step::CLAUSE, "when") if may_when => ("when", step::CONDITION | step::SEEN_WHEN),
        (step::AFTER_EVENT | step::CLAUSE, "priority") if may_priority => {
            ("priority", step::PRIORITY | step::SEEN_PRIORITY)
        }
        (step::AFTER_EVENT | step::CLAUSE, "campaign") if may_campaign => {
            ("campaign", step::NAMED | step::SEEN_CAMPAIGN)
        }
        (step::AFTER_EVENT | step::CLAUSE, "group") if may_group => ("group", step::NAMED | step::SEEN_GROUP),
        (step::CONDITION, _) => ("$expr$", step::CLAUSE),
        (step::PRIORITY, "-") => ("-", step::MINUS),
        (step::PRIORITY | step::MINUS, _) => ("$int$", step::CLAUSE),
        (step::NAMED, _) => ("$string$", step::CLAUSE),
        (step::AFTER_EVENT | step::CLAUSE, "{") => ("$block$", step::END),
        (step::END, _) => return Ok(None),
        (_, found) => {
            let clauses = [
                (may_when, "`when`"),
                (may_priority, "`priority`"),
                (may_campaign, "`campaign`"),
                (may_group, "`group`"),
            ];
            return Err(unexpected(&clauses, "`{`", found));
        }
    };
    *state = (then | seen).into();
    Ok(Some(symbol.into()))
}

/// What must follow in the head of a segment, which ends with its condition.
fn segment_head(next: &str, state: &mut Dynamic) -> NextSymbol {
    let at = state.as_int().unwrap_or(step::NAME);
    let seen = at & !step::MASK;
    let may_type = seen & step::SEEN_TYPE == 0;
    let may_because = seen & step::SEEN_BECAUSE == 0;
    let (symbol, then) = match (at & step::MASK, next) {
        (step::NAME, _) => ("$string$", step::CLAUSE),
        (step::CLAUSE, "primary") if may_type => ("primary", step::CLAUSE | step::SEEN_TYPE),
        (step::CLAUSE, "compound") if may_type => ("compound", step::CLAUSE | step::SEEN_TYPE),
        (step::CLAUSE, "cohort") if may_type => ("cohort", step::CLAUSE | step::SEEN_TYPE),
        (step::CLAUSE, "because") if may_because => ("because", step::REASON | step::SEEN_BECAUSE),
        (step::REASON, _) => ("$string$", step::CLAUSE),
        (step::CLAUSE, "when") => ("when", step::CONDITION),
        (step::CONDITION, _) => ("$expr$", step::END),
        (step::END, _) => return Ok(None),
        (_, found) => {
            let types = ["`primary`", "`compound`", "`cohort`"].map(|word| (may_type, word));
            let clauses: Vec<_> = types.into_iter().chain([(may_because, "`because`")]).collect();
            return Err(unexpected(&clauses, "`when`", found));
        }
    };
    *state = (then | seen).into();
    Ok(Some(symbol.into()))
}

/// What must follow in the head of a tier, which ends with its last condition.
fn tier_head(next: &str, state: &mut Dynamic) -> NextSymbol {
    let at = state.as_int().unwrap_or(step::NAME);
    let (symbol, then) = match (at, next) {
        (step::NAME, _) => ("$string$", step::CLAUSE),
        (step::CLAUSE, "when") => ("when", step::CONDITION),
        (step::CONDITION, _) => ("$expr$", step::KEEP),
        (step::KEEP, "keep") => ("keep", step::KEEP_CONDITION),
        (step::KEEP_CONDITION, "when") => ("when", step::KEEP_CONDITION | step::SEEN_WHEN),
        (step::KEEP_CONDITION, found) => return Err(unexpected(&[], "`when`", found)),
        (at, _) if at == step::KEEP_CONDITION | step::SEEN_WHEN => ("$expr$", step::END),
        (step::KEEP | step::END, _) => return Ok(None),
        (_, found) => return Err(unexpected(&[], "`when`", found)),
    };
    *state = then.into();
    Ok(Some(symbol.into()))
}

/// The complaint about a word that no clause begins with: what may stand there, and what `must` in the end.
fn unexpected(clauses: &[(bool, &str)], must: &str, found: &str) -> ParseError {
    let may: Vec<_> = clauses.iter().filter(|(may, _)| *may).map(|(_, word)| *word).collect();
    let wanted = match &may[..] {
        [] => must.to_owned(),
        words => format!("{} or {must}", words.join(", ")),
    };
    let message = match found {
        "" => format!("expected {wanted}, but found the end of the file"),
        "=" => "to compare, write `==`".to_owned(),
        found => match bare(found) {
            Some(found) => {
                let help = instead_of_clause(found, may.iter().map(|word| word.trim_matches('`')));
                let help = help.map_or(String::new(), |help| format!("\n{help}"));
                format!("expected {wanted}, but found `{found}`{help}")
            }
            None => format!("expected {wanted} here"),
        },
    };
    LexError::Runtime(message).into_err(Position::NONE)
}

fn test_head(state: &mut Dynamic) -> NextSymbol {
    let at = state.as_int().unwrap_or(step::NAME);
    let (symbol, then) = match at {
        step::NAME => ("$string$", step::CLAUSE),
        step::CLAUSE => ("$block$", step::END),
        _ => return Ok(None),
    };
    *state = then.into();
    Ok(Some(symbol.into()))
}

/// Parses one declaration of `file`, whose whole text is `text`.
pub(super) fn parse(
    engine: &Engine,
    file: &str,
    text: &str,
    piece: Piece<'_>,
) -> Result<Declaration, Diagnostic> {
    let lines_before = text[..piece.start].matches('\n').count();
    let line_start = text[..piece.start].rfind('\n').map_or(0, |newline| newline + 1);
    let columns_before = text[line_start..piece.start].chars().count();
    // Behind as much blank as stands before it, the parser's positions are the file's.
    let (word, rest) = match piece.keyword {
        Keyword::Tier => (TIER, &piece.text[TIER.len()..]),
        _ => ("", piece.text),
    };
    let padded = format!("{}{}{word}{rest}", "\n".repeat(lines_before), " ".repeat(columns_before));
    let ast = engine.compile(padded).map_err(|error| syntax_error(file, text, piece.start, &error))?;
    let start = Position::new(lines_before as u16 + 1, columns_before as u16 + 1);
    declaration(ast, piece.keyword, start).map_err(|position| {
        let spot = Spot::of_position(text, position.or_else(start));
        let help = stray(&spot);
        Diagnostic::new(Mistake::Syntax, file, spot, ONLY_DECLARATIONS).help(help)
    })
}

/// Parses what is nothing but a condition.
pub(super) fn condition(engine: &Engine, file: &str, text: &str) -> Result<Expr, Diagnostic> {
    split::readable(file, text)?;
    let ast = engine.compile_expression(text).map_err(|error| {
        let problem = syntax_error(file, text, 0, &error);
        let usual = "write one condition; what takes more can be a function of the program".to_owned();
        let help = problem.help.clone().or(Some(usual));
        problem.maybe_help(help)
    })?;
    match ast.statements() {
        [Stmt::Expr(condition)] => Ok(Expr::clone(condition)),
        _ => {
            let message = "this is no condition";
            Err(Diagnostic::new(Mistake::Syntax, file, Spot::of_offset(text, 0), message))
        }
    }
}

/// The one declaration of a parsed piece, or the position of what is not part of it.
fn declaration(ast: AST, keyword: Keyword, start: Position) -> Result<Declaration, Position> {
    let mut statements = ast.statements().iter().filter(|s| !matches!(s, Stmt::Noop(_)));
    let first = statements.next();
    if let Some(second) = statements.next() {
        return Err(second.position());
    }
    let position = first.map_or(Position::NONE, Stmt::position);
    match (keyword, first) {
        (Keyword::Function, None) if ast.iter_fn_def().count() == 1 => Ok(Declaration::Function(ast, start)),
        (Keyword::Constant, Some(Stmt::Var(parts, _, position))) => {
            let (name, value, _) = &**parts;
            Ok(Declaration::Constant {
                name: name.name.to_string(),
                position: name.pos.or_else(*position),
                value: value.clone(),
            })
        }
        (keyword, Some(Stmt::Expr(expr))) => match &**expr {
            Expr::Custom(custom, position) if keyword == Keyword::Segment => {
                group(custom, *position).map(Declaration::Segment).ok_or(*position)
            }
            Expr::Custom(custom, position) if keyword == Keyword::Tier => {
                rung(custom, *position).map(Declaration::Tier).ok_or(*position)
            }
            Expr::Custom(custom, position) => {
                let block = block(custom, *position).ok_or(*position)?;
                match keyword {
                    Keyword::Rule => Ok(Declaration::Rule(block)),
                    Keyword::Trigger => Ok(Declaration::Trigger(block)),
                    Keyword::Test => Ok(Declaration::Test(block)),
                    Keyword::Segment | Keyword::Tier | Keyword::Function | Keyword::Constant => {
                        Err(*position)
                    }
                }
            }
            other => Err(other.position()),
        },
        _ => Err(position),
    }
}

/// Reads head and body from what the parser kept: `tokens` has one entry a symbol, `inputs` one for each `$…$`.
fn block(custom: &rhai::CustomExpr, position: Position) -> Option<Block> {
    let mut inputs = custom.inputs.iter();
    let name = inputs.next()?;
    let mut block = Block {
        position,
        name: Arc::from(text_of(name)?),
        name_position: name.position(),
        event: String::new(),
        event_position: Position::NONE,
        condition: None,
        priority: 0,
        campaign: None,
        group: None,
        body: Expr::Unit(position),
    };
    let mut clause = "";
    for token in custom.tokens.iter().skip(2) {
        if token == "rule" {
            block.event.push_str(token);
        }
        if !token.starts_with('$') {
            clause = token;
            continue;
        }
        let input = inputs.next()?;
        match (&**token, input) {
            ("$ident$", Expr::Variable(variable, ..)) => {
                let joint = if block.event.is_empty() { "" } else { "." };
                block.event_position = block.event_position.or_else(input.position());
                block.event.push_str(joint);
                block.event.push_str(&variable.1);
            }
            ("$expr$", condition) => block.condition = Some(condition.clone()),
            ("$int$", Expr::IntegerConstant(priority, _)) => {
                block.priority = if clause == "-" { -*priority } else { *priority };
            }
            ("$string$", id) => {
                let id = (text_of(id)?.to_owned(), id.position());
                match clause {
                    "campaign" => block.campaign = Some(id),
                    "group" => block.group = Some(id),
                    _ => return None,
                }
            }
            ("$block$", body) => block.body = body.clone(),
            _ => return None,
        }
    }
    Some(block)
}

/// [`block`], of a segment.
fn group(custom: &rhai::CustomExpr, position: Position) -> Option<Group> {
    let kind = custom.tokens.iter().find_map(|token| match token.as_str() {
        "compound" => Some(SegmentType::Compound),
        "cohort" => Some(SegmentType::Cohort),
        _ => None,
    });
    let (name, reason, condition) = match &custom.inputs[..] {
        [name, condition] => (name, None, condition),
        [name, reason, condition] => (name, Some(reason), condition),
        _ => return None,
    };
    Some(Group {
        position,
        name: Arc::from(text_of(name)?),
        name_position: name.position(),
        kind: kind.unwrap_or_default(),
        trigger: match reason {
            Some(reason) => Some((Arc::from(text_of(reason)?), reason.position())),
            None => None,
        },
        condition: condition.clone(),
    })
}

/// [`block`], of a tier.
fn rung(custom: &rhai::CustomExpr, position: Position) -> Option<Rung> {
    let (name, reach, keep) = match &custom.inputs[..] {
        [name, reach] => (name, reach, None),
        [name, reach, keep] => (name, reach, Some(keep.clone())),
        _ => return None,
    };
    let (name, name_position) = (Arc::from(text_of(name)?), name.position());
    Some(Rung { position, name, name_position, reach: reach.clone(), keep })
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::StringConstant(text, _) => Some(text),
        _ => None,
    }
}
