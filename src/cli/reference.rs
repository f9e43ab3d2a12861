//! `punchcard reference`: the page of all words of rules.

use crate::rules::reference;

use super::out;

/// Print the reference of all words that rules can use, as Markdown
#[derive(Debug, clap::Args)]
pub(super) struct Reference {}

pub(super) fn run() {
    out::text(&reference::markdown());
}
