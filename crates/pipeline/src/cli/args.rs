//! The command line: what can be said, and the request that it makes.

// The comments on arguments are their help, where `<product>` is a placeholder.
#![allow(rustdoc::invalid_html_tags)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use hotfix_docker::base::Platform;
use secrecy::SecretString;

use super::cache_args::{CacheCommand, CacheOptions};
use super::env_args::EnvCommand;
use super::server_args::{BackupArgs, MigrateArgs, RestoreArgs, RevertArgs, StateArgs};
use crate::credentials::{CredentialSources, PASSWORD_VARIABLE, USERNAME_VARIABLE};
use crate::plan::DEFAULT_BASE_IMAGE;
use crate::request::{Output, Owner, Request, ToolCredentials, WorkspaceMode};

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
                                    130, 143  interrupted";

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
        image: String,
    },
    /// Unpacked packs that are kept to be used again
    #[command(subcommand)]
    Cache(CacheCommand),
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
}

/// `hotfix apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// User name of a WSO2 account, as the old script took it
    #[arg(index = 3)]
    pub username: Option<String>,
    /// Its password, as the old script took it; other users of the machine can read it here
    #[arg(index = 4)]
    pub password: Option<SecretString>,
    /// The run
    #[command(flatten)]
    pub run: Run,
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
    /// The image
    #[command(flatten)]
    pub image: ImageOptions,
    /// The work
    #[command(flatten)]
    pub work: WorkOptions,
}

/// What the image is like.
#[derive(Debug, Args)]
#[command(next_help_heading = "Image")]
pub struct ImageOptions {
    #[arg(long, value_name = "REF", help = format!("OS and Java to put the product on; scratch for none, oci:DIR[:TAG] for a layout [default: {DEFAULT_BASE_IMAGE}, with --output oci:DIR scratch]"))]
    base_image: Option<String>,
    /// An image that already holds the product, such as the vendor's own: only the hotfixes are added
    #[arg(long, value_name = "REF", conflicts_with_all = ["base_image", "dockerfile", "vendor_image", "chown"])]
    from_image: Option<String>,
    /// A Dockerfile of your own; its folder and the hotfixed <product>-<version>/ are the context
    #[arg(long, value_name = "FILE", conflicts_with_all = ["base_image", "vendor_image", "entrypoint", "env", "product_home", "chown"])]
    dockerfile: Option<PathBuf>,
    /// A build argument of the Dockerfile; without a value, that of the environment; can be given many times
    #[arg(long, value_name = "K[=V]", requires = "dockerfile", value_parser = build_arg)]
    build_arg: Vec<(String, String)>,
    /// Let the update tool build the image (create-docker), as the old script did
    #[arg(long, conflicts_with_all = ["base_image", "entrypoint", "env", "product_home", "chown", "platform"])]
    vendor_image: bool,
    /// Platform of the image, such as linux/arm64 [default: that of the base image here]
    #[arg(long, value_parser = linux, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Entry point of the image, a JSON array [default: the base's]
    #[arg(long, value_name = "JSON", value_parser = json_strings)]
    entrypoint: Option<JsonStrings>,
    /// A variable of the image; can be given many times
    #[arg(long, value_name = "K=V", value_parser = key_value)]
    env: Vec<(String, String)>,
    /// Where the product is in the image [default: WSO2_SERVER_HOME of the base, else /home/wso2carbon/<product>-<version>]
    #[arg(long, value_name = "PATH")]
    product_home: Option<String>,
    /// Whose the product is in the image [default: the owner of its place in the base, else 10001:10001]
    #[arg(long, value_name = "UID:GID")]
    chown: Option<Owner>,
    /// A name of the image; can be given many times [default: <product>:<version>.<level>-hf<n>]
    #[arg(short, long, value_name = "REF")]
    tag: Vec<String>,
    /// Repository of the default name
    #[arg(long, value_name = "REPO", conflicts_with = "tag")]
    repository: Option<String>,
    /// A label of the image; can be given many times
    #[arg(long, value_name = "K=V", value_parser = key_value)]
    label: Vec<(String, String)>,
    /// Where the image goes: docker, or oci:DIR for an OCI image layout that needs no engine
    #[arg(long, value_name = "WHERE", default_value = "docker")]
    output: Output,
    /// Push every name
    #[arg(long)]
    push: bool,
}

/// How the work is done.
#[derive(Debug, Args)]
#[command(next_help_heading = "Work")]
pub struct WorkOptions {
    /// Where the workspace is made [default: the folder for temporary files]
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Leave the workspace where it is; it is cleaned of secrets
    #[arg(long)]
    keep_workspace: bool,
    /// How the product gets into the workspace
    #[arg(long, value_enum, default_value = "auto", value_name = "MODE")]
    workspace_mode: WorkspaceMode,
    /// The cache
    #[command(flatten)]
    pub cache: CacheOptions,
    /// Unpack the pack into the workspace, and keep nothing of it
    #[arg(long, conflicts_with_all = ["cache_dir", "cache_size"])]
    no_cache: bool,
    /// Write report.json and summary.md here
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Bound on each step
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub step_timeout: Duration,
    /// Bound on the unpacked pack
    #[arg(long, value_name = "SIZE", default_value = "20GB", value_parser = size)]
    max_unpacked_size: ByteSize,
    /// Do not check the free disk
    #[arg(long)]
    pub no_disk_check: bool,
}

/// Text that was a JSON array of strings.
pub type JsonStrings = std::sync::Arc<[String]>;

impl Run {
    /// The request that the command line makes.
    pub fn request(&self) -> Request {
        let request = request(&self.pack, &self.hotfix_dir, &self.image, &self.work);
        Request { through: self.through, tool_credentials: self.tool_credentials, offline: self.offline, ..request }
    }
}

impl ImageOptions {
    /// Which options say that there is to be an image, and where: what stands in a file for other commands does not.
    pub fn that_ask_for_an_image(&self, set_elsewhere: &BTreeSet<String>) -> Vec<&'static str> {
        let asked = [
            ("tag", !self.tag.is_empty()),
            ("repository", self.repository.is_some()),
            ("push", self.push),
            ("output", self.output != Output::Docker),
            ("from-image", self.from_image.is_some()),
        ];
        let here = asked.into_iter().filter(|(name, is_set)| *is_set && !set_elsewhere.contains(*name));
        here.map(|(name, _)| name).collect()
    }
}

/// A request for an image of `pack` with all hotfixes in `hotfix_dir`.
pub(super) fn request(pack: &Path, hotfix_dir: &Path, image: &ImageOptions, work: &WorkOptions) -> Request {
    Request {
        pack: pack.to_owned(),
        hotfix_dir: hotfix_dir.to_owned(),
        through: None,
        tool_credentials: ToolCredentials::Env,
        offline: false,
        base_image: image.base_image.clone(),
        from_image: image.from_image.clone(),
        dockerfile: image.dockerfile.clone(),
        build_args: image.build_arg.clone(),
        vendor_image: image.vendor_image,
        platform: image.platform.clone(),
        entrypoint: image.entrypoint.as_ref().map(|strings| strings.to_vec()),
        env: image.env.clone(),
        product_home: image.product_home.clone(),
        chown: image.chown,
        tags: image.tag.clone(),
        repository: image.repository.clone(),
        labels: image.label.clone(),
        output: image.output.clone(),
        push: image.push,
        workspace: work.workspace.clone(),
        keep_workspace: work.keep_workspace,
        workspace_mode: work.workspace_mode,
        cache: work.cache.request().filter(|_| !work.no_cache),
        report: work.report.clone(),
        step_timeout: work.step_timeout,
        max_unpacked_size: work.max_unpacked_size.as_u64(),
        disk_check: !work.no_disk_check,
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or_else(|| "expected KEY=VALUE".to_owned())?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The product's scripts are for Linux, and so is every layer of ours.
fn linux(text: &str) -> Result<Platform, String> {
    match text.parse::<Platform>()? {
        platform if platform.os == "linux" => Ok(platform),
        _ => Err("expected a platform of Linux, such as linux/amd64 or linux/arm64".to_owned()),
    }
}

/// As `docker build` takes it: a name alone passes the variable of the environment on.
fn build_arg(text: &str) -> Result<(String, String), String> {
    if text.contains('=') || text.is_empty() {
        return key_value(text);
    }
    let value = std::env::var(text).map_err(|_| format!("expected KEY=VALUE: the environment has no {text}"))?;
    Ok((text.to_owned(), value))
}

fn json_strings(text: &str) -> Result<JsonStrings, String> {
    let strings: Vec<String> = serde_json::from_str(text)
        .map_err(|_| r#"expected a JSON array of strings, such as ["/entrypoint.sh"]"#.to_owned())?;
    Ok(strings.into())
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
        assert_eq!(key_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(key_value("=b").is_err() && key_value("a").is_err());
        assert!(json_strings(r#"["a"]"#).is_ok() && json_strings("a").is_err());
        assert!("0:0".parse::<Owner>().is_ok() && "root:root".parse::<Owner>().is_err());
        assert!("oci:".parse::<Output>().is_err() && "podman".parse::<Output>().is_err());
    }
}
