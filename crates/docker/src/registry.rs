//! A registry asked directly, with no engine between.

use std::net::IpAddr;
use std::time::Duration;

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::{Client, RegistryOperation};
use reqwest::{StatusCode, Url, header};
use serde_json::Value;
use tracing::debug;

use crate::auth::Credentials;
use crate::oci_layout::Labelled;
use crate::reference::ImageRef;
use crate::{Error, Result, tls};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const READ_LIMIT: Duration = Duration::from_secs(30);
const USER_AGENT: &str = concat!("hotfix/", env!("CARGO_PKG_VERSION"));

/// Whether `credentials` may push to the repository of `reference`: begins an upload there and calls it off.
///
/// # Errors
/// [`Error::Denied`] where they may not, [`Error::RegistryUnreachable`] where nobody answers, [`Error::Registry`] else.
pub async fn check_push(reference: &ImageRef, credentials: &Credentials) -> Result<()> {
    let http = http_client(reference)?;
    let scheme = scheme(&http, reference).await?;
    let client = oci_client(reference, scheme)?;
    let asked = client.auth(reference.full(), &credentials.into(), RegistryOperation::Push).await;
    let token = asked.map_err(|error| failure(reference, "a push", error))?;
    let authorize = |request: reqwest::RequestBuilder| match (&token, credentials) {
        (Some(token), _) => request.bearer_auth(token),
        (None, Credentials::Password { username, password }) => request.basic_auth(username, Some(password)),
        (None, _) => request,
    };
    let host = reference.full().resolve_registry();
    let url = format!("{scheme}://{host}/v2/{}/blobs/uploads/", reference.repository());
    let answer = authorize(http.post(&url)).send().await.map_err(|error| unreachable(reference, error))?;
    let (status, location) = (answer.status(), answer.headers().get(header::LOCATION).cloned());
    match status {
        StatusCode::ACCEPTED => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(denied(reference, "a push", answer.text().await.unwrap_or_default()));
        }
        other => {
            let text = format!("it answered {other}: {}", message_in(&answer.text().await.unwrap_or_default()));
            return Err(Error::Registry {
                registry: host.to_owned(),
                action: format!("begin a push to {}", reference.repository()),
                source: text.into(),
            });
        }
    }
    // Registries drop unfinished uploads by themselves in time; calling it off is politeness, its failure no matter.
    let location = location.and_then(|location| Url::parse(&url).ok()?.join(location.to_str().ok()?).ok());
    if let Some(location) = location {
        let cancelled = authorize(http.delete(location)).send().await;
        debug!(status = ?cancelled.map(|answer| answer.status()), "upload called off");
    }
    Ok(())
}

/// The labels of the image `reference` in its registry, `None` where it has no such image.
///
/// # Errors
/// [`Error::Denied`], [`Error::RegistryUnreachable`] or [`Error::Registry`].
pub async fn read_labels(reference: &ImageRef, credentials: &Credentials) -> Result<Option<Labelled>> {
    let client = client_for(reference).await?;
    let pulled = client.pull_manifest_and_config(reference.full(), &credentials.into()).await;
    let (_, id, configuration) = match pulled {
        Ok(found) => found,
        Err(error) if is_not_found(&error) => return Ok(None),
        Err(error) => return Err(failure(reference, "a pull", error)),
    };
    let configuration: Value = serde_json::from_str(&configuration).unwrap_or_default();
    Ok(Some(Labelled::of(id, &configuration)))
}

fn http_client(reference: &ImageRef) -> Result<reqwest::Client> {
    tls::install();
    let loopback = is_loopback(reference.registry());
    let client = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_LIMIT)
        .read_timeout(READ_LIMIT)
        // As engines do: what never leaves the machine needs no certificate.
        .danger_accept_invalid_certs(loopback);
    client.build().map_err(|error| unreachable(reference, error))
}

/// A client for the registry of `reference`.
pub(crate) async fn client_for(reference: &ImageRef) -> Result<Client> {
    let scheme = scheme(&http_client(reference)?, reference).await?;
    oci_client(reference, scheme)
}

fn oci_client(reference: &ImageRef, scheme: &str) -> Result<Client> {
    let config = ClientConfig {
        protocol: if scheme == "http" { ClientProtocol::Http } else { ClientProtocol::Https },
        accept_invalid_certificates: is_loopback(reference.registry()),
        connect_timeout: Some(CONNECT_LIMIT),
        read_timeout: Some(READ_LIMIT),
        user_agent: USER_AGENT,
        ..ClientConfig::default()
    };
    Client::try_from(config).map_err(|error| failure(reference, "a connection", error))
}

/// TLS, but for registries on this machine that do not speak it: the rule of the engines.
async fn scheme(http: &reqwest::Client, reference: &ImageRef) -> Result<&'static str> {
    let host = reference.full().resolve_registry();
    if !is_loopback(host) {
        return Ok("https");
    }
    if http.get(format!("https://{host}/v2/")).send().await.is_ok() {
        return Ok("https");
    }
    let plain = http.get(format!("http://{host}/v2/")).send().await;
    plain.map(|_| "http").map_err(|error| unreachable(reference, error))
}

fn is_loopback(registry: &str) -> bool {
    let host = registry
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(registry, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the registry has no such image, as far as it says why.
pub(crate) fn is_not_found(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ImageManifestNotFoundError(_) | OciDistributionError::ServerError { code: 404, .. } => {
            true
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            use oci_client::errors::OciErrorCode::{ManifestUnknown, NameUnknown, NotFound};
            envelope.errors.iter().any(|error| matches!(error.code, ManifestUnknown | NameUnknown | NotFound))
        }
        _ => false,
    }
}

/// The failure of `action` ("a push", "a pull") on the repository of `reference`.
pub(crate) fn failure(reference: &ImageRef, action: &str, error: OciDistributionError) -> Error {
    use oci_client::errors::OciErrorCode::{Denied, Unauthorized};
    match error {
        OciDistributionError::RequestError(error) => unreachable(reference, error),
        OciDistributionError::AuthenticationFailure(text) => denied(reference, action, text),
        OciDistributionError::UnauthorizedError { .. } => denied(reference, action, "unauthorized".to_owned()),
        OciDistributionError::RegistryError { envelope, .. }
            if envelope.errors.iter().any(|e| matches!(e.code, Denied | Unauthorized)) =>
        {
            denied(reference, action, envelope.errors.iter().map(|e| e.message.clone()).collect::<Vec<_>>().join(", "))
        }
        other => Error::Registry {
            registry: reference.registry().to_owned(),
            action: format!("serve {action} of {}", reference.repository()),
            source: other.into(),
        },
    }
}

fn denied(reference: &ImageRef, action: &str, text: String) -> Error {
    Error::Denied {
        registry: reference.registry().to_owned(),
        action: format!("{action} to {}", reference.repository()).replace("pull to", "pull from"),
        reason: message_in(&text),
    }
}

fn unreachable(reference: &ImageRef, error: reqwest::Error) -> Error {
    Error::RegistryUnreachable { registry: reference.registry().to_owned(), source: error.without_url().into() }
}

/// The messages of a registry's JSON answer, else the beginning of the text.
fn message_in(text: &str) -> String {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let messages = answer["errors"].as_array().cloned().unwrap_or_default();
    let messages: Vec<&str> =
        messages.iter().filter_map(|error| error["message"].as_str().or(error["code"].as_str())).collect();
    if messages.is_empty() { text.trim().chars().take(200).collect() } else { messages.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for (registry, expected) in [
            ("127.0.0.1:5000", true),
            ("127.8.9.1", true),
            ("localhost:1", true),
            ("[::1]:5000", true),
            ("docker.io", false),
            ("10.0.0.1:5000", false),
            ("localhost.example.org", false),
        ] {
            assert_eq!(is_loopback(registry), expected, "{registry}");
        }
    }

    #[test]
    fn the_registrys_own_words_are_found() {
        assert_eq!(message_in(r#"{"errors":[{"code":"DENIED","message":"no rights"}]}"#), "no rights");
        assert_eq!(message_in("plain\n"), "plain");
    }
}
