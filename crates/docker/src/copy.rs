//! An image from one repository to another, as it is: what the target has is not sent, what is in the same registry is taken
//! from there, and the rest goes through us, a piece at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt, TryStreamExt};
use reqwest::Body;
use serde_json::Value;
use tracing::{debug, info};

use crate::hashing::is_digest;
use crate::oci_layout::Descriptor;
use crate::repository::{Put, RawManifest, Repository};
use crate::transport::unexpected;
use crate::{Error, Result};

/// Blobs that are on their way at one time.
const AT_ONCE: usize = 3;
/// An index names manifests, and nothing names an index of indexes.
const DEEPEST: usize = 2;

/// Copies the image or index `digest` and everything that it names from one repository to another; no tag is touched. Returns
/// its manifest.
///
/// # Errors
/// [`Error::NotInRegistry`] where the source has no such image; [`Error::Denied`], [`Error::RegistryUnreachable`],
/// [`Error::Untrusted`] or [`Error::Registry`] of either side.
pub async fn copy(from: &Repository, to: &Repository, digest: &str) -> Result<RawManifest> {
    Copying::new(from, to).manifest(digest, DEEPEST).await
}

/// Copies one blob, if the target lacks it.
///
/// # Errors
/// As [`copy`].
pub async fn copy_blob(from: &Repository, to: &Repository, digest: &str, size: u64) -> Result<()> {
    Copying::new(from, to).blob(digest, size).await
}

struct Copying<'a> {
    from: &'a Repository,
    to: &'a Repository,
    /// The repository that blobs can be taken from within the registry.
    beside: Option<&'a str>,
}

impl<'a> Copying<'a> {
    fn new(from: &'a Repository, to: &'a Repository) -> Self {
        let source = from.reference();
        Self { from, to, beside: source.is_beside(to.reference()).then(|| source.repository()) }
    }

    async fn manifest(&self, digest: &str, depth: usize) -> Result<RawManifest> {
        let source = self.from.reference();
        let manifest = self.from.manifest(digest).await?.ok_or_else(|| Error::NotInRegistry {
            registry: source.registry().to_owned(),
            image: format!("{}@{digest}", source.repository()),
        })?;
        if self.to.digest(digest).await?.is_some() {
            debug!(digest, "the target has it");
            return Ok(manifest);
        }
        let unreadable = |reason: &str| unexpected(source, &format!("give {digest}"), reason);
        let Parts { manifests, blobs } = parts_of(&manifest.bytes).map_err(|reason| unreadable(&reason))?;
        for inner in manifests {
            if depth == 0 {
                return Err(unreadable("it is an index of indexes"));
            }
            Box::pin(self.manifest(&inner.digest, depth - 1)).await?;
        }
        futures_util::stream::iter(blobs.iter().map(|blob| self.blob(&blob.digest, blob.size)))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        self.to.put_manifest(digest, &manifest.kind(), manifest.bytes.clone()).await?;
        Ok(manifest)
    }

    async fn blob(&self, digest: &str, size: u64) -> Result<()> {
        let read = async |sent: Arc<AtomicU64>| {
            info!("copying {digest} ({size} bytes)");
            let pieces = self.from.blob(digest).await?.bytes_stream();
            Ok(Body::wrap_stream(pieces.inspect_ok(move |piece| {
                sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
            })))
        };
        if self.to.put_blob((digest, size), self.beside, read).await? == Put::Mounted {
            debug!(digest, "taken from the repository beside it");
        }
        Ok(())
    }
}

/// What a manifest or an index names.
#[derive(Debug)]
pub struct Parts {
    /// Manifests of an index.
    pub manifests: Vec<Descriptor>,
    /// Configuration and layers, each once.
    pub blobs: Vec<Descriptor>,
}

/// What `manifest` names. All of it by digest: copied under the name of a tag, it would move that tag.
///
/// # Errors
/// What is wrong with it.
pub fn parts_of(manifest: &[u8]) -> Result<Parts, String> {
    let parsed: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let list = |key: &str| -> Result<Vec<Descriptor>, String> {
        let list = parsed.get(key).cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        serde_json::from_value(list).map_err(|error| error.to_string())
    };
    let config = parsed.get("config").cloned().map(serde_json::from_value).transpose();
    let config: Option<Descriptor> = config.map_err(|error| error.to_string())?;
    let mut blobs: Vec<Descriptor> = list("layers")?.into_iter().chain(config).collect();
    blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
    blobs.dedup_by(|a, b| a.digest == b.digest);
    let parts = Parts { manifests: list("manifests")?, blobs };
    match parts.manifests.iter().chain(&parts.blobs).find(|part| !is_digest(&part.digest)) {
        Some(other) => Err(format!("it names '{}', which is no SHA-256 digest", other.digest)),
        None => Ok(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_by_no_digest_is_not_copied() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let index = |digest: &str| {
            format!(r#"{{"manifests":[{{"mediaType":"application/json","digest":"{digest}","size":2}}]}}"#)
        };
        let manifest = |digest: &str| index(digest).replace("manifests", "layers");
        assert_eq!(parts_of(index(&digest).as_bytes()).expect("a digest").manifests.len(), 1);
        assert_eq!(parts_of(manifest(&digest).as_bytes()).expect("a digest").blobs.len(), 1);
        for other in ["latest", "../../other/blobs/x", "", &digest[..70], "sha512:00"] {
            for named in [index(other), manifest(other)] {
                let reason = parts_of(named.as_bytes()).expect_err(other);
                assert!(reason.contains("no SHA-256 digest"), "{reason}");
            }
        }
    }
}
