//! The product before the first hotfix: what every change is a change against.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::checksums::{HashWriter, Sha256Digest};
use crate::pack::{CONFIG_JSON, Node, NodeKind, ProductPack};
use crate::step::Problem;

/// Everything in the product's folder as it was unpacked, with what is needed to compare a file with it.
#[derive(Debug, Clone)]
pub struct Pristine {
    /// By path from the product's folder.
    pub nodes: Arc<BTreeMap<String, Node>>,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    /// Unpacked again where a file is to be compared, which few are.
    Pack(ProductPack),
    /// Taken when the product was read out of the image, by the files' numbers.
    Image { digests: Arc<Vec<Sha256Digest>>, config: Option<Vec<u8>> },
}

impl From<&ProductPack> for Pristine {
    fn from(pack: &ProductPack) -> Self {
        Self { nodes: Arc::clone(&pack.nodes), content: Content::Pack(pack.clone()) }
    }
}

impl Pristine {
    /// A product that was read out of an image: `digests` by the number of the file, and its `updates/config.json`.
    pub fn of_image(nodes: BTreeMap<String, Node>, digests: Vec<Sha256Digest>, config: Option<Vec<u8>>) -> Self {
        Self { nodes: Arc::new(nodes), content: Content::Image { digests: Arc::new(digests), config } }
    }

    /// Digest of the file at `path`; `None` where there was none.
    ///
    /// # Errors
    /// Where the pack is damaged there.
    pub(crate) fn digest(&self, path: &str) -> io::Result<Option<Sha256Digest>> {
        let Some(NodeKind::File { index, .. }) = self.nodes.get(path).map(|node| &node.kind) else { return Ok(None) };
        match &self.content {
            Content::Pack(pack) => {
                let mut hash = HashWriter::default();
                pack.copy_entry(*index, &mut hash)?;
                Ok(Some(hash.finish()))
            }
            Content::Image { digests, .. } => Ok(digests.get(*index).copied()),
        }
    }

    /// The update tool's records, where the product has any.
    ///
    /// # Errors
    /// As [`ProductPack::small_file`].
    pub fn config(&self) -> Result<Option<Vec<u8>>, Problem> {
        match &self.content {
            Content::Pack(pack) => pack.small_file(CONFIG_JSON),
            Content::Image { config, .. } => Ok(config.clone()),
        }
    }
}
