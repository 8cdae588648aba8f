//! `hotfix state`: what an installation is, where it stands, and what in it is its user's own.

use std::fmt;
use std::path::PathBuf;

use bytesize::ByteSize;
use serde::Serialize;

use super::folders::{FOLDERS, Folder, Wishes, look_at};
use super::{Installation, Server};
use crate::pack::{ProductPack, printable};
use crate::step::Problem;

/// What is known of an installation.
#[derive(Debug, Clone, Serialize)]
pub struct State {
    /// Its folder.
    pub home: PathBuf,
    /// `wso2am`.
    pub product: String,
    /// `4.1.0`.
    pub version: String,
    /// None where the update tool never ran.
    pub update_level: Option<u32>,
    /// How many hotfixes are applied.
    pub hotfixes: usize,
    /// What the update tool says of its version; none where it says nothing.
    pub update_tool: Option<String>,
    /// The server that runs from it.
    pub server: Option<Server>,
    /// Where users keep data.
    pub folders: Vec<FolderState>,
    /// Whether what is in the folders was compared with a pack.
    pub compared: bool,
    /// What was begun with it and is not finished.
    pub unfinished: Option<String>,
}

/// What is in one of the folders.
#[derive(Debug, Clone, Serialize)]
pub struct FolderState {
    /// From the product's folder.
    pub folder: String,
    /// Files and links; with a pack, those that are not as in it.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files of the pack that are gone.
    pub removed: usize,
    /// Whether `hotfix backup` would take it.
    pub to_be_backed_up: bool,
    /// Why, or why not.
    pub reason: String,
}

impl State {
    /// Of `installation`, compared with a pack where one is given; `update_tool` is what the update tool says of its version.
    ///
    /// # Errors
    /// Where something cannot be read.
    pub fn of(
        installation: &Installation,
        pack: Option<&ProductPack>,
        update_tool: Option<String>,
    ) -> Result<Self, Problem> {
        let standing = installation.standing()?;
        let folders = look_at(installation, pack, &Wishes::default())?;
        let state = |folder: &Folder| FolderState {
            folder: folder.decision.folder.clone(),
            files: folder.files(),
            bytes: folder.bytes(),
            removed: folder.removed.len(),
            to_be_backed_up: folder.decision.taken,
            reason: folder.decision.reason.clone(),
        };
        Ok(Self {
            home: installation.home.clone(),
            product: installation.product.clone(),
            version: installation.version.clone(),
            update_level: standing.update_level,
            hotfixes: standing.hotfixes,
            update_tool,
            server: installation.server()?,
            folders: folders.iter().map(state).collect(),
            compared: pack.is_some(),
            unfinished: None,
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.update_level.map_or("an unknown update level".to_owned(), |l| format!("update level {l}"));
        writeln!(f, "product   {} {} at {level}", self.product, self.version)?;
        writeln!(f, "home      {}", self.home.display())?;
        match self.hotfixes {
            0 => writeln!(f, "hotfixes  none")?,
            count => writeln!(f, "hotfixes  {count} applied")?,
        }
        writeln!(f, "tool      {}", self.update_tool.as_deref().map_or("unknown".to_owned(), printable))?;
        match &self.server {
            Some(Server { pid }) => writeln!(f, "server    runs, process {pid}")?,
            None => writeln!(f, "server    does not run")?,
        }
        if let Some(unfinished) = &self.unfinished {
            writeln!(f, "open      {unfinished}")?;
        }
        let own = if self.compared { "not as in the pack" } else { "files" };
        let width = FOLDERS.iter().map(|folder| folder.len()).max().unwrap_or_default();
        for (position, folder) in self.folders.iter().enumerate() {
            let title = if position == 0 { "data" } else { "" };
            let FolderState { folder, files, bytes, removed, .. } = folder;
            let gone = if *removed > 0 { format!(", {removed} gone") } else { String::new() };
            writeln!(f, "{title:<10}{folder:<width$}  {files} {own} ({}){gone}", ByteSize(*bytes))?;
        }
        Ok(())
    }
}
