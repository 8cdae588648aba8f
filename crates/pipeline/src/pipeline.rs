//! The steps in their order, and nothing else: `prepare` checks what can be checked before anything is unpacked,
//! `execute` does the work.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use hotfix_docker::base::BaseImage;
use hotfix_docker::image::{BuiltImage, Image};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::changes::{Changes, PatchedProduct};
use crate::credentials::Credentials;
use crate::delivery::{Destination, PushTarget, TagGuard, push_all};
use crate::image::{InputDigests, Placement, assemble};
use crate::pack::{CONFIG_JSON, LOGS};
use crate::plan::Plan;
use crate::redact::Redactor;
use crate::report::{ImageReport, Recorder};
use crate::scrub::{Private, scrub};
use crate::step::{Failure, Problem, Step};
use crate::update_tool::UpdateTool;
use crate::workspace::Workspace;

/// A plan for which everything outside was found ready.
#[derive(Debug)]
pub struct Prepared {
    plan: Plan,
    credentials: Option<Credentials>,
    destination: Destination,
    base: BaseImage,
    placement: Placement,
    push_targets: Vec<PushTarget>,
    digests: InputDigests,
    workspace: Workspace,
}

/// Finds engine, base image and the right to push, before anything is unpacked.
///
/// # Errors
/// Where one of them is missing, with the step that would have failed for it.
pub async fn prepare(
    plan: Plan,
    credentials: Option<Credentials>,
    recorder: &mut Recorder,
) -> Result<Prepared, Failure> {
    let destination = recorder.look_ahead(Step::BuildImage, async |_| Destination::connect(&plan).await).await?;
    let base = recorder.look_ahead(Step::BuildImage, async |cancel| destination.base(&plan, &cancel).await).await?;
    let placement = recorder.look_ahead(Step::BuildImage, async |_| Placement::find(&plan, &base).await).await?;
    let push_targets = recorder.look_ahead(Step::PushImage, async |_| push_targets(&plan, &destination).await).await?;
    let workspace = recorder.step(Step::ValidateInputs, || {
        Workspace::create(plan.request.workspace.as_deref(), plan.request.keep_workspace)
    })?;
    let digests = recorder.look_ahead(Step::ValidateInputs, async |_| read_inputs(&plan, &workspace).await).await?;
    recorder.inputs(&digests.pack, plan.hotfixes.as_slice(), &digests.hotfixes);
    Ok(Prepared { plan, credentials, destination, base, placement, push_targets, digests, workspace })
}

/// Unpacks, applies, builds and pushes.
///
/// # Errors
/// The step that failed. What the run made is gone again, but for a workspace that is to be kept.
pub async fn execute(prepared: Prepared, recorder: &mut Recorder) -> Result<(), Failure> {
    let Prepared { plan, credentials, destination, base, placement, push_targets, digests, workspace } = prepared;
    let home = workspace.path().join(plan.product.folder());
    let private = private(&plan, &workspace, credentials.as_ref());
    let patched = match &credentials {
        Some(credentials) if !plan.hotfixes.as_slice().is_empty() => {
            let work = Work { plan: &plan, home: &home, workspace: &workspace, credentials, private: &private };
            let patched = work.patch(recorder).await;
            work.clean_up();
            Some(patched?)
        }
        _ => None,
    };
    let base_name = base.name.clone();
    let image = recorder.check(Step::BuildImage, || assemble(&plan, base, &placement, &digests, patched.as_ref()))?;
    let (built, guard) =
        recorder.run(Step::BuildImage, async |cancel| build(&destination, &plan, &image, &cancel).await).await?;
    let digest = match &destination {
        Destination::Engine(engine) if plan.push => {
            let pushed =
                recorder.run(Step::PushImage, async |cancel| push_all(engine, &push_targets, &cancel).await).await;
            if let (Err(_), Some(guard)) = (&pushed, &guard) {
                guard.undo(&built).await;
            }
            pushed?
        }
        _ => built.digest.clone(),
    };
    recorder.image(ImageReport {
        tags: plan.tags.iter().map(ToString::to_string).collect(),
        id: built.id,
        digest,
        base: base_name,
        hotfix_layer_bytes: if patched.is_some() { built.layers.last().map_or(0, |layer| layer.size) } else { 0 },
    });
    Ok(())
}

/// Steps 4 to 6, in one workspace.
struct Work<'a> {
    plan: &'a Plan,
    home: &'a Path,
    workspace: &'a Workspace,
    credentials: &'a Credentials,
    private: &'a Private,
}

impl Work<'_> {
    async fn patch(&self, recorder: &mut Recorder) -> Result<PatchedProduct, Failure> {
        let mut changes = recorder.run(Step::ExtractPack, async |cancel| self.extract(cancel).await).await?;
        let tool = self.update_tool();
        recorder.run(Step::InitializeUpdateTool, async |cancel| tool.initialize(&cancel).await).await?;
        recorder.step(Step::InitializeUpdateTool, || {
            changes.skip()?;
            self.check_level()
        })?;
        let mut deltas = Vec::new();
        let applied = recorder
            .run(Step::ApplyHotfixes, async |cancel| self.apply(&tool, &mut changes, &mut deltas, &cancel).await)
            .await;
        deltas.into_iter().for_each(|(number, delta)| recorder.hotfix(number, delta));
        applied?;
        recorder.step(Step::ApplyHotfixes, || changes.finish())
    }

    async fn extract(&self, cancel: CancellationToken) -> Result<Changes, Problem> {
        let (pack, home, private) = (self.plan.pack.clone(), self.home.to_owned(), self.private.clone());
        blocking(move || {
            pack.extract(&home, &cancel)?;
            Changes::begin(&pack, &home, private)
        })
        .await
    }

    fn update_tool(&self) -> UpdateTool<'_> {
        let mut redactor = Redactor::default();
        redactor.add(self.credentials.password.expose_secret());
        UpdateTool {
            home: self.home.to_owned(),
            name: self.plan.host.update_tool,
            workspace: self.workspace,
            credentials: self.credentials,
            hand_over: self.plan.request.tool_credentials,
            offline: self.plan.request.offline,
            redactor,
        }
    }

    /// The tool knows the level of a pack whatever its file is called.
    fn check_level(&self) -> Result<(), Problem> {
        let config = fs::read(self.home.join(CONFIG_JSON)).unwrap_or_default();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap_or_default();
        let level = config["update-level"].as_str().and_then(|level| level.parse::<u32>().ok());
        let expected = self.plan.product.update_level;
        match level {
            Some(level) if level != expected => Err(Problem::new(
                format!(
                    "the update tool says that {} is at update level {level}, not {expected}",
                    self.plan.pack.path.display()
                ),
                "give the pack the name that the vendor gave it: its level decides which hotfixes fit",
            )),
            _ => Ok(()),
        }
    }

    async fn apply(
        &self,
        tool: &UpdateTool<'_>,
        changes: &mut Changes,
        deltas: &mut Vec<(u32, crate::changes::Delta)>,
        cancel: &CancellationToken,
    ) -> Result<(), Problem> {
        let hotfixes = self.plan.hotfixes.as_slice();
        for hotfix in hotfixes {
            tool.apply(hotfix, cancel).await?;
            let Some(delta) = changes.attribute(hotfix.newest)? else {
                return Err(Problem::new(
                    format!(
                        "the update tool said that hotfix {} ({}) is applied, but nothing in the product changed",
                        hotfix.number, hotfix.file
                    ),
                    "an image without the fix must not pass for one with it: ask the vendor about this hotfix",
                ));
            };
            let (changed, added, removed) = (delta.changed.len(), delta.added.len(), delta.removed.len());
            tracing::info!(
                "hotfix {} of {} applied: {changed} changed, {added} added, {removed} removed ({})",
                hotfix.number,
                hotfixes.len(),
                hotfix.file
            );
            deltas.push((hotfix.number, delta));
        }
        Ok(())
    }

    /// A workspace that is kept holds no secret: the tool's own files go, its records are cleaned.
    fn clean_up(&self) {
        if !self.workspace.is_kept() {
            return;
        }
        let config = self.home.join(CONFIG_JSON);
        let cleaned = fs::read(&config).ok().map(|bytes| scrub(&bytes, self.private));
        let kept = match cleaned {
            Some(Ok(clean)) => fs::write(&config, clean),
            Some(Err(_)) => fs::remove_file(&config),
            None => Ok(()),
        };
        let removed =
            [self.workspace.home(), self.workspace.temporary(), self.home.join(LOGS)].iter().try_for_each(|folder| {
                match fs::remove_dir_all(folder) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                }
            });
        if let Err(error) = kept.and(removed) {
            tracing::warn!("the kept workspace could not be cleaned of what the update tool left: {error}");
        }
    }
}

fn private(plan: &Plan, workspace: &Workspace, credentials: Option<&Credentials>) -> Private {
    let mut private = Private::default();
    let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let paths = [
        Some(workspace.path().to_owned()),
        Some(absolute(&plan.request.hotfix_dir)),
        Some(absolute(&plan.pack.path)),
        home,
    ];
    paths
        .into_iter()
        .flatten()
        .filter(|path| path != Path::new("/"))
        .for_each(|path| private.add(path.to_string_lossy()));
    if let Some(credentials) = credentials {
        private.add(credentials.username.as_str());
        private.add(credentials.password.expose_secret());
    }
    private
}

async fn push_targets(plan: &Plan, destination: &Destination) -> Result<Vec<PushTarget>, Problem> {
    let mut targets = Vec::new();
    if let (true, Destination::Engine(engine)) = (plan.push, destination) {
        for tag in &plan.tags {
            targets.push(PushTarget::check(tag, engine).await?);
        }
    }
    Ok(targets)
}

async fn build(
    destination: &Destination,
    plan: &Plan,
    image: &Image,
    cancel: &CancellationToken,
) -> Result<(BuiltImage, Option<TagGuard>), Problem> {
    let guard = match destination {
        Destination::Engine(engine) => Some(TagGuard::note(engine, &plan.tags).await?),
        Destination::Layout(_) => None,
    };
    let built = destination.build(image, &plan.tags, cancel).await?;
    if let Some(guard) = &guard {
        let tagged = if cancel.is_cancelled() { Err(Problem::new("stopped", "")) } else { guard.tag(&built).await };
        if let Err(problem) = tagged {
            guard.undo(&built).await;
            return Err(problem);
        }
    }
    Ok((built, guard))
}

/// Checksums of pack and hotfixes, and copies of the hotfixes in the workspace: what is checked is what is applied.
async fn read_inputs(plan: &Plan, workspace: &Workspace) -> Result<InputDigests, Problem> {
    let pack = plan.pack.path.clone();
    let hotfixes = plan.hotfixes.as_slice().to_vec();
    let folder = workspace.hotfixes();
    blocking(move || {
        let failed = |path: &Path| {
            let what = format!("{} cannot be read or copied to the workspace", path.display());
            move |error: io::Error| Problem::new(what, "check its permissions and the workspace's disk").because(error)
        };
        let mut sha256 = Vec::new();
        for hotfix in &hotfixes {
            fs::copy(&hotfix.path, folder.join(&hotfix.file)).map_err(failed(&hotfix.path))?;
            sha256.push(sha256_of(&folder.join(&hotfix.file)).map_err(failed(&hotfix.path))?);
        }
        Ok(InputDigests { pack: sha256_of(&pack).map_err(failed(&pack))?, hotfixes: sha256 })
    })
    .await
}

fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // A panic is a defect of ours and is reported as one.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
