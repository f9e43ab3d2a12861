//! Reads a chain's folder. The only I/O of this module.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::domain::chain::ChainId;

use super::diagnostic::{Diagnostic, Mistake, Spot};
use super::engine::MAX_FILE_BYTES;
use super::manifest;
use super::program::Sources;

/// The most files in one folder.
const MAX_FILES: usize = 100;

/// Why a folder cannot be read.
#[derive(Debug)]
enum FolderError {
    /// Missing, no directory, no permission, …
    Unreadable { file: String, why: io::Error },
    /// A file is not UTF-8. Holds the part before the first byte that is wrong.
    NotText { file: String, before: String },
    /// A file is larger than can be loaded.
    TooLarge { file: String, bytes: u64 },
    /// More files than can be loaded.
    TooManyFiles,
    /// A name that no rules file can have.
    Misnamed { file: String },
}

impl From<FolderError> for Diagnostic {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Unreadable { file, why } => {
                Self::of_file(Mistake::UnreadableFile, &file, format!("cannot be read: {why}"))
                    .help("make it readable for the user that runs punchcard")
            }
            FolderError::NotText { file, before } => {
                let spot = Spot::of_offset(&before, before.len());
                Self::new(Mistake::UnreadableFile, &file, spot, "is not text in UTF-8 from here on")
                    .help("save the file again as UTF-8")
            }
            FolderError::TooLarge { file, bytes } => Self::of_file(
                Mistake::TooMany,
                &file,
                format!("has {bytes} bytes; a rules file may have {MAX_FILE_BYTES}"),
            )
            .help("split it: the files of a folder are one program"),
            FolderError::TooManyFiles => {
                let message = format!("the folder holds more than {MAX_FILES} rules files");
                Self::of_file(Mistake::TooMany, manifest::FILE, message)
                    .help("put several rules into one file")
            }
            FolderError::Misnamed { file } => {
                Self::of_file(Mistake::UnreadableFile, &file, "is no rules file")
                    .help("a program is `program.toml` and files called `<name>.rhai`, without folders")
            }
        }
    }
}

/// What a folder looks like from outside: names, sizes and times of change. An edit changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Vec<(String, u64, Option<SystemTime>)>);

/// The folders under the root of all rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Folders {
    /// The chains that have one, and what each looks like.
    pub chains: BTreeMap<ChainId, Stamp>,
    /// Names of folders that hold rules and cannot be a chain's id.
    pub misnamed: Vec<OsString>,
}

/// Looks at the folders under `root`. A missing root has none.
pub fn look(root: &Path) -> Folders {
    let mut folders = Folders::default();
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        match name.to_str().and_then(|name| name.parse().ok()) {
            Some(chain) if path.is_dir() => _ = folders.chains.insert(chain, stamp(&path)),
            None if is_meant_for_a_chain(&path) => folders.misnamed.push(name),
            _ => {}
        }
    }
    folders.misnamed.sort_unstable();
    folders
}

/// Whether a folder holds rules: without a manifest, or under a name that no chain can have, they are a mistake to
/// report, not to overlook.
pub fn is_meant_for_a_chain(folder: &Path) -> bool {
    let mut files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.any(|file| file.file_name().to_str().is_some_and(is_source))
}

fn stamp(folder: &Path) -> Stamp {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let file = |entry: std::fs::DirEntry| {
        let name = entry.file_name().to_str().filter(|name| is_source(name))?.to_owned();
        let meta = std::fs::metadata(entry.path()).ok()?;
        Some((name, meta.len(), meta.modified().ok()))
    };
    let mut files: Vec<_> = entries.filter_map(file).collect();
    files.sort_unstable();
    Stamp(files)
}

/// Reads `program.toml` and `*.rhai` of `folder`, sorted by name. Other files and sub-folders are ignored.
///
/// # Errors
/// When the folder or one of these files cannot be read: one problem, as of a folder that does not check. A folder
/// without `program.toml` is readable: that it is missing is a problem for the loader to report.
pub fn read(folder: &Path) -> Result<Sources, Diagnostic> {
    Ok(read_files(folder)?)
}

fn read_files(folder: &Path) -> Result<Sources, FolderError> {
    let unreadable = |why| FolderError::Unreadable { file: manifest::FILE.to_owned(), why };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_source(name))
            && path.is_file()
        {
            files.push((name.to_owned(), read_file(&path, name)?));
        }
        if files.len() > MAX_FILES {
            return Err(FolderError::TooManyFiles);
        }
    }
    files.sort_unstable();
    Ok(Sources { files })
}

/// The program in files that somebody sent, by name.
///
/// # Errors
/// What could not be read from a folder either.
pub fn of_files(files: BTreeMap<String, String>) -> Result<Sources, Diagnostic> {
    if files.len() > MAX_FILES {
        return Err(FolderError::TooManyFiles.into());
    }
    for (name, text) in &files {
        if !is_source(name) || name.contains(['/', '\\']) {
            return Err(FolderError::Misnamed { file: name.clone() }.into());
        }
        if text.len() > MAX_FILE_BYTES {
            return Err(FolderError::TooLarge { file: name.clone(), bytes: text.len() as u64 }.into());
        }
    }
    Ok(Sources { files: files.into_iter().collect() })
}

/// Editors leave `.earning.rhai.swp` and the like behind; only plain names count.
fn is_source(name: &str) -> bool {
    name == manifest::FILE || (name.ends_with(".rhai") && !name.starts_with('.'))
}

fn read_file(path: &Path, name: &str) -> Result<String, FolderError> {
    let file = || name.to_owned();
    let unreadable = |why| FolderError::Unreadable { file: file(), why };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MAX_FILE_BYTES as u64 {
        return Err(FolderError::TooLarge { file: file(), bytes });
    }
    String::from_utf8(std::fs::read(path).map_err(unreadable)?).map_err(|bad| {
        let good = bad.utf8_error().valid_up_to();
        FolderError::NotText {
            file: file(),
            before: String::from_utf8_lossy(&bad.as_bytes()[..good]).into_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_source_files_are_read_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.rhai", "a.rhai", "program.toml", ".b.rhai", "b.rhai~", "notes.md"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        std::fs::create_dir(folder.path().join("old.rhai")).unwrap();
        let names: Vec<_> = read(folder.path()).unwrap().files.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a.rhai", "b.rhai", "program.toml"]);
    }

    #[test]
    fn what_cannot_be_read_is_a_problem_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let problem = || read(folder.path()).unwrap_err();
        assert!(read(&folder.path().join("none")).unwrap_err().message.starts_with("cannot be read: "));
        std::fs::write(folder.path().join("a.rhai"), b"// ok\n// caf\xe9\n").unwrap();
        assert_eq!((&*problem().file, problem().line, problem().column), ("a.rhai", 2, 7));
        assert!(problem().message.contains("UTF-8") && problem().help.is_some());
        std::fs::write(folder.path().join("a.rhai"), vec![b' '; MAX_FILE_BYTES + 1]).unwrap();
        assert!(problem().message.contains("bytes"), "{:?}", problem());
    }

    #[test]
    fn files_that_are_sent_are_bounded_and_named_like_those_of_a_folder() {
        let of = |name: &str, text: &str| of_files([(name.to_owned(), text.to_owned())].into());
        assert_eq!(of("a.rhai", "x").unwrap().get("a.rhai"), Some("x"));
        for name in ["../a.rhai", "b/a.rhai", "b\\a.rhai", ".a.rhai", "a.txt", "", "PROGRAM.TOML"] {
            assert_eq!(of(name, "").unwrap_err().message, "is no rules file", "{name}");
        }
        assert!(of("a.rhai", &" ".repeat(MAX_FILE_BYTES + 1)).unwrap_err().message.contains("bytes"));
        let many = (0..=MAX_FILES).map(|n| (format!("{n}.rhai"), String::new())).collect();
        assert!(of_files(many).unwrap_err().message.contains("more than"));
    }

    #[test]
    fn a_folder_with_rules_under_a_name_that_no_chain_can_have_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        for file in ["harvest/program.toml", "Harvest Inc/a.rhai", "Notes/readme.md", ".git/config"] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let folders = look(root.path());
        assert_eq!(folders.chains.keys().map(|id| id.as_str()).collect::<Vec<_>>(), ["harvest"]);
        assert_eq!(folders.misnamed, ["Harvest Inc"]);
        assert_eq!(look(&root.path().join("none")), Folders::default());
    }
}
