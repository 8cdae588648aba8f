//! A folder taken out of an image: streamed from the engine, or put together from the layers of a layout. No container
//! is started.

use std::io::{self, Read};

use tar::EntryType;

use crate::base::{BaseImage, Source};
use crate::container::{NeverStarted, blocking_reader};
use crate::entries::each_entry;
use crate::layer::Metadata;
use crate::look::{Meaning, is_below, meaning_of, metadata_of};
use crate::{Error, Result};

/// What an entry of the folder is.
pub enum Kind<'a> {
    /// A folder.
    Directory,
    /// A file, with its length in bytes and its content.
    File(u64, &'a mut dyn Read),
    /// A symbolic link, with its target.
    Symlink(String),
    /// A further name of a file that came before, given by its path.
    HardLink(String),
    /// A device, a pipe, a socket.
    Other,
}

/// Takes the entries of a folder, by path from there; the folder itself has the empty path. Layers come from the lowest
/// to the highest, so an entry takes the place of an earlier one of the same path.
pub trait Receive {
    /// One entry.
    ///
    /// # Errors
    /// Whatever stops the reading.
    fn entry(&mut self, path: &str, kind: Kind<'_>, metadata: Metadata) -> io::Result<()>;
    /// What is at `path`, and below, is gone; with `only_below`, the folder itself stays.
    ///
    /// # Errors
    /// Whatever stops the reading.
    fn removed(&mut self, path: &str, only_below: bool) -> io::Result<()>;
}

impl BaseImage {
    /// Gives everything in `folder` (from the image's root) to `receiver`, on a thread of its own.
    ///
    /// # Errors
    /// [`Error::Layer`] with what `receiver` or the reading gave; where the engine or the layout fails.
    pub async fn read_folder<R: Receive + Send + 'static>(&self, folder: &str, mut receiver: R) -> Result<R> {
        let folder = folder.to_owned();
        match &self.source {
            Source::Scratch => Ok(receiver),
            Source::Engine { engine, id } => {
                let container = NeverStarted::create(engine, id).await?;
                let read = read_in_engine(&container, folder, receiver).await;
                container.remove().await;
                read
            }
            Source::Layout(layout) => {
                let layout = layout.clone();
                let read = blocking(move || {
                    for index in 0..layout.layers.len() {
                        read_layer(layout.open_layer(index)?, &folder, true, &mut receiver).map_err(Error::Layer)?;
                    }
                    Ok(receiver)
                });
                read.await
            }
        }
    }
}

async fn read_in_engine<R: Receive + Send + 'static>(
    container: &NeverStarted,
    folder: String,
    mut receiver: R,
) -> Result<R> {
    let (tar, name) = match container.archive_tells_owners().await? {
        // The engine calls the folder by its last name only.
        true => (container.archive(&folder), folder.rsplit('/').next().unwrap_or(&folder).to_owned()),
        false => (container.export(), folder),
    };
    let tar = blocking_reader(tar);
    blocking(move || read_layer(tar, &name, false, &mut receiver).map(|()| receiver).map_err(Error::Layer)).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Layer(error.into()))?
}

/// Only in a layer does a whiteout mean anything; in an image such a name is a file like others.
fn read_layer(tar: impl Read, folder: &str, is_layer: bool, receiver: &mut dyn Receive) -> io::Result<()> {
    each_entry(tar, |entry| {
        let raw = entry.path_bytes().into_owned();
        let meaning = match meaning_of(&raw) {
            meaning if is_layer => meaning,
            _ => Meaning::Present(plain(&raw)),
        };
        match meaning {
            Meaning::Present(path) => {
                let Some(inner) = within(&path, folder) else { return Ok(()) };
                let metadata = metadata_of(entry.header())?;
                give(entry, inner, folder, metadata, receiver)
            }
            Meaning::Removed(path) => remove(&path, folder, false, receiver),
            Meaning::Emptied(path) => remove(&path, folder, true, receiver),
        }
    })
}

fn plain(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).trim_start_matches("./").trim_matches('/').to_owned()
}

/// The path from `folder`; `None` for what is not in it.
fn within<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

fn remove(path: &str, folder: &str, only_below: bool, receiver: &mut dyn Receive) -> io::Result<()> {
    match within(path, folder) {
        Some(inner) => receiver.removed(inner, only_below),
        // The folder goes with one above it.
        None if is_below(folder, path) => receiver.removed("", false),
        None => Ok(()),
    }
}

fn give(
    entry: &mut tar::Entry<'_, impl Read>,
    path: &str,
    folder: &str,
    metadata: Metadata,
    receiver: &mut dyn Receive,
) -> io::Result<()> {
    let target =
        entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned()).unwrap_or_default();
    match entry.header().entry_type() {
        EntryType::Directory => receiver.entry(path, Kind::Directory, metadata),
        EntryType::Symlink => receiver.entry(path, Kind::Symlink(target), metadata),
        EntryType::Link => {
            let target = plain(target.as_bytes());
            let inner = within(&target, folder).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{path} is a hard link to {target}, elsewhere"))
            })?;
            receiver.entry(path, Kind::HardLink(inner.to_owned()), metadata)
        }
        kind if kind.is_file() => {
            let size = entry.size();
            receiver.entry(path, Kind::File(size, entry), metadata)
        }
        _ => receiver.entry(path, Kind::Other, metadata),
    }
}
