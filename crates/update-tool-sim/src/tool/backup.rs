//! The copy of the whole product that the vendor's tool keeps in the user's home.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use walkdir::WalkDir;

use super::product::Product;

impl Product {
    /// Where backups of all products are.
    pub(super) fn backup_dir(&self) -> PathBuf {
        self.own_files.join("backup")
    }

    /// Where the backup of this product is.
    pub(super) fn backup(&self) -> PathBuf {
        self.backup_dir().join(self.pattern())
    }
}

/// Replaces the backup of the product by a new one; returns its size in bytes.
pub(super) fn take(product: &Product) -> Result<u64> {
    take_into(product, &product.backup())
}

/// The same, elsewhere.
pub(super) fn take_into(product: &Product, backup: &Path) -> Result<u64> {
    if backup.exists() {
        fs::remove_dir_all(backup).context("cannot remove the older backup")?;
    }
    copy_tree(&product.home, backup).context("cannot back up the product")
}

/// Copies a folder with modes and links, without pipes and the like; returns the bytes copied.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in WalkDir::new(from) {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target)?;
        } else if entry.file_type().is_symlink() {
            symlink(fs::read_link(entry.path())?, &target)?;
        } else if entry.file_type().is_file() {
            bytes += fs::copy(entry.path(), &target)?;
        }
    }
    Ok(bytes)
}
