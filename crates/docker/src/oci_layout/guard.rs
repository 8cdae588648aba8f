//! Undoing what was written to a layout.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::INDEX;
use crate::{Error, Result};

/// What was written to a layout; undone on drop unless kept.
#[derive(Debug, Default)]
pub struct LayoutGuard {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    index: Option<ReplacedIndex>,
}

/// An index and what was there before it.
#[derive(Debug)]
struct ReplacedIndex {
    path: PathBuf,
    before: Option<Vec<u8>>,
    written: Vec<u8>,
}

impl LayoutGuard {
    pub(super) fn create_dirs(&mut self, folder: &Path) -> Result<()> {
        let missing: Vec<&Path> =
            folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
        for path in missing.into_iter().rev() {
            fs::create_dir(path).map_err(Error::io("make the folder", path))?;
            self.folders.push(path.to_owned());
        }
        Ok(())
    }

    pub(super) fn persist(&mut self, file: NamedTempFile, path: &Path) -> Result<()> {
        // One that was there may be damaged, so it is replaced; but it stays if we fail later.
        let was_there = path.exists();
        persist(file, path)?;
        if !was_there {
            self.files.push(path.to_owned());
        }
        Ok(())
    }

    pub(super) fn write_new(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        if path.exists() {
            return Ok(());
        }
        fs::write(path, bytes).map_err(Error::io("write", path))?;
        self.files.push(path.to_owned());
        Ok(())
    }

    pub(super) fn replace_index(&mut self, directory: &Path, written: Vec<u8>) -> Result<()> {
        let path = directory.join(INDEX);
        let before = fs::read(&path).ok();
        write_whole(&path, &written)?;
        self.index = Some(ReplacedIndex { path, before, written });
        Ok(())
    }

    /// All is well: it stays.
    pub fn keep(mut self) {
        self.files.clear();
        self.folders.clear();
        self.index = None;
    }
}

impl Drop for LayoutGuard {
    fn drop(&mut self) {
        if self.index.as_ref().is_some_and(|index| !index.undo()) {
            // Somebody has written to the layout since, and may have use for the blobs by now.
            return;
        }
        for file in self.files.iter().rev() {
            // What cannot be removed is unreferenced, and there is nobody to tell.
            let _ = fs::remove_file(file);
        }
        for folder in self.folders.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

impl ReplacedIndex {
    /// Whether it could be undone: not where somebody has written another one since.
    fn undo(&self) -> bool {
        if fs::read(&self.path).is_ok_and(|now| now != self.written) {
            return false;
        }
        match &self.before {
            Some(before) => write_whole(&self.path, before).is_ok(),
            None => fs::remove_file(&self.path).is_ok(),
        }
    }
}

/// By renaming, so that there is one index or the other at any moment.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".hotfix-")
        .tempfile_in(directory)
        .map_err(Error::io("write to the folder", directory))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    persist(file, path)
}

fn persist(file: NamedTempFile, path: &Path) -> Result<()> {
    // Temporary files are private; a layout is read by others.
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(Error::io("write", path))?;
    file.as_file().sync_all().map_err(Error::io("write", path))?;
    file.persist(path).map_err(|error| Error::io("write", path)(error.error))?;
    Ok(())
}
