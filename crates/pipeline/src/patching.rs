//! Steps 4 to 6, in one workspace: the pack unpacked, the update tool made ready, the hotfixes applied.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::blocking::blocking;
use crate::changes::{Changes, Delta, PatchedProduct};
use crate::credentials::Credentials;
use crate::leaks::{self, Secrets};
use crate::pack::{CONFIG_JSON, LOGS};
use crate::plan::Plan;
use crate::pristine::Pristine;
use crate::recorder::Recorder;
use crate::redact::Redactor;
use crate::scrub::{Private, scrub};
use crate::source::Source;
use crate::step::{Failure, Problem, Step};
use crate::update_tool::UpdateTool;
use crate::workspace::Workspace;

/// What steps 4 to 6 need, and what they work on. A workspace that is kept holds no secret once this is dropped.
#[derive(Debug)]
pub struct Work<'a> {
    /// What is to be done.
    pub plan: &'a Plan,
    /// The unpacked product.
    pub home: PathBuf,
    /// Where it is.
    pub workspace: &'a Workspace,
    /// Who the update tool works for.
    pub credentials: &'a Credentials,
    /// What nobody is to know.
    pub private: Private,
    /// The update tool.
    pub tool: UpdateTool<'a>,
}

impl<'a> Work<'a> {
    /// In the workspace, for a plan that needs the update tool.
    pub fn new(plan: &'a Plan, workspace: &'a Workspace, credentials: &'a Credentials) -> Self {
        let home = workspace.path().join(plan.product.folder());
        let private = private(plan, workspace, credentials);
        let tool = update_tool(plan, &home, workspace, credentials);
        Self { plan, home, workspace, credentials, private, tool }
    }

    /// Unpacks the pack into the workspace and applies the hotfixes there.
    ///
    /// # Errors
    /// The step that failed.
    pub async fn patch(&self, recorder: &mut Recorder) -> Result<PatchedProduct, Failure> {
        let mut changes = recorder.run(Step::ExtractPack, async |cancel| self.extract(cancel).await).await?;
        recorder.run(Step::InitializeUpdateTool, async |cancel| self.tool.initialize(&cancel).await).await?;
        recorder.step(Step::InitializeUpdateTool, || {
            changes.skip()?;
            self.check_level()
        })?;
        if !self.plan.hotfixes.as_slice().is_empty() {
            let mut deltas = Vec::new();
            let applied = recorder
                .run(Step::ApplyHotfixes, async |cancel| self.apply(&mut changes, &mut deltas, &cancel).await)
                .await;
            deltas.into_iter().for_each(|(number, delta)| recorder.hotfix(number, delta));
            applied?;
        }
        let patched = recorder.check(Step::ApplyHotfixes, || changes.finish())?;
        recorder.check(Step::BuildImage, || leaks::check(&patched, &self.secrets()))?;
        Ok(patched)
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
        let config = self.home.join(CONFIG_JSON);
        let cleaned = fs::read(&config).ok().map(|bytes| scrub(&bytes, &self.private));
        match cleaned {
            Some(Ok(clean)) => fs::write(&config, clean)?,
            Some(Err(_)) => fs::remove_file(&config)?,
            None => {}
        }
        remove_folder(&self.home.join(LOGS))
    }

    async fn extract(&self, cancel: CancellationToken) -> Result<Changes, Problem> {
        let pristine = match &self.plan.source {
            Source::Pack(pack) => {
                let (pack, home) = (pack.clone(), self.home.clone());
                blocking(move || pack.extract(&home, &cancel).map(|()| Pristine::from(&pack))).await?
            }
            Source::Image(image, _) => image.unpack(&self.home, self.plan.request.max_unpacked_size, &cancel).await?,
        };
        let (home, private) = (self.home.clone(), self.private.clone());
        blocking(move || Changes::begin(pristine, &home, private)).await
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
                    self.plan.source.location()
                ),
                "give the pack the name that the vendor gave it: its level decides which hotfixes fit",
            )),
            _ => Ok(()),
        }
    }

    async fn apply(
        &self,
        changes: &mut Changes,
        deltas: &mut Vec<(u32, Delta)>,
        cancel: &CancellationToken,
    ) -> Result<(), Problem> {
        let hotfixes = self.plan.hotfixes.as_slice();
        for hotfix in hotfixes {
            self.tool.apply(hotfix, cancel).await?;
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
        }
        Ok(())
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

fn update_tool<'a>(plan: &Plan, home: &Path, workspace: &'a Workspace, credentials: &'a Credentials) -> UpdateTool<'a> {
    let mut redactor = Redactor::default();
    let password = credentials.password.expose_secret();
    redactor.add(password);
    // As in the header of HTTP's basic authentication, where it cannot be told apart.
    redactor.add(&format!("{}:{password}", credentials.username));
    UpdateTool {
        home: home.to_owned(),
        name: plan.host.update_tool,
        workspace,
        credentials,
        hand_over: plan.request.tool_credentials,
        offline: plan.request.offline,
        redactor,
        tokens: Mutex::default(),
    }
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
