//! Steps 4 to 6, in one workspace: the product unpacked, the update tool made ready, the hotfixes applied.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hotfix_docker::progress::Task;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::blocking::unless_cancelled;
use crate::cache::Cache;
use crate::changes::{Changes, Delta, PatchedProduct};
use crate::checksums::{InputDigests, check_copy};
use crate::credentials::Credentials;
use crate::home::ProductHome;
use crate::leaks::{self, Secrets};
use crate::pack::{CONFIG_JSON, LOGS, ancestors};
use crate::plan::Plan;
use crate::provision::{Provisioned, provide};
use crate::recorder::Recorder;
use crate::scrub::{Private, read_records, scrub};
use crate::step::{Failure, Problem, Step};
use crate::update_tool::{Account, ToolPlace, UpdateTool};
use crate::workspace::Workspace;

/// What steps 5 and 6 need, and what they work on. A workspace that is kept holds no secret once this is dropped.
#[derive(Debug)]
pub struct Work<'a> {
    /// What is to be done.
    pub plan: &'a Plan,
    /// The unpacked product.
    pub product: Provisioned,
    /// Where it is.
    pub workspace: &'a Workspace,
    /// Who the update tool works for.
    pub credentials: &'a Credentials,
    /// What nobody is to know.
    pub private: Private,
    /// The update tool.
    pub tool: UpdateTool<'a>,
    digests: &'a InputDigests,
}

impl<'a> Work<'a> {
    /// Unpacks the product into the workspace, for a plan that needs the update tool.
    ///
    /// # Errors
    /// As [`provide`].
    pub async fn begin(
        plan: &'a Plan,
        workspace: &'a Workspace,
        credentials: &'a Credentials,
        digests: &'a InputDigests,
        cache: Option<&Cache>,
        recorder: &mut Recorder,
    ) -> Result<Self, Failure> {
        let provide = async |cancel| provide(plan, workspace, cache, &digests.pack, &cancel).await;
        let product = recorder.run(Step::ExtractPack, provide).await?;
        recorder.workspace(product.report);
        let private = private(plan, workspace, credentials);
        let tool = update_tool(plan, &product.home, workspace, credentials);
        Ok(Self { plan, product, workspace, credentials, private, tool, digests })
    }

    /// Makes the update tool ready, and applies the hotfixes.
    ///
    /// # Errors
    /// The step that failed.
    pub async fn patch(&self, recorder: &mut Recorder) -> Result<PatchedProduct, Failure> {
        let patched = self.patch_timed(recorder).await;
        recorder.update_tool(self.tool.busy());
        patched
    }

    async fn patch_timed(&self, recorder: &mut Recorder) -> Result<PatchedProduct, Failure> {
        let product = &self.product;
        let (pristine, home, private) = (product.pristine.clone(), Arc::clone(&product.home), self.private.clone());
        let most = self.plan.request.max_unpacked_size;
        let begin =
            async |cancel| unless_cancelled(&cancel, move || Changes::begin(pristine, home, private, most)).await;
        let mut changes = recorder.look_ahead(Step::ExtractPack, begin).await?;
        recorder.run(Step::InitializeUpdateTool, async |cancel| self.tool.initialize(&cancel).await).await?;
        let skip = async |cancel| unless_cancelled(&cancel, move || changes.skip().map(|()| changes)).await;
        changes = recorder.look_ahead(Step::InitializeUpdateTool, skip).await?;
        recorder.step(Step::InitializeUpdateTool, || self.check_level())?;
        let mut deltas = Vec::new();
        if !self.plan.hotfixes.as_slice().is_empty() {
            let applied =
                recorder.run(Step::ApplyHotfixes, async |cancel| self.apply(changes, &mut deltas, &cancel).await).await;
            deltas.iter().for_each(|(number, delta)| recorder.hotfix(*number, self.redacted(delta)));
            changes = applied?;
        }
        let finish = async |cancel| unless_cancelled(&cancel, move || changes.finish()).await;
        let patched = recorder.look_ahead(Step::ApplyHotfixes, finish).await?;
        let (patched, secrets) = (PatchedProduct { deltas, ..patched }, self.secrets());
        let search =
            async |cancel| unless_cancelled(&cancel, move || leaks::check(&patched, &secrets).map(|()| patched)).await;
        recorder.look_ahead(Step::BuildImage, search).await
    }

    /// Names of files are others' words, too.
    fn redacted(&self, delta: &Delta) -> Delta {
        let redacted = |paths: &[String]| paths.iter().map(|path| self.tool.redacted(path)).collect();
        Delta { changed: redacted(&delta.changed), added: redacted(&delta.added), removed: redacted(&delta.removed) }
    }

    /// What must not be in an image, as far as it is known by now.
    pub fn secrets(&self) -> Secrets {
        Secrets::new(self.credentials, &self.tool.tokens())
    }

    /// Cleans the update tool's records in the product, and removes its log.
    ///
    /// # Errors
    /// Where they cannot be written or removed.
    pub fn clean_records(&self) -> io::Result<()> {
        // Never an overlay, see `must_be_whole`.
        let home = self.product.home.path();
        if let Some(folder) =
            ancestors(LOGS).find(|folder| !home.join(folder).symlink_metadata().is_ok_and(|is| is.is_dir()))
        {
            let reason = format!("{folder} is no folder any more");
            return Err(io::Error::new(io::ErrorKind::NotADirectory, reason));
        }
        let config = home.join(CONFIG_JSON);
        match read_records(&config) {
            Ok(records) => match scrub(&records, &self.private) {
                Ok(clean) => {
                    fs::remove_file(&config)?;
                    File::create_new(&config)?.write_all(&clean)?;
                }
                Err(_) => fs::remove_file(&config)?,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => fs::remove_file(&config)?,
        }
        remove_folder(&home.join(LOGS))
    }

    /// The tool knows the level of a pack whatever its file is called.
    fn check_level(&self) -> Result<(), Problem> {
        let config = self.product.home.records().unwrap_or_default();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap_or_default();
        let level = config["update-level"].as_str().and_then(|level| level.parse::<u32>().ok());
        let expected = self.plan.product.update_level;
        match level {
            Some(level) if level != expected => Err(Problem::new(
                format!(
                    "the update tool says that {} is at update level {level}, not {expected}",
                    self.plan.source.location()
                ),
                "give the pack the name that the vendor gave it: its level decides which hotfixes fit",
            )),
            _ => Ok(()),
        }
    }

    async fn apply(
        &self,
        mut changes: Changes,
        deltas: &mut Vec<(u32, Delta)>,
        cancel: &CancellationToken,
    ) -> Result<Changes, Problem> {
        let hotfixes = self.plan.hotfixes.as_slice();
        let task = Task::items("", hotfixes.len() as u64);
        for (hotfix, sha256) in hotfixes.iter().zip(&self.digests.hotfixes) {
            // What the tool has run before could have changed it, and the image is going to say what it is.
            check_copy(hotfix, &self.workspace.hotfixes().join(&hotfix.file), sha256)?;
            task.rename(format!("hotfix {} of {} ({})", hotfix.number, hotfixes.len(), hotfix.file));
            self.tool.apply(hotfix, &self.workspace.hotfixes(), cancel).await?;
            let time = hotfix.newest;
            let attribute = move || changes.attribute(time).map(|delta| (changes, delta));
            let (looked, delta) = unless_cancelled(cancel, attribute).await?;
            changes = looked;
            let Some(delta) = delta else {
                return Err(Problem::new(
                    format!(
                        "the update tool said that hotfix {} ({}) is applied, but nothing in the product changed",
                        hotfix.number, hotfix.file
                    ),
                    "an image without the fix must not pass for one with it: ask the vendor about this hotfix",
                ));
            };
            let (changed, added, removed) = (delta.changed.len(), delta.added.len(), delta.removed.len());
            if changed + added + removed == 0 {
                tracing::warn!(
                    "hotfix {} changed no file of the product, only folders or the tool's records",
                    hotfix.number
                );
            }
            tracing::info!(
                "hotfix {} of {} applied: {changed} changed, {added} added, {removed} removed ({})",
                hotfix.number,
                hotfixes.len(),
                hotfix.file
            );
            deltas.push((hotfix.number, delta));
            task.add(1);
        }
        Ok(changes)
    }

    /// The tool's own files go, its records are cleaned.
    fn clean_up(&self) {
        let records = self.clean_records();
        let removed =
            [self.workspace.home(), self.workspace.temporary()].iter().try_for_each(|folder| remove_folder(folder));
        match leaks::remove_from(self.workspace.path(), &self.secrets()) {
            0 => {}
            files => tracing::warn!("{files} files of the kept workspace held a secret and were removed"),
        }
        if let Err(error) = records.and(removed) {
            tracing::warn!("the kept workspace could not be cleaned of what the update tool left: {error}");
        }
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if self.workspace.is_kept() {
            self.clean_up();
        }
    }
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn update_tool<'a>(
    plan: &Plan,
    home: &Arc<ProductHome>,
    workspace: &'a Workspace,
    credentials: &'a Credentials,
) -> UpdateTool<'a> {
    let account = Account { credentials, hand_over: plan.request.tool_credentials };
    let tool = UpdateTool::new(home, plan.host.update_tool, ToolPlace::Workspace(workspace), account);
    UpdateTool { offline: plan.request.offline, ..tool }
}

fn private(plan: &Plan, workspace: &Workspace, credentials: &Credentials) -> Private {
    let mut private = Private::default();
    let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let paths = [
        Some(workspace.path().to_owned()),
        Some(absolute(&plan.request.hotfix_dir)),
        plan.source.path().map(absolute),
        home,
    ];
    paths
        .into_iter()
        .flatten()
        .filter(|path| path != Path::new("/"))
        .for_each(|path| private.add(path.to_string_lossy()));
    private.add(credentials.username.as_str());
    private.add(credentials.password.expose_secret());
    private
}
