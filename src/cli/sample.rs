//! The sample chain, inside the program: `demo` and `bench` need nothing but the binary.

use std::io;
use std::path::Path;

/// The id of the sample chain.
pub(super) const CHAIN: &str = "harvest";

const FILES: &[(&str, &str)] = &[
    ("program.toml", include_str!("../../rules/harvest/program.toml")),
    ("earning.rhai", include_str!("../../rules/harvest/earning.rhai")),
    ("lifecycle.rhai", include_str!("../../rules/harvest/lifecycle.rhai")),
    ("segments.rhai", include_str!("../../rules/harvest/segments.rhai")),
    ("tiers.rhai", include_str!("../../rules/harvest/tiers.rhai")),
    ("triggers.rhai", include_str!("../../rules/harvest/triggers.rhai")),
];

/// Writes a rules folder with the sample chain.
///
/// # Errors
/// The system's reason.
pub(super) fn write_rules(folder: &Path) -> io::Result<()> {
    let chain = folder.join(CHAIN);
    std::fs::create_dir_all(&chain)?;
    FILES.iter().try_for_each(|(name, text)| std::fs::write(chain.join(name), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_sample_chain_is_inside_the_program() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join(CHAIN);
        let mut on_disk: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        on_disk.sort();
        let mut inside: Vec<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        inside.sort();
        assert_eq!(inside, on_disk);
    }
}
