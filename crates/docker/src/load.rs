//! An image into the engine through `POST /images/load`.
//!
//! The archive is streamed as it is made, with layers that the engine has left out ("thin"): those of the base, and those
//! that are known and that it may have from an earlier image. An engine that lacks one, or insists on every layer, says so
//! and gets more. Either way what counts is what the engine holds afterwards.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use bollard::Docker;
use bollard::query_parameters::ImportImageOptions;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tokio_util::io::{StreamReader, SyncIoBridge};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::apart::apart;
use crate::base::Source;
use crate::cancel::CancellableWriter;
use crate::engine::Engine;
use crate::hashing::digest_of;
use crate::image::{BuiltImage, Image};
use crate::layer::{Layer, LayerId, write_file, write_file_header};
use crate::leftovers::Leftovers;
use crate::pipe::{PipeWriter, pipe};
use crate::progress::Task;
use crate::retry::tried;
use crate::{Error, Result};

/// How often an image is looked for that can come late; somebody may wait for the end of it all.
const LOOKS_FOR_LATE_ONES: u32 = 6;

/// Which layers travel along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Those that are not known.
    New,
    /// All but the base's.
    Own,
    /// All, for engines that want every layer in the archive.
    All,
}

/// Loads `image`, without any tag; as thin as it works.
///
/// # Errors
/// [`Error::Cancelled`] when `cancel` was; otherwise what the engine said, or that it holds something else afterwards. The engine has
/// no more images then than before.
pub async fn load(engine: &Engine, image: &Image, cancel: &CancellationToken) -> Result<BuiltImage> {
    let leftovers = Leftovers::note(engine, &image.settings.labels).await?;
    let loaded = tokio::select! {
        loaded = load_thin(engine, image, cancel) => loaded,
        () = cancel.cancelled() => Err(Error::Cancelled),
    };
    if let Err(error) = &loaded
        && !image.settings.labels.is_empty()
    {
        // Who has not answered can still be at work.
        let times = if is_refusal(error) { 1 } else { LOOKS_FOR_LATE_ONES };
        leftovers.remove_late(times).await;
    }
    loaded
}

async fn load_thin(engine: &Engine, image: &Image, cancel: &CancellationToken) -> Result<BuiltImage> {
    let mut ways = match engine.takes_thin_images().await? {
        false => vec![Sent::All],
        true if image.layers.iter().any(|layer| layer.known.is_some()) => vec![Sent::New, Sent::Own, Sent::All],
        true => vec![Sent::Own, Sent::All],
    };
    if image.base.diff_ids.is_empty() && ways.len() > 1 {
        ways.pop();
    }
    let last = ways.pop().unwrap_or(Sent::All);
    for sent in ways {
        match tried(async || load_with(engine, image, sent, cancel).await).await {
            Err(error) if is_refusal(&error) => {
                debug!(error = &error as &dyn std::error::Error, ?sent, "the engine wants more layers");
            }
            outcome => return outcome,
        }
    }
    tried(async || load_with(engine, image, last, cancel).await).await
}

/// Whether the engine has answered, and could answer otherwise to the whole image.
fn is_refusal(error: &Error) -> bool {
    use bollard::errors::Error::{DockerResponseServerError, DockerStreamError};
    matches!(
        error,
        Error::NotConfirmed { .. }
            | Error::Engine { source: DockerResponseServerError { .. } | DockerStreamError { .. }, .. }
    )
}

/// Loads `image`, without any tag, in the one way given.
///
/// # Errors
/// As [`load`].
pub async fn load_with(engine: &Engine, image: &Image, sent: Sent, cancel: &CancellationToken) -> Result<BuiltImage> {
    let base = base_reader(image, sent);
    let archived = image.clone();
    let task = Task::bytes("sending the image to the engine", bytes_of(image, sent));
    let write = move |out: &mut _| write_archive(&archived, base, sent, &mut task.count(out));
    let (written, said) = send(engine, cancel, write).await?;
    let id = find(engine, &written.configuration_digest, &written.diff_ids, &said).await?;
    debug!(layers = image.layers.len(), ?sent, id, "loaded");
    Ok(BuiltImage { id, digest: None, layers: written.layers, blobs: Vec::new() })
}

/// How much there is to be sent, as far as it is known.
fn bytes_of(image: &Image, sent: Sent) -> u64 {
    let own = image.layers.iter().filter(|layer| sent != Sent::New || layer.known.is_none());
    let base = if sent == Sent::All { image.base.size } else { 0 };
    own.map(Layer::size).fold(base, u64::saturating_add)
}

/// Streams the archive that `write` makes, on a thread of its own, to the engine; returns what either had to say.
pub(crate) async fn send<T: Send + 'static>(
    engine: &Engine,
    cancel: &CancellationToken,
    write: impl FnOnce(&mut CancellableWriter<PipeWriter>) -> io::Result<T> + Send + 'static,
) -> Result<(T, String)> {
    let (writer, body) = pipe();
    let token = cancel.clone();
    let archive = tokio::task::spawn_blocking(move || send_archive(write, writer, &token));
    let mut answers = apart(&engine.docker, move |docker| {
        docker.import_image_stream(ImportImageOptions::default(), body, None).boxed()
    });
    let mut said = String::new();
    let mut refusal = None;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(answer) => said.push_str(&answer.stream.unwrap_or_default()),
            Err(error) => refusal = Some(error),
        }
    }
    // An engine that has refused reads no further; without its end of the pipe the writer stops too.
    drop(answers);
    let written = archive.await.map_err(|error| Error::Layer(error.into()))?;
    let written = match (written, refusal) {
        // Only where it did make a difference: an image that is there must be known to whoever takes it away again.
        (Err(_), _) if cancel.is_cancelled() => return Err(Error::Cancelled),
        (Err(error), _) if error.kind() == io::ErrorKind::ConnectionAborted => {
            return Err(Error::NotConfirmed {
                action: "give the base image back".to_owned(),
                reason: error.to_string(),
            });
        }
        (Err(error), _) if error.kind() != io::ErrorKind::BrokenPipe => return Err(Error::Layer(error)),
        (_, Some(refusal)) => return Err(Error::engine("load the image")(refusal)),
        (Err(error), None) => return Err(Error::Layer(error)),
        (Ok(written), None) => written,
    };
    debug!(said, "load");
    Ok((written, said))
}

/// What was written to the engine.
struct Written {
    layers: Vec<LayerId>,
    configuration_digest: String,
    diff_ids: Vec<String>,
}

/// The engine's own archive of the base, as it streams it.
fn base_reader(image: &Image, sent: Sent) -> Option<Box<dyn Read + Send>> {
    match (&image.base.source, sent) {
        (Source::Engine { engine, id }, Sent::All) => {
            let docker = engine.docker.clone();
            let id = id.clone();
            let stream = async_stream(docker, id);
            Some(Box::new(SyncIoBridge::new(StreamReader::new(stream))))
        }
        _ => None,
    }
}

/// Of a kind that no file or pipe here gives, to tell the engine's failure from ours.
fn base_unreadable(error: bollard::errors::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, error)
}

fn async_stream(
    docker: Docker,
    id: String,
) -> std::pin::Pin<Box<dyn futures_util::Stream<Item = io::Result<bytes::Bytes>> + Send>> {
    let stream = futures_util::stream::once(async move { docker.export_image(&id).map_err(base_unreadable).boxed() });
    stream.flatten().boxed()
}

fn send_archive<T>(
    write: impl FnOnce(&mut CancellableWriter<PipeWriter>) -> io::Result<T>,
    pipe: PipeWriter,
    cancel: &CancellationToken,
) -> io::Result<T> {
    let mut out = CancellableWriter::new(pipe, cancel);
    match write(&mut out).and_then(|written| out.flush().map(|()| written)) {
        Ok(written) => Ok(written),
        Err(error) => {
            out.into_inner().fail(&error);
            Err(error)
        }
    }
}

fn write_archive(
    image: &Image,
    base: Option<Box<dyn Read + Send>>,
    sent: Sent,
    out: &mut impl Write,
) -> io::Result<Written> {
    let mut names = match (&image.base.source, base) {
        (_, Some(base)) => forward_base(base, out)?,
        (Source::Layout(layout), None) => {
            let mut names = Vec::new();
            for index in 0..layout.layers.len() {
                let open = || layout.open_layer(index).map_err(io::Error::other);
                let size = io::copy(&mut open()?, &mut io::sink())?;
                let name = format!("base-{index}.tar");
                write_file_header(out, &name, size)?;
                copy_padded(&mut open()?, size, out)?;
                names.push(name);
            }
            names
        }
        (Source::Engine { .. } | Source::Scratch, None) => {
            (0..image.base.diff_ids.len()).map(|i| format!("base-{i}.tar")).collect()
        }
    };
    let mut layers = Vec::new();
    for (index, layer) in image.layers.iter().enumerate() {
        let name = format!("layer-{index}.tar");
        match &layer.known {
            Some(known) if sent == Sent::New => layers.push(known.id.clone()),
            _ => {
                write_file_header(out, &name, layer.size())?;
                layers.push(layer.write_to(&mut *out)?);
            }
        }
        names.push(name);
    }
    let configuration = image.configuration(&layers);
    let configuration_digest = digest_of(&configuration);
    write_file(out, "configuration.json", &configuration)?;
    let manifest = json!([{ "Config": "configuration.json", "RepoTags": null, "Layers": names }]);
    write_file(out, "manifest.json", &manifest.to_string().into_bytes())?;
    out.write_all(&[0; 1024])?;
    let mut diff_ids = image.base.diff_ids.clone();
    diff_ids.extend(layers.iter().map(|layer| layer.diff_id.clone()));
    Ok(Written { layers, configuration_digest, diff_ids })
}

/// Sends what the engine's archive of the base holds, but for its tables of contents; returns the names of its layers.
fn forward_base(base: impl Read, out: &mut impl Write) -> io::Result<Vec<String>> {
    let mut manifest = Vec::new();
    let mut links = HashMap::new();
    for entry in tar::Archive::new(base).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        if name == "manifest.json" {
            entry.read_to_end(&mut manifest)?;
        } else if let Some(target) = entry.link_name()? {
            // Equal layers are stored once: `<id>/layer.tar` is then a link to `../<other id>/layer.tar`.
            links.insert(name, target.to_string_lossy().trim_start_matches("../").to_owned());
        } else if entry.header().entry_type().is_file() && (name.contains('/') || name.ends_with(".tar")) {
            // Docker has them in folders, Podman at the top.
            write_file_header(out, &name, entry.size())?;
            let size = entry.size();
            copy_padded(&mut entry, size, out)?;
        }
    }
    let manifest: Value = serde_json::from_slice(&manifest).map_err(io::Error::other)?;
    let layers = manifest[0]["Layers"].as_array().cloned().unwrap_or_default();
    let layers = layers.iter().filter_map(Value::as_str);
    Ok(layers.map(|name| links.get(name).cloned().unwrap_or_else(|| name.to_owned())).collect())
}

fn copy_padded(from: &mut impl Read, size: u64, out: &mut impl Write) -> io::Result<()> {
    let copied = io::copy(&mut from.take(size), out)?;
    if copied != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let padding = size.next_multiple_of(512) - size;
    out.write_all(&[0; 512][..padding as usize])
}

/// The id of the image that was just loaded, which must have the layers `diff_ids`.
pub(crate) async fn find(
    engine: &Engine,
    configuration_digest: &str,
    diff_ids: &[String],
    said: &str,
) -> Result<String> {
    let not_loaded = |reason: String| Error::NotConfirmed { action: "load the image".to_owned(), reason };
    // The id is the configuration's digest where images are kept the classic way; elsewhere the engine names it.
    let named = said.split_whitespace().filter(|word| word.starts_with("sha256:"));
    for id in std::iter::once(configuration_digest).chain(named) {
        let Some(found) = engine.inspect(id).await? else { continue };
        let found_ids = found.root_fs.and_then(|fs| fs.layers).unwrap_or_default();
        if found_ids != diff_ids {
            return Err(not_loaded(format!("it has {} layers that are not those sent", found_ids.len())));
        }
        return Ok(found.id.unwrap_or_else(|| id.to_owned()));
    }
    Err(not_loaded(if said.trim().is_empty() {
        "it said nothing".to_owned()
    } else {
        format!("it said: {}", said.trim())
    }))
}
