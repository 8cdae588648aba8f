//! Pushing through the engine. A push is believed only when the engine names the digest that the registry took.

use std::time::Duration;

use bollard::query_parameters::PushImageOptionsBuilder;
use futures_util::StreamExt;
use tracing::debug;

use crate::apart::apart;
use crate::auth::Credentials;
use crate::engine::Engine;
use crate::oci_layout::Manifest;
use crate::progress::Transfers;
use crate::reference::ImageRef;
use crate::repository::Repository;
use crate::retry::tried_by_engine;
use crate::transport::Access;
use crate::{Error, Result};

/// The engine reports progress several times a second; silence of this length is a dead connection.
const SILENCE_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Pushes the image `id`, which the engine has under `reference`. Returns the digest of its manifest in the registry.
///
/// # Errors
/// [`Error::Denied`] where the registry refuses us, [`Error::Engine`] for other failures and where the stream ends without a
/// digest, [`Error::NotConfirmed`] where the engine lists it for another image: somebody else took the name meanwhile.
pub async fn push(engine: &Engine, id: &str, reference: &ImageRef, credentials: &Credentials) -> Result<String> {
    tried_by_engine(async || push_once(engine, id, reference, credentials).await).await
}

async fn push_once(engine: &Engine, id: &str, reference: &ImageRef, credentials: &Credentials) -> Result<String> {
    let options = PushImageOptionsBuilder::new().tag(reference.tag().unwrap_or("latest")).build();
    let (name, auth) = (reference.name().to_owned(), credentials.into());
    let mut answers = apart(&engine.docker, move |docker| docker.push_image(&name, Some(options), Some(auth)).boxed());
    let (mut digest, mut transfers) = (None, Transfers::begin(format!("pushing {reference}")));
    loop {
        let answer = tokio::time::timeout(SILENCE_LIMIT, answers.next()).await.map_err(|_| {
            not_confirmed(reference, format!("it was silent for {} minutes", SILENCE_LIMIT.as_secs() / 60))
        })?;
        let Some(answer) = answer else { break };
        let answer = answer.map_err(|error| failure(reference, error))?;
        transfers.note(None, answer.progress_detail.as_ref());
        let status = answer.status.unwrap_or_default();
        debug!(status, "push");
        digest = digest_in(&status).or(digest);
    }
    let cut = || std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the push ended without a digest");
    let digest = digest.ok_or_else(|| Error::engine(format!("push {reference}"))(cut().into()))?;
    confirm(engine, id, reference, credentials, &digest).await?;
    Ok(digest)
}

/// Whether the engine can talk to the registry of `reference` with `credentials`.
pub async fn reaches(engine: &Engine, reference: &ImageRef, credentials: &Credentials) -> bool {
    match engine.docker.inspect_registry_image(reference.as_str(), Some(credentials.into())).await {
        Ok(_) => true,
        Err(bollard::errors::Error::DockerResponseServerError { message, .. }) => {
            let message = message.to_lowercase();
            // Podman has no such question, and says no more than this.
            message.trim() != "not found"
                && ["manifest unknown", "not found", "name unknown"].iter().any(|word| message.contains(word))
        }
        Err(_) => false,
    }
}

/// The last status of a push is `TAG: digest: sha256:… size: N`.
fn digest_in(status: &str) -> Option<String> {
    let digest = status.split_once("digest: ")?.1.split_whitespace().next()?;
    digest.starts_with("sha256:").then(|| digest.to_owned())
}

/// Asked of the image, not of its name: that can have become another's since. Podman does not list what it pushed, so
/// there the registry is asked which image it is; and whether it has it at all it is asked in any case.
async fn confirm(
    engine: &Engine,
    id: &str,
    reference: &ImageRef,
    credentials: &Credentials,
    digest: &str,
) -> Result<()> {
    let image = engine.inspect(id).await?;
    let digests = image.and_then(|image| image.repo_digests).unwrap_or_default();
    let is_listed = digests.iter().any(|known| known.split_once('@').is_some_and(|(_, known)| known == digest));
    let manifest = match manifest_of(reference, credentials, digest).await {
        Ok(manifest) => manifest,
        // The engine can have a way that we have not.
        Err(error) if is_listed => {
            debug!(error = &error as &dyn std::error::Error, "the registry cannot be asked for what was pushed");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let Some(manifest) = manifest else {
        return Err(not_confirmed(reference, format!("the registry has no {digest} afterwards")));
    };
    if is_listed || manifest.config.digest == id {
        return Ok(());
    }
    Err(not_confirmed(
        reference,
        format!("the registry took {digest}, which is not this image; did another run use the same tag?"),
    ))
}

/// What the registry has under `digest`.
async fn manifest_of(reference: &ImageRef, credentials: &Credentials, digest: &str) -> Result<Option<Manifest>> {
    let repository = Repository::open(reference, credentials, Access::Pull, &[]).await?;
    let manifest = repository.manifest(digest).await?;
    Ok(manifest.and_then(|raw| serde_json::from_slice(&raw.bytes).ok()))
}

fn not_confirmed(reference: &ImageRef, reason: impl Into<String>) -> Error {
    Error::NotConfirmed { action: format!("push {reference}"), reason: reason.into() }
}

/// The engine passes the registry's refusal on as text only.
fn failure(reference: &ImageRef, error: bollard::errors::Error) -> Error {
    let text = error.to_string();
    let denied = ["unauthorized", "denied", "no basic auth credentials", "authentication required", "forbidden"];
    if denied.iter().any(|word| text.to_lowercase().contains(word)) {
        return Error::Denied {
            registry: reference.registry().to_owned(),
            action: format!("a push to {}", reference.repository()),
            reason: text,
        };
    }
    Error::engine(format!("push {reference}"))(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_found_in_the_last_status_only() {
        let digest = format!("sha256:{}", "0f".repeat(32));
        assert_eq!(digest_in(&format!("t1: digest: {digest} size: 738")), Some(digest));
        for other in ["Pushed", "Layer already exists", "digest: md5:12", "The push refers to repository [x]"] {
            assert_eq!(digest_in(other), None, "{other}");
        }
    }
}
