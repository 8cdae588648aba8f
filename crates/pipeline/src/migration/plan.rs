//! What a migration would do: made by reading, never by writing.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytesize::ByteSize;
use serde_json::{Value, json};
use walkdir::WalkDir;

use super::backing::{BackupWish, backup};
use super::journal::{Aim, Journal, Target};
use super::shown;
use crate::host::Host;
use crate::inputs::free_disk;
use crate::installation::backup::Answer;
use crate::installation::folders::Wishes;
use crate::installation::{Installation, Standing};
use crate::pack::{ProductPack, printable};
use crate::plan::disk_needed;
use crate::source::no_update_tool;
use crate::step::Problem;
use crate::tree::BIN;
use crate::update_tool::SETUP_SCRIPT;

/// What the user wants.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The product's folder.
    pub home: PathBuf,
    /// Where to.
    pub target: Target,
    /// Only the newest hotfix.
    pub only_newest: bool,
    /// The file for the user's data, where it is not to be beside the product.
    pub backup: Option<PathBuf>,
    /// Why there is to be none.
    pub no_backup: Option<String>,
    /// What is backed up beside what the vendor's conditions say, or not.
    pub wishes: Wishes,
    /// Whether the free disk is looked at.
    pub disk_check: bool,
    /// Whether root may work on somebody else's product.
    pub allow_root: bool,
    /// Whether it is only to be shown.
    pub dry_run: bool,
}

/// A migration that can be carried out, as far as can be told without the update tool.
#[derive(Debug, Clone)]
pub struct Migration {
    /// Of what.
    pub installation: Installation,
    /// Where it stands.
    pub standing: Standing,
    /// This machine.
    pub host: Host,
    /// Where to.
    pub aim: Aim,
    /// What is backed up beside what the vendor's conditions say, or not.
    pub(super) wishes: Wishes,
    /// What a run that was stopped has left; only once it has changed something there is more to it than its backup.
    pub journal: Option<Journal>,
    /// What is to become of the user's data.
    pub backup: BackupWish,
    /// Keeps others away until all is done; none where it is only to be shown.
    pub(super) lock: Option<Arc<File>>,
}

impl Migration {
    /// Looks at everything that can be looked at; with a pack, only what is not as in it is backed up.
    ///
    /// # Errors
    /// Where a server runs, the level is behind, another migration is not finished, or something cannot be read.
    pub fn plan(wish: Wish, host: Host, pack: Option<&ProductPack>) -> Result<Self, Problem> {
        let installation = Installation::open(&wish.home)?;
        let lock = (!wish.dry_run).then(|| installation.lock()).transpose()?;
        installation.must_be_stopped()?;
        let standing = installation.standing()?;
        let journal = Journal::find(&installation)?;
        if journal.is_none() && lock.is_some() {
            Journal::clean(&installation)?;
        }
        journal.as_ref().map_or(Ok(()), |begun| check_notes(begun, wish.target, &installation))?;
        check_level(&installation, standing, wish.target)?;
        check_user(&installation, wish.allow_root)?;
        check_tool(&installation, host)?;
        if wish.disk_check && wish.target != Target::Reverted {
            check_disk(&installation)?;
        }
        let down_to = match (wish.only_newest, begun(journal.as_ref())) {
            (false, _) => 0,
            // One that was stopped is finished, not done once more.
            (true, Some(begun)) if begun.is_of_newest() => begun.down_to,
            (true, _) => standing.hotfixes.checked_sub(1).ok_or_else(|| {
                let what = format!("no hotfix is applied in {}", installation.home.display());
                Problem::new(what, "see 'hotfix state'")
            })?,
        };
        let aim = Aim { target: wish.target, down_to, only_newest: wish.only_newest };
        let backup = backup(&wish, (&installation, standing), journal.as_ref(), aim, pack)?;
        let wishes = wish.wishes;
        Ok(Self { installation, standing, host, aim, wishes, journal, backup, lock: lock.map(Arc::new) })
    }

    /// Whether it is where it is to be.
    pub fn is_done(&self) -> bool {
        self.journal.is_none() && is_there(self.standing, self.aim)
    }

    fn backup_answer(&self) -> Option<Answer> {
        match &self.backup {
            BackupWish::Into(file, plan) | BackupWish::Again(_, file, plan) => {
                Some(Answer { backup: Some(file.clone()), ..plan.answer() })
            }
            BackupWish::Made(_) | BackupWish::No(_) | BackupWish::NotNeeded => None,
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "home": self.installation.home, "product": self.installation.product, "version": self.installation.version,
            "update_level": self.standing.update_level, "hotfixes": self.standing.hotfixes,
            "target": self.aim.target, "revert": self.standing.hotfixes.saturating_sub(self.aim.down_to),
            "backup": self.backup_answer(), "journal": self.journal, "done": self.is_done(),
        })
    }
}

/// Whether the product is where it is to be; whether there is a later level, only the tool knows.
pub(super) fn is_there(standing: Standing, aim: Aim) -> bool {
    let has_level = match aim.target {
        Target::Reverted => true,
        Target::Level(level) => standing.update_level == Some(level),
        Target::Latest => false,
    };
    has_level && standing.hotfixes <= aim.down_to
}

/// A journal of a run that has changed something.
pub(super) fn begun(journal: Option<&Journal>) -> Option<&Journal> {
    journal.filter(|journal| journal.has_changed)
}

/// The tool goes forward only.
fn check_level(installation: &Installation, standing: Standing, target: Target) -> Result<(), Problem> {
    match (target, standing.update_level) {
        (Target::Level(asked), Some(there)) if there > asked => Err(Problem::new(
            format!("{} is at update level {there}, which is beyond {asked}", installation.home.display()),
            format!("give --to-level with {there} or more: the update tool goes forward only"),
        )),
        _ => Ok(()),
    }
}

/// What root writes the product's user cannot read or replace, and what the tool has kept for reverting is that user's.
fn check_user(installation: &Installation, allow_root: bool) -> Result<(), Problem> {
    let owner = fs::metadata(&installation.home).map_or(0, |metadata| metadata.uid());
    if allow_root || owner == 0 || !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Problem::new(
        format!(
            "{} belongs to the user {owner}, and what the update tool writes would be root's",
            installation.home.display()
        ),
        "run as that user, or give --allow-root",
    ))
}

/// Whether what was begun can be gone on with, or given up. What is somebody else's cannot: neither notes could be written nor the
/// backup be read.
fn check_notes(journal: &Journal, target: Target, installation: &Installation) -> Result<(), Problem> {
    if let Some(owner) = journal.other_owner().filter(|_| !rustix::process::geteuid().is_root()) {
        let folder = journal.folder().display();
        return Err(Problem::new(
            format!("{folder} belongs to the user {owner}, who was {}", journal.words()),
            "run as that user, or have it, the backup, and whatever else in the product is theirs made yours (chown -R)",
        ));
    }
    if !journal.has_changed {
        return Ok(());
    }
    journal.check(target, installation)?;
    // Without it the run can only be begun anew.
    journal.snapshot().map(drop)
}

fn check_tool(installation: &Installation, host: Host) -> Result<(), Problem> {
    let has = |name: &str| installation.home.join(BIN).join(name).is_file();
    if has(host.update_tool) || has(SETUP_SCRIPT) {
        return Ok(());
    }
    let home = installation.home.display().to_string();
    Err(no_update_tool(&home, host, "take it from a clean pack of the product"))
}

fn check_disk(installation: &Installation) -> Result<(), Problem> {
    let lengths = WalkDir::new(&installation.home).into_iter().filter_map(Result::ok);
    let bytes: u64 = lengths.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum();
    let needed = disk_needed(bytes);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    for place in [Some(installation.home.clone()), home].into_iter().flatten().filter(|place| place.is_dir()) {
        let Ok(free) = free_disk(&place) else { continue };
        if free < needed {
            return Err(Problem::new(
                format!(
                    "{} has {} free, and {} are needed (3 × product + 500 MB, the vendor's rule)",
                    place.display(),
                    ByteSize(free),
                    ByteSize(needed)
                ),
                "make room, or give --no-disk-check to try all the same",
            ));
        }
    }
    Ok(())
}

impl fmt::Display for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { installation, standing, aim, .. } = self;
        if self.is_done() {
            let level = standing.update_level.map_or("an unknown level".to_owned(), |level| format!("level {level}"));
            let (name, home, hotfixes) = (installation.name(), installation.home.display(), standing.hotfixes);
            return writeln!(f, "{name} in {home} is at {level} with {hotfixes} hotfixes: nothing to do");
        }
        let level = shown(standing.update_level);
        writeln!(f, "product   {} {} at update level {level}", installation.product, installation.version)?;
        writeln!(f, "home      {}", installation.home.display())?;
        if let Some(begun) = begun(self.journal.as_ref()) {
            writeln!(f, "open      {}", begun.words())?;
        }
        match &self.backup {
            BackupWish::Made(file) => writeln!(f, "backup    {}, made before", file.display())?,
            BackupWish::No(reason) => writeln!(f, "backup    none: {}", printable(reason))?,
            BackupWish::NotNeeded => {}
            BackupWish::Into(file, plan) | BackupWish::Again(_, file, plan) => {
                if let BackupWish::Again(first, ..) = &self.backup {
                    writeln!(f, "backup    {}, made before; something is not as it was then", first.display())?;
                }
                let answer = plan.answer();
                writeln!(f, "backup    {} files, {}, to {}", answer.files, ByteSize(answer.bytes), file.display())?;
                for decision in &answer.folders {
                    let sign = if decision.taken { "+" } else { "-" };
                    writeln!(f, "          {sign} {}: {}", printable(&decision.folder), printable(&decision.reason))?;
                }
            }
        }
        for number in (aim.down_to + 1..=standing.hotfixes).rev() {
            writeln!(f, "revert    hotfix {number}")?;
        }
        match aim.target {
            Target::Reverted => {}
            Target::Level(to) if standing.update_level == Some(to) => {
                writeln!(f, "update    none: level {to} is there")?
            }
            Target::Level(to) => {
                writeln!(f, "update    to level {to} (whether there is one, only the update tool knows, afterwards)")?
            }
            Target::Latest => writeln!(f, "update    to the latest level")?,
        }
        Ok(())
    }
}
