//! The content of a product at one moment, to be compared with another one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::CONFIGURATION;
use super::journal::FOLDER;
use crate::changes::Delta;
use crate::checksums::digest_of_file;
use crate::installation::PID_FILE;
use crate::installation::folders::FOLDERS;
use crate::pack::ancestors;
use crate::step::Problem;
use crate::tree::is_tools_own;

/// What servers write while they run is nothing that a migration changes.
const LOGS: &str = "repository/logs";

/// Files and links by their paths, with a checksum or a target; without what is the update tool's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    /// Of the product in `home`. What is not UTF-8 in a name is replaced: names are only compared here.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn take(home: &Path) -> Result<Self, Problem> {
        let mut found = Vec::new();
        for top in tops(home) {
            let failed = |error: io::Error| unreadable(&home.join(&top), error);
            let walk = WalkDir::new(home.join(&top)).follow_root_links(true).min_depth(1).into_iter();
            for entry in walk.filter_entry(|entry| is_looked_at(&inner(home, entry.path()))) {
                let entry = entry.map_err(|error| failed(error.into()))?;
                if !entry.file_type().is_dir() {
                    found.push((inner(home, entry.path()), entry.into_path()));
                }
            }
        }
        found
            .into_par_iter()
            .filter_map(|(inner, path)| Some(content(&path)?.map(|text| (inner, text))))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What has become of it in `later`.
    pub fn until(&self, later: &Self) -> Delta {
        let mut delta = Delta::default();
        for (path, content) in &self.0 {
            match later.0.get(path) {
                None => delta.removed.push(path.clone()),
                Some(now) if now != content => delta.changed.push(path.clone()),
                Some(_) => {}
            }
        }
        delta.added = later.0.keys().filter(|path| !self.0.contains_key(*path)).cloned().collect();
        delta
    }

    /// Paths that are not in `earlier`, or not as they are.
    pub fn new_since<'a>(&'a self, earlier: &'a Self) -> impl Iterator<Item = &'a String> {
        self.0.iter().filter(|(path, content)| earlier.0.get(*path) != Some(content)).map(|(path, _)| path)
    }

    /// All paths.
    pub fn paths(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Whether there is something at `path`.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// What is at `path`: a checksum, or where a link leads.
    pub fn content(&self, path: &str) -> Option<&String> {
        self.0.get(path)
    }
}

/// The product, and the folders of it that some have elsewhere, behind a link.
fn tops(home: &Path) -> Vec<PathBuf> {
    let roots: BTreeSet<&str> =
        FOLDERS.into_iter().chain([CONFIGURATION]).flat_map(|root| ancestors(root).chain([root])).collect();
    let is_link = |folder: &&str| home.join(folder).symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    let links = roots.into_iter().filter(is_link).filter(|folder| home.join(folder).is_dir());
    [PathBuf::new()].into_iter().chain(links.map(PathBuf::from)).collect()
}

fn inner(home: &Path, path: &Path) -> String {
    path.strip_prefix(home).unwrap_or(path).to_string_lossy().into_owned()
}

fn is_looked_at(path: &str) -> bool {
    let is_in = |folder: &str| Path::new(path).starts_with(folder);
    !is_in(FOLDER) && !is_in(LOGS) && path != PID_FILE && !is_tools_own(path)
}

/// Nothing for sockets, pipes and devices.
fn content(path: &Path) -> Option<Result<String, Problem>> {
    let failed = |error| unreadable(path, error);
    let content = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => digest_of_file(path).map(hex::encode),
        Ok(metadata) if metadata.is_symlink() => {
            fs::read_link(path).map(|target| format!("-> {}", target.to_string_lossy()))
        }
        Ok(_) => return None,
        Err(error) => Err(error),
    };
    Some(content.map_err(failed))
}

fn unreadable(path: &Path, error: io::Error) -> Problem {
    Problem::new(format!("{} cannot be read", path.display()), "check its permissions, and that the disk is whole")
        .because(error)
}
