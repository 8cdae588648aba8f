//! The SHA-256 of a file, computed once: as long as the file is the same to the kernel, so is its content.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hotfix_docker::progress::Task;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::debug;

use super::{Cache, FORMAT, is_key, read_keyed, write_keyed};

/// A file changed in the same tick of the clock in which it was looked at would look the same afterwards.
const SETTLED_SECONDS: i64 = 2;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    format: u32,
    state: FileState,
    sha256: String,
}

/// SHA-256 of the open `file`, which was found at `path`, in hexadecimal digits.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn sha256_of(cache: Option<&Cache>, file: &File, path: &Path) -> io::Result<String> {
    let name = path.file_name().unwrap_or_default().display();
    let compute = || digest_of_open(file, &format!("reading {name}")).map(hex::encode);
    let Some(cache) = cache else { return compute() };
    let name = hex::encode(Sha256::digest(path.canonicalize()?.as_os_str().as_bytes()));
    let remembered = cache.folder.join("checksums").join(&name[..32]);
    let before = FileState::of(&file.metadata()?);
    let is_of_it = |record: &Record| record.format == FORMAT && record.state == before && is_key(&record.sha256);
    if let Some(record) = read_keyed::<Record>(&remembered).filter(is_of_it) {
        return Ok(record.sha256);
    }
    let sha256 = compute()?;
    if before.is_settled() && before.is_of(file)? {
        let record = Record { format: FORMAT, state: before, sha256: sha256.clone() };
        if let Err(error) = write_keyed(&remembered, &record) {
            debug!(%error, "the checksum is not kept");
        }
    }
    Ok(sha256)
}

/// As [`sha256_of`], of the file at `path`.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn file_sha256(cache: Option<&Cache>, path: &Path) -> io::Result<String> {
    sha256_of(cache, &File::open(path)?, path)
}

/// Of the whole file, wherever it was read to.
fn digest_of_open(file: &File, what: &str) -> io::Result<[u8; 32]> {
    let task = Task::bytes(what, file.metadata()?.len());
    let (mut hash, mut piece, mut at) = (Sha256::new(), vec![0; 1 << 17], 0);
    loop {
        match file.read_at(&mut piece, at)? {
            0 => return Ok(hash.finalize().into()),
            read => {
                hash.update(&piece[..read]);
                task.add(read as u64);
                at += read as u64;
            }
        }
    }
}

/// The state of a file: as long as it is the same, so is the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct FileState(
    /// Device, inode, length, time of the content, time of the inode: no program can set the last one.
    [i64; 7],
);

impl FileState {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self([
            metadata.dev().cast_signed(),
            metadata.ino().cast_signed(),
            metadata.size().cast_signed(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ])
    }

    /// Whether `file` is still in it.
    ///
    /// # Errors
    /// Where it cannot be looked at.
    pub(crate) fn is_of(&self, file: &File) -> io::Result<bool> {
        Ok(Self::of(&file.metadata()?) == *self)
    }

    /// Whether a later change would be seen.
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs().cast_signed());
        self.0[5] + SETTLED_SECONDS < now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

    #[test]
    fn a_changed_pack_has_another_checksum_even_with_its_old_times() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(&folder.path().join("cache"), 0).expect("it can be made");
        let pack = folder.path().join("a.zip");
        fs::write(&pack, "one").expect("writable");
        let time = fs::metadata(&pack).and_then(|metadata| metadata.modified()).expect("a time");
        let first = file_sha256(Some(&cache), &pack).expect("readable");
        assert_eq!(first, file_sha256(None, &pack).expect("readable"));
        // Not yet settled, so not kept; later it is.
        std::thread::sleep(Duration::from_millis(3100));
        for _ in 0..2 {
            assert_eq!(file_sha256(Some(&cache), &pack).expect("readable"), first);
        }
        assert_eq!(fs::read_dir(folder.path().join("cache/checksums")).expect("there").count(), 1);
        fs::write(&pack, "two").expect("writable");
        File::options().append(true).open(&pack).and_then(|file| file.set_modified(time)).expect("can be set");
        let second = file_sha256(Some(&cache), &pack).expect("readable");
        assert_eq!(second, file_sha256(None, &pack).expect("readable"));
        assert_ne!(first, second);
    }

    #[test]
    fn a_file_that_lost_its_name_to_another_is_still_the_one_that_was_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(&folder.path().join("cache"), 0).expect("it can be made");
        let (pack, other) = (folder.path().join("a.zip"), folder.path().join("b.zip"));
        fs::write(&pack, "one").expect("writable");
        fs::write(&other, "two").expect("writable");
        let (first, second) =
            (file_sha256(None, &pack).expect("readable"), file_sha256(None, &other).expect("readable"));
        let file = File::open(&pack).expect("there");
        fs::rename(&other, &pack).expect("renamed");
        std::thread::sleep(Duration::from_millis(3100));
        for _ in 0..2 {
            assert_eq!(sha256_of(Some(&cache), &file, &pack).expect("readable"), first);
            assert_eq!(file_sha256(Some(&cache), &pack).expect("readable"), second);
        }
    }
}
