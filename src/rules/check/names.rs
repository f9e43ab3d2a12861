//! Names: of rules, triggers, tests and functions.

use std::collections::BTreeMap;

use rhai::{AST, Position};

use crate::domain::text::Name;

use super::{Checker, Function, Mistake, Place};
use crate::rules::api::VOCABULARY;
use crate::rules::language::Block;
use crate::rules::suggest;

/// The most parameters of a function: all of them are held at once.
const MAX_PARAMETERS: usize = 20;

impl<'a> Checker<'a> {
    /// Names must be usable, and tell apart what they name.
    pub(in crate::rules) fn names(
        &mut self,
        rules: &[(usize, Block)],
        triggers: &[(usize, Block)],
        tests: &[(usize, Block)],
    ) {
        self.rule_names = rules.iter().map(|(_, block)| block.name.to_string()).collect();
        for (kind, blocks) in [("rule", rules), ("trigger", triggers), ("test", tests)] {
            let mut seen: BTreeMap<&str, (usize, Position)> = BTreeMap::new();
            for (file, block) in blocks {
                self.enter(*file, Place::Anywhere, None);
                if let Err(bad) = Name::parse(&block.name) {
                    self.problem(
                        Mistake::InvalidName,
                        block.name_position,
                        format!("the name of a {kind} {bad}"),
                        None,
                    );
                }
                match seen.get(&*block.name) {
                    Some((first_file, first)) => {
                        let place = format!("{}:{}", self.files[*first_file].name, first.line().unwrap_or(1));
                        let message =
                            format!("there is already a {kind} called \"{}\" at {place}", block.name);
                        self.problem(
                            Mistake::DuplicateName,
                            block.name_position,
                            message,
                            Some("give it a name of its own".to_owned()),
                        );
                    }
                    None => drop(seen.insert(&block.name, (*file, block.position))),
                }
            }
        }
    }

    /// The campaign and the group of a rule must be there.
    pub(super) fn joined(&mut self, block: &Block) {
        let terms = &self.manifest.terms;
        let campaigns: Vec<&str> = terms.campaigns.iter().map(|campaign| &*campaign.id).collect();
        let groups: Vec<&str> = terms.groups.iter().map(|group| &*group.id).collect();
        for (clause, known, what) in
            [(&block.campaign, campaigns, "campaign"), (&block.group, groups, "group")]
        {
            let Some((name, position)) = clause else { continue };
            if !known.contains(&name.as_str()) {
                let help = suggest::or_list(name, known)
                    .or_else(|| Some(format!("write [[{what}s]] for it in program.toml")));
                self.problem(
                    Mistake::UnknownName,
                    *position,
                    format!("there is no {what} called `{name}`"),
                    help,
                );
            }
        }
    }

    /// Takes stock of the functions, before any of their uses are checked.
    pub(super) fn declare_functions(&mut self, functions: &'a [(usize, AST, Position)]) {
        for (file, ast, position) in functions {
            self.enter(*file, Place::Anywhere, None);
            for definition in ast.iter_fn_def() {
                let name = definition.name.to_string();
                let params: Vec<String> = definition.params.iter().map(ToString::to_string).collect();
                if let Some((message, help)) = self.misnamed(&name, params.len()) {
                    self.problem(Mistake::DuplicateName, *position, message, Some(help.to_owned()));
                }
                if definition.this_type.is_some() {
                    self.problem(Mistake::Syntax, *position, "a function cannot belong to a type", None);
                }
                if params.len() > MAX_PARAMETERS {
                    let message = format!("a function may have {MAX_PARAMETERS} parameters");
                    self.problem(Mistake::TooMany, *position, message, Some("hand over a list".to_owned()));
                }
                self.functions_by_name.entry(name.clone()).or_default().push(self.functions.len());
                let position = *position;
                self.functions.push(Function { file: *file, name, params, position, ast, uses: Vec::new() });
            }
        }
    }

    fn misnamed(&self, name: &str, params: usize) -> Option<(String, &'static str)> {
        let help = "give your function another name";
        if VOCABULARY.words.iter().any(|word| !word.is_property && word.name == name) {
            return Some((format!("`{name}` is a word of the rule language"), help));
        }
        if self.constants.contains_key(name) {
            return Some((format!("there is already a constant called `{name}`"), help));
        }
        let known = self.own(name).find(|other| other.params.len() == params)?;
        let place = format!("{}:{}", self.files[known.file].name, known.position.line().unwrap_or(1));
        Some((format!("there is already a function called `{name}` at {place}"), help))
    }
}
