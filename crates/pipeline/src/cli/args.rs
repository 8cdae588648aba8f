//! The command line: what can be said, and the request that it makes.

// The comments on arguments are their help, where `<product>` is a placeholder.
#![allow(rustdoc::invalid_html_tags)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use hotfix_docker::retry::USUAL_TRIES;
use secrecy::SecretString;

use super::cache_args::CacheCommand;
use super::env_args::EnvCommand;
use super::image_args::{ImageOptions, WorkOptions, request};
use super::images::ImagesCommand;
use super::server_args::{BackupArgs, MigrateArgs, RestoreArgs, RevertArgs, StateArgs};
use crate::credentials::{CredentialSources, PASSWORD_VARIABLE, USERNAME_VARIABLE};
use crate::request::{Request, ToolCredentials};

/// Turns a WSO2 product pack and the vendor's hotfixes into a tested, pushed container image
#[derive(Debug, Parser)]
#[command(name = "hotfix", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// How to talk
    #[command(flatten)]
    pub talk: Talk,
    /// How often a registry is asked where another try can help
    #[arg(
        long,
        global = true,
        value_name = "N",
        default_value_t = USUAL_TRIES,
        value_parser = clap::value_parser!(u32).range(1..=100),
        help_heading = "Registries"
    )]
    pub retries: u32,
    /// File of settings, options by their long names [default: hotfix.toml in the current folder, if there]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// Names of options that were not given on the command line, but in the environment or in the file
    #[arg(skip)]
    pub set_elsewhere: BTreeSet<String>,
}

const EXIT_CODES: &str = "\
Every option can also be set as HOTFIX_<OPTION> in the environment, or in hotfix.toml.

Exit codes:
   0  done                             6  the update tool
   1  a defect of hotfix               7  conflicts
   2  wrong usage                      8  the image or the engine
   3  this machine is not supported    9  the push
   4  the inputs or the pack          10  a step ran out of time
   5  the sequence of hotfixes       11  a checked condition does not hold
 129, 130, 143  interrupted";

/// How to talk.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct Talk {
    /// Say more; twice, everything
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say only what is wrong
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Form of the log on stderr
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log_format: Format,
    /// Whether the log has colours
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub color: Color,
    /// Form of the answer on stdout
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub format: Format,
}

impl Default for Talk {
    fn default() -> Self {
        Self { verbose: 0, quiet: false, log_format: Format::Text, color: Color::Auto, format: Format::Text }
    }
}

/// Text for people, JSON for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant)] // There is one of it.
pub enum Command {
    /// Build an image of the product with the hotfixes applied
    Apply(Apply),
    /// Show what apply would do: writes nothing, needs no engine and no credentials
    Plan {
        /// The run
        #[command(flatten)]
        run: Run,
    },
    /// Show what an image contains, from its labels, else from the product's files in it
    Inspect {
        /// A reference (looked for in the engine, then in its registry), or oci:DIR or oci:DIR:TAG
        #[arg(value_parser = super::paths::place)]
        image: String,
    },
    /// Unpacked packs that are kept to be used again
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Images in the engine that hotfix has made
    #[command(subcommand)]
    Images(ImagesCommand),
    /// Environments: which hotfixes are where, by the registry alone
    #[command(subcommand)]
    Env(EnvCommand),
    /// Show what a product is and where it stands: level, hotfixes, data of your own
    State(StateArgs),
    /// Back up what users keep in an unpacked product, into one file that is read back
    Backup(BackupArgs),
    /// Put back what a backup holds; what is newer in the product stays
    Restore(RestoreArgs),
    /// Take hotfixes of an unpacked product back, newest first
    Revert(RevertArgs),
    /// Move an unpacked product from its hotfixes to an update level: backup, revert, update
    Migrate(MigrateArgs),
    /// Print the completions of a shell, for it to read
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write manual pages, one for each command
    Man {
        /// The folder for them; made where it is not there
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// `hotfix apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// The run
    #[command(flatten)]
    pub run: Run,
    /// User name of a WSO2 account, as the old script took it
    #[arg(index = 3, help_heading = None::<&str>)]
    pub username: Option<String>,
    /// Its password, as the old script took it; other users of the machine can read it here
    #[arg(index = 4, help_heading = None::<&str>)]
    pub password: Option<SecretString>,
    /// Show what would be done, and do nothing: the same as `hotfix plan`
    #[arg(long)]
    pub dry_run: bool,
    /// Where the credentials are
    #[command(flatten)]
    pub credentials: CredentialOptions,
}

/// Where the update tool's credentials are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials of the update tool")]
pub struct CredentialOptions {
    /// User name of a WSO2 account
    #[arg(short, long = "username", value_name = "USERNAME", id = "username_option")]
    username_option: Option<String>,
    /// File with the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,
}

impl Apply {
    /// Where the credentials may be.
    pub fn credential_sources(&self) -> CredentialSources {
        CredentialSources {
            positional_username: self.username.clone(),
            positional_password: self.password.clone(),
            ..self.credentials.sources()
        }
    }
}

impl CredentialOptions {
    /// Where the credentials may be.
    pub fn sources(&self) -> CredentialSources {
        CredentialSources {
            positional_username: None,
            positional_password: None,
            username: self.username_option.clone(),
            password_file: self.password_file.clone(),
            password_stdin: self.password_stdin,
            environment_username: std::env::var(USERNAME_VARIABLE).ok(),
            environment_password: std::env::var(PASSWORD_VARIABLE).ok().map(SecretString::from),
        }
    }
}

/// What `apply` and `plan` have in common.
#[derive(Debug, Args)]
pub struct Run {
    /// The product pack, a zip; or image:REF, an image that holds the product and gets the hotfixes
    #[arg(index = 1)]
    pub pack: PathBuf,
    /// Folder with the hotfixes, <product>-<version>.<level>-hf-<n>.zip
    #[arg(index = 2)]
    pub hotfix_dir: PathBuf,
    /// Apply only hotfixes 1 to N; 0 builds the image without any
    #[arg(long, value_name = "N", value_parser = number)]
    pub through: Option<u32>,
    /// How the update tool gets the credentials; flags are only for tools from before 2026, and visible to other users
    #[arg(long, value_enum, default_value = "env", value_name = "HOW")]
    pub tool_credentials: ToolCredentials,
    /// Let the update tool apply hotfixes without the network
    #[arg(long)]
    pub offline: bool,
    /// Do nothing where every name has an image already that was made from the same inputs
    #[arg(long)]
    pub if_changed: bool,
    /// Only tell what is not as in the image that is there, and make nothing
    #[arg(long)]
    pub report_only_changes: bool,
    /// The image
    #[command(flatten)]
    pub image: ImageOptions,
    /// The work
    #[command(flatten)]
    pub work: WorkOptions,
}

impl Run {
    /// The request that the command line makes.
    pub fn request(&self) -> Request {
        let request = request(&self.pack, &self.hotfix_dir, &self.image, &self.work);
        Request {
            through: self.through,
            tool_credentials: self.tool_credentials,
            offline: self.offline,
            if_changed: self.if_changed || self.report_only_changes,
            report_only_changes: self.report_only_changes,
            ..request
        }
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "expected a whole number such as 3".to_owned())
}

pub(super) fn size(text: &str) -> Result<ByteSize, String> {
    text.parse().map_err(|_| "expected a size such as 20GB or 500MiB".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "expected a time such as 30m, 90s or 1h30m".to_owned())?;
    let duration = Duration::try_from(span).map_err(|_| "a time cannot be negative".to_owned())?;
    if duration.is_zero() { Err("a time must be more than nothing".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn values_are_read_or_refused_with_what_was_expected() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        for text in ["", "5", "-3m", "0s", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
