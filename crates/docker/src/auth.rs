//! Credentials of registries, from where `docker login` leaves them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::credential_helper::{self, HELPER_LIMIT};
use crate::{Error, Result, files};

/// The key under which `docker login` files Docker Hub.
pub(crate) const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// Hosts that mean Docker Hub.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// How a registry gets to know us. Debug shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Not at all.
    Anonymous,
    /// User name and password.
    Password {
        /// Name.
        username: String,
        /// Password or access token.
        password: String,
    },
    /// A token of an identity provider, for which the registry's token server gives others.
    IdentityToken(String),
    /// A token that the registry takes as it is.
    RegistryToken(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Password { .. } => "Password(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
            Self::RegistryToken(_) => "RegistryToken(…)",
        })
    }
}

/// The credentials for `registry` (host and port; `docker.io` for Docker Hub) in the Docker configuration: the helper
/// that its file (`$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`) names, else the file itself.
///
/// # Errors
/// [`Error::Credentials`] where the file or what the helper said cannot be read, or a helper does not answer in 20 s.
pub async fn credentials_for(registry: &str) -> Result<Credentials> {
    let Some(file) = config_folder().map(|folder| folder.join("config.json")) else {
        return Ok(Credentials::Anonymous);
    };
    let found = look_up(&file, registry).await;
    found.map_err(|reason| Error::Credentials { registry: registry.to_owned(), reason })
}

/// Where `docker` keeps its configuration.
pub fn config_folder() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")))
}

async fn look_up(file: &Path, registry: &str) -> Result<Credentials, String> {
    let Some(config) = ConfigFile::read(file)? else { return Ok(Credentials::Anonymous) };
    let key = if is_hub(registry) { DOCKER_HUB_KEY } else { registry };
    if let Some(helper) = config.helper(registry) {
        let found = credential_helper::ask(helper, key, HELPER_LIMIT).await?;
        if found != Credentials::Anonymous {
            return Ok(found);
        }
    }
    let Some(entry) = config.entry(registry, key) else { return Ok(Credentials::Anonymous) };
    entry.credentials().ok_or_else(|| format!("the entry of {registry} in {} is damaged", file.display()))
}

/// The parts of `config.json` that are about registries.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigFile {
    auths: BTreeMap<String, Entry>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

impl ConfigFile {
    /// `None` where there is no such file.
    fn read(file: &Path) -> Result<Option<Self>, String> {
        let bytes = match files::read(file, files::SMALL) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", file.display())),
        };
        // What serde says can hold a piece of the file; line and column are enough to find it.
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            format!(
                "{} is no configuration of docker (line {}, column {})",
                file.display(),
                error.line(),
                error.column()
            )
        })
    }

    fn helper(&self, registry: &str) -> Option<&str> {
        let own = self.cred_helpers.iter().find(|(key, _)| is_same_host(key, registry)).map(|(_, helper)| helper);
        own.or(Some(&self.creds_store)).map(String::as_str).filter(|helper| !helper.is_empty())
    }

    fn entry(&self, registry: &str, key: &str) -> Option<&Entry> {
        let exact = self.auths.get(key).or_else(|| self.auths.get(registry));
        exact.or_else(|| self.auths.iter().find(|(key, _)| is_same_host(key, registry)).map(|(_, entry)| entry))
    }
}

fn is_hub(host: &str) -> bool {
    DOCKER_HUB.contains(&host)
}

/// Keys can be written as addresses, `https://host/v1/`, as `docker login` did once.
fn is_same_host(key: &str, registry: &str) -> bool {
    let host = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let host = host.split('/').next().unwrap_or_default();
    host == registry || (is_hub(host) && is_hub(registry))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl Entry {
    /// `None` where `auth` cannot be read.
    fn credentials(&self) -> Option<Credentials> {
        if !self.registrytoken.is_empty() {
            return Some(Credentials::RegistryToken(self.registrytoken.clone()));
        }
        if !self.identitytoken.is_empty() {
            return Some(Credentials::IdentityToken(self.identitytoken.clone()));
        }
        let (username, password) = match self.auth.as_str() {
            "" => (self.username.clone(), self.password.clone()),
            auth => decode(auth)?,
        };
        // With a store of credentials `docker login` leaves an entry without any.
        let named = !username.is_empty() || !password.is_empty();
        Some(if named { Credentials::Password { username, password } } else { Credentials::Anonymous })
    }
}

fn decode(auth: &str) -> Option<(String, String)> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, lenient).decode(auth).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.trim_end_matches('\0').to_owned()))
}

impl From<&Credentials> for bollard::auth::DockerCredentials {
    fn from(credentials: &Credentials) -> Self {
        match credentials {
            Credentials::Anonymous => Self::default(),
            Credentials::Password { username, password } => {
                Self { username: Some(username.clone()), password: Some(password.clone()), ..Self::default() }
            }
            Credentials::IdentityToken(token) => Self { identitytoken: Some(token.clone()), ..Self::default() },
            Credentials::RegistryToken(token) => Self { registrytoken: Some(token.clone()), ..Self::default() },
        }
    }
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
