//! How the image is made: one variant a way, each found ready before anything is unpacked.

use hotfix_docker::base::BaseImage;
use hotfix_docker::image::BuiltImage;
use tokio_util::sync::CancellationToken;

use crate::changes::PatchedProduct;
use crate::checksums::InputDigests;
use crate::delivery::{Destination, TagGuard};
use crate::dockerfile::DockerfileRecipe;
use crate::image::assemble;
use crate::placement::Placement;
use crate::plan::{Method, Plan};
use crate::recorder::Recorder;
use crate::step::{Failure, Problem, Step};

/// A way to make the image, with everything that it needs from outside.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // There is one of it.
pub enum Recipe {
    /// The product's layer and that of the hotfixes on a base image.
    Layers {
        /// What they are put on.
        base: BaseImage,
        /// Where they go.
        placement: Placement,
    },
    /// The user's own Dockerfile.
    Dockerfile(DockerfileRecipe),
}

impl Recipe {
    /// Finds what the plan's way needs.
    ///
    /// # Errors
    /// Where it is not to be had, as a failure of `build-image`.
    pub async fn prepare(plan: &Plan, destination: &Destination, recorder: &mut Recorder) -> Result<Self, Failure> {
        if let (Method::Dockerfile(file), Destination::Engine(engine)) = (&plan.method, destination) {
            let context = recorder.check(Step::ValidateInputs, || DockerfileRecipe::check_context(plan, file))?;
            let find = async |cancel: CancellationToken| {
                tokio::select! {
                    found = DockerfileRecipe::find(plan, file, &context, engine) => found,
                    () = cancel.cancelled() => Err(Problem::new("stopped", "")),
                }
            };
            return recorder.look_ahead(Step::BuildImage, find).await.map(Self::Dockerfile);
        }
        let Method::Base(base) = &plan.method else { unreachable!("refused when the plan was made") };
        let base = recorder.look_ahead(Step::BuildImage, async |cancel| destination.base(base, &cancel).await).await?;
        let placement = recorder.look_ahead(Step::BuildImage, async |_| Placement::find(plan, &base).await).await?;
        Ok(Self::Layers { base, placement })
    }

    /// What the image is put on, for reports.
    pub fn base_name(&self) -> &str {
        match self {
            Self::Layers { base, .. } => &base.name,
            Self::Dockerfile(recipe) => recipe.base.as_deref().unwrap_or("dockerfile"),
        }
    }

    /// Makes the image and gives it its names; what was done before a failure is undone.
    ///
    /// # Errors
    /// Where engine or disk fail.
    pub async fn build(
        &self,
        plan: &Plan,
        destination: &Destination,
        digests: &InputDigests,
        patched: Option<&PatchedProduct>,
        cancel: &CancellationToken,
    ) -> Result<(BuiltImage, Option<TagGuard>), Problem> {
        match self {
            Self::Layers { base, placement } => {
                let image = assemble(plan, base.clone(), placement, digests, patched)?;
                named(destination, plan, cancel, async || destination.build(&image, &plan.tags, cancel).await).await
            }
            Self::Dockerfile(recipe) => {
                let Destination::Engine(engine) = destination else { unreachable!("refused when the plan was made") };
                let make = async || recipe.build(plan, engine, digests, patched, cancel).await;
                named(destination, plan, cancel, make).await
            }
        }
    }
}

/// Lets `make` make an image, and gives it its names; what was done before a failure is undone.
///
/// # Errors
/// As `make`, and where the engine refuses a name.
async fn named(
    destination: &Destination,
    plan: &Plan,
    cancel: &CancellationToken,
    make: impl AsyncFnOnce() -> Result<BuiltImage, Problem>,
) -> Result<(BuiltImage, Option<TagGuard>), Problem> {
    let guard = match destination {
        Destination::Engine(engine) => Some(TagGuard::note(engine, &plan.tags).await?),
        Destination::Layout(_) => None,
    };
    let built = make().await?;
    if let Some(guard) = &guard {
        let tagged = if cancel.is_cancelled() { Err(Problem::new("stopped", "")) } else { guard.tag(&built).await };
        if let Err(problem) = tagged {
            guard.undo(&built).await;
            return Err(problem);
        }
    }
    Ok((built, guard))
}
