//! Packs and hotfixes to measure with, made once a run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use update_tool_sim::{HotfixBuilder, Listing, PackBuilder, ToolBehaviour, samples};

/// The product of all packs but that of [`Listing::Wso2is710`].
pub const PRODUCT: (&str, &str) = ("wso2am", "4.1.0");
/// Its update level.
pub const LEVEL: u32 = 10;
/// No file that a hotfix of ours replaces is larger.
const PIECE: u64 = 512 * 1024;
const PLUGINS: &str = "repository/components/plugins/";

/// What a pack is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Every file of a real pack, in its size.
    Full(Listing),
    /// A small pack and so many bytes, three quarters of them in jars, in files of half a megabyte.
    Bytes(u64),
}

/// Whether the update tool copies the whole product at each hotfix, as the vendor's does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backup {
    /// It does.
    Whole,
    /// It does not, so that the rest of the job can be seen.
    None,
}

impl Shape {
    fn name(self) -> String {
        match self {
            Self::Full(Listing::Wso2am410) => "full-wso2am".to_owned(),
            Self::Full(Listing::Wso2is710) => "full-wso2is".to_owned(),
            Self::Bytes(bytes) => format!("{bytes}-bytes"),
        }
    }

    /// In words, with the product where there are several.
    pub fn words(self) -> String {
        match self {
            Self::Full(listing) => {
                let bytes: u64 = listing.entries().map(|entry| entry.size).sum();
                let (name, version) = (listing.product(), listing.version());
                format!("{name}-{version}, {} files, {} MB", listing.entries().count(), bytes / 1_000_000)
            }
            Self::Bytes(bytes) => format!("made up, {} MB", bytes / 1_000_000),
        }
    }

    fn builder(self) -> PackBuilder {
        match self {
            Self::Full(listing) => PackBuilder::new(listing.product(), listing.version()).listing(listing),
            Self::Bytes(bytes) => PackBuilder::new(PRODUCT.0, PRODUCT.1).filler(bytes),
        }
    }

    /// Jars that a hotfix can replace.
    fn jars(self) -> Vec<String> {
        match self {
            Self::Full(listing) => {
                let paths = listing.entries().map(|entry| entry.path);
                paths.filter(|path| path.starts_with(PLUGINS) && path.ends_with(".jar")).map(str::to_owned).collect()
            }
            // As the builder names them: every fourth file is no jar.
            Self::Bytes(bytes) => {
                let numbers = (0..bytes.div_ceil(PIECE)).filter(|number| number % 4 != 3);
                numbers.map(|number| format!("{PLUGINS}filler.n{number:05}_1.0.0.jar")).collect()
            }
        }
    }
}

/// A folder of packs and hotfixes.
#[derive(Debug)]
pub struct Inputs {
    folder: PathBuf,
}

impl Inputs {
    /// In `folder`, which is made.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The pack of that shape.
    ///
    /// # Errors
    /// Where its folder cannot be read.
    pub fn pack(&self, shape: Shape, backup: Backup) -> Result<PathBuf> {
        let folder = self.folder.join(format!("pack-{}-{backup:?}", shape.name()));
        if let Some(made) = only_file_in(&folder)? {
            return Ok(made);
        }
        let tool = ToolBehaviour { backup: backup == Backup::Whole, ..ToolBehaviour::default() };
        Ok(shape.builder().level(LEVEL).tool(tool).write_to(folder))
    }

    /// Three hotfixes for a pack, each with about `bytes_each` bytes.
    ///
    /// # Errors
    /// Where their folder cannot be made.
    pub fn three_hotfixes(&self, shape: Shape, bytes_each: u64) -> Result<PathBuf> {
        let Shape::Full(listing) = shape else { return self.hotfixes(shape, 3, bytes_each) };
        let folder = self.folder.join(format!("three-{}-{bytes_each}", shape.name()));
        if !folder.exists() {
            fs::create_dir(&folder)?;
            samples::sample_hotfixes_for(listing, &folder, LEVEL, bytes_each);
        }
        Ok(folder)
    }

    /// `count` hotfixes for a pack, each of which replaces jars by `bytes_each` other bytes.
    ///
    /// # Errors
    /// Where their folder cannot be made.
    pub fn hotfixes(&self, shape: Shape, count: u32, bytes_each: u64) -> Result<PathBuf> {
        let folder = self.folder.join(format!("hotfixes-{}-{count}-{bytes_each}", shape.name()));
        if folder.exists() {
            return Ok(folder);
        }
        fs::create_dir(&folder)?;
        let jars = shape.jars();
        let mut jars = jars.iter().cycle();
        for number in 1..=count {
            let mut hotfix = HotfixBuilder::new(PRODUCT.0, PRODUCT.1, LEVEL, number);
            let mut left = bytes_each;
            while left > 0 {
                let size = left.min(PIECE);
                let jar = jars.next().context("a pack without jars")?;
                hotfix = hotfix.replace(jar, noise(&format!("{count} {bytes_each} {number} {jar}"), size));
                left -= size;
            }
            hotfix.write_to(&folder);
        }
        Ok(folder)
    }
}

fn only_file_in(folder: &Path) -> Result<Option<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().transpose()?.map(|entry| entry.path())),
        Err(_) => Ok(None),
    }
}

/// Bytes that do not compress, the same for the same seed, by `xorshift64`.
fn noise(seed: &str, size: u64) -> Vec<u8> {
    let mut state = seed
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        | 1;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size as usize);
    bytes
}
