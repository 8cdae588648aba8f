//! A product's folder that is laid over a pristine one: what the update tool changes is in a folder apart, and read from
//! there. The pristine one is never written to.

use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tokio::process::Command;

#[cfg(target_os = "linux")]
use super::mount::{LOWER, Mount, Privilege, UPPER, WORK};
use crate::tree::{Kind, Tree, is_tools_own, node_at, utf8};

/// A pristine folder, and the changes to it.
#[derive(Debug)]
pub struct Overlay {
    lower: PathBuf,
    upper: PathBuf,
    mount_point: PathBuf,
    /// What is in `lower`, but for the update tool's own.
    pristine: Tree,
    #[cfg(target_os = "linux")]
    privilege: Privilege,
    #[cfg(target_os = "linux")]
    mount: Mount,
}

/// What is seen at a path, seen from the folder above.
enum Seen {
    /// Nothing: it was removed.
    Nothing,
    /// What is in the upper folder, alone.
    Upper(Metadata),
    /// A folder, in which there is as well what the lower one has at this path.
    Merged(Metadata, String),
    /// What is in the lower folder at this path, alone.
    Lower(String),
}

impl Overlay {
    /// Where the update tool sees it.
    pub(crate) fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Where the file or link is that the tool sees at `path`.
    pub(super) fn locate(&self, path: &str) -> io::Result<PathBuf> {
        let (mut here, mut lower) = (String::new(), Some(String::new()));
        let mut parts = path.split('/');
        for name in parts.by_ref() {
            match self.look(&here, name, lower.as_deref())? {
                Seen::Nothing => return Err(io::ErrorKind::NotFound.into()),
                Seen::Upper(_) => lower = None,
                Seen::Merged(_, below) => lower = Some(below),
                Seen::Lower(below) => {
                    let rest: PathBuf = parts.collect();
                    let found = self.lower.join(below);
                    return Ok(if rest.as_os_str().is_empty() { found } else { found.join(rest) });
                }
            }
            here = join(&here, name);
        }
        Ok(self.upper.join(here))
    }

    /// Everything that the tool sees, but for its own.
    pub(super) fn scan(&self) -> io::Result<Tree> {
        let mut tree = self.pristine.clone();
        self.scan_folder("", Some(""), &mut tree)?;
        Ok(tree)
    }

    /// Lays the upper folder `path` over `tree`, which has there what is in the lower folder `lower`.
    fn scan_folder(&self, path: &str, lower: Option<&str>, tree: &mut Tree) -> io::Result<()> {
        let mut entries = fs::read_dir(self.upper.join(path))?.collect::<io::Result<Vec<DirEntry>>>()?;
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            let name = utf8(Path::new(&entry.file_name()))?;
            let inner = join(path, &name);
            if is_tools_own(&inner) {
                continue;
            }
            match self.look(path, &name, lower)? {
                Seen::Nothing => remove(tree, &inner),
                Seen::Upper(metadata) => {
                    remove(tree, &inner);
                    tree.insert(inner.clone(), node_at(&entry.path(), &metadata)?);
                    if metadata.is_dir() {
                        self.scan_folder(&inner, None, tree)?;
                    }
                }
                Seen::Merged(metadata, below) => {
                    if lower.map(|lower| join(lower, &name)).as_ref() != Some(&below) {
                        remove(tree, &inner);
                        self.copy(&below, &inner, tree);
                    }
                    tree.insert(inner.clone(), node_at(&entry.path(), &metadata)?);
                    self.scan_folder(&inner, Some(&below), tree)?;
                }
                Seen::Lower(_) => {}
            }
        }
        Ok(())
    }

    /// A folder that was renamed brings with it what is below.
    fn copy(&self, from: &str, to: &str, tree: &mut Tree) {
        let prefix = format!("{from}/");
        let below = self.pristine.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
        tree.extend(below.map(|(path, node)| (join(to, &path[prefix.len()..]), node.clone())));
    }

    fn look(&self, folder: &str, name: &str, lower: Option<&str>) -> io::Result<Seen> {
        let path = self.upper.join(folder).join(name);
        let below = lower.map(|lower| join(lower, name));
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(below.map_or(Seen::Nothing, Seen::Lower));
            }
            Err(error) => return Err(error),
        };
        if metadata.file_type().is_char_device() && metadata.rdev() == 0 {
            return Ok(Seen::Nothing);
        }
        if !metadata.is_dir() || self.attribute(&path, "opaque")?.is_some_and(|value| value == "y") {
            return Ok(Seen::Upper(metadata));
        }
        let redirected = self.attribute(&path, "redirect")?.map(|to| match to.strip_prefix('/') {
            Some(from_the_top) => from_the_top.to_owned(),
            None => join(lower.unwrap_or_default(), &to),
        });
        let below = redirected.or(below);
        Ok(match below.filter(|below| self.pristine.get(below).is_some_and(|node| node.kind == Kind::Directory)) {
            Some(below) => Seen::Merged(metadata, below),
            None => Seen::Upper(metadata),
        })
    }
}

#[cfg(target_os = "linux")]
impl Overlay {
    /// Over `lower`, in which there is `tree`, with all that is needed in `folder`, which must be empty, and to be seen at
    /// `mount_point`, an empty folder.
    ///
    /// # Errors
    /// Where this machine, or the file system, does not allow it.
    pub(crate) fn new(lower: &Path, tree: &Tree, folder: &Path, mount_point: &Path) -> io::Result<Self> {
        std::os::unix::fs::symlink(lower, folder.join(LOWER))?;
        let upper = folder.join(UPPER);
        for made in [&upper, &folder.join(WORK)] {
            fs::create_dir(made)?;
        }
        fs::set_permissions(&upper, lower.metadata()?.permissions())?;
        let privilege =
            if notes_of_the_administrators_work(&upper) { Privilege::Administrator } else { Privilege::User };
        if privilege == Privilege::User {
            check_owner(lower)?;
        }
        let mount = Mount::new(privilege, folder, mount_point)?;
        mount.try_out()?;
        let mut pristine = tree.clone();
        pristine.retain(|path, _| !is_tools_own(path));
        Ok(Self { lower: lower.to_owned(), upper, mount_point: mount_point.to_owned(), pristine, privilege, mount })
    }

    pub(super) fn enter(&self, command: &mut Command, inner: &str) {
        // A path of ours, without a NUL.
        self.mount.prepare(command, std::ffi::CString::new(inner).unwrap_or_default());
    }

    fn attribute(&self, path: &Path, name: &str) -> io::Result<Option<String>> {
        let mut value = Vec::with_capacity(4096);
        let found =
            rustix::fs::lgetxattr(path, self.privilege.attribute(name), rustix::buffer::spare_capacity(&mut value));
        match found {
            Ok(_) => String::from_utf8(value).map(Some).map_err(io::Error::other),
            Err(rustix::io::Errno::NODATA | rustix::io::Errno::NOTSUP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether we may set the attributes that only the machine's administrator may.
#[cfg(target_os = "linux")]
fn notes_of_the_administrators_work(folder: &Path) -> bool {
    let name = Privilege::Administrator.attribute("hotfix");
    let set = rustix::fs::lsetxattr(folder, &name, b"y", rustix::fs::XattrFlags::empty());
    set.is_ok() && rustix::fs::lremovexattr(folder, &name).is_ok()
}

/// In a namespace of ours nobody else exists, and files of others cannot be changed there.
#[cfg(target_os = "linux")]
fn check_owner(lower: &Path) -> io::Result<()> {
    let metadata = lower.metadata()?;
    let ours = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if (metadata.uid(), metadata.gid()) == ours {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "the pristine product belongs to somebody else"))
}

#[cfg(not(target_os = "linux"))]
impl Overlay {
    /// Only Linux has such a file system.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn new(_: &Path, _: &Tree, _: &Path, _: &Path) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn enter(&self, _: &mut Command, _: &str) {}

    fn attribute(&self, _: &Path, _: &str) -> io::Result<Option<String>> {
        Ok(None)
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn remove(tree: &mut Tree, path: &str) {
    let below = format!("{path}/");
    tree.retain(|known, _| known != path && !known.starts_with(&below));
}
