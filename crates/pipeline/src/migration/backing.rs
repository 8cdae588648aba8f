//! What is to become of the user's data before anything is changed, also where a run that was stopped has taken care of it already.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::journal::{Aim, Backed, Journal};
use super::plan::{Wish, begun, is_there};
use super::{CONFIGURATION, shown};
use crate::installation::archive::Backup;
use crate::installation::backup::BackupPlan;
use crate::installation::folders::Wishes;
use crate::installation::{Installation, Standing};
use crate::pack::{ProductPack, printable};
use crate::step::Problem;

/// What is to become of the user's data.
#[derive(Debug, Clone)]
pub enum BackupWish {
    /// It goes into this file.
    Into(PathBuf, BackupPlan),
    /// It is in this file already, since a run that was stopped.
    Made(PathBuf),
    /// It is in the first file, but something is not as it is there: what is there now goes into the second one as well.
    Again(PathBuf, PathBuf, BackupPlan),
    /// It is not wanted, for this reason.
    No(String),
    /// Nothing is to be changed.
    NotNeeded,
}

/// What is to become of the data of `installation`, which stands at `standing` and is to get to `aim`.
pub(super) fn backup(
    wish: &Wish,
    (installation, standing): (&Installation, Standing),
    journal: Option<&Journal>,
    aim: Aim,
    pack: Option<&ProductPack>,
) -> Result<BackupWish, Problem> {
    let absolute = |file: &PathBuf| std::path::absolute(file).unwrap_or_else(|_| file.clone());
    let asked = wish.backup.as_ref().map(absolute);
    let plan = |wishes: Wishes| {
        let why = "revert-hotfix takes back what was changed there since";
        BackupPlan::new(installation, pack, &Wishes { also: Some((CONFIGURATION, why)), ..wishes })
    };
    if let Some(begun) = begun(journal) {
        let first = match (&begun.backed, &wish.no_backup) {
            (Backed::Up(file), no) => match (made(begun, file, asked.as_deref(), &wish.wishes), no) {
                (Err(_), Some(reason)) => return Ok(BackupWish::No(reason.clone())),
                (Ok(first), Some(_)) => return Ok(BackupWish::Made(first.path)),
                (first, None) => first?,
            },
            (Backed::No(_), Some(reason)) => return Ok(BackupWish::No(reason.clone())),
            (Backed::No(reason), None) => return too_late(begun, reason, asked.as_deref(), &wish.wishes),
        };
        // What a server or its user has written since then would go with the hotfixes that are left.
        if standing.hotfixes > aim.down_to {
            let plan = plan(begun.wishes(&wish.wishes))?;
            if !plan.is_content_of(&first)? {
                return Ok(BackupWish::Again(first.path, beside(installation, standing), plan));
            }
        }
        return Ok(BackupWish::Made(first.path));
    }
    if let Some(reason) = &wish.no_backup {
        return Ok(BackupWish::No(reason.clone()));
    }
    if is_there(standing, aim) {
        return Ok(BackupWish::NotNeeded);
    }
    let plan = plan(wish.wishes.clone())?;
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
fn made(begun: &Journal, file: &Path, asked: Option<&Path>, wishes: &Wishes) -> Result<Backup, Problem> {
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
    let hint = "it was made before anything was changed: put it back, or give --no-backup with a reason";
    let backup = Backup::open(file).map_err(|problem| problem.with_hint(hint))?;
    let manifest = &backup.manifest;
    let then = Standing { update_level: manifest.update_level, hotfixes: manifest.hotfixes };
    if then != begun.from {
        let what = format!("{} is not the backup that was made before anything was changed", file.display());
        return Err(Problem::new(what, hint));
    }
    let is_in = |wish: &String| {
        let was_named = manifest.folders.iter().any(|one| one.taken && one.folder == *wish);
        was_named || manifest.entries.iter().any(|entry| Path::new(&entry.path).starts_with(wish))
    };
    match wishes.include.iter().find(|wish| !is_in(wish)) {
        None => Ok(backup),
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

/// A run that began without a backup goes on without one: what would be in it now is not what was there then.
fn too_late(begun: &Journal, reason: &str, asked: Option<&Path>, wishes: &Wishes) -> Result<BackupWish, Problem> {
    if asked.is_none() && wishes.include.is_empty() {
        return Ok(BackupWish::No(reason.to_owned()));
    }
    Err(Problem::new(
        format!(
            "a backup was asked for, but {} without one: what is there now is not what was there then",
            begun.words()
        ),
        "leave --backup and --include out; 'hotfix backup' makes one of what is there now",
    ))
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
