//! Taking updates: the command without a name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

use super::arguments::UpdateOptions;
use super::backup;
use super::config::Config;
use super::product::Product;
use super::stop::Stop;
use crate::behaviour::{FileUpdate, ToolBehaviour};

/// What a user is asked to decide between, and what they decided.
const ORIGINAL: &str = "original";
const NEW: &str = "new";
const FINAL: &str = "final";
/// What pipelines set that want the vendor's files, whatever was in them.
const SKIP_CONFLICTS: &str = "WSO2_UPDATES_SKIP_CONFLICTS";

/// Files that the user has to decide on.
#[derive(Serialize, Deserialize)]
struct Conflicts {
    level: u32,
    paths: Vec<String>,
}

pub(super) fn run(
    product: &Product,
    behaviour: &ToolBehaviour,
    config: &mut Config,
    options: &UpdateOptions,
) -> Result<(), Stop> {
    if config.newest_hotfix() > 0 {
        return Err(anyhow!("revert the hotfixes first").into());
    }
    if let Some(conflicts) = Conflicts::read(product)? {
        if !options.after_conflicts {
            return Err(Stop::Conflict(format!("decide on {} and continue", conflicts.paths.join(", "))));
        }
        return conflicts.settle(product, config);
    }
    let current: u32 = config.level().parse().context("the level is no number")?;
    let newest = behaviour.updates.last().map_or(current, |update| update.level);
    let target = match &options.level {
        Some(level) => level.parse().with_context(|| format!("{level} is no level"))?,
        None => newest,
    };
    if target != current && !behaviour.updates.iter().any(|update| update.level == target) {
        return Err(anyhow!("there is no level {target}").into());
    }
    let due = behaviour.updates.iter().filter(|update| update.level > current && update.level <= target);
    if options.dry_run {
        println!("would take {} updates to level {target}", due.count());
        return Ok(());
    }
    if !options.no_backup {
        let folder = options.backup.as_ref().map_or_else(|| product.backup(), PathBuf::from);
        config.set_backup_size(backup::take_into(product, &folder)?);
    }
    let mut conflicts = Conflicts { level: target, paths: Vec::new() };
    // Levels between are no states of a file: it goes from what it is to what it is to be.
    let mut files: BTreeMap<&str, Vec<&FileUpdate>> = BTreeMap::new();
    for file in due.flat_map(|update| &update.files) {
        files.entry(&file.path).or_default().push(file);
    }
    for (path, updates) in files {
        if !take(product, path, &updates)? {
            conflicts.paths.push(path.to_owned());
        }
    }
    if !conflicts.paths.is_empty() {
        conflicts.write(product)?;
        return Err(Stop::Conflict(format!("decide on {} and continue", conflicts.paths.join(", "))));
    }
    config.set_level(target);
    config.save(product)?;
    println!("at level {target}");
    Ok(())
}

/// Whether the file could be updated, from whichever of the levels it is at; else its versions are beside it.
fn take(product: &Product, path: &str, updates: &[&FileUpdate]) -> Result<bool> {
    let (Some(first), Some(last)) = (updates.first(), updates.last()) else { return Ok(true) };
    let file = product.home.join(path);
    let now = fs::read_to_string(&file).ok();
    if now == last.to {
        return Ok(true);
    }
    let is_the_vendors = updates.iter().any(|update| now == update.from || now == update.to);
    let skip = std::env::var(SKIP_CONFLICTS).is_ok_and(|value| value == "true");
    if !is_the_vendors && !skip {
        for (text, kind) in [(&first.from, ORIGINAL), (&last.to, NEW)] {
            write_whole(&beside(&file, kind), text.as_deref().unwrap_or_default().as_bytes())?;
        }
        return Ok(false);
    }
    match &last.to {
        Some(text) => write_whole(&file, text.as_bytes())?,
        None => fs::remove_file(&file).with_context(|| format!("cannot delete {path}"))?,
    }
    Ok(true)
}

impl Conflicts {
    fn file(product: &Product) -> PathBuf {
        product.own_files.join("conflicts").join(product.pattern())
    }

    fn read(product: &Product) -> Result<Option<Self>> {
        let file = Self::file(product);
        if !file.exists() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&fs::read(file)?)?))
    }

    fn write(&self, product: &Product) -> Result<()> {
        write_whole(&Self::file(product), &serde_json::to_vec(self)?)
    }

    /// Takes what the user has decided.
    fn settle(self, product: &Product, config: &mut Config) -> Result<(), Stop> {
        let place = |path: &String, kind| beside(&product.home.join(path), kind);
        let is_decided = |path: &String| place(path, FINAL).exists() || !place(path, NEW).exists();
        let open: Vec<&str> = self.paths.iter().filter(|path| !is_decided(path)).map(String::as_str).collect();
        if !open.is_empty() {
            return Err(Stop::Conflict(format!("there is no decision on {}", open.join(", "))));
        }
        for path in &self.paths {
            let decided = place(path, FINAL);
            if decided.exists() {
                write_whole(&product.home.join(path), &fs::read(&decided).context("cannot read a decision")?)?;
            }
            // The decision last: whoever is stopped before takes it again.
            for kind in [ORIGINAL, NEW, FINAL] {
                // Those of a run that was stopped are gone already.
                let _ = fs::remove_file(place(path, kind));
            }
        }
        config.set_level(self.level);
        config.save(product)?;
        fs::remove_file(Self::file(product)).context("cannot forget the conflicts")?;
        println!("at level {}", self.level);
        Ok(())
    }
}

fn beside(path: &Path, kind: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(kind);
    name.into()
}

/// Whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder)?;
    let new = folder.join(".update-tool.new");
    fs::write(&new, bytes)?;
    if let Ok(before) = fs::metadata(path) {
        fs::set_permissions(&new, before.permissions())?;
    }
    ensure!(!path.is_dir(), "{} is a folder", path.display());
    fs::rename(&new, path)?;
    Ok(())
}
