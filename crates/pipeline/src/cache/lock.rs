//! Who uses an entry of the cache. Locks are the kernel's, so they end with the process however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Cache;

const PAUSE: Duration = Duration::from_millis(50);

impl Cache {
    pub(super) fn lock_file(&self, key: &str) -> PathBuf {
        self.folder.join("locks").join(key)
    }

    /// The lock of an entry, not yet taken.
    pub(super) fn lock_of(&self, key: &str) -> io::Result<File> {
        OpenOptions::new().create(true).truncate(false).write(true).read(true).open(self.lock_file(key))
    }
}

/// How a lock is taken: with others, or for ourselves alone.
type Take = fn(&File) -> Result<(), TryLockError>;
pub(super) const SHARED: Take = File::try_lock_shared;
pub(super) const ALONE: Take = File::try_lock;

/// Takes `lock`, however long others have it; `false` where `cancel` came first.
pub(super) fn wait_for(lock: &File, take: Take, cancel: &CancellationToken) -> io::Result<bool> {
    let mut is_told = false;
    loop {
        match take(lock) {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if cancel.is_cancelled() => return Ok(false),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut is_told, true) {
                    info!("another run is unpacking this pack into the cache, waiting for it");
                }
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// Takes note that the entry of `lock` is used now.
pub(super) fn note_use(lock: &File) -> io::Result<()> {
    lock.set_modified(SystemTime::now())
}
