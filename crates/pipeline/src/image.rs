//! The image: where the product is in it and whose, its two layers, its labels.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use hotfix_docker::base::BaseImage;
use hotfix_docker::image::{Image, Settings};
use hotfix_docker::layer::{Content, Entry, FileContent, Layer, Metadata, Node};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::changes::{Change, PatchedProduct};
use crate::hotfix::Hotfix;
use crate::pack::{CONFIG_JSON, NodeKind, PRODUCT_TXT, ProductPack, ancestors};
use crate::plan::Plan;
use crate::request::Owner;
use crate::scrub::{Private, scrub};
use crate::step::Problem;
use crate::tree::{self, Kind};

/// The vendor's images run as this user and group. From the vendor's documentation.
const VENDOR_OWNER: Owner = Owner { uid: 10001, gid: 10001 };
/// In the environment of the vendor's images. From the vendor's documentation.
const HOME_VARIABLE: &str = "WSO2_SERVER_HOME";
/// Where the vendor's images have the product. From the vendor's documentation.
const VENDOR_HOME: &str = "home/wso2carbon";
/// Labels that the OCI image specification defines and every image of ours has.
pub const IMAGE_LABELS: [&str; 3] =
    ["org.opencontainers.image.version", "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"];

/// Where the product goes in the image, and what is there already.
#[derive(Debug, Clone)]
pub struct Placement {
    /// Path of the product from the root of the image.
    pub home: String,
    /// Whose its files are.
    pub owner: Owner,
    /// The folders above the product and the product's own: their metadata, outermost first.
    folders: Vec<(String, Metadata)>,
}

/// A path given by a user or an image as one from the root of the image; `None` where it is relative or has parts that
/// lead elsewhere.
pub fn home_in_image(path: &str) -> Option<String> {
    let inner = path.strip_prefix('/')?.trim_end_matches('/');
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.chars().any(char::is_control);
    (!inner.is_empty() && inner.split('/').all(is_plain)).then(|| inner.to_owned())
}

impl Placement {
    /// Where the product goes on `base`: where the user says, else where the base says, else where the vendor has it.
    ///
    /// # Errors
    /// Where a folder above is no folder in the base, where the base has a product there, or cannot be looked at.
    pub async fn find(plan: &Plan, base: &BaseImage) -> Result<Self, Problem> {
        let asked = plan.request.product_home.as_deref();
        let home = match asked.or_else(|| base.env(HOME_VARIABLE)) {
            Some(path) => home_in_image(path).ok_or_else(|| {
                Problem::new(
                    format!("{HOME_VARIABLE} of {} is {path}, which is no place in an image", base.name),
                    "give --product-home",
                )
            })?,
            None => format!("{VENDOR_HOME}/{}", plan.product.folder()),
        };
        let mut paths: Vec<String> = ancestors(&home).map(str::to_owned).collect();
        paths.push(home.clone());
        let product_txt = format!("{home}/{PRODUCT_TXT}");
        let looked_for: Vec<String> = paths.iter().cloned().chain([product_txt.clone()]).collect();
        let found = base.look(&looked_for).await.map_err(|error| {
            Problem::new(format!("the base image {} cannot be looked at", base.name), "see the cause").because(error)
        })?;
        if found.contains_key(&product_txt) {
            return Err(Problem::new(
                format!("the base image {} already has a product in /{home}", base.name),
                "give a base image with only OS and Java, or another --product-home",
            ));
        }
        if let Some(path) = paths.iter().find(|path| found.get(*path).is_some_and(|found| !found.is_directory)) {
            return Err(Problem::new(
                format!("/{path} is no folder in the base image {}, so the product cannot be put below it", base.name),
                "if it is a link, give --product-home with the path that it leads to",
            ));
        }
        let owner = plan
            .request
            .chown
            .or_else(|| found.get(&home).map(|there| Owner { uid: there.metadata.uid, gid: there.metadata.gid }));
        let owner = owner.unwrap_or(VENDOR_OWNER);
        let time = plan.pack.newest();
        let folders = paths.into_iter().map(|path| {
            let new = match path == home {
                true => Metadata { mode: 0o755, uid: owner.uid, gid: owner.gid, mtime: time },
                false => Metadata { mode: 0o755, uid: 0, gid: 0, mtime: time },
            };
            let metadata = match found.get(&path) {
                // The product's own folder belongs with the product.
                Some(there) if path == home => Metadata { uid: owner.uid, gid: owner.gid, ..there.metadata },
                Some(there) => there.metadata,
                None => new,
            };
            (path, metadata)
        });
        Ok(Self { folders: folders.collect(), home, owner })
    }

    fn layer(&self, history: String) -> Layer {
        let mut layer = Layer::new(history);
        for (path, metadata) in &self.folders {
            layer.insert(path.clone(), Entry { node: Node::Directory, metadata: *metadata });
        }
        layer
    }

    fn path(&self, inner: &str) -> String {
        format!("{}/{inner}", self.home)
    }

    fn metadata(&self, mode: u32, mtime: u64) -> Metadata {
        Metadata { mode, uid: self.owner.uid, gid: self.owner.gid, mtime }
    }
}

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
            Change::Present { node, mtime } => {
                Entry { node: present(product, path, node)?, metadata: placement.metadata(node.mode, *mtime) }
            }
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

/// Checksums of everything that went in, `sha256` in hexadecimal digits.
#[derive(Debug, Clone)]
pub struct InputDigests {
    /// Of the pack.
    pub pack: String,
    /// Of the hotfixes, in order.
    pub hotfixes: Vec<String>,
}

/// Entry point, environment and labels of the image.
pub fn settings(plan: &Plan, base: &BaseImage, placement: &Placement, digests: &InputDigests) -> Settings {
    let newest =
        plan.hotfixes.as_slice().iter().map(|hotfix| hotfix.newest).max().unwrap_or_else(|| plan.pack.newest());
    let created = jiff::Timestamp::from_second(newest.cast_signed()).unwrap_or_default();
    Settings {
        entrypoint: plan.request.entrypoint.clone(),
        env: plan.request.env.clone(),
        labels: labels(plan, base, placement, digests),
        created: created.to_string(),
    }
}

fn labels(plan: &Plan, base: &BaseImage, placement: &Placement, digests: &InputDigests) -> BTreeMap<String, String> {
    let applied = plan.hotfixes.as_slice().iter().zip(&digests.hotfixes);
    let applied =
        applied.map(|(hotfix, sha256)| json!({ "number": hotfix.number, "file": hotfix.file, "sha256": sha256 }));
    let applied = serde_json::Value::from_iter(applied);
    let [version, base_name, base_digest] = IMAGE_LABELS;
    let mut labels: BTreeMap<String, String> = plan.request.labels.iter().cloned().collect();
    labels.insert(version.to_owned(), plan.image_version());
    labels.insert(base_name.to_owned(), base.name.clone());
    if let Some(digest) = &base.digest {
        labels.insert(base_digest.to_owned(), digest.clone());
    }
    let own = [
        ("product", plan.product.name.clone()),
        ("version", plan.product.version.clone()),
        ("update-level", plan.product.update_level.to_string()),
        ("pack-sha256", digests.pack.clone()),
        ("applied", applied.to_string()),
        ("tool-version", env!("CARGO_PKG_VERSION").to_owned()),
        ("fingerprint", fingerprint(plan, base, placement, digests)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_an_absolute_plain_path() {
        assert_eq!(home_in_image("/home/x/"), Some("home/x".to_owned()));
        for path in ["", "/", "home/x", "/a/../b", "/a//b", "/a/./b", "/a/\n"] {
            assert_eq!(home_in_image(path), None, "{path:?}");
        }
    }
}
