//! The content of a product at one moment, to be compared with another one.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::journal::FOLDER;
use crate::changes::Delta;
use crate::checksums::digest_of_file;
use crate::installation::PID_FILE;
use crate::step::Problem;
use crate::tree::{Kind, scan};

/// What servers write while they run is nothing that a migration changes.
const LOGS: &str = "repository/logs";

/// Files and links by their paths, with a checksum or a target; without what is the update tool's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    /// Of the product in `home`.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn take(home: &Path) -> Result<Self, Problem> {
        let failed = |error| {
            Problem::new(
                format!("{} cannot be read", home.display()),
                "check its permissions, and that the disk is whole",
            )
            .because(error)
        };
        let tree = scan(home).map_err(failed)?;
        let is_looked_at = |path: &str| {
            let is_in = |folder: &str| Path::new(path).starts_with(folder);
            !is_in(FOLDER) && !is_in(LOGS) && path != PID_FILE
        };
        let files: Vec<_> = tree.into_iter().filter(|(path, _)| is_looked_at(path)).collect();
        let content = |(path, node): (String, crate::tree::Node)| match node.kind {
            Kind::File => match digest_of_file(&home.join(&path)) {
                Ok(digest) => Some(Ok((path, hex::encode(digest)))),
                Err(error) => Some(Err(failed(error))),
            },
            Kind::Symlink(target) => Some(Ok((path, format!("-> {target}")))),
            Kind::Directory | Kind::Other => None,
        };
        files.into_par_iter().filter_map(content).collect::<Result<_, _>>().map(Self)
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

    /// Paths that are there and are not in `earlier`.
    pub fn new_since<'a>(&'a self, earlier: &'a Self) -> impl Iterator<Item = &'a String> {
        self.0.keys().filter(|path| !earlier.0.contains_key(*path))
    }
}
