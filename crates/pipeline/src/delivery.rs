//! The image to where it goes: engine or layout, its tags, its registries. What fails is undone.

use std::collections::HashSet;

use hotfix_docker::Error;
use hotfix_docker::auth::{Credentials, credentials_for};
use hotfix_docker::base::{BaseImage, Platform};
use hotfix_docker::engine::Engine;
use hotfix_docker::image::{BuiltImage, Image};
use hotfix_docker::reference::ImageRef;
use hotfix_docker::registry_tag::TagState;
use hotfix_docker::{load, oci_layout, push, registry};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::engine_problem::{base_problem, engine_problem};
use crate::plan::{BasePlan, Plan};
use crate::request::Output;
use crate::step::Problem;

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
            Output::Docker => Engine::connect().await.map(Self::Engine).map_err(engine_problem),
            Output::Layout(folder) => Ok(Self::Layout(folder.clone())),
        }
    }

    /// The base image, for `platform` where one is given; pulled where the engine lacks it.
    ///
    /// # Errors
    /// Where there is no such image.
    pub async fn base(
        &self,
        base: &BasePlan,
        platform: Option<&Platform>,
        cancel: &CancellationToken,
    ) -> Result<BaseImage, Problem> {
        let problem = |what, hint| move |error| base_problem(base, what, hint, error);
        match (base, self) {
            (BasePlan::Scratch, _) => {
                Ok(BaseImage::scratch_for(platform.cloned().unwrap_or_else(Platform::linux_here)))
            }
            (BasePlan::Layout(folder, tag), _) => oci_layout::open(folder, tag.as_deref(), platform).map_err(problem(
                "cannot be used",
                "give the folder of an OCI layout, and the tag of an image in it after a colon",
            )),
            (BasePlan::Engine(reference), Self::Engine(engine)) => {
                let found = tokio::select! {
                    found = engine.base(reference, platform) => found,
                    () = cancel.cancelled() => Err(Error::Cancelled),
                };
                found.map_err(problem(
                    "is not to be had",
                    "check its name with --base-image, and the engine's way to the registry (docker pull)",
                ))
            }
            // Refused when the plan was made.
            (BasePlan::Engine(reference), Self::Layout(_)) => {
                Err(Problem::new(format!("{reference} is in an engine"), "give --output docker"))
            }
        }
    }

    /// Builds the image, without any name yet in an engine.
    ///
    /// # Errors
    /// Where engine or disk fail.
    pub async fn build(
        &self,
        image: &Image,
        tags: &[ImageRef],
        cancel: &CancellationToken,
    ) -> Result<BuiltImage, Problem> {
        match self {
            Self::Engine(engine) => load::load(engine, image, cancel).await.map_err(engine_problem),
            Self::Layout(folder) => oci_layout::write(folder, image, tags, cancel).await.map_err(|error| {
                Problem::new(
                    format!("the image could not be written to {}", folder.display()),
                    "check the disk and the permissions of the folder",
                )
                .because(error)
            }),
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

    /// Puts every name back, and removes `image` if it is new.
    pub async fn undo(&self, image: &BuiltImage) {
        for (tag, before) in &self.before {
            let undone = match before {
                Some(id) => self.engine.tag(id, tag).await,
                None => self.engine.remove_tag(tag, &image.id).await,
            };
            if let Err(error) = undone {
                warn!(error = &error as &dyn std::error::Error, "the tag {tag} could not be put back");
            }
        }
        if !self.images_before.contains(&image.id)
            && let Err(error) = self.engine.remove(&image.id).await
        {
            debug!(error = &error as &dyn std::error::Error, "the image of the failed run stays in the engine");
        }
    }
}

/// A tag to push, with what its registry knows us by.
#[derive(Debug)]
pub struct PushTarget {
    reference: ImageRef,
    credentials: Credentials,
}

impl PushTarget {
    /// Finds the credentials for `reference` and asks its registry whether they may push there.
    ///
    /// # Errors
    /// Where the credentials cannot be read, nobody answers, or the answer is no.
    pub async fn check(reference: &ImageRef, engine: &Engine) -> Result<Self, Problem> {
        let credentials =
            credentials_for(reference.registry()).await.map_err(|error| push_problem(reference, error))?;
        match registry::check_push(reference, &credentials).await {
            Ok(()) => {}
            // The engine may have a way that we have not: another machine, another network, another certificate store.
            Err(error @ Error::RegistryUnreachable { .. }) if push::reaches(engine, reference, &credentials).await => {
                debug!(error = &error as &dyn std::error::Error, "only the engine reaches the registry");
                warn!(
                    "the registry {} answers the engine but not us, so whether a push is allowed shows only when it is tried",
                    reference.registry()
                );
            }
            Err(error) => return Err(push_problem(reference, error)),
        }
        Ok(Self { reference: reference.clone(), credentials })
    }
}

/// Pushes every tag; returns the digest that the registry took.
///
/// # Errors
/// Where one fails. Tags that were pushed before it name again what they named; one that is new stays, and a warning says
/// so.
pub async fn push_all(
    engine: &Engine,
    image: &BuiltImage,
    targets: &[PushTarget],
    cancel: &CancellationToken,
) -> Result<Option<String>, Problem> {
    let mut digest = None;
    let mut before = Vec::new();
    for target in targets {
        // With one tag there is never anything to put back.
        if targets.len() > 1 {
            before.push(TagState::note(&target.reference, &target.credentials).await);
        }
        let pushed = tokio::select! {
            pushed = push::push(engine, &image.id, &target.reference, &target.credentials) => pushed,
            () = cancel.cancelled() => Err(Error::Cancelled),
        };
        match pushed {
            Ok(pushed) => {
                info!("pushed {} as {pushed}", target.reference);
                digest = Some(pushed);
            }
            Err(error) => {
                // The last one noted is the one that failed.
                before.pop();
                put_back(targets, &before).await;
                return Err(push_problem(&target.reference, error));
            }
        }
    }
    Ok(digest)
}

/// Undoes the pushes of the first of `targets`, whose tags were noted in `before`.
async fn put_back(targets: &[PushTarget], before: &[hotfix_docker::Result<TagState>]) {
    for (target, before) in targets.iter().zip(before) {
        let undone = match before {
            Ok(before) => before.put_back().await.unwrap_or_else(|error| {
                debug!(error = &error as &dyn std::error::Error, "put back");
                false
            }),
            Err(_) => false,
        };
        match undone {
            true => info!("{} names again what it named before", target.reference),
            false => warn!("{} was pushed and could not be taken back", target.reference),
        }
    }
}

fn push_problem(reference: &ImageRef, error: Error) -> Problem {
    let hint = match &error {
        Error::Denied { .. } => format!(
            "log in with rights to push (docker login {}), and check the name of the repository",
            reference.registry()
        ),
        Error::RegistryUnreachable { .. } => "check the name of the registry and the network".to_owned(),
        Error::Credentials { .. } => {
            "repair ~/.docker/config.json or the credential helper that it names (docker login does)".to_owned()
        }
        _ => "see what the registry said, and try again".to_owned(),
    };
    Problem::new(format!("{reference} cannot be pushed"), hint).because(error)
}

/// What is to be pushed, with the right to push it.
///
/// # Errors
/// As [`PushTarget::check`].
pub async fn push_targets(plan: &Plan, destination: &Destination) -> Result<Vec<PushTarget>, Problem> {
    let mut targets = Vec::new();
    if let (true, Destination::Engine(engine)) = (plan.push, destination) {
        for tag in &plan.tags {
            targets.push(PushTarget::check(tag, engine).await?);
        }
    }
    Ok(targets)
}

/// Builds the image and gives it its names; what was done before a failure is undone.
///
/// # Errors
/// Where engine or disk fail.
pub async fn build(
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
