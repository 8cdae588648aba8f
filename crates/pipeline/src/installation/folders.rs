//! The folders in which users keep data, and when the vendor says that they are to be backed up before the hotfixes are reverted.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::Installation;
use super::archive::changed;
use super::collect::{all, own};
use super::databases::Databases;
use super::manifest::{Entry, Kind};
use crate::migration::{CONFIGURATION, FOLDER as JOURNAL};
use crate::pack::{ProductPack, ancestors, printable};
use crate::step::Problem;

const DEPLOYMENT: &str = "repository/deployment/server";
const TENANTS: &str = "repository/tenants";
const SECURITY: &str = "repository/resources/security";
/// Where embedded databases are.
pub const DATABASE: &str = "repository/database";
const LIBRARIES: &str = "repository/components/lib";
const BUNDLES: &str = "repository/components/dropins";
const LOGS: &str = "repository/logs";

/// All of them, as the vendor lists them.
pub const FOLDERS: [&str; 7] = [DEPLOYMENT, TENANTS, SECURITY, DATABASE, LIBRARIES, BUNDLES, LOGS];

/// What was asked for beside the vendor's conditions.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Taken whatever the conditions say.
    pub include: Vec<String>,
    /// Left whatever they say.
    pub exclude: Vec<String>,
    /// A folder that is taken as well, and why.
    pub also: Option<(&'static str, &'static str)>,
}

/// Whether a folder is taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// From the product's folder.
    pub folder: String,
    /// Whether it is taken.
    pub taken: bool,
    /// Why, or why not.
    pub reason: String,
}

/// A folder with what is in it.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Whether it is taken, and why.
    pub decision: Decision,
    /// What is taken of it, or would be.
    pub entries: Vec<Entry>,
    /// Everything that is in it.
    pub(super) all: Vec<Entry>,
    /// Files of the pack that are gone from it; none where no pack is given.
    pub removed: Vec<String>,
}

impl Folder {
    /// Number of files and links.
    pub fn files(&self) -> usize {
        self.entries.iter().filter(|entry| entry.kind != Kind::Directory).count()
    }

    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(Entry::bytes).sum()
    }
}

/// What is to be done with each folder of `installation`; with a pack, only what is not as it is there.
///
/// # Errors
/// Where a folder cannot be read, or a wish is no folder of the product.
pub fn look_at(
    installation: &Installation,
    pack: Option<&ProductPack>,
    wishes: &Wishes,
) -> Result<Vec<Folder>, Problem> {
    let Wishes { include, exclude, also } = wishes;
    include.iter().chain(exclude).try_for_each(|wish| check_wish(installation, wish))?;
    include.iter().try_for_each(|wish| check_links(installation, wish))?;
    let also = also.filter(|(folder, _)| installation.home.join(folder).exists());
    let more = include.iter().map(String::as_str).chain(also.map(|(folder, _)| folder));
    let more: BTreeSet<&str> = more.filter(|wish| !FOLDERS.contains(wish)).collect();
    let mut found = Vec::new();
    for folder in FOLDERS.into_iter().chain(more) {
        let is_out = |path: &Path| exclude.iter().any(|wish| path.starts_with(wish));
        let before = match (is_out(Path::new(folder)), include.iter().any(|wish| wish == folder)) {
            (true, _) => Some(Err("left as asked (--exclude)".to_owned())),
            (false, true) => Some(Ok("taken as asked (--include)".to_owned())),
            (false, false) => match also.filter(|(also, _)| *also == folder) {
                Some((_, why)) => Some(Ok(why.to_owned())),
                None => never(installation, folder).map(|why| Err(why.to_owned())),
            },
        };
        let all = match all(&installation.home, folder, is_out) {
            // What is left anyway may be as it likes.
            Err(_) if matches!(before, Some(Err(_))) => Vec::new(),
            all => all?,
        };
        let (mut entries, mut removed) = match pack {
            Some(pack) => own(&installation.home, folder, all.clone(), pack)?,
            None => (all.clone(), Vec::new()),
        };
        // A folder with nothing in it is no data.
        if entries.iter().all(|entry| entry.path == folder && entry.kind == Kind::Directory) {
            entries.clear();
        }
        removed.retain(|path| !is_out(Path::new(path)));
        let is_empty = all.iter().all(|entry| entry.kind == Kind::Directory);
        let decision =
            before.unwrap_or_else(|| condition(installation, pack.is_some(), folder, is_empty, &entries, &removed));
        let (taken, reason) = match decision {
            Ok(reason) => (true, reason),
            Err(reason) => (false, reason),
        };
        found.push(Folder { decision: Decision { folder: folder.to_owned(), taken, reason }, entries, all, removed });
    }
    Ok(found)
}

/// That nothing in the folders that are taken is another than when they were looked at.
///
/// # Errors
/// Which file is.
pub(super) fn check_as_seen(home: &Path, folders: &[Folder], exclude: &[String]) -> Result<(), Problem> {
    let is_out = |path: &Path| exclude.iter().any(|wish| path.starts_with(wish));
    for Folder { decision, all: before, .. } in folders.iter().filter(|folder| folder.decision.taken) {
        let now = all(home, &decision.folder, is_out)?;
        let same = now.iter().zip(before).take_while(|(now, before)| now == before).count();
        if let Some(other) = now.get(same).or(before.get(same)) {
            return Err(changed(&home.join(&other.path)));
        }
    }
    Ok(())
}

/// Why a folder is left whatever is in it, by the vendor's conditions.
fn never(installation: &Installation, folder: &str) -> Option<&'static str> {
    match folder {
        DEPLOYMENT if installation.is_identity_product() => Some("identity products keep no APIs and execution plans"),
        TENANTS if installation.is_micro_integrator() => Some("Micro Integrator has no tenants"),
        LOGS => Some("logs are taken where they are wanted (--include repository/logs)"),
        _ => None,
    }
}

/// The vendor's condition for a folder: why it is taken, or else why not.
fn condition(
    installation: &Installation,
    is_compared: bool,
    folder: &str,
    is_empty: bool,
    entries: &[Entry],
    removed: &[String],
) -> Result<String, String> {
    let said = |text: &str| Err(text.to_owned());
    let files = entries.iter().filter(|entry| entry.kind != Kind::Directory).count();
    if files == 0 && removed.is_empty() {
        return said(if is_empty { "there is nothing in it" } else { "it is as in the pack" });
    }
    let own = match (is_compared, removed.len()) {
        (true, 0) => format!("{files} files are not as in the pack"),
        (true, gone) => format!("{files} files are not as in the pack, and {gone} are gone"),
        (false, _) => format!("{files} files; which are your own is not known without --pack"),
    };
    match folder {
        DEPLOYMENT => Ok(format!("APIs and execution plans: {own}")),
        TENANTS => Ok(format!("there are tenants: {own}")),
        SECURITY => Ok(format!("key stores can have been changed: {own}")),
        DATABASE => match Databases::of(&installation.home) {
            Databases::Embedded(why) => Ok(format!("{why}: {own}")),
            Databases::External(why) => Err(why),
        },
        LIBRARIES => Ok(format!("jars of your own: {own}")),
        BUNDLES => Ok(format!("bundles of your own: {own}")),
        _ => Ok(own),
    }
}

/// What is behind a link that a restore would not write through is not taken.
fn check_links(installation: &Installation, wish: &str) -> Result<(), Problem> {
    let is_link = |path: &&str| installation.home.join(path).symlink_metadata().is_ok_and(|it| it.is_symlink());
    match ancestors(wish).chain([wish]).find(|path| is_link(path) && !may_be_a_link(path)) {
        None => Ok(()),
        Some(link) => Err(Problem::new(
            format!(
                "{} is a link, and 'hotfix restore' would not write through it",
                installation.home.join(link).display()
            ),
            "leave it out, and keep what it leads to in another way",
        )),
    }
}

/// Users have some folders with data elsewhere, behind a link; what is behind a link further down can be anywhere.
pub(super) fn may_be_a_link(folder: &str) -> bool {
    let roots = FOLDERS.into_iter().chain([CONFIGURATION]);
    roots.into_iter().any(|root| Path::new(root).starts_with(folder))
}

/// What the user has named is there. Those of the vendor's list can be named whether they are or not.
fn check_wish(installation: &Installation, wish: &str) -> Result<(), Problem> {
    if FOLDERS.contains(&wish) || installation.home.join(wish).symlink_metadata().is_ok() {
        return Ok(());
    }
    Err(Problem::new(
        format!("there is no {} in {}", printable(wish), installation.home.display()),
        format!("give a path from there, such as {}", FOLDERS[0]),
    ))
}

/// A path from the product's folder, as people type it.
///
/// # Errors
/// Where it leads elsewhere, to all of it, or to what is ours.
pub fn inner_path(text: &str) -> Result<String, String> {
    let mut parts = Vec::new();
    for part in Path::new(text).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            Component::CurDir => {}
            _ => return Err(format!("expected a path from the product's folder, such as {}", FOLDERS[0])),
        }
    }
    match parts.first() {
        None => Err(format!("expected a path in the product, such as {}", FOLDERS[0])),
        Some(first) if first == JOURNAL => Err("that is hotfix's own".to_owned()),
        Some(_) => Ok(parts.join("/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_in_the_product() {
        for text in ["repository/tenants", "./repository//tenants/", "repository/./tenants"] {
            assert_eq!(inner_path(text).as_deref(), Ok(TENANTS), "{text}");
        }
        for text in ["", ".", "./", "/", "/etc", "../x", "a/../b", ".hotfix-migration", "./.hotfix-migration/x"] {
            assert!(inner_path(text).is_err(), "{text}");
        }
    }
}
