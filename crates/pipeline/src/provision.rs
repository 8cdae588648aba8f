//! Step 4: the pristine product, from the cache or unpacked, and the folder that the update tool works on, made from it in
//! the cheapest way that works here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::blocking::blocking;
use crate::cache::{Cache, Entry};
use crate::home::{Means, Overlay, ProductHome, copy_tree, make_tools_runnable};
use crate::plan::{Method, Plan};
use crate::pristine::Pristine;
use crate::request::WorkspaceMode;
use crate::source::Source;
use crate::step::Problem;
use crate::tree::{Tree, scan_all};
use crate::workspace::Workspace;

/// The product in the workspace.
#[derive(Debug)]
pub struct Provisioned {
    /// What the update tool works on.
    pub home: Arc<ProductHome>,
    /// What it was before.
    pub pristine: Pristine,
    /// Its files as they are in the pack, where they are on disk apart from what the tool works on.
    pub files: Option<PathBuf>,
    /// How it was done.
    pub report: WorkspaceReport,
    /// Where it is used, it stays in the cache.
    entry: Option<Entry>,
}

impl Provisioned {
    /// Whether the pristine product is still what it was when the work began, where others could have changed it.
    ///
    /// # Errors
    /// Where it is not.
    pub fn check(&self) -> Result<(), Problem> {
        self.entry.as_ref().map_or(Ok(()), Entry::check)
    }
}

/// How the product got into the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WorkspaceReport {
    /// How the folder was made that the update tool works on.
    pub mode: Mode,
    /// Where the pristine product was from.
    pub cache: CacheUse,
}

/// How the folder was made that the update tool works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Laid over the pristine product.
    Overlay,
    /// A copy that shares its blocks.
    Reflink,
    /// A copy of its own; without a cache, unpacked there.
    Copy,
}

/// Where the pristine product was from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheUse {
    /// It was in the cache.
    Hit,
    /// It was unpacked into the cache.
    Made,
    /// There was no cache.
    Off,
}

/// The product of `plan`, whose pack has the checksum `sha256`, in `workspace`.
///
/// # Errors
/// Where the pack is damaged, the disk fails, or the mode that was asked for does not work here.
pub async fn provide(
    plan: &Plan,
    workspace: &Workspace,
    cache: Option<&Cache>,
    sha256: &str,
    cancel: &CancellationToken,
) -> Result<Provisioned, Problem> {
    let home = workspace.path().join(plan.product.folder());
    let asked = plan.request.workspace_mode;
    let is_apart = matches!(asked, WorkspaceMode::Overlay | WorkspaceMode::Reflink);
    let entry = unpack_into_cache(plan, cache, sha256, cancel).await?;
    let (pristine, files) = match (&entry, &plan.source) {
        (Some(entry), Source::Pack(pack)) => (Pristine::from(pack), Some(entry.product().to_owned())),
        _ => {
            let files = is_apart.then(|| workspace.pristine());
            let pristine = unpack(plan, files.as_ref().unwrap_or(&home), cancel).await?;
            if let Source::Pack(pack) = &plan.source {
                pack.check_is(sha256)?;
            }
            (pristine, files)
        }
    };
    let cache = entry.as_ref().map_or(CacheUse::Off, |entry| if entry.is_old { CacheUse::Hit } else { CacheUse::Made });
    let (mode, home) = match files.clone() {
        None => (Mode::Copy, ProductHome::Folder(home)),
        Some(files) => {
            let tree = entry.as_ref().map(|entry| entry.tree.clone());
            let ways = Ways { files, tree, home, overlay: workspace.overlay(), pristine: pristine.clone() };
            let (must_be_whole, cancel) = (must_be_whole(plan), cancel.clone());
            blocking(move || ways.make(asked, must_be_whole, &cancel)).await?
        }
    };
    let report = WorkspaceReport { mode, cache };
    debug!(?mode, ?cache, "the product is in the workspace");
    Ok(Provisioned { home: Arc::new(home), pristine, files, report, entry })
}

/// Whether others than the update tool want to see the product: whoever keeps the workspace, and an engine.
pub(crate) fn must_be_whole(plan: &Plan) -> bool {
    plan.request.keep_workspace || plan.method == Method::VendorTool
}

async fn unpack_into_cache(
    plan: &Plan,
    cache: Option<&Cache>,
    sha256: &str,
    cancel: &CancellationToken,
) -> Result<Option<Entry>, Problem> {
    let (Some(cache), Source::Pack(pack)) = (cache, &plan.source) else { return Ok(None) };
    if !cache.has(sha256) && !cache.has_room_for(pack.unpacked_bytes()) {
        return Ok(None);
    }
    let (kept, pack, sha256, token) = (cache.clone(), pack.clone(), sha256.to_owned(), cancel.clone());
    match blocking(move || kept.unpacked(&pack, &sha256, &token).map(Some)).await {
        // A damaged pack is told once more, and then as an error.
        Err(problem) if !cache.is_wanted && !cancel.is_cancelled() => {
            warn!("nothing is kept for later runs: {}", problem.chain().join(": "));
            Ok(None)
        }
        unpacked => unpacked,
    }
}

async fn unpack(plan: &Plan, to: &Path, cancel: &CancellationToken) -> Result<Pristine, Problem> {
    let pristine = match &plan.source {
        Source::Pack(pack) => {
            let (pack, to, cancel) = (pack.clone(), to.to_owned(), cancel.clone());
            blocking(move || pack.extract(&to, &cancel).map(|()| Pristine::from(&pack))).await?
        }
        Source::Image(image, _) => image.unpack(to, plan.request.max_unpacked_size, cancel).await?,
    };
    make_tools_runnable(to).map_err(|error| {
        Problem::new(format!("the update tool in {} cannot be made executable", to.display()), "check the disk")
            .because(error)
    })?;
    Ok(pristine)
}

/// From a pristine product in `files` to a folder to work on.
struct Ways {
    files: PathBuf,
    /// What is in them, where that is known.
    tree: Option<Tree>,
    home: PathBuf,
    overlay: PathBuf,
    pristine: Pristine,
}

impl Ways {
    fn make(
        &self,
        asked: WorkspaceMode,
        must_be_whole: bool,
        cancel: &CancellationToken,
    ) -> Result<(Mode, ProductHome), Problem> {
        let ways: &[Mode] = match asked {
            WorkspaceMode::Auto if must_be_whole => &[Mode::Reflink, Mode::Copy],
            WorkspaceMode::Auto => &[Mode::Overlay, Mode::Reflink, Mode::Copy],
            WorkspaceMode::Overlay => &[Mode::Overlay],
            WorkspaceMode::Reflink => &[Mode::Reflink],
            WorkspaceMode::Copy => &[Mode::Copy],
        };
        let mut failure = None;
        for mode in ways {
            if cancel.is_cancelled() {
                return Err(Problem::new(
                    "the product is not copied: stopped on request",
                    "run the same command again",
                ));
            }
            match self.try_out(*mode) {
                Ok(home) => return Ok((*mode, home)),
                Err(error) => {
                    debug!(?mode, %error, "this way to the workspace does not work here");
                    failure = Some(error);
                }
            }
        }
        let failure = failure.unwrap_or_else(|| io::ErrorKind::Unsupported.into());
        let hint = match failure.kind() {
            io::ErrorKind::StorageFull if asked == WorkspaceMode::Overlay => {
                "make room; or raise user.max_user_namespaces and user.max_mnt_namespaces, which are used up with the same words; \
                 or leave --workspace-mode away"
            }
            io::ErrorKind::StorageFull => "make room, or give --workspace on a larger disk",
            _ => "leave --workspace-mode away: the cheapest way that works here is taken then",
        };
        let way = match asked {
            WorkspaceMode::Overlay => "laid over the unpacked pack",
            WorkspaceMode::Reflink => "copied by reference (reflink)",
            WorkspaceMode::Auto | WorkspaceMode::Copy => "copied",
        };
        Err(Problem::new(format!("the product cannot be {way} in {}", self.home.display()), hint).because(failure))
    }

    fn try_out(&self, mode: Mode) -> io::Result<ProductHome> {
        let copied = |means| copy_tree(&self.pristine, &self.files, &self.home, means);
        let made = match mode {
            Mode::Overlay => {
                fs::create_dir(&self.overlay)?;
                fs::create_dir(&self.home)?;
                let tree = match &self.tree {
                    Some(tree) => tree,
                    None => &scan_all(&self.files)?,
                };
                Overlay::new(&self.files, tree, &self.overlay, &self.home).map(ProductHome::Overlay)
            }
            Mode::Reflink => copied(Means::Reflink).map(|()| ProductHome::Folder(self.home.clone())),
            Mode::Copy => copied(Means::Bytes).map(|()| ProductHome::Folder(self.home.clone())),
        };
        if made.is_err() {
            // The next way begins from nothing.
            for folder in [&self.home, &self.overlay] {
                if folder.exists() {
                    crate::workspace::remove(folder)?;
                }
            }
        }
        made
    }
}
