//! Images into a layout. The index is written last and by renaming, so a layout holds the image wholly or not at all.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use super::guard::{LayoutGuard, is_locked};
use super::read::read_index;
use super::{
    BLOBS, CONFIG_TYPE, Descriptor, GZIP_LAYER_TYPE, INDEX, INDEX_TYPE, Index, LAYER_TYPE, LAYOUT_FILE, LAYOUT_VERSION,
    MANIFEST_TYPE, Manifest, REF_NAME, UNFINISHED, ZSTD_LAYER_TYPE, blob_path,
};
use crate::base::Source;
use crate::cancel::CancellableWriter;
use crate::gzip::GzipWriter;
use crate::hashing::{HashingWriter, digest_of};
use crate::image::{BuiltImage, Image};
use crate::layer::{Blob, KnownLayer, Layer, LayerId};
use crate::progress::Task;
use crate::reference::ImageRef;
use crate::{Error, Result};

/// Whether an image can be written to `directory`: it is not there, empty, or a layout already or in a moment.
///
/// # Errors
/// [`Error::Layout`] where it is something else.
pub fn check_target(directory: &Path) -> Result<()> {
    match check_layout(directory) {
        // One that another one of us is making.
        Err(Error::Layout { .. }) if fs::File::open(directory).is_ok_and(|folder| is_locked(&folder)) => Ok(()),
        other => other,
    }
}

fn check_layout(directory: &Path) -> Result<()> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::io("open the folder", directory)(source)),
        Ok(mut entries) => match entries.all(|entry| entry.is_ok_and(|entry| is_of_beginning(&entry))) {
            // As a run that was killed has begun it, if there is anything.
            true => Ok(()),
            false => read_index(directory).map(drop),
        },
    }
}

/// Whether it is what is written before the index.
fn is_of_beginning(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    [LAYOUT_FILE, "blobs"].iter().any(|known| name == *known) || name.to_string_lossy().starts_with(UNFINISHED)
}

/// Finds the digest (`sha256:…`) of a blob that is in a layout already: by reading it, or by knowing that nobody has changed
/// it since that was done.
pub type DigestOfBlob = Arc<dyn Fn(&Path) -> io::Result<String> + Send + Sync>;

/// Writes `image` to the layout in `directory`, under `tags`, in place of what had these names there. It stays if the
/// guard is told so.
///
/// # Errors
/// [`Error::Cancelled`] when `cancel` was; otherwise what the file system said. What was written is removed again.
pub async fn write(
    directory: &Path,
    image: &Image,
    tags: &[ImageRef],
    digest_of_blob: DigestOfBlob,
    cancel: &CancellationToken,
) -> Result<(BuiltImage, LayoutGuard)> {
    let (directory, image, tags, token) = (directory.to_owned(), image.clone(), tags.to_vec(), cancel.clone());
    let write = move || write_blocking(&directory, &image, &tags, &digest_of_blob, &token);
    let written = tokio::task::spawn_blocking(write).await;
    let written = written.unwrap_or_else(|error| Err(Error::Layer(error.into())));
    if cancel.is_cancelled() && written.is_err() { Err(Error::Cancelled) } else { written }
}

fn write_blocking(
    directory: &Path,
    image: &Image,
    tags: &[ImageRef],
    digest_of_blob: &DigestOfBlob,
    cancel: &CancellationToken,
) -> Result<(BuiltImage, LayoutGuard)> {
    let mut added = LayoutGuard::begin(directory, cancel)?;
    check_layout(directory)?;
    added.create_dirs(&directory.join(BLOBS))?;
    let mut layers = copy_base(&mut added, directory, image, digest_of_blob)?;
    let (mut ids, mut blobs) = (Vec::new(), Vec::new());
    for layer in &image.layers {
        let (id, blob) = match stored(directory, layer, digest_of_blob)? {
            Some(stored) => stored,
            None => write_layer(&mut added, directory, layer, cancel)?,
        };
        layers.push(Descriptor::new(GZIP_LAYER_TYPE, blob.digest.clone(), blob.size));
        ids.push(id);
        blobs.push(blob);
    }
    let config = write_json(&mut added, directory, CONFIG_TYPE, &image.configuration(&ids))?;
    let manifest = Manifest { schema_version: 2, media_type: MANIFEST_TYPE.to_owned(), config, layers };
    let manifest = serde_json::to_vec(&manifest).map_err(|e| Error::io("write", directory)(e.into()))?;
    let manifest = write_json(&mut added, directory, MANIFEST_TYPE, &manifest)?;
    let digest = manifest.digest.clone();
    write_index(&mut added, directory, &manifest, tags)?;
    Ok((BuiltImage { id: digest.clone(), digest: Some(digest), layers: ids, blobs }, added))
}

/// The layer, where it is known and in the layout already.
fn stored(directory: &Path, layer: &Layer, digest_of_blob: &DigestOfBlob) -> Result<Option<(LayerId, Blob)>> {
    let Some(KnownLayer { id, blob: Some(blob) }) = &layer.known else { return Ok(None) };
    let is_there = is_stored(directory, &blob.digest, blob.size, digest_of_blob)?;
    Ok(is_there.then(|| (id.clone(), blob.clone())))
}

/// Whether the layout has the blob, and undamaged.
fn is_stored(directory: &Path, digest: &str, size: u64, digest_of_blob: &DigestOfBlob) -> Result<bool> {
    let path = blob_path(directory, digest)?;
    if !fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() == size) {
        return Ok(false);
    }
    let found = digest_of_blob(&path).map_err(Error::io("read", &path))?;
    Ok(found == digest)
}

fn write_layer(
    added: &mut LayoutGuard,
    directory: &Path,
    layer: &Layer,
    cancel: &CancellationToken,
) -> Result<(LayerId, Blob)> {
    let file = blob_file(directory)?;
    let mut gzip = GzipWriter::new(HashingWriter::new(file));
    let task = Task::bytes("writing a layer", layer.size());
    let id = layer.write_to(task.count(CancellableWriter::new(&mut gzip, cancel))).map_err(Error::Layer)?;
    let (file, digest, size) = gzip.finish().map_err(Error::Layer)?.finish();
    added.persist(file, &blob_path(directory, &digest)?)?;
    Ok((id, Blob { digest, size }))
}

fn write_json(added: &mut LayoutGuard, directory: &Path, media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
    let descriptor = Descriptor::new(media_type, digest_of(bytes), bytes.len() as u64);
    let mut file = blob_file(directory)?;
    file.write_all(bytes).map_err(Error::io("write", directory))?;
    added.persist(file, &blob_path(directory, &descriptor.digest)?)?;
    Ok(descriptor)
}

fn blob_file(directory: &Path) -> Result<NamedTempFile> {
    let blobs = directory.join(BLOBS);
    tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&blobs).map_err(Error::io("write to the folder", &blobs))
}

/// The base's layers as they are stored, so that they keep their compressed digests.
fn copy_base(
    added: &mut LayoutGuard,
    directory: &Path,
    image: &Image,
    digest_of_blob: &DigestOfBlob,
) -> Result<Vec<Descriptor>> {
    let layout = match &image.base.source {
        Source::Layout(layout) => layout,
        Source::Scratch => return Ok(Vec::new()),
        Source::Engine { .. } => {
            let reason = format!("the base {} is in an engine, and a layout is written without one", image.base.name);
            return Err(Error::Layout { path: directory.to_owned(), reason });
        }
    };
    for layer in &layout.layers {
        if is_stored(directory, &layer.digest, layer.size, digest_of_blob)? {
            continue;
        }
        let from = blob_path(&layout.directory, &layer.digest)?;
        let to = blob_path(directory, &layer.digest)?;
        let mut file = blob_file(directory)?;
        let task = Task::bytes("copying a layer of the base image", layer.size);
        let mut source = task.count(fs::File::open(&from).map_err(Error::io("read", &from))?);
        let mut hashing = HashingWriter::new(&mut file);
        io::copy(&mut source, &mut hashing).map_err(Error::io("copy", &from))?;
        if hashing.finish().1 != layer.digest {
            return Err(layout.damaged(format!("the blob {} has other content than its name says", layer.digest)));
        }
        added.persist(file, &to)?;
    }
    Ok(layout.layers.iter().map(as_oci_layer).collect())
}

/// Docker's names for the same types are not allowed beside OCI's in one manifest.
fn as_oci_layer(layer: &Descriptor) -> Descriptor {
    let media_type = match layer.media_type.as_str() {
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => GZIP_LAYER_TYPE,
        "application/vnd.docker.image.rootfs.diff.tar" => LAYER_TYPE,
        "application/vnd.docker.image.rootfs.diff.tar.zstd" => ZSTD_LAYER_TYPE,
        other => other,
    };
    Descriptor { media_type: media_type.to_owned(), ..layer.clone() }
}

fn write_index(added: &mut LayoutGuard, directory: &Path, manifest: &Descriptor, tags: &[ImageRef]) -> Result<()> {
    let mut index = match read_index(directory) {
        Ok(index) => index,
        Err(_) if !directory.join(INDEX).exists() => {
            Index { schema_version: 2, media_type: INDEX_TYPE.to_owned(), manifests: Vec::new() }
        }
        Err(error) => return Err(error),
    };
    let names: BTreeSet<&str> = tags.iter().map(|tag| tag.tag().unwrap_or("latest")).collect();
    index.manifests.retain(|known| !known.ref_name().is_some_and(|name| names.contains(name)));
    for tag in tags {
        let mut named = manifest.clone();
        let annotations = json!({ REF_NAME: tag.tag().unwrap_or("latest"), "io.containerd.image.name": tag.as_str() });
        named.more.insert("annotations".to_owned(), annotations);
        index.manifests.push(named);
    }
    let bytes = serde_json::to_vec_pretty(&index).map_err(|e| Error::io("write", directory)(e.into()))?;
    added.write_new(&directory.join(LAYOUT_FILE), LAYOUT_VERSION.as_bytes())?;
    added.replace_index(directory, bytes)
}

/// A layout with the one image whose blobs are in `directory` already.
pub(crate) fn write_single(directory: &Path, manifest: Descriptor) -> Result<()> {
    let index = Index { schema_version: 2, media_type: INDEX_TYPE.to_owned(), manifests: vec![manifest] };
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        fs::write(&path, bytes).map_err(Error::io("write", &path))
    };
    write(LAYOUT_FILE, LAYOUT_VERSION.as_bytes())?;
    write(INDEX, &serde_json::to_vec(&index).map_err(|e| Error::io("write", directory)(e.into()))?)
}
