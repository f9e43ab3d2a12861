//! x
/// Check
#[derive(Debug, clap::Args)]
pub(super) struct Check {}
pub(super) fn run(_: &Check) -> Result<(), super::Failure> {
    Ok(())
}
