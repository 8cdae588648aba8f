//! Turns what a builder was told into a zip: only here are files written and the tool is fetched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{CONFIG_JSON, PackBuilder};
use crate::archive::{Archive, Entries, Entry, Time};
use crate::behaviour::ToolBehaviour;
use crate::config_json::{self, fresh_config};
use crate::executable::executable;
use crate::machine::tool_file_name;
use crate::setup_script::{self, SetupScript};
use crate::trailer;

/// When everything in a pack was last changed.
const TIME: Time = (2022, 3, 28, 10, 20, 30);

impl PackBuilder {
    pub(super) fn try_write_to(mut self, dir: &Path) -> Result<PathBuf> {
        fs::create_dir_all(dir)?;
        let path = dir.join(self.zip_name());
        if let Some(generation) = self.config {
            let level = self.level.map_or("-1".to_owned(), |level| level.to_string());
            let config = fresh_config(generation, &self.product, &self.version, &level);
            self.put(CONFIG_JSON, Entry::file(config_json::to_text(&config), 0o644));
        }
        self.add_tool(&path)?;
        self.set_modes();

        let mut archive = Archive::create(&path, TIME, self.made_on)?;
        archive.add_all(&format!("{}/", self.top_folder), &self.entries)?;
        if let Some(second) = &self.second_top_folder {
            let readme = Entries::from([("README.txt".to_owned(), Entry::file("second", 0o644))]);
            archive.add_all(&format!("{second}/"), &readme)?;
        }
        for (name, bytes) in &self.raw_entries {
            archive.add_raw(name, bytes)?;
        }
        archive.finish()?;
        Ok(path)
    }

    fn zip_name(&self) -> String {
        match (&self.file_name, self.level) {
            (Some(name), _) => name.clone(),
            (None, Some(level)) => format!("{}-{}.{level}.zip", self.product, self.version),
            (None, None) => format!("{}-{}.zip", self.product, self.version),
        }
    }

    fn add_tool(&mut self, pack: &Path) -> Result<()> {
        let server = std::path::absolute(pack)?.with_extension("download");
        if let Some(script) = self.setup_script {
            self.put(setup_script::PATH, Entry::file(script.text(&server), 0o755));
        }
        let Some(behaviour) = &self.tool else {
            return Ok(());
        };
        let mode = if self.tool_run_bit { 0o755 } else { 0o644 };
        match self.setup_script {
            None => {
                let tool = self.tool_bytes(behaviour)?;
                let path = format!("bin/{}", tool_file_name());
                self.put(&path, Entry::file(tool, mode));
            }
            Some(SetupScript::Works) => {
                let path = server.join(tool_file_name());
                fs::create_dir_all(&server)?;
                fs::write(&path, self.tool_bytes(behaviour)?)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            }
            Some(SetupScript::Fails | SetupScript::LeavesNothing) => {}
        }
        Ok(())
    }

    fn tool_bytes(&self, behaviour: &ToolBehaviour) -> Result<Vec<u8>> {
        let path = match &self.tool_executable {
            Some(path) => path,
            None => executable(),
        };
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut behaviour = behaviour.clone();
        if let Some(level) = self.level {
            behaviour.level = level.to_string();
        }
        Ok(trailer::append(bytes, &behaviour))
    }

    fn set_modes(&mut self) {
        for (path, wanted) in &self.modes {
            match self.entries.get_mut(path) {
                Some(Entry::File { mode, .. }) => *mode = *wanted,
                _ => panic!("the pack has no file {path} to give a mode"),
            }
        }
    }
}
