//! Undoing what was written to a layout.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use super::{BLOBS, INDEX, LARGEST_DOCUMENT, UNFINISHED};
use crate::{Error, Result, files};

/// How often it is looked whether another one has done its work.
const PATIENCE: Duration = Duration::from_millis(20);

/// What was written to a layout; undone on drop unless kept. Until then nobody else of us writes there.
#[derive(Debug, Default)]
pub struct LayoutGuard {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    index: Option<ReplacedIndex>,
    lock: Option<File>,
}

/// An index and what was there before it.
#[derive(Debug)]
struct ReplacedIndex {
    path: PathBuf,
    before: Option<Vec<u8>>,
    written: Vec<u8>,
}

impl LayoutGuard {
    /// Waits until nobody else of us writes to the layout in `directory`, which is made where it is missing.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `cancel` was; what the file system says.
    pub(super) fn begin(directory: &Path, cancel: &CancellationToken) -> Result<Self> {
        let mut guard = Self::default();
        loop {
            guard.create_dirs(directory)?;
            let lock = File::open(directory).map_err(Error::io("open the folder", directory))?;
            let is_ours = loop {
                match lock.try_lock() {
                    Ok(()) => break true,
                    // Where the file system knows no locks, nobody has one.
                    Err(TryLockError::Error(_)) => break false,
                    Err(TryLockError::WouldBlock) if cancel.is_cancelled() => return Err(Error::Cancelled),
                    Err(TryLockError::WouldBlock) => thread::sleep(PATIENCE),
                }
            };
            // Whoever had it may have undone all, the folder included.
            let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
            let locked = lock.metadata().map(place).map_err(Error::io("open the folder", directory))?;
            if fs::metadata(directory).is_ok_and(|metadata| place(metadata) == locked) {
                guard.lock = Some(lock);
                if is_ours {
                    remove_leftovers(directory);
                }
                return Ok(guard);
            }
        }
    }

    pub(super) fn create_dirs(&mut self, folder: &Path) -> Result<()> {
        let missing: Vec<&Path> =
            folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
        for path in missing.into_iter().rev() {
            match fs::create_dir(path) {
                Ok(()) => self.folders.push(path.to_owned()),
                // By another one, in this moment.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
                Err(error) => return Err(Error::io("make the folder", path)(error)),
            }
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
        write_whole(path, bytes)?;
        self.files.push(path.to_owned());
        Ok(())
    }

    pub(super) fn replace_index(&mut self, directory: &Path, written: Vec<u8>) -> Result<()> {
        let path = directory.join(INDEX);
        let before = files::read(&path, LARGEST_DOCUMENT).ok();
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

/// What runs that were killed have left: whoever writes here has the lock.
fn remove_leftovers(directory: &Path) {
    let entries =
        [directory.to_owned(), directory.join(BLOBS)].into_iter().filter_map(|folder| fs::read_dir(folder).ok());
    let is_one = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(UNFINISHED);
    for left in entries.flatten().filter_map(std::result::Result::ok).filter(is_one) {
        // What cannot be removed is in nobody's way.
        let _ = fs::remove_file(left.path());
    }
}

/// Whether another one has `folder`; else it is ours as long as it is open.
pub(super) fn is_locked(folder: &File) -> bool {
    matches!(folder.try_lock(), Err(TryLockError::WouldBlock))
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
        if files::read(&self.path, LARGEST_DOCUMENT).is_ok_and(|now| now != self.written) {
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
        .prefix(UNFINISHED)
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
