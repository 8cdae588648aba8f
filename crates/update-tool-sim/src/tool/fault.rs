//! What goes wrong on demand.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::credentials::prompt;
use super::product::Product;
use super::stop::Stop;
use crate::behaviour::Fault;

/// As good as for ever in a test, and yet nothing stays for good where a test fails to end it.
const HOUR: u64 = 3600;

pub(super) fn happen(fault: Fault) -> Result<(), Stop> {
    match fault {
        Fault::None => Ok(()),
        Fault::Error => Err(anyhow!("told to fail").into()),
        Fault::Conflict => Err(Stop::Conflict("told to find one".to_owned())),
        Fault::Reverted => Err(Stop::Reverted("told to revert".to_owned())),
        Fault::SelfUpdateClaimed => Err(Stop::SelfUpdated("run the command again".to_owned())),
        Fault::ExitCode(code) => Err(Stop::Code(code)),
        Fault::Abort => std::process::abort(),
        Fault::Prompt => Ok(prompt("Continue? [y/n]: ").map(drop)?),
        Fault::Hang => {
            std::thread::sleep(Duration::from_secs(HOUR));
            Err(anyhow!("told to hang, and nobody ended it").into())
        }
        Fault::HangIgnoringTerm => Err(hang_ignoring_term()),
    }
}

/// Becomes a `sleep` that has inherited ignored signals from a shell: so no unsafe code is needed.
fn hang_ignoring_term() -> Stop {
    let script = format!("trap '' HUP INT TERM; exec sleep {HOUR}");
    let error = Command::new("/bin/sh").args(["-c", &script]).exec();
    Stop::Error(anyhow!(error).context("cannot hang"))
}

/// The process group of a child that is left behind.
pub(super) enum Group {
    Same,
    Own,
}

/// Starts a child that outlives the tool and holds its stdout and stderr open.
pub(super) fn leave_child_behind(product: &Product, group: Group) -> Result<()> {
    let mut command = Command::new("sleep");
    command.arg(HOUR.to_string());
    if matches!(group, Group::Own) {
        command.process_group(0);
    }
    let child = command.spawn().context("cannot start a child")?;
    fs::create_dir_all(&product.own_files)?;
    let mut pids = OpenOptions::new().create(true).append(true).open(product.own_files.join("left-behind.pids"))?;
    writeln!(pids, "{}", child.id())?;
    Ok(())
}
