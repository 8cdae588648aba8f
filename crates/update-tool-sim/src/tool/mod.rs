//! The executable: reads its behaviour from its own file, its command from its arguments, and does what is known
//! of the vendor's tool, no cleverer.
//!
//! Exit codes, as documented by the vendor: 0 done, 1 error, 2 updated itself (run again), 3 conflicts, 4
//! reverted.
#![allow(clippy::print_stdout, clippy::print_stderr)] // It is a command-line tool: printing is what it does.

mod apply;
mod arguments;
mod backup;
mod config;
mod credentials;
mod docker;
mod fault;
mod log;
mod product;
mod revert;
mod self_update;
mod stamp;
mod stop;
mod undo;
mod update;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::behaviour::{Fault, ToolBehaviour};
use crate::hotfix_manifest::Behave;
use crate::journal::Call;
use crate::trailer;
use apply::Hotfix;
use arguments::{Arguments, Command};
use config::Config;
use credentials::Credentials;
use product::Product;
use stop::Stop;

/// Whether the running executable carries a behaviour. One that is something else as well, such as an example
/// that plays all parts, asks this first and calls [`main`] if so.
#[must_use]
pub fn is_tool() -> bool {
    let behaviour = std::env::current_exe().and_then(|path| trailer::read(&path));
    matches!(behaviour, Ok(Some(_)))
}

/// Runs the tool with the arguments of the process.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            eprintln!("{stop}");
            ExitCode::from(stop.code())
        }
    }
}

fn run() -> Result<(), Stop> {
    let executable = std::env::current_exe().context("cannot find the own executable")?;
    let behaviour = trailer::read(&executable).context("cannot read the own executable")?.unwrap_or_default();
    if let Some(journal) = &behaviour.journal {
        Call::current(&behaviour.version).append_to(journal).context("cannot write the journal")?;
    }
    std::thread::sleep(Duration::from_millis(behaviour.slow_ms));

    let arguments = Arguments::parse(std::env::args().skip(1))?;
    match arguments.command {
        Command::Version => println!("update tool {}", behaviour.version),
        Command::Help => println!("{}", arguments::HELP),
        _ => run_authenticated(&Product::of(&executable)?, &behaviour, &arguments)?,
    }
    Ok(())
}

/// Every command that logs in: credentials, the self-update that comes with them, then the command.
fn run_authenticated(product: &Product, behaviour: &ToolBehaviour, arguments: &Arguments) -> Result<(), Stop> {
    let credentials = Credentials::find(arguments, behaviour)?;
    self_update::run_if_due(product, behaviour, &arguments.command)?;

    let hotfix = match &arguments.command {
        Command::ApplyHotfix { zip } => Some(Hotfix::open(zip)),
        _ => None,
    };
    if matches!(&hotfix, Some(Ok(hotfix)) if hotfix.manifest.behave == Behave::NothingAtAll) {
        return Ok(());
    }
    let mut config = Config::load(product, behaviour)?;
    config.log_in(&credentials, product)?;
    config.save(product)?;
    log::append(product, &credentials, arguments.command.name())?;
    if behaviour.loud {
        credentials.print_with(&config);
    }
    if behaviour.spawn_grandchild {
        fault::leave_child_behind(product, fault::Group::Same)?;
    }

    fault::happen(fault_of(&arguments.command, behaviour))?;
    match &arguments.command {
        Command::CurrentState => config.print(),
        Command::Check => println!("no newer update level is known"),
        Command::RevertHotfix => revert::run(product, &mut config)?,
        Command::CreateDocker { tag, os } => docker::build(product, &config, tag, os)?,
        Command::ApplyHotfix { .. } => {
            let hotfix = hotfix.expect("opened above for this command")?;
            apply::run(product, behaviour, &mut config, hotfix)?;
        }
        Command::Update(options) => update::run(product, behaviour, &mut config, options)?,
        Command::Version | Command::Help => {}
    }
    Ok(())
}

fn fault_of(command: &Command, behaviour: &ToolBehaviour) -> Fault {
    match command {
        Command::CurrentState => behaviour.on_current_state,
        Command::ApplyHotfix { .. } => behaviour.on_apply_hotfix,
        Command::RevertHotfix => behaviour.on_revert_hotfix,
        Command::CreateDocker { .. } => behaviour.on_create_docker,
        Command::Update(_) => behaviour.on_update,
        Command::Check | Command::Version | Command::Help => Fault::None,
    }
}
