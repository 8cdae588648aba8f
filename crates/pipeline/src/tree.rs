//! The product's folder as it is on disk at one moment.

use std::cmp::Ordering;
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

impl Node {
    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Its length, where it is a file.
    pub fn bytes(&self) -> u64 {
        if self.kind == Kind::File { self.stamp.size } else { 0 }
    }
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

/// A path at which two trees differ, with what is there in the one and in the other.
pub(crate) type Difference<'a> = (&'a String, Option<&'a Node>, Option<&'a Node>);

/// All differences between two trees, in the order of their paths.
pub(crate) fn differences<'a>(before: &'a Tree, after: &'a Tree) -> Vec<Difference<'a>> {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    let mut found = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let old = if order == Ordering::Greater { None } else { before.next() };
        let new = if order == Ordering::Less { None } else { after.next() };
        let nodes = (old.map(|(_, node)| node), new.map(|(_, node)| node));
        if let (Some((path, _)), true) = (old.or(new), nodes.0 != nodes.1) {
            found.push((path, nodes.0, nodes.1));
        }
    }
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
    fn differences_are_those_of_either_side() {
        let node = |inode| {
            let stamp = Stamp { size: 0, modified: (0, 0), changed: (0, 0), inode };
            Node { kind: Kind::File, mode: 0o644, stamp }
        };
        let tree =
            |paths: &[(&str, u64)]| -> Tree { paths.iter().map(|(path, n)| ((*path).to_owned(), node(*n))).collect() };
        let before = tree(&[("a", 1), ("b", 2), ("c", 3), ("e", 5)]);
        let after = tree(&[("0", 9), ("a", 1), ("c", 4), ("d", 6), ("e", 5), ("f", 7)]);
        let found: Vec<_> = differences(&before, &after)
            .into_iter()
            .map(|(path, old, new)| (path.as_str(), old.map(|n| n.stamp.inode), new.map(|n| n.stamp.inode)))
            .collect();
        let expected = [
            ("0", None, Some(9)),
            ("b", Some(2), None),
            ("c", Some(3), Some(4)),
            ("d", None, Some(6)),
            ("f", None, Some(7)),
        ];
        assert_eq!(found, expected);
    }

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
