//! What an image has at a few paths: the folders above the place where files are put must keep their owner, mode and
//! time, so a layer repeats them as they are; and a few files say what the image holds.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::{BaseImage, Source};
use crate::container::NeverStarted;
use crate::engine::Engine;
use crate::entries::{Memory, each_entry};
use crate::layer::{Metadata, WHITEOUT_PREFIX};
use crate::retry::tried;
use crate::{Error, Result};

/// Enough for an entry's header with its extensions.
const HEADER_BYTES: usize = 64 * 1024;
/// Files up to this size are kept whole.
const SMALL: u64 = 1 << 20;
/// For everything that is found in the layers of an image: what is looked for is some folders and small files.
const FOUND_MEMORY: usize = 64 << 20;
const OPAQUE: &str = ".wh..wh..opq";

/// What is at a path of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What it is.
    pub kind: FoundKind,
    /// Its permission bits, owner and time.
    pub metadata: Metadata,
}

/// What something found is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FoundKind {
    /// A folder.
    Directory,
    /// A regular file.
    File {
        /// SHA-256 of its content.
        sha256: [u8; 32],
        /// Its content, where that is of at most 1 MiB. Never kept anywhere.
        #[serde(skip)]
        content: Option<Vec<u8>>,
    },
    /// A symbolic link, with its target.
    Symlink(String),
    /// Anything else.
    Other,
}

impl Found {
    /// Whether it is a folder, not a file or a link.
    pub fn is_directory(&self) -> bool {
        self.kind == FoundKind::Directory
    }

    /// The content of a small file.
    pub fn content(&self) -> Option<&[u8]> {
        match &self.kind {
            FoundKind::File { content, .. } => content.as_deref(),
            _ => None,
        }
    }
}

/// What was found, by path; paths that the image does not have are left out.
pub type FoundPaths = BTreeMap<String, Found>;

impl BaseImage {
    /// What the image has at `paths` (relative to its root, `/` between names). No container is started.
    ///
    /// # Errors
    /// Where the engine fails, or a layer of a layout cannot be read.
    pub async fn look(&self, paths: &[String]) -> Result<FoundPaths> {
        match &self.source {
            Source::Scratch => Ok(FoundPaths::new()),
            Source::Engine { engine, id } => look_in_engine(engine, id, paths).await,
            Source::Layout(layout) => {
                let (layout, paths) = (layout.clone(), paths.to_vec());
                let scan = move || {
                    let (mut found, mut memory) = (FoundPaths::new(), Memory::of(FOUND_MEMORY));
                    for index in 0..layout.layers.len() {
                        let layer = layout.open_layer(index)?;
                        let is_wanted = |path: &str| paths.iter().any(|wanted| wanted == path);
                        scan_layer(layer, is_wanted, &mut found, &mut memory)
                            .map_err(|e| layout.damaged(format!("layer {index}: {e}")))?;
                    }
                    Ok(found)
                };
                blocking(scan).await
            }
        }
    }

    /// The paths of all files of the image that end in `ending` (whole names, such as `/updates/product.txt`). Reads
    /// the whole image.
    ///
    /// # Errors
    /// As [`BaseImage::look`].
    pub async fn find(&self, ending: &str) -> Result<FoundPaths> {
        let ending = ending.to_owned();
        let wanted = move |path: &str| path.ends_with(&ending) || format!("/{path}") == ending;
        match &self.source {
            Source::Scratch => Ok(FoundPaths::new()),
            Source::Engine { engine, id } => {
                let container = NeverStarted::create(engine, id).await?;
                let found = scan_all(&container, wanted).await;
                container.remove().await;
                found
            }
            Source::Layout(layout) => {
                let layout = layout.clone();
                let scan = move || {
                    let (mut found, mut memory) = (FoundPaths::new(), Memory::of(FOUND_MEMORY));
                    for index in 0..layout.layers.len() {
                        scan_layer(layout.open_layer(index)?, &wanted, &mut found, &mut memory)
                            .map_err(|e| layout.damaged(format!("layer {index}: {e}")))?;
                    }
                    Ok(found)
                };
                blocking(scan).await
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Io { action: "read", path: "layers".into(), source: error.into() })?
}

async fn look_in_engine(engine: &Engine, id: &str, paths: &[String]) -> Result<FoundPaths> {
    let container = NeverStarted::create(engine, id).await?;
    let found = match container.archive_tells_owners().await {
        Ok(true) => look_at_all(&container, paths).await,
        Ok(false) => {
            let paths = paths.to_vec();
            scan_all(&container, move |path| paths.iter().any(|wanted| wanted == path)).await
        }
        Err(error) => Err(error),
    };
    container.remove().await;
    found
}

/// Reads everything in the image for what is wanted.
async fn scan_all(container: &NeverStarted, wanted: impl Fn(&str) -> bool + Send + 'static) -> Result<FoundPaths> {
    let all = crate::container::blocking_reader(container.export());
    blocking(move || {
        let mut found = FoundPaths::new();
        scan_layer(all, wanted, &mut found, &mut Memory::of(FOUND_MEMORY)).map_err(Error::Layer)?;
        Ok(found)
    })
    .await
}

async fn look_at_all(container: &NeverStarted, paths: &[String]) -> Result<FoundPaths> {
    let mut found = FoundPaths::new();
    for path in paths {
        // Below what is no folder there is nothing, and engines fail when asked.
        if found.iter().any(|(above, here)| !here.is_directory() && is_below(path, above)) {
            continue;
        }
        if let Some(here) = tried(async || look_at(container, path).await).await? {
            found.insert(path.clone(), here);
        }
    }
    Ok(found)
}

async fn look_at(container: &NeverStarted, path: &str) -> Result<Option<Found>> {
    let mut stream = container.archive(path);
    let mut head = Vec::new();
    // Of a folder only the first entry is wanted: itself, before everything in it.
    while head.len() < HEADER_BYTES {
        match stream.next().await {
            Some(Ok(bytes)) => head.extend_from_slice(&bytes),
            Some(Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })) => return Ok(None),
            Some(Err(source)) => return Err(Error::engine(format!("look at /{path} in the image"))(source)),
            None => break,
        }
    }
    let rest = crate::container::blocking_reader(stream);
    let unreadable = |error: io::Error| Error::engine(format!("look at /{path} in the image"))(error.into());
    let read = tokio::task::spawn_blocking(move || {
        let mut archive = tar::Archive::new(io::Cursor::new(head).chain(rest));
        // What is not there is 404; an archive without an entry is a part of one.
        let first = archive.entries()?.next().ok_or(io::ErrorKind::UnexpectedEof)?;
        found_in(&mut first?)
    });
    read.await.map_err(|error| unreadable(error.into()))?.map(Some).map_err(unreadable)
}

/// The kind and metadata of an entry; a file is read to its end.
fn found_in(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<Found> {
    let metadata = metadata_of(entry.header())?;
    let kind = match entry.header().entry_type() {
        kind if kind.is_dir() => FoundKind::Directory,
        kind if kind.is_file() => read_file(entry)?,
        kind if kind.is_symlink() => {
            let target = entry.link_name_bytes().unwrap_or_default();
            FoundKind::Symlink(String::from_utf8_lossy(&target).into_owned())
        }
        _ => FoundKind::Other,
    };
    Ok(Found { kind, metadata })
}

fn read_file(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<FoundKind> {
    let size = entry.size();
    let whole = |read: u64| if read == size { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) };
    let mut hash = Sha256::new();
    if size > SMALL {
        whole(io::copy(entry, &mut HashOnly(&mut hash))?)?;
        return Ok(FoundKind::File { sha256: hash.finalize().into(), content: None });
    }
    let mut content = Vec::new();
    whole(entry.read_to_end(&mut content)? as u64)?;
    hash.update(&content);
    Ok(FoundKind::File { sha256: hash.finalize().into(), content: Some(content) })
}

/// Hashes what is written to it, and keeps nothing.
pub(crate) struct HashOnly<'a>(pub(crate) &'a mut Sha256);

impl Write for HashOnly<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.update(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Permission bits, owner and time in a header.
pub(crate) fn metadata_of(header: &tar::Header) -> io::Result<Metadata> {
    Ok(Metadata { mode: header.mode()? & 0o7777, uid: header.uid()?, gid: header.gid()?, mtime: header.mtime()? })
}

/// What an entry of a layer means for the layers below.
pub(crate) enum Meaning {
    /// It is what is at this path now.
    Present(String),
    /// What was at this path, and below, is gone.
    Removed(String),
    /// What was in this folder is gone, the folder itself stays.
    Emptied(String),
}

/// See "Whiteouts" in the OCI image specification.
pub(crate) fn meaning_of(raw: &[u8]) -> Meaning {
    let path = String::from_utf8_lossy(raw);
    let path = path.trim_start_matches("./").trim_matches('/');
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    if name == OPAQUE {
        return Meaning::Emptied(parent.to_owned());
    }
    match name.strip_prefix(WHITEOUT_PREFIX) {
        Some(deleted) if parent.is_empty() => Meaning::Removed(deleted.to_owned()),
        Some(deleted) => Meaning::Removed(format!("{parent}/{deleted}")),
        None => Meaning::Present(path.to_owned()),
    }
}

/// Lays one layer over what was found in those below.
fn scan_layer(
    layer: impl Read,
    wanted: impl Fn(&str) -> bool,
    found: &mut FoundPaths,
    memory: &mut Memory,
) -> io::Result<()> {
    each_entry(layer, |entry| {
        match meaning_of(&entry.path_bytes()) {
            Meaning::Emptied(folder) => remove_below(found, &folder),
            Meaning::Removed(path) => {
                remove_below(found, &path);
                found.remove(&path);
            }
            Meaning::Present(path) => {
                if !entry.header().entry_type().is_dir() {
                    remove_below(found, &path);
                }
                if wanted(&path) {
                    let here = found_in(entry)?;
                    memory.take(path.len() + here.content().map_or(0, <[u8]>::len))?;
                    found.insert(path, here);
                }
            }
        }
        Ok(())
    })
}

/// Everything in `folder` is gone. An image has as many entries as it likes, so not all that was found is looked through for each.
fn remove_below(found: &mut FoundPaths, folder: &str) {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let below = found.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
    let below: Vec<String> = below.map(|(path, _)| path.clone()).collect();
    below.iter().for_each(|path| drop(found.remove(path)));
}

/// Whether `path` is in `folder`, at whatever depth.
pub(crate) fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Entry, Layer, Node};

    fn layer(entries: &[(&str, Node, u64)]) -> Vec<u8> {
        let mut layer = Layer::new("test");
        for (path, node, uid) in entries {
            let metadata = Metadata { mode: 0o755, uid: *uid, gid: 0, mtime: 5 };
            layer.insert(*path, Entry { node: node.clone(), metadata });
        }
        let mut bytes = Vec::new();
        layer.write_to(&mut bytes).expect("memory");
        bytes
    }

    fn owners(layers: &[Vec<u8>]) -> Vec<(String, u64)> {
        let wanted = ["home".to_owned(), "home/app".to_owned(), "home/app/x".to_owned()];
        let (mut found, mut memory) = (FoundPaths::new(), Memory::of(FOUND_MEMORY));
        for bytes in layers {
            let is_wanted = |path: &str| wanted.iter().any(|w| w == path);
            scan_layer(bytes.as_slice(), is_wanted, &mut found, &mut memory).expect("readable");
        }
        found.into_iter().map(|(path, found)| (path, found.metadata.uid)).collect()
    }

    fn owned(list: &[(&str, u64)]) -> Vec<(String, u64)> {
        list.iter().map(|(path, uid)| ((*path).to_owned(), *uid)).collect()
    }

    #[test]
    fn the_topmost_layer_counts() {
        let below =
            layer(&[("home", Node::Directory, 0), ("home/app", Node::Directory, 1), ("other", Node::Directory, 9)]);
        assert_eq!(owners(std::slice::from_ref(&below)), owned(&[("home", 0), ("home/app", 1)]));
        let above = layer(&[("home/app", Node::Directory, 10001)]);
        assert_eq!(owners(&[below, above]), owned(&[("home", 0), ("home/app", 10001)]));
    }

    #[test]
    fn half_a_file_is_no_file() {
        let content = Node::File(std::sync::Arc::new(vec![7; 2000]));
        let whole = layer(&[("home", content, 0)]);
        for (length, is_whole) in [(whole.len(), true), (512 + 2000, true), (512 + 1999, false), (513, false)] {
            let mut archive = tar::Archive::new(&whole[..length]);
            let mut entry = archive.entries().and_then(|mut all| all.next().expect("one")).expect("a header");
            assert_eq!(found_in(&mut entry).is_ok(), is_whole, "{length}");
        }
    }

    #[test]
    fn deletions_take_what_is_below_with_them() {
        let all = layer(&[
            ("home", Node::Directory, 0),
            ("home/app", Node::Directory, 1),
            ("home/app/x", Node::Directory, 2),
        ]);
        let gone = layer(&[("home/app", Node::Whiteout, 0)]);
        assert_eq!(owners(&[all.clone(), gone]), owned(&[("home", 0)]));
        let opaque = layer(&[("home/.wh..opq", Node::Whiteout, 0)]);
        assert_eq!(owners(&[all.clone(), opaque]), owned(&[("home", 0)]));
        let link = layer(&[("home", Node::Symlink("/var/home".to_owned()), 3)]);
        assert_eq!(owners(&[all, link]), owned(&[("home", 3)]));
    }
}
