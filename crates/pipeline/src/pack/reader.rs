//! One zip for many readers at once: each has a place of its own in the file, all share the directory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use zip::ZipReadOptions;
use zip::read::ZipArchiveMetadata;

/// The entries of a zip, to be read from any number of threads.
#[derive(Debug, Clone)]
pub(super) struct Entries {
    file: Arc<File>,
    directory: Arc<ZipArchiveMetadata>,
}

impl Entries {
    pub(super) fn new(file: Arc<File>, directory: Arc<ZipArchiveMetadata>) -> Self {
        Self { file, directory }
    }

    /// The zip itself.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Writes the content of entry `index` to `out`; its length and checksum are verified.
    pub(super) fn copy(&self, index: usize, out: &mut dyn Write) -> io::Result<()> {
        let mut place = Place::new(Arc::clone(&self.file));
        let mut entry = self.directory.entry(index)?.with_reader(&mut place, ZipReadOptions::new())?;
        let declared = entry.size();
        let copied = io::copy(&mut (&mut entry).take(declared.saturating_add(1)), out)?;
        if copied != declared {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it unpacks to {copied} bytes or more where the directory says {declared}"),
            ));
        }
        Ok(())
    }
}

/// A place in a file that others read too.
#[derive(Debug)]
pub(crate) struct Place {
    file: Arc<File>,
    at: u64,
}

impl Place {
    pub(super) fn new(file: Arc<File>) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for Place {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Place {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(by) => (self.file.metadata()?.len(), by),
        };
        self.at = from.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
