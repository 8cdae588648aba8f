//! Letting a tag name another image, in an order in which it can be stopped anywhere: everything that the image needs first, the
//! environment's tag last, and what is found done is not done again.

use bytes::Bytes;
use hotfix_docker::copy::{copy, copy_blob};
use hotfix_docker::hashing::digest_of;
use hotfix_docker::oci_layout::MANIFEST_TYPE;
use hotfix_docker::reference::ImageRef;
use hotfix_docker::repository::{Access, RawManifest, Repository};
use serde_json::Value;
use tracing::info;

use crate::repository::open;
use crate::settings::Environment;
use crate::{Error, Result};

/// The repository of an environment, to be written to.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    environment: &'a Environment,
    repository: Repository,
}

/// An image that is nowhere yet, and has its digest already.
#[derive(Debug)]
pub(crate) struct SealedImage {
    configuration: Bytes,
    layers: Vec<Value>,
    pub(crate) manifest: RawManifest,
}

impl SealedImage {
    /// Of a manifest that lacks the digest and the size of its configuration.
    pub(crate) fn new(configuration: Bytes, mut manifest: Value) -> Self {
        manifest["config"]["size"] = configuration.len().into();
        manifest["config"]["digest"] = digest_of(&configuration).into();
        let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
        let media_type = manifest["mediaType"].as_str().unwrap_or(MANIFEST_TYPE).to_owned();
        let bytes = Bytes::from(manifest.to_string());
        let digest = digest_of(&bytes);
        Self { configuration, layers, manifest: RawManifest { bytes, media_type, digest } }
    }
}

impl<'a> Target<'a> {
    /// Images can come from `source` as well, where that is in the same registry.
    pub(crate) async fn open(environment: &'a Environment, source: &ImageRef) -> Result<Self> {
        let reference = &environment.image;
        let others: Vec<&str> = [source]
            .into_iter()
            .filter(|other| other.registry() == reference.registry())
            .map(ImageRef::repository)
            .collect();
        let repository = open(reference, Access::Push, &others, "use").await?;
        Ok(Self { environment, repository })
    }

    /// What a tag of the repository names.
    pub(crate) async fn digest(&self, tag: &str) -> Result<Option<String>> {
        self.repository.digest(tag).await.map_err(self.failed("look at"))
    }

    /// Brings the image `digest` here from the repository of `source`, if it is not here.
    pub(crate) async fn fetch(&self, source: &ImageRef, digest: &str) -> Result<RawManifest> {
        if let Some(here) = self.manifest(digest).await? {
            return Ok(here);
        }
        let from = open(source, Access::Pull, &[], "use").await?;
        let to = self.repository.reference();
        info!("copying {digest} from {} to {}", source.name(), to.name());
        copy(&from, &self.repository, digest).await.map_err(Error::registry(format!("copy {digest} to {}", to.name())))
    }

    /// The manifest of an image that is here.
    pub(crate) async fn manifest(&self, digest: &str) -> Result<Option<RawManifest>> {
        self.repository.manifest(digest).await.map_err(self.failed("look at"))
    }

    /// Puts an image here whose layers are here or in the repository of `source`; no tag is touched.
    pub(crate) async fn put_image(&self, source: &ImageRef, image: SealedImage) -> Result<RawManifest> {
        let SealedImage { configuration, layers, manifest } = image;
        let from = open(source, Access::Pull, &[], "use").await?;
        for layer in &layers {
            let (digest, size) =
                (layer["digest"].as_str().unwrap_or_default(), layer["size"].as_u64().unwrap_or_default());
            copy_blob(&from, &self.repository, digest, size).await.map_err(self.failed("put a layer into"))?;
        }
        self.repository.put_small_blob(configuration).await.map_err(self.failed("put an image into"))?;
        let put = self.repository.put_manifest(&manifest.digest, &manifest.media_type, manifest.bytes.clone()).await;
        put.map_err(self.failed("put an image into"))?;
        Ok(manifest)
    }

    /// Lets a tag of this repository name the image.
    pub(crate) async fn tag(&self, tag: &str, manifest: &RawManifest) -> Result<()> {
        let put = self.repository.put_manifest(tag, &manifest.kind(), manifest.bytes.clone()).await;
        put.map_err(self.failed("tag an image of"))?;
        match self.digest(tag).await? {
            Some(digest) if digest == manifest.digest => Ok(()),
            other => Err(Error::Condition {
                message: format!(
                    "{}:{tag} was set to {}, and is {} now",
                    self.environment.image.name(),
                    manifest.digest,
                    other.as_deref().unwrap_or("not there")
                ),
                hint: "see whether somebody else uses the tag at the same time, then run the same command again"
                    .to_owned(),
            }),
        }
    }

    /// What the environment runs now.
    pub(crate) async fn current(&self) -> Result<Option<String>> {
        self.digest(self.environment.image.tag().unwrap_or("latest")).await
    }

    /// Lets the environment run the image.
    pub(crate) async fn deploy(&self, manifest: &RawManifest) -> Result<()> {
        self.tag(self.environment.image.tag().unwrap_or("latest"), manifest).await
    }

    fn failed(&self, what: &str) -> impl FnOnce(hotfix_docker::Error) -> Error + use<> {
        Error::registry(format!("{what} {}", self.environment.image.name()))
    }
}
