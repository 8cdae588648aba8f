//! What the command line says of products that are unpacked, and may be servers.

use std::path::PathBuf;

use clap::Args;

use super::args::CredentialOptions;
use super::image_args::{ImageOptions, WorkOptions};
use crate::installation::folders::{Wishes, inner_path};
use crate::migration::Target;
use crate::request::ToolCredentials;

/// `hotfix state`.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// The folder of an unpacked product, a product pack, or image:REF
    #[arg(value_name = "HOME|PACK|image:REF")]
    pub what: PathBuf,
    /// The pack that the product was unpacked from, to tell which data is your own
    #[arg(long, value_name = "PACK")]
    pub pack: Option<PathBuf>,
}

/// `hotfix backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The folder of the unpacked product
    pub home: PathBuf,
    /// The file to write, .tar.zst; it must not be there
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// What to take
    #[command(flatten)]
    pub what: WhatToTake,
    /// Show what would be taken, and write nothing
    #[arg(long, help_heading = "Work")]
    pub dry_run: bool,
}

/// What is taken of a product.
#[derive(Debug, Args)]
pub struct WhatToTake {
    /// The pack that the product was unpacked from: only what is not as in it is taken
    #[arg(long, value_name = "PACK")]
    pub pack: Option<PathBuf>,
    /// A folder to take whatever the vendor's conditions say; can be given many times
    #[arg(long, value_name = "DIR", value_parser = inner_path)]
    include: Vec<String>,
    /// A folder to leave whatever they say; can be given many times
    #[arg(long, value_name = "DIR", value_parser = inner_path)]
    exclude: Vec<String>,
}

impl WhatToTake {
    /// Beside the vendor's conditions.
    pub fn wishes(&self) -> Wishes {
        Wishes { include: self.include.clone(), exclude: self.exclude.clone(), also: None }
    }
}

/// `hotfix restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The file that 'hotfix backup' wrote
    pub file: PathBuf,
    /// The folder of the unpacked product
    pub home: PathBuf,
    /// Only this folder or file; can be given many times
    #[arg(long, value_name = "DIR", value_parser = inner_path)]
    pub only: Vec<String>,
    /// Replace what is newer in the product as well
    #[arg(long)]
    pub force: bool,
    /// Show what differs, and write nothing
    #[arg(long, help_heading = "Work")]
    pub dry_run: bool,
}

/// Where the user's data goes before anything is changed.
#[derive(Debug, Args)]
pub struct BackupChoice {
    /// The file for the backup [default: beside the product, by level and time]
    #[arg(long, value_name = "FILE")]
    pub backup: Option<PathBuf>,
    /// Make no backup, for this reason
    #[arg(long, value_name = "REASON", conflicts_with_all = ["backup", "pack", "include", "exclude"], value_parser = reason)]
    pub no_backup: Option<String>,
    /// What to take
    #[command(flatten)]
    pub what: WhatToTake,
}

fn reason(text: &str) -> Result<String, String> {
    let reason = text.trim();
    let has_letters = reason.chars().filter(|c| c.is_alphabetic()).count() >= SHORTEST_REASON;
    if has_letters { Ok(reason.to_owned()) } else { Err("expected a reason, in words".to_owned()) }
}

/// Nobody has put a reason into fewer letters.
const SHORTEST_REASON: usize = 5;

/// Who the update tool works for, and how it gets to know.
#[derive(Debug, Args)]
pub struct AccountOptions {
    /// How the update tool gets the credentials; flags are only for tools from before 2026, and visible to other users
    #[arg(
        long,
        value_enum,
        default_value = "env",
        value_name = "HOW",
        help_heading = "Credentials of the update tool"
    )]
    pub tool_credentials: ToolCredentials,
    /// Where they are
    #[command(flatten)]
    pub credentials: CredentialOptions,
}

/// `hotfix revert`.
#[derive(Debug, Args)]
pub struct RevertArgs {
    /// The folder of the unpacked product
    pub home: PathBuf,
    /// All hotfixes, not the newest alone
    #[arg(long)]
    pub all: bool,
    /// The backup
    #[command(flatten)]
    pub backup: BackupChoice,
    /// Who the update tool works for
    #[command(flatten)]
    pub account: AccountOptions,
    /// Bound on each step
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = super::args::duration, help_heading = "Work")]
    pub step_timeout: std::time::Duration,
    /// Work as root on the product of another user, whose server may not be able to read what root has written
    #[arg(long, help_heading = "Work")]
    pub allow_root: bool,
    /// Show what would be done, and do nothing
    #[arg(long, help_heading = "Work")]
    pub dry_run: bool,
}

/// `hotfix migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// The folder of the unpacked product
    pub home: PathBuf,
    /// The update level, or latest
    #[arg(long, value_name = "N|latest", value_parser = target)]
    pub to_level: Target,
    /// The backup
    #[command(flatten)]
    pub backup: BackupChoice,
    /// Who the update tool works for
    #[command(flatten)]
    pub account: AccountOptions,
    /// The image of the new level, where --tag, --repository, --push or --output oci:DIR ask for one
    #[command(flatten)]
    pub image: ImageOptions,
    /// The work
    #[command(flatten)]
    pub work: WorkOptions,
    /// Work as root on the product of another user, whose server may not be able to read what root has written
    #[arg(long, help_heading = "Work")]
    pub allow_root: bool,
    /// Show what would be done, and do nothing
    #[arg(long, help_heading = "Work")]
    pub dry_run: bool,
}

fn target(text: &str) -> Result<Target, String> {
    if text == "latest" {
        return Ok(Target::Latest);
    }
    text.parse().map(Target::Level).map_err(|_| "expected an update level such as 20, or latest".to_owned())
}
