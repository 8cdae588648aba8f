//! One repository of a registry: its manifests, its blobs and uploads to it. Described in the OCI Distribution
//! Specification.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Body, Client, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;
use tracing::debug;

use crate::auth::Credentials;
use crate::hashing::digest_of;
use crate::oci_layout::{LARGEST_DOCUMENT, MANIFEST_TYPE};
use crate::reference::ImageRef;
use crate::retry::{is_of_the_moment, tried, tried_also_on};
use crate::said::shown;
use crate::token::Authorization;
use crate::transport::{self, READ_LIMIT, content, damaged, is_loopback, lost, refused, unexpected};
use crate::{Error, Result};

pub use crate::transport::Access;

/// Docker's name for an index of images for several platforms.
pub(crate) const DOCKER_INDEX_TYPE: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Every kind of manifest that is understood here, as a registry is asked for them.
pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DIGEST: &str = "docker-content-digest";

/// Silence of this length, while a blob is sent or the registry files it, is a dead connection.
const SILENCE_LIMIT: Duration = Duration::from_secs(5 * 60);

/// A manifest or an index as the registry has it.
#[derive(Debug, Clone)]
pub struct RawManifest {
    /// The bytes that the digest is of.
    pub bytes: Bytes,
    /// What they are.
    pub media_type: String,
    /// `sha256:…`.
    pub digest: String,
}

impl RawManifest {
    /// What it says that it is, else what the registry said.
    pub fn kind(&self) -> String {
        let content: Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        let said = Some(self.media_type.as_str()).filter(|said| said.ends_with("json"));
        content["mediaType"].as_str().or(said).unwrap_or(MANIFEST_TYPE).to_owned()
    }
}

/// The beginning of an upload.
#[derive(Debug)]
pub enum Upload {
    /// There is nothing to send: another repository had it.
    Mounted,
    /// The bytes go there.
    To(Url),
}

/// How a blob got to where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It was there.
    Was,
    /// Another repository of the registry had it.
    Mounted,
    /// It was sent.
    Sent,
}

/// A repository of a registry that has answered, as one user sees it.
#[derive(Debug)]
pub struct Repository {
    reference: ImageRef,
    access: Access,
    pub(crate) http: Client,
    /// For what is sent: an answer comes only after the last byte, however long that takes.
    patient: Client,
    url: Url,
    authorization: Authorization,
}

impl Repository {
    /// The repository of `reference`, to be used with `access`; blobs can be mounted from the repositories `others` of
    /// the same registry.
    ///
    /// # Errors
    /// [`Error::RegistryUnreachable`], [`Error::Untrusted`] or [`Error::Certificate`].
    pub async fn open(
        reference: &ImageRef,
        credentials: &Credentials,
        access: Access,
        others: &[&str],
    ) -> Result<Self> {
        let host = reference.host();
        let http = transport::client(host, Some(READ_LIMIT))?;
        let (scheme, headers) = tried(async || greet(&http, reference).await).await?;
        let url = format!("{scheme}://{host}/v2/{}/", reference.repository());
        let url = Url::parse(&url).map_err(|error| unexpected(reference, "be addressed", error.to_string()))?;
        Ok(Self {
            authorization: Authorization::new(reference, credentials, access, others, &headers),
            patient: transport::client(host, None)?,
            reference: reference.clone(),
            access,
            http,
            url,
        })
    }

    /// The reference whose repository this is.
    pub fn reference(&self) -> &ImageRef {
        &self.reference
    }

    /// The manifest or index called `name`, a tag or a digest; `None` where there is none.
    pub async fn manifest(&self, name: &str) -> Result<Option<RawManifest>> {
        tried(async || self.manifest_once(name).await).await
    }

    async fn manifest_once(&self, name: &str) -> Result<Option<RawManifest>> {
        let action = format!("give the manifest {name} of {}", self.reference.repository());
        let answer = self.send(self.http.get(self.at(&format!("manifests/{name}"))).header(ACCEPT, ACCEPTED)).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(self.refused(&action, answer).await),
        }
        let media_type = text(answer.headers(), CONTENT_TYPE.as_str());
        let named = Some(text(answer.headers(), DIGEST)).filter(|digest| digest.starts_with("sha256:"));
        let named = if name.starts_with("sha256:") { Some(name.to_owned()) } else { named };
        let bytes = content(answer, LARGEST_DOCUMENT, self.reference.registry()).await?;
        let too_large = || unexpected(&self.reference, &action, "it is larger than 4 MiB, so it is none");
        let bytes = bytes.ok_or_else(too_large)?;
        let digest = digest_of(&bytes);
        if let Some(named) = named.filter(|named| *named != digest) {
            return Err(damaged(&self.reference, &action, format!("it gave {digest} in place of {named}")));
        }
        Ok(Some(RawManifest { bytes, media_type, digest }))
    }

    /// Makes `name` name this manifest; returns its digest, by which the registry says that it knows it.
    pub async fn put_manifest(&self, name: &str, media_type: &str, bytes: Bytes) -> Result<String> {
        let action = format!("take the manifest of {}", self.reference);
        let url = self.at(&format!("manifests/{name}"));
        let digest = digest_of(&bytes);
        let put = async || {
            let request = self.http.put(url.clone()).header(CONTENT_TYPE, media_type).body(bytes.clone());
            let answer = self.send(request).await?;
            if !answer.status().is_success() {
                return Err(self.refused(&action, answer).await);
            }
            let mut named = text(answer.headers(), DIGEST);
            if named.is_empty() {
                let answer = self.send(self.http.head(url.clone()).header(ACCEPT, media_type)).await?;
                if is_of_the_moment(answer.status()) {
                    return Err(self.refused(&action, answer).await);
                }
                named = text(answer.headers(), DIGEST);
            }
            if named != digest {
                let reason = format!("it took {digest} and says that it has '{named}'");
                return Err(damaged(&self.reference, &action, reason));
            }
            Ok(named)
        };
        // Everything that it names is there. A registry on a disk misses a blob for the moment in which somebody else puts the same
        // one there.
        tried_also_on(Some(StatusCode::BAD_REQUEST), put).await
    }

    /// Whether the repository has the blob.
    pub async fn has_blob(&self, digest: &str) -> Result<bool> {
        tried(async || self.has_blob_now(digest).await).await
    }

    async fn has_blob_now(&self, digest: &str) -> Result<bool> {
        let answer = self.send(self.http.head(self.at(&format!("blobs/{digest}")))).await?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.refused(&format!("say whether it has {digest}"), answer).await),
        }
    }

    /// The blob, to be read from the answer; asked for once.
    pub(crate) async fn blob(&self, digest: &str) -> Result<Response> {
        let answer = self.send(self.http.get(self.at(&format!("blobs/{digest}")))).await?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            _ => Err(self.refused(&format!("give the blob {digest} of {}", self.reference.repository()), answer).await),
        }
    }

    /// Begins an upload, or has the blob taken from the repository `from`.
    pub(crate) async fn begin_upload(&self, blob: Option<(&str, &str)>) -> Result<Upload> {
        tried(async || self.begin_upload_now(blob).await).await
    }

    async fn begin_upload_now(&self, blob: Option<(&str, &str)>) -> Result<Upload> {
        let mut request = self.http.post(self.at("blobs/uploads/"));
        if let Some((digest, from)) = blob {
            request = request.query(&[("mount", digest), ("from", from)]);
        }
        let answer = self.send(request.header(CONTENT_LENGTH, 0)).await?;
        let action = format!("begin a push to {}", self.reference.repository());
        match answer.status() {
            StatusCode::CREATED if blob.is_some() => return Ok(Upload::Mounted),
            StatusCode::ACCEPTED => {}
            _ => return Err(self.refused(&action, answer).await),
        }
        let location = text(answer.headers(), LOCATION.as_str());
        // Of the address that answered, since it can be relative.
        answer.url().join(&location).map(Upload::To).map_err(|_| {
            unexpected(&self.reference, &action, format!("it said that the upload is at '{}'", shown(&location)))
        })
    }

    /// Puts a blob there, unless it is there or can be taken from the repository `source`. `body` gives its bytes, and counts those that
    /// are on their way; it is asked again where that fails in a way that may pass: an upload that broke off is begun anew, and one of
    /// which only the answer was lost is found done.
    pub(crate) async fn put_blob(
        &self,
        (digest, size): (&str, u64),
        source: Option<&str>,
        body: impl AsyncFn(Arc<AtomicU64>) -> Result<Body>,
    ) -> Result<Put> {
        tried(async || {
            if self.has_blob_now(digest).await? {
                return Ok(Put::Was);
            }
            let Upload::To(url) = self.begin_upload_from(digest, source).await? else { return Ok(Put::Mounted) };
            let sent = Arc::new(AtomicU64::new(0));
            let sending = self.finish_upload(url, digest, size, body(Arc::clone(&sent)).await?);
            tokio::select! {
                result = sending => result.map(|()| Put::Sent),
                () = silence(&sent) => {
                    let reason = format!("it was silent for {} minutes", SILENCE_LIMIT.as_secs() / 60);
                    Err(unexpected(&self.reference, &format!("take the blob {digest}"), reason))
                }
            }
        })
        .await
    }

    /// Begins an upload, or has the blob taken from the repository `source`, where there is one. A registry that knows nothing of
    /// mounting is asked again without.
    async fn begin_upload_from(&self, digest: &str, source: Option<&str>) -> Result<Upload> {
        if let Some(source) = source {
            match self.begin_upload_now(Some((digest, source))).await {
                Ok(upload) => return Ok(upload),
                Err(error) => debug!(error = &error as &dyn std::error::Error, "not taken from {source}"),
            }
        }
        self.begin_upload_now(None).await
    }

    /// Sends a blob to where its upload was begun.
    async fn finish_upload(&self, to: Url, digest: &str, size: u64, body: Body) -> Result<()> {
        let request = self.patient.put(to.clone()).query(&[("digest", digest)]);
        let request = request.header(CONTENT_TYPE, "application/octet-stream").header(CONTENT_LENGTH, size).body(body);
        let answer = self.send_to(&to, request).await?;
        match answer.status() {
            StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
            _ => Err(self.refused(&format!("take the blob {digest}"), answer).await),
        }
    }

    /// Registries drop unfinished uploads by themselves in time; calling one off is politeness, its failure no matter.
    pub(crate) async fn call_off(&self, upload: Url) {
        let answer = self.send_to(&upload, self.http.delete(upload.clone())).await;
        debug!(status = ?answer.map(|answer| answer.status()), "upload called off");
    }

    pub(crate) fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path()));
        url
    }

    /// Sends a request, once.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        self.authorization.apply(request).await?.send().await.map_err(|error| self.lost(error))
    }

    /// Uploads can be somewhere else, where our credentials are nobody's business.
    async fn send_to(&self, url: &Url, request: RequestBuilder) -> Result<Response> {
        if url.origin() == self.url.origin() {
            return self.send(request).await;
        }
        request.send().await.map_err(|error| self.lost(error))
    }

    pub(crate) fn lost(&self, error: reqwest::Error) -> Error {
        lost(self.reference.registry(), error)
    }

    pub(crate) async fn refused(&self, action: &str, answer: Response) -> Error {
        refused(&self.reference, self.access, action, answer).await
    }
}

/// Ends once nothing was sent for too long.
async fn silence(sent: &AtomicU64) {
    let mut before = None;
    loop {
        let now = Some(sent.load(Ordering::Relaxed));
        if now == before {
            return;
        }
        before = now;
        tokio::time::sleep(SILENCE_LIMIT).await;
    }
}

/// TLS, but for registries on this machine that do not speak it: the rule of the engines. The answer says how it wants
/// to be asked.
async fn greet(http: &Client, reference: &ImageRef) -> Result<(&'static str, HeaderMap)> {
    let host = reference.host();
    let ask = async |scheme: &str| http.get(format!("{scheme}://{host}/v2/")).send().await;
    let (scheme, answer) = match ask("https").await {
        Ok(answer) => ("https", answer),
        Err(_) if is_loopback(host) => ("http", ask("http").await.map_err(|error| lost(host, error))?),
        Err(error) => return Err(lost(host, error)),
    };
    // What somebody says who cannot answer says nothing of how he wants to be asked.
    if is_of_the_moment(answer.status()) {
        return Err(refused(reference, Access::Pull, "answer a first request", answer).await);
    }
    Ok((scheme, answer.headers().clone()))
}

pub(crate) fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
