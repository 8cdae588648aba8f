//! Runs other programs, and takes the time that they need.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::stop;

/// A program that has ended well.
#[derive(Debug, Clone)]
pub struct Ended {
    /// From before it was started until after it has ended.
    pub seconds: f64,
    /// What it printed to stdout.
    pub output: String,
}

/// Runs `command` to its end, without input.
///
/// # Errors
/// Where it cannot be started, or fails: then with what it said.
pub fn run(command: &mut Command) -> Result<Ended> {
    stop::check()?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let name = command.get_program().to_string_lossy().into_owned();
    let start = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let watched = stop::Watched::new(child.id());
    let output = child.wait_with_output().with_context(|| format!("cannot wait for {name}"))?;
    let seconds = start.elapsed().as_secs_f64();
    drop(watched);
    stop::check()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed: {}\n{}", output.status, end_of(&said));
    }
    Ok(Ended { seconds, output: String::from_utf8_lossy(&output.stdout).into_owned() })
}

fn end_of(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Whether there is a program of that name, or at that path, to be started.
pub fn is_there(name: &str) -> bool {
    let mut command = Command::new(name);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_printed_is_kept_and_what_went_wrong_is_told() {
        let shell = |script: &str| run(Command::new("sh").arg("-c").arg(script));
        assert_eq!(shell("echo out; echo err >&2").expect("it ends well").output, "out\n");
        let error = format!("{:#}", shell("echo why >&2; exit 3").expect_err("it fails"));
        assert!(error.contains("why") && error.contains('3'), "{error}");
    }
}
