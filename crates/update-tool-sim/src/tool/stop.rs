//! Why the tool ends with something else than 0.

use std::fmt;

/// Why a run ends early; each has an exit code that the vendor documents, but for the last.
#[derive(Debug)]
pub(super) enum Stop {
    Error(anyhow::Error),
    SelfUpdated(String),
    Conflict(String),
    Reverted(String),
    Code(u8),
}

impl Stop {
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Error(_) => 1,
            Self::SelfUpdated(_) => 2,
            Self::Conflict(_) => 3,
            Self::Reverted(_) => 4,
            Self::Code(code) => *code,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => write!(f, "error: {error:#}"),
            Self::SelfUpdated(message) => write!(f, "{message}"),
            Self::Conflict(message) => write!(f, "conflict: {message}"),
            Self::Reverted(message) => write!(f, "reverted: {message}"),
            Self::Code(code) => write!(f, "exit code {code}"),
        }
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Error(error)
    }
}
