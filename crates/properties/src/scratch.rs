//! A folder for what can only be read from files.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder of one thread, empty again after each use.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    /// Writes a file into it.
    pub(crate) fn file(&self, name: impl AsRef<Path>, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("the temporary folder can be written to");
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Hands it to `work`, and empties it.
    pub(crate) fn used<T>(&self, work: impl FnOnce(&Self) -> T) -> T {
        let result = work(self);
        for entry in fs::read_dir(self.path()).expect("it is there").flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
            removed.expect("what was written can be removed");
        }
        result
    }
}
