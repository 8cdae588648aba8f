//! An installation from its hotfixes to an update level, or without them: the vendor's page of steps, in an order in which it can
//! be stopped anywhere and goes on from there.

mod backing;
mod conflicts;
mod image;
mod journal;
mod plan;
mod snapshot;
mod taken_back;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::blocking::blocking;
use crate::changes::Delta;
use crate::credentials::Credentials;
use crate::home::ProductHome;
use crate::installation::archive::Backup;
use crate::installation::backup::BackupPlan;
use crate::installation::{Installation, Standing};
use crate::recorder::Recorder;
use crate::request::ToolCredentials;
use crate::step::{Failure, Kind, Problem, Step};
use crate::update_tool::{Account, ToolPlace, Update, UpdateTool};

pub use backing::BackupWish;
pub use image::{check_packable, outline_of, pack_of};
pub use journal::{Aim, Backed, FOLDER, Journal, Target};
pub use plan::{Migration, Wish};
use snapshot::Snapshot;
use taken_back::{Advice, Reverted};
pub use taken_back::{Remedy, TakenBack};

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
    /// Where it stood before.
    pub from: Standing,
    /// Where it stands.
    pub to: Standing,
    /// Where the user's data is.
    pub backup: Option<PathBuf>,
    /// Where it is as it was when a run went on that had been stopped.
    pub later_backups: Vec<PathBuf>,
    /// Files of the configuration that are not as they were, since the hotfixes were reverted.
    pub taken_back: Vec<TakenBack>,
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
        let _lock = self.lock.clone();
        self.warn();
        let home = Arc::new(ProductHome::Folder(self.installation.home.clone()));
        let account = Account { credentials, hand_over };
        let tool = UpdateTool::new(&home, self.host.update_tool, ToolPlace::user(), account);
        let work = Work { installation: self.installation.clone(), tool };
        match work.all(self, recorder).await {
            Ok(migrated) => Ok(migrated),
            Err(Failure { step, problem }) => {
                if problem.kind == Kind::Failed {
                    work.note_if_nothing_changed().await;
                }
                let hint = format!("{}; so far: {}", problem.hint(), work.stand());
                Err(Failure { step, problem: problem.with_hint(hint) })
            }
        }
    }

    /// Of what would be a surprise afterwards.
    fn warn(&self) {
        if self.aim.target != Target::Reverted && std::env::var_os(SKIP_CONFLICTS).is_some_and(|value| value == "true")
        {
            warn!(
                "{SKIP_CONFLICTS} is set: files that you and the vendor have changed become the vendor's, without a question"
            );
        }
        if let Some(begun) = plan::begun(self.journal.as_ref()).filter(|begun| begun.target != self.aim.target) {
            warn!("{} is given up", begun.words());
        }
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
        let cancel = cancel.clone();
        blocking(move || {
            let Migration { installation, aim, wishes, journal, backup, .. } = migration;
            if let Some(begun) = journal.filter(|journal| journal.has_changed) {
                let (backed, later) = back_up(backup, &cancel)?;
                let mut begun = begun.to(aim, backed);
                begun.later.extend(later);
                begun.save()?;
                return Ok(begun);
            }
            // Before the backup: what cannot be read is told before anything is written.
            let snapshot = Snapshot::take(&installation.home)?;
            let (backed, _) = back_up(backup, &cancel)?;
            Journal::begin(&installation, aim, (backed.clone(), &wishes), &snapshot).map_err(|problem| {
                let hint = format!("{}; {}", problem.hint(), backed.words());
                problem.with_hint(hint)
            })
        })
        .await
    }

    /// Newest first, each looked for in the tool's records afterwards.
    async fn revert(&self, journal: &mut Journal, cancel: &CancellationToken) -> Result<(), Problem> {
        let mut standing = self.installation.standing()?;
        while standing.hotfixes > journal.down_to {
            self.installation.must_be_stopped()?;
            journal.taken_back = None;
            journal.change()?;
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

    async fn taken_back(&self, journal: &Journal) -> Result<Vec<Reverted>, Problem> {
        let (before, home) = (journal.snapshot()?, self.installation.home.clone());
        let now = blocking(move || Snapshot::take(&home)).await?;
        Ok(taken_back::find(&before, &now))
    }

    async fn update(&self, journal: &mut Journal, update: Update, cancel: &CancellationToken) -> Result<(), Problem> {
        let is_there = |standing: Standing| matches!(update, Update::To(level) if standing.update_level == Some(level));
        let home = &self.installation.home;
        if !is_there(self.installation.standing()?) {
            self.installation.must_be_stopped()?;
            let conflicts = journal.conflicts.as_deref().unwrap_or_default();
            let open = conflicts::undecided(home, conflicts, journal.has_continued);
            if !open.is_empty() {
                return Err(conflicts::problem(home, &open));
            }
            journal.has_continued = journal.conflicts.is_some();
            let way = if journal.has_continued { Update::AfterConflicts } else { update };
            journal.change()?;
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
            let found = conflicts::find(&before, &now);
            journal.conflicts = Some(found.clone());
            journal.has_continued = false;
            journal.save().map(|()| found)
        };
        let home = &self.installation.home;
        match found.await {
            Err(problem) => problem,
            Ok(found) if found.is_empty() => conflicts::without_files(said),
            Ok(found) => {
                let open = conflicts::undecided(home, &found, false);
                conflicts::problem(home, if open.is_empty() { &found } else { &open })
            }
        }
    }

    /// Whoever mistyped a level, say, has not begun anything that is to be finished.
    async fn note_if_nothing_changed(&self) {
        let installation = self.installation.clone();
        let noted = blocking(move || {
            let Some(mut journal) = Journal::find(&installation)?.filter(|journal| journal.has_changed) else {
                return Ok(());
            };
            let is_as_it_was = journal.conflicts.is_none()
                && installation.standing()? == journal.from
                && Snapshot::take(&installation.home)? == journal.snapshot()?;
            if is_as_it_was {
                journal.has_changed = false;
                journal.save()?;
            }
            Ok(())
        });
        // Then it has to be taken for changed.
        if let Err(problem) = noted.await {
            warn!("{problem}");
        }
    }

    fn finish(&self, journal: &Journal) -> Result<Migrated, Problem> {
        let (before, now) = (journal.snapshot()?, Snapshot::take(&self.installation.home)?);
        let reverted = journal.taken_back.as_deref().unwrap_or_default();
        let backup = match &journal.backed {
            Backed::Up(file) => Some(file.clone()),
            Backed::No(_) => None,
        };
        // Read only for this.
        let manifest = backup.as_ref().filter(|_| !reverted.is_empty()).and_then(|file| Backup::open(file).ok());
        let manifest = manifest.map(|backup| backup.manifest);
        let taken_back = taken_back::remedies(reverted, &before, &now, manifest.as_ref());
        let standing = self.installation.standing()?;
        journal.finish()?;
        Ok(Migrated {
            home: self.installation.home.clone(),
            product: self.installation.name(),
            from: journal.from,
            to: standing,
            backup,
            later_backups: journal.later.clone(),
            taken_back,
            changes: before.until(&now),
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
        let backed = journal.backed.words();
        if !journal.has_changed {
            return format!("{backed}, and nothing was changed");
        }
        let all = journal.from.hotfixes;
        match self.installation.standing() {
            Ok(Standing { update_level, hotfixes }) => {
                format!(
                    "{backed}, level {}, {hotfixes} of {all} hotfixes; the same command goes on{}",
                    shown(update_level),
                    if journal.is_in_conflict() { "" } else { ", another --to-level can take its place" }
                )
            }
            Err(problem) => format!("{backed}; {problem}"),
        }
    }
}

/// Does what is to become of the user's data; what was written beside an earlier backup comes second.
fn back_up(wish: BackupWish, cancel: &CancellationToken) -> Result<(Backed, Option<PathBuf>), Problem> {
    let write = |file: &Path, plan: BackupPlan| {
        let (_, answer) = plan.write(file, cancel).map_err(backing::of_backup_option)?;
        info!("backed up: {} files, read back and whole, in {}", answer.files, file.display());
        Ok(())
    };
    Ok(match wish {
        BackupWish::No(reason) => {
            warn!("nothing is backed up: {reason}");
            (Backed::No(reason), None)
        }
        BackupWish::Into(file, plan) => {
            write(&file, plan)?;
            (Backed::Up(file), None)
        }
        BackupWish::Again(first, file, plan) => {
            info!("something is not as it is in {}: what is there now is backed up as well", first.display());
            write(&file, plan)?;
            (Backed::Up(first), Some(file))
        }
        BackupWish::NotNeeded => (Backed::No("nothing was to be changed".to_owned()), None),
        BackupWish::Made(file) => (Backed::Up(file), None),
    })
}

fn shown(level: Option<u32>) -> String {
    level.map_or_else(|| "unknown".to_owned(), |level| level.to_string())
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} in {}: from {} to {}", self.product, self.home.display(), self.from, self.to)?;
        let Delta { changed, added, removed } = &self.changes;
        writeln!(f, "{} files changed, {} added, {} removed", changed.len(), added.len(), removed.len())?;
        if let Some(backup) = &self.backup {
            writeln!(f, "the backup is {}", backup.display())?;
        }
        for later in &self.later_backups {
            writeln!(f, "what was not as in it when a run went on is in {}", later.display())?;
        }
        Advice { files: &self.taken_back, home: &self.home, backup: self.backup.as_deref() }.fmt(f)
    }
}
