//! What a failed build or load leaves in the engine: images of its instructions, or the image itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder};
use tracing::debug;

use crate::Result;
use crate::engine::Engine;

/// An engine needs a moment to end what was called off.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(250);

/// What the engine had before.
pub(crate) struct Leftovers<'a> {
    engine: &'a Engine,
    labels: &'a BTreeMap<String, String>,
    before: HashSet<String>,
}

impl<'a> Leftovers<'a> {
    pub(crate) async fn note(engine: &'a Engine, labels: &'a BTreeMap<String, String>) -> Result<Self> {
        Ok(Self { engine, labels, before: engine.image_ids().await? })
    }

    /// Removes the images of the build's `intermediate` instructions, and nameless images with the build's labels, that
    /// were not there before.
    pub(crate) async fn remove(&self, intermediate: &[String]) {
        let is_new = |id: &String| {
            let known = |known: &String| known.strip_prefix("sha256:").unwrap_or(known).starts_with(id.as_str());
            !self.before.iter().any(known)
        };
        // Newest first: an image that others are made of stays.
        let mut left: Vec<String> = intermediate.iter().rev().filter(|id| is_new(id)).cloned().collect();
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let mut refused = Vec::new();
            for id in self.nameless().await.into_iter().chain(left) {
                if !self.removed(&id).await {
                    refused.push(id);
                }
            }
            if refused.is_empty() {
                return;
            }
            left = refused;
        }
        debug!(?left, "images of the failed build stay in the engine");
    }

    /// The same, `times` over, for images that can come late.
    pub(crate) async fn remove_late(&self, times: u32) {
        for time in 0..times {
            if time > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            self.remove(&[]).await;
        }
    }

    /// Nameless images with all labels of the build that were not there before.
    async fn nameless(&self) -> Vec<String> {
        let labels: Vec<String> = self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let filters = HashMap::from([("label", labels), ("dangling", vec!["true".to_owned()])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let images = self.engine.docker.list_images(Some(options)).await.unwrap_or_default();
        images.into_iter().map(|image| image.id).filter(|id| !self.before.contains(id)).collect()
    }

    async fn removed(&self, id: &str) -> bool {
        let options = RemoveImageOptionsBuilder::new().force(false).noprune(true).build();
        match self.engine.docker.remove_image(id, Some(options), None).await {
            Ok(_) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => true,
            Err(error) => {
                debug!(%error, id, "not removed yet");
                false
            }
        }
    }
}
