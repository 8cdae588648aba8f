//! What can go wrong, and what to do next.

use std::error::Error as _;
use std::path::PathBuf;

/// Exit code of a condition that does not hold.
const CONDITION: u8 = 11;
/// Exit code of settings and arguments that cannot be understood.
const USAGE: u8 = 2;
/// Exit code of an input that is not there or not as it must be.
const INPUT: u8 = 4;
/// Exit code of a registry that does not do what it must.
const REGISTRY: u8 = 9;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting or an argument.
    #[error("{place}: {message}")]
    Setting {
        /// `environments.toml:3:1`, or `command line`.
        place: String,
        /// What is wrong with it.
        message: String,
        /// What to do next.
        hint: String,
    },
    /// A condition that does not hold.
    #[error("{message}")]
    Condition {
        /// Which.
        message: String,
        /// What to do next.
        hint: String,
    },
    /// An image, or something else that is not as it must be.
    #[error("{message}")]
    Input {
        /// What, and why.
        message: String,
        /// What to do next.
        hint: String,
    },
    /// A file.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, such as `read`.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A registry.
    #[error("cannot {action}")]
    Registry {
        /// What was tried.
        action: String,
        /// What the registry said.
        source: hotfix_docker::Error,
    },
}

/// Or what went wrong.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The exit code of a command that ends with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Setting { .. } => USAGE,
            Self::Condition { .. } => CONDITION,
            Self::Input { .. } | Self::File { .. } => INPUT,
            Self::Registry { .. } => REGISTRY,
        }
    }

    /// Message and causes.
    pub fn chain(&self) -> Vec<String> {
        let mut lines = vec![self.to_string()];
        let mut source = self.source();
        while let Some(cause) = source {
            lines.push(cause.to_string());
            source = cause.source();
        }
        lines
    }

    /// What to do next.
    pub fn hint(&self) -> &str {
        match self {
            Self::Setting { hint, .. } | Self::Condition { hint, .. } | Self::Input { hint, .. } => hint,
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::InvalidData => {
                "it must be text, in UTF-8"
            }
            Self::File { .. } => "check that it is there and that you may use it",
            Self::Registry { .. } => "check the name, the network and 'docker login'",
        }
    }

    /// For `map_err` on what a registry does.
    pub(crate) fn registry(action: impl Into<String>) -> impl FnOnce(hotfix_docker::Error) -> Self {
        let action = action.into();
        move |source| Self::Registry { action, source }
    }

    /// For `map_err` on what is done with a file.
    pub(crate) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}
