//! What is in one layer of an image in a registry: the layer is fetched, listed and forgotten.

use std::collections::BTreeMap;
use std::io;

use sha2::{Digest, Sha256};

use crate::entries::{Memory, each_entry};
use crate::fetch::{check_room, fetch_blob, temporary_folder};
use crate::look::{HashOnly, Meaning, meaning_of};
use crate::oci_layout::{Descriptor, LayoutImage};
use crate::progress::Task;
use crate::repository::Repository;
use crate::temporary::TemporaryFolder;
use crate::{Error, Result};

/// For the paths of a layer and the targets of its links; a product has some megabytes of them.
const LISTING_MEMORY: usize = 256 << 20;

/// What a layer does to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// What is below is gone.
    Removed,
    /// A folder.
    Directory,
    /// A file, with the SHA-256 of its content.
    File(String),
    /// A symbolic link, with its target.
    Symlink(String),
    /// Anything else.
    Other,
}

impl Repository {
    /// The entries of the layer that a manifest describes as `layer`, by path.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::RegistryUnreachable`] or [`Error::Registry`]; [`Error::Layout`] where it is no layer that can be
    /// read; [`Error::Io`] where there is no room for it among temporary files.
    pub async fn list_layer(&self, layer: &Descriptor) -> Result<BTreeMap<String, Listed>> {
        let folder = TemporaryFolder::new().map_err(Error::io("make a folder in", &temporary_folder()))?;
        let blobs = folder.path().join("blobs/sha256");
        std::fs::create_dir_all(&blobs).map_err(Error::io("make the folder", &blobs))?;
        check_room(&blobs, layer.size)?;
        let task = Task::bytes(format!("reading a layer of {}", self.reference()), layer.size);
        fetch_blob(self, layer, folder.path(), &task).await?;
        let fetched = LayoutImage { directory: folder.path().to_owned(), layers: vec![layer.clone()], origin: None };
        let digest = layer.digest.clone();
        let list = move || {
            let listed = list(fetched.open_layer(0)?);
            listed.map_err(|error| fetched.damaged(format!("the layer {digest} cannot be read: {error}")))
        };
        let listed = tokio::task::spawn_blocking(list).await;
        drop(folder);
        listed.unwrap_or_else(|error| Err(Error::Layer(error.into())))
    }
}

fn list(layer: impl io::Read) -> io::Result<BTreeMap<String, Listed>> {
    let mut found = BTreeMap::new();
    let mut memory = Memory::of(LISTING_MEMORY);
    each_entry(layer, |entry| {
        let (path, listed) = match meaning_of(&entry.path_bytes()) {
            Meaning::Present(path) => (path, listed(entry)?),
            Meaning::Removed(path) => (path, Listed::Removed),
            // Everything that was in it, by no name.
            Meaning::Emptied(_) => return Ok(()),
        };
        let target = if let Listed::Symlink(target) = &listed { target.len() } else { 0 };
        memory.take(path.len() + target)?;
        found.insert(path, listed);
        Ok(())
    })?;
    Ok(found)
}

fn listed(entry: &mut tar::Entry<'_, impl io::Read>) -> io::Result<Listed> {
    Ok(match entry.header().entry_type() {
        kind if kind.is_dir() => Listed::Directory,
        kind if kind.is_file() => {
            let mut hash = Sha256::new();
            io::copy(entry, &mut HashOnly(&mut hash))?;
            Listed::File(hex::encode(hash.finalize()))
        }
        kind if kind.is_symlink() => {
            Listed::Symlink(String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()).into_owned())
        }
        _ => Listed::Other,
    })
}
