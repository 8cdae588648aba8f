//! `hotfix cache`: what is kept for later runs, and how to be rid of it.

use std::fmt;

use bytesize::ByteSize;
use serde::Serialize;

use super::args::Cli;
use super::cache_args::CacheCommand;
use super::output;
use crate::cache::{Cache, Listed, Pruned};
use crate::step::{Problem, USAGE};

/// Exit code where the cache is there and cannot be read or written.
const UNUSABLE: u8 = 4;

/// Runs the command; returns the exit code.
pub(super) fn run(cli: &Cli, command: &CacheCommand) -> u8 {
    let (CacheCommand::List { cache } | CacheCommand::Prune { cache, .. }) = command;
    let Some(folder) = cache.folder() else {
        let what = "there is no folder for the cache: neither XDG_CACHE_HOME nor HOME is set".to_owned();
        output::error(&cli.talk, &[what], "give --cache-dir");
        return USAGE;
    };
    let unusable = |error: std::io::Error| {
        let hint = "check its name and its permissions; it belongs to whoever ran hotfix with it";
        let problem =
            Problem::new(format!("the cache {} cannot be read or changed", folder.display()), hint).because(error);
        output::error(&cli.talk, &problem.chain(), problem.hint());
        UNUSABLE
    };
    let cache = match Cache::existing(&folder) {
        Ok(cache) => cache,
        Err(error) => return unusable(error),
    };
    let answered = match (command, &cache) {
        (CacheCommand::List { .. }, Some(cache)) => cache.list().map(|list| output::answer(&cli.talk, &List(list))),
        (CacheCommand::List { .. }, None) => Ok(output::answer(&cli.talk, &List(Vec::new()))),
        (CacheCommand::Prune { keep_size, .. }, Some(cache)) => {
            let pruned = cache.prune(keep_size.map_or(0, |size| size.as_u64()));
            pruned.map(|pruned| output::answer(&cli.talk, &pruned))
        }
        (CacheCommand::Prune { .. }, None) => Ok(output::answer(&cli.talk, &Pruned::default())),
    };
    answered.unwrap_or_else(unusable)
}

#[derive(Serialize)]
#[serde(transparent)]
struct List(Vec<Listed>);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "nothing is cached");
        }
        writeln!(f, "{:<14}{:<28}{:>11}{:>8}  last used", "pack", "product", "size", "files")?;
        for entry in &self.0 {
            let product = entry.product.as_deref().unwrap_or("(unfinished)");
            let used = entry.last_used.map_or_else(|| "never".to_owned(), |time| format!("{time:.0}"));
            let now = if entry.in_use { ", in use" } else { "" };
            let sha256: String = entry.sha256.chars().take(12).collect();
            let size = ByteSize(entry.bytes).to_string();
            writeln!(f, "{sha256:<14}{product:<28}{size:>11}{:>8}  {used}{now}", entry.files)?;
        }
        Ok(())
    }
}

impl fmt::Display for Pruned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.removed {
            writeln!(f, "removed {} ({})", entry.product.as_deref().unwrap_or(&entry.sha256), ByteSize(entry.bytes))?;
        }
        if self.in_use > 0 {
            writeln!(f, "{} in use and kept", self.in_use)?;
        }
        writeln!(f, "{} freed", ByteSize(self.bytes))
    }
}
