//! What an image of ours says of itself, in labels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hotfix_id::HotfixId;

/// Begins the labels, one a hotfix, that say what it did to which files.
pub const FILES_LABEL: &str = "hotfix.files.";

/// What a hotfix did to which files of the product, by their paths in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Files {
    /// Files with another content.
    pub changed: Vec<String>,
    /// New files.
    pub added: Vec<String>,
    /// Files that are gone.
    pub removed: Vec<String>,
}

impl Files {
    /// What the hotfixes of an image did, by number; those that did it to too many files for a label are missing.
    pub fn in_labels(labels: &BTreeMap<String, String>) -> BTreeMap<u32, Self> {
        let ours = labels.range(FILES_LABEL.to_owned()..).take_while(|(key, _)| key.starts_with(FILES_LABEL));
        let parsed = |(key, value): (&String, &String)| {
            Some((key[FILES_LABEL.len()..].parse().ok()?, serde_json::from_str(value).ok()?))
        };
        ours.filter_map(parsed).collect()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.changed.iter().chain(&self.added).chain(&self.removed)
    }
}

/// A product at an update level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Product {
    /// `wso2am`.
    pub product: String,
    /// `4.1.0`.
    pub version: String,
    /// Update level.
    pub update_level: u32,
}

impl Product {
    /// Without its hotfixes.
    pub fn of(holding: &Holding) -> Self {
        Self { product: holding.product.clone(), version: holding.version.clone(), update_level: holding.update_level }
    }
}

impl From<Product> for Holding {
    fn from(Product { product, version, update_level }: Product) -> Self {
        Self { product, version, update_level, pack_sha256: String::new(), applied: Vec::new() }
    }
}

/// Letters, digits and what joins them.
fn is_plain(name: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    name.split(['.', '-', '_']).all(is_part)
}

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

/// How late an image of a product is by what it holds: by its version, then by its update level, then by how many hotfixes it has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    version: Vec<u32>,
    update_level: u32,
    hotfixes: usize,
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
    /// From an image's labels; `None` where they are not ours, or not as we write them: they become parts of names.
    pub fn in_labels(labels: &BTreeMap<String, String>) -> Option<Self> {
        let ours = |name: &str| labels.get(&format!("hotfix.{name}"));
        let holding = Self {
            product: ours("product")?.clone(),
            version: ours("version")?.clone(),
            update_level: ours("update-level")?.parse().ok()?,
            pack_sha256: ours("pack-sha256").cloned().unwrap_or_default(),
            applied: serde_json::from_str(ours("applied")?).ok()?,
        };
        let is_in_order = holding.applied.iter().zip(1..).all(|(applied, number)| applied.number == number);
        (is_in_order && is_plain(&holding.product) && is_plain(&holding.version)).then_some(holding)
    }

    /// Its place among others of the same product.
    pub fn rank(&self) -> Rank {
        let parts = self.version.split('.').map(|part| part.parse().unwrap_or_default());
        Rank { version: parts.collect(), update_level: self.update_level, hotfixes: self.applied.len() }
    }

    /// Whether it is a later version, or at a later level of the same one.
    pub fn is_later_than(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.rank(), other.rank());
        (ours.version, ours.update_level) > (theirs.version, theirs.update_level)
    }

    /// Whether the hotfix is applied, by its name.
    pub fn has(&self, hotfix: &HotfixId) -> bool {
        self.applied.iter().any(|applied| self.id(applied.number) == *hotfix)
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
