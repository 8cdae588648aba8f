//! A deterministic layer: the same entries give the same bytes, on any machine, at any time.
//!
//! Entries are sorted by path; owners, modes and times are those given, never those of files on disk; names of users
//! and groups are left out. Long names use the GNU extension, which every engine reads.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tar::{EntryType, Header};

use crate::hashing::HashingWriter;

const BLOCK: u64 = 512;
/// A name of up to this many bytes fits the header.
const SHORT_NAME: usize = 100;
/// Prefix that marks a deletion, see "Whiteouts" in the OCI image specification.
pub const WHITEOUT_PREFIX: &str = ".wh.";

/// The bytes of a file in a layer. Read only while the layer is written.
pub trait Content: Send + Sync {
    /// Number of bytes that `copy_to` writes, exactly.
    fn size(&self) -> u64;
    /// Writes all bytes.
    ///
    /// # Errors
    /// What reading the source or writing to `out` gives.
    fn copy_to(&self, out: &mut dyn Write) -> io::Result<()>;
}

impl Content for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn copy_to(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self)
    }
}

/// A file on disk, of a size taken beforehand.
#[derive(Debug)]
pub struct FileContent {
    path: PathBuf,
    size: u64,
}

impl FileContent {
    /// The file at `path`, as long as it is now.
    ///
    /// # Errors
    /// Where the file cannot be looked at.
    pub fn new(path: PathBuf) -> io::Result<Self> {
        let size = path.symlink_metadata()?.len();
        Ok(Self { path, size })
    }

    /// The file at `path`, which is known to be of `size` bytes; where it is not, writing it fails.
    pub fn of_size(path: PathBuf, size: u64) -> Self {
        Self { path, size }
    }
}

impl Content for FileContent {
    fn size(&self) -> u64 {
        self.size
    }

    fn copy_to(&self, out: &mut dyn Write) -> io::Result<()> {
        io::copy(&mut File::open(&self.path)?, out).map(drop)
    }
}

/// What an entry is.
#[derive(Clone)]
pub enum Node {
    /// A folder.
    Directory,
    /// A regular file.
    File(Arc<dyn Content>),
    /// A symbolic link, with its target as written.
    Symlink(String),
    /// The deletion of what a lower layer has at this path.
    Whiteout,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => write!(f, "Directory"),
            Self::File(content) => write!(f, "File({} bytes)", content.size()),
            Self::Symlink(target) => write!(f, "Symlink({target:?})"),
            Self::Whiteout => write!(f, "Whiteout"),
        }
    }
}

/// Permission bits, owner and time of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
    /// Number of the owning user.
    pub uid: u64,
    /// Number of the owning group.
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: u64,
}

/// One entry of a layer.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it is.
    pub node: Node,
    /// Whose it is. Of no meaning for a whiteout.
    pub metadata: Metadata,
}

/// What is known of a layer once it has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerId {
    /// Digest of the uncompressed tar, `sha256:…`.
    pub diff_id: String,
    /// Length of the uncompressed tar, in bytes.
    pub size: u64,
}

/// A layer as it is stored and sent: compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Digest of the compressed tar, `sha256:…`.
    pub digest: String,
    /// Length of the compressed tar, in bytes.
    pub size: u64,
}

/// What is known of a layer that was written before, by whomever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLayer {
    /// The layer itself.
    pub id: LayerId,
    /// Its compressed form, where it was ever compressed.
    pub blob: Option<Blob>,
}

/// The files of a layer, by path.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    /// What `docker history` says of it.
    pub history: String,
    /// What writing it would give, where that is known: whoever has it already need not be sent it.
    pub known: Option<KnownLayer>,
    entries: BTreeMap<String, Entry>,
}

impl Layer {
    /// A layer without entries.
    pub fn new(history: impl Into<String>) -> Self {
        Self { history: history.into(), known: None, entries: BTreeMap::new() }
    }

    /// Puts an entry at `path` (relative to the root of the image, `/` between names), in place of an earlier one.
    pub fn insert(&mut self, path: impl Into<String>, entry: Entry) {
        self.known = None;
        let path = path.into();
        debug_assert!(!path.starts_with('/') && !path.ends_with('/') && !path.is_empty());
        self.entries.insert(path, entry);
    }

    /// Lays `upper` over this, as an image does: what is in it counts, and its deletions delete.
    pub fn lay_over(&mut self, upper: Self) {
        self.known = None;
        for (path, entry) in upper.entries {
            if !matches!(entry.node, Node::Directory) {
                let below = format!("{path}/");
                self.entries.retain(|known, _| *known != path && !known.starts_with(&below));
            }
            if !matches!(entry.node, Node::Whiteout) {
                self.entries.insert(path, entry);
            }
        }
    }

    /// Path and entry, in the order in which they are written.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Length of the tar in bytes, known without reading any content.
    pub fn size(&self) -> u64 {
        let entries: u64 = self.entries.iter().map(|(path, entry)| tar_size(path, &entry.node)).sum();
        entries + 2 * BLOCK
    }

    /// Writes the layer as a tar.
    ///
    /// # Errors
    /// Where a file's content cannot be read or is not of the size that it said, or `out` fails.
    pub fn write_to(&self, out: impl Write) -> io::Result<LayerId> {
        let mut out = HashingWriter::new(out);
        for (path, entry) in &self.entries {
            write_entry(&mut out, path, entry)
                .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
        }
        out.write_all(&[0; 2 * BLOCK as usize])?;
        out.flush()?;
        let (_, diff_id, size) = out.finish();
        Ok(LayerId { diff_id, size })
    }
}

fn tar_size(path: &str, node: &Node) -> u64 {
    let name = tar_name(path, node);
    let content = match node {
        Node::File(content) => content.size(),
        Node::Directory | Node::Symlink(_) | Node::Whiteout => 0,
    };
    let long_target = match node {
        Node::Symlink(target) => long_name_size(target),
        _ => 0,
    };
    BLOCK + content.next_multiple_of(BLOCK) + long_name_size(&name) + long_target
}

/// Size of the extra entry that carries a name which the header has no room for.
fn long_name_size(name: &str) -> u64 {
    if name.len() <= SHORT_NAME {
        return 0;
    }
    BLOCK + (name.len() as u64 + 1).next_multiple_of(BLOCK)
}

/// The name in the archive: folders end in `/`, deletions have their prefix.
fn tar_name(path: &str, node: &Node) -> String {
    match node {
        Node::Directory => format!("{path}/"),
        Node::Whiteout => match path.rsplit_once('/') {
            Some((parent, name)) => format!("{parent}/{WHITEOUT_PREFIX}{name}"),
            None => format!("{WHITEOUT_PREFIX}{path}"),
        },
        Node::File(_) | Node::Symlink(_) => path.to_owned(),
    }
}

fn write_entry(out: &mut impl Write, path: &str, entry: &Entry) -> io::Result<()> {
    let name = tar_name(path, &entry.node);
    let (kind, size) = match &entry.node {
        Node::Directory => (EntryType::Directory, 0),
        Node::File(content) => (EntryType::Regular, content.size()),
        Node::Symlink(_) => (EntryType::Symlink, 0),
        Node::Whiteout => (EntryType::Regular, 0),
    };
    let metadata = match entry.node {
        Node::Whiteout => Metadata { mode: 0, uid: 0, gid: 0, mtime: 0 },
        _ => entry.metadata,
    };
    if let Node::Symlink(target) = &entry.node {
        write_long_name(out, EntryType::GNULongLink, target)?;
    }
    write_long_name(out, EntryType::GNULongName, &name)?;
    let mut header = header(kind, &name, size, metadata);
    if let Node::Symlink(target) = &entry.node {
        copy_truncated(&mut header.as_old_mut().linkname, target);
    }
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    match &entry.node {
        Node::File(content) => write_content(out, content.as_ref()),
        Node::Directory | Node::Symlink(_) | Node::Whiteout => Ok(()),
    }
}

fn header(kind: EntryType, name: &str, size: u64, metadata: Metadata) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    copy_truncated(&mut header.as_old_mut().name, name);
    header.set_size(size);
    header.set_mode(metadata.mode & 0o7777);
    header.set_uid(metadata.uid);
    header.set_gid(metadata.gid);
    header.set_mtime(metadata.mtime);
    header
}

fn write_long_name(out: &mut impl Write, kind: EntryType, name: &str) -> io::Result<()> {
    if name.len() <= SHORT_NAME {
        return Ok(());
    }
    let no_one = Metadata { mode: 0, uid: 0, gid: 0, mtime: 0 };
    let mut header = header(kind, "././@LongLink", name.len() as u64 + 1, no_one);
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    write_content(out, &bytes)
}

/// A file's header, for content of `size` bytes that the caller writes and fills up to whole blocks of 512.
pub(crate) fn write_file_header(out: &mut impl Write, name: &str, size: u64) -> io::Result<()> {
    let metadata = Metadata { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
    let mut header = header(EntryType::Regular, name, size, metadata);
    header.set_cksum();
    out.write_all(header.as_bytes())
}

/// A small file, header and content.
pub(crate) fn write_file(out: &mut impl Write, name: &str, content: &Vec<u8>) -> io::Result<()> {
    write_file_header(out, name, content.len() as u64)?;
    write_content(out, content)
}

/// The content, filled up to a whole block; refuses content of another length than the header says.
fn write_content(out: &mut impl Write, content: &dyn Content) -> io::Result<()> {
    let size = content.size();
    let mut counted = Exactly { out: &mut *out, left: size };
    content.copy_to(&mut counted)?;
    if counted.left != 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
    }
    let padding = size.next_multiple_of(BLOCK) - size;
    out.write_all(&[0; BLOCK as usize][..padding as usize])
}

struct Exactly<W> {
    out: W,
    left: u64,
}

impl<W: Write> Write for Exactly<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if buffer.len() as u64 > self.left {
            return Err(io::Error::other("it became longer while it was read"));
        }
        let written = self.out.write(buffer)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn copy_truncated(field: &mut [u8], text: &str) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
