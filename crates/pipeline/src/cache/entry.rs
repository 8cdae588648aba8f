//! One unpacked pack. It is complete or absent, and whoever uses it knows that nobody has touched it since.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::lock::{ALONE, SHARED, note_use, wait_for};
use super::{Cache, FORMAT, read_record, write_record};
use crate::home::make_tools_runnable;
use crate::inputs::hint_for;
use crate::pack::ProductPack;
use crate::step::Problem;
use crate::tree::{Tree, scan_all, state_of};
use crate::workspace;

const RECORD: &str = "entry.json";
const PRODUCT: &str = "product";

/// What an entry holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    format: u32,
    /// `wso2am 4.1.0.10`.
    pub(super) product: String,
    /// Length of the unpacked files in bytes.
    pub(super) bytes: u64,
    pub(super) files: usize,
    /// Of the state of every file, folder and link.
    state: String,
}

/// A pack in the cache, kept there for as long as this is.
#[derive(Debug)]
pub struct Entry {
    product: PathBuf,
    /// What is in it.
    pub(crate) tree: Tree,
    /// Whether it was there before.
    pub is_old: bool,
    _lock: File,
}

impl Entry {
    /// The product's folder. Nothing may ever be changed in it.
    pub fn product(&self) -> &Path {
        &self.product
    }

    /// Whether everything in it is as it was when its use began.
    ///
    /// # Errors
    /// Where something is not.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        match scan_all(&self.product) {
            Ok(tree) if tree == self.tree => Ok(()),
            changed => {
                let what =
                    format!("the cached pack {} was changed by somebody while it was used", self.product.display());
                let problem = Problem::new(what, "run the same command again; the pack is unpacked anew");
                Err(match changed {
                    Ok(_) => problem,
                    Err(error) => problem.because(error),
                })
            }
        }
    }
}

impl Cache {
    /// The unpacked `pack`, whose SHA-256 is `sha256`: the one that is there, or a new one. A damaged one is replaced.
    ///
    /// # Errors
    /// As [`ProductPack::extract`]; where the cache cannot be written to.
    pub fn unpacked(&self, pack: &ProductPack, sha256: &str, cancel: &CancellationToken) -> Result<Entry, Problem> {
        let failed = |error: io::Error| {
            let hint = hint_for(&error, &self.folder, "check the cache's disk and permissions, or give --no-cache");
            Problem::new(format!("the cache {} cannot be used", self.folder.display()), hint).because(error)
        };
        let stopped = || Problem::new("unpacking was stopped", "run the same command again");
        let mut is_ours = false;
        loop {
            let lock = self.lock_of(sha256).map_err(failed)?;
            if !wait_for(&lock, SHARED, cancel).map_err(failed)? {
                return Err(stopped());
            }
            if let Some(tree) = self.sound(sha256).map_err(failed)? {
                note_use(&lock).map_err(failed)?;
                debug!("the pack is in the cache");
                return Ok(Entry { product: self.entry(sha256).join(PRODUCT), tree, is_old: !is_ours, _lock: lock });
            }
            lock.unlock().map_err(failed)?;
            if !wait_for(&lock, ALONE, cancel).map_err(failed)? {
                return Err(stopped());
            }
            // Whoever had the lock may have made it meanwhile.
            if self.sound(sha256).map_err(failed)?.is_some() {
                lock.unlock().map_err(failed)?;
                continue;
            }
            if self.has(sha256) {
                warn!("the cached pack {} was changed by somebody, and is made anew", self.entry(sha256).display());
            }
            self.clear(sha256).map_err(failed)?;
            self.make_room(sha256, pack.unpacked_bytes());
            self.make(pack, sha256, cancel)?;
            // From one kind of lock to the other is not a single step: another may come between and remove it.
            lock.unlock().map_err(failed)?;
            is_ours = true;
        }
    }

    pub(super) fn entry(&self, key: &str) -> PathBuf {
        self.packs().join(key)
    }

    pub(super) fn record(&self, key: &str) -> Option<Record> {
        read_record::<Record>(&self.entry(key).join(RECORD)).filter(|record| record.format == FORMAT)
    }

    /// Whether there is an entry, sound or not.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entry(key).exists()
    }

    /// What is in the entry, where it is there and every file in it is as it was when it was made.
    fn sound(&self, key: &str) -> io::Result<Option<Tree>> {
        let Some(Record { state, .. }) = self.record(key) else { return Ok(None) };
        match scan_all(&self.entry(key).join(PRODUCT)) {
            Ok(tree) if state == state_of(&tree) => Ok(Some(tree)),
            // Another user's: nothing is wrong with it, but it is not for us.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            _ => Ok(None),
        }
    }

    /// Removes the entry, what runs that were killed have left of it, and what is known of its layers. The caller has its
    /// lock.
    pub(super) fn clear(&self, key: &str) -> io::Result<()> {
        self.forget_layers(key)?;
        let unfinished = unfinished(key);
        let names = fs::read_dir(self.packs())?.map(|found| Ok(found?.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<io::Result<Vec<String>>>()?;
        names.retain(|name| name == key || name.starts_with(&unfinished));
        // The unfinished ones first, by their dot: the entry takes one of their names on its way out.
        names.sort();
        names.iter().try_for_each(|name| self.remove(name))
    }

    /// An entry is gone in one step; its files follow.
    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.packs().join(name);
        if !path.symlink_metadata()?.is_dir() {
            return fs::remove_file(path);
        }
        if name.starts_with('.') {
            return workspace::remove(&path);
        }
        let gone = self.packs().join(unfinished(name) + "gone");
        fs::rename(self.entry(name), &gone)?;
        workspace::remove(&gone)
    }

    fn make(&self, pack: &ProductPack, key: &str, cancel: &CancellationToken) -> Result<(), Problem> {
        info!("unpacking {} into the cache {}", pack.path.display(), self.folder.display());
        let failed = |error: io::Error| {
            let hint = hint_for(&error, &self.folder, "give --cache-dir with another folder, or --no-cache");
            Problem::new(format!("the pack cannot be kept in the cache {}", self.folder.display()), hint).because(error)
        };
        let making = tempfile::Builder::new().prefix(&unfinished(key)).tempdir_in(self.packs()).map_err(failed)?;
        let product = making.path().join(PRODUCT);
        let made = pack.extract(&product, cancel).and_then(|()| pack.check_is(key)).and_then(|()| {
            make_tools_runnable(&product)
                .and_then(|()| write_record(&making.path().join(RECORD), &record(pack, &product)?))
                .and_then(|()| fs::rename(making.path(), self.entry(key)))
                .map_err(failed)
        });
        let path = making.keep();
        if made.is_err()
            && let Err(error) = workspace::remove(&path)
        {
            warn!("{} could not be removed: {error}", path.display());
        }
        made
    }
}

fn unfinished(key: &str) -> String {
    format!(".making-{key}-")
}

fn record(pack: &ProductPack, product: &Path) -> io::Result<Record> {
    Ok(Record {
        format: FORMAT,
        product: format!("{} {}", pack.product.name, pack.product.full_version()),
        bytes: pack.unpacked_bytes(),
        files: pack.files(),
        state: state_of(&scan_all(product)?),
    })
}
