//! What the command line says of environments.

// The comments on arguments are their help, where `<product>` is a placeholder.
#![allow(rustdoc::invalid_html_tags)]

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use hotfix_docker::reference::ImageRef;
use hotfix_environments::hotfix_id::{HotfixId, Level};
use hotfix_environments::ledger::{Actor, Outcome};
use hotfix_environments::memory::Memory;

use super::cache_args::CacheDir;
use crate::cache::warn_of_others;

/// Fewer digits could mean any.
const SHORTEST_DIGEST: usize = 7;

/// `hotfix env`.
#[derive(Debug, Subcommand)]
pub enum EnvCommand {
    /// Show which environment runs what, and which hotfixes are where
    Status {
        /// The environments
        #[command(flatten)]
        place: EnvPlace,
        /// Exit with 11 where production holds a hotfix that an earlier environment lacks, or where two environments that should
        /// be the same are not
        #[arg(long)]
        check: bool,
        /// Write it as one HTML page as well, with a picture of which hotfix is where
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Show what differs between what two environments run: levels, hotfixes, files
    Compare {
        /// The one
        from: String,
        /// The other
        to: String,
        /// The environments
        #[command(flatten)]
        place: EnvPlace,
    },
    /// Record how tests of what an environment runs went
    Verify {
        /// The environment
        #[arg(long, value_name = "ENV")]
        env: String,
        /// How they went
        #[arg(long, value_enum)]
        result: TestResult,
        /// What was tested: refused where the environment runs something else by now
        #[arg(long, value_name = "DIGEST", value_parser = digest)]
        digest: Option<String>,
        /// How to write
        #[command(flatten)]
        writing: Writing,
    },
    /// Record that what an environment runs may go on
    Approve(Opinion),
    /// Record that what an environment runs may not go on
    Reject(Opinion),
    /// Let an environment run what an earlier one runs: the very image that was tested there
    Promote {
        /// The environment that it comes from
        #[arg(long, value_name = "ENV", required_unless_present = "image", conflicts_with = "image")]
        from: Option<String>,
        /// An image from outside in its place, such as the vendor's at a new update level
        #[arg(long, value_name = "REF")]
        image: Option<ImageRef>,
        /// The environment that is to run it
        #[arg(long, value_name = "ENV")]
        to: String,
        /// The tag that the image gets beside the environment's [default: its version, such as 4.1.0.10-hf3]
        #[arg(long, value_name = "TAG", value_parser = tag)]
        tag: Option<String>,
        /// Even where hotfixes of the environment go
        #[arg(long)]
        allow_removal: bool,
        /// How to write
        #[command(flatten)]
        writing: Writing,
    },
    /// Put the hotfixes of an environment on what earlier ones run: a new manifest in the registry, with no pack and no engine
    Propagate {
        /// The environment that has the hotfixes
        #[arg(long, value_name = "ENV")]
        from: String,
        /// Environments that are to get them [default: all before it]
        #[arg(long, value_name = "ENV", value_delimiter = ',')]
        to: Vec<String>,
        /// Only the first N hotfixes
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        through: Option<u32>,
        /// How to write
        #[command(flatten)]
        writing: Writing,
    },
    /// Record that an update level holds the fix of a hotfix
    FixedIn {
        /// <product>-<version>.<level>/hf-<n>, such as wso2am-4.1.0.10/hf-2
        hotfix: HotfixId,
        /// The first update level that holds it; of a later version, with that: 4.2.0.1
        level: Level,
        /// How to write
        #[command(flatten)]
        writing: Writing,
    },
    /// Record that a hotfix is everywhere; exits with 11 and the list where it is not
    Solve {
        /// <product>-<version>.<level>/hf-<n>, such as wso2am-4.1.0.10/hf-2
        hotfix: HotfixId,
        /// Why, for the history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// How to write
        #[command(flatten)]
        writing: Writing,
    },
    /// Let an environment run again what it ran before, and what was verified
    Rollback {
        /// The environment
        #[arg(long, value_name = "ENV")]
        env: String,
        /// Digest of an image that it ran, or its first digits [default: the last other one that was verified]
        #[arg(long, value_name = "DIGEST", value_parser = digest)]
        to: Option<String>,
        /// How to write
        #[command(flatten)]
        writing: Writing,
    },
    /// Show who did what when
    History {
        /// The environments
        #[command(flatten)]
        place: EnvPlace,
        /// Only of this environment
        #[arg(long, value_name = "ENV")]
        env: Option<String>,
    },
}

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() { Err("expected a name".to_owned()) } else { Ok(name.to_owned()) }
}

fn reason(text: &str) -> Result<String, String> {
    let reason = text.trim();
    if reason.is_empty() { Err("expected a reason".to_owned()) } else { Ok(reason.to_owned()) }
}

/// As it is shown, or a part of it that is long enough to mean one.
fn digest(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let is_hex = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let is_digest = is_hex && (SHORTEST_DIGEST..=64).contains(&digits.len());
    is_digest
        .then(|| text.to_owned())
        .ok_or_else(|| format!("expected a digest, sha256:…, or its first digits, {SHORTEST_DIGEST} or more of them"))
}

fn tag(text: &str) -> Result<String, String> {
    let is_tag = format!("a:{text}").parse::<ImageRef>().is_ok_and(|reference| reference.tag() == Some(text));
    is_tag.then(|| text.to_owned()).ok_or_else(|| "expected a tag alone, such as 4.1.0.10-hf3".to_owned())
}

/// What somebody thinks of an image.
#[derive(Debug, Args)]
pub struct Opinion {
    /// The environment that runs it
    #[arg(long, value_name = "ENV")]
    pub env: String,
    /// What is meant: refused where the environment runs something else by now
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub digest: Option<String>,
    /// Why, for the history
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: String,
    /// How to write
    #[command(flatten)]
    pub writing: Writing,
}

/// Where environments, ledger and cache are.
#[derive(Debug, Args)]
pub struct EnvPlace {
    /// File with the environments
    #[arg(long, value_name = "FILE", default_value = "environments.toml", help_heading = "Environments")]
    pub environments: PathBuf,
    /// The ledger: a tag in a registry, or file:PATH [default: as the file says, else hotfix-ledger beside production's images]
    #[arg(long, value_name = "PLACE", value_parser = super::paths::place, help_heading = "Environments")]
    pub ledger: Option<String>,
    /// The cache
    #[command(flatten)]
    pub cache: CacheDir,
    /// Remember nothing of what is read from registries
    #[arg(long, conflicts_with = "cache_dir", help_heading = "Cache")]
    pub no_cache: bool,
}

impl EnvPlace {
    /// What was read from registries before.
    pub fn memory(&self) -> Memory {
        let folder = self.cache.folder().filter(|_| !self.no_cache);
        let registry = folder.as_ref().map(|folder| folder.join("registry"));
        warn_of_others([&folder, &registry].into_iter().flatten().map(PathBuf::as_path));
        Memory::new(registry)
    }
}

/// Of commands that write.
#[derive(Debug, Args)]
pub struct Writing {
    /// The environments
    #[command(flatten)]
    pub place: EnvPlace,
    /// Who does it, for the history [default: as CI's variables say, else the user]
    #[arg(long, value_name = "NAME", value_parser = name, help_heading = "Environments")]
    actor: Option<String>,
    /// Show what would be written, and write nothing
    #[arg(long, help_heading = "Environments")]
    pub dry_run: bool,
}

impl Writing {
    /// Who does it.
    pub fn actor(&self) -> Actor {
        Actor::find(self.actor.as_deref(), |name| std::env::var(name).ok())
    }
}

/// How tests went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TestResult {
    /// Well.
    Pass,
    /// Not well.
    Fail,
}

impl From<TestResult> for Outcome {
    fn from(result: TestResult) -> Self {
        match result {
            TestResult::Pass => Self::Pass,
            TestResult::Fail => Self::Fail,
        }
    }
}
