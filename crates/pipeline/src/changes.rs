//! What the hotfixes changed in the product: a file touched but equal in content is no change, and neither is what the
//! update tool does to itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use bytesize::ByteSize;
use hotfix_docker::layer::WHITEOUT_PREFIX;
use serde::Serialize;

use crate::checksums::Sha256Digest;
use crate::home::ProductHome;
use crate::pack::{CONFIG_JSON, NodeKind, PRODUCT_TXT, ancestors, printable};
use crate::pristine::Pristine;
use crate::scrub::{Private, scrub};
use crate::step::Problem;
use crate::tree::{self, Kind, Node, Tree};

/// What one hotfix did to the product's files and links; folders come and go with them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Delta {
    /// Paths of files with other content or permissions.
    pub changed: Vec<String>,
    /// Paths of new files.
    pub added: Vec<String>,
    /// Paths of files that are gone.
    pub removed: Vec<String>,
}

impl Delta {
    fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }
}

/// What has happened to the product so far.
#[derive(Debug)]
pub struct Changes {
    home: Arc<ProductHome>,
    pristine: Pristine,
    private: Private,
    /// Bytes that the product may have.
    most: u64,
    tree: Tree,
    /// Content of files that are not as they were in the pack, or were looked at.
    digests: BTreeMap<String, Sha256Digest>,
    config: Option<Vec<u8>>,
    /// Paths touched by hotfixes, with the time of the hotfix that was last to do so.
    touched: BTreeMap<String, u64>,
    contents: BTreeMap<String, BTreeSet<Sha256Digest>>,
}

/// How a path differs from the pack in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// There, and not as in the pack.
    Present {
        /// What it is, with its permission bits.
        node: Node,
        /// Time of the hotfix that made it so, in seconds since 1970.
        mtime: u64,
    },
    /// In the pack, and no longer there.
    Removed,
}

/// All differences between the pack and the hotfixed product, by path.
#[derive(Debug)]
pub struct PatchedProduct {
    /// Where the hotfixed product is.
    pub home: Arc<ProductHome>,
    /// What it was before.
    pub pristine: Pristine,
    /// Differences in the product's files, folders and links.
    pub changes: BTreeMap<String, Change>,
    /// `updates/config.json` as it may be seen, with the time of the last hotfix, where it is not as in the pack.
    pub config: Option<(Vec<u8>, u64)>,
    /// Every content that a hotfix of the sequence gave a file, by path: those that a later one replaced too.
    pub contents: BTreeMap<String, BTreeSet<Sha256Digest>>,
    /// What each hotfix did, by number.
    pub deltas: Vec<(u32, Delta)>,
}

impl Changes {
    /// Begins with the product as it was just unpacked into `home`; it may grow to `most` bytes.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn begin(pristine: Pristine, home: Arc<ProductHome>, private: Private, most: u64) -> Result<Self, Problem> {
        let tree = scan(&home)?;
        let config = read_config(&home, &private)?;
        Ok(Self {
            home,
            pristine,
            private,
            most,
            tree,
            digests: BTreeMap::new(),
            config,
            touched: BTreeMap::new(),
            contents: BTreeMap::new(),
        })
    }

    /// Takes note of what happened since the last look, as none of a hotfix's doing.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn skip(&mut self) -> Result<(), Problem> {
        self.look().map(drop)
    }

    /// What a hotfix did since the last look; `None` where it did nothing whatever. `time` is that of the hotfix.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn attribute(&mut self, time: u64) -> Result<Option<Delta>, Problem> {
        let (delta, folders, config_changed) = self.look()?;
        let nothing = delta.is_empty() && folders.is_empty() && !config_changed;
        let paths = delta.changed.iter().chain(&delta.added).chain(&delta.removed).chain(&folders);
        self.touched.extend(paths.map(|path| (path.clone(), time)));
        for path in delta.changed.iter().chain(&delta.added) {
            let is_file = self.tree.get(path).is_some_and(|node| node.kind == Kind::File);
            if let (true, Some(digest)) = (is_file, self.digests.get(path)) {
                self.contents.entry(path.clone()).or_default().insert(*digest);
            }
        }
        if config_changed {
            self.touched.insert(CONFIG_JSON.to_owned(), time);
        }
        Ok((!nothing).then_some(delta))
    }

    /// Differences since the last look: of files and links, of folders, and whether the tool's records changed.
    fn look(&mut self) -> Result<(Delta, Vec<String>, bool), Problem> {
        let after = scan(&self.home)?;
        self.check_bounds(&after)?;
        let before = std::mem::take(&mut self.tree);
        let mut delta = Delta::default();
        let mut folders = Vec::new();
        for (path, old, new) in tree::differences(&before, &after) {
            let (list, is_folder) = match (old, new) {
                (Some(old), Some(new))
                    if self.is_same(path, old, new).map_err(|error| self.unreadable(path, error))? =>
                {
                    continue;
                }
                (Some(old), Some(new)) => {
                    (&mut delta.changed, old.kind == Kind::Directory && new.kind == Kind::Directory)
                }
                (None, Some(new)) => (&mut delta.added, new.kind == Kind::Directory),
                (Some(old), None) => (&mut delta.removed, old.kind == Kind::Directory),
                (None, None) => continue,
            };
            if is_folder { &mut folders } else { list }.push(path.clone());
        }
        for path in delta.added.iter().filter(|path| after.get(*path).is_some_and(|node| node.kind == Kind::File)) {
            let digest = self.home.digest(path).map_err(|error| self.unreadable(path, error))?;
            self.digests.insert(path.clone(), digest);
        }
        self.tree = after;
        let config = read_config(&self.home, &self.private)?;
        let config_changed = config != self.config;
        self.config = config;
        Ok((delta, folders, config_changed))
    }

    /// Before anything in it is read.
    fn check_bounds(&self, tree: &Tree) -> Result<(), Problem> {
        if let ProductHome::Folder(home) = self.home.as_ref()
            && !home.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
        {
            let what = format!("{} is no folder any more", home.display());
            return Err(Problem::new(what, "ask the vendor: the update tool has put something else there"));
        }
        let records = ancestors(CONFIG_JSON).filter(|folder| self.pristine.nodes.contains_key(*folder));
        if let Some(folder) = records.into_iter().find(|path| !tree.get(*path).is_some_and(Node::is_folder)) {
            let what = format!("{} is no folder any more", self.home.path().join(folder).display());
            return Err(Problem::new(what, "ask the vendor: the update tool has put something else there"));
        }
        // The vendor's own tools look there for what the product is.
        let is_product = |path: &str| self.pristine.nodes.contains_key(path);
        if is_product(PRODUCT_TXT) && !tree.get(PRODUCT_TXT).is_some_and(|node| node.kind == Kind::File) {
            let what = format!("{PRODUCT_TXT} is gone from the product");
            return Err(Problem::new(
                what,
                "ask the vendor: a hotfix, or the update tool, has removed what the product is known by",
            ));
        }
        let total = tree.values().map(Node::bytes).fold(0, u64::saturating_add);
        if total <= self.most {
            return Ok(());
        }
        let largest = tree.iter().max_by_key(|(_, node)| node.bytes());
        let largest = largest.map(|(path, node)| format!("{} ({})", printable(path), ByteSize(node.bytes())));
        Err(Problem::new(
            format!(
                "the product has grown to {}, and --max-unpacked-size allows {}; its largest file is {}",
                ByteSize(total),
                ByteSize(self.most),
                largest.unwrap_or_default()
            ),
            "ask the vendor about this hotfix, or raise --max-unpacked-size",
        ))
    }

    fn is_same(&mut self, path: &str, old: &Node, new: &Node) -> io::Result<bool> {
        if old.kind != new.kind || old.mode != new.mode {
            self.digests.remove(path);
            if new.kind == Kind::File {
                self.digests.insert(path.to_owned(), self.home.digest(path)?);
            }
            return Ok(false);
        }
        if new.kind != Kind::File || old.stamp == new.stamp {
            return Ok(true);
        }
        let known = match self.digests.get(path) {
            Some(digest) => Some(*digest),
            None => self.pristine.digest(path)?,
        };
        let now = self.home.digest(path)?;
        self.digests.insert(path.to_owned(), now);
        Ok(known == Some(now))
    }

    /// All that the hotfixes changed against the pack, once the last one is applied.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn finish(self) -> Result<PatchedProduct, Problem> {
        let mut changes = BTreeMap::new();
        for (path, mtime) in self.touched.iter().filter(|(path, _)| *path != CONFIG_JSON) {
            match self.tree.get(path) {
                Some(node) if self.is_as_in_pack(path, node).map_err(|error| self.unreadable(path, error))? => {}
                Some(node) => drop(changes.insert(path.clone(), Change::Present { node: node.clone(), mtime: *mtime })),
                None if self.pristine.nodes.contains_key(path) => drop(changes.insert(path.clone(), Change::Removed)),
                None => {}
            }
        }
        self.add_new_folders(&mut changes);
        check_names(&changes)?;
        let in_pack = self.pristine.config()?.map(|config| scrub(&config, &self.private)).transpose()?;
        let config = match (self.touched.get(CONFIG_JSON), self.config) {
            (Some(mtime), Some(config)) if Some(&config) != in_pack.as_ref() => Some((config, *mtime)),
            _ => None,
        };
        Ok(PatchedProduct {
            home: self.home,
            pristine: self.pristine,
            changes,
            config,
            contents: self.contents,
            deltas: Vec::new(),
        })
    }

    /// Folders that hold a change and are not in the pack, although no hotfix made them: the tool did, beforehand.
    fn add_new_folders(&self, changes: &mut BTreeMap<String, Change>) {
        let present = changes.iter().filter_map(|(path, change)| match change {
            Change::Present { mtime, .. } => Some((path.clone(), *mtime)),
            Change::Removed => None,
        });
        for (path, mtime) in present.collect::<Vec<_>>() {
            for folder in ancestors(&path).filter(|folder| !self.pristine.nodes.contains_key(*folder)) {
                if let Some(node) = self.tree.get(folder) {
                    changes.entry(folder.to_owned()).or_insert(Change::Present { node: node.clone(), mtime });
                }
            }
        }
    }

    fn is_as_in_pack(&self, path: &str, node: &Node) -> io::Result<bool> {
        let Some(original) = self.pristine.nodes.get(path) else { return Ok(false) };
        Ok(match (&original.kind, &node.kind) {
            (NodeKind::Directory, Kind::Directory) => original.mode | 0o700 == node.mode,
            (NodeKind::Symlink { target }, Kind::Symlink(now)) => target == now,
            (NodeKind::File { .. }, Kind::File) => {
                original.mode | 0o600 == node.mode && self.digests.get(path).copied() == self.pristine.digest(path)?
            }
            _ => false,
        })
    }

    fn unreadable(&self, path: &str, error: io::Error) -> Problem {
        Problem::new(
            format!("{} cannot be compared with the pack", self.home.path().join(path).display()),
            "check the workspace's disk",
        )
        .because(error)
    }
}

/// In a layer some names delete other files; a hotfix that leaves one would do in an image what it does not do on disk.
fn check_names(changes: &BTreeMap<String, Change>) -> Result<(), Problem> {
    let deletes = |path: &&String| path.split('/').any(|part| part.starts_with(WHITEOUT_PREFIX));
    match changes.keys().find(deletes) {
        Some(path) => Err(Problem::new(
            format!("a hotfix left {}, a name that means a deletion in an image", printable(path)),
            "ask the vendor about this hotfix",
        )),
        None => Ok(()),
    }
}

fn scan(home: &ProductHome) -> Result<Tree, Problem> {
    home.scan().map_err(|error| {
        Problem::new(format!("{} cannot be read", home.path().display()), "see the cause: the update tool left it so")
            .because(error)
    })
}

fn read_config(home: &ProductHome, private: &Private) -> Result<Option<Vec<u8>>, Problem> {
    match home.records() {
        Ok(config) => scrub(&config, private).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Problem::new(
            format!("{} cannot be read", home.path().join(CONFIG_JSON).display()),
            "check the workspace's disk",
        )
        .because(error)),
    }
}
