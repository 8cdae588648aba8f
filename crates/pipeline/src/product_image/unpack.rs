//! The product out of an image into the workspace, in one pass: written, checked, and hashed as it streams.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use hotfix_docker::folder::{Kind, Receive};
use hotfix_docker::layer::Metadata;
use hotfix_docker::progress::Task;
use tokio_util::sync::CancellationToken;

use super::ProductImage;
use crate::checksums::{HashWriter, Sha256Digest};
use crate::pack::{
    CONFIG_JSON, LOGS, NAMES_MEMORY, NODE_MEMORY, Node, NodeKind, ancestors, leads_out, printable, safe_name,
    settle_folders, settle_path,
};
use crate::pristine::Pristine;
use crate::scrub::read_records;
use crate::step::Problem;

impl ProductImage {
    /// Unpacks the product into `home`, which must not exist yet.
    ///
    /// # Errors
    /// Where something in it is not safe to unpack, it is larger than `max_size` bytes, or engine or disk fail.
    pub async fn unpack(&self, home: &Path, max_size: u64, cancel: &CancellationToken) -> Result<Pristine, Problem> {
        let receiver = Unpack {
            home: home.to_owned(),
            nodes: BTreeMap::new(),
            digests: Vec::new(),
            left: max_size,
            names: NAMES_MEMORY,
            cancel: cancel.clone(),
            task: Task::bytes(format!("taking the product out of {}", self.base.name), 0),
        };
        let failed = |error: anyhow::Error| {
            Problem::new(
                format!("the product cannot be taken out of the image {}", self.base.name),
                "see the cause; the disk of the workspace and --max-unpacked-size are bounds",
            )
            .because(error)
        };
        let unpacked = self.base.read_folder(&self.facts.placement.home, receiver).await;
        unpacked.map_err(|error| failed(error.into()))?.finish().map_err(|error| failed(error.into()))
    }
}

struct Unpack {
    home: PathBuf,
    nodes: BTreeMap<String, Node>,
    digests: Vec<Sha256Digest>,
    /// Bytes that may still come.
    left: u64,
    /// Memory for names.
    names: usize,
    cancel: CancellationToken,
    task: Task,
}

impl Receive for Unpack {
    fn entry(&mut self, path: &str, kind: Kind<'_>, metadata: Metadata) -> io::Result<()> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("stopped on request"));
        }
        // What the update tool said to whoever made the image is of no use, and may name them.
        if path == LOGS || path.starts_with(&format!("{LOGS}/")) {
            return Ok(());
        }
        self.checked(path, kind, metadata).map_err(|error| {
            let path = if path.is_empty() { "the product's folder".to_owned() } else { printable(path) };
            io::Error::new(error.kind(), format!("{path}: {error}"))
        })
    }

    fn removed(&mut self, path: &str, only_below: bool) -> io::Result<()> {
        let below: Vec<String> = self.below(path).collect();
        for inner in below.iter().rev() {
            self.remove(inner)?;
        }
        if only_below || !self.nodes.contains_key(path) { Ok(()) } else { self.remove(path) }
    }
}

impl Unpack {
    fn checked(&mut self, path: &str, kind: Kind<'_>, metadata: Metadata) -> io::Result<()> {
        if path.is_empty() {
            return match kind {
                Kind::Directory if self.home.is_dir() => Ok(()),
                Kind::Directory => fs::create_dir(&self.home),
                _ => Err(refused("is no folder")),
            };
        }
        safe_name(path.as_bytes()).map_err(|reason| refused(&format!("its name {reason}")))?;
        let names = self.names.checked_sub(path.len() + NODE_MEMORY);
        self.names = names.ok_or_else(|| refused("there are more names in it than can be kept in mind"))?;
        self.make_folders_above(path)?;
        self.make_room(path, matches!(kind, Kind::Directory))?;
        let kind = self.make(path, kind)?;
        // Set-user-id is dropped, as in packs.
        let node = Node { kind, mode: metadata.mode & 0o1777, mtime: metadata.mtime };
        if matches!(node.kind, NodeKind::File { .. }) {
            settle_path(&self.home.join(path), &node)?;
        }
        self.nodes.insert(path.to_owned(), node);
        Ok(())
    }

    /// Layers may leave them out; and nothing is ever written through a link.
    fn make_folders_above(&mut self, path: &str) -> io::Result<()> {
        if !self.home.exists() {
            fs::create_dir(&self.home)?;
        }
        for folder in ancestors(path) {
            match self.nodes.get(folder) {
                Some(Node { kind: NodeKind::Directory, .. }) => {}
                Some(_) => return Err(refused(&format!("{} above it is no folder", printable(folder)))),
                None => {
                    fs::create_dir(self.home.join(folder))?;
                    let node = Node { kind: NodeKind::Directory, mode: 0o755, mtime: 0 };
                    self.nodes.insert(folder.to_owned(), node);
                }
            }
        }
        Ok(())
    }

    /// What a lower layer has at `path` goes, but for a folder that stays one.
    fn make_room(&mut self, path: &str, is_folder: bool) -> io::Result<()> {
        match self.nodes.get(path) {
            Some(node) if !(is_folder && node.kind == NodeKind::Directory) => self.removed(path, false),
            _ => Ok(()),
        }
    }

    fn make(&mut self, path: &str, kind: Kind<'_>) -> io::Result<NodeKind> {
        let target = self.home.join(path);
        match kind {
            Kind::Directory if self.nodes.contains_key(path) => Ok(NodeKind::Directory),
            Kind::Directory => fs::create_dir(target).map(|()| NodeKind::Directory),
            Kind::Symlink(to) => {
                self.check_link(path, &to)?;
                symlink(&to, target)?;
                Ok(NodeKind::Symlink { target: to })
            }
            Kind::File(size, content) => self.write(&target, size, content),
            Kind::HardLink(to) => match self.nodes.get(&to).map(|node| node.kind.clone()) {
                Some(NodeKind::File { size, .. }) => self.write(&target, size, &mut File::open(self.home.join(&to))?),
                _ => Err(refused(&format!("is a hard link to {}, which is no file", printable(&to)))),
            },
            Kind::Other => Err(refused("is neither a file nor a folder nor a link")),
        }
    }

    fn check_link(&self, path: &str, to: &str) -> io::Result<()> {
        let link_at = |path: &str| match &self.nodes.get(path)?.kind {
            NodeKind::Symlink { target } => Some(target.as_str()),
            _ => None,
        };
        match leads_out(path, to, link_at) {
            false => Ok(()),
            true => Err(refused(&format!("is a link that leaves the product, to '{}'", printable(to)))),
        }
    }

    fn write(&mut self, target: &Path, size: u64, content: &mut dyn Read) -> io::Result<NodeKind> {
        self.left = self.left.checked_sub(size).ok_or_else(|| refused("is more than --max-unpacked-size allows"))?;
        let mut file = BufWriter::with_capacity(1 << 17, File::create_new(target)?);
        let mut hash = HashWriter::default();
        let mut buffer = vec![0; 1 << 16];
        let mut written = 0;
        loop {
            let read = content.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hash.write_all(&buffer[..read])?;
            file.write_all(&buffer[..read])?;
            written += read as u64;
            self.task.add(read as u64);
        }
        if written != size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "ends before its length"));
        }
        file.flush()?;
        self.digests.push(hash.finish());
        Ok(NodeKind::File { index: self.digests.len() - 1, size })
    }

    fn below(&self, path: &str) -> impl Iterator<Item = String> + use<'_> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let from = self.nodes.range(prefix.clone()..);
        from.map(|(known, _)| known).take_while(move |known| known.starts_with(&prefix)).cloned()
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        let target = self.home.join(path);
        match self.nodes.remove(path) {
            Some(Node { kind: NodeKind::Directory, .. }) => fs::remove_dir(target),
            Some(_) => fs::remove_file(target),
            None => Ok(()),
        }
    }

    fn finish(self) -> io::Result<Pristine> {
        // A link that came later can lead one that came before it elsewhere.
        for (path, node) in &self.nodes {
            if let NodeKind::Symlink { target } = &node.kind {
                self.check_link(path, target).map_err(|error| refused(&format!("{} {error}", printable(path))))?;
            }
        }
        settle_folders(&self.home, &self.nodes)?;
        let config = match self.nodes.contains_key(CONFIG_JSON) {
            true => Some(read_records(&self.home.join(CONFIG_JSON))?),
            false => None,
        };
        Ok(Pristine::of_image(self.nodes, self.digests, config))
    }
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(left: u64) -> (tempfile::TempDir, Unpack) {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join("product");
        let (nodes, digests, cancel) = (BTreeMap::new(), Vec::new(), CancellationToken::new());
        (folder, Unpack { home, nodes, digests, left, names: NAMES_MEMORY, cancel, task: Task::bytes("test", 0) })
    }

    const PLAIN: Metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: 7 };

    fn add(unpack: &mut Unpack, path: &str, text: &str) -> io::Result<()> {
        unpack.entry(path, Kind::File(text.len() as u64, &mut text.as_bytes()), PLAIN)
    }

    #[test]
    fn the_highest_layer_counts_and_deletions_hold() {
        let (_folder, mut work) = unpack(100);
        add(&mut work, "a/b/one", "1").expect("written");
        add(&mut work, "a/b/two", "2").expect("written");
        add(&mut work, "a/c", "3").expect("written");
        work.removed("a/b/one", false).expect("removed");
        add(&mut work, "a/c", "33").expect("replaced");
        work.entry("a/l", Kind::Symlink("c".to_owned()), PLAIN).expect("a link");
        work.entry("a/h", Kind::HardLink("a/c".to_owned()), PLAIN).expect("a hard link");
        assert_eq!(fs::read(work.home.join("a/h")).expect("there"), b"33");
        work.removed("a/b", true).expect("emptied");
        let home = work.home.clone();
        let pristine = work.finish().expect("settled");
        assert_eq!(pristine.nodes.keys().collect::<Vec<_>>(), ["a", "a/b", "a/c", "a/h", "a/l"]);
        assert!(home.join("a/b").is_dir() && !home.join("a/b/two").exists());
        assert_eq!(pristine.digest("a/c").expect("known"), pristine.digest("a/h").expect("known"));
    }

    #[test]
    fn what_is_not_safe_is_refused() {
        for (path, kind, why) in [
            ("../x", Kind::Directory, "part '..'"),
            ("x", Kind::Symlink("/etc".to_owned()), "leaves the product"),
            ("x", Kind::HardLink("y".to_owned()), "which is no file"),
            ("x", Kind::Other, "neither a file"),
            ("x", Kind::File(101, &mut io::empty()), "--max-unpacked-size"),
            ("x", Kind::File(5, &mut &b"1234"[..]), "ends before its length"),
        ] {
            let (_folder, mut work) = unpack(100);
            let error = work.entry(path, kind, PLAIN).expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
        let (_folder, mut work) = unpack(100);
        work.entry("l", Kind::Symlink("elsewhere".to_owned()), PLAIN).expect("it stays inside");
        assert!(add(&mut work, "l/x", "1").expect_err("through a link").to_string().contains("above it is no folder"));
    }
}
