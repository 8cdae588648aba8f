//! Docker contexts: engines that `docker context create` gave a name, in the folder of the `docker` command.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use tracing::warn;

use crate::endpoint::{Surroundings, TlsFiles};
use crate::hashing::digest_of;
use crate::{Error, Result, files};

/// The context that stands for none.
const DEFAULT: &str = "default";

/// What a context says of its engine.
#[derive(Debug)]
pub(crate) struct Context {
    /// As in `DOCKER_HOST`.
    pub host: Option<String>,
    pub tls: Option<TlsFiles>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    #[serde(default)]
    name: String,
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Deserialize, Default)]
struct Endpoints {
    docker: Option<DockerEndpoint>,
}

#[derive(Deserialize, Default)]
struct DockerEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_tls_verify: bool,
}

/// The context that `DOCKER_CONTEXT` or `docker context use` chose; `None` for the default one.
///
/// # Errors
/// [`Error::NoSuchContext`] and [`Error::Context`].
pub(crate) fn current(surroundings: &Surroundings<'_>) -> Result<Option<Context>> {
    let Some(folder) = surroundings.config_folder() else { return Ok(None) };
    let named = surroundings.get("DOCKER_CONTEXT").map(|name| (name, "DOCKER_CONTEXT".to_owned()));
    let config = folder.join("config.json");
    let named = named.or_else(|| Some((used(&config)?, format!("currentContext in {}", config.display()))));
    match named {
        Some((name, _)) if name == DEFAULT => Ok(None),
        Some((name, named_by)) => read(&folder.join("contexts"), name, named_by, surroundings).map(Some),
        None => Ok(None),
    }
}

/// `currentContext` of `config.json`. A file that cannot be read is warned of, as `docker` does.
fn used(config: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(rename = "currentContext")]
        current_context: Option<String>,
    }
    let bytes = files::read(config, files::SMALL).ok()?;
    match serde_json::from_slice::<Config>(&bytes) {
        Ok(config) => config.current_context.filter(|name| !name.is_empty()),
        Err(error) => {
            warn!("{} cannot be read, so no Docker context is taken from it: {error}", config.display());
            None
        }
    }
}

fn read(contexts: &Path, name: String, named_by: String, surroundings: &Surroundings<'_>) -> Result<Context> {
    let digest = digest_of(name.as_bytes());
    let hash = digest.trim_start_matches("sha256:");
    let file = contexts.join("meta").join(hash).join("meta.json");
    let damaged = |reason: String| Error::Context { name: name.clone(), path: file.clone(), reason };
    let bytes = match files::read(&file, files::SMALL) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NoSuchContext { known: names(contexts), name, named_by });
        }
        Err(error) => return Err(damaged(error.to_string())),
    };
    let meta: Meta = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    let endpoint = meta.endpoints.docker.ok_or_else(|| damaged("it names no Docker engine".to_owned()))?;
    let tls_folder = contexts.join("tls").join(hash).join("docker");
    let tls = TlsFiles::in_folder(&tls_folder, !endpoint.skip_tls_verify, surroundings.exists);
    let is_wanted = endpoint.skip_tls_verify || tls.ca.is_some() || tls.identity.is_some();
    Ok(Context { host: Some(endpoint.host).filter(|host| !host.is_empty()), tls: is_wanted.then_some(tls) })
}

/// Names of all contexts, for whoever mistyped one.
fn names(contexts: &Path) -> Vec<String> {
    let folders = fs::read_dir(contexts.join("meta")).into_iter().flatten().filter_map(Result::ok);
    let metas = folders.filter_map(|folder| files::read(&folder.path().join("meta.json"), files::SMALL).ok());
    let mut names: Vec<String> =
        metas.filter_map(|bytes| serde_json::from_slice::<Meta>(&bytes).ok()).map(|meta| meta.name).collect();
    names.push(DEFAULT.to_owned());
    names.sort();
    names
}
