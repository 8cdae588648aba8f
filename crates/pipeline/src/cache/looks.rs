//! What an image has at a few paths: it cannot change, and looking takes the engine longer than all else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hotfix_docker::Result;
use hotfix_docker::base::BaseImage;
use hotfix_docker::look::{Found, FoundPaths};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracing::debug;

use super::{Cache, read_keyed, write_keyed};

/// What is known of an image.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Record {
    /// What is at a path; null where there is nothing.
    paths: BTreeMap<String, Option<Found>>,
    /// Everything whose path ends so.
    endings: BTreeMap<String, FoundPaths>,
    /// Answers to other questions.
    answers: BTreeMap<String, Value>,
}

/// As [`BaseImage::look`], but without the content of files.
///
/// # Errors
/// As that.
pub(crate) async fn look(cache: Option<&Cache>, image: &BaseImage, paths: &[String]) -> Result<FoundPaths> {
    let Some(file) = file_of(cache, image) else { return image.look(paths).await };
    let known: Record = read_keyed(&file).unwrap_or_default();
    let unknown: Vec<&String> = paths.iter().filter(|path| !known.paths.contains_key(*path)).collect();
    if !unknown.is_empty() {
        // Folders above are asked for again: below what is none, nothing can be looked for.
        let is_above = |path: &&String| unknown.iter().any(|below| below.starts_with(&format!("{path}/")));
        let asked = paths.iter().filter(|path| unknown.contains(path) || is_above(path)).cloned();
        let asked: Vec<String> = asked.collect();
        let found = image.look(&asked).await?;
        remember(&file, |record| {
            record.paths.extend(asked.iter().map(|path| (path.clone(), found.get(path).cloned())));
        });
        let known = paths.iter().filter_map(|path| Some((path.clone(), known.paths.get(path)?.clone()?)));
        return Ok(known.chain(found).collect());
    }
    Ok(paths.iter().filter_map(|path| Some((path.clone(), known.paths.get(path)?.clone()?))).collect())
}

/// As [`BaseImage::find`], but without the content of files.
///
/// # Errors
/// As that.
pub(crate) async fn find(cache: Option<&Cache>, image: &BaseImage, ending: &str) -> Result<FoundPaths> {
    let Some(file) = file_of(cache, image) else { return image.find(ending).await };
    if let Some(found) = read_keyed::<Record>(&file).and_then(|mut known| known.endings.remove(ending)) {
        return Ok(found);
    }
    let found = image.find(ending).await?;
    remember(&file, |record| drop(record.endings.insert(ending.to_owned(), found.clone())));
    Ok(found)
}

/// What `find` finds out about the image; `question` holds all that it depends on beside that.
///
/// # Errors
/// As `find`.
pub(crate) async fn answer<T: Serialize + DeserializeOwned, E>(
    cache: Option<&Cache>,
    image: &BaseImage,
    question: &str,
    find: impl AsyncFnOnce() -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let Some(file) = file_of(cache, image) else { return find().await };
    let known = read_keyed::<Record>(&file).and_then(|mut known| known.answers.remove(question));
    if let Some(answer) = known.and_then(|answer| serde_json::from_value(answer).ok()) {
        return Ok(answer);
    }
    let found = find().await?;
    if let Ok(answer) = serde_json::to_value(&found) {
        remember(&file, |record| drop(record.answers.insert(question.to_owned(), answer)));
    }
    Ok(found)
}

fn file_of(cache: Option<&Cache>, image: &BaseImage) -> Option<PathBuf> {
    let key = json!([env!("CARGO_PKG_VERSION"), image.content_id()?]).to_string();
    Some(cache?.folder.join("looks").join(&hex::encode(Sha256::digest(key))[..32]))
}

/// Where two runs do so at once, one of them is forgotten, and looks again another time.
fn remember(file: &Path, note: impl FnOnce(&mut Record)) {
    let mut record: Record = read_keyed(file).unwrap_or_default();
    note(&mut record);
    if let Err(error) = write_keyed(file, &record) {
        debug!(%error, "what the image has is not remembered");
    }
}
