//! OCI image layouts: images as folders, with no engine anywhere near.
//!
//! Described in the OCI Image Layout Specification: `oci-layout`, `index.json`, and blobs named by their digests.

mod guard;
mod read;
mod write;

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::Platform;
use crate::files;
use crate::hashing::is_digest;
use crate::reference::ImageRef;
use crate::said::shown;
use crate::{Error, Result};

pub use guard::LayoutGuard;
pub use read::{Labelled, is_whole, labels_in, open, read_labels};
pub(crate) use read::{config_in, diff_ids_in, platform_in};
pub(crate) use write::write_single;
pub use write::{DigestOfBlob, check_target, write};

const BLOBS: &str = "blobs/sha256";
/// A file begins with this until it is whole.
const UNFINISHED: &str = ".hotfix-";
const INDEX: &str = "index.json";
const LAYOUT_FILE: &str = "oci-layout";
const LAYOUT_VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// What an image's manifest is, in the words of the OCI image specification.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// What an index of images for several platforms is.
pub const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
const ZSTD_LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const GZIP_LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Of a manifest, an index or a configuration, in bytes: registries refuse larger ones, real ones have some kilobytes, and each is in
/// memory as a whole.
pub(crate) const LARGEST_DOCUMENT: u64 = 4 << 20;

/// A pointer to a blob.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Descriptor {
    /// What the blob is.
    #[serde(rename = "mediaType")]
    pub media_type: String,
    /// `sha256:…`.
    pub digest: String,
    /// Length in bytes.
    pub size: u64,
    /// `platform`, `annotations` and whatever else stands there.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Descriptor {
    pub(crate) fn new(media_type: &str, digest: String, size: u64) -> Self {
        Self { media_type: media_type.to_owned(), digest, size, more: Map::new() }
    }

    /// What an index says of the platform of one of its images.
    pub(crate) fn platform(&self) -> Option<Platform> {
        let platform = self.more.get("platform")?;
        let text = |key: &str| platform.get(key).and_then(Value::as_str).map(shown);
        Some(Platform { os: text("os")?, architecture: text("architecture")?, variant: text("variant") })
    }

    /// Whether an index says that this is for `wanted`.
    pub(crate) fn is_for(&self, wanted: &Platform) -> bool {
        self.platform().is_some_and(|platform| platform.is(wanted))
    }

    fn ref_name(&self) -> Option<&str> {
        self.more.get("annotations")?.get(REF_NAME)?.as_str()
    }
}

/// Images for several platforms, or the images of a layout.
#[derive(Debug, Serialize, Deserialize)]
pub struct Index {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    /// What it says that it is.
    #[serde(rename = "mediaType", default = "index_type")]
    pub media_type: String,
    /// The manifests of the images.
    pub manifests: Vec<Descriptor>,
}

fn index_type() -> String {
    INDEX_TYPE.to_owned()
}

/// What an image is made of.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    /// What it says that it is.
    #[serde(rename = "mediaType", default = "manifest_type")]
    pub media_type: String,
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
}

impl Manifest {
    /// Length of all layers as they are stored, as far as that can be counted: it is what others say.
    pub fn layer_bytes(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }
}

fn manifest_type() -> String {
    MANIFEST_TYPE.to_owned()
}

/// One image of a layout.
#[derive(Debug, Clone)]
pub struct LayoutImage {
    /// The folder of the layout.
    pub directory: PathBuf,
    /// Its layers as they are stored, lowest first.
    pub layers: Vec<Descriptor>,
    /// Where it was fetched from, if it was: a registry that still has it need not be sent it again.
    pub origin: Option<ImageRef>,
}

impl LayoutImage {
    /// The uncompressed tar of a layer.
    ///
    /// # Errors
    /// Where the blob is missing or compressed in a way unknown here.
    pub(crate) fn open_layer(&self, index: usize) -> Result<Box<dyn Read + Send>> {
        let layer = &self.layers[index];
        let path = blob_path(&self.directory, &layer.digest)?;
        let file = BufReader::with_capacity(1 << 17, files::open(&path).map_err(Error::io("read", &path))?);
        match layer.media_type.rsplit(['.', '+']).next() {
            Some("gzip") => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(file))),
            Some("zstd") => Ok(Box::new(zstd::Decoder::with_buffer(file).map_err(Error::io("read", &path))?)),
            Some("tar") => Ok(Box::new(file)),
            _ => Err(self.damaged(format!("layers of type {} cannot be read", layer.media_type))),
        }
    }

    pub(crate) fn damaged(&self, reason: String) -> Error {
        Error::Layout { path: self.directory.clone(), reason }
    }
}

/// Where the blob of that digest is. Digests come from files of others, so they are checked before they become paths.
pub(crate) fn blob_path(directory: &Path, digest: &str) -> Result<PathBuf> {
    match digest.strip_prefix("sha256:").filter(|_| is_digest(digest)) {
        Some(hash) => Ok(directory.join(BLOBS).join(hash)),
        None => Err(Error::Layout { path: directory.to_owned(), reason: format!("'{digest}' is no SHA-256 digest") }),
    }
}
