//! `hotfix restore`: what a backup holds, back into an installation; what is newer there stays unless that is said otherwise.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, FileTimes};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Installation;
use super::archive::Backup;
use super::folders::FOLDERS;
use super::manifest::{Entry, Kind};
use crate::checksums::digest_of_file;
use crate::migration::CONFIGURATION;
use crate::pack::{ancestors, printable};
use crate::step::Problem;
use crate::tree::utf8;

/// A file that is being restored has this name until it is whole.
const UNFINISHED: &str = ".hotfix-restoring";

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
        let manifest = &backup.manifest;
        if (&manifest.product, &manifest.version) != (&installation.product, &installation.version) {
            return Err(Problem::new(
                format!(
                    "{} is of {}-{}, and {} is {}",
                    backup.path.display(),
                    printable(&manifest.product),
                    printable(&manifest.version),
                    installation.home.display(),
                    installation.name()
                ),
                "give the backup of this product; data of another version needs the vendor's migration",
            ));
        }
        let only: Vec<&str> = only.iter().map(|path| path.trim_end_matches('/')).collect();
        let is_wanted = |path: &str| only.is_empty() || only.iter().any(|wish| Path::new(path).starts_with(wish));
        if let Some(wish) =
            only.iter().find(|wish| !manifest.entries.iter().any(|entry| Path::new(&entry.path).starts_with(wish)))
        {
            let folders: Vec<&str> =
                manifest.folders.iter().filter(|folder| folder.taken).map(|folder| folder.folder.as_str()).collect();
            return Err(Problem::new(
                format!("{} has nothing of {}", backup.path.display(), printable(wish)),
                format!("it holds {}", folders.join(", ")),
            ));
        }
        let home = &installation.home;
        let (mut differences, mut same) = (Vec::new(), 0);
        for entry in manifest.entries.iter().filter(|entry| is_wanted(&entry.path)) {
            check_folders(home, &entry.path)?;
            match difference(home, entry, force)? {
                Some(action) => differences.push(Difference { path: entry.path.clone(), action }),
                None => same += usize::from(entry.kind != Kind::Directory),
            }
        }
        let is_there = |path: &&String| is_wanted(path) && home.join(path).symlink_metadata().is_ok();
        let removed_then = manifest.removed.iter().filter(is_there).cloned().collect();
        Ok(Self { home: home.clone(), differences, same, removed_then, done: false })
    }

    /// Files that stay as they are because they are newer.
    pub fn kept(&self) -> usize {
        self.differences.iter().filter(|difference| difference.action == Action::Keep).count()
    }

    /// Puts everything back but what is kept, each file whole or not at all.
    ///
    /// # Errors
    /// Where the backup is damaged, or the disk fails; what was put back by then stays.
    pub fn carry_out(mut self, backup: &Backup, cancel: &CancellationToken) -> Result<Self, Problem> {
        let differences = self.differences.iter().filter(|difference| difference.action != Action::Keep);
        let wanted: BTreeSet<&str> = differences.map(|difference| difference.path.as_str()).collect();
        let mut folders = Vec::new();
        backup.each(|entry, content| {
            if cancel.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if !wanted.contains(entry.path.as_str()) {
                return Ok(());
            }
            put(&self.home, entry, content)?;
            if entry.kind == Kind::Directory {
                folders.push(entry.clone());
            }
            Ok(())
        })?;
        // What is put into a folder changes its time.
        for folder in folders.iter().rev() {
            settle(&self.home.join(&folder.path), folder).map_err(|error| {
                let what = format!("{} cannot be made as it was", self.home.join(&folder.path).display());
                Problem::new(what, "check the disk, and run the same command again").because(error)
            })?;
        }
        self.done = true;
        Ok(self)
    }
}

/// Whether the folders above `path` are folders of the product. Users have some of those with data elsewhere, behind a link; what is
/// behind a link further down can be anywhere.
fn check_folders(home: &Path, path: &str) -> Result<(), Problem> {
    let may_be_a_link = |folder: &str| {
        let roots = FOLDERS.into_iter().chain([CONFIGURATION]);
        roots.into_iter().any(|root| Path::new(root).starts_with(folder))
    };
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
        Kind::Directory => {
            if fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
                return Ok(None);
            }
            false
        }
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
        return Ok(None);
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

fn put(home: &Path, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
    let path = home.join(&entry.path);
    let folder = path.parent().unwrap_or(home);
    fs::create_dir_all(folder)?;
    let unfinished = folder.join(UNFINISHED);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match &entry.kind {
        Kind::Directory => return if path.is_dir() { Ok(()) } else { fs::create_dir(&path) },
        Kind::Link { target } => symlink(target, &unfinished)?,
        Kind::File { .. } => {
            let mut file = File::create_new(&unfinished)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            io::copy(content, &mut file)?;
            file.sync_all()?;
        }
    }
    settle(&unfinished, entry)?;
    fs::rename(&unfinished, &path)
}

/// Owner, permissions and time as they were; whoever may not give files away keeps them.
fn settle(path: &Path, entry: &Entry) -> io::Result<()> {
    let owners = (Some(entry.uid), Some(entry.gid));
    if let Kind::Link { .. } = entry.kind {
        return allowed(lchown(path, owners.0, owners.1));
    }
    allowed(chown(path, owners.0, owners.1))?;
    // Nothing in a product runs as somebody else.
    let allowed_bits = if entry.kind == Kind::Directory { 0o3777 } else { 0o777 };
    fs::set_permissions(path, fs::Permissions::from_mode(entry.mode & allowed_bits))?;
    File::open(path).and_then(|file| file.set_times(FileTimes::new().set_modified(SystemTime::from(entry.modified))))
}

fn allowed(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}

impl fmt::Display for RestorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Difference { path, action } in &self.differences {
            let (sign, remark) = match action {
                Action::Add => ("+", ""),
                Action::Replace => ("~", ""),
                Action::ReplaceNewer => ("~", "  (newer there)"),
                Action::Keep => ("!", "  (newer there: kept)"),
            };
            writeln!(f, "{sign} {}{remark}", printable(path))?;
        }
        for path in &self.removed_then {
            writeln!(f, "? {}  (had been removed when the backup was made)", printable(path))?;
        }
        let changed = self.differences.len() - self.kept();
        let verb = if self.done { "restored" } else { "to be restored" };
        writeln!(f, "{changed} {verb}, {} kept, {} as they are in the backup", self.kept(), self.same)
    }
}
