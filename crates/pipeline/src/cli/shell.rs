//! `hotfix completions` and `man`: what shells and readers of manuals get, made from the command line itself.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use tracing::info;

use super::args::Cli;
use super::output;
use crate::step::{DONE, NO_PRODUCT, Problem};

pub(super) fn completions(cli: &Cli, shell: Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hotfix", &mut script);
    output::lines(&cli.talk, &[String::from_utf8_lossy(&script).trim_end()])
}

/// One page for each command.
pub(super) fn man(cli: &Cli, folder: &Path) -> u8 {
    let written = fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    match written {
        Ok(()) => {
            info!("manual pages in {}: see man -l {}", folder.display(), folder.join("hotfix.1").display());
            DONE
        }
        Err(error) => {
            let what = format!("manual pages cannot be written to {}", folder.display());
            let problem = Problem::new(what, "give a folder that can be written to").because(error);
            output::error(&cli.talk, &problem.chain(), problem.hint());
            NO_PRODUCT
        }
    }
}
