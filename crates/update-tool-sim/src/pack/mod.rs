//! Product packs: a small one with a bit of everything by default, or one of the full shape and size.

mod content;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::archive::{Content, Entries, Entry, MadeOn, usual_mode};
use crate::behaviour::ToolBehaviour;
use crate::config_json::ConfigGeneration;
use crate::listing::Listing;
use crate::setup_script::SetupScript;

const PRODUCT_TXT: &str = "updates/product.txt";
const CONFIG_JSON: &str = "updates/config.json";

/// Builds a product pack. All paths are within the product, without the top folder.
///
/// ```no_run
/// use update_tool_sim::{PackBuilder, ToolBehaviour};
///
/// let pack = PackBuilder::new("wso2am", "4.1.0")
///     .level(10)
///     .tool(ToolBehaviour { self_updates: 1, ..ToolBehaviour::default() })
///     .without("bin/README.txt")
///     .write_to("/tmp/packs"); // wso2am-4.1.0.10.zip
/// ```
#[derive(Debug, Clone)]
pub struct PackBuilder {
    product: String,
    version: String,
    level: Option<u32>,
    file_name: Option<String>,
    top_folder: String,
    second_top_folder: Option<String>,
    entries: Entries,
    modes: BTreeMap<String, u32>,
    raw_entries: Vec<(String, Vec<u8>)>,
    config: Option<ConfigGeneration>,
    made_on: MadeOn,
    tool: Option<ToolBehaviour>,
    tool_executable: Option<PathBuf>,
    tool_run_bit: bool,
    setup_script: Option<SetupScript>,
}

impl PackBuilder {
    /// A small pack, at no update level, with a well-behaved tool that lacks the run bit.
    #[must_use]
    pub fn new(product: &str, version: &str) -> Self {
        let mut pack = Self {
            product: product.to_owned(),
            version: version.to_owned(),
            level: None,
            file_name: None,
            top_folder: format!("{product}-{version}"),
            second_top_folder: None,
            entries: content::small(),
            modes: BTreeMap::new(),
            raw_entries: Vec::new(),
            config: None,
            made_on: MadeOn::Unix,
            tool: Some(ToolBehaviour::default()),
            tool_executable: None,
            tool_run_bit: false,
            setup_script: None,
        };
        pack.add_product_txt();
        pack
    }

    fn add_product_txt(&mut self) {
        // Without a newline, as real ones often are.
        let text = format!("{}-{}", self.product, self.version);
        self.put(PRODUCT_TXT, Entry::file(text, 0o644));
    }

    fn put(&mut self, path: &str, entry: Entry) {
        self.entries.insert(path.to_owned(), entry);
    }

    /// The update level: part of the file name, and what the tool takes the product to be at.
    #[must_use]
    pub fn level(mut self, level: u32) -> Self {
        self.level = Some(level);
        self
    }

    /// Everything that a real pack has, and nothing of the small one. What was added before is gone. A pack that
    /// has an `updates/config.json` gets one that a tool can read, at the level of this pack; its size differs.
    #[must_use]
    pub fn listing(mut self, listing: Listing) -> Self {
        self.entries = content::full(listing);
        self.config = self.entries.remove(CONFIG_JSON).map(|_| ConfigGeneration::Service);
        self.add_product_txt();
        self
    }

    /// Adds so many more bytes: three quarters in jars, the rest in web files.
    #[must_use]
    pub fn filler(mut self, total_bytes: u64) -> Self {
        content::add_filler(&mut self.entries, total_bytes);
        self
    }

    /// Adds or replaces a file.
    #[must_use]
    pub fn file(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.file_with_mode(path, bytes, usual_mode(path))
    }

    /// Adds or replaces a file, with that mode.
    #[must_use]
    pub fn file_with_mode(mut self, path: &str, bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.put(path, Entry::file(bytes, mode));
        self
    }

    /// Gives a file that mode, whoever adds it.
    #[must_use]
    pub fn mode(mut self, path: &str, mode: u32) -> Self {
        self.modes.insert(path.to_owned(), mode);
        self
    }

    /// Adds a directory with nothing in it.
    #[must_use]
    pub fn empty_dir(mut self, path: &str) -> Self {
        self.put(path, Entry::EmptyDir);
        self
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(mut self, path: &str, target: &str) -> Self {
        let target = target.to_owned();
        self.put(path, Entry::Symlink { target });
        self
    }

    /// Leaves a file out.
    ///
    /// # Panics
    /// Where the pack has no such file, so that a test does not leave out what is not there.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        let config = self.config.take_if(|_| path == CONFIG_JSON);
        let removed = self.entries.remove(path);
        assert!(removed.is_some() || config.is_some(), "the pack has no {path} to leave out");
        self
    }

    /// Adds a file of that very name, which may lead anywhere: it is not put below the top folder.
    #[must_use]
    pub fn raw_entry(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.raw_entries.push((name.to_owned(), bytes.into()));
        self
    }

    /// What `updates/product.txt` says; `None` leaves it out.
    #[must_use]
    pub fn product_txt(mut self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.put(PRODUCT_TXT, Entry::file(text, 0o644)),
            None => drop(self.entries.remove(PRODUCT_TXT)),
        }
        self
    }

    /// Adds `updates/config.json` with that text.
    #[must_use]
    pub fn config_json(mut self, text: &str) -> Self {
        self.config = None;
        self.file(CONFIG_JSON, text)
    }

    /// Adds `updates/config.json` of that generation and of the pack's level, with nobody logged in.
    #[must_use]
    pub fn config(mut self, generation: ConfigGeneration) -> Self {
        self.config = Some(generation);
        self
    }

    /// The name of the top folder, in place of `<product>-<version>`.
    #[must_use]
    pub fn top_folder(mut self, name: &str) -> Self {
        self.top_folder = name.to_owned();
        self
    }

    /// Adds a second top folder, with a file in it.
    #[must_use]
    pub fn second_top_folder(mut self, name: &str) -> Self {
        self.second_top_folder = Some(name.to_owned());
        self
    }

    /// How the tool behaves. [`Self::level`], where given, overrides its level.
    #[must_use]
    pub fn tool(mut self, behaviour: ToolBehaviour) -> Self {
        self.tool = Some(behaviour);
        self
    }

    /// Whether the tool has the run bit.
    #[must_use]
    pub fn tool_run_bit(mut self, run_bit: bool) -> Self {
        self.tool_run_bit = run_bit;
        self
    }

    /// Neither a tool nor anything to fetch one.
    #[must_use]
    pub fn without_tool(mut self) -> Self {
        self.tool = None;
        self
    }

    /// A setup script in place of the tool. The tool goes to the folder `<name of the pack>.download` next to the
    /// pack, which plays the server; the script names it by its absolute path.
    #[must_use]
    pub fn setup_script(mut self, script: SetupScript) -> Self {
        self.setup_script = Some(script);
        self
    }

    /// The executable that is the tool, in place of [`crate::executable()`]; it must call [`crate::tool::main`] when
    /// [`crate::tool::is_tool`] says so.
    #[must_use]
    pub fn tool_executable(mut self, path: impl Into<PathBuf>) -> Self {
        self.tool_executable = Some(path.into());
        self
    }

    /// Entries without unix modes, as tools on Windows write them.
    #[must_use]
    pub fn made_on_dos(mut self) -> Self {
        self.made_on = MadeOn::Dos;
        self
    }

    /// The name of the zip, in place of `<product>-<version>[.<level>].zip`.
    #[must_use]
    pub fn file_name(mut self, name: &str) -> Self {
        self.file_name = Some(name.to_owned());
        self
    }

    /// Writes the pack into a folder, which is created, and returns its path.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn write_to(self, dir: impl AsRef<Path>) -> PathBuf {
        let dir = dir.as_ref();
        self.try_write_to(dir).unwrap_or_else(|error| panic!("cannot write a pack to {}: {error:#}", dir.display()))
    }

    /// The bytes of a file that the pack will have; what the tool, the setup script and [`Self::config`] add is
    /// not there before the pack is written.
    ///
    /// # Panics
    /// Where the pack has no such file.
    #[must_use]
    pub fn content_of(&self, path: &str) -> Vec<u8> {
        match self.entries.get(path) {
            Some(Entry::File { content, .. }) => match content {
                Content::Bytes(bytes) => bytes.clone(),
                Content::Filler { path, size } => {
                    crate::filler::content(path, usize::try_from(*size).expect("fits in memory"))
                }
            },
            _ => panic!("the pack has no file {path}"),
        }
    }
}
