//! The files in a folder of an installation, and which of them are not as they are in the pack.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;
use tracing::warn;
use walkdir::{DirEntry, WalkDir};

use super::manifest::{Entry, Kind};
use crate::checksums::{HashWriter, digest_of_file};
use crate::pack::{NodeKind, ProductPack, ancestors};
use crate::step::Problem;
use crate::tree::utf8;

/// Everything below `folder` (from the product's folder) in `home`, by path from the product's folder; what `is_out` is not looked
/// into. A link in place of the folder itself is followed: its data is elsewhere, and the user's.
pub(super) fn all(home: &Path, folder: &str, is_out: impl Fn(&Path) -> bool) -> Result<Vec<Entry>, Problem> {
    let top = home.join(folder);
    let failed = |error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::InvalidData => {
                "rename what has a name that is not UTF-8, or leave its folder out with --exclude"
            }
            _ => "check its permissions, and that the disk is whole",
        };
        Problem::new(format!("{} cannot be read", top.display()), hint).because(error)
    };
    if is_out(Path::new(folder)) {
        return Ok(Vec::new());
    }
    if fs::metadata(&top).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return match dangling(home, folder) {
            None => Ok(Vec::new()),
            Some(link) => Err(Problem::new(
                format!("{} is a link to what is not there", home.join(link).display()),
                format!("mount what it leads to, or leave it out with --exclude {folder}"),
            )),
        };
    }
    let mut entries = Vec::new();
    let inner = |found: &DirEntry| {
        let inner = found.path().strip_prefix(&top).unwrap_or(found.path());
        if inner.as_os_str().is_empty() { Path::new(folder).to_owned() } else { Path::new(folder).join(inner) }
    };
    let walk = WalkDir::new(&top).follow_root_links(true).sort_by_file_name().into_iter();
    for found in walk.filter_entry(|found| !is_out(&inner(found))) {
        let found = found.map_err(|error| failed(error.into()))?;
        let path = utf8(&inner(&found)).map_err(failed)?;
        let metadata = match found.depth() {
            0 => fs::metadata(found.path()).map_err(failed)?,
            _ => found.metadata().map_err(|error| failed(error.into()))?,
        };
        match kind(found.path(), &metadata).map_err(failed)? {
            Some(kind) => entries.push(Entry::new(path, kind, &metadata)),
            None => warn!("{} is no file, folder or link, and is left out", found.path().display()),
        }
    }
    Ok(entries)
}

/// The link on the way to `folder` that leads nowhere: data that is not mounted is not the same as none.
fn dangling<'a>(home: &Path, folder: &'a str) -> Option<&'a str> {
    let is_link = |path: &&str| home.join(path).symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    ancestors(folder).chain([folder]).find(|path| is_link(path) && !home.join(path).exists())
}

/// With nothing yet for the content of a file but its length.
fn kind(path: &Path, metadata: &Metadata) -> io::Result<Option<Kind>> {
    let kind = metadata.file_type();
    Ok(if kind.is_dir() {
        Some(Kind::Directory)
    } else if kind.is_file() {
        Some(Kind::File { bytes: metadata.len(), sha256: String::new() })
    } else if kind.is_symlink() {
        Some(Kind::Link { target: utf8(&fs::read_link(path)?)? })
    } else {
        None
    })
}

impl Entry {
    fn new(path: String, kind: Kind, metadata: &Metadata) -> Self {
        let nanoseconds = i32::try_from(metadata.mtime_nsec()).unwrap_or_default();
        let modified = Timestamp::new(metadata.mtime(), nanoseconds).unwrap_or_default();
        let mode = metadata.mode() & 0o7777;
        Self { path, kind, mode, modified, uid: metadata.uid(), gid: metadata.gid() }
    }
}

/// Which of `entries` are the user's own, with the folders that they are in; and what the user has removed from `folder`. By
/// content: copies of a product can have any times.
pub(super) fn own(
    home: &Path,
    folder: &str,
    entries: Vec<Entry>,
    pack: &ProductPack,
) -> Result<(Vec<Entry>, Vec<String>), Problem> {
    let there: BTreeSet<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
    let below = format!("{folder}/");
    let of_pack = pack.nodes.iter().filter(|(path, node)| path.starts_with(&below) && node.kind != NodeKind::Directory);
    let removed = of_pack.map(|(path, _)| path.clone()).filter(|path| !there.contains(path.as_str())).collect();
    let mut own = BTreeSet::new();
    for entry in &entries {
        if !is_as_in(home, entry, pack)? {
            own.insert(entry.path.as_str());
        }
    }
    let holds_own = |folder: &str| {
        let inner = format!("{folder}/");
        own.range(inner.as_str()..).next().is_some_and(|path| path.starts_with(&inner))
    };
    let is_kept =
        |entry: &&Entry| own.contains(entry.path.as_str()) || entry.kind == Kind::Directory && holds_own(&entry.path);
    let kept = entries.iter().filter(is_kept).cloned().collect();
    Ok((kept, removed))
}

fn is_as_in(home: &Path, entry: &Entry, pack: &ProductPack) -> Result<bool, Problem> {
    let Some(node) = pack.nodes.get(&entry.path) else { return Ok(false) };
    Ok(match (&entry.kind, &node.kind) {
        (Kind::Directory, NodeKind::Directory) => true,
        (Kind::Link { target }, NodeKind::Symlink { target: other }) => target == other,
        (Kind::File { bytes, .. }, NodeKind::File { index, size }) if bytes == size => {
            let mut hash = HashWriter::default();
            pack.copy_entry(*index, &mut hash).map_err(|error| {
                let what = format!("{} in {} cannot be read", entry.path, pack.path.display());
                Problem::new(what, "download the pack again").because(error)
            })?;
            hex::encode(hash.finish()) == sha256_of(home, entry)?
        }
        _ => false,
    })
}

/// SHA-256 of a file, in hexadecimal digits.
pub(super) fn sha256_of(home: &Path, entry: &Entry) -> Result<String, Problem> {
    let path = home.join(&entry.path);
    digest_of_file(&path).map(hex::encode).map_err(|error| {
        Problem::new(format!("{} cannot be read", path.display()), "check its permissions, and that the disk is whole")
            .because(error)
    })
}
