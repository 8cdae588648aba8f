//! Connections to an engine, one a request, whatever the way: a socket, a port, TLS, ssh.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error as DockerError;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use http::{HeaderValue, Response, Uri, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::bounded::{Bounded, limit_of};
use crate::endpoint::{Endpoint, Route, SshTarget};
use crate::ssh::{self, SshFailure};
use crate::{Error, Result, tls};

const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// This limit is on the wait for an answer's head, which for a load comes after the last byte was taken. The caller
/// bounds the whole.
const WORK_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A connection to an engine.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A [`Route`] with its files read.
pub(crate) enum Dialer {
    Unix(std::path::PathBuf),
    Tcp { host: String, port: u16, tls: Option<TlsConnector> },
    Ssh(SshTarget),
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}

/// A client of the engine at `endpoint`, which has answered, and what its connections are made with.
///
/// # Errors
/// `Error::Engine…`, for each way in which it does not.
pub(crate) async fn connect(endpoint: &Endpoint) -> Result<(Docker, Arc<Dialer>)> {
    let dialer = Arc::new(Dialer::new(endpoint)?);
    let for_requests = Arc::clone(&dialer);
    let host = dialer.host_header();
    let send = move |request| {
        let (dialer, host) = (Arc::clone(&for_requests), host.clone());
        async move { dialer.send(request, host).await }
    };
    let answer = async {
        let docker = Docker::connect_with_custom_transport(
            send,
            Some("http://engine"),
            WORK_LIMIT.as_secs(),
            API_DEFAULT_VERSION,
        )?;
        docker.ping().await.map(|_| docker)
    };
    match tokio::time::timeout(ANSWER_LIMIT, answer).await {
        Ok(answer) => answer.map(|docker| (docker, dialer)).map_err(|error| failure(endpoint, error)),
        Err(_) => Err(Error::EngineSilent { endpoint: endpoint.address.clone(), seconds: ANSWER_LIMIT.as_secs() }),
    }
}

impl Dialer {
    fn new(endpoint: &Endpoint) -> Result<Self> {
        Ok(match &endpoint.route {
            Route::Unix(path) => Self::Unix(path.clone()),
            Route::Ssh(target) => Self::Ssh(target.clone()),
            Route::Tcp { host, port, tls } => {
                let unusable = |reason| Error::EngineTls { endpoint: endpoint.address.clone(), reason };
                let config = tls.as_ref().map(tls::client_config).transpose().map_err(unusable)?;
                let tls = config.map(|config| TlsConnector::from(Arc::new(config)));
                Self::Tcp { host: host.clone(), port: *port, tls }
            }
        })
    }

    fn host_header(&self) -> HeaderValue {
        let host = match self {
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
            Self::Unix(_) | Self::Ssh(_) => "localhost".to_owned(),
        };
        HeaderValue::try_from(host).unwrap_or_else(|_| HeaderValue::from_static("localhost"))
    }

    /// A new connection.
    pub(crate) async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Self::Ssh(target) => Ok(Box::new(ssh::connect(target)?)),
            Self::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                let Some(tls) = tls else { return Ok(Box::new(stream)) };
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                Ok(Box::new(tls.connect(name, stream).await?))
            }
        }
    }

    /// Sends `request` over a connection of its own, so that none is ever found closed by the other side.
    async fn send(
        &self,
        mut request: BollardRequest,
        host: HeaderValue,
    ) -> std::result::Result<Response<Incoming>, DockerError> {
        let stream = Bounded::new(self.dial().await?, limit_of(&request));
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse::<Uri>()?;
        request.headers_mut().insert(header::HOST, host);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the answer, or when nobody wants it any more.
        let connection = tokio::spawn(connection.with_upgrades());
        match sender.send_request(request).await {
            // The other side was quicker: what it said is known to the connection only.
            Err(error) if error.is_canceled() => match connection.await {
                Ok(Err(cause)) => Err(cause.into()),
                _ => Err(error.into()),
            },
            answer => Ok(answer?),
        }
    }
}

/// What kept `endpoint` from answering.
fn failure(endpoint: &Endpoint, source: DockerError) -> Error {
    let said = said_by(&source);
    let has_tls = matches!(&endpoint.route, Route::Tcp { tls: Some(_), .. });
    let wants_tls =
        matches!(&source, DockerError::DockerResponseServerError { message, .. } if message.contains("HTTPS server"));
    let reason = match cause::<rustls::Error>(said) {
        Some(error) => Some(tls_reason(error)),
        None if wants_tls => Some("the engine wants TLS".to_owned()),
        None if has_tls && is_cut(said) => Some("the engine cut the connection".to_owned()),
        None => None,
    };
    let endpoint = endpoint.address.clone();
    if let Some(reason) = reason {
        return Error::EngineTls { endpoint, reason };
    }
    if let Some(SshFailure(words)) = cause(said) {
        return Error::EngineSsh { endpoint, said: words.clone() };
    }
    match cause::<io::Error>(said).map(io::Error::kind) {
        Some(io::ErrorKind::PermissionDenied) => Error::EngineForbidden { endpoint, source },
        _ => Error::EngineUnreachable { endpoint, source },
    }
}

/// What the client wraps so that it is none of the causes of its own error.
fn said_by(error: &DockerError) -> &(dyn StdError + 'static) {
    match error {
        DockerError::IOError { err } => err,
        DockerError::HyperResponseError { err } => err,
        other => other,
    }
}

fn tls_reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => format!("its certificate is not believed ({why})"),
        rustls::Error::AlertReceived(why) => format!("the engine refused our certificate ({why:?})"),
        rustls::Error::InvalidMessage(_) => "what is there does not speak TLS".to_owned(),
        other => other.to_string(),
    }
}

fn is_cut(error: &(dyn StdError + 'static)) -> bool {
    let kind = cause::<io::Error>(error).map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof))
        || cause::<hyper::Error>(error).is_some_and(|error| error.is_incomplete_message() || error.is_canceled())
}

/// The first `T` in the chain of causes. What an [`io::Error`] carries is none of its causes, so it is looked into.
fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let carried = carried.and_then(|carried| cause::<T>(carried));
        if let Some(found) = error.downcast_ref::<T>().or(carried) {
            return Some(found);
        }
        next = error.source();
    }
    None
}
