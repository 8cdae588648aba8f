//! Writes a zip from a list of entries: directory entries before their contents, as zip tools write them, one
//! fixed time for all, and contents that need not be in memory.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use zip::write::SimpleFileOptions;
use zip::{DateTime, System, ZipWriter};

use crate::filler;

/// Entries by path.
pub(crate) type Entries = BTreeMap<String, Entry>;

/// An entry of an archive.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    File {
        content: Content,
        mode: u32,
    },
    Symlink {
        target: String,
    },
    /// A directory with nothing in it; others need no entry of their own.
    EmptyDir,
}

/// What is in a file.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    /// That many bytes of [`filler`], for the path they were made for.
    Filler {
        path: String,
        size: u64,
    },
}

impl Entry {
    pub(crate) fn file(bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self::File { content: Content::Bytes(bytes.into()), mode }
    }

    /// Scripts get the run bit, everything else does not.
    pub(crate) fn filler(path: &str, size: u64) -> Self {
        Self::File { content: Content::Filler { path: path.to_owned(), size }, mode: usual_mode(path) }
    }
}

/// The mode that packs give a file by its name.
pub(crate) fn usual_mode(path: &str) -> u32 {
    if path.ends_with(".sh") { 0o755 } else { 0o644 }
}

/// Who an archive says it was made by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum MadeOn {
    #[default]
    Unix,
    /// Entries carry no unix modes.
    Dos,
}

/// Year, month, day, hour, minute, second.
pub(crate) type Time = (u16, u8, u8, u8, u8, u8);

/// An archive being written.
pub(crate) struct Archive {
    zip: ZipWriter<BufWriter<File>>,
    options: SimpleFileOptions,
    made_on: MadeOn,
    directories: HashSet<String>,
}

impl Archive {
    pub(crate) fn create(path: &Path, time: Time, made_on: MadeOn) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let (year, month, day, hour, minute, second) = time;
        let time = DateTime::from_date_and_time(year, month, day, hour, minute, second)?;
        Ok(Self {
            zip: ZipWriter::new(BufWriter::with_capacity(1 << 20, file)),
            // The level is for speed: packs of 600 MB are written by tests.
            options: SimpleFileOptions::default().last_modified_time(time).compression_level(Some(1)),
            made_on,
            directories: HashSet::new(),
        })
    }

    /// Adds everything below `prefix`, which is empty or ends in a slash.
    pub(crate) fn add_all(&mut self, prefix: &str, entries: &Entries) -> Result<()> {
        for (path, entry) in entries {
            let path = format!("{prefix}{path}");
            self.add(&path, entry).with_context(|| format!("cannot add {path}"))?;
        }
        Ok(())
    }

    fn add(&mut self, path: &str, entry: &Entry) -> Result<()> {
        self.add_parents(path)?;
        match entry {
            Entry::File { content, mode } => {
                let options = self.options_for(*mode);
                self.zip.start_file(path, options)?;
                match content {
                    Content::Bytes(bytes) => self.zip.write_all(bytes)?,
                    Content::Filler { path, size } => filler::write(path, *size, &mut self.zip)?,
                }
            }
            Entry::Symlink { target } => {
                let options = self.options.unix_permissions(0o777);
                self.zip.add_symlink(path, target, options)?;
            }
            Entry::EmptyDir => self.add_parents(&format!("{path}/"))?,
        }
        Ok(())
    }

    /// Adds a file whose name is taken as it is: no directory entries before it.
    pub(crate) fn add_raw(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let options = self.options_for(0o644);
        self.zip.start_file(name, options)?;
        self.zip.write_all(bytes)?;
        Ok(())
    }

    fn add_parents(&mut self, path: &str) -> Result<()> {
        for (slash, _) in path.match_indices('/') {
            let directory = &path[..=slash];
            if self.directories.insert(directory.to_owned()) {
                let options = match self.made_on {
                    MadeOn::Unix => self.options.unix_permissions(0o755),
                    MadeOn::Dos => self.options.system(System::Dos).external_attributes(0x10),
                };
                self.zip.add_directory(directory, options)?;
            }
        }
        Ok(())
    }

    fn options_for(&self, mode: u32) -> SimpleFileOptions {
        match self.made_on {
            MadeOn::Unix => self.options.unix_permissions(mode),
            MadeOn::Dos => self.options.system(System::Dos).external_attributes(0x20),
        }
    }

    pub(crate) fn finish(self) -> Result<()> {
        self.zip.finish()?.flush()?;
        Ok(())
    }
}
