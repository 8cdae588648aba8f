//! Images out of a layout.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Descriptor, INDEX, INDEX_TYPE, Index, LARGEST_DOCUMENT, LAYOUT_FILE, LayoutImage, Manifest, blob_path};
use crate::base::{BaseImage, Platform, Source};
use crate::files;
use crate::hashing::digest_of;
use crate::said::{listed, shown};
use crate::{Error, Result};

/// An image's labels and layers, as `inspect` wants them.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// Digest of its manifest, or the engine's id.
    pub id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What is said to have made its topmost layer or, after that, changed its settings; none where nothing is said.
    pub made_by: Option<String>,
}

impl Labelled {
    /// The labels in an image configuration.
    pub(crate) fn of(id: String, configuration: &Value) -> Self {
        let history = configuration.get("history").and_then(Value::as_array);
        let made_by = history.and_then(|history| history.last()?.get("created_by")?.as_str().map(str::to_owned));
        Self { id, labels: labels_in(configuration), made_by }
    }
}

/// The labels in an image configuration.
pub fn labels_in(configuration: &Value) -> BTreeMap<String, String> {
    let labels = configuration.pointer("/config/Labels").and_then(Value::as_object).into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// What an image is for, by its configuration.
pub(crate) fn platform_in(configuration: &Value) -> Platform {
    let text = |key: &str| configuration.get(key).and_then(Value::as_str).map(shown);
    Platform {
        os: text("os").unwrap_or_else(|| "linux".to_owned()),
        architecture: text("architecture").unwrap_or_default(),
        variant: text("variant"),
    }
}

/// Entry point, environment, labels and more, by an image's configuration.
pub(crate) fn config_in(configuration: &Value) -> Map<String, Value> {
    configuration.get("config").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Digests of an image's uncompressed layers, lowest first, by its configuration.
pub(crate) fn diff_ids_in(configuration: &Value) -> Vec<String> {
    let diff_ids = configuration.pointer("/rootfs/diff_ids").and_then(Value::as_array).into_iter().flatten();
    diff_ids.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The image of the layout in `directory` that is called `tag`, or its only one, as a base; for `platform` where one is
/// given.
///
/// # Errors
/// [`Error::Layout`] where there is no such image or the layout is damaged, [`Error::OtherPlatform`] where the image is
/// for another platform.
pub fn open(directory: &Path, tag: Option<&str>, platform: Option<&Platform>) -> Result<BaseImage> {
    let (descriptor, manifest, configuration) = image(directory, tag, platform)?;
    let diff_ids = diff_ids_in(&configuration);
    if diff_ids.len() != manifest.layers.len() {
        return Err(damaged(directory, "its manifest and its configuration name different numbers of layers"));
    }
    let tag = descriptor.ref_name().map(|tag| format!(":{tag}")).unwrap_or_default();
    let name = format!("{}{tag}", layout_name(directory));
    let found = platform_in(&configuration);
    if let Some(wanted) = platform.filter(|wanted| !found.is(wanted)) {
        let (found, wanted) = (found.to_string(), wanted.to_string());
        return Err(Error::OtherPlatform { reference: name, found, wanted, source: None });
    }
    Ok(BaseImage {
        name,
        digest: Some(descriptor.digest),
        platform: found,
        config: config_in(&configuration),
        history: configuration.get("history").and_then(Value::as_array).cloned().unwrap_or_default(),
        diff_ids,
        size: manifest.layer_bytes(),
        source: Source::Layout(LayoutImage { directory: directory.to_owned(), layers: manifest.layers, origin: None }),
    })
}

/// The labels of the image of the layout that is called `tag`, or of its only one.
///
/// # Errors
/// As [`open`].
pub fn read_labels(directory: &Path, tag: Option<&str>) -> Result<Labelled> {
    let (descriptor, _, configuration) = image(directory, tag, None)?;
    Ok(Labelled::of(descriptor.digest, &configuration))
}

/// Whether the layers of the image of the layout that is called `tag`, or of its only one, are there, as far as their lengths tell.
pub fn is_whole(directory: &Path, tag: Option<&str>) -> bool {
    let is_there = |layer: &Descriptor| {
        let blob = blob_path(directory, &layer.digest).ok().and_then(|path| path.metadata().ok());
        blob.is_some_and(|blob| blob.len() == layer.size)
    };
    image(directory, tag, None).is_ok_and(|(_, manifest, _)| manifest.layers.iter().all(is_there))
}

fn image(directory: &Path, tag: Option<&str>, platform: Option<&Platform>) -> Result<(Descriptor, Manifest, Value)> {
    let index = read_index(directory)?;
    let descriptor = resolve(directory, choose(directory, index.manifests, tag, platform)?, platform)?;
    let manifest: Manifest = read_blob(directory, &descriptor)?;
    let configuration: Value = read_blob(directory, &manifest.config)?;
    Ok((descriptor, manifest, configuration))
}

/// The layout's index.
pub(super) fn read_index(directory: &Path) -> Result<Index> {
    if !directory.join(LAYOUT_FILE).is_file() {
        return Err(damaged(directory, "there is no file oci-layout in it"));
    }
    let path = directory.join(INDEX);
    let bytes = read_document(directory, &path)?;
    serde_json::from_slice(&bytes).map_err(|error| damaged(directory, format!("index.json: {error}")))
}

/// The entry called `tag`, or the only one. Of several with one name, one for each platform, that of `platform`.
fn choose(
    directory: &Path,
    manifests: Vec<Descriptor>,
    tag: Option<&str>,
    platform: Option<&Platform>,
) -> Result<Descriptor> {
    let tags: Vec<String> = manifests.iter().filter_map(|m| m.ref_name().map(str::to_owned)).collect();
    let mut chosen: Vec<Descriptor> = manifests.into_iter().filter(|m| tag.is_none() || m.ref_name() == tag).collect();
    chosen.dedup_by(|a, b| a.digest == b.digest);
    if chosen.len() > 1 && chosen.iter().all(|m| m.platform().is_some() && m.ref_name() == chosen[0].ref_name()) {
        return for_platform(directory, chosen, platform);
    }
    match (chosen.len(), tag) {
        (1, _) => Ok(chosen.remove(0)),
        (0, Some(tag)) => Err(damaged(directory, format!("it has no image '{tag}', only {}", listed(tags.iter())))),
        (0, None) => Err(damaged(directory, "it has no image")),
        _ => {
            Err(damaged(directory, format!("it has several images; name one of {} after a colon", listed(tags.iter()))))
        }
    }
}

/// An image for several platforms is an index of its own.
fn resolve(directory: &Path, descriptor: Descriptor, platform: Option<&Platform>) -> Result<Descriptor> {
    if descriptor.media_type != INDEX_TYPE {
        return Ok(descriptor);
    }
    let index: Index = read_blob(directory, &descriptor)?;
    for_platform(directory, index.manifests, platform)
}

/// The one for `platform`, else for Linux on this machine's processor.
fn for_platform(directory: &Path, manifests: Vec<Descriptor>, platform: Option<&Platform>) -> Result<Descriptor> {
    let here = Platform::linux_here();
    let wanted = platform.unwrap_or(&here);
    let platforms: Vec<Platform> = manifests.iter().filter_map(Descriptor::platform).collect();
    let found = manifests.into_iter().find(|manifest| manifest.is_for(wanted));
    found.ok_or_else(|| Error::OtherPlatform {
        reference: layout_name(directory),
        found: listed(platforms.iter()),
        wanted: wanted.to_string(),
        source: None,
    })
}

fn layout_name(directory: &Path) -> String {
    format!("oci:{}", directory.file_name().unwrap_or_default().to_string_lossy())
}

fn read_blob<T: DeserializeOwned>(directory: &Path, descriptor: &Descriptor) -> Result<T> {
    let path = blob_path(directory, &descriptor.digest)?;
    let bytes = read_document(directory, &path)?;
    if digest_of(&bytes) != descriptor.digest {
        return Err(damaged(directory, format!("the blob {} has other content than its name says", descriptor.digest)));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| damaged(directory, format!("the blob {}: {error}", descriptor.digest)))
}

/// The content of a file of the layout that is no layer.
fn read_document(directory: &Path, path: &Path) -> Result<Vec<u8>> {
    files::read(path, LARGEST_DOCUMENT).map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge | ErrorKind::InvalidInput => {
            let name = path.strip_prefix(directory).unwrap_or(path).display();
            damaged(directory, format!("{name}: {error}"))
        }
        _ => Error::io("read", path)(error),
    })
}

fn damaged(directory: &Path, reason: impl Into<String>) -> Error {
    Error::Layout { path: directory.to_owned(), reason: reason.into() }
}
