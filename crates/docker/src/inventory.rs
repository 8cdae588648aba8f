//! Images that an engine holds, and who uses them.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptionsBuilder};

use tracing::debug;

use crate::Result;
use crate::engine::Engine;

/// An image in an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its id, `sha256:…`.
    pub id: String,
    /// Its names, with tags where it has any, else with digests; none for one that was never pushed, and whose name another image has.
    pub names: Vec<String>,
    /// Digests that it has in repositories, `sha256:…`.
    pub digests: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it last got a name; not every engine keeps that, and none of an image that was pulled or loaded. When it was made says nothing in its place:
    /// that is the same for all that are reproducible.
    pub tagged: Option<SystemTime>,
    /// Length of its layers in bytes; others may have the same.
    pub bytes: u64,
    /// Digests of its uncompressed layers, lowest first.
    pub layers: Vec<String>,
    /// What its layers are said to be made by, newest first; where they have no such words, empty ones.
    pub history: Vec<String>,
    /// Names of the containers that are made from it, running or not.
    pub containers: Vec<String>,
}

impl Engine {
    /// All images with the label `label`, named or not.
    ///
    /// # Errors
    /// Where the engine does not answer properly.
    pub async fn images_with(&self, label: &str) -> Result<Vec<Held>> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let ask = || self.docker.list_images(Some(options.clone()));
        let found = self.asked("list its images", ask).await?;
        let containers = self.containers_by_image().await?;
        let mut images = Vec::new();
        for summary in found {
            // One that is gone by now is none.
            let Some(image) = self.inspect(&summary.id).await? else { continue };
            let id = image.id.unwrap_or(summary.id);
            let ask = || self.docker.image_history(&id);
            // Podman trips over those that have no name.
            let history = self.asked("read the history of an image", ask).await.unwrap_or_else(|error| {
                debug!(%error, id, "its history is not known");
                Vec::new()
            });
            let tagged = image.metadata.and_then(|metadata| metadata.last_tag_time);
            // Docker says the year 1 of an image that was never named.
            let tagged = tagged.filter(|time| time.year() > 1);
            let in_repositories = image.repo_digests.unwrap_or_default();
            let labels = image.config.and_then(|config| config.labels).unwrap_or_default();
            images.push(Held {
                containers: containers.get(&id).cloned().unwrap_or_default(),
                digests: digests(&in_repositories),
                names: names(image.repo_tags.unwrap_or_default(), in_repositories),
                labels: labels.into_iter().collect(),
                tagged: tagged.map(SystemTime::from),
                bytes: image.size.and_then(|size| size.try_into().ok()).unwrap_or_default(),
                layers: image.root_fs.and_then(|fs| fs.layers).unwrap_or_default(),
                history: history.into_iter().map(|item| item.created_by).collect(),
                id,
            });
        }
        Ok(images)
    }

    async fn containers_by_image(&self) -> Result<HashMap<String, Vec<String>>> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let ask = || self.docker.list_containers(Some(options.clone()));
        let mut by_image: HashMap<String, Vec<String>> = HashMap::new();
        for container in self.asked("list its containers", ask).await? {
            let names = container.names.unwrap_or_default();
            let name = names.first().map(|name| name.trim_start_matches('/').to_owned());
            let name = name.or(container.id).unwrap_or_default();
            by_image.entry(container.image_id.unwrap_or_default()).or_default().push(name);
        }
        Ok(by_image)
    }
}

/// What is behind the names.
fn digests(in_repositories: &[String]) -> Vec<String> {
    in_repositories.iter().filter_map(|name| Some(name.split_once('@')?.1.to_owned())).collect()
}

/// `<none>:<none>` is how engines say that there is none.
fn names(tags: Vec<String>, digests: Vec<String>) -> Vec<String> {
    let real = |names: Vec<String>| names.into_iter().filter(|name| !name.contains("<none>")).collect::<Vec<_>>();
    let mut names = Some(real(tags)).filter(|tags| !tags.is_empty()).unwrap_or_else(|| real(digests));
    names.sort();
    names
}
