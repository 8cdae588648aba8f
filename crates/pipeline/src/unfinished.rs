//! Files that get their name once they are whole: what runs that were killed have left of them, the next one removes.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;
use tracing::info;

/// Others can take a new one for one that was left in the moment before it is locked.
const TRIES: u32 = 10;

/// A new file in `folder`, with a name that begins with `prefix`; those of earlier runs are removed.
///
/// # Errors
/// Where it cannot be made.
pub(crate) fn file_in(folder: &Path, prefix: &str, mode: u32) -> io::Result<NamedTempFile> {
    remove_leftovers(folder, prefix);
    for _ in 0..TRIES {
        let permissions = Permissions::from_mode(mode);
        let file = tempfile::Builder::new().prefix(prefix).permissions(permissions).tempfile_in(folder)?;
        // Held until it has its name, or is gone: others know by it that somebody is at work. Not every file system can.
        let _ = file.as_file().lock();
        if file.as_file().metadata()?.nlink() > 0 {
            return Ok(file);
        }
    }
    Err(io::Error::other("others remove what is made"))
}

/// Those that nobody holds.
fn remove_leftovers(folder: &Path, prefix: &str) {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let is_one = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(prefix);
    for path in entries.filter(is_one).map(|entry| entry.path()) {
        let Ok(file) = File::open(&path) else { continue };
        if file.try_lock().is_ok() && fs::remove_file(&path).is_ok() {
            info!("{}, which a run that was killed has left, is removed", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_holds_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let left = folder.path().join(".x-left");
        fs::write(&left, "half").expect("written");
        let one = file_in(folder.path(), ".x-", 0o600).expect("made");
        assert!(!left.exists());
        let other = file_in(folder.path(), ".x-", 0o600).expect("made");
        assert!(one.path().exists() && other.path().exists());
        assert_eq!(one.as_file().metadata().expect("open").mode() & 0o777, 0o600);
    }
}
