//! What the user asked for, unchecked.

use std::path::PathBuf;
use std::time::Duration;

use hotfix_docker::base::{Platform, Wanted};
use serde::{Deserialize, Serialize};

/// A run as the command line describes it. It holds no secret, so that Debug of it is safe to print.
#[derive(Debug, Clone)]
pub struct Request {
    /// The product pack.
    pub pack: PathBuf,
    /// The folder of hotfixes.
    pub hotfix_dir: PathBuf,
    /// Apply only the first so many.
    pub through: Option<u32>,
    /// How the update tool gets the credentials.
    pub tool_credentials: ToolCredentials,
    /// Whether `apply-hotfix` gets `--offline`.
    pub offline: bool,
    /// OS and Java to put the product on.
    pub base_image: Option<String>,
    /// An image that already holds the product.
    pub from_image: Option<String>,
    /// The user's own Dockerfile.
    pub dockerfile: Option<PathBuf>,
    /// Its build arguments.
    pub build_args: Vec<(String, String)>,
    /// Whether the update tool builds the image.
    pub vendor_image: bool,
    /// Operating system and processor of the image.
    pub platform: Option<Platform>,
    /// Whether the image that it is put on is the registry's, also where the engine has one of that name.
    pub pull: bool,
    /// In place of the base's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Variables of the image.
    pub env: Vec<(String, String)>,
    /// Where the product is in the image.
    pub product_home: Option<String>,
    /// Whose the product is in the image.
    pub chown: Option<Owner>,
    /// Names of the image.
    pub tags: Vec<String>,
    /// Repository of the derived tag.
    pub repository: Option<String>,
    /// More labels.
    pub labels: Vec<(String, String)>,
    /// Where the image goes.
    pub output: Output,
    /// Whether every tag is pushed.
    pub push: bool,
    /// Whether nothing is done where the names have an image of the same inputs.
    pub if_changed: bool,
    /// Whether it is only told what is not as in that image.
    pub report_only_changes: bool,
    /// Where the workspace is made.
    pub workspace: Option<PathBuf>,
    /// Whether it stays.
    pub keep_workspace: bool,
    /// How the product gets into it.
    pub workspace_mode: WorkspaceMode,
    /// Where unpacked packs are kept; none where they are not.
    pub cache: Option<CacheRequest>,
    /// Where reports go.
    pub report: Option<PathBuf>,
    /// Bound on each step.
    pub step_timeout: Duration,
    /// Bound on the pack, in bytes.
    pub max_unpacked_size: u64,
    /// Whether the free disk is checked.
    pub disk_check: bool,
}

impl Request {
    /// Which image of its name it is put on.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted { platform: self.platform.as_ref(), pull: self.pull }
    }
}

/// How the update tool gets its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ToolCredentials {
    /// In its environment, which other users cannot read.
    Env,
    /// On its command line, which every user of the machine can read.
    Flags,
}

/// How the pristine product gets into the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WorkspaceMode {
    /// The cheapest way that works
    Auto,
    /// Laid over the unpacked pack: only what changes is written (Linux)
    Overlay,
    /// A copy that shares blocks (Btrfs, XFS)
    Reflink,
    /// A copy of its own
    Copy,
}

/// The cache of unpacked packs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRequest {
    /// Its folder.
    pub folder: PathBuf,
    /// Whether the user named it; else a run can do without.
    pub is_wanted: bool,
    /// Bytes that it may take.
    pub limit: u64,
}

/// Numbers of a user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The user.
    pub uid: u64,
    /// The group.
    pub gid: u64,
}

impl std::str::FromStr for Owner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once(':')
            .and_then(|(user, group)| Some((user.parse::<u32>().ok()?, group.parse::<u32>().ok()?)));
        let (uid, gid) =
            numbers.ok_or_else(|| "expected the numbers of a user and a group, such as 10001:10001".to_owned())?;
        Ok(Self { uid: uid.into(), gid: gid.into() })
    }
}

/// Where the image goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Into the Docker engine.
    Docker,
    /// Into an OCI layout in this folder.
    Layout(PathBuf),
}

impl std::str::FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "docker" => Ok(Self::Docker),
            Some(("oci", folder)) if !folder.is_empty() => Ok(Self::Layout(folder.into())),
            _ => Err("expected docker or oci:DIR".to_owned()),
        }
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Docker => f.write_str("docker"),
            Self::Layout(folder) => write!(f, "oci:{}", folder.display()),
        }
    }
}
