//! Configuration that went with the hotfixes, and how its user gets it again.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CONFIGURATION;
use super::snapshot::Snapshot;
use crate::changes::Delta;
use crate::installation::manifest::Manifest;
use crate::pack::printable;

/// A file that was not as before once the hotfixes were reverted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverted {
    path: String,
    /// How reverting left it; none where it was gone.
    content: Option<String>,
}

/// Such a file at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TakenBack {
    /// From the product's folder.
    pub path: String,
    /// What can be done about it.
    pub remedy: Remedy,
}

/// What can be done about such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// It can be put back from the backup.
    PutBack,
    /// It can be looked up in the backup: the update has changed it since, which putting it back would undo.
    Merge,
    /// The user had removed it, and can do so again.
    RemoveAgain,
    /// It is in no backup.
    None,
}

/// Files of the configuration that are not in `now` as they were `before`.
pub(super) fn find(before: &Snapshot, now: &Snapshot) -> Vec<Reverted> {
    let Delta { changed, added, removed } = before.until(now);
    let all = [changed, added, removed].concat().into_iter();
    let is_configuration = |path: &String| Path::new(path).starts_with(CONFIGURATION);
    all.filter(is_configuration).map(|path| Reverted { content: now.content(&path).cloned(), path }).collect()
}

/// What can be done about each of `reverted` that is not as it was `before` now either.
pub(super) fn remedies(
    reverted: &[Reverted],
    before: &Snapshot,
    now: &Snapshot,
    backup: Option<&Manifest>,
) -> Vec<TakenBack> {
    let is_in_backup = |path: &str| backup.is_some_and(|backup| backup.entries.iter().any(|entry| entry.path == path));
    let remedy = |Reverted { path, content }: &Reverted| match before.content(path) {
        None => Remedy::RemoveAgain,
        Some(_) if !is_in_backup(path) => Remedy::None,
        Some(_) if now.content(path) != content.as_ref() => Remedy::Merge,
        Some(_) => Remedy::PutBack,
    };
    let is_other = |reverted: &&Reverted| now.content(&reverted.path) != before.content(&reverted.path);
    let other = reverted.iter().filter(is_other);
    other.map(|reverted| TakenBack { path: reverted.path.clone(), remedy: remedy(reverted) }).collect()
}

/// What people read of it: the files, and commands that can be copied.
pub(super) struct Advice<'a> {
    pub(super) files: &'a [TakenBack],
    pub(super) home: &'a Path,
    pub(super) backup: Option<&'a Path>,
}

impl Advice<'_> {
    fn of(&self, remedy: Remedy) -> impl Iterator<Item = &str> {
        self.files.iter().filter(move |file| file.remedy == remedy).map(|file| file.path.as_str())
    }
}

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.files.is_empty() {
            return Ok(());
        }
        writeln!(f, "configuration that is not as it was before the hotfixes were reverted:")?;
        for TakenBack { path, remedy } in self.files {
            let remark = match remedy {
                Remedy::PutBack => "",
                Remedy::Merge => "  (the update has changed it since; yours is in the backup)",
                Remedy::RemoveAgain => "  (you had removed it)",
                Remedy::None => "  (yours is in no backup)",
            };
            writeln!(f, "  {}{remark}", printable(path))?;
        }
        let home = self.home.to_string_lossy();
        if let Some(backup) = self.backup.map(Path::to_string_lossy) {
            let only: String = self.of(Remedy::PutBack).map(|path| format!(" --only {}", quoted(path))).collect();
            if !only.is_empty() {
                let command = format!("hotfix restore {} {}{only} --force", quoted(&backup), quoted(&home));
                // Whose change it was is not known: the vendor's hotfixes change configuration too.
                writeln!(
                    f,
                    "careful: what the hotfixes themselves had changed in these files comes back with what you had changed"
                )?;
                writeln!(f, "see what differs: {command} --dry-run\nput it back:      {command}")?;
            }
            for path in self.of(Remedy::Merge) {
                writeln!(f, "see yours:        tar --zstd -xOf {} {}", quoted(&backup), quoted(path))?;
            }
        }
        let mut again = self.of(Remedy::RemoveAgain);
        again.try_for_each(|path| writeln!(f, "remove it again:  rm {}", quoted(&format!("{home}/{path}"))))
    }
}

/// As a shell takes it; what no shell and no terminal should see, as it is shown elsewhere.
fn quoted(text: &str) -> Cow<'_, str> {
    let shown = printable(text);
    if shown != text {
        return Cow::Owned(shown);
    }
    shlex::try_quote(text).unwrap_or(Cow::Owned(shown))
}
