//! Small things in a repository that are no images, such as a list of records: a manifest with one blob, as the section
//! "Guidelines for Artifact Usage" of the OCI image specification has it.

use bytes::Bytes;
use reqwest::Body;
use serde_json::{Value, json};

use crate::Result;
use crate::hashing::{digest_of, is_digest};
use crate::oci_layout::MANIFEST_TYPE;
use crate::repository::{RawManifest, Repository};
use crate::retry::tried;
use crate::transport::{content, damaged, unexpected};

/// What an artifact has in place of a configuration.
const EMPTY: &[u8] = b"{}";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

impl Repository {
    /// Puts an artifact of the type `kind` with this content there, and makes `tag` name it; returns its digest.
    ///
    /// # Errors
    /// [`crate::Error::Denied`], [`crate::Error::RegistryUnreachable`] or [`crate::Error::Registry`].
    pub async fn put_artifact(&self, tag: &str, kind: &str, content: Bytes) -> Result<String> {
        let (digest, size) = (digest_of(&content), content.len());
        self.put_small_blob(Bytes::from_static(EMPTY)).await?;
        self.put_small_blob(content).await?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": kind,
            "config": { "mediaType": EMPTY_TYPE, "digest": digest_of(EMPTY), "size": EMPTY.len() },
            "layers": [{ "mediaType": kind, "digest": digest, "size": size }],
        });
        self.put_manifest(tag, MANIFEST_TYPE, manifest.to_string().into()).await
    }

    /// The content of the artifact that `manifest` is of; `None` where it is none of the type `kind`. Of more than `limit`
    /// bytes it is refused.
    ///
    /// # Errors
    /// As [`Repository::put_artifact`].
    pub async fn artifact(&self, manifest: &RawManifest, kind: &str, limit: u64) -> Result<Option<Bytes>> {
        let parsed: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
        let layer = &parsed["layers"][0];
        match (layer["mediaType"].as_str(), layer["digest"].as_str()) {
            (Some(found), Some(digest)) if found == kind => self.small_blob(digest, limit).await.map(Some),
            _ => Ok(None),
        }
    }

    /// A blob, whole and checked; of more than `limit` bytes it is refused.
    ///
    /// # Errors
    /// As [`Repository::put_artifact`].
    pub async fn small_blob(&self, digest: &str, limit: u64) -> Result<Bytes> {
        tried(async || self.small_blob_once(digest, limit).await).await
    }

    async fn small_blob_once(&self, digest: &str, limit: u64) -> Result<Bytes> {
        let action = format!("give the blob {digest} of {}", self.reference().repository());
        if !is_digest(digest) {
            return Err(unexpected(self.reference(), &action, "that is no SHA-256 digest"));
        }
        let bytes = content(self.blob(digest).await?, limit, self.reference().registry()).await?;
        let too_large = || unexpected(self.reference(), &action, format!("it has more than {limit} bytes"));
        let bytes = bytes.ok_or_else(too_large)?;
        let found = digest_of(&bytes);
        if found != digest {
            return Err(damaged(self.reference(), &action, format!("it gave {found}")));
        }
        Ok(bytes)
    }

    /// Puts a blob there, unless it is there already; returns its digest.
    ///
    /// # Errors
    /// As [`Repository::put_artifact`].
    pub async fn put_small_blob(&self, content: Bytes) -> Result<String> {
        let (digest, size) = (digest_of(&content), content.len() as u64);
        self.put_blob((&digest, size), None, async |_| Ok(Body::from(content.clone()))).await?;
        Ok(digest)
    }
}
