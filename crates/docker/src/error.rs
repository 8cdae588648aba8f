//! What can go wrong with engines, registries, images and layouts, as far as callers tell it apart.

use std::path::{Path, PathBuf};

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of an engine, a registry, an image or a layout. Sources are kept, never repeated in the text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What `DOCKER_HOST` or a context says is no address of an engine.
    #[error("'{address}' is no address of a Docker engine: {reason}")]
    Endpoint {
        /// The address, without a password.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no Docker context of that name.
    #[error("there is no Docker context '{name}' (there are: {}), and {named_by} names it", known.join(", "))]
    NoSuchContext {
        /// The name.
        name: String,
        /// Which variable or file names it.
        named_by: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// A Docker context cannot be read.
    #[error("the Docker context '{name}' cannot be used: {}: {reason}", path.display())]
    Context {
        /// The name.
        name: String,
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No engine answers.
    #[error("no Docker engine answers at {endpoint}")]
    EngineUnreachable {
        /// Where it was looked for, as in `DOCKER_HOST`.
        endpoint: String,
        /// What the connection said.
        source: bollard::errors::Error,
    },
    /// We have no rights to the engine's socket.
    #[error("we have no rights to the socket of the Docker engine at {endpoint}")]
    EngineForbidden {
        /// Where it is, as in `DOCKER_HOST`.
        endpoint: String,
        /// What the system said.
        source: bollard::errors::Error,
    },
    /// Something is there, but it says nothing.
    #[error("the Docker engine at {endpoint} does not answer within {seconds} s")]
    EngineSilent {
        /// Where it is, as in `DOCKER_HOST`.
        endpoint: String,
        /// How long was waited.
        seconds: u64,
    },
    /// `ssh` does not get there.
    #[error("the Docker engine at {endpoint} is not reached; ssh said: {said}")]
    EngineSsh {
        /// Where it is, as in `DOCKER_HOST`.
        endpoint: String,
        /// The end of what `ssh` said.
        said: String,
    },
    /// One of the two does not believe the other.
    #[error("no TLS connection to the Docker engine at {endpoint}: {reason}")]
    EngineTls {
        /// Where it is, as in `DOCKER_HOST`.
        endpoint: String,
        /// Who does not believe whom, or which file is unusable.
        reason: String,
    },
    /// The image is of another platform than the one asked for.
    #[error("the image {reference} is for {found}, not {wanted}")]
    OtherPlatform {
        /// The reference as it was given.
        reference: String,
        /// What it is for.
        found: String,
        /// What was asked for.
        wanted: String,
        /// Why the one for that platform could not be pulled, where the engine says so.
        source: Option<Box<Self>>,
    },
    /// The engine refused, failed, or went away while it was at work.
    #[error("the Docker engine could not {action}")]
    Engine {
        /// What it was asked to do, after "could not".
        action: String,
        /// What it answered.
        source: bollard::errors::Error,
    },
    /// The engine said yes, but what it holds is not what was sent.
    #[error("the Docker engine did not {action}: {reason}")]
    NotConfirmed {
        /// What it was asked to do, after "did not".
        action: String,
        /// What was found instead.
        reason: String,
    },
    /// Neither the engine nor its registry has the image.
    #[error("there is no image {reference}: the engine has none of that name and could not pull it")]
    NoSuchImage {
        /// The reference as it was given.
        reference: String,
        /// Why pulling failed.
        source: bollard::errors::Error,
    },
    /// The text is no image reference.
    #[error("'{text}' is not an image reference: {reason}")]
    Reference {
        /// The text as it was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry does not answer.
    #[error("the registry {registry} does not answer")]
    RegistryUnreachable {
        /// Host and port of the registry.
        registry: String,
        /// What the connection said.
        source: BoxError,
    },
    /// The registry's certificate is not signed by an authority that is known here.
    #[error("the certificate of the registry {registry} is not trusted")]
    Untrusted {
        /// Host and port of the registry.
        registry: String,
        /// What is wrong with it.
        source: BoxError,
    },
    /// A certificate that the user has put there for a registry cannot be used.
    #[error("the certificate {} cannot be used: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry knows who we are, or does not, and says no.
    #[error("the registry {registry} does not allow {action}: {reason}")]
    Denied {
        /// Host and port of the registry.
        registry: String,
        /// What was asked for, such as `a push to team/app`.
        action: String,
        /// What it answered.
        reason: String,
    },
    /// Any other answer of a registry that is not the one hoped for.
    #[error("the registry {registry} could not {action}")]
    Registry {
        /// Host and port of the registry.
        registry: String,
        /// What it was asked to do, after "could not".
        action: String,
        /// What it answered.
        source: BoxError,
    },
    /// The registry credentials cannot be read.
    #[error("the credentials for {registry} cannot be read: {reason}")]
    Credentials {
        /// Host and port of the registry.
        registry: String,
        /// What the file or the helper said.
        reason: String,
    },
    /// The registry has no such image.
    #[error("the registry {registry} has no image {image}")]
    NotInRegistry {
        /// Host and port of the registry.
        registry: String,
        /// The image as it was looked for.
        image: String,
    },
    /// A folder is no OCI layout, or a damaged one.
    #[error("{} is not a usable OCI layout: {reason}", path.display())]
    Layout {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The caller does not want an image with this in it.
    #[error("the image cannot hold {path}")]
    Refused {
        /// A file, or what else is meant.
        path: String,
        /// Why.
        source: BoxError,
    },
    /// A folder cannot be sent as a build context.
    #[error("{} {reason}", path.display())]
    BuildContext {
        /// The file in question.
        path: PathBuf,
        /// What is wrong with it, after its name.
        reason: String,
    },
    /// A build by a Dockerfile failed.
    #[error("{}{reason}\n{}", instruction.iter().map(|i| format!("{i}: ")).collect::<String>(), last_lines.join("\n"))]
    Build {
        /// The instruction that failed, in the builder's words.
        instruction: Option<String>,
        /// What the builder said of it.
        reason: String,
        /// The last lines of its output.
        last_lines: Vec<String>,
    },
    /// The caller asked to stop.
    #[error("stopped on request")]
    Cancelled,
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, such as `write`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The content of a layer could not be produced.
    #[error("cannot write the image's layers")]
    Layer(#[source] std::io::Error),
}

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a registry has is for other platforms: the source of an [`Error::Registry`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotForPlatform(pub String);

impl Error {
    /// Whether the image is there, but not for the platform that was asked for.
    pub fn is_of_platform(&self) -> bool {
        match self {
            Self::OtherPlatform { .. } => true,
            Self::Registry { source, .. } => source.is::<NotForPlatform>(),
            _ => false,
        }
    }

    /// For `map_err` on a file operation.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// For `map_err` on a request to the engine: a refused connection is told from a refused request.
    pub(crate) fn engine(action: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> Self {
        let action = action.into();
        move |source| Self::Engine { action, source }
    }
}
