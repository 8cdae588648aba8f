//! `hotfix restore`: what a backup holds, back into an installation; what is newer there stays unless that is said otherwise.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::archive::Backup;
use super::folders::may_be_a_link;
use super::manifest::{Entry, Kind};
use super::put_back::{clean, is_as_it_was, put, settle, settle_owner_and_mode};
use super::{Installation, Standing};
use crate::checksums::digest_of_file;
use crate::pack::{ancestors, printable};
use crate::step::Problem;
use crate::tree::utf8;

/// What is to be done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is not there.
    Add,
    /// What is there is older, or as old.
    Replace,
    /// What is there is newer.
    Keep,
    /// What is there is newer, and is replaced all the same.
    ReplaceNewer,
    /// What is there has the same content, with other permissions or another owner.
    Permissions,
}

/// An entry that is not as it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// From the product's folder.
    pub path: String,
    /// What is to be done.
    pub action: Action,
}

/// What a restore does, or did.
#[derive(Debug, Clone, Serialize)]
pub struct RestorePlan {
    /// The product's folder.
    pub home: PathBuf,
    /// What differs.
    pub differences: Vec<Difference>,
    /// How many files are there as they are in the backup.
    pub same: usize,
    /// How many stay as they are because they are newer.
    pub kept: usize,
    /// Where the product stood when the backup was made.
    pub then: Standing,
    /// Where it stands.
    pub now: Standing,
    /// Files that the user had removed when the backup was made, and that are there.
    pub removed_then: Vec<String>,
    /// Whether it was done.
    pub done: bool,
}

impl RestorePlan {
    /// What differs between `backup` and `installation`, in the folders or files `only` where any are given.
    ///
    /// # Errors
    /// Where the backup is of another product, has nothing of what is asked for, or a folder stands where it has a file.
    pub fn new(backup: &Backup, installation: &Installation, only: &[String], force: bool) -> Result<Self, Problem> {
        check_product(backup, installation)?;
        let only: Vec<&Path> = only.iter().map(Path::new).collect();
        check_only(backup, &only)?;
        let manifest = &backup.manifest;
        let home = &installation.home;
        let is_wanted = |path: &str| only.is_empty() || only.iter().any(|wish| Path::new(path).starts_with(wish));
        // What is to be put into a folder that is not there needs it, as it was.
        let is_above = |path: &str| only.iter().any(|wish| wish.starts_with(path)) && !home.join(path).exists();
        let (mut differences, mut same) = (Vec::new(), 0);
        for entry in manifest.entries.iter().filter(|entry| is_wanted(&entry.path) || is_above(&entry.path)) {
            check_folders(home, &entry.path)?;
            match difference(home, entry, force)? {
                Some(action) => differences.push(Difference { path: entry.path.clone(), action }),
                None => same += usize::from(entry.kind != Kind::Directory),
            }
        }
        let is_there = |path: &&String| is_wanted(path) && home.join(path).symlink_metadata().is_ok();
        Ok(Self {
            home: home.clone(),
            kept: differences.iter().filter(|difference| difference.action == Action::Keep).count(),
            differences,
            same,
            then: Standing { update_level: manifest.update_level, hotfixes: manifest.hotfixes },
            now: installation.standing()?,
            removed_then: manifest.removed.iter().filter(is_there).cloned().collect(),
            done: false,
        })
    }

    /// Puts everything back but what is kept, each file whole or not at all.
    ///
    /// # Errors
    /// Where the backup is damaged, or the disk fails; what was put back by then stays.
    pub fn carry_out(mut self, backup: &Backup, cancel: &CancellationToken) -> Result<Self, Problem> {
        let differences = self.differences.iter().filter(|difference| difference.action != Action::Keep);
        let wanted: BTreeMap<&str, Action> =
            differences.map(|difference| (difference.path.as_str(), difference.action)).collect();
        backup.manifest.entries.iter().for_each(|entry| clean(&self.home.join(&entry.path)));
        let (mut folders, mut done) = (Vec::new(), 0);
        let so_far = |done: usize| format!("{done} of {} are restored, and the same command goes on", wanted.len());
        let failed = |entry: &Entry, done: usize, error: io::Error| {
            let what = format!("{} cannot be restored", self.home.join(&entry.path).display());
            Problem::new(what, format!("make room, and check the permissions there; {}", so_far(done))).because(error)
        };
        backup.each(|entry, content| {
            if cancel.is_cancelled() {
                return Err(Problem::new("the restore was stopped", so_far(done)));
            }
            let Some(action) = wanted.get(entry.path.as_str()) else { return Ok(()) };
            if entry.kind == Kind::Directory {
                folders.push((entry.clone(), *action));
            }
            let path = self.home.join(&entry.path);
            let put = match (&entry.kind, action) {
                (Kind::File { .. } | Kind::Link { .. }, Action::Permissions) => settle_owner_and_mode(&path, entry),
                _ => put(&self.home, entry, content).inspect_err(|_| clean(&path)),
            };
            put.map_err(|error| failed(entry, done, error))?;
            done += usize::from(entry.kind != Kind::Directory);
            Ok(())
        })?;
        // Last: what is put into them changes their time, and may be in the way of more.
        for (folder, action) in folders.iter().rev() {
            let path = self.home.join(&folder.path);
            let settled = match action {
                Action::Permissions => settle_owner_and_mode(&path, folder),
                _ => settle(&path, folder),
            };
            settled.map_err(|error| failed(folder, done, error))?;
            done += 1;
        }
        self.done = true;
        Ok(self)
    }
}

fn check_product(backup: &Backup, installation: &Installation) -> Result<(), Problem> {
    let manifest = &backup.manifest;
    if (&manifest.product, &manifest.version) == (&installation.product, &installation.version) {
        return Ok(());
    }
    Err(Problem::new(
        format!(
            "{} is of {}-{}, and {} is {}",
            backup.path.display(),
            printable(&manifest.product),
            printable(&manifest.version),
            installation.home.display(),
            installation.name()
        ),
        "give the backup of this product; data of another version needs the vendor's migration",
    ))
}

fn check_only(backup: &Backup, only: &[&Path]) -> Result<(), Problem> {
    let Backup { path, manifest } = backup;
    let is_in = |wish: &&&Path| manifest.entries.iter().any(|entry| Path::new(&entry.path).starts_with(wish));
    let Some(missing) = only.iter().find(|wish| !is_in(wish)) else { return Ok(()) };
    let taken = manifest.folders.iter().filter(|folder| folder.taken);
    let taken: Vec<String> = taken.map(|folder| printable(&folder.folder)).collect();
    Err(Problem::new(
        format!("{} has nothing of {}", path.display(), printable(&missing.to_string_lossy())),
        format!("it holds {}", taken.join(", ")),
    ))
}

/// Whether the folders above `path` are folders of the product, and no links but those that may be.
fn check_folders(home: &Path, path: &str) -> Result<(), Problem> {
    for folder in ancestors(path).filter(|folder| !may_be_a_link(folder)) {
        if home.join(folder).symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
            return Err(Problem::new(
                format!(
                    "{} is a link, and what is below it in the backup would be written elsewhere",
                    home.join(folder).display()
                ),
                "move it away, or leave it out with --only",
            ));
        }
    }
    Ok(())
}

/// How an entry differs from what is there; `None` where it does not.
fn difference(home: &Path, entry: &Entry, force: bool) -> Result<Option<Action>, Problem> {
    let path = home.join(&entry.path);
    let failed = |error: io::Error| {
        Problem::new(format!("{} cannot be read", path.display()), "check its permissions").because(error)
    };
    let metadata = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Action::Add)),
        metadata => metadata.map_err(failed)?,
    };
    let is_same = match &entry.kind {
        // A link to a folder, as some have for their data, is one.
        Kind::Directory => match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                return Ok((!is_as_it_was(&metadata, entry)).then_some(Action::Permissions));
            }
            _ => false,
        },
        Kind::Link { target } => {
            metadata.is_symlink() && utf8(&fs::read_link(&path).map_err(failed)?).map_err(failed)? == *target
        }
        Kind::File { bytes, sha256 } => {
            metadata.is_file()
                && metadata.len() == *bytes
                && hex::encode(digest_of_file(&path).map_err(failed)?) == *sha256
        }
    };
    if is_same {
        let is_link = metadata.is_symlink();
        return Ok((!is_link && !is_as_it_was(&metadata, entry)).then_some(Action::Permissions));
    }
    if metadata.is_dir() || entry.kind == Kind::Directory {
        let (here, there) =
            if metadata.is_dir() { ("a folder", "something else") } else { ("something else", "a folder") };
        return Err(Problem::new(
            format!("{} is {here}, and {there} in the backup", path.display()),
            "move it away, or leave it out with --only",
        ));
    }
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_default();
    Ok(Some(match (modified > entry.modified, force) {
        (false, _) => Action::Replace,
        (true, true) => Action::ReplaceNewer,
        (true, false) => Action::Keep,
    }))
}

impl fmt::Display for RestorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Difference { path, action } in &self.differences {
            let (sign, remark) = match action {
                Action::Add => ("+", ""),
                Action::Replace => ("~", ""),
                Action::ReplaceNewer => ("~", "  (newer there)"),
                Action::Keep => ("!", "  (newer there: kept)"),
                Action::Permissions => ("~", "  (only permissions or owner)"),
            };
            writeln!(f, "{sign} {}{remark}", printable(path))?;
        }
        for path in &self.removed_then {
            writeln!(f, "? {}  (had been removed when the backup was made)", printable(path))?;
        }
        let changed = self.differences.len() - self.kept;
        let verb = if self.done { "restored" } else { "to be restored" };
        writeln!(f, "{changed} {verb}, {} kept, {} as they are in the backup", self.kept, self.same)
    }
}
