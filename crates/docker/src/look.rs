//! What a base image has at a few paths: the folders above the place where files are to be put must keep their owner,
//! mode and time, so the layer repeats them as they are.

use std::collections::BTreeMap;
use std::io::Read;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use futures_util::StreamExt;
use tracing::warn;

use crate::base::{BaseImage, Source};
use crate::engine::Engine;
use crate::layer::{Metadata, WHITEOUT_PREFIX};
use crate::{Error, Result};

/// Enough for an entry's header with its extensions.
const HEADER_BYTES: usize = 64 * 1024;
const OPAQUE: &str = ".wh..wh..opq";

/// What is at a path of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Whether it is a folder, not a file or a link.
    pub is_directory: bool,
    /// Its permission bits, owner and time.
    pub metadata: Metadata,
}

/// What was found, by path; paths that the image does not have are left out.
pub type FoundPaths = BTreeMap<String, Found>;

impl BaseImage {
    /// What the image has at `paths` (relative to its root, `/` between names). No container is started.
    ///
    /// # Errors
    /// Where the engine fails, or a layer of a layout cannot be read.
    pub async fn look(&self, paths: &[String]) -> Result<FoundPaths> {
        match &self.source {
            Source::Scratch => Ok(FoundPaths::new()),
            Source::Engine { engine, id } => look_in_engine(engine, id, paths).await,
            Source::Layout(layout) => {
                let (layout, paths) = (layout.clone(), paths.to_vec());
                let scan = tokio::task::spawn_blocking(move || {
                    let mut found = FoundPaths::new();
                    for index in 0..layout.layers.len() {
                        let layer = layout.open_layer(index)?;
                        scan_layer(layer, &paths, &mut found)
                            .map_err(|e| layout.damaged(format!("layer {index}: {e}")))?;
                    }
                    Ok(found)
                });
                scan.await.map_err(|error| Error::Io { action: "read", path: "layers".into(), source: error.into() })?
            }
        }
    }
}

async fn look_in_engine(engine: &Engine, id: &str, paths: &[String]) -> Result<FoundPaths> {
    // Never started, so the command does not matter; without one the engine refuses images that have none.
    let body = ContainerCreateBody {
        image: Some(id.to_owned()),
        entrypoint: Some(vec!["hotfix-never-started".to_owned()]),
        network_disabled: Some(true),
        ..ContainerCreateBody::default()
    };
    let action = "look into the base image";
    let container = engine.docker.create_container(None, body).await.map_err(Error::engine(action))?.id;
    let found = look_at_all(engine, &container, paths).await;
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    if let Err(error) = engine.docker.remove_container(&container, Some(options)).await {
        warn!(container, %error, "a container that was made to look into the base image could not be removed");
    }
    found
}

async fn look_at_all(engine: &Engine, container: &str, paths: &[String]) -> Result<FoundPaths> {
    let mut found = FoundPaths::new();
    for path in paths {
        // Below what is no folder there is nothing, and engines fail when asked.
        if found.iter().any(|(above, here)| !here.is_directory && is_below(path, above)) {
            continue;
        }
        if let Some(here) = look_at(engine, container, path).await? {
            found.insert(path.clone(), here);
        }
    }
    Ok(found)
}

async fn look_at(engine: &Engine, container: &str, path: &str) -> Result<Option<Found>> {
    let options = DownloadFromContainerOptionsBuilder::new().path(&format!("/{path}")).build();
    let mut stream = engine.docker.download_from_container(container, Some(options));
    let mut head = Vec::new();
    // Only the first entry is wanted: the folder itself, before everything in it.
    while head.len() < HEADER_BYTES {
        match stream.next().await {
            Some(Ok(bytes)) => head.extend_from_slice(&bytes),
            Some(Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })) => return Ok(None),
            Some(Err(source)) => return Err(Error::engine(format!("look at /{path} in the base image"))(source)),
            None => break,
        }
    }
    let mut archive = tar::Archive::new(head.as_slice());
    let first = archive.entries().ok().and_then(|mut entries| entries.next()).and_then(Result::ok);
    Ok(first.and_then(|entry| found_in(entry.header()).ok()))
}

fn found_in(header: &tar::Header) -> std::io::Result<Found> {
    Ok(Found {
        is_directory: header.entry_type().is_dir(),
        metadata: Metadata {
            mode: header.mode()? & 0o7777,
            uid: header.uid()?,
            gid: header.gid()?,
            mtime: header.mtime()?,
        },
    })
}

/// Lays one layer over what was found in those below.
fn scan_layer(layer: impl Read, wanted: &[String], found: &mut FoundPaths) -> std::io::Result<()> {
    for entry in tar::Archive::new(layer).entries()? {
        let entry = entry?;
        let raw = entry.path_bytes();
        let path = String::from_utf8_lossy(&raw);
        let path = path.trim_start_matches("./").trim_matches('/');
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name == OPAQUE {
            found.retain(|known, _| !is_below(known, parent));
        } else if let Some(deleted) = name.strip_prefix(WHITEOUT_PREFIX) {
            let deleted = if parent.is_empty() { deleted.to_owned() } else { format!("{parent}/{deleted}") };
            found.retain(|known, _| *known != deleted && !is_below(known, &deleted));
        } else if wanted.iter().any(|wanted| wanted == path) {
            let here = found_in(entry.header())?;
            if !here.is_directory {
                found.retain(|known, _| !is_below(known, path));
            }
            found.insert(path.to_owned(), here);
        }
    }
    Ok(())
}

fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Entry, Layer, Node};

    fn layer(entries: &[(&str, Node, u64)]) -> Vec<u8> {
        let mut layer = Layer::new("test");
        for (path, node, uid) in entries {
            let metadata = Metadata { mode: 0o755, uid: *uid, gid: 0, mtime: 5 };
            layer.insert(*path, Entry { node: node.clone(), metadata });
        }
        let mut bytes = Vec::new();
        layer.write_to(&mut bytes).expect("memory");
        bytes
    }

    fn owners(layers: &[Vec<u8>]) -> Vec<(String, u64)> {
        let wanted = ["home".to_owned(), "home/app".to_owned(), "home/app/x".to_owned()];
        let mut found = FoundPaths::new();
        for bytes in layers {
            scan_layer(bytes.as_slice(), &wanted, &mut found).expect("readable");
        }
        found.into_iter().map(|(path, found)| (path, found.metadata.uid)).collect()
    }

    fn owned(list: &[(&str, u64)]) -> Vec<(String, u64)> {
        list.iter().map(|(path, uid)| ((*path).to_owned(), *uid)).collect()
    }

    #[test]
    fn the_topmost_layer_counts() {
        let below =
            layer(&[("home", Node::Directory, 0), ("home/app", Node::Directory, 1), ("other", Node::Directory, 9)]);
        assert_eq!(owners(std::slice::from_ref(&below)), owned(&[("home", 0), ("home/app", 1)]));
        let above = layer(&[("home/app", Node::Directory, 10001)]);
        assert_eq!(owners(&[below, above]), owned(&[("home", 0), ("home/app", 10001)]));
    }

    #[test]
    fn deletions_take_what_is_below_with_them() {
        let all = layer(&[
            ("home", Node::Directory, 0),
            ("home/app", Node::Directory, 1),
            ("home/app/x", Node::Directory, 2),
        ]);
        let gone = layer(&[("home/app", Node::Whiteout, 0)]);
        assert_eq!(owners(&[all.clone(), gone]), owned(&[("home", 0)]));
        let opaque = layer(&[("home/.wh..opq", Node::Whiteout, 0)]);
        assert_eq!(owners(&[all.clone(), opaque]), owned(&[("home", 0)]));
        let link = layer(&[("home", Node::Symlink("/var/home".to_owned()), 3)]);
        assert_eq!(owners(&[all, link]), owned(&[("home", 3)]));
    }
}
