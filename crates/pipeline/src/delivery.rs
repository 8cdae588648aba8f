//! The image to where it goes: engine or layout, and its tags. What fails is undone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hotfix_docker::Error;
use hotfix_docker::auth::credentials_for;
use hotfix_docker::base::{BaseImage, Platform, Wanted};
use hotfix_docker::engine::Engine;
use hotfix_docker::image::{BuiltImage, Image};
use hotfix_docker::layer::Layer;
use hotfix_docker::oci_layout::{self, DigestOfBlob, LayoutGuard};
use hotfix_docker::reference::ImageRef;
use hotfix_docker::{fetch, load, stranded};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::cache::{Cache, file_sha256};
use crate::engine_problem::{base_problem, damaged_content, engine_problem, needed_engine_problem};
use crate::plan::{BasePlan, Plan};
use crate::registry_hint::hint;
use crate::request::Output;
use crate::step::Problem;
use crate::workspace::Workspace;

/// For an engine that has just failed, to take an image away again.
const UNDO_LIMIT: Duration = Duration::from_secs(15);
/// After this long for names, the image is seen to; a step that was stopped has 4 s in all.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the image goes, found and ready.
#[derive(Debug)]
pub enum Destination {
    /// A Docker engine that has answered.
    Engine(Engine),
    /// An OCI layout.
    Layout(std::path::PathBuf),
}

impl Destination {
    /// Connects to what the plan needs.
    ///
    /// # Errors
    /// Where no engine answers.
    pub async fn connect(plan: &Plan) -> Result<Self, Problem> {
        match &plan.output {
            Output::Docker => {
                let is_needed = plan.request.vendor_image || plan.request.dockerfile.is_some();
                let problem = if is_needed { needed_engine_problem } else { engine_problem };
                let engine = Engine::connect().await.map_err(problem)?;
                stranded::remove(&engine).await;
                Ok(Self::Engine(engine))
            }
            Output::Layout(folder) => Ok(Self::Layout(folder.clone())),
        }
    }

    /// The image that others are put on, `called` so by the user; pulled where the engine lacks it, and fetched into the workspace
    /// where there is no engine.
    ///
    /// # Errors
    /// Where there is no such image.
    pub async fn base(
        &self,
        (called, base): (&str, &BasePlan),
        wanted: Wanted<'_>,
        workspace: &Workspace,
        cancel: &CancellationToken,
    ) -> Result<BaseImage, Problem> {
        match self.elsewhere(base) {
            Some(reference) => {
                let fetched = fetch_base(reference, wanted.platform, workspace, cancel).await;
                fetched.map_err(|error| not_to_be_had(called, reference, error))
            }
            None => tokio::select! {
                found = self.base_here((called, base), wanted) => found,
                () = cancel.cancelled() => Err(engine_problem(Error::Cancelled)),
            },
        }
    }

    /// The image that has to be fetched from its registry, with no engine between.
    pub fn elsewhere<'a>(&self, base: &'a BasePlan) -> Option<&'a ImageRef> {
        match (base, self) {
            (BasePlan::Registry(reference), _) | (BasePlan::Engine(reference), Self::Layout(_)) => Some(reference),
            _ => None,
        }
    }

    /// As [`Destination::base`], of one that is not [elsewhere](Self::elsewhere).
    ///
    /// # Errors
    /// As there.
    pub async fn base_here(&self, (called, base): (&str, &BasePlan), wanted: Wanted<'_>) -> Result<BaseImage, Problem> {
        let platform = wanted.platform;
        let problem = |what, hint| move |error| base_problem(called, base, what, hint, error);
        match (base, self) {
            (BasePlan::Scratch, _) => {
                Ok(BaseImage::scratch_for(platform.cloned().unwrap_or_else(Platform::linux_here)))
            }
            (BasePlan::Layout(folder, tag), _) => oci_layout::open(folder, tag.as_deref(), platform).map_err(problem(
                "cannot be used",
                "give the folder of an OCI layout, and the tag of an image in it after a colon",
            )),
            (BasePlan::Engine(reference), Self::Engine(engine)) => engine.base(reference, wanted).await.map_err(
                problem("is not to be had", "check its name, and the engine's way to the registry (docker pull)"),
            ),
            (BasePlan::Engine(_) | BasePlan::Registry(_), _) => unreachable!("it is in a registry"),
        }
    }

    /// Builds the image and gives it its names, where `check` finds that what it was made from stayed the same; what was done
    /// before a failure is undone. Blobs of a layout that were read before are remembered by `cache`.
    ///
    /// # Errors
    /// Where engine or disk fail, or `check` does.
    pub async fn build(
        &self,
        image: &Image,
        tags: &[ImageRef],
        check: impl Fn() -> Result<(), Problem>,
        cache: Option<&Cache>,
        cancel: &CancellationToken,
    ) -> Result<(BuiltImage, Guard), Problem> {
        match self {
            Self::Engine(engine) => {
                let guard = TagGuard::note(engine, tags).await?;
                let built = load::load(engine, image, cancel).await;
                let built = built.map_err(|error| damaged_content(error).unwrap_or_else(engine_problem))?;
                if let Err(problem) = check() {
                    guard.undo(&built).await;
                    return Err(problem);
                }
                guard.tag_unless_cancelled(&built, cancel).await?;
                Ok((built, guard.into()))
            }
            Self::Layout(folder) => {
                let digest_of_blob = digest_of_blob(cache.cloned());
                let written = oci_layout::write(folder, image, tags, digest_of_blob, cancel).await;
                let failed = |error| {
                    let what = format!("the image could not be written to {}", folder.display());
                    let most = bytesize::ByteSize(image.layers.iter().map(Layer::size).sum());
                    let hint = match is_full(&error) {
                        true => format!(
                            "make room there, or give --output on a larger disk: the layers are of {most} at most"
                        ),
                        // What is wrong with another one is wrong with the base.
                        false if matches!(&error, Error::Layout { path, .. } if path != folder) => {
                            "fetch the layout of the base image again: it is damaged".to_owned()
                        }
                        false => "check the disk and the permissions of the folder".to_owned(),
                    };
                    Problem::new(what, hint).because(error)
                };
                let (built, guard) = written.map_err(|error| damaged_content(error).unwrap_or_else(failed))?;
                check()?;
                Ok((built, guard.into()))
            }
        }
    }
}

/// Whether a disk is full that something was to be written to.
fn is_full(error: &Error) -> bool {
    let (Error::Layer(cause) | Error::Io { source: cause, .. }) = error else { return false };
    crate::inputs::is_full(cause)
}

/// What was read before need not be read again.
fn digest_of_blob(cache: Option<Cache>) -> DigestOfBlob {
    Arc::new(move |path| file_sha256(cache.as_ref(), path).map(|sha256| format!("sha256:{sha256}")))
}

/// A base image that its registry does not give.
pub(crate) fn not_to_be_had(called: &str, reference: &ImageRef, error: Error) -> Problem {
    let hint = hint(reference.registry(), &error);
    Problem::new(format!("the {called} {reference} is not to be had"), hint).because(error)
}

async fn fetch_base(
    reference: &ImageRef,
    platform: Option<&Platform>,
    workspace: &Workspace,
    cancel: &CancellationToken,
) -> Result<BaseImage, Error> {
    let credentials = credentials_for(reference.registry()).await?;
    fetch::fetch(reference, &credentials, platform, &workspace.base(), cancel).await
}

/// What undoes the delivery of an image, until all is well.
#[derive(Debug)]
pub enum Guard {
    /// Names in an engine.
    Tags(TagGuard),
    /// Files of a layout, undone when this is dropped.
    Layout(LayoutGuard),
}

impl From<TagGuard> for Guard {
    fn from(guard: TagGuard) -> Self {
        Self::Tags(guard)
    }
}

impl From<LayoutGuard> for Guard {
    fn from(guard: LayoutGuard) -> Self {
        Self::Layout(guard)
    }
}

impl Guard {
    /// All is well: the image stays.
    pub fn keep(self) {
        match self {
            Self::Tags(_) => {}
            Self::Layout(guard) => guard.keep(),
        }
    }

    /// Puts everything back as it was before `image`.
    pub async fn undo(self, image: &BuiltImage) {
        match self {
            Self::Tags(guard) => {
                if tokio::time::timeout(UNDO_LIMIT, guard.undo(image)).await.is_err() {
                    warn!(
                        "the engine does not answer, so that the image of the failed run and its tags may still be there"
                    );
                }
            }
            Self::Layout(guard) => drop(guard),
        }
    }
}

/// What the engine called by these names before, to be put back if the run fails.
#[derive(Debug)]
pub struct TagGuard {
    engine: Engine,
    before: Vec<(ImageRef, Option<String>)>,
    images_before: HashSet<String>,
}

impl TagGuard {
    /// Takes note of what the engine has.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn note(engine: &Engine, tags: &[ImageRef]) -> Result<Self, Problem> {
        let mut before = Vec::new();
        for tag in tags {
            let image = engine.inspect(tag.as_str()).await.map_err(engine_problem)?;
            before.push((tag.clone(), image.and_then(|image| image.id)));
        }
        let images_before = engine.image_ids().await.map_err(engine_problem)?;
        Ok(Self { engine: engine.clone(), before, images_before })
    }

    /// Gives `image` all its names.
    ///
    /// # Errors
    /// Where the engine refuses one.
    pub async fn tag(&self, image: &BuiltImage) -> Result<(), Problem> {
        for (tag, _) in &self.before {
            self.engine.tag(&image.id, tag).await.map_err(engine_problem)?;
        }
        Ok(())
    }

    /// Gives `image` all its names; what was done before a failure is undone, the image included.
    ///
    /// # Errors
    /// Where the engine refuses a name, or `cancel` was cancelled.
    pub async fn tag_unless_cancelled(&self, image: &BuiltImage, cancel: &CancellationToken) -> Result<(), Problem> {
        let tagged = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Problem::new("stopped", "")),
            tagged = self.tag(image) => tagged,
        };
        if tagged.is_err() {
            self.undo(image).await;
        }
        tagged
    }

    /// The ids of all images that the engine had.
    pub fn images_before(&self) -> &HashSet<String> {
        &self.images_before
    }

    /// Puts every name back, and removes `image` if it is new; an engine that hangs at the one may still do the other.
    pub async fn undo(&self, image: &BuiltImage) {
        let mut names = std::pin::pin!(self.put_names_back(image));
        let are_back = tokio::time::timeout(PATIENCE, &mut names).await.is_ok();
        if !self.images_before.contains(&image.id)
            && let Err(error) = self.engine.remove(&image.id).await
        {
            debug!(error = &error as &dyn std::error::Error, "the image of the failed run stays in the engine");
        }
        if !are_back {
            names.await;
        }
    }

    async fn put_names_back(&self, image: &BuiltImage) {
        for (tag, before) in &self.before {
            let undone = match before {
                Some(id) => self.engine.tag(id, tag).await,
                None => self.engine.remove_tag(tag, &image.id).await,
            };
            if let Err(error) = undone {
                warn!(error = &error as &dyn std::error::Error, "the tag {tag} could not be put back");
            }
        }
    }
}
