//! How the image is made: one variant a way, each found ready before anything is unpacked.

use std::path::Path;

use hotfix_docker::base::BaseImage;
use hotfix_docker::engine::Engine;
use hotfix_docker::image::BuiltImage;
use hotfix_docker::layer::{KnownLayer, Layer};
use hotfix_docker::reference::ImageRef;
use tokio_util::sync::CancellationToken;

use crate::below::Below;
use crate::blocking::unless_cancelled;
use crate::cache::{Cache, LayerKey};
use crate::changes::PatchedProduct;
use crate::checksums::InputDigests;
use crate::credentials::{Credentials, Missing};
use crate::delivery::{Destination, Guard, TagGuard};
use crate::dockerfile::DockerfileRecipe;
use crate::engine_problem::engine_problem;
use crate::image::assemble;
use crate::layers::{hotfix_layer, product_layer};
use crate::leaks;
use crate::patching::Work;
use crate::placement::{Placement, check_env};
use crate::plan::{BasePlan, Method, Plan};
use crate::product_image::{Clues, ProductImage};
use crate::recorder::Recorder;
use crate::source::Source;
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
        /// Remembers the product's layer.
        cache: Option<Cache>,
    },
    /// The layer of the hotfixes on an image that holds the product; what is in it is remembered.
    OnImage(Box<ProductImage>, Option<Cache>),
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
        cache: Option<&Cache>,
        credentials: Option<&Credentials>,
        recorder: &mut Recorder,
    ) -> Result<Self, Failure> {
        match (&plan.method, destination) {
            (Method::Base(base), _) => {
                let base =
                    find_base(plan, (Step::BuildImage, "base image", base), destination, workspace, recorder).await?;
                let find = async |_| Placement::find(plan, &base, cache).await;
                let placement = recorder.look_ahead(Step::BuildImage, find).await?;
                Ok(Self::Layers { base: Box::new(base), placement, cache: cache.cloned() })
            }
            (Method::FromImage(plan_of_image), _) => {
                let image = match &plan.source {
                    Source::Image(image, _) => image.clone(),
                    Source::Pack(_) => {
                        let asked = (Step::ValidateInputs, "image", plan_of_image);
                        let base = find_base(plan, asked, destination, workspace, recorder).await?;
                        let find = async |_| product_on(plan, base, plan_of_image.tag(), cache).await;
                        Box::new(recorder.look_ahead(Step::ValidateInputs, find).await?)
                    }
                };
                let check = async |_| check_env(plan, &image.base, &image.facts.placement.home, cache).await;
                recorder.look_ahead(Step::ValidateInputs, check).await?;
                Ok(Self::OnImage(image, cache.cloned()))
            }
            (Method::Dockerfile(file), Destination::Engine(engine)) => {
                let context = recorder.check(Step::ValidateInputs, || DockerfileRecipe::check_context(plan, file))?;
                if let Some(credentials) = credentials {
                    let (entries, credentials) = (context.entries.clone(), credentials.clone());
                    let search = move || leaks::check_context(&entries, &credentials);
                    let search = async |cancel| unless_cancelled(&cancel, search).await;
                    recorder.look_ahead(Step::ValidateInputs, search).await?;
                }
                let find = async |cancel: CancellationToken| {
                    tokio::select! {
                        found = DockerfileRecipe::find(plan, file, &context, engine) => found,
                        () = cancel.cancelled() => Err(Problem::new("stopped", "")),
                    }
                };
                let recipe = recorder.look_ahead(Step::BuildImage, find).await?;
                Ok(Self::Dockerfile(engine.clone(), recipe))
            }
            (Method::VendorTool, Destination::Engine(engine)) => Ok(Self::VendorTool(engine.clone())),
            (Method::Dockerfile(_) | Method::VendorTool, Destination::Layout(_)) => {
                unreachable!("refused when the plan was made")
            }
        }
    }

    /// Whether the update tool has a part in it.
    pub fn needs_tool(&self) -> bool {
        matches!(self, Self::VendorTool(_))
    }

    /// What the image is put on, for reports.
    pub fn base_name(&self) -> &str {
        match self {
            Self::Layers { base, .. } => &base.name,
            Self::OnImage(image, _) => &image.base.name,
            Self::VendorTool(_) => vendor_image::BASE_NAME,
            Self::Dockerfile(_, recipe) => recipe.base.as_deref().unwrap_or("dockerfile"),
        }
    }

    /// Where what the image is put on was fetched from, if it was.
    pub fn origin(&self) -> Option<&ImageRef> {
        match self {
            Self::Layers { base, .. } => base.origin(),
            Self::OnImage(image, _) => image.base.origin(),
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
        let check = || check_sources(plan, digests, work.map(|(work, _)| work));
        match self {
            Self::Layers { base, placement, cache } => {
                let key = LayerKey::new(&digests.pack, &placement.describe());
                let files = work.and_then(|(work, _)| work.product.files.as_deref());
                let known = cache.as_ref().and_then(|cache| cache.layer(&key));
                let mut layers = Vec::from_iter(layer_of_pack(plan, placement, files, known)?);
                if let Some(product) = patched {
                    let below = Below::of_pack(&product.pristine.nodes, placement);
                    layers.push(hotfix_layer(product, &below, placement, plan.hotfixes.as_slice())?);
                }
                let image = assemble(plan, base.as_ref().clone(), digests, patched, layers);
                let (built, guard) = destination.build(&image, &plan.tags, check, cache.as_ref(), cancel).await?;
                if let (Some(cache), Source::Pack(_), Some(layer)) = (cache, &plan.source, built.layers.first()) {
                    cache.note_layer(&key, layer, built.blobs.first());
                }
                Ok((built, guard))
            }
            Self::OnImage(image, cache) => {
                let mut layers = Vec::new();
                if let Some(product) = patched {
                    let below = image.below(product, cache.as_ref()).await?;
                    layers.push(hotfix_layer(product, &below, &image.facts.placement, plan.hotfixes.as_slice())?);
                }
                let image = assemble(plan, image.base.clone(), digests, patched, layers);
                destination.build(&image, &plan.tags, check, cache.as_ref(), cancel).await
            }
            Self::VendorTool(engine) => {
                let (work, _) = work.ok_or_else(|| Missing::Both.problem())?;
                vendor_image::build(work, engine, digests, cancel).await
            }
            Self::Dockerfile(engine, recipe) => {
                let guard = TagGuard::note(engine, &plan.tags).await?;
                let built = recipe.build(plan, engine, digests, patched, cancel).await?;
                let checked = match check() {
                    Ok(()) => check_product(plan, engine, &built, patched).await,
                    changed => changed,
                };
                if let Err(problem) = checked {
                    guard.undo(&built).await;
                    return Err(problem);
                }
                guard.tag_unless_cancelled(&built, cancel).await?;
                Ok((built, guard.into()))
            }
        }
    }
}

/// Whether what the image was made from is still what it was when its checksum was taken.
fn check_sources(plan: &Plan, digests: &InputDigests, work: Option<&Work<'_>>) -> Result<(), Problem> {
    if let Source::Pack(pack) = &plan.source {
        pack.check_is(&digests.pack)?;
    }
    work.map_or(Ok(()), |work| work.product.check())
}

/// The product's layer, where it is put on the base; in an image that holds the product there is one already.
fn layer_of_pack(
    plan: &Plan,
    placement: &Placement,
    files: Option<&Path>,
    known: Option<KnownLayer>,
) -> Result<Option<Layer>, Problem> {
    let Source::Pack(pack) = &plan.source else { return Ok(None) };
    let mut layer = product_layer(pack, placement, files)?;
    layer.known = known;
    Ok(Some(layer))
}

/// The image that others are put on; a failure of the step whose matter it is.
async fn find_base(
    plan: &Plan,
    (step, called, base): (Step, &str, &BasePlan),
    destination: &Destination,
    workspace: &Workspace,
    recorder: &mut Recorder,
) -> Result<BaseImage, Failure> {
    let find = async |cancel| destination.base((called, base), plan.request.wanted(), workspace, &cancel).await;
    recorder.look_ahead(step, find).await
}

/// The product in `base`, where it is the plan's.
async fn product_on(
    plan: &Plan,
    base: BaseImage,
    tag: Option<&str>,
    cache: Option<&Cache>,
) -> Result<ProductImage, Problem> {
    let clues = Clues { asked: plan.request.product_home.as_deref(), folder: Some(plan.product.folder()), tag };
    let image = ProductImage::find(base, clues, plan.host, cache).await?;
    image.check_is(&plan.product)?;
    Ok(image)
}

/// Whether an image by a Dockerfile holds the product with its hotfixes: the labels are going to say so.
async fn check_product(
    plan: &Plan,
    engine: &Engine,
    built: &BuiltImage,
    patched: Option<&PatchedProduct>,
) -> Result<(), Problem> {
    let image = engine.image(&built.id).await.map_err(engine_problem)?;
    let has = |path: &str| match (patched, &plan.source) {
        (Some(product), _) => product.home.has(path),
        (None, Source::Pack(pack)) => pack.nodes.contains_key(path),
        (None, Source::Image(..)) => false,
    };
    let image = ProductImage::find_only(image, &plan.product, has, plan.host).await?;
    match patched {
        Some(product) => image.check_fixed(product).await,
        None => Ok(()),
    }
}
