//! An installation from its hotfixes to an update level, or without them: the vendor's page of steps, in an order in which it can
//! be stopped anywhere and goes on from there.

mod conflicts;
mod image;
mod journal;
mod plan;
mod snapshot;

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::blocking::blocking;
use crate::changes::Delta;
use crate::credentials::Credentials;
use crate::home::ProductHome;
use crate::installation::archive::Backup;
use crate::installation::{Installation, Standing};
use crate::recorder::Recorder;
use crate::request::ToolCredentials;
use crate::step::{Failure, Kind, Problem, Step};
use crate::update_tool::{Account, ToolPlace, Update, UpdateTool};

pub use image::pack_of;
pub use journal::{Backed, FOLDER, Journal, Target};
pub use plan::{BackupWish, Migration, Wish};
use snapshot::Snapshot;

/// Set by pipelines that want the vendor's files, whatever was in them.
const SKIP_CONFLICTS: &str = "WSO2_UPDATES_SKIP_CONFLICTS";

/// Configuration that was changed since a hotfix was applied goes with it, says the vendor.
pub const CONFIGURATION: &str = "repository/conf";

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct Migrated {
    /// The product's folder.
    pub home: PathBuf,
    /// `wso2am-4.1.0`.
    pub product: String,
    /// Update level and number of hotfixes before.
    pub from: (Option<u32>, usize),
    /// And now.
    pub to: (Option<u32>, usize),
    /// Where the user's data is.
    pub backup: Option<PathBuf>,
    /// Files of the configuration that are not as they were, since the hotfixes were reverted.
    pub taken_back: Vec<String>,
    /// What is not as it was.
    pub changes: Delta,
}

impl Migration {
    /// Does what is left to be done.
    ///
    /// # Errors
    /// The step that failed, with where it stands; the same again goes on from there.
    pub async fn carry_out(
        self,
        credentials: &Credentials,
        hand_over: ToolCredentials,
        recorder: &mut Recorder,
    ) -> Result<Migrated, Failure> {
        let _lock = recorder.check(Step::ValidateInputs, || lock(&self.installation))?;
        warn_of_what_is_set(&self);
        let home = Arc::new(ProductHome::Folder(self.installation.home.clone()));
        let account = Account { credentials, hand_over };
        let tool = UpdateTool::new(&home, self.host.update_tool, ToolPlace::user(), account);
        let work = Work { installation: self.installation.clone(), tool };
        let done = work.all(self, recorder).await;
        done.map_err(|Failure { step, problem }| {
            let hint = format!("{}; so far: {}", problem.hint(), work.stand());
            Failure { step, problem: problem.with_hint(hint) }
        })
    }
}

struct Work<'a> {
    installation: Installation,
    tool: UpdateTool<'a>,
}

impl Work<'_> {
    async fn all(&self, migration: Migration, recorder: &mut Recorder) -> Result<Migrated, Failure> {
        let mut journal = recorder.run(Step::BackUp, async |cancel| self.back_up(migration, &cancel).await).await?;
        recorder.run(Step::InitializeUpdateTool, async |cancel| self.tool.initialize(&cancel).await).await?;
        let revert = async |cancel| self.revert(&mut journal, &cancel).await;
        recorder.run(Step::RevertHotfixes, revert).await?;
        if let Some(update) = journal.target.update() {
            let update = async |cancel| self.update(&mut journal, update, &cancel).await;
            recorder.run(Step::UpdateProduct, update).await?;
        }
        recorder.step(Step::BackUp, || self.finish(&journal))
    }

    /// The user's data into a file, unless that was done before.
    async fn back_up(&self, migration: Migration, cancel: &CancellationToken) -> Result<Journal, Problem> {
        let (installation, cancel) = (self.installation.clone(), cancel.clone());
        blocking(move || {
            let Migration { target, down_to, journal, backup, .. } = migration;
            let backed = match backup {
                BackupWish::No(reason) => {
                    warn!("nothing is backed up: {reason}");
                    Backed::No(reason)
                }
                BackupWish::Into(file, plan) => {
                    let (_, answer) = plan.write(&file, &cancel)?;
                    info!("backed up: {} files, read back and whole, in {}", answer.files, file.display());
                    Backed::Up(file)
                }
                BackupWish::NotNeeded => Backed::No("nothing was to be changed".to_owned()),
                BackupWish::Made(file) => {
                    check_backup(&file)?;
                    Backed::Up(file)
                }
            };
            let Some(journal) = journal else {
                let snapshot = Snapshot::take(&installation.home)?;
                return Journal::begin(&installation, (target, down_to), backed, &snapshot);
            };
            let journal = journal.to(target, down_to);
            journal.save()?;
            Ok(journal)
        })
        .await
    }

    /// Newest first, each looked for in the tool's records afterwards.
    async fn revert(&self, journal: &mut Journal, cancel: &CancellationToken) -> Result<(), Problem> {
        self.installation.must_be_stopped()?;
        let mut standing = self.installation.standing()?;
        while standing.hotfixes > journal.down_to {
            let newest = standing.hotfixes;
            self.tool.revert_hotfix(cancel).await?;
            standing = self.installation.standing()?;
            if standing.hotfixes + 1 != newest {
                return Err(Problem::new(
                    format!(
                        "the update tool said that hotfix {newest} is reverted, but its records have {} hotfixes",
                        standing.hotfixes
                    ),
                    "see with -v what it said; ask the vendor about this hotfix",
                ));
            }
            info!("hotfix {newest} is reverted, {} left", standing.hotfixes);
        }
        if journal.taken_back.is_none() {
            self.tool.current_state(cancel).await?;
            journal.taken_back = Some(self.taken_back(journal).await?);
            journal.save()?;
        }
        Ok(())
    }

    async fn taken_back(&self, journal: &Journal) -> Result<Vec<String>, Problem> {
        let (before, home) = (journal.snapshot()?, self.installation.home.clone());
        let now = blocking(move || Snapshot::take(&home)).await?;
        let Delta { changed, added, removed } = before.until(&now);
        let all = [changed, added, removed].concat();
        Ok(all.into_iter().filter(|path| std::path::Path::new(path).starts_with(CONFIGURATION)).collect())
    }

    async fn update(&self, journal: &mut Journal, update: Update, cancel: &CancellationToken) -> Result<(), Problem> {
        let is_there = |standing: Standing| matches!(update, Update::To(level) if standing.update_level == Some(level));
        let home = &self.installation.home;
        if !is_there(self.installation.standing()?) {
            self.installation.must_be_stopped()?;
            let open = conflicts::undecided(home, &journal.conflicts);
            if !open.is_empty() {
                return Err(conflicts::problem(home, &open));
            }
            let way = if journal.conflicts.is_empty() { update } else { Update::AfterConflicts };
            match self.tool.update(way, cancel).await {
                Err(problem) if problem.kind == Kind::Conflict => return Err(self.conflict(journal, problem).await),
                updated => updated?,
            }
        }
        let level = self.installation.standing()?.update_level;
        match update {
            Update::To(asked) if level != Some(asked) => Err(Problem::new(
                format!(
                    "the update tool said that it is done, but the product is at level {}, not {asked}",
                    shown(level)
                ),
                "see with -v what it said, and whether there is such a level",
            )),
            _ => {
                info!("the product is at update level {}", shown(level));
                Ok(())
            }
        }
    }

    /// Notes what there is to decide on, and says so.
    async fn conflict(&self, journal: &mut Journal, said: Problem) -> Problem {
        let found = async {
            let (before, home) = (journal.snapshot()?, self.installation.home.clone());
            let now = blocking(move || Snapshot::take(&home)).await?;
            journal.conflicts = conflicts::find(&before, &now);
            journal.save()
        };
        match found.await {
            Err(problem) => problem,
            // The tool has them elsewhere.
            Ok(()) if journal.conflicts.is_empty() => said,
            Ok(()) => conflicts::problem(&self.installation.home, &journal.conflicts),
        }
    }

    fn finish(&self, journal: &Journal) -> Result<Migrated, Problem> {
        let changes = journal.snapshot()?.until(&Snapshot::take(&self.installation.home)?);
        let standing = self.installation.standing()?;
        journal.finish()?;
        Ok(Migrated {
            home: self.installation.home.clone(),
            product: self.installation.name(),
            from: (journal.from_level, journal.from_hotfixes),
            to: (standing.update_level, standing.hotfixes),
            backup: match &journal.backed {
                Backed::Up(file) => Some(file.clone()),
                Backed::No(_) => None,
            },
            taken_back: journal.taken_back.clone().unwrap_or_default(),
            changes,
        })
    }

    /// Where it stands, for whoever has to go on.
    fn stand(&self) -> String {
        let journal = match Journal::find(&self.installation) {
            Ok(Some(journal)) => journal,
            // It is there from the moment on at which something is changed.
            Ok(None) => return "nothing was changed".to_owned(),
            Err(problem) => return problem.to_string(),
        };
        let backed = match &journal.backed {
            Backed::Up(file) => format!("the backup is {}", file.display()),
            Backed::No(_) => "there is no backup".to_owned(),
        };
        let standing = match self.installation.standing() {
            Ok(Standing { update_level, hotfixes }) => {
                format!("level {}, {hotfixes} of {} hotfixes", shown(update_level), journal.from_hotfixes)
            }
            Err(_) => "where the product stands cannot be read".to_owned(),
        };
        format!("{backed}, {standing}; the same command goes on from there")
    }
}

/// Held as long as it is not dropped.
fn lock(installation: &Installation) -> Result<File, Problem> {
    let home = installation.home.display();
    let failed = || Problem::new(format!("{home} cannot be locked"), "check its permissions");
    let folder = File::open(&installation.home).map_err(|error| failed().because(error))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => Err(Problem::new(
            format!("another hotfix is at work on {home}"),
            "wait until it has ended, and look with 'hotfix state'",
        )),
        Err(TryLockError::Error(error)) => Err(failed().because(error)),
    }
}

/// What would be a surprise afterwards.
fn warn_of_what_is_set(migration: &Migration) {
    if migration.target != Target::Reverted && std::env::var_os(SKIP_CONFLICTS).is_some_and(|value| value == "true") {
        warn!(
            "{SKIP_CONFLICTS} is set: files that you and the vendor have changed become the vendor's, without a question"
        );
    }
    let owner = fs::metadata(&migration.installation.home).map_or(0, |metadata| metadata.uid());
    if rustix::process::geteuid().is_root() && owner != 0 {
        warn!(
            "the product belongs to the user {owner}, and what the update tool writes will be root's: better run as that user"
        );
    }
}

fn check_backup(file: &std::path::Path) -> Result<(), Problem> {
    Backup::open(file).map(drop).map_err(|problem| {
        let hint = "it was made before anything was changed: put it back, or give --no-backup with a reason";
        problem.with_hint(hint)
    })
}

fn shown(level: Option<u32>) -> String {
    level.map_or_else(|| "unknown".to_owned(), |level| level.to_string())
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((from, before), (to, after)) = (self.from, self.to);
        writeln!(
            f,
            "{} in {}: from level {} with {before} hotfixes to level {} with {after}",
            self.product,
            self.home.display(),
            shown(from),
            shown(to)
        )?;
        let Delta { changed, added, removed } = &self.changes;
        writeln!(f, "{} files changed, {} added, {} removed", changed.len(), added.len(), removed.len())?;
        if let Some(backup) = &self.backup {
            writeln!(f, "the backup is {}", backup.display())?;
        }
        if !self.taken_back.is_empty() {
            writeln!(f, "configuration that is not as it was before the hotfixes were reverted:")?;
            self.taken_back.iter().try_for_each(|path| writeln!(f, "  {}", crate::pack::printable(path)))?;
            if let Some(backup) = &self.backup {
                let (backup, home) = (backup.display(), self.home.display());
                writeln!(f, "see what differs: hotfix restore {backup} {home} --only {CONFIGURATION} --dry-run")?;
            }
        }
        Ok(())
    }
}
