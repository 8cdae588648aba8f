//! What is known of a product's layer without making it: the same pack at the same place is always the same layer.

use hotfix_docker::layer::{Blob, KnownLayer, LayerId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracing::debug;

use super::{Cache, read_record, write_record};

/// Pack and place of a layer.
#[derive(Debug, Clone)]
pub(crate) struct LayerKey(String);

impl LayerKey {
    /// Of the product in the pack with this checksum, at a place that `place` says all of. Another version of this program
    /// may make other layers.
    pub(crate) fn new(pack_sha256: &str, place: &Value) -> Self {
        let text = json!([env!("CARGO_PKG_VERSION"), pack_sha256, place]).to_string();
        Self(hex::encode(Sha256::digest(text))[..32].to_owned())
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
        let Record { diff_id, size, blob } = read_record(&self.folder.join("layers").join(&key.0))?;
        Some(KnownLayer { id: LayerId { diff_id, size }, blob: blob.map(|(digest, size)| Blob { digest, size }) })
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
        if let Err(error) = write_record(&self.folder.join("layers").join(&key.0), &record) {
            debug!(%error, "the product's layer is not remembered");
        }
    }
}
