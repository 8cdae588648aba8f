//! The command line.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};

pub(super) const HELP: &str = "commands: current-state, apply-hotfix [--offline] <zip>, revert-hotfix, \
create-docker [-t TAG] [--os alpine], version, check, help, or none to take updates [--level N] [--continue] [--dry-run] \
[--no-backup] [--backup DIR]; flags: -u/--username, -p/--password";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    CurrentState,
    ApplyHotfix { zip: PathBuf },
    RevertHotfix,
    CreateDocker { tag: Option<String>, os: Option<String> },
    Version,
    Check,
    Help,
    Update(UpdateOptions),
}

/// What is said of an update.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UpdateOptions {
    pub(super) level: Option<String>,
    pub(super) after_conflicts: bool,
    pub(super) dry_run: bool,
    pub(super) no_backup: bool,
    pub(super) backup: Option<String>,
}

impl Command {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::CurrentState => "current-state",
            Self::ApplyHotfix { .. } => "apply-hotfix",
            Self::RevertHotfix => "revert-hotfix",
            Self::CreateDocker { .. } => "create-docker",
            Self::Version => "version",
            Self::Check => "check",
            Self::Help => "help",
            Self::Update(_) => "update",
        }
    }
}

/// The command line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) command: Command,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

impl Arguments {
    /// Flags may be anywhere, their values joined by `=` or the next argument.
    pub(super) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut arguments = arguments.into_iter();
        let (mut words, mut offline) = (Vec::new(), false);
        let (mut username, mut password, mut tag, mut os) = (None, None, None, None);
        let mut update = UpdateOptions::default();
        while let Some(argument) = arguments.next() {
            let (flag, joined) = match argument.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            let target = match flag {
                "-u" | "--username" => &mut username,
                "-p" | "--password" => &mut password,
                "-t" | "--tag" => &mut tag,
                "--os" => &mut os,
                "--level" => &mut update.level,
                "--backup" => &mut update.backup,
                "--offline" | "--continue" | "--dry-run" | "--no-backup" => {
                    let switch = match flag {
                        "--offline" => &mut offline,
                        "--continue" => &mut update.after_conflicts,
                        "--dry-run" => &mut update.dry_run,
                        _ => &mut update.no_backup,
                    };
                    *switch = true;
                    continue;
                }
                _ if flag.starts_with('-') => bail!("unknown flag {flag}"),
                _ => {
                    words.push(argument);
                    continue;
                }
            };
            let value = joined.or_else(|| arguments.next());
            *target = Some(value.ok_or_else(|| anyhow!("{flag} lacks its value"))?);
        }
        let command = command(words, (tag, os), update)?;
        if offline && !matches!(command, Command::ApplyHotfix { .. }) {
            bail!("--offline is for apply-hotfix");
        }
        Ok(Self { command, username, password })
    }
}

fn command(words: Vec<String>, (tag, os): (Option<String>, Option<String>), update: UpdateOptions) -> Result<Command> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let command = match words.as_slice() {
        ["current-state"] => Command::CurrentState,
        ["apply-hotfix", zip] => Command::ApplyHotfix { zip: zip.into() },
        ["revert-hotfix"] => Command::RevertHotfix,
        ["create-docker"] => return Ok(Command::CreateDocker { tag, os }),
        ["version"] => Command::Version,
        ["check"] => Command::Check,
        ["help"] => Command::Help,
        [] if tag.is_none() && os.is_none() => return Ok(Command::Update(update)),
        other => bail!("not a command: {}", other.join(" ")),
    };
    if tag.is_some() || os.is_some() {
        bail!("--tag and --os are for create-docker");
    }
    if update != UpdateOptions::default() {
        bail!("--level, --continue, --dry-run, --no-backup and --backup are for updates");
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments> {
        Arguments::parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn flags_may_be_anywhere() {
        let expected = parse("apply-hotfix a.zip -u me -p secret").expect("valid");
        for line in [
            "-u me apply-hotfix --password=secret a.zip",
            "--username=me --password secret apply-hotfix --offline a.zip",
        ] {
            assert_eq!(parse(line).expect("valid"), expected);
        }
    }

    #[test]
    fn no_command_is_an_update() {
        let expected = UpdateOptions { level: Some("12".to_owned()), no_backup: true, ..UpdateOptions::default() };
        let update = |line| parse(line).expect("valid").command;
        assert_eq!(update("--level 12 -u me -p secret --no-backup"), Command::Update(expected));
        assert_eq!(
            update("--continue -u me"),
            Command::Update(UpdateOptions { after_conflicts: true, ..UpdateOptions::default() })
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "apply-hotfix",
            "apply-hotfix a b",
            "current-state -u",
            "current-state --nonsense",
            "current-state --offline",
            "current-state -t x",
            "current-state --level 3",
            "revert-hotfix --continue",
            "-t x",
            "nonsense",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
