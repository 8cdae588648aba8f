//! The product's folder that the update tool works on: a folder of its own, or one that is laid over a pristine copy and
//! costs only what is changed.

mod copy;
#[cfg(target_os = "linux")]
mod mount;
mod overlay;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::checksums::{Sha256Digest, digest_of_file};
use crate::pack::CONFIG_JSON;
use crate::scrub::read_records;
use crate::tree::{self, Tree};

pub(crate) use copy::{Means, copy_bytes, copy_tree};
pub use overlay::Overlay;

use crate::host::UPDATE_TOOLS;
use crate::tree::BIN;
use crate::update_tool::SETUP_SCRIPT;

/// Packs often lack the run bit on what has to be run, and in a pristine product nothing can be set right later.
///
/// # Errors
/// Where it cannot be set.
pub(crate) fn make_tools_runnable(home: &Path) -> io::Result<()> {
    let bin = home.join(BIN);
    let programs = UPDATE_TOOLS.into_iter().chain([SETUP_SCRIPT]).map(|name| bin.join(name));
    let is_file = |path: &PathBuf| path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    programs.filter(is_file).try_for_each(|program| set_run_bit(&program))
}

/// Lets everybody run `program`.
///
/// # Errors
/// Where it is not there, no file, or somebody else's.
pub(crate) fn set_run_bit(program: &Path) -> io::Result<()> {
    let metadata = program.symlink_metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mode = metadata.permissions().mode();
    if mode & 0o111 == 0o111 {
        return Ok(());
    }
    fs::set_permissions(program, fs::Permissions::from_mode(mode | 0o755))
}

/// The unpacked product, as the update tool sees it.
#[derive(Debug)]
pub enum ProductHome {
    /// A folder.
    Folder(PathBuf),
    /// A folder for the tool alone: what it sees is in two folders for us.
    Overlay(Overlay),
}

impl ProductHome {
    /// Where the update tool sees it. Only what it runs itself may look there.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) => path,
            Self::Overlay(overlay) => overlay.mount_point(),
        }
    }

    /// The file or link that the tool sees at `path` (from the product's folder), as it is to be found by us.
    ///
    /// # Errors
    /// `NotFound` where there is none; where it cannot be looked for.
    pub fn locate(&self, path: &str) -> io::Result<PathBuf> {
        match self {
            Self::Folder(home) => Ok(home.join(path)),
            Self::Overlay(overlay) => overlay.locate(path),
        }
    }

    /// Whether the tool sees something at `path`.
    pub fn has(&self, path: &str) -> bool {
        self.locate(path).is_ok_and(|path| path.symlink_metadata().is_ok())
    }

    /// The update tool's records, `config.json`.
    ///
    /// # Errors
    /// `NotFound` where there are none; as [`read_records`].
    pub fn records(&self) -> io::Result<Vec<u8>> {
        read_records(&self.locate(CONFIG_JSON)?)
    }

    /// SHA-256 of the file at `path`.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(crate) fn digest(&self, path: &str) -> io::Result<Sha256Digest> {
        digest_of_file(&self.locate(path)?)
    }

    /// Looks at everything but what is the update tool's own.
    ///
    /// # Errors
    /// Where a folder cannot be read, or a name is not UTF-8.
    pub fn scan(&self) -> io::Result<Tree> {
        match self {
            Self::Folder(home) => tree::scan(home),
            Self::Overlay(overlay) => overlay.scan(),
        }
    }

    /// Sees to it that `command` works in the product's folder `inner`, and can see the product.
    pub(crate) fn enter(&self, command: &mut Command, inner: &str) {
        match self {
            Self::Folder(home) => drop(command.current_dir(home.join(inner))),
            Self::Overlay(overlay) => overlay.enter(command, inner),
        }
    }
}
