//! What an image has at a few paths: it cannot change, and looking takes the engine longer than all else.

use hotfix_docker::base::BaseImage;
use hotfix_docker::look::FoundPaths;
use serde_json::json;
use sha2::{Digest, Sha256};
use tracing::debug;

use super::{Cache, read_record, write_record};

/// As [`BaseImage::look`], but without the content of files.
///
/// # Errors
/// As that.
pub(crate) async fn look(
    cache: Option<&Cache>,
    image: &BaseImage,
    paths: &[String],
) -> Result<FoundPaths, hotfix_docker::Error> {
    let (Some(cache), Some(id)) = (cache, image.content_id()) else { return image.look(paths).await };
    let key = json!([env!("CARGO_PKG_VERSION"), id, paths]).to_string();
    let file = cache.folder.join("looks").join(&hex::encode(Sha256::digest(key))[..32]);
    if let Some(found) = read_record(&file) {
        return Ok(found);
    }
    let found = image.look(paths).await?;
    if let Err(error) = write_record(&file, &found) {
        debug!(%error, "what the image has is not remembered");
    }
    Ok(found)
}
