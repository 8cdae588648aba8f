//! Hotfixes: zips for one product, version and update level, with a number.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::archive::{Archive, Entries, Entry, MadeOn, Time, usual_mode};
use crate::hotfix_manifest::{Behave, FILES, HotfixManifest, PATH, TextPatch};

/// When everything in a hotfix was last changed: not when everything in a pack was.
const TIME: Time = (2024, 6, 12, 8, 9, 10);

/// Builds a hotfix. All paths are within the product.
///
/// ```no_run
/// use update_tool_sim::{Behave, HotfixBuilder};
///
/// let hotfix = HotfixBuilder::new("wso2am", "4.1.0", 10, 1)
///     .rename_jar("lib/a_1.0.0.jar", "lib/a_1.0.0.1.jar", "new bytes")
///     .behave(Behave::Conflict)
///     .write_to("/tmp/hotfixes"); // wso2am-4.1.0.10-hf-1.zip
/// ```
#[derive(Debug, Clone)]
pub struct HotfixBuilder {
    manifest: HotfixManifest,
    with_manifest: bool,
    files: Entries,
    name: String,
    made_on: MadeOn,
}

impl HotfixBuilder {
    /// A hotfix that changes nothing yet, named `<product>-<version>.<level>-hf-<number>.zip`.
    #[must_use]
    pub fn new(product: &str, version: &str, level: u32, number: u32) -> Self {
        Self {
            manifest: HotfixManifest {
                product: product.to_owned(),
                version: version.to_owned(),
                update_level: level.to_string(),
                number,
                deletes: Vec::new(),
                patches: Vec::new(),
                behave: Behave::Apply,
            },
            with_manifest: true,
            files: Entries::new(),
            name: format!("{product}-{version}.{level}-hf-{number}.zip"),
            made_on: MadeOn::Unix,
        }
    }

    /// Replaces a file.
    #[must_use]
    pub fn replace(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.file_with_mode(path, bytes, usual_mode(path))
    }

    /// Adds a file, and the folders that it needs.
    #[must_use]
    pub fn add(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.file_with_mode(path, bytes, usual_mode(path))
    }

    /// Adds or replaces a file, with that mode.
    #[must_use]
    pub fn file_with_mode(mut self, path: &str, bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.files.insert(path.to_owned(), Entry::file(bytes, mode));
        self
    }

    /// Deletes a file.
    #[must_use]
    pub fn delete(mut self, path: &str) -> Self {
        self.manifest.deletes.push(path.to_owned());
        self
    }

    /// Replaces a jar by one of another file name, as hotfixes often do.
    #[must_use]
    pub fn rename_jar(self, old: &str, new: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.delete(old).add(new, bytes)
    }

    /// Replaces every occurrence of a text in a file; where there is none, that is a conflict.
    #[must_use]
    pub fn patch_text(mut self, path: &str, find: &str, replace: &str) -> Self {
        self.manifest.patches.push(TextPatch {
            file: path.to_owned(),
            find: find.to_owned(),
            replace: replace.to_owned(),
        });
        self
    }

    /// What applying it comes to.
    #[must_use]
    pub fn behave(mut self, behave: Behave) -> Self {
        self.manifest.behave = behave;
        self
    }

    /// The file name, whatever it says; what `hotfix.json` says stays as it is.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// The other documented spelling of the file name: `…-hf<number>.zip`.
    #[must_use]
    pub fn spelling_without_dash(mut self) -> Self {
        self.name = self.name.replace("-hf-", "-hf");
        self
    }

    /// Leaves `hotfix.json` out.
    #[must_use]
    pub fn without_hotfix_json(mut self) -> Self {
        self.with_manifest = false;
        self
    }

    /// Entries without unix modes, as tools on Windows write them.
    #[must_use]
    pub fn made_on_dos(mut self) -> Self {
        self.made_on = MadeOn::Dos;
        self
    }

    /// Writes the hotfix into a folder, which is created, and returns its path.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn write_to(self, dir: impl AsRef<Path>) -> PathBuf {
        let dir = dir.as_ref();
        self.try_write_to(dir).unwrap_or_else(|error| panic!("cannot write a hotfix to {}: {error:#}", dir.display()))
    }

    fn try_write_to(self, dir: &Path) -> Result<PathBuf> {
        fs::create_dir_all(dir)?;
        let path = dir.join(&self.name);
        let mut archive = Archive::create(&path, TIME, self.made_on)?;
        if self.with_manifest {
            let json = serde_json::to_vec_pretty(&self.manifest)?;
            let manifest = Entries::from([(PATH.to_owned(), Entry::file(json, 0o644))]);
            archive.add_all("", &manifest)?;
        }
        archive.add_all(FILES, &self.files)?;
        archive.finish()?;
        Ok(path)
    }
}
