//! An image of an OCI layout into its registry, with no engine between. What the registry has is not sent.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use reqwest::Body;
use tokio_util::io::ReaderStream;
use tracing::{debug, info};

use crate::auth::Credentials;
use crate::oci_layout::{Descriptor, Manifest, blob_path};
use crate::progress::Task;
use crate::reference::ImageRef;
use crate::repository::{Put, Repository};
use crate::transport::Access;
use crate::{Error, Result};

/// Blobs that are on their way at one time.
const AT_ONCE: usize = 3;
/// Read from disk in pieces of this size.
const PIECE: usize = 256 * 1024;

/// An image of a layout on disk, to be sent.
#[derive(Debug, Clone, Copy)]
pub struct LocalImage<'a> {
    /// The folder of the layout.
    pub directory: &'a Path,
    /// The digest of the image's manifest.
    pub digest: &'a str,
}

/// Uploads `image` as `reference`, and returns its digest. What the repository has is not sent, and what one of the
/// repositories `elsewhere` has is taken from there, where the registry is the same.
///
/// # Errors
/// [`Error::Denied`], [`Error::RegistryUnreachable`], [`Error::Untrusted`] or [`Error::Registry`]; [`Error::Layout`] and
/// [`Error::Io`] where the layout cannot be read.
pub async fn upload(
    image: LocalImage<'_>,
    reference: &ImageRef,
    credentials: &Credentials,
    elsewhere: &[&ImageRef],
) -> Result<String> {
    let path = blob_path(image.directory, image.digest)?;
    let bytes = Bytes::from(std::fs::read(&path).map_err(Error::io("read", &path))?);
    let manifest: Manifest = serde_json::from_slice(&bytes)
        .map_err(|error| Error::Layout { path: image.directory.to_owned(), reason: error.to_string() })?;
    let source = elsewhere.iter().copied().find(|other| other.is_beside(reference)).map(ImageRef::repository);
    let others: Vec<&str> = source.into_iter().collect();
    let repository = Repository::open(reference, credentials, Access::Push, &others).await?;
    let mut blobs: Vec<&Descriptor> = manifest.layers.iter().chain([&manifest.config]).collect();
    blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
    blobs.dedup_by(|a, b| a.digest == b.digest);
    let bytes_in_all = blobs.iter().map(|blob| blob.size).fold(0, u64::saturating_add);
    let task = Task::bytes(format!("pushing {reference}"), bytes_in_all);
    let sender = Sender { repository: &repository, directory: image.directory, source, task };
    futures_util::stream::iter(blobs.into_iter().map(|blob| sender.send(blob)))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    repository.put_manifest(reference.tag_or_digest(), &manifest.media_type, bytes).await
}

struct Sender<'a> {
    repository: &'a Repository,
    directory: &'a Path,
    /// Another repository of the registry that may have the blobs.
    source: Option<&'a str>,
    task: Task,
}

impl Sender<'_> {
    async fn send(&self, blob: &Descriptor) -> Result<()> {
        let path = blob_path(self.directory, &blob.digest)?;
        let read = async |sent| {
            info!("sending {} ({} bytes)", blob.digest, blob.size);
            body(&path, sent, self.task.clone()).await
        };
        match self.repository.put_blob((&blob.digest, blob.size), self.source, read).await? {
            Put::Was => {
                self.task.add(blob.size);
                debug!(digest = blob.digest, "the registry has it");
            }
            Put::Mounted => {
                self.task.add(blob.size);
                info!("{} is taken from {}", blob.digest, self.source.unwrap_or_default());
            }
            Put::Sent => debug!(digest = blob.digest, "sent"),
        }
        Ok(())
    }
}

/// The file as it is read, counted.
async fn body(path: &Path, sent: Arc<AtomicU64>, task: Task) -> Result<Body> {
    let file = tokio::fs::File::open(path).await.map_err(Error::io("read", path))?;
    let pieces = ReaderStream::with_capacity(file, PIECE).inspect_ok(move |piece| {
        sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        task.add(piece.len() as u64);
    });
    Ok(Body::wrap_stream(pieces))
}
