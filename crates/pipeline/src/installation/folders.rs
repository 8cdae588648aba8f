//! The folders in which users keep data, and when the vendor says that they are to be backed up before the hotfixes are reverted.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::Installation;
use super::collect::{all, own};
use super::databases::Databases;
use super::manifest::{Entry, Kind};
use crate::pack::{ProductPack, printable};
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
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
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
    let include = wishes.include.iter().map(|wish| wished(installation, wish)).collect::<Result<Vec<_>, _>>()?;
    let exclude = wishes.exclude.iter().map(|wish| wished(installation, wish)).collect::<Result<Vec<_>, _>>()?;
    let also = wishes.also.filter(|(folder, _)| installation.home.join(folder).exists());
    let more = include.iter().map(String::as_str).chain(also.map(|(folder, _)| folder));
    let more: BTreeSet<&str> = more.filter(|wish| !FOLDERS.contains(wish)).collect();
    let mut found = Vec::new();
    for folder in FOLDERS.into_iter().chain(more) {
        let is_out = |path: &Path| exclude.iter().any(|wish| path.starts_with(wish));
        let entries = all(&installation.home, folder, is_out)?;
        let is_empty = entries.iter().all(|entry| entry.kind == Kind::Directory);
        let (mut entries, mut removed) = match pack {
            Some(pack) => own(&installation.home, folder, entries, pack)?,
            None => (entries, Vec::new()),
        };
        // A folder with nothing in it is no data.
        if entries.iter().all(|entry| entry.path == folder && entry.kind == Kind::Directory) {
            entries.clear();
        }
        removed.retain(|path| !is_out(Path::new(path)));
        let decision = match (is_out(Path::new(folder)), include.iter().any(|wish| wish == folder)) {
            (true, _) => Err("left as asked (--exclude)".to_owned()),
            (false, true) => Ok("taken as asked (--include)".to_owned()),
            (false, false) => match also.filter(|(also, _)| *also == folder) {
                Some((_, why)) => Ok(why.to_owned()),
                None => condition(installation, pack, folder, is_empty, &entries, &removed),
            },
        };
        let (taken, reason) = match decision {
            Ok(reason) => (true, reason),
            Err(reason) => (false, reason),
        };
        found.push(Folder { decision: Decision { folder: folder.to_owned(), taken, reason }, entries, removed });
    }
    Ok(found)
}

/// The vendor's condition for a folder: why it is taken, or else why not.
fn condition(
    installation: &Installation,
    pack: Option<&ProductPack>,
    folder: &str,
    is_empty: bool,
    entries: &[Entry],
    removed: &[String],
) -> Result<String, String> {
    let said = |text: &str| Err(text.to_owned());
    match folder {
        DEPLOYMENT if installation.is_identity_product() => {
            return said("identity products keep no APIs and execution plans");
        }
        TENANTS if installation.is_micro_integrator() => return said("Micro Integrator has no tenants"),
        LOGS => return said("logs are taken where they are wanted (--include repository/logs)"),
        _ => {}
    }
    let files = entries.iter().filter(|entry| entry.kind != Kind::Directory).count();
    if files == 0 && removed.is_empty() {
        return said(if is_empty { "there is nothing in it" } else { "it is as in the pack" });
    }
    let own = match (pack, removed.len()) {
        (Some(_), 0) => format!("{files} files are not as in the pack"),
        (Some(_), gone) => format!("{files} files are not as in the pack, and {gone} are gone"),
        (None, _) => format!("{files} files; which are your own is not known without --pack"),
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

/// A folder in the product that the user has named.
fn wished(installation: &Installation, wish: &str) -> Result<String, Problem> {
    let refused = |reason: &str| {
        Err(Problem::new(
            format!("{} is no folder of {}: {reason}", printable(wish), installation.home.display()),
            format!("give a path from there, such as {}", FOLDERS[0]),
        ))
    };
    let trimmed = wish.trim_end_matches('/');
    let path = Path::new(trimmed);
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if trimmed.is_empty() || !path.components().all(is_plain) {
        return refused("it leads elsewhere");
    }
    // Those of the vendor's list can be named whether they are there or not.
    if !FOLDERS.contains(&trimmed) && !installation.home.join(path).exists() {
        return refused("there is no such thing");
    }
    Ok(path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"))
}
