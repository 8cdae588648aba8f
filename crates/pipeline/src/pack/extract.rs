//! Unpacking, on all cores. What is safe was decided from the directory; here the bounds hold whatever it declares.
//!
//! Files are written in the order of their paths, so that each core works in folders of its own. Inflating takes a third
//! of the time, creating files and filling pages the rest.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytesize::ByteSize;
use hotfix_docker::progress::Task;
use rayon::prelude::*;
use tokio_util::sync::CancellationToken;

use super::{Node, NodeKind, ProductPack, printable};
use crate::inputs::is_full;
use crate::step::Problem;

/// Written at once; with one of these a core, the memory needed does not depend on the pack.
const BUFFER: usize = 128 * 1024;

impl ProductPack {
    /// Unpacks the product's folder into `home`, which must not exist yet.
    ///
    /// # Errors
    /// Where an entry is damaged or the disk fails, naming the entry. What was unpacked so far stays; the workspace
    /// that holds it goes.
    pub fn extract(&self, home: &Path, cancel: &CancellationToken) -> Result<(), Problem> {
        let root = Node { kind: NodeKind::Directory, mode: 0o755, mtime: self.newest() };
        fs::create_dir(home).map_err(|error| self.failed(home, "", error))?;
        let (folders, others): (Vec<_>, Vec<_>) =
            self.nodes.iter().partition(|(_, node)| node.kind == NodeKind::Directory);
        // In the order of paths a folder comes before what is in it.
        for (path, _) in &folders {
            fs::create_dir(home.join(path)).map_err(|error| self.failed(home, path, error))?;
        }
        let task = Task::bytes(
            format!("unpacking {}", self.path.file_name().unwrap_or_default().display()),
            self.unpacked_bytes(),
        );
        others.par_iter().try_for_each(|(path, node)| {
            if cancel.is_cancelled() {
                return Err(Problem::new("unpacking was stopped", "run the same command again"));
            }
            self.make(&home.join(path), node).map_err(|error| self.failed(home, path, error))?;
            task.add(node.size());
            Ok(())
        })?;
        settle_folders(home, &self.nodes)
            .and_then(|()| settle_path(home, &root))
            .map_err(|error| self.failed(home, "", error))
    }

    fn make(&self, target: &Path, node: &Node) -> io::Result<()> {
        match &node.kind {
            NodeKind::Directory => fs::create_dir(target),
            NodeKind::Symlink { target: to } => symlink(to, target),
            NodeKind::File { index, .. } => {
                let mut file = BufWriter::with_capacity(BUFFER, File::create_new(target)?);
                self.copy_entry(*index, &mut file)?;
                settle(&file.into_inner()?, node)
            }
        }
    }

    fn failed(&self, home: &Path, path: &str, error: io::Error) -> Problem {
        let hint = match error.kind() {
            _ if is_full(&error) => {
                let needed = ByteSize(self.unpacked_bytes());
                format!(
                    "the product takes {needed} in {}: make room, or give --workspace, or --cache-dir, on a larger disk",
                    home.display()
                )
            }
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
                "download the pack again: it is damaged".to_owned()
            }
            _ => "check the permissions and the disk there".to_owned(),
        };
        Problem::new(format!("{} in {} cannot be unpacked", printable(path), self.path.display()), hint).because(error)
    }
}

/// Gives all folders in `home` their times and permissions, innermost first: writing into them would change their times,
/// and they may be read-only.
pub(crate) fn settle_folders(home: &Path, nodes: &BTreeMap<String, Node>) -> io::Result<()> {
    let folders = nodes.iter().rev().filter(|(_, node)| node.kind == NodeKind::Directory);
    folders.into_iter().try_for_each(|(path, node)| settle_path(&home.join(path), node))
}

/// Gives a file or folder its time and permissions.
pub(crate) fn settle_path(path: &Path, node: &Node) -> io::Result<()> {
    settle(&File::open(path)?, node)
}

/// The same for one that is open.
fn settle(file: &File, node: &Node) -> io::Result<()> {
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(node.mtime))?;
    // A folder or file that we could not change or remove again would get in the way of the tool and of cleaning up.
    let owner = if node.kind == NodeKind::Directory { 0o700 } else { 0o600 };
    file.set_permissions(fs::Permissions::from_mode(node.mode | owner))
}
