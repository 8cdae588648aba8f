//! A Docker engine: found as `docker` finds it, asked for images, and given tags.

use std::collections::HashSet;
use std::sync::Arc;

use bollard::Docker;
use bollard::models::{ImageHistoryResponseItem, ImageInspect, SystemVersion};
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
    TagImageOptionsBuilder,
};
use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;
use tracing::{debug, info};

use crate::apart::apart;
use crate::asked::found;
use crate::auth::credentials_for;
use crate::base::{BaseImage, Platform, Source, Wanted};
use crate::connection::Dialer;
use crate::endpoint::Endpoint;
use crate::progress::Transfers;
use crate::reference::ImageRef;
use crate::retry::tried_by_engine;
use crate::watch::Made;
use crate::{Error, Result, connection};

/// A connection to a Docker engine that has answered once.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) docker: Docker,
    pub(crate) dialer: Arc<Dialer>,
    endpoint: String,
    /// Asked once: the answer takes engines longer than most others.
    thin: Arc<OnceCell<bool>>,
}

impl Engine {
    /// Connects to the engine that the `docker` command would use.
    ///
    /// # Errors
    /// Where none is named properly, or the one named does not answer within 5 s: [`Error::Endpoint`],
    /// [`Error::NoSuchContext`], [`Error::EngineUnreachable`] and the like.
    pub async fn connect() -> Result<Self> {
        let endpoint = Endpoint::find()?;
        debug!(endpoint.address, "engine");
        let engine = Self::at(endpoint).await?;
        // Beside other work. Whoever needs to know asks again where this fails.
        tokio::spawn({
            let engine = engine.clone();
            async move { engine.takes_thin_images().await }
        });
        Ok(engine)
    }

    pub(crate) async fn at(endpoint: Endpoint) -> Result<Self> {
        let (docker, dialer) = connection::connect(&endpoint).await?;
        let docker = docker.with_request_modifier(url_safe_registry_auth);
        Ok(Self { docker, dialer, endpoint: endpoint.address, thin: Arc::default() })
    }

    /// Where the engine was found, as in `DOCKER_HOST`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What the engine knows of an image, by reference or id; `None` where it has none of that name.
    ///
    /// # Errors
    /// Where the engine does not answer properly.
    pub async fn inspect(&self, name: &str) -> Result<Option<ImageInspect>> {
        let ask = || async move { found(self.docker.inspect_image(name).await) };
        self.asked(&format!("look up the image {name}"), ask).await
    }

    /// The image of that name, else the one whose id begins so, as `docker` looks images up.
    ///
    /// # Errors
    /// As [`Engine::inspect`].
    pub async fn look_up(&self, reference: &ImageRef) -> Result<Option<ImageInspect>> {
        match (self.inspect(reference.as_str()).await?, reference.short_id()) {
            (None, Some(id)) => self.inspect(id).await,
            (found, _) => Ok(found),
        }
    }

    /// The image `reference` as a base; pulled where the engine lacks it, or where that is wanted.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] where it can be had nowhere, [`Error::OtherPlatform`] where only for another platform.
    pub async fn base(&self, reference: &ImageRef, wanted: Wanted<'_>) -> Result<BaseImage> {
        let platform = wanted.platform;
        let held = if wanted.pull { None } else { self.look_up(reference).await? };
        let image = match held {
            Some(image) => self.for_platform(image, reference, platform).await?,
            None => {
                let image = self.pull(reference, platform).await?;
                is_for(&image, reference, platform)?;
                image
            }
        };
        self.describe_as(image, reference).await
    }

    /// The image `reference`, for `platform` where one is given, if the engine has it.
    ///
    /// # Errors
    /// As [`Engine::inspect`].
    pub async fn held(&self, reference: &ImageRef, platform: Option<&Platform>) -> Result<Option<BaseImage>> {
        match self.look_up(reference).await? {
            Some(image) if is_for(&image, reference, platform).is_ok() => {
                self.describe_as(image, reference).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn describe_as(&self, image: ImageInspect, reference: &ImageRef) -> Result<BaseImage> {
        let digest = repository_digest(&image, reference);
        let by_id =
            |id: &&str| image.id.as_deref().is_some_and(|full| full.trim_start_matches("sha256:").starts_with(*id));
        let name = reference.short_id().filter(by_id).unwrap_or(reference.as_str()).to_owned();
        self.describe(image, name, digest).await
    }

    /// The image `id`, by no name of a registry.
    ///
    /// # Errors
    /// [`Error::NotConfirmed`] where there is none.
    pub async fn image(&self, id: &str) -> Result<BaseImage> {
        let missing =
            || Error::NotConfirmed { action: format!("keep the image {id}"), reason: "it is not there".to_owned() };
        let image = self.inspect(id).await?.ok_or_else(missing)?;
        self.describe(image, id.to_owned(), None).await
    }

    /// What is said to have made the topmost layer of an image or, after that, changed its settings; none where nothing is said.
    pub async fn made_by(&self, id: &str) -> Option<String> {
        // Podman trips over images without a name.
        self.docker.image_history(id).await.ok()?.into_iter().next().map(|item| item.created_by)
    }

    async fn describe(&self, image: ImageInspect, name: String, digest: Option<String>) -> Result<BaseImage> {
        let platform = platform_of(&image);
        let id = image.id.clone().unwrap_or_default();
        let diff_ids = image.root_fs.clone().and_then(|fs| fs.layers).unwrap_or_default();
        let ask = || self.docker.image_history(&id);
        let history = self.asked(&format!("read the history of {name}"), ask).await?;
        let history = base_history(history, diff_ids.len(), &name);
        Ok(BaseImage {
            name,
            digest: Some(digest.unwrap_or_else(|| id.clone())),
            platform,
            config: image
                .config
                .and_then(|config| serde_json::to_value(config).ok())
                .and_then(into_object)
                .unwrap_or_default(),
            history,
            diff_ids,
            size: image.size.and_then(|size| size.try_into().ok()).unwrap_or_default(),
            source: Source::Engine { engine: self.clone(), id },
        })
    }

    /// `image`, which the engine has, or where it is of another platform the one for that platform, pulled.
    async fn for_platform(
        &self,
        image: ImageInspect,
        reference: &ImageRef,
        platform: Option<&Platform>,
    ) -> Result<ImageInspect> {
        let Err(mut other) = is_for(&image, reference, platform) else { return Ok(image) };
        match self.pull(reference, platform).await {
            Ok(image) => is_for(&image, reference, platform).map(|()| image),
            Err(why) => {
                if let Error::OtherPlatform { source, wanted, .. } = &mut other {
                    *source = Some(Box::new(match why {
                        // It has one of that name: the one for another platform.
                        Error::NoSuchImage { source, .. } => Error::engine(format!("pull it for {wanted}"))(source),
                        why => why,
                    }));
                }
                Err(other)
            }
        }
    }

    async fn pull(&self, reference: &ImageRef, platform: Option<&Platform>) -> Result<ImageInspect> {
        info!("pulling {reference}");
        let credentials = credentials_for(reference.registry()).await?;
        let platform = platform.map(ToString::to_string).unwrap_or_default();
        let options = CreateImageOptionsBuilder::new().from_image(reference.as_str()).platform(&platform).build();
        let pull = async || {
            let (options, auth) = (options.clone(), (&credentials).into());
            let mut answers =
                apart(&self.docker, move |docker| docker.create_image(Some(options), None, Some(auth)).boxed());
            let (mut said, mut transfers) = (String::new(), Transfers::begin(format!("pulling {reference}")));
            while let Some(answer) = answers.next().await {
                let answer = answer.map_err(Error::engine("pull the image"))?;
                // What is unpacked was fetched before.
                let is_fetched = answer.status.as_deref().is_some_and(|status| status.starts_with("Downloading"));
                transfers.note(answer.id, answer.progress_detail.as_ref().filter(|_| is_fetched));
                said = answer.status.unwrap_or(said);
                debug!(said, "pull");
            }
            Ok(said)
        };
        let said = tried_by_engine(pull).await.map_err(|error| match error {
            Error::Engine { source, .. } => Error::NoSuchImage { reference: reference.to_string(), source },
            other => other,
        })?;
        let pulled = self.inspect(reference.as_str()).await?;
        pulled.ok_or_else(|| Error::NotConfirmed {
            action: format!("pull {reference}"),
            reason: format!("it has no such image afterwards; the last that it said was '{said}'"),
        })
    }

    pub(crate) async fn version(&self) -> Result<SystemVersion> {
        self.asked("say its version", || self.docker.version()).await
    }

    pub(crate) async fn is_podman(&self) -> Result<bool> {
        let mut components = self.version().await?.components.unwrap_or_default().into_iter();
        Ok(components.any(|component| component.name.contains("Podman")))
    }

    /// Whether it takes an archive without the layers that it has. Podman does not, and neither does Docker where
    /// containerd keeps the images: that one can fail without saying so.
    pub(crate) async fn takes_thin_images(&self) -> Result<bool> {
        self.thin.get_or_try_init(|| self.ask_for_thin_images()).await.copied()
    }

    async fn ask_for_thin_images(&self) -> Result<bool> {
        let info = self.asked("say how it keeps images", || self.docker.info());
        let (is_podman, info) = tokio::join!(self.is_podman(), info);
        let status = info?.driver_status.unwrap_or_default();
        let is_containerd = status.iter().flatten().any(|word| word.starts_with("io.containerd.snapshotter"));
        Ok(!is_podman? && !is_containerd)
    }

    /// Gives the image `id` the name `reference`, in place of what had it before.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn tag(&self, id: &str, reference: &ImageRef) -> Result<()> {
        let options =
            TagImageOptionsBuilder::new().repo(reference.name()).tag(reference.tag().unwrap_or("latest")).build();
        let ask = || self.docker.tag_image(id, Some(options.clone()));
        self.asked(&format!("tag the image as {reference}"), ask).await
    }

    /// The ids of all images that the engine has, named or not.
    ///
    /// # Errors
    /// Where the engine does not answer properly.
    pub async fn image_ids(&self) -> Result<HashSet<String>> {
        let options = ListImagesOptionsBuilder::new().all(true).build();
        let ask = || self.docker.list_images(Some(options.clone()));
        let images = self.asked("list its images", ask).await?;
        Ok(images.into_iter().map(|image| image.id).collect())
    }

    /// Takes the name `reference` off the image `id`; a name that another image has by now is left alone.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub async fn remove_tag(&self, reference: &ImageRef, id: &str) -> Result<()> {
        match self.inspect(reference.as_str()).await? {
            Some(image) if image.id.as_deref() == Some(id) => self.remove(reference.as_str()).await,
            _ => Ok(()),
        }
    }

    /// Removes a name, or by id an image that has none; layers in use elsewhere stay.
    ///
    /// # Errors
    /// Where the engine refuses. An image that is not there is no error.
    pub async fn remove(&self, name: &str) -> Result<()> {
        self.remove_image(name, false).await
    }

    /// Removes what a build left: containers whatever they do, and images that have no name and are not in `before`. What
    /// cannot be removed stays.
    pub async fn discard(&self, made: &Made, before: &HashSet<String>) {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        for container in &made.containers {
            let removed = self.docker.remove_container(container, Some(options.clone())).await;
            debug!(container, ?removed, "discarded");
        }
        // The youngest first: an image on which another is built cannot be removed.
        for image in made.images.iter().rev() {
            let Ok(Some(found)) = self.inspect(image).await else { continue };
            let is_named = [found.repo_tags, found.repo_digests].into_iter().flatten().any(|names| !names.is_empty());
            if let (false, Some(id)) = (is_named, found.id.filter(|id| !before.contains(id))) {
                let removed = self.remove(&id).await;
                debug!(id, ?removed, "discarded");
            }
        }
    }

    /// Removes the image `id` with all its names.
    ///
    /// # Errors
    /// Where the engine refuses. An image that is not there is no error.
    pub async fn remove_with_names(&self, id: &str) -> Result<()> {
        self.remove_image(id, true).await
    }

    async fn remove_image(&self, name: &str, force: bool) -> Result<()> {
        let options = RemoveImageOptionsBuilder::new().force(force).noprune(false).build();
        let ask = || {
            let removed = self.docker.remove_image(name, Some(options.clone()), None);
            async { found(removed.await) }
        };
        self.asked(&format!("remove the image {name}"), ask).await.map(drop)
    }
}

/// bollard encodes the registry credentials with the wrong base64 alphabet; the engine wants the URL-safe one.
fn url_safe_registry_auth(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    for header in ["X-Registry-Auth", "X-Registry-Config"] {
        if let Some(value) = request.headers_mut().get_mut(header)
            && let Ok(text) = value.to_str()
            && let Ok(mut safe) = text.replace('+', "-").replace('/', "_").parse::<http::HeaderValue>()
        {
            safe.set_sensitive(true);
            *value = safe;
        }
    }
    request
}

fn platform_of(image: &ImageInspect) -> Platform {
    Platform {
        os: image.os.clone().unwrap_or_else(|| "linux".to_owned()),
        architecture: image.architecture.clone().unwrap_or_default(),
        variant: image.variant.clone().filter(|variant| !variant.is_empty()),
    }
}

fn is_for(image: &ImageInspect, reference: &ImageRef, wanted: Option<&Platform>) -> Result<()> {
    let found = platform_of(image);
    match wanted {
        Some(wanted) if !found.is(wanted) => Err(Error::OtherPlatform {
            reference: reference.to_string(),
            found: found.to_string(),
            wanted: wanted.to_string(),
            source: None,
        }),
        _ => Ok(()),
    }
}

fn repository_digest(image: &ImageInspect, reference: &ImageRef) -> Option<String> {
    let digests = image.repo_digests.as_deref().unwrap_or_default();
    let of_this_name =
        digests.iter().filter_map(|digest| digest.split_once('@')).find(|(name, _)| *name == reference.name());
    let any = digests.iter().filter_map(|digest| digest.split_once('@')).next();
    of_this_name.or(any).map(|(_, digest)| digest.to_owned())
}

fn into_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// The engine tells the history newest first and leaves out which entries have no layer. Where sizes do not tell
/// either, a line for each layer says where it is from.
fn base_history(items: Vec<ImageHistoryResponseItem>, layers: usize, name: &str) -> Vec<Value> {
    if items.iter().filter(|item| item.size > 0).count() != layers {
        let created = jiff::Timestamp::UNIX_EPOCH.to_string();
        return vec![json!({ "created": created, "created_by": format!("layer of {name}") }); layers];
    }
    let entry = |item: ImageHistoryResponseItem| {
        // Podman cannot read the history of an image in which a time is missing.
        let created = jiff::Timestamp::from_second(item.created).unwrap_or_default().to_string();
        let mut entry = json!({ "created": created, "created_by": item.created_by, "comment": item.comment });
        if item.size == 0 {
            entry["empty_layer"] = json!(true);
        }
        entry
    };
    items.into_iter().rev().map(entry).collect()
}
