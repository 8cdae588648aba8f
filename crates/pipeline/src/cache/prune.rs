//! What is in the cache, and how it gets smaller. What a run uses stays.

use std::fs;
use std::io;
use std::time::SystemTime;

use serde::Serialize;
use tracing::{debug, info};

use super::{Cache, is_key};

/// An unpacked pack, as a list shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// SHA-256 of the pack.
    pub sha256: String,
    /// `wso2am 4.1.0.10`; none for one that cannot be read, and for what a run that was killed has left.
    pub product: Option<String>,
    /// Length of its files in bytes.
    pub bytes: u64,
    /// How many there are.
    pub files: usize,
    /// When a run used it last.
    pub last_used: Option<jiff::Timestamp>,
    /// Whether a run uses it now.
    pub in_use: bool,
}

/// What was removed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Pruned {
    /// The packs.
    pub removed: Vec<Listed>,
    /// Their bytes.
    pub bytes: u64,
    /// Packs that a run uses, which stay.
    pub in_use: usize,
}

impl Cache {
    /// All unpacked packs, those used last first.
    ///
    /// # Errors
    /// Where the cache cannot be read.
    pub fn list(&self) -> io::Result<Vec<Listed>> {
        let mut keys: Vec<String> = Vec::new();
        for found in fs::read_dir(self.packs())? {
            let name = found?.file_name().to_string_lossy().into_owned();
            let key = name.strip_prefix(".making-").and_then(|rest| rest.split('-').next()).unwrap_or(&name);
            // Whatever else is there, is somebody else's.
            if is_key(key) {
                keys.push(key.to_owned());
            }
        }
        keys.sort();
        keys.dedup();
        let mut listed: Vec<Listed> = keys.into_iter().map(|key| self.listed(key)).collect();
        listed.sort_by(|a, b| b.last_used.cmp(&a.last_used).then_with(|| a.sha256.cmp(&b.sha256)));
        Ok(listed)
    }

    fn listed(&self, sha256: String) -> Listed {
        let record = self.record(&sha256);
        let modified = fs::metadata(self.lock_file(&sha256)).and_then(|metadata| metadata.modified());
        Listed {
            product: record.as_ref().map(|record| record.product.clone()),
            bytes: record.as_ref().map_or(0, |record| record.bytes),
            files: record.as_ref().map_or(0, |record| record.files),
            last_used: modified.ok().and_then(|time: SystemTime| time.try_into().ok()),
            in_use: self.lock_of(&sha256).is_ok_and(|lock| lock.try_lock().is_err()),
            sha256,
        }
    }

    /// Removes packs, those not used for longest first, until the others take at most `limit` bytes; and what runs that
    /// were killed have left.
    ///
    /// # Errors
    /// Where something cannot be removed.
    pub fn prune(&self, limit: u64) -> io::Result<Pruned> {
        self.shrink(limit, None)
    }

    /// Before a new entry of `bytes`: what was not used for longest goes, so that the limit will hold, as far as it can.
    pub(super) fn make_room(&self, newest: &str, bytes: u64) {
        match self.shrink(self.limit.saturating_sub(bytes), Some(newest)) {
            Ok(pruned) if !pruned.removed.is_empty() => info!(
                "{} packs not used for longest left the cache, to keep it below --cache-size",
                pruned.removed.len()
            ),
            Ok(_) => {}
            Err(error) => debug!(%error, "the cache cannot be made smaller"),
        }
    }

    fn shrink(&self, limit: u64, keep: Option<&str>) -> io::Result<Pruned> {
        let listed = self.list()?;
        let mut total = listed.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.bytes));
        let mut pruned = Pruned::default();
        for entry in listed.into_iter().rev().filter(|entry| keep != Some(entry.sha256.as_str())) {
            let is_whole = entry.product.is_some();
            if is_whole && total <= limit {
                continue;
            }
            let lock = self.lock_of(&entry.sha256)?;
            if lock.try_lock().is_err() {
                pruned.in_use += 1;
                continue;
            }
            self.clear(&entry.sha256)?;
            total = total.saturating_sub(entry.bytes);
            pruned.bytes = pruned.bytes.saturating_add(entry.bytes);
            if is_whole {
                pruned.removed.push(entry);
            }
        }
        Ok(pruned)
    }
}
