//! An image by a Dockerfile, through `POST /build`: with BuildKit where the engine has it, else with the classic builder.
//!
//! The context is streamed as it is made. What counts as success is an image that the engine holds and that has the labels
//! asked for; all that a failed build leaves is removed.

mod context;
mod ignore;
mod images;
mod progress;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, BuilderVersion};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::apart::apart;
use crate::auth::{Credentials, DOCKER_HUB_KEY, credentials_for};
use crate::base::Platform;
use crate::cancel::CancellableWriter;
use crate::engine::Engine;
use crate::image::BuiltImage;
use crate::layer::Layer;
use crate::leftovers::Leftovers;
use crate::pipe::{PipeWriter, pipe};
use crate::reference::ImageRef;
use crate::{Error, Result};
use progress::Progress;

pub use context::{Context, folder_of};
pub use images::{NamedImages, named_images};

/// Docker's switch between the builders.
const BUILDKIT_VARIABLE: &str = "DOCKER_BUILDKIT";
/// Docker Hub's name among BuildKit's questions for credentials.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// Which of an engine's builders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// BuildKit.
    BuildKit,
    /// The one before it, and Podman's.
    Classic,
}

/// An image to be built by a Dockerfile.
#[derive(Debug)]
pub struct Build {
    /// Name of the Dockerfile in the context.
    pub dockerfile: String,
    /// What is sent.
    pub context: Layer,
    /// Build arguments.
    pub arguments: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Platform, where not the engine's own.
    pub platform: Option<Platform>,
    /// Whether the images that it names are fetched anew.
    pub pull: bool,
    /// Images that the Dockerfile names: the builder gets the credentials of their registries.
    pub images: Vec<String>,
}

impl Engine {
    /// The builder to use: BuildKit where the engine has it, unless `DOCKER_BUILDKIT` says otherwise.
    ///
    /// # Errors
    /// Where the engine does not answer properly.
    pub async fn builder(&self) -> Result<Builder> {
        match std::env::var(BUILDKIT_VARIABLE).as_deref() {
            Ok("0" | "f" | "F" | "false" | "False" | "FALSE") => return Ok(Builder::Classic),
            Ok("1" | "t" | "T" | "true" | "True" | "TRUE") => return Ok(Builder::BuildKit),
            _ => {}
        }
        let version = self.version().await?;
        let components = version.components.unwrap_or_default();
        let is_podman = components.iter().any(|component| component.name.starts_with("Podman"));
        // Without experimental features since this version of the API (18.09).
        let knows_buildkit = version.api_version.as_deref().is_some_and(|api| at_least(api, (1, 39)));
        Ok(if knows_buildkit && !is_podman { Builder::BuildKit } else { Builder::Classic })
    }
}

fn at_least(api: &str, wanted: (u32, u32)) -> bool {
    let numbers = api.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    numbers.is_some_and(|numbers: (u32, u32)| numbers >= wanted)
}

/// Builds the image, without any tag; each line that the builder says goes to `show`.
///
/// # Errors
/// [`Error::Build`] with the instruction that failed; [`Error::Cancelled`] when `cancel` was; otherwise what the engine
/// said, or that it holds no such image afterwards. Nothing of the build is left then but the engine's build cache.
pub async fn build(
    engine: &Engine,
    build: &Build,
    builder: Builder,
    show: &mut (dyn FnMut(&str) + Send),
    cancel: &CancellationToken,
) -> Result<BuiltImage> {
    let leftovers = Leftovers::note(engine, &build.labels).await?;
    let credentials = credentials(&build.images).await?;
    let mut progress = Progress::default();
    let built = tokio::select! {
        built = run(engine, build, builder, credentials, &mut progress, show, cancel) => built,
        () = cancel.cancelled() => Err(Error::Cancelled),
    };
    let confirmed = match built {
        Ok(()) => confirm(engine, build, &progress).await,
        Err(error) => Err(error),
    };
    if confirmed.is_err() {
        leftovers.remove(&progress.intermediate).await;
    }
    confirmed
}

async fn run(
    engine: &Engine,
    build: &Build,
    builder: Builder,
    credentials: HashMap<String, DockerCredentials>,
    progress: &mut Progress,
    show: &mut (dyn FnMut(&str) + Send),
    cancel: &CancellationToken,
) -> Result<()> {
    let (entries, megabytes) = (build.context.entries().count(), build.context.size().div_ceil(1_000_000));
    info!("sending the build context: {entries} files and folders, {megabytes} MB");
    let (writer, body) = pipe();
    let (context, token) = (build.context.clone(), cancel.clone());
    let sending = tokio::task::spawn_blocking(move || send(&context, writer, &token));
    let body = bollard::body_try_stream(body);
    let options = options(build, builder);
    let mut answers =
        apart(&engine.docker, move |docker| docker.build_image(options, Some(credentials), Some(body)).boxed());
    let mut refusal = None;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(message) => progress.note(message).iter().for_each(|line| show(line)),
            Err(error) => refusal = Some(error),
        }
    }
    // An engine that has refused reads no further; without its end of the pipe the writer stops too.
    drop(answers);
    let sent = sending.await.map_err(|error| Error::Layer(error.into()))?;
    use bollard::errors::Error::{DockerResponseServerError, DockerStreamError};
    match (sent, refusal) {
        // What is wrong with the Dockerfile itself is said before the build begins.
        (_, Some(DockerResponseServerError { status_code: 400..=499, message })) => Err(failed(progress, &message)),
        (Err(error), _) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::Layer(error)),
        (_, Some(DockerStreamError { error })) => Err(failed(progress, &error)),
        (_, Some(refusal)) => Err(Error::engine("build the image")(refusal)),
        // A builder may have no use for the end of the context.
        (_, None) => Ok(()),
    }
}

fn send(context: &Layer, pipe: PipeWriter, cancel: &CancellationToken) -> std::io::Result<()> {
    let mut out = CancellableWriter::new(pipe, cancel);
    let sent = context.write_to(&mut out).and_then(|_| out.flush());
    if let Err(error) = &sent {
        out.into_inner().fail(error);
    }
    sent
}

fn options(build: &Build, builder: Builder) -> BuildImageOptions {
    let map = |map: &BTreeMap<String, String>| map.clone().into_iter().collect::<HashMap<_, _>>();
    let mut options = BuildImageOptionsBuilder::new()
        .dockerfile(&build.dockerfile)
        .buildargs(&map(&build.arguments))
        .labels(&map(&build.labels))
        .rm(true)
        .forcerm(true);
    if build.pull {
        options = options.pull("true");
    }
    if let Some(platform) = &build.platform {
        options = options.platform(&platform.to_string());
    }
    match builder {
        Builder::BuildKit => options.version(BuilderVersion::BuilderBuildKit).session(&session_id()).build(),
        Builder::Classic => options.build(),
    }
}

/// By which the engine asks for credentials, so nobody must guess it.
fn session_id() -> String {
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", random(), random())
}

/// The credentials of the registries of `images`, by the names that the builders know registries by.
async fn credentials(images: &[String]) -> Result<HashMap<String, DockerCredentials>> {
    let mut found = HashMap::new();
    for image in images {
        // What is no reference is for the builder to refuse.
        let Ok(reference) = image.parse::<ImageRef>() else { continue };
        let registry = reference.registry();
        let credentials = match credentials_for(registry).await? {
            Credentials::Anonymous => continue,
            known => DockerCredentials { serveraddress: Some(registry.to_owned()), ..(&known).into() },
        };
        let keys = if registry == "docker.io" { vec![DOCKER_HUB_KEY, DOCKER_HUB_HOST] } else { vec![registry] };
        found.extend(keys.into_iter().map(|key| (key.to_owned(), credentials.clone())));
    }
    Ok(found)
}

fn failed(progress: &Progress, reason: &str) -> Error {
    Error::Build {
        instruction: progress.instruction.clone(),
        reason: reason.to_owned(),
        last_lines: progress.last_lines(),
    }
}

/// The stream can end early without an error, and name an earlier stage: only the image that was asked for has its labels.
async fn confirm(engine: &Engine, build: &Build, progress: &Progress) -> Result<BuiltImage> {
    let not_built =
        |reason: &str| Error::NotConfirmed { action: "build the image".to_owned(), reason: reason.to_owned() };
    let named = progress.image.as_deref().ok_or_else(|| not_built("it named no image in the end"))?;
    let found = engine.inspect(named).await?.ok_or_else(|| not_built("it has no image of the id that it named"))?;
    let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
    if build.labels.iter().any(|(key, value)| labels.get(key) != Some(value)) {
        return Err(not_built("the image that it named last has not the labels asked for"));
    }
    let id = found.id.unwrap_or_else(|| named.to_owned());
    debug!(id, "built");
    Ok(BuiltImage { id, digest: None, layers: Vec::new(), blobs: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(
            at_least("1.41", (1, 39))
                && at_least("2.0", (1, 39))
                && !at_least("1.9", (1, 39))
                && !at_least("", (1, 39))
        );
    }

    #[test]
    fn sessions_differ() {
        assert_ne!(session_id(), session_id());
    }
}
