//! What is known of a product's layer without making it: the same pack at the same place is always the same layer.

use std::fs;
use std::io;

use hotfix_docker::layer::{Blob, KnownLayer, LayerId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracing::debug;

use super::{Cache, is_key, read_keyed, write_keyed};

/// Pack and place of a layer, as the name of a file that begins with the pack's checksum.
#[derive(Debug, Clone)]
pub(crate) struct LayerKey(String);

impl LayerKey {
    /// Of the product in the pack with this checksum, at a place that `place` says all of. Another version of this program
    /// may make other layers.
    pub(crate) fn new(pack_sha256: &str, place: &Value) -> Self {
        let text = json!([env!("CARGO_PKG_VERSION"), pack_sha256, place]).to_string();
        Self(format!("{pack_sha256}-{}", &hex::encode(Sha256::digest(text))[..32]))
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    diff_id: String,
    size: u64,
    /// Digest and length of the layer as we compress it, once we have.
    blob: Option<(String, u64)>,
}

impl Cache {
    /// What is known of a layer.
    pub(crate) fn layer(&self, key: &LayerKey) -> Option<KnownLayer> {
        let Record { diff_id, size, blob } = read_keyed(&self.folder.join("layers").join(&key.0))?;
        let is_digest = |text: &str| text.strip_prefix("sha256:").is_some_and(is_key);
        if !is_digest(&diff_id) || blob.as_ref().is_some_and(|(digest, _)| !is_digest(digest)) {
            return None;
        }
        Some(KnownLayer { id: LayerId { diff_id, size }, blob: blob.map(|(digest, size)| Blob { digest, size }) })
    }

    /// Forgets what is known of the layers of a pack.
    pub(super) fn forget_layers(&self, pack_sha256: &str) -> io::Result<()> {
        let start = format!("{pack_sha256}-");
        for found in fs::read_dir(self.folder.join("layers"))? {
            let found = found?;
            if found.file_name().to_string_lossy().starts_with(&start) {
                fs::remove_file(found.path())?;
            }
        }
        Ok(())
    }

    /// Takes note of a layer that was made. What is known of its compressed form stays known.
    pub(crate) fn note_layer(&self, key: &LayerKey, id: &LayerId, blob: Option<&Blob>) {
        let before = self.layer(key).filter(|known| known.id == *id);
        if before.as_ref().is_some_and(|known| blob.is_none_or(|blob| known.blob.as_ref() == Some(blob))) {
            return;
        }
        let blob = blob.cloned().or_else(|| before?.blob);
        let record =
            Record { diff_id: id.diff_id.clone(), size: id.size, blob: blob.map(|blob| (blob.digest, blob.size)) };
        if let Err(error) = write_keyed(&self.folder.join("layers").join(&key.0), &record) {
            debug!(%error, "the product's layer is not remembered");
        }
    }
}
