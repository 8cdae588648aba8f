//! A copy of a pristine product: by references to the same blocks where the file system can, else byte by byte.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use hotfix_docker::progress::Task;
use rayon::prelude::*;

use crate::pack::{Node, NodeKind, settle_folders, settle_path};
use crate::pristine::Pristine;

/// How files are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// Sharing their blocks until one of them is written to (Btrfs, XFS).
    Reflink,
    /// Byte by byte.
    Bytes,
}

/// Copies the product `pristine`, which is in `from`, to `to`, which must not exist.
///
/// # Errors
/// Where the disk fails, or cannot do what `means` asks for.
pub(crate) fn copy_tree(pristine: &Pristine, from: &Path, to: &Path, means: Means) -> io::Result<()> {
    fs::create_dir(to)?;
    let (folders, others): (Vec<_>, Vec<_>) =
        pristine.nodes.iter().partition(|(_, node)| node.kind == NodeKind::Directory);
    for (path, _) in &folders {
        fs::create_dir(to.join(path))?;
    }
    let bytes = if means == Means::Bytes { pristine.nodes.values().map(Node::size).sum() } else { 0 };
    let task = Task::bytes("copying the unpacked pack", bytes);
    others.par_iter().try_for_each(|(path, node)| match &node.kind {
        NodeKind::Symlink { target } => symlink(target, to.join(path)),
        _ => {
            let copy = to.join(path);
            copy_file(&from.join(path), &copy, means)?;
            task.add(node.size());
            settle_path(&copy, node)
        }
    })?;
    settle_folders(to, &pristine.nodes)?;
    fs::set_permissions(to, from.metadata()?.permissions())
}

fn copy_file(from: &Path, to: &Path, means: Means) -> io::Result<()> {
    match means {
        Means::Reflink => reflink(&File::open(from)?, &File::create_new(to)?),
        Means::Bytes => copy_bytes(from, to),
    }
}

/// As [`fs::copy`], which gives up where a network's file system is interrupted.
///
/// # Errors
/// Where a disk fails.
pub(crate) fn copy_bytes(from: &Path, to: &Path) -> io::Result<()> {
    loop {
        match fs::copy(from, to) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            copied => return copied.map(drop),
        }
    }
}

#[cfg(target_os = "linux")]
fn reflink(from: &File, to: &File) -> io::Result<()> {
    Ok(rustix::fs::ioctl_ficlone(to, from)?)
}

#[cfg(not(target_os = "linux"))]
fn reflink(_: &File, _: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
