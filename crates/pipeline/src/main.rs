//! The command `hotfix`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hotfix_pipeline::cli::main(std::env::args_os())
}
