//! A tag in its registry, noted and put back: for undoing a push of several tags of which a later one failed.

use bytes::Bytes;
use http::HeaderValue;
use oci_client::RegistryOperation;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};
use serde_json::Value;

use crate::auth::Credentials;
use crate::reference::ImageRef;
use crate::registry::{client_for, failure, is_not_found};
use crate::{Error, Result};

const MANIFESTS: [&str; 4] =
    [IMAGE_MANIFEST_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE];

/// What a tag named in its registry at one moment.
#[derive(Debug, Clone)]
pub struct TagState {
    reference: ImageRef,
    credentials: Credentials,
    /// The manifest as it was; none for a tag that was not there.
    manifest: Option<Bytes>,
}

impl TagState {
    /// Takes note of what `reference` names now.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::RegistryUnreachable`] or [`Error::Registry`].
    pub async fn note(reference: &ImageRef, credentials: &Credentials) -> Result<Self> {
        let client = client_for(reference).await?;
        let manifest = match client.pull_manifest_raw(reference.full(), &credentials.into(), &MANIFESTS).await {
            Ok((manifest, _)) => Some(manifest),
            Err(error) if is_not_found(&error) => None,
            Err(error) => return Err(failure(reference, "a pull", error)),
        };
        Ok(Self { reference: reference.clone(), credentials: credentials.clone(), manifest })
    }

    /// The tag.
    pub fn reference(&self) -> &ImageRef {
        &self.reference
    }

    /// Makes the tag name again what it named then; `false` where it named nothing: few registries let a tag be removed.
    ///
    /// # Errors
    /// As [`TagState::note`].
    pub async fn put_back(&self) -> Result<bool> {
        let Some(manifest) = &self.manifest else { return Ok(false) };
        let client = client_for(&self.reference).await?;
        let failed = |error| failure(&self.reference, "a push", error);
        let auth = (&self.credentials).into();
        client.auth(self.reference.full(), &auth, RegistryOperation::Push).await.map_err(failed)?;
        client
            .push_manifest_raw(self.reference.full(), manifest.clone(), media_type(manifest)?)
            .await
            .map_err(failed)?;
        Ok(true)
    }
}

/// Manifests of OCI need not say what they are.
fn media_type(manifest: &[u8]) -> Result<HeaderValue> {
    let manifest: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let text = manifest["mediaType"].as_str().unwrap_or(OCI_IMAGE_MEDIA_TYPE);
    text.parse().map_err(|_| Error::Reference { text: text.to_owned(), reason: "it is no media type".to_owned() })
}
