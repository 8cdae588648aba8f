//! An image out of its registry into an OCI layout, with no engine between.

use std::io;
use std::path::Path;

use futures_util::{StreamExt, TryStreamExt};
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::auth::Credentials;
use crate::base::{BaseImage, Platform, Source};
use crate::hashing::{HashingWriter, is_digest};
use crate::oci_layout::{self, Descriptor, INDEX_TYPE, Index, LARGEST_DOCUMENT, Manifest, blob_path};
use crate::progress::Task;
use crate::reference::ImageRef;
use crate::repository::{DOCKER_INDEX_TYPE, RawManifest, Repository};
use crate::retry::tried;
use crate::said::{listed, shown};
use crate::transport::{Access, damaged, other_platform, unexpected};
use crate::{Error, Result};

/// Blobs that are on their way at one time.
const AT_ONCE: usize = 3;

/// Fetches the image `reference` for `platform` (for Linux on this machine's processor where none is given) into an OCI
/// layout in the folder `into`, which is made. Every blob is checked against its digest.
///
/// # Errors
/// [`Error::NotInRegistry`], [`Error::Denied`], [`Error::RegistryUnreachable`], [`Error::Untrusted`],
/// [`Error::Registry`] for what the registry does wrong, [`Error::Io`], [`Error::Cancelled`].
pub async fn fetch(
    reference: &ImageRef,
    credentials: &Credentials,
    platform: Option<&Platform>,
    into: &Path,
    cancel: &CancellationToken,
) -> Result<BaseImage> {
    tokio::select! {
        fetched = fetch_all(reference, credentials, platform, into) => fetched,
        () = cancel.cancelled() => Err(Error::Cancelled),
    }
}

async fn fetch_all(
    reference: &ImageRef,
    credentials: &Credentials,
    platform: Option<&Platform>,
    into: &Path,
) -> Result<BaseImage> {
    let repository = Repository::open(reference, credentials, Access::Pull, &[]).await?;
    let resolved = resolve(&repository, platform).await?;
    check_configuration(&repository, &resolved.manifest)?;
    let blobs = into.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).map_err(Error::io("make the folder", &blobs))?;
    let manifest = resolved.descriptor();
    let path = blob_path(into, &manifest.digest)?;
    std::fs::write(&path, &resolved.raw.bytes).map_err(Error::io("write", &path))?;
    let wanted = std::iter::once(&resolved.manifest.config).chain(&resolved.manifest.layers);
    let bytes = resolved.manifest.layer_bytes();
    check_room(into, bytes)?;
    info!("fetching {reference} ({} layers, {bytes} bytes)", resolved.manifest.layers.len());
    let task = Task::bytes(format!("fetching {reference}"), bytes);
    futures_util::stream::iter(wanted.map(|blob| fetch_blob(&repository, blob, into, &task)))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    oci_layout::write_single(into, manifest)?;
    let image = oci_layout::open(into, None, None)?;
    if let Some(wanted) = platform.filter(|wanted| !image.platform.is(wanted)) {
        let reason = format!("it is for {} only, and {wanted} is wanted", image.platform);
        return Err(other_platform(reference, reason));
    }
    Ok(named(image, reference, resolved.digest))
}

/// Whether what is declared has room on the disk of `folder`, before it is fetched.
pub(crate) fn check_room(folder: &Path, bytes: u64) -> Result<()> {
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    // Where a disk says that it has nothing at all, it does not know.
    if disk.f_blocks == 0 || bytes <= free {
        return Ok(());
    }
    let reason = format!("{bytes} bytes are to be fetched, and {free} are free");
    Err(Error::io("write to the folder", folder)(io::Error::new(io::ErrorKind::StorageFull, reason)))
}

/// The image under the name and the digest by which others find it.
fn named(image: BaseImage, reference: &ImageRef, digest: String) -> BaseImage {
    let source = match image.source {
        Source::Layout(layout) => Source::Layout(oci_layout::LayoutImage { origin: Some(reference.clone()), ..layout }),
        other => other,
    };
    BaseImage { name: reference.to_string(), digest: Some(digest), source, ..image }
}

/// Fetches a blob, checked, into a layout in the folder `into`.
pub(crate) async fn fetch_blob(repository: &Repository, blob: &Descriptor, into: &Path, task: &Task) -> Result<()> {
    tried(async || fetch_blob_once(repository, blob, into, task).await).await
}

async fn fetch_blob_once(repository: &Repository, blob: &Descriptor, into: &Path, task: &Task) -> Result<()> {
    let path = blob_path(into, &blob.digest)?;
    let folder = path.parent().unwrap_or(into);
    let file = NamedTempFile::new_in(folder).map_err(Error::io("write to the folder", folder))?;
    let mut file = HashingWriter::new(file);
    let mut answer = repository.blob(&blob.digest).await?;
    let mut left = blob.size;
    let action = format!("give the blob {}", blob.digest);
    while let Some(chunk) = answer.chunk().await.map_err(|error| repository.lost(error))? {
        left = left.checked_sub(chunk.len() as u64).ok_or_else(|| {
            damaged(repository.reference(), &action, format!("it has more than the {} bytes it should", blob.size))
        })?;
        // A disk is fast enough not to be waited for elsewhere.
        io::Write::write_all(&mut file, &chunk).map_err(Error::io("write", &path))?;
        task.add(chunk.len() as u64);
    }
    let (file, digest, size) = file.finish();
    if digest != blob.digest {
        let reason = format!("it gave {size} bytes with the digest {digest}, and {} bytes were promised", blob.size);
        return Err(damaged(repository.reference(), &action, reason));
    }
    file.persist(&path).map(drop).map_err(|error| Error::io("write", &path)(error.error))
}

/// A reference followed to one image.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The digest that the registry names for the reference: that of an index where it names several images.
    pub(crate) digest: String,
    /// The manifest of the image.
    pub(crate) raw: RawManifest,
    /// The same, read.
    pub(crate) manifest: Manifest,
}

impl Resolved {
    fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.manifest.media_type, self.raw.digest.clone(), self.raw.bytes.len() as u64)
    }
}

/// Follows the repository's reference to the image for `platform`; for Linux on this machine's processor where none is
/// given.
///
/// # Errors
/// [`Error::NotInRegistry`], or as [`fetch`].
pub(crate) async fn resolve(repository: &Repository, platform: Option<&Platform>) -> Result<Resolved> {
    let reference = repository.reference();
    let first = read_manifest(repository, reference.tag_or_digest()).await?;
    let digest = first.digest.clone();
    let raw = match index_in(&first.bytes) {
        Some(index) => {
            let wanted = platform.cloned().unwrap_or_else(Platform::linux_here);
            let chosen = choose(index, &wanted);
            let chosen = chosen.map_err(|why| match why {
                Unfit::Platform(reason) => other_platform(reference, reason),
                Unfit::Damaged(reason) => unexpected(reference, &format!("give {reference}"), reason),
            })?;
            read_manifest(repository, &chosen).await?
        }
        None => first,
    };
    let manifest: Manifest = serde_json::from_slice(&raw.bytes).map_err(|error| {
        let reason = format!("its manifest ({}) is of a kind that is not understood: {error}", shown(&raw.media_type));
        unexpected(reference, &format!("give {reference}"), reason)
    })?;
    Ok(Resolved { digest, raw, manifest })
}

async fn read_manifest(repository: &Repository, name: &str) -> Result<RawManifest> {
    let reference = repository.reference();
    repository.manifest(name).await?.ok_or_else(|| Error::NotInRegistry {
        registry: reference.registry().to_owned(),
        image: format!("{}:{name}", reference.repository()).replace(":sha256:", "@sha256:"),
    })
}

/// What an answer is, it says itself; what the registry says of it can be missing.
pub fn index_in(manifest: &[u8]) -> Option<Index> {
    let index: Index = serde_json::from_slice(manifest).ok()?;
    [INDEX_TYPE, DOCKER_INDEX_TYPE].contains(&index.media_type.as_str()).then_some(index)
}

/// Why an index has no image for a platform.
#[derive(Debug)]
pub enum Unfit {
    /// It is for others.
    Platform(String),
    /// What it names is no digest.
    Damaged(String),
}

/// The digest of the image for `wanted`.
///
/// # Errors
/// Why there is none.
pub fn choose(index: Index, wanted: &Platform) -> Result<String, Unfit> {
    let there = index.manifests.iter().filter_map(Descriptor::platform);
    // Signatures and the like stand there too, for no platform.
    let there: Vec<Platform> = there.filter(|platform| platform.os != "unknown").collect();
    let found = index.manifests.into_iter().find(|manifest| manifest.is_for(wanted));
    let digest = found.map(|manifest| manifest.digest);
    let others = || Unfit::Platform(format!("it is not for {wanted}, only for {}", listed(there.iter())));
    let digest = digest.ok_or_else(others)?;
    // By any other name there could be another image at any time.
    if is_digest(&digest) {
        Ok(digest)
    } else {
        Err(Unfit::Damaged(format!("its index names '{}', which is no SHA-256 digest", shown(&digest))))
    }
}

/// Where temporary files go; an empty `TMPDIR` says nothing.
pub fn temporary_folder() -> std::path::PathBuf {
    Some(std::env::temp_dir()).filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| "/tmp".into())
}

/// The configuration of an image that is left where it is.
///
/// # Errors
/// As [`fetch`].
pub(crate) async fn configuration(repository: &Repository, manifest: &Manifest) -> Result<Value> {
    check_configuration(repository, manifest)?;
    let bytes = repository.small_blob(&manifest.config.digest, LARGEST_DOCUMENT).await?;
    serde_json::from_slice(&bytes).map_err(|error| wrong_configuration(repository, error.to_string()))
}

/// Refuses what cannot be a configuration before it is fetched.
fn check_configuration(repository: &Repository, manifest: &Manifest) -> Result<()> {
    match manifest.config.size {
        size if size > LARGEST_DOCUMENT => {
            Err(wrong_configuration(repository, format!("it has {size} bytes, so it is none")))
        }
        _ => Ok(()),
    }
}

fn wrong_configuration(repository: &Repository, reason: String) -> Error {
    unexpected(repository.reference(), "give the image's configuration", reason)
}
