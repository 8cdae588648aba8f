//! What a migration would do: made by reading, never by writing.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytesize::ByteSize;
use jiff::Timestamp;
use serde_json::{Value, json};
use walkdir::WalkDir;

use super::journal::{Backed, Journal, Target};
use super::{CONFIGURATION, shown};
use crate::host::Host;
use crate::inputs::free_disk;
use crate::installation::archive::Backup;
use crate::installation::backup::{Answer, BackupPlan};
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

/// What is to become of the user's data.
#[derive(Debug, Clone)]
pub enum BackupWish {
    /// It goes into this file.
    Into(PathBuf, BackupPlan),
    /// It is in this file already, since a run that was stopped.
    Made(PathBuf),
    /// It is not wanted, for this reason.
    No(String),
    /// Nothing is to be changed.
    NotNeeded,
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
    pub target: Target,
    /// How many hotfixes are to be left.
    pub down_to: usize,
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
        if let Some(begun) = begun(journal.as_ref()) {
            begun.check(wish.target, &installation)?;
        }
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
        let is_there = is_there(standing, wish.target) && standing.hotfixes <= down_to;
        let target = wish.target;
        let backup = backup(wish, (&installation, standing), journal.as_ref(), is_there, pack)?;
        Ok(Self { installation, standing, host, target, down_to, journal, backup, lock: lock.map(Arc::new) })
    }

    /// Whether it is where it is to be.
    pub fn is_done(&self) -> bool {
        let is_there = is_there(self.standing, self.target) && self.standing.hotfixes <= self.down_to;
        self.journal.is_none() && is_there
    }

    fn backup_answer(&self) -> Option<Answer> {
        match &self.backup {
            BackupWish::Into(file, plan) => Some(Answer { backup: Some(file.clone()), ..plan.answer() }),
            BackupWish::Made(_) | BackupWish::No(_) | BackupWish::NotNeeded => None,
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "home": self.installation.home, "product": self.installation.product, "version": self.installation.version,
            "update_level": self.standing.update_level, "hotfixes": self.standing.hotfixes,
            "target": self.target, "revert": self.standing.hotfixes.saturating_sub(self.down_to),
            "backup": self.backup_answer(), "journal": self.journal, "done": self.is_done(),
        })
    }
}

/// Whether the level is what is asked for; whether there is a later one, only the tool knows.
fn is_there(standing: Standing, target: Target) -> bool {
    match target {
        Target::Reverted => true,
        Target::Level(level) => standing.update_level == Some(level),
        Target::Latest => false,
    }
}

/// A journal of a run that has changed something.
pub(super) fn begun(journal: Option<&Journal>) -> Option<&Journal> {
    journal.filter(|journal| journal.has_changed)
}

/// What is to become of the user's data.
fn backup(
    wish: Wish,
    (installation, standing): (&Installation, Standing),
    journal: Option<&Journal>,
    is_there: bool,
    pack: Option<&ProductPack>,
) -> Result<BackupWish, Problem> {
    let absolute = |file: PathBuf| std::path::absolute(&file).unwrap_or(file);
    let asked = wish.backup.map(absolute);
    match (wish.no_backup, begun(journal).map(|journal| &journal.backed)) {
        (Some(reason), _) => return Ok(BackupWish::No(reason)),
        (None, Some(Backed::Up(file))) => return made(file, asked.as_deref(), &wish.wishes),
        (None, Some(Backed::No(reason))) if asked.is_none() => return Ok(BackupWish::No(reason.clone())),
        (None, None) if is_there => return Ok(BackupWish::NotNeeded),
        (None, _) => {}
    }
    let wishes =
        Wishes { also: Some((CONFIGURATION, "revert-hotfix takes back what was changed there since")), ..wish.wishes };
    let plan = BackupPlan::new(installation, pack, &wishes)?;
    // A run that was stopped before it changed anything can have made just this one.
    let earlier = match (&asked, journal.map(|journal| &journal.backed)) {
        (None, Some(Backed::Up(file))) => Some(file.clone()),
        (asked, _) => asked.clone(),
    };
    if let Some(file) = earlier.filter(|file| file.is_file())
        && let Ok(backup) = Backup::open(&file)
        && plan.is_in(&backup)?
    {
        return Ok(BackupWish::Made(file));
    }
    let file = asked.unwrap_or_else(|| beside(installation, standing));
    plan.check(&file).map_err(of_backup_option)?;
    Ok(BackupWish::Into(file, plan))
}

/// A problem with the file that `hotfix backup` calls `--to`.
pub(super) fn of_backup_option(problem: Problem) -> Problem {
    let hint = problem.hint().replace("--to ", "--backup ");
    problem.with_hint(hint)
}

/// The backup in `file`, from before anything was changed: what is asked for now must be what was asked for then.
fn made(file: &Path, asked: Option<&Path>, wishes: &Wishes) -> Result<BackupWish, Problem> {
    if let Some(asked) = asked.filter(|asked| *asked != file) {
        return Err(Problem::new(
            format!(
                "{} was asked for, but the backup was made before anything was changed: {}",
                asked.display(),
                file.display()
            ),
            "leave --backup out; 'hotfix backup' makes another one",
        ));
    }
    let backup = Backup::open(file).map_err(|problem| {
        problem.with_hint("it was made before anything was changed: put it back, or give --no-backup with a reason")
    })?;
    let is_in =
        |wish: &str| backup.manifest.folders.iter().any(|one| one.taken && Path::new(wish).starts_with(&one.folder));
    match wishes.include.iter().find(|wish| !is_in(wish)) {
        None => Ok(BackupWish::Made(file.to_owned())),
        Some(missing) => Err(Problem::new(
            format!(
                "{} is not in the backup {}, which was made before anything was changed",
                printable(missing),
                file.display()
            ),
            "leave --include out; 'hotfix backup' makes another one",
        )),
    }
}

/// Beside the product, by where it stands and the time; no file that is there.
fn beside(installation: &Installation, standing: Standing) -> PathBuf {
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let name = installation.home.file_name().unwrap_or_default().to_string_lossy();
    let stem = format!("{name}-level-{}-hf{}-{time}", shown(standing.update_level), standing.hotfixes);
    let folder = installation.home.parent().unwrap_or(Path::new("/"));
    let first = folder.join(format!("{stem}.tar.zst"));
    let more = (2..).map(|number| folder.join(format!("{stem}-{number}.tar.zst")));
    let mut names = [first].into_iter().chain(more);
    names.find(|name| name.symlink_metadata().is_err()).unwrap_or_else(|| folder.join(stem))
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
        let Self { installation, standing, target, .. } = self;
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
            BackupWish::Into(file, plan) => {
                let answer = plan.answer();
                writeln!(f, "backup    {} files, {}, to {}", answer.files, ByteSize(answer.bytes), file.display())?;
                for decision in &answer.folders {
                    let sign = if decision.taken { "+" } else { "-" };
                    writeln!(f, "          {sign} {}: {}", printable(&decision.folder), printable(&decision.reason))?;
                }
            }
        }
        for number in (self.down_to + 1..=standing.hotfixes).rev() {
            writeln!(f, "revert    hotfix {number}")?;
        }
        match target {
            Target::Reverted => {}
            Target::Level(to) if standing.update_level == Some(*to) => {
                writeln!(f, "update    none: level {to} is there")?
            }
            Target::Level(to) => writeln!(f, "update    to level {to}")?,
            Target::Latest => writeln!(f, "update    to the latest level")?,
        }
        Ok(())
    }
}
