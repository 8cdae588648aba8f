//! What a backup says of itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::folders::Decision;

/// Version of this form.
pub const SCHEMA: u32 = 1;

/// The first entry of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this form.
    pub schema: u32,
    /// Version of the hotfix that made it.
    pub made_by: String,
    /// When.
    pub time: Timestamp,
    /// `wso2am`.
    pub product: String,
    /// `4.1.0`.
    pub version: String,
    /// Update level, where it was known.
    pub update_level: Option<u32>,
    /// How many hotfixes were applied.
    pub hotfixes: usize,
    /// What was taken and what was not, and why.
    pub folders: Vec<Decision>,
    /// Everything in it, folders before what is in them.
    pub entries: Vec<Entry>,
    /// Files of the pack that were no longer there.
    pub removed: Vec<String>,
}

/// A file, a folder or a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// From the product's folder.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// When its content was last changed.
    pub modified: Timestamp,
    /// Whose it was.
    pub uid: u32,
    /// And of which group.
    pub gid: u32,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kind {
    /// A folder.
    Directory,
    /// A file.
    File {
        /// Its length.
        bytes: u64,
        /// Of its content, in hexadecimal digits.
        sha256: String,
    },
    /// A symbolic link.
    Link {
        /// Where it leads.
        target: String,
    },
}

impl Manifest {
    /// Number of files and links, and bytes of the files.
    pub fn totals(&self) -> (usize, u64) {
        let files = self.entries.iter().filter(|entry| entry.kind != Kind::Directory).count();
        (files, self.entries.iter().map(Entry::bytes).sum())
    }
}

impl Entry {
    /// Length of a file, 0 of anything else.
    pub fn bytes(&self) -> u64 {
        match self.kind {
            Kind::File { bytes, .. } => bytes,
            _ => 0,
        }
    }
}
