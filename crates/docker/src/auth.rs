//! Credentials of registries, from where `docker login` leaves them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::secrets::RegistryAuth;

use crate::{Error, Result};

/// The key under which `docker login` files Docker Hub.
pub(crate) const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// A credential helper that takes longer waits for somebody who is not there.
const HELPER_LIMIT: Duration = Duration::from_secs(20);

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
    /// A token of an identity provider.
    IdentityToken(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Password { .. } => "Password(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
        })
    }
}

/// The credentials for `registry` (host and port; `docker.io` for Docker Hub) in the Docker configuration: its file
/// (`$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`) or the helper that it names.
///
/// # Errors
/// Where the file or what the helper said cannot be read, or a helper does not answer in 20 s.
pub async fn credentials_for(registry: &str) -> Result<Credentials> {
    if !config_file().is_some_and(|file| file.exists()) {
        return Ok(Credentials::Anonymous);
    }
    let key = if registry == "docker.io" { DOCKER_HUB_KEY } else { registry };
    let key = key.to_owned();
    let lookup = tokio::task::spawn_blocking(move || docker_credential::get_credential(&key));
    let unreadable = |reason: String| Error::Credentials { registry: registry.to_owned(), reason };
    let found = tokio::time::timeout(HELPER_LIMIT, lookup)
        .await
        .map_err(|_| unreadable(format!("the credential helper did not answer in {} s", HELPER_LIMIT.as_secs())))?
        .map_err(|error| unreadable(error.to_string()))?;
    match found {
        Ok(DockerCredential::UsernamePassword(username, password)) => Ok(Credentials::Password { username, password }),
        Ok(DockerCredential::IdentityToken(token)) => Ok(Credentials::IdentityToken(token)),
        Err(CredentialRetrievalError::ConfigNotFound | CredentialRetrievalError::NoCredentialConfigured) => {
            Ok(Credentials::Anonymous)
        }
        Err(CredentialRetrievalError::HelperFailure { helper, stdout, stderr }) => {
            helper_failure(&helper, &stdout, &stderr).map_err(unreadable)
        }
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// Where `docker login` leaves what it was told.
fn config_file() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")))?;
    Some(folder.join("config.json"))
}

/// Helpers say "credentials not found in native keychain" where they have none, which is no failure.
fn helper_failure(helper: &str, stdout: &str, stderr: &str) -> Result<Credentials, String> {
    if stdout.contains("credentials not found") || stderr.contains("credentials not found") {
        return Ok(Credentials::Anonymous);
    }
    // stdout of a helper can hold a secret, stderr is meant for people.
    Err(format!("the credential helper {helper} failed: {}", stderr.trim()))
}

impl From<&Credentials> for bollard::auth::DockerCredentials {
    fn from(credentials: &Credentials) -> Self {
        match credentials {
            Credentials::Anonymous => Self::default(),
            Credentials::Password { username, password } => {
                Self { username: Some(username.clone()), password: Some(password.clone()), ..Self::default() }
            }
            Credentials::IdentityToken(token) => Self { identitytoken: Some(token.clone()), ..Self::default() },
        }
    }
}

impl From<&Credentials> for RegistryAuth {
    fn from(credentials: &Credentials) -> Self {
        match credentials {
            Credentials::Anonymous => Self::Anonymous,
            Credentials::Password { username, password } => Self::Basic(username.clone(), password.clone()),
            Credentials::IdentityToken(token) => Self::Bearer(token.clone()),
        }
    }
}
