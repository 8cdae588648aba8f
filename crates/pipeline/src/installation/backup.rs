//! `hotfix backup`: what users keep in an installation, into one file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::archive::{self, Backup};
use super::collect::sha256_of;
use super::folders::{DATABASE, Decision, Folder, Wishes, check_as_seen, look_at};
use super::manifest::{Entry, Kind, Manifest, SCHEMA};
use super::{Installation, Standing};
use crate::pack::{ProductPack, leads_out, printable};
use crate::step::Problem;

/// What would be taken, and from where.
#[derive(Debug, Clone)]
pub struct BackupPlan {
    installation: Installation,
    standing: Standing,
    folders: Vec<Folder>,
    exclude: Vec<String>,
}

/// What was taken, or would be, for people and programs.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// The file; none where nothing was written.
    pub backup: Option<PathBuf>,
    /// Number of files and links.
    pub files: usize,
    /// Bytes of the files.
    pub bytes: u64,
    /// What was taken and what was not, and why.
    pub folders: Vec<Decision>,
}

impl BackupPlan {
    /// For `installation`; of a pack, only what is not as it is there.
    ///
    /// # Errors
    /// Where something cannot be read, or the pack is of something else.
    pub fn new(installation: &Installation, pack: Option<&ProductPack>, wishes: &Wishes) -> Result<Self, Problem> {
        let standing = installation.standing()?;
        if let Some(pack) = pack {
            check_pack(installation, standing, pack)?;
        }
        let folders = look_at(installation, pack, wishes)?;
        warn_of_links(&folders);
        Ok(Self { installation: installation.clone(), standing, folders, exclude: wishes.exclude.clone() })
    }

    /// What would be taken.
    pub fn answer(&self) -> Answer {
        Answer {
            backup: None,
            files: self.taken().map(Folder::files).sum(),
            bytes: self.taken().map(Folder::bytes).sum(),
            folders: self.folders.iter().map(|folder| folder.decision.clone()).collect(),
        }
    }

    /// Whether the file `to` can be written, and what is written to it is at rest.
    ///
    /// # Errors
    /// Where it is there, or in the product; where a server runs and its database would be taken.
    pub fn check(&self, to: &Path) -> Result<(), Problem> {
        let shown = to.display();
        if to.symlink_metadata().is_ok() {
            let hint = "give --to with a new file: a backup is never overwritten";
            return Err(Problem::new(format!("{shown} is there already"), hint));
        }
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().map_err(|error| {
            let hint = "give --to with a file in a folder that is there";
            Problem::new(format!("{shown} cannot be written"), hint).because(error)
        })?;
        if folder.starts_with(&self.installation.home) {
            let hint = "give --to with a file elsewhere: there it would be part of what is changed";
            return Err(Problem::new(format!("{shown} is in the product itself"), hint));
        }
        let behind_link = |taken: &&Folder| {
            let target = self.installation.home.join(&taken.decision.folder).canonicalize();
            target.is_ok_and(|target| folder.starts_with(target))
        };
        if let Some(taken) = self.taken().find(behind_link) {
            let hint = "give --to with a file elsewhere: there it would be part of what is backed up";
            let what = format!("{shown} is in {}, which is a link to there", printable(&taken.decision.folder));
            return Err(Problem::new(what, hint));
        }
        let of_database = |entry: &Entry| Path::new(&entry.path).starts_with(DATABASE) && entry.kind != Kind::Directory;
        let takes_database = self.taken().any(|folder| folder.entries.iter().any(of_database));
        if let (true, Some(server)) = (takes_database, self.installation.server()?) {
            return Err(Problem::new(
                format!(
                    "{DATABASE} is in use by the server that runs (process {}), so a copy would be damaged",
                    server.pid
                ),
                format!("stop the server first, or leave it out with --exclude {DATABASE}"),
            ));
        }
        Ok(())
    }

    /// Writes it to the file `to` and reads it back.
    ///
    /// # Errors
    /// As [`BackupPlan::check`]; where something cannot be read or written.
    pub fn write(self, to: &Path, cancel: &CancellationToken) -> Result<(Backup, Answer), Problem> {
        self.check(to)?;
        let mut answer = self.answer();
        let manifest = self.manifest(cancel)?;
        let home = &self.installation.home;
        let is_still_so = || check_as_seen(home, &self.folders, &self.exclude);
        let backup = archive::write(home, manifest, to, is_still_so, cancel)?;
        answer.backup = Some(to.to_owned());
        (answer.files, answer.bytes) = backup.manifest.totals();
        Ok((backup, answer))
    }

    /// Whether a backup holds just what this would take.
    ///
    /// # Errors
    /// Where something cannot be read.
    pub fn is_in(&self, backup: &Backup) -> Result<bool, Problem> {
        let now = self.manifest(&CancellationToken::new())?;
        let then = backup.manifest.clone();
        Ok(Manifest { time: then.time, made_by: then.made_by.clone(), ..now } == then)
    }

    /// Whether a backup holds everything that this would take, with this content.
    ///
    /// # Errors
    /// Where something cannot be read.
    pub fn is_content_of(&self, backup: &Backup) -> Result<bool, Problem> {
        let then: BTreeMap<&str, &Kind> =
            backup.manifest.entries.iter().map(|entry| (entry.path.as_str(), &entry.kind)).collect();
        let now = self.manifest(&CancellationToken::new())?;
        Ok(now.entries.iter().all(|entry| then.get(entry.path.as_str()) == Some(&&entry.kind)))
    }

    fn taken(&self) -> impl Iterator<Item = &Folder> {
        self.folders.iter().filter(|folder| folder.decision.taken)
    }

    fn manifest(&self, cancel: &CancellationToken) -> Result<Manifest, Problem> {
        // What was named twice is in it once.
        let entries: BTreeMap<&str, &Entry> =
            self.taken().flat_map(|folder| &folder.entries).map(|entry| (entry.path.as_str(), entry)).collect();
        let mut hashed = Vec::new();
        for entry in entries.into_values() {
            if cancel.is_cancelled() {
                return Err(Problem::new("the backup was stopped", "run the same command again"));
            }
            let mut entry = entry.clone();
            if let Kind::File { bytes, .. } = entry.kind {
                entry.kind = Kind::File { bytes, sha256: sha256_of(&self.installation.home, &entry)? };
            }
            hashed.push(entry);
        }
        let mut removed: Vec<String> = self.taken().flat_map(|folder| folder.removed.clone()).collect();
        removed.sort();
        removed.dedup();
        Ok(Manifest {
            schema: SCHEMA,
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
            time: Timestamp::now(),
            product: self.installation.product.clone(),
            version: self.installation.version.clone(),
            update_level: self.standing.update_level,
            hotfixes: self.standing.hotfixes,
            folders: self.folders.iter().map(|folder| folder.decision.clone()).collect(),
            entries: hashed,
            removed,
        })
    }
}

/// What is behind links that lead out of the product is the user's as well, and in no backup of it.
fn warn_of_links(folders: &[Folder]) {
    let entries = folders.iter().filter(|folder| folder.decision.taken).flat_map(|folder| &folder.entries);
    let mut links = BTreeMap::new();
    for Entry { path, kind, .. } in entries {
        if let Kind::Link { target } = kind {
            links.insert(path.as_str(), target.as_str());
        }
    }
    for (path, target) in &links {
        if leads_out(path, target, |path| links.get(path).copied()) {
            warn!("what the link {} leads to is not in the backup: {}", printable(path), printable(target));
        }
    }
}

/// Compared with another pack, files of the vendor's would be taken for the user's own.
fn check_pack(installation: &Installation, standing: Standing, pack: &ProductPack) -> Result<(), Problem> {
    let (home, path) = (installation.home.display(), pack.path.display());
    let product = &pack.product;
    if (&product.name, &product.version) != (&installation.product, &installation.version) {
        return Err(Problem::new(
            format!("{home} is {}, and the pack {path} is {}-{}", installation.name(), product.name, product.version),
            "give --pack with the pack that it was unpacked from",
        ));
    }
    match standing.update_level {
        Some(level) if level != product.update_level => Err(Problem::new(
            format!("{home} is at update level {level}, and the pack {path} at {}", product.update_level),
            "give --pack with the clean pack of that level; without it everything in the folders is taken",
        )),
        _ => Ok(()),
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Decision { folder, taken, reason } in &self.folders {
            writeln!(f, "{} {}: {}", if *taken { "+" } else { "-" }, printable(folder), printable(reason))?;
        }
        let what = format!("{} files, {}", self.files, ByteSize(self.bytes));
        match &self.backup {
            Some(file) => writeln!(f, "{what}, read back and whole, in {}", file.display()),
            None => writeln!(f, "{what} would be taken"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_written_to_meanwhile_is_no_backup() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 4] = [
            ("a file that grows", |folder| fs::write(folder.join("a"), "one and two").expect("written")),
            ("one more", |folder| fs::write(folder.join("b"), "").expect("written")),
            ("one less", |folder| fs::remove_file(folder.join("a")).expect("there")),
            ("other permissions", |folder| {
                fs::set_permissions(folder.join("a"), fs::Permissions::from_mode(0o600)).expect("mine");
            }),
        ];
        for (what, change) in changes {
            let place = tempfile::tempdir().expect("a folder");
            let (home, to) = (place.path().join("wso2am"), place.path().join("b.tar.zst"));
            let folder = home.join("repository/tenants");
            fs::create_dir_all(&folder).expect("made");
            fs::create_dir(home.join("updates")).expect("made");
            fs::write(home.join("updates/product.txt"), "wso2am-4.1.0").expect("written");
            fs::write(folder.join("a"), "one").expect("written");
            let installation = Installation::open(&home).expect("a product");
            let plan = BackupPlan::new(&installation, None, &Wishes::default()).expect("a plan");
            change(&folder);
            let problem = plan.write(&to, &CancellationToken::new()).expect_err(what).to_string();
            assert!(problem.contains("repository/tenants"), "{what}: {problem}");
            assert!(!to.exists(), "{what}");
        }
    }
}
