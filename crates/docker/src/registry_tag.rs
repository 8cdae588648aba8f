//! A tag in its registry, noted and put back: for undoing a push of several tags of which a later one failed.

use crate::Result;
use crate::auth::Credentials;
use crate::reference::ImageRef;
use crate::repository::{RawManifest, Repository};
use crate::transport::Access;

/// What a tag named in its registry at one moment.
#[derive(Debug, Clone)]
pub struct TagState {
    reference: ImageRef,
    credentials: Credentials,
    /// The manifest as it was; none for a tag that was not there.
    manifest: Option<RawManifest>,
}

impl TagState {
    /// Takes note of what `reference` names now.
    ///
    /// # Errors
    /// [`crate::Error::Denied`], [`crate::Error::RegistryUnreachable`] or [`crate::Error::Registry`].
    pub async fn note(reference: &ImageRef, credentials: &Credentials) -> Result<Self> {
        let repository = Repository::open(reference, credentials, Access::Pull, &[]).await?;
        let manifest = repository.manifest(reference.tag_or_digest()).await?;
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
        let repository = Repository::open(&self.reference, &self.credentials, Access::Push, &[]).await?;
        let name = self.reference.tag_or_digest();
        repository.put_manifest(name, &manifest.kind(), manifest.bytes.clone()).await?;
        Ok(true)
    }
}
