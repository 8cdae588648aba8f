//! Folders among the system's temporary files that nobody misses once their run was killed.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::fetch::temporary_folder;

/// What their names begin with: whoever cleans up removes those that nobody has locked.
pub const PREFIX: &str = ".hotfix-new-";
/// Others can take a new one for one that was left in the moment before it is locked.
const TRIES: u32 = 10;

/// Private, locked where the file system knows of locks, and gone when it is dropped.
#[derive(Debug)]
pub struct TemporaryFolder {
    folder: TempDir,
    _lock: Option<File>,
}

impl TemporaryFolder {
    /// A new one.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn new() -> io::Result<Self> {
        let parent = temporary_folder();
        for _ in 0..TRIES {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent)?;
            let lock = match File::open(folder.path()).map(|open| open.try_lock().map(|()| open)) {
                Ok(Ok(lock)) => Some(lock),
                Ok(Err(TryLockError::Error(_))) => None,
                // Somebody is removing it.
                Ok(Err(TryLockError::WouldBlock)) | Err(_) => continue,
            };
            if folder.path().is_dir() {
                return Ok(Self { folder, _lock: lock });
            }
        }
        Err(io::Error::other("others remove what is made"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_held_and_goes() {
        let folder = TemporaryFolder::new().expect("made");
        let path = folder.path().to_owned();
        assert!(path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)));
        assert!(matches!(File::open(&path).expect("there").try_lock(), Err(TryLockError::WouldBlock)));
        drop(folder);
        assert!(!path.exists());
    }
}
