//! The product that the tool works on: the folder above the one that its executable is in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// A product that has been identified.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) home: PathBuf,
    pub(super) name: String,
    pub(super) version: String,
    /// `$HOME/.wso2-updates`, where the tool keeps its own files.
    pub(super) own_files: PathBuf,
    pub(super) executable: PathBuf,
}

impl Product {
    /// The product of an executable. It must be run from the folder that it is in, as the vendor says.
    pub(super) fn of(executable: &Path) -> Result<Self> {
        let bin = executable.parent().context("the executable is in no folder")?;
        let home = bin.parent().context("the executable is in no product")?;
        let current = std::env::current_dir().and_then(fs::canonicalize)?;
        ensure!(current == fs::canonicalize(bin)?, "run the tool from {}", bin.display());
        let (name, version) = identify(home)?;
        let user_home = std::env::var_os("HOME").filter(|path| !path.is_empty());
        Ok(Self {
            own_files: Path::new(&user_home.context("HOME is not set")?).join(".wso2-updates"),
            home: home.to_owned(),
            name,
            version,
            executable: executable.to_owned(),
        })
    }

    /// `<product>-<version>`
    pub(super) fn pattern(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// What `updates/product.txt` says.
fn identify(home: &Path) -> Result<(String, String)> {
    let text = fs::read_to_string(home.join("updates/product.txt")).context("cannot identify the product")?;
    match text.trim_end().rsplit_once('-') {
        Some((name, version)) if is_name(name) && is_version(version) => Ok((name.to_owned(), version.to_owned())),
        _ => bail!("cannot identify the product: updates/product.txt says {text:?}"),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn is_version(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.split('.').count() == 3 && text.split('.').all(is_number)
}
