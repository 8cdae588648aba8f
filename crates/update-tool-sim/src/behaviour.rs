//! How the stand-in behaves: told by whoever builds the pack, carried by the executable itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config_json::ConfigGeneration;

/// How the stand-in behaves. The default is a well-behaved tool that does not update itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolBehaviour {
    /// What `version` prints. Each self-update raises the last number.
    pub version: String,
    /// The update level of the product, for a pack that has no `updates/config.json` yet; `-1`: no update taken.
    pub level: String,
    /// Overrides the `update-level` that is written to `updates/config.json` and compared with hotfixes.
    pub level_reported: Option<String>,
    /// How many times it still replaces its own executable and exits 2; `u32::MAX`: for ever.
    pub self_updates: u32,
    /// The replacing executable lacks the run bit.
    pub self_update_loses_run_bit: bool,
    /// Updates itself on `apply-hotfix`, and only there.
    pub self_update_on_apply: bool,
    /// Updates itself on `create-docker`, and only there.
    pub self_update_on_create_docker: bool,
    /// Reads `UPDATE_TOOL_USERNAME` and `UPDATE_TOOL_PASSWORD`; tools before 2026 know flags and prompt only.
    pub reads_environment: bool,
    /// The user name and password that are right; `None`: any that are not empty.
    pub accepts: Option<(String, String)>,
    /// The generation of the `updates/config.json` that it creates.
    pub config: ConfigGeneration,
    /// What goes wrong in `current-state`.
    pub on_current_state: Fault,
    /// What goes wrong in every `apply-hotfix`, before anything of the hotfix is applied. For one hotfix only, and
    /// in the middle of it, see [`crate::Behave`].
    pub on_apply_hotfix: Fault,
    /// What goes wrong in `revert-hotfix`.
    pub on_revert_hotfix: Fault,
    /// What goes wrong in `create-docker`.
    pub on_create_docker: Fault,
    /// What goes wrong in an update, before anything of it is there.
    pub on_update: Fault,
    /// The updates that it knows of, the lowest level first.
    pub updates: Vec<Update>,
    /// Copies the whole product below `$HOME/.wso2-updates` at each `apply-hotfix`, as the vendor's tool does.
    pub backup: bool,
    /// Leaves a sleeping child behind, which holds stdout and stderr open, at every command that authenticates.
    /// Its process id goes to `$HOME/.wso2-updates/left-behind.pids`.
    pub spawn_grandchild: bool,
    /// Prints the password and the tokens, on stdout and on stderr.
    pub loud: bool,
    /// Sleeps that many milliseconds at the start of each command.
    pub slow_ms: u64,
    /// A file, absolute, to which each run appends a line about how it was called; read it with [`crate::calls`].
    pub journal: Option<PathBuf>,
}

impl Default for ToolBehaviour {
    fn default() -> Self {
        Self {
            version: "1.7.20".to_owned(),
            level: "-1".to_owned(),
            level_reported: None,
            self_updates: 0,
            self_update_loses_run_bit: false,
            self_update_on_apply: false,
            self_update_on_create_docker: false,
            reads_environment: true,
            accepts: None,
            config: ConfigGeneration::default(),
            on_current_state: Fault::None,
            on_apply_hotfix: Fault::None,
            on_revert_hotfix: Fault::None,
            on_create_docker: Fault::None,
            on_update: Fault::None,
            updates: Vec::new(),
            backup: true,
            spawn_grandchild: false,
            loud: false,
            slow_ms: 0,
            journal: None,
        }
    }
}

/// What brings a product to an update level from the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// The level.
    pub level: u32,
    /// Files that it changes.
    pub files: Vec<FileUpdate>,
}

/// What an update does to one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUpdate {
    /// The file, from the product's folder.
    pub path: String,
    /// What is in it before; `None`: there is no such file. Where it is something else, somebody has changed it.
    pub from: Option<String>,
    /// What is in it afterwards; `None`: it is deleted.
    pub to: Option<String>,
}

impl Update {
    /// To this level, by changing nothing but the level.
    #[must_use]
    pub fn to(level: u32) -> Self {
        Self { level, files: Vec::new() }
    }

    /// Changes a text, adds it (`from` is none), or deletes it (`to` is none).
    #[must_use]
    pub fn file(mut self, path: &str, from: Option<&str>, to: Option<&str>) -> Self {
        let (path, from, to) = (path.to_owned(), from.map(str::to_owned), to.map(str::to_owned));
        self.files.push(FileUpdate { path, from, to });
        self
    }
}

/// What goes wrong in a command, after it has authenticated and written configuration and log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Exits 1.
    Error,
    /// Exits 3.
    Conflict,
    /// Exits 4.
    Reverted,
    /// Exits 2 without having replaced itself.
    SelfUpdateClaimed,
    /// Exits with this code; with 0 it has done nothing and says otherwise.
    ExitCode(u8),
    /// Ends by SIGABRT.
    Abort,
    /// Asks a question on stdout and reads stdin; a closed stdin is exit 1, any answer goes on.
    Prompt,
    /// Does not end within an hour.
    Hang,
    /// Does not end within an hour, and ignores INT, HUP and TERM.
    HangIgnoringTerm,
}
