//! What an image contains, as it is told.

use std::collections::BTreeMap;
use std::fmt;

use hotfix_docker::oci_layout::Labelled;
use serde::{Deserialize, Serialize};

use crate::pack::printable;
use crate::product_image::ProductImage;

/// A hotfix as the label tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its place in the sequence.
    pub number: u32,
    /// Name of its zip.
    pub file: String,
    /// Checksum of its zip.
    pub sha256: String,
}

/// What an image contains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// The image as it was asked for.
    pub image: String,
    /// Its id in the engine, or the digest of its manifest.
    pub id: String,
    /// `engine`, `registry` or `layout`.
    pub found_in: &'static str,
    /// `wso2am`.
    pub product: String,
    /// `4.1.0`.
    pub version: String,
    /// `10`; unknown where neither labels nor records nor tag say it.
    pub update_level: Option<u32>,
    /// What else is known.
    #[serde(flatten)]
    pub more: More,
}

/// What else is known of an image, by where that is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum More {
    /// From our labels.
    Labels(Labels),
    /// From the files of an image that something else made.
    Files {
        /// Where the product is in the image.
        product_home: String,
        /// How many hotfixes the update tool's records name.
        hotfixes_recorded: usize,
    },
}

/// What our labels say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Labels {
    /// `4.1.0.10-hf3`.
    pub image_version: String,
    /// The hotfixes in it, in order.
    pub hotfixes: Vec<Applied>,
    /// Checksum of the pack.
    pub pack_sha256: String,
    /// Name of its base.
    pub base: String,
    /// Digest of its base; none for `scratch`.
    pub base_digest: Option<String>,
    /// Version of the `hotfix` that made it.
    pub tool_version: String,
    /// Of everything that went in.
    pub fingerprint: String,
    /// Of each thing that went in: JSON by which the next run tells what is not as it was.
    #[serde(skip)]
    pub(crate) inputs: String,
}

impl Contents {
    /// From the labels; `None` where they are not ours.
    pub(crate) fn labelled(image: &str, found: &Labelled, found_in: &'static str) -> Option<Self> {
        let labels: &BTreeMap<String, String> = &found.labels;
        let label = |name: &str| labels.get(name).cloned();
        let ours = |name: &str| label(&format!("hotfix.{name}"));
        Some(Self {
            image: image.to_owned(),
            id: found.id.clone(),
            found_in,
            product: ours("product")?,
            version: ours("version")?,
            update_level: Some(ours("update-level")?.parse().ok()?),
            more: More::Labels(Labels {
                image_version: label("org.opencontainers.image.version").unwrap_or_default(),
                hotfixes: serde_json::from_str(&ours("applied")?).ok()?,
                pack_sha256: ours("pack-sha256").unwrap_or_default(),
                base: label("org.opencontainers.image.base.name").unwrap_or_default(),
                base_digest: label("org.opencontainers.image.base.digest"),
                tool_version: ours("tool-version").unwrap_or_default(),
                fingerprint: ours("fingerprint").unwrap_or_default(),
                inputs: ours("inputs").unwrap_or_default(),
            }),
        })
    }

    /// From the product that was found in the image.
    pub(super) fn of_files(image: &str, id: String, found_in: &'static str, found: &ProductImage) -> Self {
        Self {
            image: image.to_owned(),
            id,
            found_in,
            product: found.name().to_owned(),
            version: found.version().to_owned(),
            update_level: found.facts.update_level,
            more: More::Files {
                product_home: format!("/{}", found.facts.placement.home),
                hotfixes_recorded: found.facts.hotfixes,
            },
        }
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "image        {} (in the {})", self.image, self.found_in)?;
        writeln!(f, "id           {}", printable(&self.id))?;
        let level = self.update_level.map_or("an unknown update level".to_owned(), |l| format!("update level {l}"));
        writeln!(f, "product      {} {} at {level}", printable(&self.product), printable(&self.version))?;
        match &self.more {
            More::Labels(labels) => labels.fmt(f),
            More::Files { product_home, hotfixes_recorded } => {
                let hotfixes = match hotfixes_recorded {
                    0 => "none recorded".to_owned(),
                    count => format!("{count} recorded by the update tool"),
                };
                writeln!(f, "hotfixes     {hotfixes}")?;
                let product_home = printable(product_home);
                writeln!(f, "found at     {product_home}; made by something else than hotfix, so this is all it tells")
            }
        }
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version      {}", printable(&self.image_version))?;
        if self.hotfixes.is_empty() {
            writeln!(f, "hotfixes     none")?;
        }
        for (position, hotfix) in self.hotfixes.iter().enumerate() {
            let title = if position == 0 { "hotfixes" } else { "" };
            let (file, sha256) = (printable(&hotfix.file), printable(&hotfix.sha256));
            writeln!(f, "{title:<13}{} {file} (sha256 {sha256})", hotfix.number)?;
        }
        writeln!(f, "pack         sha256 {}", printable(&self.pack_sha256))?;
        let digest = self.base_digest.as_ref().map(|digest| format!(" ({})", printable(digest))).unwrap_or_default();
        writeln!(f, "base         {}{digest}", printable(&self.base))?;
        writeln!(f, "made by      hotfix {}", printable(&self.tool_version))?;
        writeln!(f, "fingerprint  {}", printable(&self.fingerprint))
    }
}
