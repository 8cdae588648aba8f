//! What need not be done again: packs unpacked, their checksums, and what is known of their layers. A run without it
//! takes longer and gives the same.
//!
//! ```text
//! packs/<sha256>/product/      the product as it is in the pack, complete: it gets its name when all of it is there
//! packs/<sha256>/entry.json    what it is, and the state of every file
//! packs/.making-<sha256>-…/    one that is being made, or was when its run was killed
//! locks/<sha256>               locked by runs that use the entry; its time is that of the last use
//! checksums/…                  SHA-256 of a pack, by path, size, times and inode
//! layers/…                     digests of a product's layer, by pack and place
//! looks/…                      what an image has at a few paths, by the image's digest
//! ```

mod checksum;
mod entry;
mod layers;
mod lock;
mod looks;
mod prune;
mod trust;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use hotfix_docker::files;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::warn;

pub(crate) use checksum::{FileState, file_sha256, sha256_of};
pub use entry::Entry;
pub(crate) use layers::LayerKey;
pub(crate) use looks::{answer, find, look};
pub use prune::{Listed, Pruned};
pub(crate) use trust::warn_of_others;

use crate::inputs::{free_disk, hint_for};
use crate::request::CacheRequest;
use crate::step::Problem;
use crate::unfinished;

/// Says to backup programs that everything here can be made again. <https://bford.info/cachedir/>
const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n# Unpacked product packs, made by hotfix.\n";
const TAG_FILE: &str = "CACHEDIR.TAG";
/// A record begins with this name until it is whole.
const UNFINISHED: &str = ".hotfix-record-";
/// Its folders.
const PARTS: [&str; 5] = ["packs", "locks", "checksums", "layers", "looks"];
/// Of `entry.json` and the like; others are made anew.
const FORMAT: u32 = 1;
/// Blocks that are not full, folders, and what others write meanwhile.
const DISK_RESERVE: u64 = 100_000_000;

/// The folder of the cache.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    /// Bytes that unpacked packs may take; those not used for longest go first.
    limit: u64,
    /// Whether the user named it: then it must work.
    pub(crate) is_wanted: bool,
}

/// Where the cache is unless the user says otherwise: `$XDG_CACHE_HOME/hotfix`, else `~/.cache/hotfix`. None where
/// neither is known.
pub fn default_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("hotfix"))
}

impl Cache {
    /// The cache in `folder`, made where there is none. It holds up to `limit` bytes.
    ///
    /// # Errors
    /// Where it cannot be made or written to.
    pub fn open(folder: &Path, limit: u64) -> Result<Self, Problem> {
        let failed = |error: io::Error| {
            let hint = hint_for(&error, folder, "give --cache-dir with a folder that can be written to, or --no-cache");
            Problem::new(format!("the cache {} cannot be used", folder.display()), hint).because(error)
        };
        make_folder(folder).map_err(failed)?;
        mark(folder).map_err(failed)?;
        let parts = PARTS.map(|part| folder.join(part));
        for part in &parts {
            make_folder(part).map_err(failed)?;
        }
        warn_of_others([folder].into_iter().chain(parts.iter().map(PathBuf::as_path)));
        // Paths of it are given to programs that run elsewhere.
        let folder = folder.canonicalize().map_err(failed)?;
        tempfile::tempfile_in(folder.join("packs")).map_err(failed)?;
        Ok(Self { folder, limit, is_wanted: false })
    }

    /// The cache that a run asks for. One that was not named and cannot be used is done without.
    ///
    /// # Errors
    /// Where one that was named cannot be used.
    pub(crate) fn for_request(request: Option<&CacheRequest>) -> Result<Option<Self>, Problem> {
        let Some(request) = request else { return Ok(None) };
        match Self::open(&request.folder, request.limit) {
            Ok(cache) => Ok(Some(Self { is_wanted: request.is_wanted, ..cache })),
            Err(problem) if request.is_wanted => Err(problem),
            Err(problem) => {
                warn!("nothing is kept for later runs: {}", problem.chain().join(": "));
                Ok(None)
            }
        }
    }

    /// Whether an unpacked pack of `bytes` can be kept: by `--cache-size`, and by the disk. Says so where it cannot.
    pub(crate) fn has_room_for(&self, bytes: u64) -> bool {
        if bytes > self.limit {
            warn!("the unpacked pack is not kept for later runs: it takes more than --cache-size");
            return false;
        }
        let free = free_disk(&self.folder).unwrap_or(u64::MAX);
        if free < bytes + DISK_RESERVE {
            let (free, needed) = (ByteSize(free), ByteSize(bytes + DISK_RESERVE));
            let place = self.folder.display();
            warn!("the unpacked pack is not kept for later runs: {place} has {free} free, and {needed} are needed");
            return false;
        }
        true
    }

    /// The cache in `folder` as it is, to be looked at; none where there is nothing.
    ///
    /// # Errors
    /// Where there is something else.
    pub fn existing(folder: &Path) -> io::Result<Option<Self>> {
        if is_empty(folder)? {
            return Ok(None);
        }
        check_mark(folder)?;
        Ok(Some(Self { folder: folder.to_owned(), limit: 0, is_wanted: true }))
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn packs(&self) -> PathBuf {
        self.folder.join("packs")
    }
}

/// Makes an empty folder a cache. One that holds other things is none: what is in a cache is removed one day.
fn mark(folder: &Path) -> io::Result<()> {
    if !is_empty(folder)? {
        return check_mark(folder);
    }
    match File::create_new(folder.join(TAG_FILE)) {
        // Another run was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        file => file?.write_all(TAG),
    }
}

fn check_mark(folder: &Path) -> io::Result<()> {
    match files::read(&folder.join(TAG_FILE), files::SMALL) {
        // The other run is about to write it.
        Ok(tag) if tag == TAG || tag.is_empty() => Ok(()),
        Ok(_) => Err(io::Error::other("it is the cache of another program")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(io::Error::other("it holds other things, and is no cache of hotfix's"))
        }
        Err(error) => Err(error),
    }
}

/// Whether there is nothing in it, or no such folder.
fn is_empty(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        entries => Ok(entries?.next().transpose()?.is_none()),
    }
}

/// A SHA-256 in hexadecimal digits: the name of an entry. Others are none of ours.
fn is_key(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// As large as what packs say of their files may be.
const LARGEST_RECORD: u64 = 1 << 28;

/// The record in `file`; none where there is none, or one that is not understood.
fn read_record<T: DeserializeOwned>(file: &Path) -> Option<T> {
    serde_json::from_slice(&files::read(file, LARGEST_RECORD).ok()?).ok()
}

fn write_record(file: &Path, record: &impl Serialize) -> io::Result<()> {
    write_whole(file, &serde_json::to_vec(record)?)
}

/// A record with what it is of, which its file is called by: under another name it is none.
#[derive(Serialize, Deserialize)]
struct Keyed<T> {
    of: String,
    record: T,
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// As [`read_record`], of one by [`write_keyed`].
fn read_keyed<T: DeserializeOwned>(file: &Path) -> Option<T> {
    read_record::<Keyed<T>>(file).filter(|keyed| keyed.of == name_of(file)).map(|keyed| keyed.record)
}

fn write_keyed(file: &Path, record: &impl Serialize) -> io::Result<()> {
    write_record(file, &Keyed { of: name_of(file), record })
}

/// Wholly or not at all.
fn write_whole(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = unfinished::file_in(file.parent().unwrap_or(Path::new(".")), UNFINISHED, 0o600)?;
    new.write_all(bytes)?;
    new.persist(file)?;
    Ok(())
}
