//! HTTP to registries: one TLS, one set of limits, and failures in words.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use tracing::debug;

use crate::error::NotForPlatform;
use crate::reference::ImageRef;
use crate::retry::retry_after;
use crate::said::{shown, shown_to};
use crate::{Error, Result, certificates, tls};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long an answer and each part of it may take.
pub(crate) const READ_LIMIT: Duration = Duration::from_secs(30);
/// How long a document as a whole may take: those that come slower than that are no better for it.
const DOCUMENT_LIMIT: Duration = Duration::from_secs(120);
/// More of what a registry says of a failure is not read.
const LARGEST_MESSAGE: usize = 64 << 10;
/// Characters of an answer that is none of a registry's.
const BEGINNING: usize = 200;
const USER_AGENT: &str = concat!("hotfix/", env!("CARGO_PKG_VERSION"));

/// A client for `host` (with its port, where it is not the usual one). Authorities are the system's (or those that
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name) and those that are put there for this host.
///
/// # Errors
/// [`Error::Certificate`], or [`Error::RegistryUnreachable`] where there is not one authority to trust.
pub(crate) fn client(host: &str, read_limit: Option<Duration>) -> Result<Client> {
    tls::install();
    let mut client = Client::builder().user_agent(USER_AGENT).connect_timeout(CONNECT_LIMIT);
    if let Some(limit) = read_limit {
        client = client.read_timeout(limit);
    }
    if is_loopback(host) {
        // As engines do: what never leaves the machine needs neither a certificate nor a proxy.
        client = client.danger_accept_invalid_certs(true).no_proxy();
    }
    certificates::add_to(client, host)?.build().map_err(|error| lost(host, error))
}

/// Whether a host, with or without a port, is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A request that got no answer.
pub(crate) fn lost(registry: &str, error: reqwest::Error) -> Error {
    let registry = registry.to_owned();
    match certificate_error(&error) {
        Some(reason) => Error::Untrusted { registry, source: reason.into() },
        None => Error::RegistryUnreachable { registry, source: error.without_url().into() },
    }
}

/// What is wrong with the other side's certificate, where that is the reason.
fn certificate_error(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(tls @ rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return Some(tls.to_string());
    }
    // The source of an I/O error is that of the error in it, which would be passed over.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => certificate_error(inner),
        None => certificate_error(error.source()?),
    }
}

/// What is wanted of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Pull,
    /// To read and write.
    Push,
}

impl Access {
    /// In the words of token servers.
    pub(crate) fn scope(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }

    fn to(self, reference: &ImageRef) -> String {
        match self {
            Self::Pull => format!("a pull from {}", reference.repository()),
            Self::Push => format!("a push to {}", reference.repository()),
        }
    }
}

/// The registry's no to us.
pub(crate) fn denied(reference: &ImageRef, access: Access, text: &str) -> Error {
    let reason = Some(message_in(text)).filter(|reason| !reason.is_empty());
    Error::Denied {
        registry: reference.registry().to_owned(),
        action: access.to(reference),
        reason: reason.unwrap_or_else(|| "it gives no reason".to_owned()),
    }
}

/// An answer that is not the one hoped for; `action` goes after "could not".
pub(crate) async fn refused(reference: &ImageRef, access: Access, action: &str, answer: Response) -> Error {
    let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
    let text = beginning(answer).await;
    if matches!(status.as_u16(), 401 | 403) {
        return denied(reference, access, &text);
    }
    let source = Answered { status, message: message_in(&text), retry_after };
    Error::Registry { registry: reference.registry().to_owned(), action: action.to_owned(), source: source.into() }
}

/// What is said to a no, as far as it comes: the no is known, its words are not worth a long wait.
async fn beginning(mut answer: Response) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while bytes.len() < LARGEST_MESSAGE
            && let Ok(Some(chunk)) = answer.chunk().await
        {
            bytes.extend_from_slice(&chunk);
        }
    };
    if tokio::time::timeout(READ_LIMIT, read).await.is_err() {
        debug!("what the registry said to its no did not come to an end");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The content of an answer of `registry`; `None` where that is of more than `limit` bytes.
///
/// # Errors
/// Where the connection is lost, or the end does not come.
pub(crate) async fn content(mut answer: Response, limit: u64, registry: &str) -> Result<Option<Bytes>> {
    let read = async {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| lost(registry, error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > limit {
                return Ok(None);
            }
        }
        Ok(Some(bytes.freeze()))
    };
    tokio::time::timeout(DOCUMENT_LIMIT, read).await.unwrap_or_else(|_| {
        let reason = format!("its answer did not come to an end within {} s", DOCUMENT_LIMIT.as_secs());
        let action = "be waited for".to_owned();
        Err(Error::Registry { registry: registry.to_owned(), action, source: reason.into() })
    })
}

/// What a registry has answered in place of what was hoped for.
#[derive(Debug, thiserror::Error)]
#[error("it answered {status}{}{message}", if message.is_empty() { "" } else { ": " })]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// How long it asks us to wait before we ask again.
    pub(crate) retry_after: Option<Duration>,
}

/// A registry that does not do what it was asked for.
pub(crate) fn unexpected(reference: &ImageRef, action: &str, reason: impl Into<String>) -> Error {
    Error::Registry {
        registry: reference.registry().to_owned(),
        action: action.to_owned(),
        source: reason.into().into(),
    }
}

/// The registry has the image, but not for the platform that is wanted.
pub(crate) fn other_platform(reference: &ImageRef, reason: String) -> Error {
    Error::Registry {
        registry: reference.registry().to_owned(),
        action: format!("give {reference}"),
        source: Box::new(NotForPlatform(reason)),
    }
}

/// Content that is not what was asked for: what did that on its way, or who, may not be there the next time.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Damaged(String);

/// A registry whose answer is not what it was asked for, but could be.
pub(crate) fn damaged(reference: &ImageRef, action: &str, reason: impl Into<String>) -> Error {
    Error::Registry {
        registry: reference.registry().to_owned(),
        action: action.to_owned(),
        source: Damaged(reason.into()).into(),
    }
}

/// The messages of a registry's JSON answer, else the beginning of the text: a line, and no more than can be read.
pub fn message_in(text: &str) -> String {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let messages = answer["errors"].as_array().cloned().unwrap_or_default();
    let messages: Vec<&str> =
        messages.iter().filter_map(|error| error["message"].as_str().or(error["code"].as_str())).collect();
    if messages.is_empty() { shown_to(BEGINNING, text.trim()) } else { shown(&messages.join(", ")) }
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

    #[tokio::test(start_paused = true)]
    async fn a_document_that_drips_is_not_waited_for() {
        let drips = |pause| {
            let drops = futures_util::stream::unfold(0, move |count| async move {
                tokio::time::sleep(Duration::from_secs(pause)).await;
                (count < 100).then_some((Ok::<_, io::Error>(Bytes::from_static(b"x")), count + 1))
            });
            Response::from(http::Response::new(reqwest::Body::wrap_stream(Box::pin(drops))))
        };
        let read = content(drips(1), 1000, "registry").await.expect("it is slow");
        assert_eq!(read.map(|bytes| bytes.len()), Some(100));
        let error = content(drips(2), 1000, "registry").await.expect_err("it is too slow");
        let Error::Registry { source, .. } = error else { panic!("{error}") };
        assert_eq!(source.to_string(), "its answer did not come to an end within 120 s");
    }

    #[test]
    fn the_registrys_own_words_are_found() {
        assert_eq!(message_in(r#"{"errors":[{"code":"DENIED","message":"no rights"}]}"#), "no rights");
        assert_eq!(message_in("plain\n"), "plain");
        assert_eq!(message_in(r#"{"errors":[{"message":"a\u001b[2Jb"},{"code":"C\n"}]}"#), "a [2Jb, C ");
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(5000));
        assert_eq!(message_in(&long).len(), 1000);
    }
}
