//! `mark`: what it marks a guest as, and who else does.

use rhai::{Expr, Position};

use super::{Checker, Mistake};
use crate::domain::member::Status;
use crate::rules::vocabulary::Role;

impl Checker<'_> {
    /// `mark(status)` or `mark("at_risk", level)`.
    pub(super) fn mark(&mut self, args: &[&Expr], position: Position) {
        let status = match args.first() {
            Some(Expr::StringConstant(text, _)) => Some(text.as_str()),
            _ => None,
        };
        if let [first, level] = args {
            self.named(Role::Status, first);
            self.named(Role::RiskLevel, level);
            let has_levels = |status: &str| status == Status::AtRisk.as_str();
            if status.is_some_and(|status| !has_levels(status) && is_status(status)) {
                let help = Some("write mark(\"at_risk\", \"HIGH\")".to_owned());
                self.problem(Mistake::WrongArgument, super::start(first), "only `at_risk` has levels", help);
            }
        }
        let is_back = status == Some(Status::Active.as_str());
        let is_own =
            status.is_some_and(|name| self.manifest.terms.marks.iter().any(|mark| mark.as_str() == name));
        if self.manifest.terms.lifecycle.is_some() && !is_back && !is_own {
            let help = "leave it to one of them: delete this, or [lifecycle] in program.toml";
            self.problem(
                Mistake::Conflict,
                position,
                "[lifecycle] in program.toml marks guests already",
                Some(help.to_owned()),
            );
        }
    }
}

fn is_status(text: &str) -> bool {
    Status::ALL.iter().any(|status| status.as_str() == text)
}
