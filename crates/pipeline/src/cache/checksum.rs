//! The SHA-256 of a pack, computed once: as long as the file is the same to the kernel, so is its content.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::debug;

use super::{Cache, FORMAT, read_record, write_record};
use crate::checksums::digest_of_file;

/// A file changed in the same tick of the clock in which it was looked at would look the same afterwards.
const SETTLED_SECONDS: i64 = 2;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    format: u32,
    /// Device, inode, length, time of the content, time of the inode: no program can set the last one.
    state: [i64; 7],
    sha256: String,
}

/// SHA-256 of the pack at `path`, in hexadecimal digits.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn pack_sha256(cache: Option<&Cache>, path: &Path) -> io::Result<String> {
    let compute = || digest_of_file(path).map(hex::encode);
    let Some(cache) = cache else { return compute() };
    let path = path.canonicalize()?;
    let name = hex::encode(Sha256::digest(path.as_os_str().as_bytes()));
    let file = cache.folder.join("checksums").join(&name[..32]);
    let before = state(&fs::metadata(&path)?);
    match read_record::<Record>(&file) {
        Some(record) if record.format == FORMAT && record.state == before => return Ok(record.sha256),
        _ => {}
    }
    let sha256 = compute()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs().cast_signed());
    let is_settled = before[5] + SETTLED_SECONDS < now;
    if is_settled && state(&fs::metadata(&path)?) == before {
        let record = Record { format: FORMAT, state: before, sha256: sha256.clone() };
        if let Err(error) = write_record(&file, &record) {
            debug!(%error, "the pack's checksum is not kept");
        }
    }
    Ok(sha256)
}

fn state(metadata: &Metadata) -> [i64; 7] {
    [
        metadata.dev().cast_signed(),
        metadata.ino().cast_signed(),
        metadata.size().cast_signed(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_changed_pack_has_another_checksum_even_with_its_old_times() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(&folder.path().join("cache"), 0).expect("it can be made");
        let pack = folder.path().join("a.zip");
        fs::write(&pack, "one").expect("writable");
        let time = fs::metadata(&pack).and_then(|metadata| metadata.modified()).expect("a time");
        let first = pack_sha256(Some(&cache), &pack).expect("readable");
        assert_eq!(first, pack_sha256(None, &pack).expect("readable"));
        // Not yet settled, so not kept; later it is.
        std::thread::sleep(Duration::from_millis(3100));
        for _ in 0..2 {
            assert_eq!(pack_sha256(Some(&cache), &pack).expect("readable"), first);
        }
        assert_eq!(fs::read_dir(folder.path().join("cache/checksums")).expect("there").count(), 1);
        fs::write(&pack, "two").expect("writable");
        fs::File::options().append(true).open(&pack).and_then(|file| file.set_modified(time)).expect("can be set");
        let second = pack_sha256(Some(&cache), &pack).expect("readable");
        assert_eq!(second, pack_sha256(None, &pack).expect("readable"));
        assert_ne!(first, second);
    }
}
