//! A container that is never started: the way to read an image's files through the engine.

use std::collections::HashMap;
use std::io;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use tokio_util::io::{StreamReader, SyncIoBridge};
use tracing::warn;

use crate::asked::found;
use crate::engine::Engine;
use crate::retry::tried;
use crate::{Error, Result, stranded};

/// Bytes of a tar as the engine sends it.
pub(crate) type TarStream = BoxStream<'static, Result<Bytes, bollard::errors::Error>>;

/// A container of an image, made only to be looked into. Where it is dropped before it was removed, that is still done,
/// as long as the program goes on.
pub(crate) struct NeverStarted {
    engine: Engine,
    id: String,
    is_removed: bool,
}

impl Drop for NeverStarted {
    fn drop(&mut self) {
        if let (false, Ok(runtime)) = (self.is_removed, tokio::runtime::Handle::try_current()) {
            let (engine, id) = (self.engine.clone(), self.id.clone());
            runtime.spawn(async move { remove(&engine, &id).await });
        }
    }
}

async fn remove(engine: &Engine, id: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    let ask = || {
        let removed = engine.docker.remove_container(id, Some(options.clone()));
        async { found(removed.await) }
    };
    if let Err(error) = engine.asked(&format!("remove the container {id}"), ask).await {
        let error = &error as &dyn std::error::Error;
        warn!(container = id, error, "a container that was made to look into an image could not be removed");
    }
}

impl NeverStarted {
    /// Makes one of the image `image`. The caller removes it.
    pub(crate) async fn create(engine: &Engine, image: &str) -> Result<Self> {
        // Never started, so the command does not matter; without one the engine refuses images that have none.
        let labels = HashMap::from([(stranded::OWNER.to_owned(), stranded::this_process())]);
        let body = ContainerCreateBody {
            labels: Some(labels),
            image: Some(image.to_owned()),
            entrypoint: Some(vec!["hotfix-never-started".to_owned()]),
            network_disabled: Some(true),
            ..ContainerCreateBody::default()
        };
        tried(async || {
            // Known by a name of ours, it goes again also where the engine's answer is lost.
            let id = format!("hotfix-look-{:016x}", fastrand::u64(..));
            let container = Self { engine: engine.clone(), id, is_removed: false };
            let options = CreateContainerOptionsBuilder::new().name(&container.id).build();
            let create = engine.docker.create_container(Some(options), body.clone());
            match create.await {
                Ok(_) => Ok(container),
                Err(error) => {
                    container.remove().await;
                    Err(Error::engine("look into the image")(error))
                }
            }
        })
        .await
    }

    pub(crate) async fn remove(mut self) {
        remove(&self.engine, &self.id).await;
        self.is_removed = true;
    }

    /// Whether [`NeverStarted::archive`] tells whose the files are. Podman gives everything to the user of the container.
    pub(crate) async fn archive_tells_owners(&self) -> Result<bool> {
        Ok(!self.engine.is_podman().await?)
    }

    /// What is at `path` (from the image's root) as a tar: a file, or a folder with all that is in it.
    pub(crate) fn archive(&self, path: &str) -> TarStream {
        let options = DownloadFromContainerOptionsBuilder::new().path(&format!("/{path}")).build();
        self.engine.docker.download_from_container(&self.id, Some(options)).boxed()
    }

    /// All files of the image as a tar.
    pub(crate) fn export(&self) -> TarStream {
        self.engine.docker.export_container(&self.id).boxed()
    }
}

/// The stream as something to read, on a blocking thread.
pub(crate) fn blocking_reader(stream: TarStream) -> impl io::Read + Send {
    SyncIoBridge::new(StreamReader::new(stream.map_err(io::Error::other)))
}
