//! Where the update tool keeps its own files.

use std::path::PathBuf;

use tokio::process::Command;

use crate::stragglers;
use crate::workspace::Workspace;

/// Where the tool keeps its downloads, its backups and what it needs to revert.
#[derive(Debug)]
pub enum ToolPlace<'a> {
    /// In a workspace, which it takes for the user's home.
    Workspace(&'a Workspace),
    /// In the user's own home. The text marks what the tool starts.
    User(String),
}

/// Known by it are processes of a tool that works in the user's own home.
const MARK_VARIABLE: &str = "UPDATE_TOOL_RUN";

impl ToolPlace<'_> {
    /// In the user's own home.
    pub fn user() -> Self {
        Self::User(uuid::Uuid::now_v7().to_string())
    }

    /// Lets a command find it.
    pub(super) fn set(&self, command: &mut Command) {
        match self {
            Self::Workspace(workspace) => {
                for name in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
                    command.env_remove(name);
                }
                command.env("HOME", workspace.home()).env("TMPDIR", workspace.temporary());
            }
            Self::User(mark) => drop(command.env(MARK_VARIABLE, mark)),
        }
    }

    /// The folder that it keeps things in.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::Workspace(workspace) => workspace.home(),
            Self::User(_) => std::env::var_os("HOME").unwrap_or_default().into(),
        }
    }

    /// Ends what the tool has left running.
    pub(super) fn end_stragglers(&self) {
        match self {
            Self::Workspace(workspace) => stragglers::end(workspace.path()),
            Self::User(mark) => stragglers::end_marked(MARK_VARIABLE, mark),
        }
    }
}
