//! The layers of an image: the product as it is in the pack, and what the hotfixes changed.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use hotfix_docker::layer::{Content, Entry, FileContent, Layer, Metadata, Node};

use crate::below::Below;
use crate::changes::{Change, PatchedProduct};
use crate::hotfix::Hotfix;
use crate::pack::{CONFIG_JSON, NodeKind, ProductPack, ancestors};
use crate::placement::Placement;
use crate::scrub::{Private, scrub};
use crate::step::Problem;
use crate::tree::{self, Kind};

/// Begins what the layers are said to be made by, in the history of images.
pub(crate) const MADE_BY: &str = "hotfix: ";

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

/// The product as it is in the pack; the same bytes whatever hotfixes there are. Where `files` is a folder with the
/// unpacked pack, they are read from there.
///
/// # Errors
/// Where the pack has a `config.json` that cannot be cleaned.
pub fn product_layer(pack: &ProductPack, placement: &Placement, files: Option<&Path>) -> Result<Layer, Problem> {
    let mut layer = placement.layer(format!("{MADE_BY}{} {}", pack.product.name, pack.product.full_version()));
    for (path, node) in pack.nodes.iter().filter(|(path, _)| !is_log(path)) {
        let content = match &node.kind {
            NodeKind::Directory => Node::Directory,
            NodeKind::Symlink { target } => Node::Symlink(target.clone()),
            NodeKind::File { .. } if path == CONFIG_JSON => {
                let config = pack.small_file(CONFIG_JSON)?.unwrap_or_default();
                Node::File(Arc::new(scrub(&config, &Private::default())?))
            }
            NodeKind::File { index, size } => match files {
                Some(files) => Node::File(Arc::new(FileContent::of_size(files.join(path), *size))),
                None => Node::File(Arc::new(PackedFile { pack: pack.clone(), index: *index, size: *size })),
            },
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
/// Where a changed file cannot be read, is nothing that an image can hold, or is below what is no folder in the image.
pub fn hotfix_layer(
    product: &PatchedProduct,
    below: &Below,
    placement: &Placement,
    hotfixes: &[Hotfix],
) -> Result<Layer, Problem> {
    let files: Vec<&str> = hotfixes.iter().map(|hotfix| hotfix.file.as_str()).collect();
    let layer = placement.layer(format!("{MADE_BY}{}", files.join(", ")));
    let mut work = HotfixLayer { product, below, placement, layer };
    for (path, change) in &product.changes {
        work.add(path, change)?;
    }
    if let Some((config, mtime)) = &product.config {
        work.add_folders(CONFIG_JSON)?;
        let mode = below.get(CONFIG_JSON).map_or(0o644, |lower| lower.metadata.mode);
        work.insert(CONFIG_JSON, Node::File(Arc::new(config.clone())), mode, *mtime);
    }
    Ok(work.layer)
}

struct HotfixLayer<'a> {
    product: &'a PatchedProduct,
    below: &'a Below,
    placement: &'a Placement,
    layer: Layer,
}

impl HotfixLayer<'_> {
    fn add(&mut self, path: &str, change: &Change) -> Result<(), Problem> {
        match change {
            // What is below a folder that is gone, or that became a file, goes with it.
            Change::Removed if ancestors(path).any(|above| is_no_folder(self.product, above)) => return Ok(()),
            // An image that was made from the pack can have left it out.
            Change::Removed if self.below.get(path).is_none() => return Ok(()),
            Change::Removed => {
                self.add_folders(path)?;
                self.insert(path, Node::Whiteout, 0, 0);
            }
            Change::Present { node, mtime } => {
                self.add_folders(path)?;
                self.insert(path, present(self.product, path, node)?, self.mode(path, node), *mtime);
            }
        }
        Ok(())
    }

    fn insert(&mut self, path: &str, node: Node, mode: u32, mtime: u64) {
        let (uid, gid) = self.below.owner(path, self.placement);
        self.layer.insert(self.placement.path(path), Entry { node, metadata: Metadata { mode, uid, gid, mtime } });
    }

    /// The folders above, as they are in the layers below, or an engine would give them an owner and mode of its own.
    fn add_folders(&mut self, path: &str) -> Result<(), Problem> {
        for folder in ancestors(path).filter(|folder| !self.product.changes.contains_key(*folder)) {
            match self.below.get(folder) {
                Some(lower) if lower.is_directory => {
                    let entry = Entry { node: Node::Directory, metadata: lower.metadata };
                    self.layer.insert(self.placement.path(folder), entry);
                }
                Some(_) => {
                    return Err(Problem::new(
                        format!(
                            "/{} is no folder in the image, but a hotfix changed {path}",
                            self.placement.path(folder)
                        ),
                        "use an image in which the product's folders are folders, not links",
                    ));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Unpacking gives the owner the right to write, which is no change of a hotfix's. Set-user-id is dropped, as in packs.
    fn mode(&self, path: &str, node: &tree::Node) -> u32 {
        let mode = node.mode & 0o1777;
        let unpacked = |original: u32| original | if node.kind == Kind::Directory { 0o700 } else { 0o600 };
        match (self.product.pristine.nodes.get(path), self.below.get(path)) {
            (Some(original), Some(lower)) if unpacked(original.mode) == mode => lower.metadata.mode & 0o1777,
            _ => mode,
        }
    }
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
            let content = product.home.locate(path).and_then(FileContent::new).map_err(|error| {
                let file = product.home.path().join(path);
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
