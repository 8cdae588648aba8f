//! An image of an engine once more, with files of its layers replaced or left out, and with more labels.
//!
//! Layers of which nothing changes keep their diff ids.

mod archive;
mod layer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::engine::Engine;
use crate::error::BoxError;
use crate::hashing::digest_of;
use crate::image::BuiltImage;
use crate::layer::{write_file, write_file_header};
use crate::{Error, Result, load};

use archive::SavedImage;
use layer::NewLayer;

/// What is to become of an image. Paths are relative to its root, with `/` between names.
pub trait Rewrite: Send + Sync {
    /// Whether the entry at `path` of a layer stays.
    fn keeps(&self, path: &str) -> bool;

    /// Looks at a file that stays; returns what it shall hold from now on, `None` for what it holds.
    ///
    /// # Errors
    /// Where the image cannot be: it is not made.
    fn file(&self, path: &str, content: &mut dyn Read) -> Result<Option<Vec<u8>>, BoxError>;

    /// Looks at a text of the image's configuration: a variable, a label, a line of its history.
    ///
    /// # Errors
    /// Where the image cannot be: it is not made.
    fn text(&self, text: &str) -> Result<(), BoxError>;
}

/// Makes the image, without any tag. The image `id` stays as it is. `folder` is for files without a name.
///
/// # Errors
/// [`Error::Refused`] where `rewrite` does, [`Error::Cancelled`], or what engine and disk say.
pub async fn rewrite(
    engine: &Engine,
    id: &str,
    rewrite: impl Rewrite + 'static,
    labels: BTreeMap<String, String>,
    folder: &Path,
    cancel: &CancellationToken,
) -> Result<BuiltImage> {
    let archive = tokio::select! {
        saved = save(engine, id, folder) => saved?,
        () = cancel.cancelled() => return Err(Error::Cancelled),
    };
    let (folder, token) = (folder.to_owned(), cancel.clone());
    let made = tokio::task::spawn_blocking(move || NewImage::make(archive, &folder, &rewrite, labels, &token));
    let image = made.await.map_err(|error| Error::Layer(error.into()))?;
    let image = if cancel.is_cancelled() { Err(Error::Cancelled) } else { image }?;
    let (digest, diff_ids) = (digest_of(&image.configuration), image.diff_ids.clone());
    let ((), said) = load::send(engine, cancel, move |out| image.write_to(out)).await?;
    let id = load::find(engine, &digest, &diff_ids, &said).await?;
    debug!(id, "rewritten");
    Ok(BuiltImage { id, digest: None, layers: Vec::new(), blobs: Vec::new() })
}

/// The engine's archive of the image, in a file without a name.
async fn save(engine: &Engine, id: &str, folder: &Path) -> Result<File> {
    let name = PathBuf::from(folder).join("image.tar");
    let mut file = tokio::fs::File::from_std(tempfile::tempfile_in(folder).map_err(Error::io("make", &name))?);
    let mut stream = engine.docker.export_image(id);
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(Error::engine("save the image"))?;
        file.write_all(&bytes).await.map_err(Error::io("write", &name))?;
    }
    file.flush().await.map_err(Error::io("write", &name))?;
    Ok(file.into_std().await)
}

/// The image to be loaded.
struct NewImage {
    configuration: Vec<u8>,
    diff_ids: Vec<String>,
    layers: Vec<NewLayer>,
}

impl NewImage {
    fn make(
        archive: File,
        folder: &Path,
        rewrite: &impl Rewrite,
        labels: BTreeMap<String, String>,
        cancel: &CancellationToken,
    ) -> Result<Self> {
        let saved = SavedImage::open(archive, folder).map_err(Error::Layer)?;
        let mut configuration = saved.configuration;
        check_texts(&configuration, rewrite)?;
        let mut diff_ids: Vec<String> = match &configuration["rootfs"]["diff_ids"] {
            Value::Array(ids) => ids.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        if diff_ids.len() != saved.layers.len() {
            let reason = format!("it gave {} layers of {}", saved.layers.len(), diff_ids.len());
            return Err(Error::NotConfirmed { action: "save the whole image".to_owned(), reason });
        }
        let mut layers = Vec::new();
        for (old, diff_id) in saved.layers.iter().zip(&mut diff_ids) {
            let layer = NewLayer::make(old, rewrite, cancel)?;
            if let Some(new) = &layer.diff_id {
                diff_id.clone_from(new);
            }
            layers.push(layer);
        }
        configuration["rootfs"]["diff_ids"] = json!(diff_ids);
        add_labels(&mut configuration, labels);
        Ok(Self { configuration: configuration.to_string().into_bytes(), diff_ids, layers })
    }

    fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let mut names = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let (name, size) = (format!("layer-{index}.tar"), layer.size());
            write_file_header(out, &name, size)?;
            layer.write_to(out)?;
            out.write_all(&[0; 512][..(size.next_multiple_of(512) - size) as usize])?;
            names.push(name);
        }
        write_file(out, "configuration.json", &self.configuration)?;
        let manifest = json!([{ "Config": "configuration.json", "RepoTags": null, "Layers": names }]);
        write_file(out, "manifest.json", &manifest.to_string().into_bytes())?;
        out.write_all(&[0; 1024])
    }
}

fn check_texts(value: &Value, rewrite: &impl Rewrite) -> Result<()> {
    match value {
        Value::String(text) => {
            rewrite.text(text).map_err(|source| Error::Refused { path: "the image's configuration".to_owned(), source })
        }
        Value::Array(items) => items.iter().try_for_each(|item| check_texts(item, rewrite)),
        Value::Object(fields) => fields.values().try_for_each(|field| check_texts(field, rewrite)),
        _ => Ok(()),
    }
}

fn add_labels(configuration: &mut Value, more: BTreeMap<String, String>) {
    if !configuration["config"].is_object() {
        configuration["config"] = json!({});
    }
    let labels = &mut configuration["config"]["Labels"];
    let mut all: BTreeMap<String, Value> = match labels.take() {
        Value::Object(there) => there.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    all.extend(more.into_iter().map(|(key, value)| (key, Value::from(value))));
    *labels = json!(all);
}
