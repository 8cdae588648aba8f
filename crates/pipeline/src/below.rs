//! What the layer of the hotfixes lies on: the product as the image has it below.

use std::collections::BTreeMap;

use hotfix_docker::layer::Metadata;
use hotfix_docker::look::FoundPaths;

use crate::pack::{Node, NodeKind, ancestors};
use crate::placement::Placement;

/// Files and folders of the product in the layers below, by path from the product's folder. Where it was looked for in
/// an image, only those that the hotfixes touch are known.
#[derive(Debug)]
pub struct Below {
    nodes: BTreeMap<String, Lower>,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Lower {
    /// Whether it is a folder.
    pub is_directory: bool,
    /// Its permission bits, owner and time.
    pub metadata: Metadata,
}

impl Below {
    /// The product as the layer made from `nodes` has it.
    pub fn of_pack(nodes: &BTreeMap<String, Node>, placement: &Placement) -> Self {
        let lower = |node: &Node| Lower {
            is_directory: node.kind == NodeKind::Directory,
            metadata: placement.metadata(node.mode, node.mtime),
        };
        Self { nodes: nodes.iter().map(|(path, node)| (path.clone(), lower(node))).collect() }
    }

    /// The product as it was found in an image, by paths from the image's root.
    pub fn of_image(found: &FoundPaths, placement: &Placement) -> Self {
        let prefix = format!("{}/", placement.home);
        let nodes = found.iter().filter_map(|(path, found)| {
            let lower = Lower { is_directory: found.is_directory(), metadata: found.metadata };
            Some((path.strip_prefix(&prefix)?.to_owned(), lower))
        });
        Self { nodes: nodes.collect() }
    }

    /// What is at `path`.
    pub fn get(&self, path: &str) -> Option<Lower> {
        self.nodes.get(path).copied()
    }

    /// Whose something at `path` is: of whom it was, or of whom the folder is that it is put into.
    pub fn owner(&self, path: &str, placement: &Placement) -> (u64, u64) {
        let above: Vec<&str> = ancestors(path).collect();
        let known = self.get(path).or_else(|| above.iter().rev().find_map(|folder| self.get(folder)));
        known.map_or((placement.owner.uid, placement.owner.gid), |lower| (lower.metadata.uid, lower.metadata.gid))
    }
}
