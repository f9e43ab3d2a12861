//! x
/// Demo
#[derive(Debug, clap::Args)]
pub(super) struct Demo {}
pub(super) fn run(_: &Demo) -> Result<(), super::Failure> {
    Ok(())
}
