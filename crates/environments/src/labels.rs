//! What an image of ours says of itself, in labels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hotfix_id::HotfixId;

/// The product and the hotfixes in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// `wso2am`.
    pub product: String,
    /// `4.1.0`.
    pub version: String,
    /// Update level.
    pub update_level: u32,
    /// Checksum of the pack.
    pub pack_sha256: String,
    /// The hotfixes in it, in order.
    pub applied: Vec<Applied>,
}

/// One hotfix in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its number in the sequence.
    pub number: u32,
    /// Name of its file.
    pub file: String,
    /// Checksum of that.
    pub sha256: String,
}

impl Holding {
    /// From an image's labels; `None` where they are not ours.
    pub fn in_labels(labels: &BTreeMap<String, String>) -> Option<Self> {
        let ours = |name: &str| labels.get(&format!("hotfix.{name}"));
        Some(Self {
            product: ours("product")?.clone(),
            version: ours("version")?.clone(),
            update_level: ours("update-level")?.parse().ok()?,
            pack_sha256: ours("pack-sha256").cloned().unwrap_or_default(),
            applied: serde_json::from_str(ours("applied")?).ok()?,
        })
    }

    /// The name of the hotfix with this number.
    pub fn id(&self, number: u32) -> HotfixId {
        HotfixId { product: self.product.clone(), version: self.version.clone(), level: self.update_level, number }
    }

    /// `4.1.0.10`, or `4.1.0.10-hf3`.
    pub fn image_version(&self) -> String {
        let clean = format!("{}.{}", self.version, self.update_level);
        match self.applied.last() {
            Some(last) => format!("{clean}-hf{}", last.number),
            None => clean,
        }
    }
}
