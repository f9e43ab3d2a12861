//! stub
use super::code::*;
use super::diagnostic::*;
use super::language::Block;
use super::manifest::Manifest;
use crate::domain::loyalty_event::EventType;
use rhai::*;
use std::collections::BTreeMap;
pub(super) fn too_deep(_e: &Expr) -> bool {
    false
}
pub(super) struct Checker {
    problems: Vec<Diagnostic>,
}
impl Checker {
    pub(super) fn new(
        _m: &Manifest,
        _c: &BTreeMap<String, Dynamic>,
        _f: &[File],
        _fns: &[(usize, AST)],
    ) -> Self {
        Self { problems: Vec::new() }
    }
    pub(super) fn names(&mut self, _r: &[(usize, Block)], _t: &[(usize, Block)], _x: &[(usize, Block)]) {}
    pub(super) fn rule(&mut self, _f: usize, b: &Block) -> Option<RuleEvent> {
        RuleEvent::all().find(|e| e.as_str() == b.event)
    }
    pub(super) fn trigger(&mut self, _f: usize, b: &Block) -> Option<EventType> {
        b.event.parse().ok()
    }
    pub(super) fn test(&mut self, _f: usize, _b: &Block) {}
    pub(super) fn functions(&mut self) {}
    pub(super) fn problems(self) -> Vec<Diagnostic> {
        self.problems
    }
}
