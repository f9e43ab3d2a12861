//! Reads a chain's folder. The only I/O of this module.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::domain::chain::ChainId;

use super::diagnostic::Diagnostic;
use super::engine::MAX_FILE_BYTES;
use super::manifest;
use super::program::Sources;

/// The most files in one folder.
const MAX_FILES: usize = 100;

/// Why a folder cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Missing, no directory, no permission, …
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not UTF-8.
    #[error("{} is not a text file in UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A file is larger than can be loaded.
    #[error("{} has {bytes} bytes; a rules file may have {MAX_FILE_BYTES}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// More files than can be loaded.
    #[error("{} holds more than {MAX_FILES} rules files", path.display())]
    TooManyFiles {
        /// The folder.
        path: PathBuf,
    },
}

impl FolderError {
    /// The same as a problem of the folder, for people who have nothing to do with this machine's paths.
    pub fn problem(&self) -> Diagnostic {
        let (Self::Unreadable { path, .. }
        | Self::NotText { path }
        | Self::TooLarge { path, .. }
        | Self::TooManyFiles { path }) = self;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let message = self.to_string().replace(&*path.to_string_lossy(), &name);
        Diagnostic::of_file(&name, message)
    }
}

/// What a folder looks like from outside: names, sizes and times of change. An edit changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Vec<(String, u64, Option<SystemTime>)>);

/// The chains that have a folder under `root`, and what each folder looks like. A missing root has none; names that
/// are no chain ids are passed over.
pub fn stamps(root: &Path) -> Vec<(ChainId, Stamp)> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let chain = |entry: std::fs::DirEntry| {
        let id: ChainId = entry.file_name().to_str()?.parse().ok()?;
        entry.path().is_dir().then(|| (id, stamp(&entry.path())))
    };
    let mut found: Vec<_> = entries.filter_map(chain).collect();
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    found
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
/// When the folder or one of these files cannot be read. A folder without `program.toml` is readable: that it is
/// missing is a problem for the loader to report.
pub fn read(folder: &Path) -> Result<Sources, FolderError> {
    let unreadable = |path: &Path| {
        let path = path.to_path_buf();
        |source| FolderError::Unreadable { path, source }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_source(name))
            && path.is_file()
        {
            files.push((name.to_owned(), read_file(&path)?));
        }
        if files.len() > MAX_FILES {
            return Err(FolderError::TooManyFiles { path: folder.to_path_buf() });
        }
    }
    files.sort_unstable();
    Ok(Sources { files })
}

/// Editors leave `.earning.rhai.swp` and the like behind; only plain names count.
fn is_source(name: &str) -> bool {
    name == manifest::FILE || (name.ends_with(".rhai") && !name.starts_with('.'))
}

fn read_file(path: &Path) -> Result<String, FolderError> {
    let unreadable = |source| FolderError::Unreadable { path: path.to_path_buf(), source };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MAX_FILE_BYTES as u64 {
        return Err(FolderError::TooLarge { path: path.to_path_buf(), bytes });
    }
    let unreadable = |source| FolderError::Unreadable { path: path.to_path_buf(), source };
    let text = std::fs::read(path).map_err(unreadable)?;
    String::from_utf8(text).map_err(|_| FolderError::NotText { path: path.to_path_buf() })
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
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(&folder.path().join("none")), Err(FolderError::Unreadable { .. })));
        std::fs::write(folder.path().join("a.rhai"), [0xff, 0xfe]).unwrap();
        assert!(matches!(read(folder.path()), Err(FolderError::NotText { .. })));
        std::fs::write(folder.path().join("a.rhai"), vec![b' '; MAX_FILE_BYTES + 1]).unwrap();
        assert!(matches!(read(folder.path()), Err(FolderError::TooLarge { .. })));
    }
}
