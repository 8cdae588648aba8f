//! What a run has done to an installation, kept in it until all is done: whoever comes after a run that was stopped goes on from
//! there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hotfix_docker::files;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::snapshot::Snapshot;
use super::taken_back::Reverted;
use crate::installation::folders::Wishes;
use crate::installation::{Installation, Standing};
use crate::step::Problem;
use crate::update_tool::Update;

/// In the product's folder.
pub const FOLDER: &str = ".hotfix-migration";
const JOURNAL: &str = "journal.json";
const SNAPSHOT: &str = "before.json";
const SCHEMA: u32 = 1;

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Without hotfixes, at the level that it has.
    Reverted,
    /// To this update level.
    Level(u32),
    /// To the latest one.
    Latest,
}

/// Where a run is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    /// At which level.
    pub target: Target,
    /// With how many hotfixes.
    pub down_to: usize,
    /// Whether only the newest of them is to go.
    pub only_newest: bool,
}

/// What became of the user's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backed {
    /// It is in this file.
    Up(PathBuf),
    /// It was not wanted, for this reason.
    No(String),
}

/// A run that is not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    schema: u32,
    /// When it began.
    pub begun: Timestamp,
    /// Where to.
    pub target: Target,
    /// Where the product stood then.
    pub from: Standing,
    /// How many are to be left.
    pub down_to: usize,
    /// Whether only the newest is to go.
    pub only_newest: bool,
    /// What became of the user's data.
    pub backed: Backed,
    /// Backups of what was not as in the first one when a run went on.
    pub later: Vec<PathBuf>,
    /// What was asked for beside the vendor's conditions.
    pub include: Vec<String>,
    /// What was asked to be left.
    pub exclude: Vec<String>,
    /// Whether the update tool was let at the product since; until then the backup is of nothing that is over.
    pub has_changed: bool,
    /// Files of the configuration that are not as they were, once the hotfixes are reverted.
    pub taken_back: Option<Vec<Reverted>>,
    /// Files that the user has to decide on; none where the update tool did not stop at any.
    pub conflicts: Option<Vec<String>>,
    /// Whether the update tool was told to take the decisions.
    pub has_continued: bool,
    #[serde(skip)]
    folder: PathBuf,
}

impl Backed {
    /// For whoever has to know where it is.
    pub fn words(&self) -> String {
        match self {
            Self::Up(file) => format!("the backup is {}", file.display()),
            Self::No(_) => "there is no backup".to_owned(),
        }
    }
}

impl Target {
    /// What the update tool is asked for; nothing where it is only to revert.
    pub fn update(self) -> Option<Update> {
        match self {
            Self::Reverted => None,
            Self::Level(level) => Some(Update::To(level)),
            Self::Latest => Some(Update::ToLatest),
        }
    }

    fn words(self) -> String {
        match self {
            Self::Reverted => "reverting its hotfixes".to_owned(),
            Self::Level(level) => format!("moving to level {level}"),
            Self::Latest => "moving to the latest level".to_owned(),
        }
    }
}

impl Journal {
    /// The run that was stopped in `installation`, if there is one.
    ///
    /// # Errors
    /// Where what it left cannot be read.
    pub fn find(installation: &Installation) -> Result<Option<Self>, Problem> {
        let folder = installation.home.join(FOLDER);
        let file = folder.join(JOURNAL);
        let unreadable = || {
            Problem::new(
                format!("{}, which a run that was stopped has left, cannot be read", file.display()),
                "see with 'hotfix state' where the product stands; then remove that folder, and begin anew (a backup is where \
                 --backup said, or beside the product)",
            )
        };
        let text = match files::read(&file, files::SMALL) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| unreadable().because(error))?,
        };
        let journal: Self = serde_json::from_slice(&text).map_err(|error| unreadable().because(error))?;
        if journal.schema > SCHEMA {
            return Err(unreadable().with_hint("it is of a newer hotfix: use that one"));
        }
        Ok(Some(Self { folder, ..journal }))
    }

    /// Removes what a run that was killed just before its end has left: all was done.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn clean(installation: &Installation) -> Result<(), Problem> {
        let folder = installation.home.join(FOLDER);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let what = format!("{} cannot be removed", folder.display());
                Err(Problem::new(what, "run as the user whom the product belongs to").because(error))
            }
            _ => Ok(()),
        }
    }

    /// Begins one, with the product as it is.
    ///
    /// # Errors
    /// Where the product cannot be read or written to.
    pub fn begin(
        installation: &Installation,
        aim: Aim,
        (backed, wishes): (Backed, &Wishes),
        snapshot: &Snapshot,
    ) -> Result<Self, Problem> {
        let standing = installation.standing()?;
        let journal = Self {
            schema: SCHEMA,
            begun: Timestamp::now(),
            target: aim.target,
            from: standing,
            down_to: aim.down_to,
            only_newest: aim.only_newest,
            backed,
            later: Vec::new(),
            include: wishes.include.clone(),
            exclude: wishes.exclude.clone(),
            has_changed: false,
            taken_back: None,
            conflicts: None,
            has_continued: false,
            folder: installation.home.join(FOLDER),
        };
        let text = serde_json::to_vec(snapshot).map_err(|error| journal.unwritable(error.into()))?;
        fs::create_dir_all(&journal.folder)
            .and_then(|()| write(&journal.folder, SNAPSHOT, &text))
            .map_err(|error| journal.unwritable(error))?;
        journal.save()?;
        Ok(journal)
    }

    /// Whether what was begun can be given up for `target`.
    ///
    /// # Errors
    /// Where the update tool has stopped at conflicts: then it can only go on.
    pub fn check(&self, target: Target, installation: &Installation) -> Result<(), Problem> {
        if self.target == target || !self.is_in_conflict() {
            return Ok(());
        }
        Err(Problem::new(
            format!("{} is in the middle of {}, with conflicts", installation.home.display(), self.words()),
            "finish that first, by the same command as then: the update tool can only go on",
        ))
    }

    /// Whether the update tool has stopped at files to decide on: then it can only go on.
    pub fn is_in_conflict(&self) -> bool {
        self.conflicts.as_ref().is_some_and(|files| !files.is_empty())
    }

    /// Whether it is to revert the newest hotfix alone.
    pub fn is_of_newest(&self) -> bool {
        self.target == Target::Reverted && self.only_newest
    }

    /// What was begun, and when.
    pub fn words(&self) -> String {
        format!("{}, begun on {}", self.target.words(), self.begun.strftime("%Y-%m-%d %H:%M UTC"))
    }

    /// The product as it was when the run began.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, Problem> {
        let file = self.folder.join(SNAPSHOT);
        let read = files::read(&file, files::SMALL).and_then(|text| Ok(serde_json::from_slice(&text)?));
        read.map_err(|error| {
            let hint = format!(
                "check its permissions; if it is lost, remove {}, and begin anew: {}",
                self.folder.display(),
                self.backed.words()
            );
            Problem::new(format!("{} cannot be read", file.display()), hint).because(error)
        })
    }

    /// For another target, perhaps.
    #[must_use]
    pub fn to(self, aim: Aim, backed: Backed) -> Self {
        let Aim { target, down_to, only_newest } = aim;
        Self { target, down_to, only_newest, backed, ..self }
    }

    /// What was asked for then and now beside the vendor's conditions.
    pub fn wishes(&self, now: &Wishes) -> Wishes {
        let both = |then: &[String], now: &[String]| [then, now].concat();
        Wishes {
            include: both(&self.include, &now.include),
            exclude: both(&self.exclude, &now.exclude),
            also: now.also,
        }
    }

    /// Where it is noted.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whose notes they are, where that is somebody else: what is root's, nobody else can go on with.
    pub fn other_owner(&self) -> Option<u32> {
        let owner = fs::metadata(self.folder.join(JOURNAL)).ok()?.uid();
        (owner != rustix::process::geteuid().as_raw()).then_some(owner)
    }

    /// Notes, before it is so, that the product is changed from now on.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn change(&mut self) -> Result<(), Problem> {
        self.has_changed = true;
        self.save()
    }

    /// Writes down where the run is.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn save(&self) -> Result<(), Problem> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| self.unwritable(error.into()))?;
        write(&self.folder, JOURNAL, &text).map_err(|error| self.unwritable(error))
    }

    /// All is done.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn finish(&self) -> Result<(), Problem> {
        // The journal first: without it the rest means nothing.
        let removed = fs::remove_file(self.folder.join(JOURNAL)).and_then(|()| fs::remove_dir_all(&self.folder));
        removed.map_err(|error| self.unwritable(error))
    }

    fn unwritable(&self, error: io::Error) -> Problem {
        let what = format!("{} cannot be written", self.folder.display());
        Problem::new(what, "run as the user whom the product belongs to, and make room").because(error)
    }
}

/// Whole or not at all, and for good.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, folder.join(name))?;
    File::open(folder)?.sync_all()
}
