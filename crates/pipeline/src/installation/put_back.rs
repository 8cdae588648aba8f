//! One entry of a backup, back to its place: whole or not at all, as it was.

use std::fs::{self, File, FileTimes};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};

use super::manifest::{Entry, Kind};
use crate::pack::ancestors;

/// A file that is being restored has this name until it is whole.
const UNFINISHED: &str = ".hotfix-restoring";

/// Whether permissions or, for root, the owner are not as they were; `metadata` is of what is there.
pub(super) fn is_as_it_was(metadata: &fs::Metadata, entry: &Entry) -> bool {
    let bits = bits(entry);
    let has_owner = (metadata.uid(), metadata.gid()) == (entry.uid, entry.gid);
    let has_mode = metadata.mode() & bits == entry.mode & bits;
    has_mode && (has_owner || !rustix::process::geteuid().is_root())
}

/// Nothing in a product runs as somebody else.
fn bits(entry: &Entry) -> u32 {
    if entry.kind == Kind::Directory { 0o3777 } else { 0o777 }
}

/// Puts `entry` into its place in `home`; a folder is its owner's alone until it is settled.
pub(super) fn put(home: &Path, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
    make_folders(home, &entry.path)?;
    let path = home.join(&entry.path);
    let unfinished = path.with_file_name(UNFINISHED);
    match &entry.kind {
        Kind::Directory if path.is_dir() => return Ok(()),
        Kind::Directory => {
            fs::create_dir(&path)?;
            return fs::set_permissions(&path, fs::Permissions::from_mode(0o700));
        }
        Kind::Link { target } => symlink(target, &unfinished)?,
        Kind::File { .. } => {
            let mut file = File::create_new(&unfinished)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            io::copy(content, &mut file)?;
            file.sync_all()?;
        }
    }
    settle(&unfinished, entry)?;
    fs::rename(&unfinished, &path)
}

/// Removes what a restore that was stopped has left beside `path`.
pub(super) fn clean(path: &Path) {
    // Where there is none, or it cannot be removed, the next file tells.
    let _ = fs::remove_file(path.with_file_name(UNFINISHED));
}

/// Those above `path` that are not there, as the product's own folder is.
fn make_folders(home: &Path, path: &str) -> io::Result<()> {
    for folder in ancestors(path).map(|folder| home.join(folder)) {
        if !folder.is_dir() {
            let above = fs::metadata(home)?;
            fs::create_dir(&folder)?;
            allowed(chown(&folder, Some(above.uid()), Some(above.gid())))?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(above.mode() & 0o777))?;
        }
    }
    Ok(())
}

/// Owner, permissions and time as they were; whoever may not give files away keeps them.
pub(super) fn settle(path: &Path, entry: &Entry) -> io::Result<()> {
    let owners = (Some(entry.uid), Some(entry.gid));
    if let Kind::Link { .. } = entry.kind {
        allowed(lchown(path, owners.0, owners.1))?;
        return settle_link_time(path, entry);
    }
    // The time first: afterwards it can be somebody else's.
    File::open(path)
        .and_then(|file| file.set_times(FileTimes::new().set_modified(SystemTime::from(entry.modified))))?;
    settle_owner_and_mode(path, entry)
}

/// Only what is not about the content.
pub(super) fn settle_owner_and_mode(path: &Path, entry: &Entry) -> io::Result<()> {
    allowed(chown(path, Some(entry.uid), Some(entry.gid)))?;
    fs::set_permissions(path, fs::Permissions::from_mode(entry.mode & bits(entry)))
}

fn settle_link_time(path: &Path, entry: &Entry) -> io::Result<()> {
    let modified = Timespec { tv_sec: entry.modified.as_second(), tv_nsec: entry.modified.subsec_nanosecond().into() };
    let times = Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: modified };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn allowed(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}
