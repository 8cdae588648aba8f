//! Where the work is done: a folder of its own, gone at the end.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

pub use hotfix_docker::fetch::temporary_folder;
use hotfix_docker::temporary;
use tracing::{info, warn};

use crate::inputs::hint_for;
use crate::step::Problem;
use crate::stragglers;

/// What the names of workspaces begin with.
const PREFIX: &str = "hotfix-";
/// And while they are made, and while they are removed: nobody misses those.
const NEW: &str = temporary::PREFIX;
const GONE: &str = ".hotfix-gone-";
/// Folders in each other that are removed as they are: paths have an end, and so have files that are open at once.
const DEEPEST: usize = 40;
/// A file in each that is not to be kept: without anybody who works there it was left.
const MARK: &str = ".in-use";
/// Others can take a new one for one that was left in the moment before it is locked.
const TRIES: u32 = 10;

/// A private folder, removed on drop unless it is to be kept.
#[derive(Debug)]
pub struct Workspace {
    path: PathBuf,
    /// Folders above it that were made for this run, innermost first.
    made_parents: Vec<PathBuf>,
    keep: bool,
    /// Held as long as somebody works in it, where the file system knows of locks.
    _lock: Option<File>,
    /// Removes what the update tool has left in its home, beside other work.
    cleaner: Mutex<Option<JoinHandle<()>>>,
}

impl Workspace {
    /// A new folder `hotfix-…` in `parent`, by default in the system's folder for temporary files.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn create(parent: Option<&Path>, keep: bool) -> Result<Self, Problem> {
        let parent = parent.map_or_else(temporary_folder, Path::to_owned);
        let failed = |error: io::Error| {
            let hint = hint_for(&error, &parent, "give --workspace with a folder that can be written to");
            Problem::new(format!("no workspace can be made in {}", parent.display()), hint).because(error)
        };
        let missing = parent.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
        let made_parents = missing.map(Path::to_owned).collect();
        fs::create_dir_all(&parent).map_err(failed)?;
        // The tool gets paths from here as arguments and from another folder, so they must not be relative.
        let parent_path = parent.canonicalize().map_err(failed)?;
        remove_leftovers(&parent_path);
        let (path, lock) = make(&parent_path).map_err(failed)?;
        let workspace = Self { path, made_parents, keep, _lock: lock, cleaner: Mutex::default() };
        for part in [workspace.home(), workspace.temporary(), workspace.hotfixes()] {
            fs::create_dir(part).map_err(failed)?;
        }
        Ok(workspace)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the update tool takes for the user's home: its downloads and backups go there.
    pub fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// What the update tool takes for the system's temporary folder.
    pub fn temporary(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Copies of the hotfixes: the tool never sees the originals.
    pub fn hotfixes(&self) -> PathBuf {
        self.path.join("hotfixes")
    }

    /// The product as it was unpacked, where the cache does not have it and the update tool works on something else.
    pub fn pristine(&self) -> PathBuf {
        self.path.join("pristine")
    }

    /// What the update tool changes in a product that it sees through an overlay.
    pub fn overlay(&self) -> PathBuf {
        self.path.join("overlay")
    }

    /// A base image that was fetched without an engine.
    pub fn base(&self) -> PathBuf {
        self.path.join("base")
    }

    /// The update tool is not going to run again: what it has left in its home, such as a copy of the whole product, goes
    /// while other work is done.
    pub fn remove_tools_files(&self) {
        let folders = [self.home(), self.temporary()];
        let remove = move || {
            for folder in folders {
                // What is left goes with the workspace, or is told of there.
                let _ = remove(&folder);
            }
        };
        let mut cleaner = self.cleaner.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.keep && cleaner.is_none() {
            *cleaner = Some(std::thread::spawn(remove));
        }
    }

    /// Whether the folder stays.
    pub fn is_kept(&self) -> bool {
        self.keep
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if self.keep {
            // Without it nobody takes it for one that was left.
            let _ = fs::remove_file(self.path.join(MARK));
            info!("the workspace is kept: {}", self.path.display());
            return;
        }
        stragglers::end(&self.path);
        if let Some(cleaner) = self.cleaner.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of it has been told of.
            let _ = cleaner.join();
        }
        if let Err(error) = discard(&self.path) {
            warn!("the workspace {} could not be removed: {error}", self.path.display());
        }
        for parent in &self.made_parents {
            // Somebody else's files in it are a good reason for it to stay.
            let _ = fs::remove_dir(parent);
        }
    }
}

/// A new workspace in `parent`, locked where the file system knows of locks.
fn make(parent: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let private = || fs::Permissions::from_mode(0o700);
    for _ in 0..TRIES {
        // Gone again where we fail.
        let new = tempfile::Builder::new().prefix(NEW).permissions(private()).tempdir_in(parent)?;
        let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let lock = match File::open(new.path()).map(|folder| folder.try_lock().map(|()| folder)) {
            Ok(Ok(lock)) => Some(lock),
            Ok(Err(TryLockError::Error(_))) => None,
            // Somebody is removing it.
            Ok(Err(TryLockError::WouldBlock)) => continue,
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(error),
        };
        match lock.as_ref().map(|_| File::create_new(new.path().join(MARK))) {
            Some(Err(error)) if is_gone(&error) => continue,
            marked => drop(marked.transpose()?),
        }
        let name = new.path().file_name().unwrap_or_default().to_string_lossy().replacen(NEW, PREFIX, 1);
        let path = parent.join(name);
        fs::rename(new.path(), &path)?;
        // It has another name now.
        let _ = new.keep();
        return Ok((path, lock));
    }
    Err(io::Error::other("others remove what is made"))
}

/// Removes the workspaces of this user in `parent` that nobody works in: their runs were killed.
fn remove_leftovers(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
    let user = rustix::process::geteuid().as_raw();
    let is_ours =
        |path: &Path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == user);
    for (name, path) in entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())) {
        let is_half = name.starts_with(NEW) || name.starts_with(GONE);
        let is_marked = || name.starts_with(PREFIX) && path.join(MARK).symlink_metadata().is_ok();
        if !is_ours(&path) || !(is_half || is_marked()) {
            continue;
        }
        // Held while it is removed: nobody else begins to work in it, or removes it as well.
        let Ok(lock) = File::open(&path) else { continue };
        if lock.try_lock().is_err() {
            continue;
        }
        stragglers::end(&path);
        match discard(&path) {
            Ok(()) => info!("{}, which a run that was killed has left, is removed", path.display()),
            // Somebody else was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => warn!("{}, which a run that was killed has left, cannot be removed: {error}", path.display()),
        }
    }
}

/// Removes a workspace under a name by which the next run removes the rest, whenever this is stopped.
fn discard(path: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let suffix = name.rsplit('-').next().unwrap_or_default();
    let gone = path.with_file_name(format!("{GONE}{suffix}"));
    match fs::rename(path, &gone) {
        Ok(()) => remove(&gone),
        Err(_) => remove(path),
    }
}

/// Removes a folder even where the tool left folders that their owner may not open or write to, or that are too deep for a path.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    if fs::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    open_up(path)?;
    fs::remove_dir_all(path)
}

/// From the outside in: what cannot be opened cannot be looked into. What is deep down is moved to the top.
fn open_up(top: &Path) -> io::Result<()> {
    let (mut folders, mut moved) = (vec![(top.to_owned(), 0)], 0);
    while let Some((folder, depth)) = folders.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                continue;
            }
            if depth < DEEPEST {
                folders.push((entry.path(), depth + 1));
                continue;
            }
            // Moved, it may be one that its owner may not write to.
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o700))?;
            let higher = top.join(format!(".hotfix-deep-{moved}"));
            moved += 1;
            fs::rename(entry.path(), &higher)?;
            folders.push((higher, 1));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_all_that_is_in_it() {
        let parent = tempfile::tempdir().expect("a folder");
        let inner = parent.path().join("made/for/it");
        let workspace = Workspace::create(Some(&inner), false).expect("can be made");
        let locked = workspace.home().join("locked/inside");
        fs::create_dir_all(&locked).expect("can be made");
        fs::write(locked.join("file"), "x").expect("can be written");
        for folder in [&locked, &workspace.home().join("locked")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o000)).expect("can be changed");
        }
        assert_eq!(fs::metadata(workspace.path()).expect("there").permissions().mode() & 0o777, 0o700);
        drop(workspace);
        assert_eq!(fs::read_dir(parent.path()).expect("there").count(), 0);
    }

    #[test]
    fn what_is_too_deep_for_a_path_goes_too() {
        let parent = tempfile::tempdir().expect("a folder");
        let top = parent.path().join("top");
        fs::create_dir(&top).expect("can be made");
        // Built from the inside out, since no path leads there.
        for _ in 0..3000 {
            let outer = parent.path().join("outer");
            fs::create_dir(&outer).expect("can be made");
            fs::rename(&top, outer.join("inner")).expect("can be moved");
            fs::rename(&outer, &top).expect("can be moved");
        }
        remove(&top).expect("can be removed");
        assert_eq!(fs::read_dir(parent.path()).expect("there").count(), 0);
    }

    #[test]
    fn a_folder_of_the_users_stays() {
        let parent = tempfile::tempdir().expect("a folder");
        fs::write(parent.path().join("mine"), "x").expect("can be written");
        drop(Workspace::create(Some(parent.path()), false).expect("can be made"));
        assert_eq!(fs::read_dir(parent.path()).expect("there").count(), 1);
    }

    #[test]
    fn what_a_killed_run_has_left_goes_with_the_next() {
        let parent = tempfile::tempdir().expect("a folder");
        let create = |keep| Workspace::create(Some(parent.path()), keep).expect("can be made");
        let (mut left, there, kept) = (create(false), create(false), create(true));
        let (left_path, kept_path) = (left.path().to_owned(), kept.path().to_owned());
        drop(kept);
        // As when it is killed: the lock goes, the folder stays.
        fs::write(parent.path().join("hotfix-of-somebody"), "x").expect("can be written");
        fs::create_dir(parent.path().join("hotfix-mine")).expect("can be made");
        drop(left._lock.take());
        std::mem::forget(left);
        let next = create(false);
        assert!(!left_path.exists());
        assert!(there.path().exists() && kept_path.exists() && next.path().exists());
        assert!(parent.path().join("hotfix-mine").exists() && parent.path().join("hotfix-of-somebody").exists());
    }

    #[test]
    fn kept_it_stays() {
        let parent = tempfile::tempdir().expect("a folder");
        let workspace = Workspace::create(Some(parent.path()), true).expect("can be made");
        let path = workspace.path().to_owned();
        drop(workspace);
        assert!(path.is_dir());
    }
}
