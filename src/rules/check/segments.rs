//! Segments: their names, and which of them may depend on which.
//!
//! Primary segments and cohorts are judged first, then compound ones in the order of their files, so a compound segment
//! may mention all of the former and the compound ones before it. What it mentions through functions counts as well.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr, Position, Stmt};

use super::{Checker, Mistake, Place, Type};
use crate::domain::segment::{MAX_SEGMENT_NAME, MAX_SEGMENTS, Segment, SegmentType, slug};
use crate::domain::text::Name;
use crate::rules::language::Group;

/// A segment that a condition asks for.
#[derive(Debug)]
pub(super) struct Mention {
    /// `None` when it is not a plain text.
    name: Option<String>,
    /// Where in the condition.
    pub(super) position: Position,
}

impl Checker<'_> {
    /// Checks all segments, in the order of their files; gives them as the engine knows them.
    pub(in crate::rules) fn segments(&mut self, groups: &[(usize, Group)]) -> Vec<Segment> {
        self.segment_names = groups.iter().map(|(_, group)| group.name.to_string()).collect();
        let segments = (0..groups.len()).filter_map(|at| self.segment(groups, at)).collect();
        self.dependencies(groups);
        segments
    }

    fn segment(&mut self, groups: &[(usize, Group)], at: usize) -> Option<Segment> {
        let (file, group) = &groups[at];
        self.enter(*file, Place::Segment, None);
        self.variable("member", Type::Member);
        self.condition(&group.condition, "the condition after `when`");
        if at >= MAX_SEGMENTS {
            let message = format!("a program may have {MAX_SEGMENTS} segments; this is one more");
            self.problem(Mistake::TooMany, group.position, message, None);
        }
        let same = groups[..at].iter().find(|(_, other)| slug(&other.name) == slug(&group.name));
        if let Some((first_file, first)) = same {
            let place = format!("{}:{}", self.files[*first_file].name, first.position.line().unwrap_or(1));
            let message = format!("there is already a segment called \"{}\" at {place}", first.name);
            self.problem(
                Mistake::DuplicateName,
                group.name_position,
                message,
                Some("give it a name of its own".to_owned()),
            );
        }
        let name = self.segment_name(group)?;
        let trigger = match &group.trigger {
            None => Name::parse(&slug(&name)).ok()?,
            Some((text, position)) => {
                let parsed = Name::parse(text);
                parsed
                    .map_err(|bad| {
                        let message = format!("the text after `because` {bad}");
                        self.problem(Mistake::InvalidName, *position, message, None);
                    })
                    .ok()?
            }
        };
        Some(Segment { name, kind: group.kind, trigger })
    }

    fn segment_name(&mut self, group: &Group) -> Option<Name> {
        let problem = match Name::parse(&group.name) {
            Err(bad) => bad.to_string(),
            Ok(name) if name.len() > MAX_SEGMENT_NAME => {
                format!("must be at most {MAX_SEGMENT_NAME} bytes long")
            }
            Ok(name) if slug(&name).is_empty() => "must have a letter or a digit".to_owned(),
            Ok(name) => return Some(name),
        };
        let message = format!("the name of a segment {problem}");
        self.problem(Mistake::InvalidName, group.name_position, message, None);
        None
    }

    /// Complains about segments that depend on what is not known yet when they are judged.
    fn dependencies(&mut self, groups: &[(usize, Group)]) {
        let mentions: Vec<Vec<Mention>> =
            groups.iter().map(|(_, group)| self.mentions(&group.condition)).collect();
        let known = |mention: &Mention| {
            let name = mention.name.as_deref()?;
            groups.iter().position(|(_, group)| *group.name == *name)
        };
        let edges: Vec<Vec<usize>> =
            mentions.iter().map(|mentions| mentions.iter().filter_map(known).collect()).collect();
        for (at, (file, group)) in groups.iter().enumerate() {
            self.enter(*file, Place::Segment, None);
            for mention in &mentions[at] {
                let complaint = match (group.kind, known(mention)) {
                    (SegmentType::Primary | SegmentType::Cohort, _) => Some((
                        "only a compound segment is judged by other segments".to_owned(),
                        format!("write segment \"{}\" compound when …", group.name),
                    )),
                    (SegmentType::Compound, Some(other)) => misplaced(groups, &edges, at, other),
                    (SegmentType::Compound, None) if mention.name.is_none() => Some((
                        "which segment this depends on must be clear before it runs".to_owned(),
                        "write its name in quotes".to_owned(),
                    )),
                    (SegmentType::Compound, None) => None, // misspelt: that is said already
                };
                if let Some((message, help)) = complaint {
                    self.problem(Mistake::Conflict, mention.position, message, Some(help));
                }
            }
        }
    }

    /// The segments that a condition asks for, itself or through functions.
    pub(super) fn mentions(&self, condition: &Expr) -> Vec<Mention> {
        let (mut found, mut followed) = (Vec::new(), BTreeSet::new());
        condition.walk(&mut Vec::new(), &mut |path| {
            self.mention(path, None, &mut found, &mut followed);
            true
        });
        found
    }

    /// `called_at` is where the condition calls the function that `path` lies in.
    fn mention(
        &self,
        path: &[ASTNode<'_>],
        called_at: Option<Position>,
        found: &mut Vec<Mention>,
        followed: &mut BTreeSet<String>,
    ) {
        let (call, position) = match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, at) | Expr::MethodCall(call, at))) => (call, *at),
            Some(ASTNode::Stmt(Stmt::FnCall(call, at))) => (call, *at),
            _ => return,
        };
        let position = called_at.unwrap_or(position);
        if call.name == "in_segment" {
            found.push(match call.args.last() {
                Some(Expr::StringConstant(name, at)) => {
                    Mention { name: Some(name.to_string()), position: called_at.unwrap_or(*at) }
                }
                _ => Mention { name: None, position },
            });
        }
        let name = call.name.to_string();
        let asts: Vec<&AST> = self.own(&name).map(|function| function.ast).collect();
        if asts.is_empty() || !followed.insert(name) {
            return;
        }
        for ast in asts {
            ast.walk(&mut |path| {
                self.mention(path, Some(position), found, followed);
                true
            });
        }
    }
}

/// What is wrong with the segment `at` mentioning the segment `other`: message and help.
fn misplaced(
    groups: &[(usize, Group)],
    edges: &[Vec<usize>],
    at: usize,
    other: usize,
) -> Option<(String, String)> {
    let name = |at: usize| &*groups[at].1.name;
    if groups[other].1.kind != SegmentType::Compound || other < at {
        return None;
    }
    let Some(back) = way(edges, other, at) else {
        let message = format!("\"{}\" is declared after this one, and judged after it", name(other));
        return Some((message, "move it before this one".to_owned()));
    };
    let circle: Vec<_> = [at].into_iter().chain(back).map(|at| format!("\"{}\"", name(at))).collect();
    let message = format!("these segments depend on each other in a circle: {}", circle.join(" → "));
    Some((message, "let one of them say what it means without the others".to_owned()))
}

/// The segments from one to another, both included, along what they mention; `None` when no way leads there.
fn way(edges: &[Vec<usize>], from: usize, to: usize) -> Option<Vec<usize>> {
    let mut came_from = vec![None; edges.len()];
    let mut queue = std::collections::VecDeque::from([from]);
    let mut seen = BTreeSet::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            let mut way: Vec<_> = std::iter::successors(Some(at), |at| came_from[*at]).collect();
            way.reverse();
            return Some(way);
        }
        for next in edges[at].iter().copied().filter(|next| seen.insert(*next)) {
            came_from[next] = Some(at);
            queue.push_back(next);
        }
    }
    None
}
