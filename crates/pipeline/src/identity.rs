//! What an image is that others are put on, found without fetching it.

use hotfix_docker::auth::credentials_for;
use hotfix_docker::base::{Identity, Platform, Wanted};
use hotfix_docker::engine::Engine;
use hotfix_docker::reference::ImageRef;
use hotfix_docker::{Result, registry};
use tracing::debug;

/// As its registry has it.
pub(crate) async fn in_registry(reference: &ImageRef, platform: Option<&Platform>) -> Result<Identity> {
    let credentials = credentials_for(reference.registry()).await?;
    registry::identify(reference, &credentials, platform).await
}

/// As the engine has it, unless the registry's is wanted; else as its registry has it. Where that does not say, the engine pulls it: it
/// may know mirrors.
pub(crate) async fn in_engine(engine: &Engine, reference: &ImageRef, wanted: Wanted<'_>) -> Result<Identity> {
    if !wanted.pull
        && let Some(held) = engine.held(reference, wanted.platform).await?
    {
        return Ok(held.identity());
    }
    match in_registry(reference, wanted.platform).await {
        Ok(identity) => Ok(identity),
        Err(error) => {
            debug!(error = &error as &dyn std::error::Error, "the registry of {reference} does not say what it is");
            engine.base(reference, wanted).await.map(|base| base.identity())
        }
    }
}
