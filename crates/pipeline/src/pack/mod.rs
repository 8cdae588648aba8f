//! The product pack: a zip of one product, read as far as its directory until it is unpacked.

mod archive;
mod directory;
mod extract;
mod links;
mod name;
mod reader;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::cache::{FileState, sha256_of};
use crate::step::Problem;

pub use hotfix_environments::printable::printable;

pub(crate) use archive::open as open_zip;
pub(crate) use directory::{NAMES_MEMORY, NODE_MEMORY};
pub use directory::{Node, NodeKind, ancestors, entry_time};
pub(crate) use extract::{settle_folders, settle_path};
pub(crate) use links::leads_out;
pub use name::PackName;
pub(crate) use name::{safe_name, split_product};
use reader::Entries;

/// Where the product says what it is. Missing or altered, the update tool does not know the product.
pub const PRODUCT_TXT: &str = "updates/product.txt";
/// Where the update tool keeps level, hotfixes, and what must not reach an image.
pub const CONFIG_JSON: &str = "updates/config.json";
/// Where the update tool logs, with the user's e-mail and this machine's paths.
pub const LOGS: &str = "updates/logs";
/// Larger ones are no product.txt, config.json or link target.
const SMALL: u64 = 1 << 20;

/// What a pack is a pack of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Product {
    /// `wso2am`.
    pub name: String,
    /// `4.1.0`.
    pub version: String,
    /// `10`; 0 for a pack that never took an update.
    pub update_level: u32,
}

impl Product {
    /// `wso2am-4.1.0`: the pack's folder, and the content of its `product.txt`.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// `4.1.0.10`.
    pub fn full_version(&self) -> String {
        format!("{}.{}", self.version, self.update_level)
    }
}

/// What the update tool's `updates/config.json` says, as far as it is documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Records {
    /// None where no update was ever taken.
    pub update_level: Option<u32>,
    /// How many hotfixes are applied.
    pub hotfixes: usize,
}

impl Records {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// Where it is not JSON.
    pub fn read(config: &[u8]) -> serde_json::Result<Self> {
        let config: Value = serde_json::from_slice(config)?;
        let applied = &config["hotfixes"];
        let hotfixes = applied.as_array().map(Vec::len).or_else(|| applied.as_object().map(serde_json::Map::len));
        Ok(Self { update_level: Self::level(&config["update-level"])?, hotfixes: hotfixes.unwrap_or_default() })
    }

    /// A text, as the vendor writes it, or a number; `-1` where no update was ever taken.
    fn level(level: &Value) -> serde_json::Result<Option<u32>> {
        let text = match level {
            Value::Null => return Ok(None),
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        match text.as_str() {
            "" | "-1" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| serde::de::Error::custom(format!("its update-level is no number: {}", printable(text)))),
        }
    }
}

/// A pack whose directory holds one product, with safe names only and within bounds.
#[derive(Debug, Clone)]
pub struct ProductPack {
    /// The zip.
    pub path: PathBuf,
    /// Length of the zip in bytes.
    pub bytes: u64,
    /// What it is a pack of.
    pub product: Product,
    /// Everything in the product's folder, by path from there; folders that the zip implies are there too.
    pub nodes: Arc<BTreeMap<String, Node>>,
    entries: Entries,
    /// Of the zip when it was opened.
    state: FileState,
}

impl ProductPack {
    /// Reads the directory of the zip at `path`, and the few small files that say what it is.
    ///
    /// # Errors
    /// Where the file is no zip, is damaged, holds no product or more than one, has an unsafe name, or is larger than
    /// `max_unpacked_size` bytes when unpacked. The problem names the entry.
    pub fn open(path: &Path, max_unpacked_size: u64) -> Result<Self, Problem> {
        let file = open_file(path)?;
        let metadata = file.metadata().map_err(|error| unreadable(path).because(error))?;
        let (bytes, state) = (metadata.len(), FileState::of(&metadata));
        let file = Arc::new(file);
        let mut archive = open_zip(&file).map_err(|error| {
            let hint = "download the pack again, and compare its size and checksum with the vendor's";
            Problem::new(format!("{} is no zip, or is damaged", path.display()), hint).because(error)
        })?;
        let (folder, nodes) = directory::read(path, &mut archive, max_unpacked_size)?;
        let mut pack = Self {
            path: path.to_owned(),
            bytes,
            product: Product { name: String::new(), version: String::new(), update_level: 0 },
            nodes: Arc::new(nodes),
            entries: Entries::new(file, archive.metadata()),
            state,
        };
        pack.product = pack.identify(&folder)?;
        Ok(pack)
    }

    fn identify(&self, folder: &str) -> Result<Product, Problem> {
        let path = self.path.display();
        let Some(product_txt) = self.small_file(PRODUCT_TXT)? else {
            return Err(Problem::new(
                format!("{path} holds no product: there is no {folder}/{PRODUCT_TXT} in it"),
                "give the product pack as the vendor delivers it, not its sources or a part of it",
            ));
        };
        let product_txt = String::from_utf8_lossy(&product_txt);
        let Some((name, version)) = split_product(product_txt.trim()).filter(|_| product_txt.trim() == folder) else {
            return Err(Problem::new(
                format!("{path} is not a clean pack: {folder}/{PRODUCT_TXT} says '{}'", printable(product_txt.trim())),
                format!(
                    "{PRODUCT_TXT} must say '{folder}', or the update tool cannot identify the product; download the pack again"
                ),
            ));
        };
        let named = PackName::of(&self.path).filter(|named| named.product == name && named.version == version);
        let recorded = self.recorded_level()?;
        let update_level = self.level(folder, named.map(|named| named.level), recorded)?;
        Ok(Product { name: name.to_owned(), version: version.to_owned(), update_level })
    }

    /// The level stands in the pack's name; a pack that the update tool has run in records it as well.
    fn level(&self, folder: &str, named: Option<Option<u32>>, recorded: Option<u32>) -> Result<u32, Problem> {
        let path = self.path.display();
        match (named, recorded) {
            (Some(Some(named)), Some(recorded)) if named != recorded => Err(Problem::new(
                format!("{path} contradicts itself: its name says level {named}, its {CONFIG_JSON} level {recorded}"),
                "give the pack the name that the vendor gave it",
            )),
            (_, Some(recorded)) => Ok(recorded),
            (Some(named), None) => Ok(named.unwrap_or(0)),
            (None, None) if PackName::of(&self.path).is_some() => Err(Problem::new(
                format!("{path} holds another product than its name says: {folder}"),
                "give the pack the name that the vendor gave it",
            )),
            (None, None) => Err(Problem::new(
                format!(
                    "the update level of {path} is not known: its name is not of the form <product>-<version>[.<level>].zip for the product in it"
                ),
                "give the pack the name that the vendor gave it, such as wso2am-4.1.0.10.zip",
            )),
        }
    }

    /// The level in `config.json`; none for a fresh pack and for one that never took an update.
    fn recorded_level(&self) -> Result<Option<u32>, Problem> {
        let Some(config) = self.small_file(CONFIG_JSON)? else { return Ok(None) };
        let records = Records::read(&config).map_err(|error| {
            Problem::new(format!("{CONFIG_JSON} in {} is not JSON", self.path.display()), "download the pack again")
                .because(error)
        })?;
        if records.hotfixes > 0 {
            return Err(Problem::new(
                format!("{} already has hotfixes applied, says its {CONFIG_JSON}", self.path.display()),
                "give the clean pack of that update level: hotfixes are applied to it in order, from the first",
            ));
        }
        Ok(records.update_level)
    }

    /// The file at `path` from the product's folder, where there is one of at most 1 MiB.
    ///
    /// # Errors
    /// Where it cannot be read, or is larger.
    pub fn small_file(&self, path: &str) -> Result<Option<Vec<u8>>, Problem> {
        let Some(Node { kind: NodeKind::File { index, size }, .. }) = self.nodes.get(path) else { return Ok(None) };
        if *size > SMALL {
            return Err(Problem::new(
                format!("{path} in {} is of {size} bytes", self.path.display()),
                "download the pack again",
            ));
        }
        let mut bytes = Vec::new();
        self.copy_entry(*index, &mut bytes).map_err(|error| {
            Problem::new(format!("{path} in {} cannot be read", self.path.display()), "download the pack again")
                .because(error)
        })?;
        Ok(Some(bytes))
    }

    /// Writes the content of the file that is entry number `index` of the zip to `out`; its checksum is verified.
    ///
    /// # Errors
    /// Where the zip is damaged there, or `out` fails.
    pub fn copy_entry(&self, index: usize, out: &mut dyn Write) -> io::Result<()> {
        self.entries.copy(index, out)
    }

    /// The zip, as it was opened: whatever gets its name meanwhile.
    pub(crate) fn file(&self) -> &File {
        self.entries.file()
    }

    /// Whether the zip still has the checksum `sha256`, as it had before it was read.
    ///
    /// # Errors
    /// Where it has not.
    pub(crate) fn check_is(&self, sha256: &str) -> Result<(), Problem> {
        let hint = "let nobody write to it, and run the same command again";
        match self.state.is_of(self.file()) {
            Ok(true) => return Ok(()),
            // Its name or its links changed, or its content.
            Ok(false) => {}
            Err(error) => return Err(unreadable(&self.path).because(error)),
        }
        match sha256_of(None, self.file(), &self.path) {
            Ok(now) if now == sha256 => Ok(()),
            Ok(_) => Err(Problem::new(format!("the pack {} was changed while it was read", self.path.display()), hint)),
            Err(error) => Err(unreadable(&self.path).because(error)),
        }
    }

    /// Bytes of all files when unpacked.
    pub fn unpacked_bytes(&self) -> u64 {
        self.nodes.values().map(Node::size).sum()
    }

    /// Number of files and links.
    pub fn files(&self) -> usize {
        self.nodes.values().filter(|node| !matches!(node.kind, NodeKind::Directory)).count()
    }

    /// Time of the newest entry, in seconds since 1970.
    pub fn newest(&self) -> u64 {
        self.nodes.values().map(|node| node.mtime).max().unwrap_or_default()
    }
}

fn open_file(path: &Path) -> Result<File, Problem> {
    let missing =
        || Problem::new(format!("there is no pack {}", path.display()), "give the path of the product pack, a zip");
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing().because(error),
        _ => unreadable(path).because(error),
    })?;
    if metadata.is_dir() {
        return Err(Problem::new(
            format!("the pack {} is a folder", path.display()),
            "give the zip that the vendor delivers, not an unpacked product; PACK comes before HOTFIX_DIR",
        ));
    }
    if !metadata.is_file() {
        return Err(Problem::new(
            format!("the pack {} is no regular file", path.display()),
            "give the zip that the vendor delivers",
        ));
    }
    File::open(path).map_err(|error| unreadable(path).because(error))
}

fn unreadable(path: &Path) -> Problem {
    Problem::new(format!("the pack {} cannot be read", path.display()), "check its permissions")
}
