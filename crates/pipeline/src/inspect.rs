//! What an image contains, read from its labels.

use std::collections::BTreeMap;

use hotfix_docker::auth::credentials_for;
use hotfix_docker::engine::Engine;
use hotfix_docker::oci_layout::{self, Labelled};
use hotfix_docker::reference::ImageRef;
use hotfix_docker::{Error, registry};
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::plan::split_layout;
use crate::registry_hint::hint;
use crate::step::{NO_PRODUCT, Problem, Step, USAGE};

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
    /// `10`.
    pub update_level: u32,
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
}

/// Looks `image` up: `oci:DIR[:TAG]` in the layout, everything else in the engine and then in its registry.
///
/// # Errors
/// Exit code and problem: 2 for a name that is none, 4 where there is no such image or it is none of ours, 9 where the
/// registry cannot be asked.
pub async fn inspect(image: &str) -> Result<Contents, (u8, Problem)> {
    let (labelled, found_in) = match image.strip_prefix("oci:") {
        Some(folder) => {
            let (folder, tag) = split_layout(folder);
            let read = oci_layout::read_labels(&folder, tag.as_deref());
            (read.map_err(|error| (NO_PRODUCT, no_image(image).because(error)))?, "layout")
        }
        None => find(image).await?,
    };
    let shown = image.to_owned();
    contents(shown, labelled, found_in).ok_or_else(|| {
        let hint = "images built by hotfix have labels that tell; this one was built by something else";
        (NO_PRODUCT, Problem::new(format!("{image} does not say what it contains: it has no hotfix labels"), hint))
    })
}

async fn find(image: &str) -> Result<(Labelled, &'static str), (u8, Problem)> {
    let reference: ImageRef = image.parse().map_err(|error: Error| {
        (
            USAGE,
            Problem::new(
                "the name of the image cannot be used",
                "give a reference such as team/wso2am:4.1.0.10-hf3, or oci:DIR",
            )
            .because(error),
        )
    })?;
    match in_engine(&reference).await {
        Ok(Some(labelled)) => return Ok((labelled, "engine")),
        Ok(None) => {}
        Err(error) => debug!(error = &error as &dyn std::error::Error, "the engine was not asked"),
    }
    let unasked = |error| {
        let hint = hint(reference.registry(), &error);
        (
            Step::PushImage.exit_code(),
            Problem::new(format!("{image} is not in the engine, and its registry cannot be asked"), hint)
                .because(error),
        )
    };
    let credentials = credentials_for(reference.registry()).await.map_err(unasked)?;
    let labelled = registry::read_labels(&reference, &credentials).await.map_err(unasked)?;
    Ok((labelled.ok_or_else(|| (NO_PRODUCT, no_image(image)))?, "registry"))
}

async fn in_engine(reference: &ImageRef) -> Result<Option<Labelled>, Error> {
    let engine = Engine::connect().await?;
    let Some(image) = engine.inspect(reference.as_str()).await? else { return Ok(None) };
    let labels = image.config.and_then(|config| config.labels).unwrap_or_default();
    Ok(Some(Labelled { id: image.id.unwrap_or_default(), labels: labels.into_iter().collect() }))
}

fn no_image(image: &str) -> Problem {
    let hint = match image.starts_with("oci:") {
        true => "give oci:DIR, or oci:DIR:TAG where the layout has several images",
        false => "check its name; docker images lists those of the engine",
    };
    Problem::new(format!("there is no image {image}"), hint)
}

fn contents(image: String, labelled: Labelled, found_in: &'static str) -> Option<Contents> {
    let labels: BTreeMap<String, String> = labelled.labels;
    let label = |name: &str| labels.get(name).cloned();
    let ours = |name: &str| label(&format!("hotfix.{name}"));
    Some(Contents {
        image,
        id: labelled.id,
        found_in,
        product: ours("product")?,
        version: ours("version")?,
        update_level: ours("update-level")?.parse().ok()?,
        image_version: label("org.opencontainers.image.version").unwrap_or_default(),
        hotfixes: serde_json::from_str(&ours("applied")?).ok()?,
        pack_sha256: ours("pack-sha256").unwrap_or_default(),
        base: label("org.opencontainers.image.base.name").unwrap_or_default(),
        base_digest: label("org.opencontainers.image.base.digest"),
        tool_version: ours("tool-version").unwrap_or_default(),
        fingerprint: ours("fingerprint").unwrap_or_default(),
    })
}

impl std::fmt::Display for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "image        {} (in the {})", self.image, self.found_in)?;
        writeln!(f, "id           {}", self.id)?;
        writeln!(f, "product      {} {} at update level {}", self.product, self.version, self.update_level)?;
        writeln!(f, "version      {}", self.image_version)?;
        if self.hotfixes.is_empty() {
            writeln!(f, "hotfixes     none")?;
        }
        for (position, hotfix) in self.hotfixes.iter().enumerate() {
            let title = if position == 0 { "hotfixes" } else { "" };
            writeln!(f, "{title:<13}{} {} (sha256 {})", hotfix.number, hotfix.file, hotfix.sha256)?;
        }
        writeln!(f, "pack         sha256 {}", self.pack_sha256)?;
        let digest = self.base_digest.as_ref().map(|digest| format!(" ({digest})")).unwrap_or_default();
        writeln!(f, "base         {}{digest}", self.base)?;
        writeln!(f, "made by      hotfix {}", self.tool_version)?;
        writeln!(f, "fingerprint  {}", self.fingerprint)
    }
}
