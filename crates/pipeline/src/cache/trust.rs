//! Whether anybody else can write to the cache, and so decide what is in images.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Once;

use tracing::warn;

/// Permission to write, of the group and of all others.
const WRITE_OF_OTHERS: u32 = 0o022;

/// Warns, once in a run, where others than this user can write to one of `folders`. Its mode stays as it is.
pub(crate) fn warn_of_others<'a>(folders: impl IntoIterator<Item = &'a Path>) {
    static SAID: Once = Once::new();
    if let Some(wrong) = folders.into_iter().find_map(|folder| what_is_wrong(folder).ok().flatten()) {
        SAID.call_once(|| warn!("{wrong}"));
    }
}

/// Which others can write to the folder, and what to do about it.
///
/// # Errors
/// Where the folder cannot be looked at.
fn what_is_wrong(folder: &Path) -> io::Result<Option<String>> {
    let facts = fs::metadata(folder)?;
    let (owner, us) = (facts.uid(), rustix::process::geteuid().as_raw());
    // Whether each may remove the files of others only (the sticky bit) is of no matter: they may add some.
    let mode = facts.mode() & 0o7777;
    let (how, cure) = if owner != us {
        ("belongs to another user", "give --cache-dir with a folder of your own".to_owned())
    } else if mode & WRITE_OF_OTHERS != 0 {
        ("can be written to by others", format!("take that right away (chmod go-w {})", folder.display()))
    } else {
        return Ok(None);
    };
    let folder = folder.display();
    Ok(Some(format!(
        "the cache {folder} {how} (owner {owner}, mode {mode:04o}): whoever can write there decides what is in images; {cure}, or --no-cache"
    )))
}
