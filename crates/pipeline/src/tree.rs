//! The product's folder as it is on disk at one moment.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::host::UPDATE_TOOLS;
use crate::pack::{CONFIG_JSON, LOGS};

/// Where the update tool is.
pub const BIN: &str = "bin";

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Directory,
    /// A file.
    File,
    /// A symbolic link, with its target.
    Symlink(String),
    /// A socket, a pipe, a device.
    Other,
}

/// A file's state: as long as it is the same, so is the content. The kernel sets the second time itself, so no program
/// can hide a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: u64,
}

/// One file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Its state.
    pub stamp: Stamp,
}

/// Everything in a folder, by path from there.
pub type Tree = BTreeMap<String, Node>;

/// Whether a path is the update tool's own affair, not the product's: the tool itself, which replaces itself when it
/// likes, its log, and its records, which are looked at field by field instead.
pub fn is_tools_own(path: &str) -> bool {
    let is_tool = path.strip_prefix("bin/").is_some_and(|name| UPDATE_TOOLS.contains(&name));
    let is_log = path == LOGS || path.strip_prefix(LOGS).is_some_and(|rest| rest.starts_with('/'));
    is_tool || is_log || path == CONFIG_JSON
}

/// Looks at everything in `home` but what is the update tool's own.
///
/// # Errors
/// Where a folder cannot be read, or a name is not UTF-8.
pub fn scan(home: &Path) -> io::Result<Tree> {
    let mut tree = scan_all(home)?;
    tree.retain(|path, _| !is_tools_own(path));
    Ok(tree)
}

/// Looks at everything in `folder`.
///
/// # Errors
/// As [`scan`].
pub fn scan_all(folder: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new();
    for entry in WalkDir::new(folder).min_depth(1) {
        let entry = entry?;
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        tree.insert(utf8(relative)?, node_at(entry.path(), &entry.metadata()?)?);
    }
    Ok(tree)
}

/// The node at `path`, whose `metadata` are those of itself, not of what it links to.
pub(crate) fn node_at(path: &Path, metadata: &Metadata) -> io::Result<Node> {
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => Kind::Directory,
        kind if kind.is_file() => Kind::File,
        kind if kind.is_symlink() => Kind::Symlink(utf8(&std::fs::read_link(path)?)?),
        _ => Kind::Other,
    };
    let stamp = Stamp {
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        inode: metadata.ino(),
    };
    Ok(Node { kind, mode: metadata.mode() & 0o7777, stamp })
}

/// One digest of the state of everything in `tree`: as long as nobody touches it, it is the same.
pub(crate) fn state_of(tree: &Tree) -> String {
    let mut hash = Sha256::new();
    for (path, Node { mode, stamp, .. }) in tree {
        let Stamp { size, modified, changed, inode } = stamp;
        hash.update(format!("{path}\0{mode:o} {size} {modified:?} {changed:?} {inode}\n"));
    }
    hex::encode(hash.finalize())
}

pub(crate) fn utf8(path: &Path) -> io::Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{} is not UTF-8", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tools_own_files_are_told_from_the_products() {
        for path in [
            "bin/wso2update_linux",
            "bin/wso2update_darwin_arm64",
            "updates/logs",
            "updates/logs/x.log",
            "updates/config.json",
        ] {
            assert!(is_tools_own(path), "{path}");
        }
        for path in ["bin/wso2update_linux.sh", "wso2update_linux", "updates/logs2", "updates/product.txt", "bin"] {
            assert!(!is_tools_own(path), "{path}");
        }
    }
}
