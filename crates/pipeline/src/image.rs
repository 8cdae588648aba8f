//! The image: its layers, its settings, its labels.

use std::collections::BTreeMap;

use hotfix_docker::base::BaseImage;
use hotfix_docker::image::{Image, Settings};
use hotfix_docker::layer::Layer;
use hotfix_environments::labels::FILES_LABEL;
use serde_json::json;

use crate::changes::{Delta, PatchedProduct};
use crate::checksums::InputDigests;
use crate::fingerprint::Fingerprint;
use crate::plan::Plan;

/// Labels that the OCI image specification defines and every image of ours has.
pub const IMAGE_LABELS: [&str; 3] =
    ["org.opencontainers.image.version", "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"];

/// containerd refuses containers with longer ones, key and value together, and takes an image's over.
const LONGEST_LABEL: usize = 4096;

/// Entry point, environment and labels of the image.
pub fn settings(plan: &Plan, base: &BaseImage, digests: &InputDigests, patched: Option<&PatchedProduct>) -> Settings {
    let newest =
        plan.hotfixes.as_slice().iter().map(|hotfix| hotfix.newest).max().unwrap_or_else(|| plan.source.newest());
    let created = jiff::Timestamp::from_second(newest.cast_signed()).unwrap_or_default();
    Settings {
        entrypoint: plan.request.entrypoint.clone(),
        env: plan.request.env.clone(),
        labels: labels(
            plan,
            BaseLabels { name: Some(&base.name), digest: base.digest.as_deref() },
            digests,
            patched,
            &Fingerprint::of_layers(plan, &base.identity(), digests),
        ),
        created: created.to_string(),
    }
}

/// What the labels say of the base, as far as it is known.
pub(crate) struct BaseLabels<'a> {
    /// The name it was asked for by.
    pub(crate) name: Option<&'a str>,
    /// Its digest.
    pub(crate) digest: Option<&'a str>,
}

/// The user's labels and ours.
pub(crate) fn labels(
    plan: &Plan,
    base: BaseLabels<'_>,
    digests: &InputDigests,
    patched: Option<&PatchedProduct>,
    fingerprint: &Fingerprint,
) -> BTreeMap<String, String> {
    let applied = plan.hotfixes.as_slice().iter().zip(&digests.hotfixes);
    let applied =
        applied.map(|(hotfix, sha256)| json!({ "number": hotfix.number, "file": hotfix.file, "sha256": sha256 }));
    let applied = serde_json::Value::from_iter(applied);
    let [version, base_name, base_digest] = IMAGE_LABELS;
    let mut labels: BTreeMap<String, String> = plan.request.labels.iter().cloned().collect();
    labels.insert(version.to_owned(), plan.image_version());
    let of_base = [(base_name, base.name), (base_digest, base.digest)];
    labels.extend(of_base.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))));
    let own = [
        ("product", plan.product.name.clone()),
        ("version", plan.product.version.clone()),
        ("update-level", plan.product.update_level.to_string()),
        ("pack-sha256", digests.pack.clone()),
        ("applied", applied.to_string()),
        ("tool-version", env!("CARGO_PKG_VERSION").to_owned()),
        ("fingerprint", fingerprint.whole()),
        ("inputs", fingerprint.inputs()),
    ];
    labels.extend(own.map(|(key, value)| (format!("hotfix.{key}"), value)));
    labels.extend(patched.iter().flat_map(|patched| &patched.deltas).filter_map(files_label));
    labels
}

/// What a hotfix did to which files. One that did it to so many that no container could have the label has none.
fn files_label((number, delta): &(u32, Delta)) -> Option<(String, String)> {
    let (key, value) = (format!("{FILES_LABEL}{number}"), serde_json::to_string(delta).ok()?);
    (key.len() + value.len() <= LONGEST_LABEL).then_some((key, value))
}

/// The image to be made: `layers` on `base`, with settings and labels.
pub fn assemble(
    plan: &Plan,
    base: BaseImage,
    digests: &InputDigests,
    patched: Option<&PatchedProduct>,
    layers: Vec<Layer>,
) -> Image {
    Image { settings: settings(plan, &base, digests, patched), base, layers }
}
