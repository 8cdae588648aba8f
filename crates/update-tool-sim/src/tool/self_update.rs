//! The tool replaces its own executable on first use, and asks to be run again.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};

use super::arguments::Command;
use super::product::Product;
use super::stop::Stop;
use crate::behaviour::ToolBehaviour;
use crate::trailer;

/// Replaces the executable by one that has one self-update less to do, if it has any.
pub(super) fn run_if_due(product: &Product, behaviour: &ToolBehaviour, command: &Command) -> Result<(), Stop> {
    let here = match command {
        Command::ApplyHotfix { .. } => !behaviour.self_update_on_create_docker,
        Command::CreateDocker { .. } => !behaviour.self_update_on_apply,
        _ => !behaviour.self_update_on_apply && !behaviour.self_update_on_create_docker,
    };
    if behaviour.self_updates == 0 || !here {
        return Ok(());
    }
    let newer = ToolBehaviour {
        version: next_version(&behaviour.version),
        self_updates: match behaviour.self_updates {
            u32::MAX => u32::MAX,
            more => more - 1,
        },
        ..behaviour.clone()
    };
    replace(product, &newer).context("cannot replace the own executable")?;
    Err(Stop::SelfUpdated(format!(
        "the update tool was updated from {} to {}: run the same command again",
        behaviour.version, newer.version
    )))
}

/// By renaming, since a running executable cannot be written to.
fn replace(product: &Product, newer: &ToolBehaviour) -> Result<()> {
    let old = &product.executable;
    let new = old.with_extension("new");
    fs::write(&new, trailer::append(fs::read(old)?, newer))?;
    let mode = fs::metadata(old)?.permissions().mode() & 0o777;
    let run_bits = if newer.self_update_loses_run_bit { 0o111 } else { 0 };
    fs::set_permissions(&new, fs::Permissions::from_mode(mode & !run_bits))?;
    fs::rename(&new, old)?;
    Ok(())
}

/// The last number raised by one.
fn next_version(version: &str) -> String {
    match version.rsplit_once('.') {
        Some((rest, last)) => format!("{rest}.{}", last.parse::<u64>().unwrap_or(0) + 1),
        None => format!("{version}.1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_raised_as_numbers() {
        assert_eq!(next_version("1.7.20"), "1.7.21");
        assert_eq!(next_version("1.7.9"), "1.7.10");
    }
}
