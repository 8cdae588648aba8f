//! Step 8: every tag into its registry, through the engine or, out of a layout, by ourselves. What fails is undone.

use hotfix_docker::Error;
use hotfix_docker::auth::{Credentials, credentials_for};
use hotfix_docker::engine::Engine;
use hotfix_docker::image::BuiltImage;
use hotfix_docker::reference::ImageRef;
use hotfix_docker::registry_tag::TagState;
use hotfix_docker::upload::{LocalImage, upload};
use hotfix_docker::{push, registry};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::delivery::Destination;
use crate::plan::Plan;
use crate::registry_hint::hint;
use crate::step::Problem;

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
    pub async fn check(reference: &ImageRef, destination: &Destination) -> Result<Self, Problem> {
        let credentials =
            credentials_for(reference.registry()).await.map_err(|error| push_problem(reference, error))?;
        if let Err(error) = registry::check_push(reference, &credentials).await {
            match destination {
                Destination::Engine(engine)
                    if only_the_engine_reaches(engine, reference, &credentials, &error).await =>
                {
                    debug!(error = &error as &dyn std::error::Error, "only the engine reaches the registry");
                    warn!(
                        "the registry {} answers the engine but not us, so whether a push is allowed shows only when it is tried",
                        reference.registry()
                    );
                }
                _ => return Err(push_problem(reference, error)),
            }
        }
        Ok(Self { reference: reference.clone(), credentials })
    }
}

/// The engine may have a way that we have not: another machine, another network, another certificate store.
async fn only_the_engine_reaches(
    engine: &Engine,
    reference: &ImageRef,
    credentials: &Credentials,
    error: &Error,
) -> bool {
    matches!(error, Error::RegistryUnreachable { .. } | Error::Untrusted { .. } | Error::Certificate { .. })
        && push::reaches(engine, reference, credentials).await
}

/// What is to be pushed, with the right to push it.
///
/// # Errors
/// As [`PushTarget::check`].
pub async fn push_targets(plan: &Plan, destination: &Destination) -> Result<Vec<PushTarget>, Problem> {
    let mut targets = Vec::new();
    for tag in plan.tags.iter().filter(|_| plan.push) {
        targets.push(PushTarget::check(tag, destination).await?);
    }
    Ok(targets)
}

/// Pushes every tag; returns the digest that the registry took. `origin` is where the base image was fetched from.
///
/// # Errors
/// Where one fails. Tags that were pushed before it name again what they named; one that is new stays, and a warning says
/// so.
pub async fn push_all(
    destination: &Destination,
    image: &BuiltImage,
    origin: Option<&ImageRef>,
    targets: &[PushTarget],
    cancel: &CancellationToken,
) -> Result<Option<String>, Problem> {
    let mut digest = None;
    let mut before = Vec::new();
    for (position, target) in targets.iter().enumerate() {
        // With one tag there is never anything to put back.
        if targets.len() > 1 {
            before.push(TagState::note(&target.reference, &target.credentials).await);
        }
        // What was pushed a moment ago has every blob; the base's origin only some.
        let elsewhere: Vec<&ImageRef> = targets[..position].iter().map(|done| &done.reference).chain(origin).collect();
        let pushed = tokio::select! {
            pushed = push_one(destination, image, target, &elsewhere) => pushed,
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

async fn push_one(
    destination: &Destination,
    image: &BuiltImage,
    target: &PushTarget,
    elsewhere: &[&ImageRef],
) -> Result<String, Error> {
    match destination {
        Destination::Engine(engine) => push::push(engine, &image.id, &target.reference, &target.credentials).await,
        Destination::Layout(directory) => {
            let image = LocalImage { directory, digest: image.digest.as_deref().unwrap_or(&image.id) };
            upload(image, &target.reference, &target.credentials, elsewhere).await
        }
    }
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

pub(crate) fn push_problem(reference: &ImageRef, error: Error) -> Problem {
    let hint = hint(reference.registry(), &error);
    Problem::new(format!("{reference} cannot be pushed"), hint).because(error)
}
