//! What an image has at a few paths: it cannot change, and looking takes the engine longer than all else.

use hotfix_docker::Result;
use hotfix_docker::base::BaseImage;
use hotfix_docker::look::FoundPaths;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracing::debug;

use super::{Cache, read_record, write_record};

/// As [`BaseImage::look`], but without the content of files.
///
/// # Errors
/// As that.
pub(crate) async fn look(cache: Option<&Cache>, image: &BaseImage, paths: &[String]) -> Result<FoundPaths> {
    remembered(cache, image, &json!(paths), image.look(paths)).await
}

/// As [`BaseImage::find`], but without the content of files.
///
/// # Errors
/// As that.
pub(crate) async fn find(cache: Option<&Cache>, image: &BaseImage, ending: &str) -> Result<FoundPaths> {
    remembered(cache, image, &json!(ending), image.find(ending)).await
}

async fn remembered(
    cache: Option<&Cache>,
    image: &BaseImage,
    question: &Value,
    ask: impl Future<Output = Result<FoundPaths>>,
) -> Result<FoundPaths> {
    let (Some(cache), Some(id)) = (cache, image.content_id()) else { return ask.await };
    let key = json!([env!("CARGO_PKG_VERSION"), id, question]).to_string();
    let file = cache.folder.join("looks").join(&hex::encode(Sha256::digest(key))[..32]);
    if let Some(found) = read_record(&file) {
        return Ok(found);
    }
    let found = ask.await?;
    if let Err(error) = write_record(&file, &found) {
        debug!(%error, "what the image has is not remembered");
    }
    Ok(found)
}
