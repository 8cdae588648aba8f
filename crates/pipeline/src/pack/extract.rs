//! Unpacking. What is safe was decided from the directory; here the bounds hold whatever it declares.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::{Node, NodeKind, ProductPack, printable};
use crate::step::Problem;

impl ProductPack {
    /// Unpacks the product's folder into `home`, which must not exist yet.
    ///
    /// # Errors
    /// Where an entry is damaged or the disk fails, naming the entry. What was unpacked so far stays; the workspace
    /// that holds it goes.
    pub fn extract(&self, home: &Path, cancel: &CancellationToken) -> Result<(), Problem> {
        self.make(home, "", &Node { kind: NodeKind::Directory, mode: 0o755, mtime: self.newest() })?;
        for (path, node) in self.nodes.iter() {
            if cancel.is_cancelled() {
                return Err(Problem::new("unpacking was stopped", "run the same command again"));
            }
            self.make(&home.join(path), path, node)?;
        }
        // Folders last, innermost first: writing into them would change their times, and they may be read-only.
        for (path, node) in self.nodes.iter().rev().filter(|(_, node)| node.kind == NodeKind::Directory) {
            settle(&home.join(path), node).map_err(|error| self.failed(path, error))?;
        }
        Ok(())
    }

    fn make(&self, target: &Path, path: &str, node: &Node) -> Result<(), Problem> {
        let made = match &node.kind {
            NodeKind::Directory => fs::create_dir(target),
            NodeKind::Symlink { target: to } => symlink(to, target),
            NodeKind::File { index, .. } => self.write_file(target, *index, node),
        };
        made.map_err(|error| self.failed(path, error))
    }

    fn write_file(&self, target: &Path, index: usize, node: &Node) -> io::Result<()> {
        let mut file = BufWriter::with_capacity(1 << 17, File::create_new(target)?);
        self.copy_entry(index, &mut file)?;
        file.flush()?;
        settle(target, node)
    }

    fn failed(&self, path: &str, error: io::Error) -> Problem {
        let hint = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room, or give --workspace on a larger disk"
            }
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
                "download the pack again: it is damaged"
            }
            _ => "check the workspace's disk and permissions",
        };
        Problem::new(format!("{} in {} cannot be unpacked", printable(path), self.path.display()), hint).because(error)
    }
}

pub(crate) fn settle(target: &Path, node: &Node) -> io::Result<()> {
    let file = File::open(target)?;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(node.mtime))?;
    // A folder or file that we could not change or remove again would get in the way of the tool and of cleaning up.
    let owner = if node.kind == NodeKind::Directory { 0o700 } else { 0o600 };
    file.set_permissions(fs::Permissions::from_mode(node.mode | owner))
}
