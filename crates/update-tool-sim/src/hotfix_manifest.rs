//! `hotfix.json`, in the stand-in's own format: what is in the vendor's is not known.
//!
//! ```json
//! {
//!   "product": "wso2am", "version": "4.1.0", "update-level": "10", "number": 1,
//!   "deletes": ["repository/components/plugins/a_1.0.0.jar"],
//!   "patches": [{ "file": "repository/conf/log4j2.properties", "find": "INFO", "replace": "WARN" }],
//!   "behave": "apply"
//! }
//! ```
//!
//! The files that a hotfix adds or replaces are the entries of its zip below `files/`.

use serde::{Deserialize, Serialize};

/// Where the manifest is in a hotfix.
pub(crate) const PATH: &str = "hotfix.json";
/// Below which the files to add or replace are.
pub(crate) const FILES: &str = "files/";

/// The content of `hotfix.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HotfixManifest {
    /// The product that the hotfix is for.
    pub product: String,
    /// The version that the hotfix is for.
    pub version: String,
    /// The update level that the hotfix is for.
    pub update_level: String,
    /// Its number in the sequence, from 1.
    pub number: u32,
    /// Paths of files to delete.
    #[serde(default)]
    pub deletes: Vec<String>,
    /// Texts to replace in files.
    #[serde(default)]
    pub patches: Vec<TextPatch>,
    /// What applying it comes to.
    #[serde(default)]
    pub behave: Behave,
}

/// A text to replace in a file; every occurrence is, none is a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextPatch {
    /// Path of the file within the product.
    pub file: String,
    /// What must be there.
    pub find: String,
    /// What is there afterwards.
    pub replace: String,
}

/// What applying a hotfix comes to. All but the two `Nothing`s change the files first, as a real tool that stops
/// in the middle may have done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behave {
    /// It is applied and recorded: exit 0.
    #[default]
    Apply,
    /// Files are changed, then exit 1.
    Error,
    /// Files are changed, then exit 3.
    Conflict,
    /// Files are changed and changed back, then exit 4.
    Reverted,
    /// Files are changed, then nothing ends within an hour.
    Hang,
    /// The same, ignoring INT, HUP and TERM.
    HangIgnoringTerm,
    /// Exit 0, but only user, tokens and log have changed.
    Nothing,
    /// Exit 0, but not even these have changed.
    NothingAtAll,
    /// Applied; leaves a sleeping child behind, in the same session and process group.
    Fork,
    /// Applied; leaves a sleeping child behind, in the same session but in a process group of its own.
    ForkOwnGroup,
}
