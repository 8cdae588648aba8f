//! What tags of a registry name: each manifest and each configuration is read once.

use std::collections::BTreeMap;

use bytes::Bytes;
use hotfix_docker::oci_layout::labels_in;
use hotfix_docker::reference::ImageRef;
use hotfix_docker::repository::{Access, Repository};
use serde_json::Value;

use crate::labels::Holding;
use crate::memory::Memory;
use crate::repository::open;
use crate::{Error, Result};

/// Configurations are some kilobytes.
const LARGEST_CONFIGURATION: u64 = 16 << 20;

/// An image in a registry, without its layers.
#[derive(Debug, Clone)]
pub struct Image {
    /// What the tag names: a manifest, or an index of them.
    pub digest: String,
    /// The manifest of the image; of an index, of its first image for Linux.
    pub manifest: Value,
    /// Its configuration.
    pub configuration: Value,
    /// The images for each platform of an index, with its name, by their configurations; none where the tag names an image.
    pub platforms: Vec<(String, Value)>,
}

impl Image {
    /// Its labels.
    pub fn labels(&self) -> BTreeMap<String, String> {
        labels_in(&self.configuration)
    }

    /// What it holds, where its labels are ours, and the same for each platform.
    pub fn holding(&self) -> Option<Holding> {
        let first = Holding::in_labels(&self.labels());
        let is_same = |(_, configuration): &(String, Value)| Holding::in_labels(&labels_in(configuration)) == first;
        first.clone().filter(|_| self.platforms.iter().all(is_same))
    }

    /// Of each platform.
    pub fn configurations(&self) -> impl Iterator<Item = &Value> {
        let alone = self.platforms.is_empty().then_some(&self.configuration);
        alone.into_iter().chain(self.platforms.iter().map(|(_, configuration)| configuration))
    }

    /// `linux/amd64` for each platform.
    pub fn platform_names(&self) -> Vec<String> {
        let text = |configuration: &Value, key: &str| configuration[key].as_str().unwrap_or_default().to_owned();
        let name = |configuration| format!("{}/{}", text(configuration, "os"), text(configuration, "architecture"));
        self.configurations().map(name).collect()
    }

    /// What its platforms hold, where that is not the same for each.
    pub fn contradiction(&self) -> Option<String> {
        let version = |configuration| {
            let holding = Holding::in_labels(&labels_in(configuration));
            holding.map_or_else(|| "something unknown".to_owned(), |holding| holding.image_version())
        };
        let holdings = self.platforms.iter().map(|(name, configuration)| (name, version(configuration)));
        let holdings: Vec<(&String, String)> = holdings.collect();
        let first = holdings.first()?;
        let other = holdings.iter().find(|holding| holding.1 != first.1)?;
        Some(format!(
            "it does not hold the same for each platform: {} has {}, {} has {}",
            first.0, first.1, other.0, other.1
        ))
    }
}

/// Looks at images.
#[derive(Debug, Clone)]
pub struct Images {
    memory: Memory,
}

impl Images {
    /// With what is remembered in `memory`.
    pub fn new(memory: Memory) -> Self {
        Self { memory }
    }

    /// What `reference` names now; `None` where there is no such image.
    ///
    /// # Errors
    /// [`Error::Registry`]; [`Error::Input`] where it names what is no image.
    pub async fn look(&self, reference: &ImageRef) -> Result<Option<Image>> {
        let repository = open(reference, Access::Pull, &[], "look at").await?;
        let Some((digest, top)) = self.top(&repository, reference).await? else { return Ok(None) };
        let top: Value = parsed(reference, &top)?;
        if top.get("manifests").is_none() {
            let configuration = self.configuration(&repository, &top).await?;
            return Ok(Some(Image { digest, manifest: top, configuration, platforms: Vec::new() }));
        }
        let mut images = Vec::new();
        for entry in for_linux(&top) {
            let manifest = parsed(reference, &self.manifest(&repository, digest_in(entry)).await?)?;
            let configuration = self.configuration(&repository, &manifest).await?;
            let platform = ["os", "architecture", "variant"].map(|key| entry["platform"][key].as_str());
            images.push((platform.into_iter().flatten().collect::<Vec<_>>().join("/"), manifest, configuration));
        }
        let Some((_, manifest, configuration)) = images.first().cloned() else {
            return Err(no_image(reference, "there is none for Linux in its index"));
        };
        let platforms = images.into_iter().map(|(name, _, configuration)| (name, configuration)).collect();
        Ok(Some(Image { digest, manifest, configuration, platforms }))
    }

    async fn configuration(&self, repository: &Repository, manifest: &Value) -> Result<Value> {
        let reference = repository.reference();
        let Some(digest) = manifest["config"]["digest"].as_str() else {
            return Err(no_image(reference, "its manifest names no configuration"));
        };
        if let Some(known) = self.memory.blob(digest) {
            return parsed(reference, &known);
        }
        let bytes = repository.small_blob(digest, LARGEST_CONFIGURATION).await;
        let bytes = bytes.map_err(Error::registry(format!("look at {reference}")))?;
        self.memory.keep_blob(digest, &bytes);
        parsed(reference, &bytes)
    }

    /// The digest that the reference names and the bytes behind it. A tag whose manifest is known is only asked for its
    /// digest; of one that was never seen, that would be one request more.
    async fn top(&self, repository: &Repository, reference: &ImageRef) -> Result<Option<(String, Bytes)>> {
        let failed = || Error::registry(format!("look at {reference}"));
        let name = reference.digest().or(reference.tag()).unwrap_or("latest");
        let expected = reference.digest().map(str::to_owned).or_else(|| self.memory.tag(reference));
        if let Some(known) = expected.and_then(|digest| self.memory.blob(&digest).map(|bytes| (digest, bytes))) {
            match repository.digest(name).await.map_err(failed())? {
                None => return Ok(None),
                Some(now) if now == known.0 => return Ok(Some(known)),
                Some(_) => {}
            }
        }
        let Some(manifest) = repository.manifest(name).await.map_err(failed())? else { return Ok(None) };
        self.memory.keep_blob(&manifest.digest, &manifest.bytes);
        self.memory.keep_tag(reference, &manifest.digest);
        Ok(Some((manifest.digest, manifest.bytes)))
    }

    async fn manifest(&self, repository: &Repository, digest: &str) -> Result<Bytes> {
        if let Some(known) = self.memory.blob(digest) {
            return Ok(known);
        }
        let reference = repository.reference();
        let manifest = repository.manifest(digest).await.map_err(Error::registry(format!("look at {reference}")))?;
        let manifest =
            manifest.ok_or_else(|| no_image(reference, "the registry lacks a manifest that its index names"))?;
        self.memory.keep_blob(digest, &manifest.bytes);
        Ok(manifest.bytes)
    }
}

/// Of an index, the entries of images for Linux; signatures and the like stand there for no system.
fn for_linux(index: &Value) -> impl Iterator<Item = &Value> {
    let entries = index["manifests"].as_array().into_iter().flatten();
    entries.filter(|entry| entry["platform"]["os"] == "linux" && entry["digest"].is_string())
}

fn digest_in(entry: &Value) -> &str {
    entry["digest"].as_str().unwrap_or_default()
}

fn parsed(reference: &ImageRef, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| no_image(reference, &error.to_string()))
}

fn no_image(reference: &ImageRef, reason: &str) -> Error {
    Error::Input {
        message: format!("{reference} is no image: {reason}"),
        hint: "give the tag of an image that hotfix made, or of the vendor's".to_owned(),
    }
}

/// Whether `digest` is meant by `said`: it, or its beginning, with or without `sha256:`.
pub(crate) fn is_called(digest: &str, said: &str) -> bool {
    let plain = |text: &str| text.strip_prefix("sha256:").unwrap_or(text).to_owned();
    plain(digest).starts_with(&plain(said))
}
