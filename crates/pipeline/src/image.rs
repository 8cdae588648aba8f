//! The image: its two layers, its settings, its labels.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use hotfix_docker::base::BaseImage;
use hotfix_docker::image::{Image, Settings};
use hotfix_docker::layer::{Content, Entry, FileContent, Layer, Node};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::changes::{Change, PatchedProduct};
use crate::checksums::InputDigests;
use crate::hotfix::Hotfix;
use crate::pack::{CONFIG_JSON, NodeKind, ProductPack, ancestors};
use crate::placement::Placement;
use crate::plan::Plan;
use crate::scrub::{Private, scrub};
use crate::step::Problem;
use crate::tree::{self, Kind};

/// Labels that the OCI image specification defines and every image of ours has.
pub const IMAGE_LABELS: [&str; 3] =
    ["org.opencontainers.image.version", "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"];

/// A file of the pack, unpacked while the layer is written.
struct PackedFile {
    pack: ProductPack,
    index: usize,
    size: u64,
}

impl Content for PackedFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn copy_to(&self, out: &mut dyn Write) -> io::Result<()> {
        self.pack.copy_entry(self.index, out)
    }
}

/// The product as it is in the pack; the same bytes whatever hotfixes there are.
///
/// # Errors
/// Where the pack has a `config.json` that cannot be cleaned.
pub fn product_layer(pack: &ProductPack, placement: &Placement) -> Result<Layer, Problem> {
    let mut layer = placement.layer(format!("hotfix: {} {}", pack.product.name, pack.product.full_version()));
    for (path, node) in pack.nodes.iter().filter(|(path, _)| !is_log(path)) {
        let content = match &node.kind {
            NodeKind::Directory => Node::Directory,
            NodeKind::Symlink { target } => Node::Symlink(target.clone()),
            NodeKind::File { .. } if path == CONFIG_JSON => {
                let config = pack.small_file(CONFIG_JSON)?.unwrap_or_default();
                Node::File(Arc::new(scrub(&config, &Private::default())?))
            }
            NodeKind::File { index, size } => {
                Node::File(Arc::new(PackedFile { pack: pack.clone(), index: *index, size: *size }))
            }
        };
        layer
            .insert(placement.path(path), Entry { node: content, metadata: placement.metadata(node.mode, node.mtime) });
    }
    Ok(layer)
}

fn is_log(path: &str) -> bool {
    tree::is_tools_own(path) && path.starts_with(crate::pack::LOGS)
}

/// Exactly what the hotfixes changed, deletions included.
///
/// # Errors
/// Where a changed file cannot be read, or is nothing that an image can hold.
pub fn hotfix_layer(
    product: &PatchedProduct,
    pack: &ProductPack,
    placement: &Placement,
    hotfixes: &[Hotfix],
) -> Result<Layer, Problem> {
    let files: Vec<&str> = hotfixes.iter().map(|hotfix| hotfix.file.as_str()).collect();
    let mut layer = placement.layer(format!("hotfix: {}", files.join(", ")));
    let add_folders = |layer: &mut Layer, path: &str| {
        for folder in ancestors(path) {
            // As they are in the layer below, or an engine would give them an owner and mode of its own.
            if let Some(node) = pack
                .nodes
                .get(folder)
                .filter(|node| node.kind == NodeKind::Directory && !product.changes.contains_key(folder))
            {
                layer.insert(
                    placement.path(folder),
                    Entry { node: Node::Directory, metadata: placement.metadata(node.mode, node.mtime) },
                );
            }
        }
    };
    for (path, change) in &product.changes {
        let entry = match change {
            // What is below a folder that is gone, or that became a file, goes with it.
            Change::Removed if ancestors(path).any(|above| is_no_folder(product, above)) => continue,
            Change::Removed => Entry { node: Node::Whiteout, metadata: placement.metadata(0, 0) },
            Change::Present { node, mtime } => Entry {
                node: present(product, path, node)?,
                metadata: placement.metadata(mode_in_image(pack, path, node), *mtime),
            },
        };
        add_folders(&mut layer, path);
        layer.insert(placement.path(path), entry);
    }
    if let Some((config, mtime)) = &product.config {
        add_folders(&mut layer, CONFIG_JSON);
        let mode = pack.nodes.get(CONFIG_JSON).map_or(0o644, |node| node.mode);
        layer.insert(
            placement.path(CONFIG_JSON),
            Entry { node: Node::File(Arc::new(config.clone())), metadata: placement.metadata(mode, *mtime) },
        );
    }
    Ok(layer)
}

fn is_no_folder(product: &PatchedProduct, path: &str) -> bool {
    match product.changes.get(path) {
        Some(Change::Removed) => true,
        Some(Change::Present { node, .. }) => node.kind != Kind::Directory,
        None => false,
    }
}

/// Unpacking gives the owner the right to write, which is no change of a hotfix's. Set-user-id is dropped, as in packs.
fn mode_in_image(pack: &ProductPack, path: &str, node: &tree::Node) -> u32 {
    let mode = node.mode & 0o1777;
    let unpacked = |original: u32| original | if node.kind == Kind::Directory { 0o700 } else { 0o600 };
    match pack.nodes.get(path) {
        Some(original) if unpacked(original.mode) == mode => original.mode,
        _ => mode,
    }
}

fn present(product: &PatchedProduct, path: &str, node: &tree::Node) -> Result<Node, Problem> {
    Ok(match &node.kind {
        Kind::Directory => Node::Directory,
        Kind::Symlink(target) => Node::Symlink(target.clone()),
        Kind::File => {
            let file = product.home.join(path);
            let content = FileContent::new(file.clone()).map_err(|error| {
                Problem::new(format!("{} cannot be read", file.display()), "check the workspace's disk").because(error)
            })?;
            Node::File(Arc::new(content))
        }
        Kind::Other => {
            return Err(Problem::new(
                format!("a hotfix left {path}, which is neither a file nor a folder nor a link"),
                "ask the vendor about this hotfix",
            ));
        }
    })
}

/// Entry point, environment and labels of the image.
pub fn settings(plan: &Plan, base: &BaseImage, placement: &Placement, digests: &InputDigests) -> Settings {
    let newest =
        plan.hotfixes.as_slice().iter().map(|hotfix| hotfix.newest).max().unwrap_or_else(|| plan.pack.newest());
    let created = jiff::Timestamp::from_second(newest.cast_signed()).unwrap_or_default();
    Settings {
        entrypoint: plan.request.entrypoint.clone(),
        env: plan.request.env.clone(),
        labels: labels(
            plan,
            BaseLabels { name: Some(&base.name), digest: base.digest.as_deref() },
            digests,
            fingerprint(plan, base, placement, digests),
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
    fingerprint: String,
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
        ("fingerprint", fingerprint),
    ];
    labels.extend(own.map(|(key, value)| (format!("hotfix.{key}"), value)));
    labels
}

/// One digest of everything that went in and can make a difference to the image.
fn fingerprint(plan: &Plan, base: &BaseImage, placement: &Placement, digests: &InputDigests) -> String {
    let request = &plan.request;
    let inputs = json!({
        "tool": env!("CARGO_PKG_VERSION"),
        "level": plan.product.update_level,
        "pack": digests.pack,
        "hotfixes": digests.hotfixes,
        "base": base.digest,
        "platform": [base.platform.os, base.platform.architecture, base.platform.variant],
        "home": placement.home,
        "owner": placement.owner,
        "entrypoint": request.entrypoint,
        "env": request.env,
        "labels": request.labels.iter().cloned().collect::<BTreeMap<String, String>>(),
    });
    hex::encode(Sha256::digest(inputs.to_string()))
}

/// The image to be made.
///
/// # Errors
/// As [`product_layer`] and [`hotfix_layer`].
pub fn assemble(
    plan: &Plan,
    base: BaseImage,
    placement: &Placement,
    digests: &InputDigests,
    product: Option<&PatchedProduct>,
) -> Result<Image, Problem> {
    let mut layers = vec![product_layer(&plan.pack, placement)?];
    if let Some(product) = product {
        layers.push(hotfix_layer(product, &plan.pack, placement, plan.hotfixes.as_slice())?);
    }
    Ok(Image { settings: settings(plan, &base, placement, digests), base, layers })
}
