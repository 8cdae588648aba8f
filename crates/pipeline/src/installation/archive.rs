//! The file of a backup: a tar, compressed with zstd, that begins with its manifest. It counts once it was read back.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use hotfix_docker::entries::{Bounded, LARGEST_HEADER};
use hotfix_docker::files;
use hotfix_docker::progress::Task;
use serde::Deserialize;
use tar::{Archive, Builder, EntryType, Header};
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use super::manifest::{Entry, Kind, Manifest, SCHEMA};
use crate::checksums::HashWriter;
use crate::migration::FOLDER as JOURNAL;
use crate::pack::{ancestors, printable};
use crate::step::Problem;
use crate::unfinished;

/// A backup begins with this name until it is whole.
const UNFINISHED: &str = ".hotfix-backup-";
/// Name of the first entry; no path of a product.
const MANIFEST: &str = "hotfix-backup.json";
/// Of zstd: its default, quicker than disks.
const COMPRESSION: i32 = 3;
/// Longer ones are no manifest: a million files take less.
const LONGEST_MANIFEST: u64 = 32 << 20;
/// Zeros at the end of a tar, which is made of blocks of 10 KiB at most.
const LONGEST_END: u64 = 64 << 10;

/// A backup that was read to its end and is whole.
#[derive(Debug, Clone)]
pub struct Backup {
    /// Its file.
    pub path: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
}

/// Writes what `manifest` lists of `home` to the file `to`, which must not be there, and reads it back; `is_still_so` has the last
/// word.
///
/// # Errors
/// Where a file was changed meanwhile, or the disk fails; then there is no file.
pub fn write(
    home: &Path,
    manifest: Manifest,
    to: &Path,
    is_still_so: impl FnOnce() -> Result<(), Problem>,
    cancel: &CancellationToken,
) -> Result<Backup, Problem> {
    let failed = |error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "give --to with a file in a folder that you may write to",
            _ => "make room, or give --to with a file on another disk",
        };
        Problem::new(format!("the backup {} cannot be written", to.display()), hint).because(error)
    };
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Key stores and databases are nobody else's business.
    let file = unfinished::file_in(folder, UNFINISHED, 0o600).map_err(failed)?;
    pack(home, &manifest, file.as_file(), cancel, failed)?;
    file.as_file().sync_all().map_err(failed)?;
    let read = Backup::open_as(file.path(), to)?;
    if read.manifest != manifest {
        return Err(failed(io::Error::other("what was read back is not what was written")));
    }
    is_still_so()?;
    keep(file, to).map_err(failed)?;
    Ok(Backup { path: to.to_owned(), manifest })
}

fn keep(file: NamedTempFile, to: &Path) -> io::Result<()> {
    file.persist_noclobber(to).map_err(|error| error.error)?;
    if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn pack(
    home: &Path,
    manifest: &Manifest,
    file: &File,
    cancel: &CancellationToken,
    failed: impl Fn(io::Error) -> Problem + Copy,
) -> Result<(), Problem> {
    let encoder = zstd::Encoder::new(file, COMPRESSION).map_err(failed)?;
    let mut tar = Builder::new(encoder);
    let text = serde_json::to_vec_pretty(manifest).map_err(|error| failed(error.into()))?;
    let mut header = Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    tar.append_data(&mut header, MANIFEST, text.as_slice()).map_err(failed)?;
    let task = Task::bytes("backing up", manifest.entries.iter().map(Entry::bytes).sum());
    for entry in &manifest.entries {
        task.add(entry.bytes());
        if cancel.is_cancelled() {
            return Err(Problem::new("the backup was stopped", "run the same command again"));
        }
        append(&mut tar, home, entry, failed)?;
    }
    tar.into_inner().and_then(zstd::Encoder::finish).and_then(|mut file| file.flush()).map_err(failed)
}

fn append(
    tar: &mut Builder<impl Write>,
    home: &Path,
    entry: &Entry,
    failed: impl Fn(io::Error) -> Problem,
) -> Result<(), Problem> {
    let mut header = Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_mtime(u64::try_from(entry.modified.as_second()).unwrap_or_default());
    header.set_uid(entry.uid.into());
    header.set_gid(entry.gid.into());
    header.set_size(entry.bytes());
    match &entry.kind {
        Kind::Directory => {
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, &entry.path, io::empty()).map_err(failed)
        }
        Kind::Link { target } => {
            header.set_entry_type(EntryType::Symlink);
            // As it is: `append_link` tidies it up.
            match header.set_link_name_literal(target) {
                Ok(()) => tar.append_data(&mut header, &entry.path, io::empty()).map_err(failed),
                Err(_) => tar.append_link(&mut header, &entry.path, target).map_err(failed),
            }
        }
        Kind::File { bytes, sha256 } => {
            let path = home.join(&entry.path);
            let file = File::open(&path).map_err(|error| changed(&path).because(error))?;
            let mut reader = Hashing::new(file.take(*bytes));
            // A file that has become shorter would put what follows in the wrong place.
            let padded = (&mut reader).chain(io::repeat(0)).take(*bytes);
            tar.append_data(&mut header, &entry.path, padded).map_err(failed)?;
            let is_same = reader.read == *bytes && hex::encode(reader.hash.finish()) == *sha256;
            if is_same { Ok(()) } else { Err(changed(&path)) }
        }
    }
}

/// What is to be said of a file that somebody writes to.
pub(super) fn changed(path: &Path) -> Problem {
    let what = format!("{} was changed while it was backed up", path.display());
    Problem::new(what, "stop whatever writes there, and run the same command again")
}

struct Hashing<R> {
    inner: R,
    hash: HashWriter,
    read: u64,
    /// Whether it could not be read on; then the failure of whoever reads is none of theirs.
    is_broken: bool,
}

impl<R> Hashing<R> {
    fn new(inner: R) -> Self {
        Self { inner, hash: HashWriter::default(), read: 0, is_broken: false }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer).inspect_err(|_| self.is_broken = true)?;
        self.hash.write_all(&buffer[..read])?;
        self.read += read as u64;
        Ok(read)
    }
}

impl Backup {
    /// The backup in the file `path`, every byte of it checked.
    ///
    /// # Errors
    /// Where it is none, or is damaged.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        Self::open_as(path, path)
    }

    fn open_as(path: &Path, shown: &Path) -> Result<Self, Problem> {
        let manifest = read(path, shown, &mut |_, _| Ok(()))?;
        Ok(Self { path: path.to_owned(), manifest })
    }

    /// Hands the entries `wanted` (by path) to `take`, in the order of the backup, files with their content. The file is checked
    /// once more: it can have been changed since.
    ///
    /// # Errors
    /// As [`Backup::open`], and as `take`.
    pub fn each(&self, mut take: impl FnMut(&Entry, &mut dyn Read) -> Result<(), Problem>) -> Result<(), Problem> {
        let manifest = read(&self.path, &self.path, &mut take)?;
        if manifest != self.manifest {
            let what = format!("the backup {} was changed while it was read", self.path.display());
            return Err(Problem::new(what, "let nobody write to it, and run the same command again"));
        }
        Ok(())
    }
}

type Take<'a> = &'a mut dyn FnMut(&Entry, &mut dyn Read) -> Result<(), Problem>;

/// Reads a backup to its end and compares it with its manifest.
fn read(path: &Path, shown: &Path, take: Take<'_>) -> Result<Manifest, Problem> {
    let hint = "give the file that 'hotfix backup' wrote, as it was written";
    let damaged = |reason: String| Problem::new(format!("{} is damaged: {reason}", shown.display()), hint);
    let broken = |error: io::Error| damaged("it cannot be unpacked".to_owned()).because(error);
    let file = files::open(path)
        .map_err(|error| Problem::new(format!("the backup {} cannot be read", shown.display()), hint).because(error))?;
    let none = || Problem::new(format!("{} is no backup", shown.display()), hint);
    let decoder = zstd::Decoder::new(BufReader::new(file)).map_err(|error| none().because(error))?;
    let left = Cell::new(LARGEST_HEADER);
    let mut archive = Archive::new(Bounded::new(BufReader::new(decoder), &left));
    let mut entries = archive.entries().map_err(|error| none().because(error))?;
    let mut first = entries.next().ok_or_else(none)?.map_err(|error| none().because(error))?;
    left.set(u64::MAX);
    if first.path_bytes().as_ref() != MANIFEST.as_bytes() {
        return Err(none());
    }
    let manifest = manifest((&mut first).take(LONGEST_MANIFEST), &damaged)?;
    io::copy(&mut first, &mut io::sink()).map_err(broken)?;
    left.set(LARGEST_HEADER);
    let mut expected = manifest.entries.iter();
    for found in entries {
        let mut found = found.map_err(broken)?;
        left.set(u64::MAX);
        let path = String::from_utf8_lossy(&found.path_bytes()).trim_end_matches('/').to_owned();
        let Some(entry) = expected.next().filter(|entry| entry.path == path) else {
            return Err(damaged(format!("{} is not where its manifest says", printable(&path))));
        };
        let wrong = |error: io::Error| damaged(printable(&entry.path)).because(error);
        check(entry, &mut found, take, wrong)?;
        io::copy(&mut found, &mut io::sink()).map_err(broken)?;
        left.set(LARGEST_HEADER);
    }
    if let Some(missing) = expected.next() {
        return Err(damaged(format!("{} is not in it", printable(&missing.path))));
    }
    // A tar ends with zeros; what comes after them is nobody's.
    let mut rest = Vec::new();
    archive.into_inner().take(LONGEST_END).read_to_end(&mut rest).map_err(broken)?;
    match rest.iter().all(|byte| *byte == 0) && (rest.len() as u64) < LONGEST_END {
        true => Ok(manifest),
        false => Err(damaged("there is something behind its end".to_owned())),
    }
}

/// Of a form that this version knows, and with nothing in it that leads out of the folders that were taken.
fn manifest(from: impl Read, damaged: &impl Fn(String) -> Problem) -> Result<Manifest, Problem> {
    let mut text = Vec::new();
    let unreadable = |error: anyhow::Error| damaged("its manifest".to_owned()).because(error);
    BufReader::new(from).read_to_end(&mut text).map_err(|error| unreadable(error.into()))?;
    let Form { schema } = serde_json::from_slice(&text).map_err(|error| unreadable(error.into()))?;
    if schema > SCHEMA {
        return Err(damaged("it was made by a newer hotfix".to_owned()).with_hint("use that one"));
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| unreadable(error.into()))?;
    let taken: Vec<&str> =
        manifest.folders.iter().filter(|folder| folder.taken).map(|folder| folder.folder.as_str()).collect();
    let mut seen = BTreeMap::new();
    for Entry { path, kind, .. } in &manifest.entries {
        let wrong = |what: &str| Err(damaged(format!("{} {what}", printable(path))));
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return wrong("leads out of the product");
        }
        if !taken.iter().any(|folder| Path::new(path).starts_with(folder)) || Path::new(path).starts_with(JOURNAL) {
            return wrong("is in no folder that was backed up");
        }
        // What is behind a link can be anywhere.
        if ancestors(path).filter_map(|folder| seen.get(folder)).any(|kind: &&Kind| **kind != Kind::Directory) {
            return wrong("is below what is no folder");
        }
        if seen.insert(path.as_str(), kind).is_some() {
            return wrong("is in it twice");
        }
    }
    Ok(manifest)
}

/// What every form of a manifest has.
#[derive(Deserialize)]
struct Form {
    schema: u32,
}

/// Whether what was found is what the manifest says.
fn check(
    entry: &Entry,
    found: &mut tar::Entry<'_, impl Read>,
    take: Take<'_>,
    damaged: impl Fn(io::Error) -> Problem,
) -> Result<(), Problem> {
    let wrong = |what: &str| damaged(io::Error::new(io::ErrorKind::InvalidData, what.to_owned()));
    match (&entry.kind, found.header().entry_type()) {
        (Kind::Directory, EntryType::Directory) => take(entry, &mut io::empty()),
        (Kind::Link { target }, EntryType::Symlink) => match found.link_name_bytes() {
            Some(name) if name.as_ref() == target.as_bytes() => take(entry, &mut io::empty()),
            _ => Err(wrong("it leads elsewhere than its manifest says")),
        },
        (Kind::File { bytes, sha256 }, EntryType::Regular) => {
            let mut reader = Hashing::new(found);
            if let Err(problem) = take(entry, &mut reader) {
                return Err(if reader.is_broken { wrong("it cannot be unpacked") } else { problem });
            }
            // Whoever does not want it has not read it.
            io::copy(&mut reader, &mut io::sink()).map_err(&damaged)?;
            if reader.read != *bytes || hex::encode(reader.hash.finish()) != *sha256 {
                return Err(wrong("its content is not what its manifest says"));
            }
            Ok(())
        }
        _ => Err(wrong("it is not what its manifest says")),
    }
}
