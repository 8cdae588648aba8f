//! The image by the user's own Dockerfile: its folder and the hotfixed product are the build context.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hotfix_docker::Error;
use hotfix_docker::base::{Identity, Platform};
use hotfix_docker::build::{Build, Builder, Context, build, folder_of, named_images};
use hotfix_docker::engine::Engine;
use hotfix_docker::image::BuiltImage;
use hotfix_docker::layer::{Entry, FileContent, Layer, Node};
use hotfix_docker::reference::ImageRef;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::below::Below;
use crate::blocking::unless_cancelled;
use crate::changes::PatchedProduct;
use crate::checksums::InputDigests;
use crate::engine_problem::engine_problem;
use crate::fingerprint::{BASE, DOCKERFILE, Fingerprint, PLATFORM};
use crate::host::UPDATE_TOOLS;
use crate::identity;
use crate::image::{BaseLabels, labels};
use crate::layers::{hotfix_layer, product_layer};
use crate::pack::{Product, printable};
use crate::placement::Placement;
use crate::plan::{Method, Plan};
use crate::request::{Output, Request};
use crate::source::Source;
use crate::step::Problem;
use crate::tree::BIN;

/// A Dockerfile that can be read, with an engine that can build it.
#[derive(Debug)]
pub struct DockerfileRecipe {
    file: PathBuf,
    builder: Builder,
    /// Name of what the last stage is put on, where it is plainly said.
    pub base: Option<String>,
    /// By what it is told from others, where it is known.
    pub(crate) base_identity: Option<Identity>,
    /// What other images that it names are, as far as it is known: files can come from them.
    others: BTreeMap<String, Option<String>>,
}

/// The method of a request with `--dockerfile`.
///
/// # Errors
/// Where the file is none, other options contradict it, or something else is where the product goes.
pub(crate) fn method(request: &Request, file: &Path, product: &Product) -> Result<Method, Problem> {
    if let Output::Layout(_) = request.output {
        return Err(Problem::new(
            "--dockerfile needs an engine, which alone can build it, and --output oci:DIR works without one",
            "leave --output away, or --dockerfile and give --base-image",
        ));
    }
    check_file(file)?;
    let folder = folder_of(file);
    check_workspace(request, folder)?;
    let product = folder.join(product.folder());
    match product.symlink_metadata() {
        Ok(_) => Err(Problem::new(
            format!("{} is where the hotfixed product goes in the build context", product.display()),
            "remove it or move it elsewhere: the Dockerfile gets the product of the pack under that name",
        )),
        Err(_) => Ok(Method::Dockerfile(file.to_owned())),
    }
}

fn check_file(file: &Path) -> Result<(), Problem> {
    let metadata = std::fs::metadata(file).map_err(|error| {
        Problem::new(format!("there is no Dockerfile {}", file.display()), "give the path of your Dockerfile")
            .because(error)
    })?;
    match metadata.is_file() {
        true => Ok(()),
        false => Err(Problem::new(
            format!("the Dockerfile {} is no file", file.display()),
            format!("give the file, such as {}", file.join("Dockerfile").display()),
        )),
    }
}

/// The workspace holds what must never be sent.
fn check_workspace(request: &Request, folder: &Path) -> Result<(), Problem> {
    let workspace = request.workspace.clone().unwrap_or_else(crate::workspace::temporary_folder);
    let there = workspace.ancestors().find_map(|path| path.canonicalize().ok());
    match (there, folder.canonicalize()) {
        (Some(there), Ok(folder)) if there.starts_with(&folder) => Err(Problem::new(
            format!(
                "the workspace in {} would be part of the build context {}, with the update tool's own files",
                workspace.display(),
                folder.display()
            ),
            "give --workspace with a folder elsewhere, or put the Dockerfile into a folder of its own",
        )),
        _ => Ok(()),
    }
}

impl DockerfileRecipe {
    /// Reads the build context, without keeping it: it is read again when it is sent.
    ///
    /// # Errors
    /// Where something in it cannot be read or sent.
    pub(crate) fn check_context(plan: &Plan, file: &Path) -> Result<Context, Problem> {
        let context = read(file)?;
        let folder = folder_of(file);
        let sent = |path: &Path| {
            let path = path.canonicalize().ok()?;
            let inner = path.strip_prefix(folder.canonicalize().ok()?).ok()?.to_str()?.to_owned();
            context.entries.entries().any(|(known, _)| known == inner).then_some(inner)
        };
        for path in [plan.source.path(), Some(&plan.request.hotfix_dir)].into_iter().flatten().filter_map(sent) {
            warn!("{path} is in the build context and is sent along: name it in {}.dockerignore", file.display());
        }
        Ok(context)
    }

    /// Finds the builder, and what the Dockerfile's last stage is put on.
    ///
    /// # Errors
    /// Where the engine fails.
    pub(crate) async fn find(plan: &Plan, file: &Path, context: &Context, engine: &Engine) -> Result<Self, Problem> {
        let builder = engine.builder().await.map_err(engine_problem)?;
        debug!(?builder, "the Dockerfile's builder");
        let named = named_images(&context.text, &arguments(plan));
        let base_identity = match &named.base {
            Some(name) if name != "scratch" => identity(plan, engine, name).await,
            _ => None,
        };
        let mut others = BTreeMap::new();
        for name in named.all.into_iter().filter(|name| named.base.as_ref() != Some(name)) {
            let content = identity(plan, engine, &name).await.and_then(|other| other.content);
            others.insert(name, content);
        }
        Ok(Self { file: file.to_owned(), builder, base: named.base, base_identity, others })
    }

    /// Builds the image, without any name yet.
    ///
    /// # Errors
    /// Where the build fails.
    pub(crate) async fn build(
        &self,
        plan: &Plan,
        engine: &Engine,
        digests: &InputDigests,
        patched: Option<&PatchedProduct>,
        cancel: &CancellationToken,
    ) -> Result<BuiltImage, Problem> {
        let context = read(&self.file)?;
        let arguments = arguments(plan);
        let fingerprint = self.fingerprint(plan, digests, &context, cancel).await?;
        let base = BaseLabels { name: self.base.as_deref(), digest: self.base_digest() };
        let order = Build {
            labels: labels(plan, base, digests, patched, &fingerprint),
            images: named_images(&context.text, &arguments).all,
            context: with_product(plan, context.entries, patched)?,
            dockerfile: context.dockerfile,
            platform: plan.request.platform.clone(),
            pull: plan.request.pull,
            arguments,
        };
        let mut show = |line: &str| info!("{}", printable(line));
        build(engine, &order, self.builder, &mut show, cancel).await.map_err(|error| self.build_problem(error))
    }

    /// One digest of everything that went in and can make a difference to the image.
    pub(crate) async fn fingerprint(
        &self,
        plan: &Plan,
        digests: &InputDigests,
        context: &Context,
        cancel: &CancellationToken,
    ) -> Result<Fingerprint, Problem> {
        let (context, file) = (context.clone(), self.file.clone());
        let digest = move || context.digest().map_err(|error| context_problem(&file, error));
        let platform = plan.request.platform.as_ref().filter(|platform| !Platform::linux_here().is(platform));
        let own = [
            (BASE, json!(self.base_identity.as_ref().map(|base| &base.content))),
            ("images", json!(Some(&self.others).filter(|others| !others.is_empty()))),
            (PLATFORM, json!(platform.map(ToString::to_string))),
            // Arguments can be secret, so no digest of theirs alone is told.
            (DOCKERFILE, json!([unless_cancelled(cancel, digest).await?, arguments(plan)])),
        ];
        Ok(Fingerprint::of(plan, digests, own))
    }

    /// Digest of the base, or the engine's id of it.
    pub(crate) fn base_digest(&self) -> Option<&str> {
        self.base_identity.as_ref()?.digest.as_deref()
    }

    fn build_problem(&self, error: Error) -> Problem {
        match error {
            Error::Build { ref instruction, ref reason, ref last_lines } => {
                let at = instruction.as_ref().map(|step| format!(" at {}", printable(step))).unwrap_or_default();
                let said = last_lines.iter().chain([reason]).map(|line| printable(line.trim_end()));
                let said = said.collect::<Vec<_>>().join("\n");
                Problem::new(
                    format!("the build of {} failed{at}", self.file.display()),
                    "see what the builder said, and repair the Dockerfile or its folder",
                )
                .because(anyhow::anyhow!("the builder said last:\n{said}"))
            }
            other => engine_problem(other),
        }
    }
}

fn read(file: &Path) -> Result<Context, Problem> {
    Context::read(file).map_err(|error| context_problem(file, error))
}

fn context_problem(file: &Path, error: Error) -> Problem {
    let folder = folder_of(file);
    Problem::new(
        format!("the folder {} cannot be sent as the build context", folder.display()),
        "see the cause; what is not needed can be left out by a .dockerignore",
    )
    .because(error)
}

/// What the vendor's recipes call product and version, and what the user says.
fn arguments(plan: &Plan) -> BTreeMap<String, String> {
    let product = [("WSO2_SERVER_NAME", &plan.product.name), ("WSO2_SERVER_VERSION", &plan.product.version)];
    let mut arguments: BTreeMap<String, String> =
        product.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
    arguments.extend(plan.request.build_args.iter().cloned());
    arguments
}

/// By what an image that the Dockerfile names is told from others. Whatever goes wrong here, the builder will say it better.
async fn identity(plan: &Plan, engine: &Engine, name: &str) -> Option<Identity> {
    let reference: ImageRef = name.parse().ok()?;
    let identity = identity::in_engine(engine, &reference, plan.request.wanted()).await;
    let unknown = |error| debug!(error = &error as &dyn std::error::Error, "what {name} is, is not known yet");
    identity.map_err(unknown).ok()
}

/// The user's folder with the product beside it: as in the pack, with what the hotfixes changed.
fn with_product(plan: &Plan, mut context: Layer, patched: Option<&PatchedProduct>) -> Result<Layer, Problem> {
    let placement = Placement::in_build_context(plan);
    if let Source::Pack(pack) = &plan.source {
        context.lay_over(product_layer(pack, &placement, None)?);
    }
    if let Some(product) = patched {
        let below = Below::of_pack(&product.pristine.nodes, &placement);
        context.lay_over(hotfix_layer(product, &below, &placement, plan.hotfixes.as_slice())?);
        context.lay_over(update_tools(plan, &placement, product)?);
    }
    Ok(context)
}

/// The update tool as it is now, which may have replaced itself: a container in which somebody looks with it at what is
/// applied should not begin with another update.
fn update_tools(plan: &Plan, placement: &Placement, product: &PatchedProduct) -> Result<Layer, Problem> {
    let mut layer = Layer::default();
    let mtime = plan.hotfixes.as_slice().iter().map(|hotfix| hotfix.newest).max().unwrap_or_default();
    for name in UPDATE_TOOLS {
        let inner = format!("{BIN}/{name}");
        // None where it is not there.
        let Ok(file) = product.home.locate(&inner) else { continue };
        if !file.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            continue;
        }
        let content = FileContent::new(file.clone()).map_err(|error| {
            Problem::new(format!("{} cannot be read", file.display()), "check the workspace's disk").because(error)
        })?;
        let node = Node::File(Arc::new(content));
        layer.insert(placement.path(&inner), Entry { node, metadata: placement.metadata(0o755, mtime) });
    }
    Ok(layer)
}
