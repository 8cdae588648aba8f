//! What `revert-hotfix` needs: the files as they were before a hotfix, and which ones it added. The tool keeps it
//! among its own files, so another home knows nothing of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::backup::copy_tree;
use super::product::Product;

/// Reverting a hotfix reverts configuration that was changed since, too.
const CONFIGURATION: &str = "repository/conf";

/// How to undo one hotfix.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Undo {
    /// Paths of files that were changed or deleted; their old selves are below `files/`.
    saved: Vec<String>,
    /// Paths of files that were not there.
    added: Vec<String>,
    /// Folders that were not there, outermost first.
    added_folders: Vec<PathBuf>,
    #[serde(skip)]
    folder: PathBuf,
}

impl Undo {
    /// Begins to save what a hotfix is about to change.
    pub(super) fn begin(product: &Product, number: u32) -> Result<Self> {
        let folder = folder(product, number);
        // A run that was ended in the middle may have left one.
        remove_if_there(&folder)?;
        fs::create_dir_all(&folder)?;
        let configuration = product.home.join(CONFIGURATION);
        if configuration.is_dir() {
            copy_tree(&configuration, &folder.join("configuration"))?;
        }
        Ok(Self { folder, ..Self::default() })
    }

    /// Saves a file that is about to be written or deleted.
    pub(super) fn save(&mut self, product: &Product, path: &str) -> Result<()> {
        let file = product.home.join(path);
        if self.saved.iter().chain(&self.added).any(|known| known == path) {
            return Ok(());
        }
        if file.symlink_metadata().is_ok() {
            copy_file(&file, &self.folder.join("files").join(path))?;
            self.saved.push(path.to_owned());
            return Ok(());
        }
        self.added.push(path.to_owned());
        let ancestors = Path::new(path).ancestors().skip(1);
        let missing: Vec<_> =
            ancestors.take_while(|folder| !product.home.join(folder).exists()).map(Path::to_owned).collect();
        self.added_folders.extend(missing.into_iter().rev());
        Ok(())
    }

    /// Makes it last: from now on the hotfix can be undone.
    pub(super) fn finish(&self) -> Result<()> {
        fs::write(self.folder.join("undo.json"), serde_json::to_vec(self)?)?;
        Ok(())
    }

    /// What undoes a hotfix that was applied earlier.
    pub(super) fn load(product: &Product, number: u32) -> Result<Self> {
        let folder = folder(product, number);
        let text =
            fs::read(folder.join("undo.json")).with_context(|| format!("no backup to revert hotfix {number} from"))?;
        let undo = serde_json::from_slice(&text)?;
        Ok(Self { folder, ..undo })
    }

    /// Puts the product back, and forgets how.
    pub(super) fn run(self, product: &Product) -> Result<()> {
        self.put_back(product)?;
        self.forget()
    }

    /// Nobody is going to undo it again.
    pub(super) fn forget(&self) -> Result<()> {
        remove_if_there(&self.folder)
    }

    /// Puts the product back.
    pub(super) fn put_back(&self, product: &Product) -> Result<()> {
        for path in &self.added {
            remove_file_if_there(&product.home.join(path))?;
        }
        for path in &self.saved {
            let old = self.folder.join("files").join(path);
            copy_file(&old, &product.home.join(path))?;
        }
        for folder in self.added_folders.iter().rev() {
            // One that something else has been put into stays.
            let _ = fs::remove_dir(product.home.join(folder));
        }
        Ok(())
    }

    /// Puts back the configuration, whoever changed it.
    pub(super) fn restore_configuration(&self, product: &Product) -> Result<()> {
        let saved = self.folder.join("configuration");
        if !saved.is_dir() {
            return Ok(());
        }
        for entry in WalkDir::new(&saved) {
            let entry = entry?;
            let path = entry.path().strip_prefix(&saved)?;
            let target = product.home.join(CONFIGURATION).join(path);
            if entry.file_type().is_file() && differ(entry.path(), &target) {
                copy_file(entry.path(), &target)?;
            }
        }
        Ok(())
    }
}

fn folder(product: &Product, number: u32) -> PathBuf {
    let undo = product.own_files.join("undo").join(product.pattern());
    undo.join(number.to_string())
}

fn differ(one: &Path, other: &Path) -> bool {
    fs::read(one).ok() != fs::read(other).ok()
}

/// Copies content and mode, over whatever is there.
fn copy_file(from: &Path, to: &Path) -> Result<()> {
    ensure!(!from.is_dir(), "{} is a folder", from.display());
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy to {}", to.display()))?;
    Ok(())
}

fn remove_if_there(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn remove_file_if_there(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
