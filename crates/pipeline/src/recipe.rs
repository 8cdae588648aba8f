//! How the image is made: one variant a way, each found ready before anything is unpacked.

use hotfix_docker::base::BaseImage;
use hotfix_docker::engine::Engine;
use hotfix_docker::image::BuiltImage;
use hotfix_docker::reference::ImageRef;
use tokio_util::sync::CancellationToken;

use crate::below::Below;
use crate::changes::PatchedProduct;
use crate::checksums::InputDigests;
use crate::credentials;
use crate::delivery::{Destination, Guard, TagGuard};
use crate::dockerfile::DockerfileRecipe;
use crate::image::assemble;
use crate::layers::{hotfix_layer, product_layer};
use crate::patching::Work;
use crate::placement::Placement;
use crate::plan::{Method, Plan};
use crate::recorder::Recorder;
use crate::step::{Failure, Problem, Step};
use crate::vendor_image;
use crate::workspace::Workspace;

/// A way to make the image, with everything that it needs from outside.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // There is one of it.
pub enum Recipe {
    /// The product's layer and that of the hotfixes on a base image.
    Layers {
        /// What they are put on.
        base: Box<BaseImage>,
        /// Where they go.
        placement: Placement,
    },
    /// The update tool's `create-docker`, in this engine.
    VendorTool(Engine),
    /// The user's own Dockerfile, in this engine.
    Dockerfile(Engine, DockerfileRecipe),
}

impl Recipe {
    /// Finds what the plan's way needs.
    ///
    /// # Errors
    /// Where it is not to be had, as a failure of `build-image`.
    pub async fn prepare(
        plan: &Plan,
        destination: &Destination,
        workspace: &Workspace,
        recorder: &mut Recorder,
    ) -> Result<Self, Failure> {
        if plan.method == Method::VendorTool {
            return vendor_image::engine(destination).map(Self::VendorTool);
        }
        if let (Method::Dockerfile(file), Destination::Engine(engine)) = (&plan.method, destination) {
            let context = recorder.check(Step::ValidateInputs, || DockerfileRecipe::check_context(plan, file))?;
            let find = async |cancel: CancellationToken| {
                tokio::select! {
                    found = DockerfileRecipe::find(plan, file, &context, engine) => found,
                    () = cancel.cancelled() => Err(Problem::new("stopped", "")),
                }
            };
            let recipe = recorder.look_ahead(Step::BuildImage, find).await?;
            return Ok(Self::Dockerfile(engine.clone(), recipe));
        }
        let Method::Base(base) = &plan.method else { unreachable!("refused when the plan was made") };
        let platform = plan.request.platform.as_ref();
        let find = async |cancel| destination.base(base, platform, workspace, &cancel).await;
        let base = recorder.look_ahead(Step::BuildImage, find).await?;
        let placement = recorder.look_ahead(Step::BuildImage, async |_| Placement::find(plan, &base).await).await?;
        Ok(Self::Layers { base: Box::new(base), placement })
    }

    /// What the image is put on, for reports.
    pub fn base_name(&self) -> &str {
        match self {
            Self::Layers { base, .. } => &base.name,
            Self::VendorTool(_) => vendor_image::BASE_NAME,
            Self::Dockerfile(_, recipe) => recipe.base.as_deref().unwrap_or("dockerfile"),
        }
    }

    /// Where what the image is put on was fetched from, if it was.
    pub fn origin(&self) -> Option<&ImageRef> {
        match self {
            Self::Layers { base, .. } => base.origin(),
            Self::VendorTool(_) | Self::Dockerfile(..) => None,
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
        work: Option<(&Work<'_>, &PatchedProduct)>,
        cancel: &CancellationToken,
    ) -> Result<(BuiltImage, Guard), Problem> {
        let patched = work.map(|(_, patched)| patched);
        match self {
            Self::Layers { base, placement } => {
                let mut layers = vec![product_layer(&plan.pack, placement)?];
                if let Some(product) = patched {
                    let below = Below::of_pack(&product.pristine.nodes, placement);
                    layers.push(hotfix_layer(product, &below, placement, plan.hotfixes.as_slice())?);
                }
                let image = assemble(plan, base.as_ref().clone(), placement, digests, layers);
                destination.build(&image, &plan.tags, cancel).await
            }
            Self::VendorTool(engine) => {
                let (work, _) = work.ok_or_else(credentials::missing)?;
                vendor_image::build(work, engine, digests, cancel).await
            }
            Self::Dockerfile(engine, recipe) => {
                let guard = TagGuard::note(engine, &plan.tags).await?;
                let built = recipe.build(plan, engine, digests, patched, cancel).await?;
                guard.tag_unless_cancelled(&built, cancel).await?;
                Ok((built, guard.into()))
            }
        }
    }
}
